//! Stripe's own pages: the customer portal, and invoices. No resource can say these, so Stripe is asked.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use glyph_crds::GlyphCustomer;
use glyph_operator_core::account::names::digest;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::account::Account;
use crate::account::caller::Caller;
use crate::account::idempotency::IdempotencyKey;
use crate::account::input::{Nothing, OptionalInput, Parameters};
use crate::account::ports;
use crate::account::problem::{Answer, Problem, ProblemCode};
use crate::account::waiting::until;

/// Invoices on a page.
const PAGE: u8 = 20;
const LARGEST_PAGE: u8 = 100;
/// Longest id of an invoice.
const LONGEST_ID: usize = 255;

/// A link into Stripe's customer portal.
#[derive(Serialize, ToSchema)]
pub(in crate::account) struct Portal {
    /// The link; it ends within minutes.
    url: String,
}

/// An invoice.
#[derive(Serialize, ToSchema)]
pub(in crate::account) struct Invoice {
    /// Its id.
    #[schema(example = "in_1MtHbELkdIwHu7ixl4OzzPMv")]
    id: String,
    /// The number on it, once it is final.
    number: Option<String>,
    /// Stripe's word: `draft`, `open`, `paid`, `uncollectible`, `void`.
    status: Option<String>,
    /// ISO 4217 code in lower case.
    currency: String,
    /// The whole, in the currency's minor unit.
    total: i64,
    /// What was paid of it.
    amount_paid: i64,
    /// What is still to be paid.
    amount_due: i64,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// Stripe's page of it, where it can be paid too.
    hosted_url: Option<String>,
    /// It as a PDF.
    pdf_url: Option<String>,
}

/// Some of your invoices.
#[derive(Serialize, ToSchema)]
pub(in crate::account) struct InvoiceList {
    /// They, newest first.
    data: Vec<Invoice>,
    /// Whether there are more.
    has_more: bool,
    /// Ask for the next ones with `cursor`.
    next_cursor: Option<String>,
}

/// Which invoices.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::account) struct WhichInvoices {
    /// How many, from 1 to 100; 20 unless said.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u8>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

impl From<ports::Invoice> for Invoice {
    fn from(invoice: ports::Invoice) -> Self {
        Self {
            id: invoice.id,
            number: invoice.number,
            status: invoice.status,
            currency: invoice.currency,
            total: invoice.total,
            amount_paid: invoice.amount_paid,
            amount_due: invoice.amount_due,
            created_at: invoice.created,
            hosted_url: invoice.hosted_url,
            pdf_url: invoice.pdf_url,
        }
    }
}

fn stripe_id(customer: &GlyphCustomer) -> Option<String> {
    customer.status.as_ref()?.stripe_customer_id.clone()
}

/// Open Stripe's customer portal.
///
/// There a customer changes the card, sees invoices and ends the subscription. The page leads back to where this
/// installation says.
#[utoipa::path(post, path = "/billing/portal", tag = "Billing", security(("access_token" = [])),
    params(("idempotency-key" = Option<String>, Header, description = "The same key gives the same link")),
    responses((status = 200, body = Portal, description = "A link")))]
pub(in crate::account) async fn portal(
    State(account): State<Arc<Account>>,
    caller: Caller,
    key: IdempotencyKey,
    OptionalInput(Nothing {}): OptionalInput<Nothing>,
) -> Answer<Json<Portal>> {
    let wait = account.settings.wait();
    let id = match stripe_id(&caller.customer) {
        Some(id) => Some(id),
        None => {
            until(
                account.api::<GlyphCustomer>(),
                &caller.name(),
                wait,
                stripe_id,
            )
            .await
        }
    };
    let Some(id) = id else {
        let detail = "The account is still being set up at Stripe; try again in a moment.";
        return Err(Problem::new(ProblemCode::Conflict, detail).retry_after(5));
    };
    // What another customer sends as a key is another key.
    let key = key.0.map(|key| digest(&[&caller.uid(), "portal", &key]));
    let url = account
        .pages
        .portal(key.as_deref(), &id, &account.portal_return_url)
        .await?;
    Ok(Json(Portal { url }))
}

/// List your invoices, newest first.
#[utoipa::path(get, path = "/billing/invoices", tag = "Billing", params(WhichInvoices),
    security(("access_token" = [])), responses((status = 200, body = InvoiceList, description = "Invoices")))]
pub(in crate::account) async fn invoices(
    State(account): State<Arc<Account>>,
    caller: Caller,
    Parameters(which): Parameters<WhichInvoices>,
) -> Answer<Json<InvoiceList>> {
    let limit = which.limit.unwrap_or(PAGE);
    if !(1..=LARGEST_PAGE).contains(&limit) {
        return Err(Problem::value("limit", "A page has 1 to 100 invoices."));
    }
    let unknown = || Problem::value("cursor", "Send the next_cursor of the page before.");
    let is_id = |text: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        text.len() <= LONGEST_ID && text.starts_with("in_") && text.bytes().all(plain)
    };
    if which.cursor.as_deref().is_some_and(|cursor| !is_id(cursor)) {
        return Err(unknown());
    }
    let Some(customer) = stripe_id(&caller.customer) else {
        let (data, has_more, next_cursor) = Default::default();
        return Ok(Json(InvoiceList {
            data,
            has_more,
            next_cursor,
        }));
    };
    let found = account
        .pages
        .invoices(&customer, limit, which.cursor.as_deref())
        .await?;
    let ports::Invoices { invoices, has_more } = found.ok_or_else(unknown)?;
    let last = invoices.last().map(|invoice| invoice.id.clone());
    Ok(Json(InvoiceList {
        data: invoices.into_iter().map(Into::into).collect(),
        has_more,
        next_cursor: last.filter(|_| has_more),
    }))
}
