//! The story: what is done when, and what everyone says after it. Read it as an example of what to expect.
//!
//! On sale are `free` (10 requests a month), `starter` ($29 a month, 20 requests, 14 days of trial), `professional`
//! ($99 a month, 50 requests), `professional-yearly` ($990 a year, 50 requests a month), and 25 credits for $19. The
//! tiers that cost something take from credits past their quota, and give 7 days of grace, then `free`.

use super::deeds::Deed;

/// When the story begins, in UTC. From here on no February has a 29th.
pub(super) const BEGINS: &str = "2028-03-01T09:00";

/// A step, and what holds after it.
pub(super) struct Step {
    /// When, in UTC.
    pub(super) on: &'static str,
    /// What happens, for people.
    pub(super) what: &'static str,
    /// What is done.
    pub(super) deed: Deed,
    /// State and price of what Stripe bills for, all that was paid so far, and what is owed.
    pub(super) stripe: &'static str,
    /// What a request that costs nothing is told: the tier in force, what is left of its quota, credits.
    pub(super) in_force: &'static str,
    /// How many requests the customer makes then.
    pub(super) asks: usize,
    /// What they come to.
    pub(super) requests: &'static str,
    /// The statuses after that: each Subscription's with the reason of `Ready`, the customer's, the grant's.
    pub(super) kubernetes: &'static str,
    /// The counters after that: each month's by its beginning (a date of the calendar where nothing is billed), those
    /// of the past for a week, and the credits'.
    pub(super) redis: &'static str,
}

/// The steps.
pub(super) const STEPS: &[Step] = &[
    Step {
        on: "2028-03-01T09:00",
        what: "signs up",
        deed: Deed::SignUp,
        stripe: "nothing, paid $0.00",
        in_force: "free: 10 of 10 left",
        asks: 4,
        requests: "4 × 200",
        kubernetes: "customer on free",
        redis: "4 since Mar 1",
    },
    Step {
        on: "2028-03-01T09:00",
        what: "subscribes to starter: on trial, with a card",
        deed: Deed::Subscribe {
            name: "ada",
            tier: "starter",
            trial_days: None,
        },
        stripe: "trialing $29.00/month, paid $0.00",
        in_force: "starter: 20 of 20 left",
        asks: 6,
        requests: "6 × 200",
        kubernetes: "trialing starter 2028-03-01..2028-03-15 (Trialing); customer on starter",
        redis: "4 since Mar 1, 6 since 03-01",
    },
    Step {
        on: "2028-03-15T11:00",
        what: "the trial is over: charged",
        deed: Deed::Nothing,
        stripe: "active $29.00/month, paid $29.00",
        in_force: "starter: 20 of 20 left",
        asks: 5,
        requests: "5 × 200",
        kubernetes: "active starter 2028-03-15..2028-04-15 (Active); customer on starter",
        redis: "4 since Mar 1, 6 since 03-01, 5 since 03-15",
    },
    Step {
        on: "2028-03-26T09:00",
        what: "upgrades: at once, 20 of 31 days charged",
        deed: Deed::Choose("professional"),
        stripe: "active $99.00/month, paid $74.16",
        in_force: "professional: 45 of 50 left",
        asks: 3,
        requests: "3 × 200",
        kubernetes: "active professional 2028-03-15..2028-04-15 (Active); customer on professional",
        redis: "4 since Mar 1, 8 since 03-15",
    },
    Step {
        on: "2028-04-02T09:00",
        what: "uses the quota up",
        deed: Deed::Nothing,
        stripe: "active $99.00/month, paid $74.16",
        in_force: "professional: 42 of 50 left",
        asks: 44,
        requests: "42 × 200, 2 × 429 quota_exceeded",
        kubernetes: "active professional 2028-03-15..2028-04-15 (Active); customer on professional",
        redis: "4 since Mar 1, 50 since 03-15",
    },
    Step {
        on: "2028-04-02T10:00",
        what: "buys 25 credits, and goes on",
        deed: Deed::BuyCredits,
        stripe: "active $99.00/month, paid $93.16",
        in_force: "professional: 0 of 50 left, 25 credits",
        asks: 10,
        requests: "10 × 200",
        kubernetes: "active professional 2028-03-15..2028-04-15 (Active); customer on professional; \
            15 of 25 credits; grant Granted 10 used",
        redis: "4 since Mar 1, 50 since 03-15, 10 credits",
    },
    Step {
        on: "2028-04-15T11:00",
        what: "renews: a new quota, the same credits",
        deed: Deed::Nothing,
        stripe: "active $99.00/month, paid $192.16",
        in_force: "professional: 50 of 50 left, 15 credits",
        asks: 7,
        requests: "7 × 200",
        kubernetes: "active professional 2028-04-15..2028-05-15 (Active); customer on professional; \
            15 of 25 credits; grant Granted 10 used",
        redis: "50 since 03-15, 7 since 04-15, 10 credits",
    },
    Step {
        on: "2028-05-10T09:00",
        what: "replaces the card by one without cover",
        deed: Deed::ReplaceCardByABadOne,
        stripe: "active $99.00/month, paid $192.16",
        in_force: "professional: 43 of 50 left, 15 credits",
        asks: 0,
        requests: "",
        kubernetes: "active professional 2028-04-15..2028-05-15 (Active); customer on professional; \
            15 of 25 credits; grant Granted 10 used",
        redis: "7 since 04-15, 10 credits",
    },
    Step {
        on: "2028-05-15T11:00",
        what: "the renewal fails: in grace, full service",
        deed: Deed::Nothing,
        stripe: "past_due $99.00/month, paid $192.16, owes $99.00",
        in_force: "professional: 50 of 50 left, 15 credits",
        asks: 3,
        requests: "3 × 200",
        kubernetes: "past_due professional 2028-05-15..2028-06-15, grace until 2028-05-22 (InGrace); \
            customer on professional; 15 of 25 credits; grant Granted 10 used",
        redis: "7 since 04-15, 3 since 05-15, 10 credits",
    },
    Step {
        on: "2028-05-22T23:00",
        what: "the grace is over: degraded to free",
        deed: Deed::Nothing,
        stripe: "past_due $99.00/month, paid $192.16, owes $99.00",
        in_force: "free: 10 of 10 left",
        asks: 12,
        requests: "10 × 200, 2 × 429 quota_exceeded",
        kubernetes: "past_due professional 2028-05-15..2028-06-15, grace until 2028-05-22 (PaymentRequired); \
            customer on free; 15 of 25 credits; grant Granted 10 used",
        redis: "10 since May 1, 3 since 05-15, 10 credits",
    },
    Step {
        on: "2028-05-24T09:00",
        what: "replaces the card and pays: full service",
        deed: Deed::PayAgain,
        stripe: "active $99.00/month, paid $291.16",
        in_force: "professional: 47 of 50 left, 15 credits",
        asks: 2,
        requests: "2 × 200",
        kubernetes: "active professional 2028-05-15..2028-06-15 (Active); customer on professional; \
            15 of 25 credits; grant Granted 10 used",
        redis: "10 since May 1, 5 since 05-15, 10 credits",
    },
    Step {
        on: "2028-05-30T09:00",
        what: "downgrades: with the period's end",
        deed: Deed::Choose("starter"),
        stripe: "active $99.00/month, then $29.00/month, paid $291.16",
        in_force: "professional: 45 of 50 left, 15 credits",
        asks: 1,
        requests: "1 × 200",
        kubernetes: "active professional, then starter 2028-05-15..2028-06-15 (Active); \
            customer on professional; 15 of 25 credits; grant Granted 10 used",
        redis: "10 since May 1, 6 since 05-15, 10 credits",
    },
    Step {
        on: "2028-06-15T08:55",
        what: "minutes before that",
        deed: Deed::Nothing,
        stripe: "active $99.00/month, then $29.00/month, paid $291.16",
        in_force: "professional: 44 of 50 left, 15 credits",
        asks: 1,
        requests: "1 × 200",
        kubernetes: "active professional, then starter 2028-05-15..2028-06-15 (Active); \
            customer on professional; 15 of 25 credits; grant Granted 10 used",
        redis: "7 since 05-15, 10 credits",
    },
    Step {
        on: "2028-06-15T11:00",
        what: "the period ends: starter",
        deed: Deed::Nothing,
        stripe: "active $29.00/month, paid $320.16",
        in_force: "starter: 20 of 20 left, 15 credits",
        asks: 4,
        requests: "4 × 200",
        kubernetes: "active starter 2028-06-15..2028-07-15 (Active); customer on starter; \
            15 of 25 credits; grant Granted 10 used",
        redis: "7 since 05-15, 4 since 06-15, 10 credits",
    },
    Step {
        on: "2028-06-25T09:00",
        what: "goes yearly: at once, 20 of 30 days given back",
        deed: Deed::Choose("professional-yearly"),
        stripe: "active $990.00/year, paid $1290.83",
        in_force: "professional-yearly: 50 of 50 left, 15 credits",
        asks: 6,
        requests: "6 × 200",
        kubernetes: "active professional-yearly 2028-06-25..2029-06-25 (Active); \
            customer on professional-yearly; 15 of 25 credits; grant Granted 10 used",
        redis: "4 since 06-15, 6 since 06-25, 10 credits",
    },
    Step {
        on: "2028-07-25T11:00",
        what: "a month of the year: a new quota, no charge",
        deed: Deed::Nothing,
        stripe: "active $990.00/year, paid $1290.83",
        in_force: "professional-yearly: 50 of 50 left, 15 credits",
        asks: 5,
        requests: "5 × 200",
        kubernetes: "active professional-yearly 2028-06-25..2029-06-25 (Active); \
            customer on professional-yearly; 15 of 25 credits; grant Granted 10 used",
        redis: "6 since 06-25, 5 since 07-25, 10 credits",
    },
    Step {
        on: "2028-08-25T11:00",
        what: "another: the quota, then credits",
        deed: Deed::Nothing,
        stripe: "active $990.00/year, paid $1290.83",
        in_force: "professional-yearly: 50 of 50 left, 15 credits",
        asks: 55,
        requests: "55 × 200",
        kubernetes: "active professional-yearly 2028-06-25..2029-06-25 (Active); \
            customer on professional-yearly; 10 of 25 credits; grant Granted 15 used",
        redis: "5 since 07-25, 50 since 08-25, 15 credits",
    },
    Step {
        on: "2029-02-01T09:00",
        what: "cancels: with the year's end",
        deed: Deed::EndWithPeriod,
        stripe: "active $990.00/year, then nothing, paid $1290.83",
        in_force: "professional-yearly: 50 of 50 left, 10 credits",
        asks: 2,
        requests: "2 × 200",
        kubernetes: "active professional-yearly 2028-06-25..2029-06-25 (Active); \
            customer on professional-yearly; 10 of 25 credits; grant Granted 15 used",
        redis: "2 since 01-25, 15 credits",
    },
    Step {
        on: "2029-06-25T11:00",
        what: "the year ends: free",
        deed: Deed::Nothing,
        stripe: "nothing, paid $1290.83",
        in_force: "free: 10 of 10 left",
        asks: 2,
        requests: "2 × 200",
        kubernetes: "canceled professional-yearly 2028-06-25..2029-06-25 (Ended); customer on free; \
            10 of 25 credits; grant Granted 15 used",
        redis: "2 since Jun 1, 15 credits",
    },
    Step {
        on: "2029-07-05T09:00",
        what: "comes back: a new Subscription, no trial",
        deed: Deed::Subscribe {
            name: "ada-again",
            tier: "starter",
            trial_days: Some(0),
        },
        stripe: "active $29.00/month, paid $1319.83",
        in_force: "starter: 20 of 20 left, 10 credits",
        asks: 22,
        requests: "22 × 200",
        kubernetes: "canceled professional-yearly 2028-06-25..2029-06-25 (Ended); \
            active starter 2029-07-05..2029-08-05 (Active); customer on starter; \
            8 of 25 credits; grant Granted 17 used",
        redis: "2 since Jun 1, 20 since 07-05, 17 credits",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_story_goes_forward() {
        let moments = STEPS.iter().map(|step| step.on);
        assert!(std::iter::once(BEGINS).chain(moments).is_sorted());
    }
}
