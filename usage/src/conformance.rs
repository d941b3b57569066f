//! What every implementation of [`Counters`] must do, as tests generic over it. [`conformance_tests!`] runs them all.
//!
//! [`conformance_tests!`]: crate::conformance_tests

mod credits;
mod give_back;
mod quota;
mod rate;
mod usage;

use std::sync::Arc;
use std::time::Duration;

pub use self::credits::*;
pub use self::give_back::*;
pub use self::quota::*;
pub use self::rate::*;
pub use self::usage::*;
use crate::{Counters, Outcome, Period, Spend};

/// An implementation under test, with nothing counted yet, and its time.
pub trait Subject {
    /// The implementation.
    type Counters: Counters;

    /// The counters. All calls give the same ones.
    fn counters(&self) -> Arc<Self::Counters>;

    /// The second that the counters' clock shows, since 1970.
    fn now(&self) -> impl Future<Output = i64>;

    /// Lets this much of the counters' time pass.
    fn pass(&self, time: Duration) -> impl Future<Output = ()>;
}

/// Makes one `#[tokio::test]` of each rule. The argument is an async block that gives a new [`Subject`].
#[macro_export]
macro_rules! conformance_tests {
    ($subject:expr) => {
        $crate::conformance_tests! { $subject;
            exactly_the_limit_is_admitted_and_then_nothing
            a_cost_that_does_not_fit_is_refused_and_consumes_nothing
            a_refusal_by_the_rate_limit_consumes_no_quota
            a_refusal_by_the_quota_consumes_no_rate
            a_burst_is_admitted_and_the_next_request_told_when_to_come_back
            the_burst_is_whole_again_after_the_time_told
            a_request_of_cost_zero_consumes_no_quota_but_is_rate_limited
            keys_share_their_customers_quota_and_have_a_rate_each
            customers_share_nothing
            neighbouring_periods_are_counted_apart
            a_limit_changed_while_live_keeps_what_was_used
            a_rate_limit_lowered_while_live_locks_nobody_out_longer_than_its_window
            unlimited_use_is_counted
            a_floor_raises_the_counter_and_never_lowers_it
            counts_up_to_two_to_the_53_are_exact
            what_cannot_be_counted_is_refused
            many_parallel_spenders_get_exactly_the_limit
            what_the_quota_does_not_hold_is_taken_from_credits_wholly_or_not_at_all
            grants_are_spent_in_the_order_given_and_counted_by_their_ids
            an_expired_grant_is_passed_over_and_comes_back_for_nobody
            a_grant_that_expires_between_two_requests_is_not_spent_by_the_second
            credits_taken_back_below_what_is_used_leave_nothing_and_owe_nothing
            a_floor_raises_the_use_of_a_grant_and_never_lowers_it
            a_new_period_gives_the_quota_again_and_no_credits
            without_a_limit_no_credits_are_taken
            a_request_of_cost_zero_takes_no_credits_and_a_too_dear_one_none_either
            a_refusal_by_the_rate_limit_takes_no_credits
            credits_up_to_two_to_the_53_are_exact
            grants_that_cannot_be_counted_are_refused
            many_parallel_spenders_get_exactly_quota_and_credits
            credits_used_are_read_for_many_customers_at_once
            a_charge_given_back_can_be_spent_again_once
            what_is_given_back_goes_to_the_quota_and_the_grants_it_came_from
            a_floor_never_undoes_what_was_given_back
            what_is_given_back_gives_no_rate_back
            a_charge_is_given_back_for_an_hour_and_not_before_it_was_made
            what_was_never_charged_gives_nobody_more_than_the_limit
            charges_that_cannot_be_given_back_exactly_are_refused
            many_parallel_givers_give_each_charge_back_once
            usage_is_added_up_by_hour_and_by_day
            a_batch_that_comes_again_counts_once
            usage_is_looked_up_in_order_and_within_its_bounds
            batches_that_could_not_be_looked_up_are_refused
        }
    };
    ($subject:expr; $($rule:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $rule() {
            $crate::conformance::$rule(&$subject.await).await;
        }
    )*};
}

/// A month that has not ended, far from the present one.
const MONTH: Period = Period {
    start: 4_000_000_000,
    end: 4_002_678_400,
};

/// A request of cost 1 by the key `key` of the customer `alice`, without limits.
const PLAIN: Spend<'static> = Spend {
    customer: "alice",
    key_id: "key",
    cost: 1,
    period: MONTH,
    limit: None,
    floor: 0,
    rate: None,
    grants: &[],
};

async fn spend(subject: &impl Subject, spend: Spend<'_>) -> Outcome {
    subject.counters().spend(&spend).await.expect("an outcome")
}

async fn used(subject: &impl Subject, customer: &str, period: Period) -> u64 {
    subject
        .counters()
        .used(customer, period)
        .await
        .expect("a count")
}
