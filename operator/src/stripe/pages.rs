//! Stripe's own pages, as the account API asks for them: the customer portal, and invoices.

use std::collections::BTreeMap;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use jiff::Timestamp;
use jiff::fmt::serde::timestamp::second;
use serde::Deserialize;
use stripe_client_core::{RequestBuilder, StripeMethod};

use super::StripeBilling;
use super::objects::{Page, Wire};
use crate::account::ports::{self, Invoices, Pages};
use crate::ports::CallResult;

impl Pages for StripeBilling {
    fn portal<'a>(
        &'a self,
        key: Option<&'a str>,
        customer: &'a str,
        return_url: &'a str,
    ) -> BoxFuture<'a, CallResult<String>> {
        let fields = BTreeMap::from([("customer", customer), ("return_url", return_url)]);
        let request =
            RequestBuilder::new(StripeMethod::Post, "/billing_portal/sessions").form(&fields);
        let route = "/v1/billing_portal/sessions";
        let made = self.write::<Portal>("open the customer portal", route, request, key);
        made.map(|made| made.map(|session| session.url)).boxed()
    }

    fn invoices<'a>(
        &'a self,
        customer: &'a str,
        limit: u8,
        after: Option<&'a str>,
    ) -> BoxFuture<'a, CallResult<Option<Invoices>>> {
        async move {
            let limit = limit.to_string();
            let mut query = BTreeMap::from([("customer", customer), ("limit", &limit)]);
            query.extend(after.map(|after| ("starting_after", after)));
            let request = RequestBuilder::new(StripeMethod::Get, "/invoices").query(&query);
            let page = self
                .0
                .call::<Page<Invoice>>("/v1/invoices", request, None)
                .await;
            match page {
                Ok(page) => Ok(Some(Invoices {
                    has_more: page.cursor().is_some(),
                    invoices: page.data.into_iter().map(Into::into).collect(),
                })),
                Err(failure) if failure.missing => Ok(None),
                Err(failure) => Err(failure.during("list the customer's invoices")),
            }
        }
        .boxed()
    }
}

/// <https://docs.stripe.com/api/customer_portal/sessions/object>
#[derive(Deserialize)]
struct Portal {
    id: String,
    url: String,
}

/// A link that was made.
struct Link {
    url: String,
}

impl From<Portal> for Link {
    fn from(session: Portal) -> Self {
        Self { url: session.url }
    }
}

impl Wire for Portal {
    type Object = Link;

    fn id(&self) -> &str {
        &self.id
    }
}

/// <https://docs.stripe.com/api/invoices/object>
#[derive(Deserialize)]
struct Invoice {
    id: String,
    number: Option<String>,
    status: Option<String>,
    currency: String,
    total: i64,
    amount_paid: i64,
    amount_remaining: i64,
    #[serde(with = "second::required")]
    created: Timestamp,
    hosted_invoice_url: Option<String>,
    invoice_pdf: Option<String>,
}

impl From<Invoice> for ports::Invoice {
    fn from(invoice: Invoice) -> Self {
        Self {
            id: invoice.id,
            number: invoice.number,
            status: invoice.status,
            currency: invoice.currency,
            total: invoice.total,
            amount_paid: invoice.amount_paid,
            amount_due: invoice.amount_remaining,
            created: invoice.created,
            hosted_url: invoice.hosted_invoice_url,
            pdf_url: invoice.invoice_pdf,
        }
    }
}

impl Wire for Invoice {
    type Object = ports::Invoice;

    fn id(&self) -> &str {
        &self.id
    }
}
