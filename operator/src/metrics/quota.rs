//! How many customers have used how much of their month's quota, as the counters said last.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use glyph_operator_core::quota::{SHARES, Use};

use super::business::Writer;

/// What was counted last. Clones share it.
#[derive(Clone, Default)]
pub struct QuotaUse(Arc<Mutex<Option<Use>>>);

impl QuotaUse {
    /// Puts in what was just counted; `None` when that is not known any more.
    pub fn set(&self, counted: Option<Use>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = counted;
    }

    /// Writes it in the form of a histogram's buckets.
    pub(super) fn write(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let counted = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let Some(Use { up_to, customers }) = counted else {
            return Ok(());
        };
        let bounds = SHARES.map(|share| share.to_string());
        let by_share = bounds.iter().map(String::as_str).zip(up_to);
        let all = by_share.chain([("+Inf", customers)]);
        let buckets = all.map(|(bound, count)| ([("le", bound)], count));
        let help = "Customers who have used up to this share of their month's quota";
        writer.gauges("quota_use_customers", help, buckets)
    }
}
