//! What went through the proxies, in order of arrival, and the trap for one call.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use http::Method;

use super::Callee;

/// What a call does, as far as can be told from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallKind {
    /// Asks and changes nothing.
    Read,
    /// Creates, changes or deletes.
    Write,
    /// A Kubernetes watch.
    Watch,
    /// Leader election.
    Lease,
}

/// One outgoing call.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its place in the order of arrival over all proxies, from 1.
    pub number: usize,
    /// Who was called.
    pub callee: Callee,
    /// What it does.
    pub kind: CallKind,
    /// The method.
    pub method: Method,
    /// The path with query; for Cognito the action instead.
    pub what: String,
    /// When it arrived.
    pub at: Instant,
}

/// When a trap springs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The call has arrived and is never forwarded.
    BeforeForwarding,
    /// The call took effect, and its answer is never passed back.
    BeforeAnswer,
}

/// Springs once, at the `at`-th call (from 1) of those that `counted` says yes to, after it is set.
pub struct Trap {
    /// Which of the counted calls.
    pub at: usize,
    /// Which moment of that call.
    pub moment: Moment,
    /// Which calls count.
    pub counted: fn(&Call) -> bool,
    /// What to do then; the call's connection is broken after it.
    pub action: Box<dyn FnOnce() + Send>,
}

#[derive(Default)]
struct State {
    calls: Vec<Call>,
    trap: Option<Trap>,
    /// How many more counted calls pass until the trap springs.
    left: usize,
    sprung: Option<Call>,
}

/// The count that several proxies share.
#[derive(Clone, Default)]
pub struct Calls(Arc<Mutex<State>>);

impl Calls {
    /// A count from nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// All calls so far.
    #[must_use]
    pub fn list(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    /// Sets a trap, in place of the one before.
    pub fn set(&self, trap: Trap) {
        let mut state = self.state();
        state.left = trap.at;
        state.sprung = None;
        state.trap = Some(trap);
    }

    /// The call at which the trap sprang, once it did.
    #[must_use]
    pub fn sprung(&self) -> Option<Call> {
        self.state().sprung.clone()
    }

    /// Counts a call; gives the trap if this is the call it was set for.
    pub(super) fn arrive(
        &self,
        callee: Callee,
        kind: CallKind,
        method: Method,
        what: String,
    ) -> (Call, Option<Trap>) {
        let mut state = self.state();
        let call = Call {
            number: state.calls.len() + 1,
            callee,
            kind,
            method,
            what,
            at: Instant::now(),
        };
        state.calls.push(call.clone());
        if state
            .trap
            .as_ref()
            .is_some_and(|trap| (trap.counted)(&call))
        {
            state.left = state.left.saturating_sub(1);
            if state.left == 0 {
                return (call, state.trap.take());
            }
        }
        (call, None)
    }

    pub(super) fn has_sprung(&self, call: Call) {
        self.state().sprung = Some(call);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
