//! `/billing`: what a customer has, and pays for.

pub(super) mod checkout;
pub(super) mod pages;
pub(super) mod resources;
pub(super) mod status;
