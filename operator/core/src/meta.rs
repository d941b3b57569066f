//! What is observed of every resource alike.

use jiff::Timestamp;

use crate::billing::Owner;

/// A resource's identity and stage of life, at a moment.
#[derive(Clone, Debug)]
pub struct Meta {
    /// The present moment, to the second.
    pub now: Timestamp,
    /// Kind, namespace, name and UID: what external objects are marked with.
    pub owner: Owner,
    /// `metadata.generation`.
    pub generation: Option<i64>,
    /// `metadata.deletionTimestamp` is set.
    pub deleting: bool,
    /// `metadata.deletionTimestamp`: nothing is begun for it after that.
    pub deleted_at: Option<Timestamp>,
    /// Our finalizer is on it.
    pub finalized: bool,
}

impl Meta {
    /// Whether an external object of `owner` is this resource's own.
    #[must_use]
    pub fn owns(&self, owner: Option<&Owner>) -> bool {
        owner.is_some_and(|owner| owner.uid == self.owner.uid)
    }
}
