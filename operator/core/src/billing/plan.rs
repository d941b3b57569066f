//! What a subscription is billed for, and how, beside the one item that Glyph sells.

use jiff::Timestamp;

use super::{CheckoutParams, StripeSubscription, Terms};

impl CheckoutParams {
    /// Metadata key of [`offer`](Self::offer).
    pub const OFFER: &'static str = "glyph_offer";

    /// What the session sells, as its metadata say it: a link that says anything else is not for what is asked now.
    #[must_use]
    pub fn offer(&self) -> String {
        let days = self.trial_days.unwrap_or_default();
        let card = if self.trial_without_card {
            "optional"
        } else {
            "required"
        };
        format!("{} trial={days} card={card}", self.price)
    }
}

/// A further item of a subscription. Its period may be another than the first one's (CASE 28).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// `si_…`
    pub id: String,
    /// Its price.
    pub price: String,
    /// What that price comes to; absent for one that is not ours to compare.
    pub terms: Option<Terms>,
    /// How many of it.
    pub quantity: u64,
    /// Its period: start and end.
    pub period: Option<(Timestamp, Timestamp)>,
}

/// A collection of payments that was paused (<https://docs.stripe.com/billing/subscriptions/pause-payment>). The state
/// stays what it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// What becomes of the invoices meanwhile, in Stripe's word.
    pub behavior: String,
    /// When it ends by itself.
    pub resumes_at: Option<Timestamp>,
}

impl StripeSubscription {
    /// Whether it bills for one of one thing, as Glyph sells it.
    #[must_use]
    pub fn is_single(&self) -> bool {
        self.others.is_empty() && self.quantity == 1
    }

    /// Puts an item first whose price `counts`, unless the first one's does.
    pub fn put_first(&mut self, counts: impl Fn(&str) -> bool) {
        if self.price.as_deref().is_some_and(&counts) {
            return;
        }
        let Some(other) = self.others.iter_mut().find(|item| counts(&item.price)) else {
            return;
        };
        if let (Some(id), Some(price)) = (&mut self.item, &mut self.price) {
            std::mem::swap(id, &mut other.id);
            std::mem::swap(price, &mut other.price);
            std::mem::swap(&mut self.terms, &mut other.terms);
            std::mem::swap(&mut self.quantity, &mut other.quantity);
            std::mem::swap(&mut self.period, &mut other.period);
        }
    }
}
