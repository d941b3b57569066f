//! Sequences that once broke something, run before any that is drawn. A failure prints its operations as they can be
//! pasted here.

use super::operation::Operation;

/// What was wrong, and the operations.
pub(super) const FOUND: &[(&str, &[Operation])] = &[];
