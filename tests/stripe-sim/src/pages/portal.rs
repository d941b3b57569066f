//! The customer portal: a person changes plan, ends or resumes a subscription, replaces the card.
//!
//! <https://docs.stripe.com/customer-management>, with the configuration that Stripe gives by default: no proration.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Form, Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::Value;

use super::html::{self, page};
use super::{after_page_payment, not_found};
use crate::answer::Answer;
use crate::control::Control;
use crate::dispatch::by_hand;
use crate::doc::Doc;
use crate::error::ApiError;
use crate::objects::checkout_sessions::Paid;
use crate::objects::{cards, payment_methods, portal_sessions};
use crate::server::Shared;
use crate::world::World;

/// The portal's pages, below the address that a portal session gives.
pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/p/session/{id}", get(portal))
        .route("/p/session/{id}/cancel", post(cancel))
        .route("/p/session/{id}/resume", post(resume))
        .route("/p/session/{id}/plan", post(change_plan))
        .route("/p/session/{id}/card", post(replace_card))
}

#[derive(Deserialize)]
struct Chosen {
    subscription: String,
    /// Of a change of plan.
    #[serde(default)]
    price: String,
}

#[derive(Deserialize)]
struct Card {
    card_number: String,
}

async fn portal(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    let world = shared.world();
    match world.get("billing_portal.session", &id) {
        Ok(session) => {
            let shown = portal_sessions::subscriptions_shown(&world, session);
            let plans: Vec<&Value> = world
                .store
                .all("price")
                .filter(|price| price.flag("active") && !price["recurring"].is_null())
                .collect();
            let body = html::portal(session, &shown, &plans);
            Answer::html(200, page("Your subscriptions", &body)).into_response()
        }
        Err(error) => not_found(&error),
    }
}

/// Does something to a subscription of the session's customer, and shows the portal again.
fn act(
    shared: Arc<Shared>,
    id: &str,
    chosen: &Chosen,
    body: impl FnOnce(&Value) -> String,
) -> Response {
    let done = Control { shared }.on_page(id, |world| {
        let theirs = theirs(world, id, &chosen.subscription)?;
        let path = format!("/v1/subscriptions/{}", chosen.subscription);
        by_hand(world, "POST", &path, &body(&theirs))?;
        Ok(Paid::Done(format!("/p/session/{id}")))
    });
    after_page_payment(done)
}

fn theirs(world: &World, session: &str, subscription: &str) -> Result<Value, ApiError> {
    let session = world.get("billing_portal.session", session)?;
    let shown = portal_sessions::subscriptions_shown(world, session);
    let found = shown
        .into_iter()
        .find(|shown| shown.text("id") == subscription);
    found.ok_or_else(|| ApiError::no_such("subscription", subscription))
}

async fn cancel(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Form(chosen): Form<Chosen>,
) -> Response {
    act(shared, &id, &chosen, |_| {
        "cancel_at_period_end=true".to_owned()
    })
}

async fn resume(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Form(chosen): Form<Chosen>,
) -> Response {
    act(shared, &id, &chosen, |_| {
        "cancel_at_period_end=false".to_owned()
    })
}

async fn change_plan(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Form(chosen): Form<Chosen>,
) -> Response {
    act(shared, &id, &chosen, |subscription| {
        let item = subscription["items"]["data"][0].text("id");
        format!(
            "items[0][id]={item}&items[0][price]={}&proration_behavior=none&payment_behavior=error_if_incomplete",
            chosen.price
        )
    })
}

async fn replace_card(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Form(form): Form<Card>,
) -> Response {
    let done = Control { shared }.on_page(&id, |world| {
        let session = world.get("billing_portal.session", &id)?;
        let customer = session.text("customer").to_owned();
        let card = cards::by_number(&form.card_number)
            .ok_or_else(|| ApiError::invalid("Your card number is incorrect."))?;
        let method = payment_methods::create_for_page(world, card);
        let method = payment_methods::attach(world, &method, &customer)?;
        let body = format!("invoice_settings[default_payment_method]={method}");
        by_hand(world, "POST", &format!("/v1/customers/{customer}"), &body)?;
        for subscription in own_methods(world, &customer) {
            let path = format!("/v1/subscriptions/{subscription}");
            by_hand(
                world,
                "POST",
                &path,
                &format!("default_payment_method={method}"),
            )?;
        }
        Ok(Paid::Done(format!("/p/session/{id}")))
    });
    after_page_payment(done)
}

/// The customer's running subscriptions that have a payment method of their own: the portal replaces that too.
fn own_methods(world: &World, customer: &str) -> Vec<String> {
    let with_own = |subscription: &&Value| {
        subscription.text("customer") == customer
            && !matches!(
                subscription.text("status"),
                "canceled" | "incomplete_expired"
            )
            && subscription["default_payment_method"].is_string()
    };
    world
        .store
        .all("subscription")
        .filter(with_own)
        .map(Doc::id)
        .collect()
}
