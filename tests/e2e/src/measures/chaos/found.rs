//! Sequences that once broke something, run before any that is drawn. A failure prints its operations as they can be
//! pasted here.

use super::operation::Card::{Fails, Pays};
use super::operation::Edit::{EndsWithPeriod, Plan};
use super::operation::Failing::{ErrorAfter, Html};
use super::operation::Level::{Professional, Starter, Team};
use super::operation::Means::Bank;
use super::operation::Operation::{
    self, AwaitCall, Buy, Choose, Down, InStripe, Kill, Outage, Pass, Pay, PayPack, ReplaceCard,
    Settle, Subscribe, Unsubscribe,
};
use super::operation::Span::Day;

/// What was wrong, and the operations.
pub(super) const FOUND: &[(&str, &[Operation])] = &[
    (
        "what was paid was not served while a move to another tier was refused",
        &[
            Subscribe(Team),
            Settle,
            Pay(Pays),
            InStripe(Plan(Starter)),
            ReplaceCard(Fails),
            Outage(Html, 2),
            Choose(Professional),
            Settle,
        ],
    ),
    (
        "a Subscription stayed in conflict with a former one that was gone",
        &[
            Subscribe(Team),
            Pay(Pays),
            Settle,
            Unsubscribe,
            Subscribe(Starter),
            Settle,
        ],
    ),
    (
        "a link that was under way when the operator was killed stayed for the former tier",
        &[
            Subscribe(Starter),
            Settle,
            Choose(Team),
            Choose(Professional),
            Down,
            Settle,
            Choose(Team),
            AwaitCall,
            Choose(Starter),
            Kill,
            Settle,
        ],
    ),
    (
        "who cancelled in the portal right after paying was resumed",
        &[
            Subscribe(Team),
            Settle,
            Down,
            Pay(Pays),
            InStripe(EndsWithPeriod(true)),
            Settle,
        ],
    ),
    (
        "a pack that was ordered could be paid once more",
        &[
            Buy,
            Settle,
            Outage(ErrorAfter, 3),
            Pass(Day),
            PayPack(Bank),
            Settle,
        ],
    ),
];
