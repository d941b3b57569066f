//! What is asked of Stripe to sell credits once.

use std::future::Future;

use glyph_operator_core::billing::{PackCheckout, PackCheckoutParams, Payment};

use super::CallResult;

/// One-time payments.
pub trait Purchasing: Send + Sync + 'static {
    /// Makes a checkout session for a credit pack.
    fn create_pack_checkout(
        &self,
        key: &str,
        params: &PackCheckoutParams,
    ) -> impl Future<Output = CallResult<PackCheckout>> + Send;
    /// Reads a checkout session.
    fn pack_checkout(
        &self,
        id: &str,
    ) -> impl Future<Output = CallResult<Option<PackCheckout>>> + Send;
    /// Checkout sessions of a customer, newest first.
    fn pack_checkouts_of(
        &self,
        customer: &str,
    ) -> impl Future<Output = CallResult<Vec<PackCheckout>>> + Send;
    /// Reads a payment, with what became of it since: refunds and disputes.
    fn payment(&self, id: &str) -> impl Future<Output = CallResult<Option<Payment>>> + Send;
}
