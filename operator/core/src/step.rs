//! What a plan comes to: one next action, a wait, or nothing left to do.

use std::time::Duration;

/// What to do next about a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next<A> {
    /// Do this, look again, and plan again.
    Do(A),
    /// Nothing can be done now; the resource is not ready.
    Wait(Blocker),
    /// The external world is as the spec asks.
    Done,
}

impl<A> From<Blocker> for Next<A> {
    fn from(blocker: Blocker) -> Self {
        Self::Wait(blocker)
    }
}

/// Why a resource is not ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocker {
    /// One of [`crate::reason`].
    pub reason: &'static str,
    /// One sentence that says what to do, or what is waited for.
    pub message: String,
    /// Who can end it.
    pub way_out: WayOut,
}

/// What ends a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WayOut {
    /// It ends by itself once something else is there; the operator will notice.
    Wait,
    /// Stripe holds what the spec asks; a customer or the passing of time decides the rest.
    Customer,
    /// A person has to change this or another resource.
    Person,
    /// The external object was changed behind our back, and a person has to decide.
    PersonAfterDrift,
}

impl Blocker {
    /// Something else has to come first.
    pub fn wait(reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(reason, message, WayOut::Wait)
    }

    /// The customer has to act.
    pub fn customer(reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(reason, message, WayOut::Customer)
    }

    /// A person has to change a resource.
    pub fn person(reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(reason, message, WayOut::Person)
    }

    /// The external object was changed behind our back.
    pub fn drift(reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(reason, message, WayOut::PersonAfterDrift)
    }

    fn new(reason: &'static str, message: impl Into<String>, way_out: WayOut) -> Self {
        let message = message.into();
        Self {
            reason,
            message,
            way_out,
        }
    }
}

/// The new status of a resource, and when to look at it again though nothing was heard.
#[derive(Clone, Debug, PartialEq)]
pub struct Settled<S> {
    /// What to write, if it differs.
    pub status: S,
    /// Look again after this long; absent: at the next full pass.
    pub look_again: Option<Duration>,
}

impl<S> Settled<S> {
    /// Nothing changes by the passing of time.
    pub fn until_told(status: S) -> Self {
        let look_again = None;
        Self { status, look_again }
    }
}
