//! Who the caller is; another e-mail address; the end of an account.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use glyph_crds::{ApiKey, GlyphCustomer, Subscription};
use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{Account, wrong_code};
use crate::account::attempts::Address;
use crate::account::caller::{Caller, LoggedIn};
use crate::account::input::{Input, Nothing, OptionalInput, credential};
use crate::account::people::is_missing;
use crate::account::ports::Person;
use crate::account::problem::Answer;

/// A user.
#[derive(Serialize, ToSchema)]
pub(in crate::account) struct User {
    /// The user's id: `sub` of the tokens.
    id: String,
    /// E-mail address.
    email: String,
    /// When the account was opened.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl User {
    pub(super) fn new(person: &Person, customer: &GlyphCustomer) -> Self {
        Self {
            id: person.sub.clone(),
            email: person.email.clone(),
            created_at: customer
                .creation_timestamp()
                .map_or(Timestamp::UNIX_EPOCH, |at| at.0),
        }
    }
}

/// The code that was sent to a new e-mail address.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::account) struct EmailCode {
    /// The code.
    code: String,
}

/// An account is no more.
#[derive(Serialize, ToSchema)]
pub(in crate::account) struct Deleted {
    /// `deleted`
    status: &'static str,
    /// What is kept, and why.
    kept: [&'static str; 2],
}

/// Who you are.
#[utoipa::path(get, path = "/auth/me", tag = "Login", security(("access_token" = [])),
    responses((status = 200, body = User, description = "The user")))]
pub(in crate::account) async fn me(caller: Caller) -> Json<User> {
    Json(User::new(&caller.person, &caller.customer))
}

/// Confirm another e-mail address.
///
/// From then on it is also the one that invoices are sent to.
#[utoipa::path(post, path = "/auth/email/confirm", tag = "Login", request_body = EmailCode,
    security(("access_token" = [])), responses((status = 200, body = User, description = "The address is changed")))]
pub(in crate::account) async fn confirm_email(
    State(account): State<Arc<Account>>,
    address: Address,
    caller: LoggedIn,
    Input(sent): Input<EmailCode>,
) -> Answer<Json<User>> {
    let code = credential("code", &sent.code)?;
    account.attempts().of(&caller.person.sub, &address).await?;
    let token = caller.token.expose();
    account
        .pool
        .confirm_email(token, code)
        .await
        .map_err(wrong_code)?;
    let person = account.pool.person(token).await?;
    let customer = account.customer_of(&person).await?;
    let email = Patch::Merge(json!({"spec": {"email": person.email}}));
    let api = account.api::<GlyphCustomer>();
    let customer = api
        .patch(&customer.name_any(), &PatchParams::default(), &email)
        .await?;
    Ok(Json(User::new(&person, &customer)))
}

/// Delete the account.
///
/// Every API key stops working and is deleted, the subscription ends at once, the login is gone. What the law asks a seller
/// to keep is kept: the customer with its invoices and payments at Stripe, and the record of credits that were bought. A
/// deletion that was broken off goes on when it is asked for again.
#[utoipa::path(delete, path = "/auth/me", tag = "Login", security(("access_token" = [])),
    responses((status = 200, body = Deleted, description = "The account is deleted")))]
pub(in crate::account) async fn delete(
    State(account): State<Arc<Account>>,
    caller: LoggedIn,
    OptionalInput(Nothing {}): OptionalInput<Nothing>,
) -> Answer<Json<Deleted>> {
    if let Some(customer) = account.find_customer(&caller.person.sub).await? {
        account.close(&customer).await?;
    }
    // The login goes last: while it works, the deletion can be asked for again.
    account.pool.delete(caller.token.expose()).await?;
    Ok(Json(Deleted {
        status: "deleted",
        kept: [
            "Invoices, payments and the customer they belong to, at Stripe: the books of a seller have to be kept.",
            "The record of credits that were bought, without your name.",
        ],
    }))
}

impl Account {
    async fn close(&self, customer: &GlyphCustomer) -> Answer<()> {
        let name = customer.name_any();
        for key in self.keys_of(&name).await? {
            gone(
                self.api::<ApiKey>()
                    .delete(&key.name_any(), &only(key.uid()))
                    .await,
            )?;
        }
        for subscription in self.subscriptions_of(&name).await? {
            let api = self.api::<Subscription>();
            gone(
                api.delete(&subscription.name_any(), &only(subscription.uid()))
                    .await,
            )?;
        }
        let api = self.api::<GlyphCustomer>();
        gone(api.delete(&name, &only(customer.uid())).await)
    }
}

fn only(uid: Option<String>) -> DeleteParams {
    let preconditions = Preconditions {
        uid,
        resource_version: None,
    };
    DeleteParams {
        preconditions: Some(preconditions),
        ..DeleteParams::default()
    }
}

/// What is gone already is as good.
fn gone<T>(result: kube::Result<T>) -> Answer<()> {
    match result {
        Err(error) if !is_missing(&error) => Err(error.into()),
        _ => Ok(()),
    }
}
