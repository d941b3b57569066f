//! What a change of a status tells of the business: counted once, when the change is written. Pure.

use glyph_crds::entitlement::is_final;
use glyph_crds::{
    CreditPurchaseStatus, PurchaseState, SubscriptionState as State, SubscriptionStatus,
};

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Happening {
    /// A link to pay at was made.
    CheckoutStarted(Sold),
    /// It was paid, or its order was placed without payment (a trial).
    CheckoutPaid(Sold),
    /// A subscription began with a trial.
    TrialStarted,
    /// A subscription began, and was paid.
    Started,
    /// A trial was over, and was paid for.
    Converted,
    /// A subscription moved to what costs as much a year, or more.
    Upgraded,
    /// It moved to what costs less.
    Downgraded,
    /// It ended.
    Ended,
}

/// What is sold by a checkout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sold {
    /// A subscription.
    Subscription,
    /// Credits.
    Credits,
}

impl Happening {
    /// Those of a subscription.
    pub const OF_SUBSCRIPTIONS: [Self; 6] = [
        Self::TrialStarted,
        Self::Started,
        Self::Converted,
        Self::Upgraded,
        Self::Downgraded,
        Self::Ended,
    ];
    /// Those of a checkout.
    pub const OF_CHECKOUTS: [Self; 4] = [
        Self::CheckoutStarted(Sold::Subscription),
        Self::CheckoutPaid(Sold::Subscription),
        Self::CheckoutStarted(Sold::Credits),
        Self::CheckoutPaid(Sold::Credits),
    ];
}

/// What became of a subscription between two of its statuses.
#[must_use]
pub fn of_subscription(before: &SubscriptionStatus, after: &SubscriptionStatus) -> Vec<Happening> {
    let mut all = Vec::new();
    let is_new = before.stripe_subscription_id != after.stripe_subscription_id;
    if is_new_session(&before.checkout_session_id, &after.checkout_session_id) {
        all.push(Happening::CheckoutStarted(Sold::Subscription));
    }
    let by_link = before.checkout_session_id.is_some() && after.checkout_session_id.is_none();
    let served = [State::Trialing, State::Active, State::PastDue];
    let was = before.state.filter(|_| !is_new);
    let is = after.state.filter(|state| served.contains(state));
    if by_link && is.is_some() {
        all.push(Happening::CheckoutPaid(Sold::Subscription));
    }
    match (was, after.state) {
        (None | Some(State::Incomplete), Some(State::Trialing)) => {
            all.push(Happening::TrialStarted)
        }
        (None | Some(State::Incomplete), Some(State::Active)) => all.push(Happening::Started),
        (Some(State::Trialing), Some(State::Active)) => all.push(Happening::Converted),
        (Some(was), Some(State::Canceled)) if !is_final(Some(was)) => all.push(Happening::Ended),
        _ => {}
    }
    if was.is_some_and(|was| served.contains(&was)) && is.is_some() {
        all.extend(move_between(before, after));
    }
    all
}

/// A move from one tier to another.
fn move_between(before: &SubscriptionStatus, after: &SubscriptionStatus) -> Option<Happening> {
    let (from, to) = (before.tier.as_ref()?, after.tier.as_ref()?);
    let (paid, pays) = (before.price.as_ref()?, after.price.as_ref()?);
    (from != to).then_some(if pays.a_year() >= paid.a_year() {
        Happening::Upgraded
    } else {
        Happening::Downgraded
    })
}

/// What became of a purchase of credits between two of its statuses.
#[must_use]
pub fn of_purchase(before: &CreditPurchaseStatus, after: &CreditPurchaseStatus) -> Vec<Happening> {
    let mut all = Vec::new();
    if is_new_session(&before.checkout_session_id, &after.checkout_session_id) {
        all.push(Happening::CheckoutStarted(Sold::Credits));
    }
    let paid = Some(PurchaseState::Paid);
    if before.state != paid && after.state == paid {
        all.push(Happening::CheckoutPaid(Sold::Credits));
    }
    all
}

fn is_new_session(before: &Option<String>, after: &Option<String>) -> bool {
    after.is_some() && before != after
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn status(fields: Value) -> SubscriptionStatus {
        serde_json::from_value(fields).unwrap()
    }

    fn price(amount: i64, interval: &str) -> Value {
        json!({"currency": "usd", "amount": amount, "interval": interval})
    }

    #[test]
    fn a_first_purchase_is_a_checkout_started_and_paid_and_a_start() {
        let open = json!({"checkoutSessionId": "cs_1"});
        let active = json!({"stripeSubscriptionId": "sub_1", "state": "active", "tier": "starter"});
        let (open, active) = (status(open), status(active));
        let started = [Happening::CheckoutStarted(Sold::Subscription)];
        assert_eq!(of_subscription(&status(json!({})), &open), started);
        let paid = [
            Happening::CheckoutPaid(Sold::Subscription),
            Happening::Started,
        ];
        assert_eq!(of_subscription(&open, &active), paid);
        assert_eq!(of_subscription(&active, &active), []);
    }

    #[test]
    fn a_link_that_expires_is_not_paid_and_its_successor_is_another_start() {
        let open = status(json!({"checkoutSessionId": "cs_1"}));
        let other = status(json!({"checkoutSessionId": "cs_2"}));
        assert_eq!(of_subscription(&open, &status(json!({}))), []);
        let started = [Happening::CheckoutStarted(Sold::Subscription)];
        assert_eq!(of_subscription(&open, &other), started);
    }

    #[test]
    fn each_step_of_a_life_is_counted_for_what_it_is() {
        let of = |state: &str, tier: &str, price: Value| {
            status(
                json!({"stripeSubscriptionId": "sub_1", "state": state, "tier": tier, "price": price}),
            )
        };
        let trial = of("trialing", "starter", price(2900, "Month"));
        let active = of("active", "starter", price(2900, "Month"));
        let professional = of("active", "professional", price(9900, "Month"));
        let yearly = of("active", "yearly", price(99_000, "Year"));
        let ended = of("canceled", "starter", price(2900, "Month"));
        for (before, after, expected) in [
            (&trial, &active, vec![Happening::Converted]),
            (&active, &professional, vec![Happening::Upgraded]),
            (
                &trial,
                &professional,
                vec![Happening::Converted, Happening::Upgraded],
            ),
            (&professional, &active, vec![Happening::Downgraded]),
            (&professional, &yearly, vec![Happening::Downgraded]),
            (&active, &ended, vec![Happening::Ended]),
            (&trial, &ended, vec![Happening::Ended]),
            (&ended, &ended, vec![]),
        ] {
            assert_eq!(of_subscription(before, after), expected);
        }
        assert_eq!(
            of_subscription(&status(json!({})), &trial),
            [Happening::TrialStarted]
        );
    }

    #[test]
    fn a_price_of_the_same_tier_is_no_move_and_another_subscription_is_a_start() {
        let of = |id: &str, amount: i64| {
            status(
                json!({"stripeSubscriptionId": id, "state": "active", "tier": "starter", "price": price(amount, "Month")}),
            )
        };
        assert_eq!(of_subscription(&of("sub_1", 2900), &of("sub_1", 3900)), []);
        assert_eq!(
            of_subscription(&of("sub_1", 2900), &of("sub_2", 2900)),
            [Happening::Started]
        );
    }

    #[test]
    fn credits_are_paid_when_the_money_is_there() {
        let of = |state: &str| -> CreditPurchaseStatus {
            serde_json::from_value(json!({"checkoutSessionId": "cs_1", "state": state})).unwrap()
        };
        let none = CreditPurchaseStatus::default();
        assert_eq!(
            of_purchase(&none, &of("Open")),
            [Happening::CheckoutStarted(Sold::Credits)]
        );
        assert_eq!(of_purchase(&of("Open"), &of("Processing")), []);
        let paid = [Happening::CheckoutPaid(Sold::Credits)];
        assert_eq!(of_purchase(&of("Processing"), &of("Paid")), paid);
        assert_eq!(of_purchase(&of("Paid"), &of("Paid")), []);
    }
}
