//! A subscription that runs: what a person changed in Stripe, and a spec that cannot be had.

use super::*;

impl World {
    /// Status and reason of `Synced`, `Stalled` and `Drifted`.
    fn trouble(&self) -> [(&str, &str); 3] {
        let of = |n: usize| {
            let found = &self.status.conditions[n];
            (found.status.as_str(), found.reason.as_str())
        };
        [of(1), of(2), of(3)]
    }

    fn drifted(&self) -> (&str, &str) {
        self.trouble()[2]
    }

    fn schedule_in_stripe(&mut self) {
        self.schedule = Some(Schedule {
            id: "sub_sched_9".into(),
            current: None,
            next: Some("price_2".into()),
            owner: None,
        });
        self.subscriptions[0].schedule = Some("sub_sched_9".into());
    }

    fn price(&self) -> Option<&str> {
        self.subscriptions[0].price.as_deref()
    }
}

fn in_euro() -> Plan {
    let mut plan = sold("price_2", 9900);
    if let Plan::Sold { terms, .. } = &mut plan {
        terms.currency = "eur".into();
    }
    plan
}

#[test]
fn a_tier_that_cannot_be_moved_to_is_said_and_undoes_no_cancellation() {
    for (plan, expected, stalls) in [
        (Plan::NotSold, reason::TIER_NOT_SOLD, "True"),
        (Plan::Missing, reason::TIER_NOT_FOUND, "False"),
        (Plan::NotReady, reason::TIER_NOT_READY, "False"),
        (in_euro(), reason::OTHER_CURRENCY, "True"),
    ] {
        let mut world = paid();
        world.wish("professional", plan);
        world.converge();
        let [synced, stalled, drifted] = world.trouble();
        assert_eq!((synced, stalled.0), (("False", expected), stalls));
        assert_eq!(drifted, ("False", reason::AS_DECLARED));
        assert_eq!(world.ready(), ("True", reason::ACTIVE));

        world.subscriptions[0].cancel_at_period_end = true;
        world.converge();
        assert!(world.subscriptions[0].cancel_at_period_end, "{expected}");
        assert_eq!(world.drifted(), ("True", reason::CANCELLATION_CHANGED));
        assert_eq!(world.trouble()[0], ("False", expected));

        world.plan = sold("price_2", 9900);
        world.converge();
        assert_eq!(world.price(), Some("price_2"), "it is made once it can be");
        assert!(world.subscriptions[0].cancel_at_period_end);
        assert_eq!(world.status.observed_generation, Some(2));
    }
}

#[test]
fn a_move_that_waits_for_an_invoice_is_not_taken_for_a_change_in_stripe() {
    let mut world = paid();
    world.set_state(State::PastDue);
    world.wish("professional", sold("price_2", 9900));
    world.converge();
    assert_eq!(world.trouble()[0], ("False", reason::PROGRESSING));
    assert_eq!(world.drifted().0, "False");
}

#[test]
fn a_tier_wished_for_while_the_first_payment_is_not_through_is_moved_to_afterwards() {
    let mut world = World::default();
    world.converge();
    world.wish("professional", sold("price_2", 9900));
    world.sessions[0].state = CheckoutState::Complete;
    world.converge();
    world.subscribe(State::Incomplete, Some("price_1".into()));
    world.converge();
    assert_eq!(world.price(), Some("price_1"));
    world.set_state(State::Active);
    world.converge();
    assert_eq!(world.price(), Some("price_2"));
}

#[test]
fn a_tier_that_would_begin_after_the_end_is_said_to_be_none() {
    let mut world = paid();
    world.wish("professional", sold("price_2", 9900));
    world.converge();
    world.spec.cancel_at_period_end = true;
    world.wish("starter", sold("price_1", 2900));
    world.converge();
    assert_eq!(world.trouble()[0], ("False", reason::ENDS_FIRST));
}

/// A person moved it to a price that is no Tier's; absent terms cannot be compared.
fn strayed(terms: Option<Terms>) -> World {
    let mut world = paid();
    world.stray_price = true;
    world.subscriptions[0].price = Some("price_x".into());
    world.subscriptions[0].terms = terms;
    world
}

#[test]
fn a_price_of_no_tier_leaves_the_last_tier_in_force_and_is_said() {
    let mut world = strayed(Some(monthly(9900)));
    world.converge();
    assert_eq!(world.status.tier.as_deref(), Some("starter"));
    assert_eq!(world.ready(), ("True", reason::ACTIVE));
    assert_eq!(world.drifted(), ("True", reason::PRICE_OF_NO_TIER));
    assert!(world.status.conditions[3].message.contains("price_x"));
    assert_eq!(world.price(), Some("price_x"));
}

#[test]
fn a_price_of_no_tier_is_put_back_by_the_policy() {
    let mut dearer = strayed(Some(monthly(9900)));
    dearer.spec.drift_policy = DriftPolicy::Revert;
    dearer.converge();
    assert_eq!(dearer.status.pending_tier.as_deref(), Some("starter"));
    for terms in [Some(monthly(100)), None] {
        let mut world = strayed(terms);
        world.spec.drift_policy = DriftPolicy::Revert;
        world.converge();
        assert_eq!(world.price(), Some("price_1"));
        assert_eq!(world.drifted().0, "False");
    }
}

#[test]
fn what_is_not_known_of_the_price_is_no_drift() {
    let mut world = paid();
    world.billed = None;
    world.converge();
    assert_eq!(world.status.tier.as_deref(), Some("starter"));
    assert_eq!(world.drifted().0, "False");
}

#[test]
fn a_paused_collection_is_said_and_service_goes_on_unless_the_policy_resumes_it() {
    let mut world = paid();
    world.subscriptions[0].pause = Some(Pause {
        behavior: "void".into(),
        resumes_at: Some(at("2026-03-01T00:00:00Z")),
    });
    world.generation += 1;
    world.converge();
    assert_eq!(world.drifted(), ("True", reason::COLLECTION_PAUSED));
    let message = &world.status.conditions[3].message;
    assert!(message.contains("until 2026-03-01") && message.contains("void"));
    assert_eq!(world.ready(), ("True", reason::ACTIVE));
    world.spec.drift_policy = DriftPolicy::Revert;
    world.converge();
    assert_eq!(world.subscriptions[0].pause, None);
    assert_eq!(world.drifted().0, "False");
}

#[test]
fn a_schedule_made_by_somebody_else_stands_and_is_said() {
    let mut world = paid();
    world.schedule_in_stripe();
    world.converge();
    assert_eq!(world.drifted(), ("True", reason::SCHEDULED));
    assert!(world.status.conditions[3].message.contains("sub_sched_9"));
    assert!(world.schedule.is_some());
    world.spec.trial_days = Some(3);
    world.generation += 1;
    world.converge();
    assert!(world.schedule.is_some(), "the edit asks nothing of Stripe");
}

#[test]
fn an_edited_spec_and_the_policy_go_before_a_schedule_made_by_somebody_else() {
    let mut ending = paid();
    ending.schedule_in_stripe();
    ending.converge();
    ending.spec.cancel_at_period_end = true;
    ending.generation += 1;
    ending.converge();
    assert_eq!(ending.schedule, None);
    assert!(ending.subscriptions[0].cancel_at_period_end);

    let mut moving = paid();
    moving.schedule_in_stripe();
    moving.wish("professional", sold("price_2", 9900));
    moving.converge();
    assert_eq!(
        (moving.schedule.clone(), moving.price()),
        (None, Some("price_2"))
    );

    let mut reverted = paid();
    reverted.schedule_in_stripe();
    reverted.spec.drift_policy = DriftPolicy::Revert;
    reverted.converge();
    assert_eq!(reverted.schedule, None);
    assert_eq!(reverted.drifted().0, "False");
}

/// What is moved once Stripe's word was taken over.
fn planned(world: &mut World) -> PlanChange {
    if let Next::Do(Action::TakeOver(told)) = plan(&world.observe()) {
        world.status = *told;
    }
    match plan(&world.observe()) {
        Next::Do(Action::ChangePlan(change)) => change,
        next => panic!("{next:?}"),
    }
}

#[test]
fn a_move_undone_within_the_hour_is_made_again_and_a_refused_one_is_not_tried_again() {
    let mut world = strayed(Some(monthly(100)));
    world.spec.drift_policy = DriftPolicy::Revert;
    let refused = planned(&mut world);
    assert_eq!(planned(&mut world), refused);
    world.subscriptions[0].invoice = Some("in_2".into());
    assert_ne!(planned(&mut world).key, refused.key);
    world.set_state(State::Trialing);
    assert_eq!(planned(&mut world).key, None, "nothing is charged");
}

#[test]
fn several_items_are_said_and_none_is_taken_out() {
    let further = Item {
        id: "si_2".into(),
        price: "price_x".into(),
        terms: None,
        quantity: 1,
        period: None,
    };
    for (others, quantity) in [(vec![further], 1), (Vec::new(), 3)] {
        let mut world = paid();
        world.wish("professional", sold("price_2", 9900));
        world.converge();
        world.subscriptions[0].others = others.clone();
        world.subscriptions[0].quantity = quantity;
        world.spec.drift_policy = DriftPolicy::Revert;
        world.converge();
        assert_eq!(world.drifted(), ("True", reason::ITEMS_CHANGED));
        assert_eq!(world.ready(), ("True", reason::ACTIVE));
        // A schedule's phases would drop them.
        world.wish("starter", sold("price_1", 2900));
        world.converge();
        assert_eq!(world.trouble()[0], ("False", reason::ITEMS_CHANGED));
        assert_eq!(world.subscriptions[0].others, others);
        assert_eq!(world.schedule, None);
    }
}

#[test]
fn the_item_that_counts_is_put_first_with_all_that_is_its_own() {
    let mut world = paid();
    let one = &mut world.subscriptions[0];
    let period = (at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z"));
    one.others.push(Item {
        id: "si_2".into(),
        price: "price_2".into(),
        terms: Some(monthly(9900)),
        quantity: 2,
        period: Some(period),
    });
    let before = one.clone();
    one.put_first(|price| price == "price_1");
    one.put_first(|price| price == "price_none");
    assert_eq!(*one, before);
    one.put_first(|price| price == "price_2");
    assert_eq!((one.item.as_deref(), one.quantity), (Some("si_2"), 2));
    assert_eq!(
        (one.period, one.terms.clone()),
        (Some(period), Some(monthly(9900)))
    );
    assert_eq!(one.others[0].id, "si_1");
    one.put_first(|price| price == "price_1");
    assert_eq!(*one, before);
}

/// What is done next, once Stripe's word was taken over.
fn next_but_taking_over(world: &mut World) -> Next<Action> {
    if let Next::Do(Action::TakeOver(told)) = plan(&world.observe()) {
        world.status = *told;
    }
    plan(&world.observe())
}

#[test]
fn a_move_that_is_refused_undoes_no_cancellation() {
    let mut world = paid();
    world.wish("professional", sold("price_2", 9900));
    let is_move = |next: &Next<Action>| matches!(next, Next::Do(Action::ChangePlan(_)));
    assert!(is_move(&next_but_taking_over(&mut world)));
    world.subscriptions[0].cancel_at_period_end = true;
    let next = next_but_taking_over(&mut world);
    assert!(is_move(&next), "{next:?}");
}

#[test]
fn a_cheaper_tier_that_met_an_overdue_invoice_comes_again_once_it_is_paid() {
    let mut world = going_down();
    assert_eq!(world.status.pending_tier.as_deref(), Some("starter"));
    world.set_state(State::PastDue);
    world.converge();
    assert_eq!(
        (world.schedule.clone(), &world.status.pending_tier),
        (None, &None)
    );
    world.set_state(State::Active);
    world.converge();
    assert_eq!(world.status.pending_tier.as_deref(), Some("starter"));
    assert_eq!(world.price(), Some("price_2"));
}

#[test]
fn a_new_price_is_not_scheduled_over_an_end_that_was_set_in_stripe() {
    let mut world = paid();
    world.subscriptions[0].cancel_at_period_end = true;
    world.converge();
    world.plan = Plan::Sold {
        price: "price_9".into(),
        terms: monthly(3900),
        trial_days: None,
        trial_without_card: false,
        existing: ExistingSubscribers::AtRenewal,
    };
    world.converge();
    assert_eq!(world.schedule, None);
    assert!(world.subscriptions[0].cancel_at_period_end);
}
