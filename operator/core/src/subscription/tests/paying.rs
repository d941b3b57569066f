//! Before the first payment: what a link sells, and whether one may be had at all.

use super::*;

#[test]
fn a_link_that_a_crash_left_behind_for_another_tier_is_ended_and_not_offered() {
    for recorded in [false, true] {
        let mut world = World::default();
        world.converge();
        // An intent replayed after an edit, or a session made and never recorded: it sells what was asked for then.
        if !recorded {
            world.status = SubscriptionStatus::default();
        }
        world.wish("professional", sold("price_2", 9900));
        world.status.observed_generation = Some(world.generation);
        world.converge();
        assert_eq!(world.sessions[0].state, CheckoutState::Expired);
        assert_eq!((world.open(), world.sessions.len()), (1, 2));
        let offer = world.sessions[1].offer.as_deref();
        assert_eq!(offer, Some("price_2 trial=0 card=required"));
        assert_eq!(
            world.status.checkout_session_id.as_deref(),
            Some(world.sessions[1].id.as_str())
        );
    }
}

#[test]
fn a_price_or_trial_that_changes_while_a_link_is_open_ends_it_and_nothing_else_does() {
    let trial = |days| Plan::Sold {
        price: "price_1".into(),
        terms: monthly(2900),
        trial_days: days,
        trial_without_card: true,
        existing: ExistingSubscribers::Keep,
    };
    for (plan, links) in [
        (sold("price_1", 2900), 1),
        (trial(None), 1),
        (sold("price_9", 3900), 2),
        (trial(Some(14)), 2),
    ] {
        let mut world = World::default();
        world.converge();
        world.plan = plan.clone();
        world.converge();
        assert_eq!((world.open(), world.sessions.len()), (1, links), "{plan:?}");
    }
    let mut agreed = World::default();
    agreed.converge();
    agreed.spec.cancel_at_period_end = true;
    agreed.generation += 1;
    agreed.converge();
    assert_eq!(agreed.sessions.len(), 1, "it sells the same");
}

#[test]
fn a_customer_who_pays_for_another_subscription_is_not_charged_for_a_second() {
    for payment in [
        PaymentMethod::Checkout,
        PaymentMethod::Invoice,
        PaymentMethod::DefaultPaymentMethod,
    ] {
        let mut other = World::default();
        other.subscribe(State::PastDue, Some("price_1".into()));
        let mut theirs = other.subscriptions.remove(0);
        theirs.owner = Some(Owner {
            name: "unreadable".into(),
            uid: "uid-2".into(),
            ..owner()
        });
        let mut world = World {
            double: Some(theirs),
            ..World::default()
        };
        world.spec.payment = payment;
        world.converge();
        assert_eq!((world.sessions.len(), world.subscriptions.len()), (0, 0));
        assert_eq!(world.ready(), ("False", reason::CONFLICT));
        let message = &world.status.conditions[0].message;
        assert!(message.contains("sub_0 of Subscription shop/unreadable"));
    }
}

#[test]
fn one_that_is_billed_while_another_speaks_for_the_customer_says_so() {
    let mut world = paid();
    world.rival = Some("first".into());
    world.converge();
    assert_eq!(world.ready(), ("False", reason::CONFLICT));
    assert_eq!(world.status.state, Some(State::Active));
    world.set_state(State::Canceled);
    world.converge();
    assert_eq!(world.ready().1, reason::ENDED);
}

#[test]
fn a_trial_without_a_card_is_asked_for_whatever_way_is_paid() {
    for (payment, days, expected) in [
        (PaymentMethod::Checkout, Some(14), true),
        (PaymentMethod::Invoice, Some(14), true),
        (PaymentMethod::DefaultPaymentMethod, Some(14), true),
        (PaymentMethod::DefaultPaymentMethod, None, false),
    ] {
        let mut world = World {
            finalized: true,
            plan: Plan::Sold {
                price: "price_1".into(),
                terms: monthly(2900),
                trial_days: days,
                trial_without_card: true,
                existing: ExistingSubscribers::Keep,
            },
            ..World::default()
        };
        world.spec.payment = payment;
        let asked = match plan(&world.observe()) {
            Next::Do(Action::MakeCheckout(params)) => params.trial_without_card,
            Next::Do(Action::MakeSubscription(params)) => params.trial_without_card,
            next => panic!("{next:?}"),
        };
        assert_eq!(asked, expected, "{payment:?}");
    }
}
