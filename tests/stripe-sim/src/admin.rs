//! `/_sim/…`: the control of a simulator over HTTP, for tests in other processes and for people with curl.
//!
//! No key is asked for: the simulator listens on the loopback address only.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::control::{Control, Count};
use crate::faults::Fault;
use crate::journal::RecordedRequest;
use crate::server::Shared;
use crate::webhooks::{DeliveryRecord, WebhookMode};
use crate::world::AfterRetries;

/// The admin paths, below `/_sim`.
pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/clock", get(clock).post(set_clock))
        .route("/faults", get(faults).post(add_fault).delete(clear_faults))
        .route("/webhooks", get(webhooks).post(set_webhooks))
        .route("/webhooks/release", post(release))
        .route("/events/{id}/resend", post(resend))
        .route("/deliveries", get(deliveries))
        .route("/requests", get(requests).delete(clear_requests))
        .route("/state", get(state))
        .route("/objects/{kind}", get(objects))
        .route("/search", post(set_search))
        .route("/key", post(set_key))
        .route("/dunning", post(set_dunning))
        .route("/dashboard", post(dashboard))
        .route("/destinations", post(add_destination))
        .route("/debits", post(conclude_debit))
        .route("/refunds", post(refund))
        .route("/disputes", post(dispute))
        .route("/disputes/{id}/close", post(close_dispute))
        .route("/reset", post(reset))
}

fn control(shared: Arc<Shared>) -> Control {
    Control { shared }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockChange {
    now: Option<i64>,
    advance: Option<i64>,
    frozen: Option<bool>,
}

async fn clock(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let control = control(shared);
    Json(json!({ "now": control.now(), "frozen": control.clock_is_frozen() }))
}

async fn set_clock(
    State(shared): State<Arc<Shared>>,
    Json(change): Json<ClockChange>,
) -> Json<Value> {
    let control = control(shared.clone());
    if let Some(frozen) = change.frozen {
        control.freeze_clock(frozen);
    }
    if let Some(now) = change.now {
        control.set_clock(now);
    }
    if let Some(seconds) = change.advance {
        control.advance(seconds);
    }
    clock(State(shared)).await
}

async fn faults(State(shared): State<Arc<Shared>>) -> Json<Vec<Fault>> {
    Json(control(shared).faults())
}

async fn add_fault(
    State(shared): State<Arc<Shared>>,
    Json(fault): Json<Fault>,
) -> Json<Vec<Fault>> {
    let control = control(shared);
    control.add_fault(fault);
    Json(control.faults())
}

async fn clear_faults(State(shared): State<Arc<Shared>>) -> StatusCode {
    control(shared).clear_faults();
    StatusCode::NO_CONTENT
}

async fn webhooks(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let (mode, waiting) = control(shared).webhook_mode();
    Json(json!({ "mode": mode, "waiting": waiting }))
}

async fn set_webhooks(
    State(shared): State<Arc<Shared>>,
    Json(mode): Json<WebhookMode>,
) -> Json<Value> {
    control(shared.clone()).set_webhook_mode(mode);
    webhooks(State(shared)).await
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Release {
    reversed: bool,
}

async fn release(State(shared): State<Arc<Shared>>, Json(release): Json<Release>) -> Json<Value> {
    Json(json!({ "released": control(shared).release_webhooks(release.reversed) }))
}

async fn resend(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> StatusCode {
    if control(shared).resend(&id) {
        StatusCode::NO_CONTENT
    } else {
        StatusCode::NOT_FOUND
    }
}

async fn deliveries(State(shared): State<Arc<Shared>>) -> Json<Vec<DeliveryRecord>> {
    Json(control(shared).deliveries())
}

async fn requests(State(shared): State<Arc<Shared>>) -> Json<Vec<RecordedRequest>> {
    Json(control(shared).requests())
}

async fn clear_requests(State(shared): State<Arc<Shared>>) -> StatusCode {
    control(shared).clear_requests();
    StatusCode::NO_CONTENT
}

async fn state(State(shared): State<Arc<Shared>>) -> Json<BTreeMap<String, Count>> {
    Json(control(shared).counts())
}

async fn objects(State(shared): State<Arc<Shared>>, Path(kind): Path<String>) -> Json<Vec<Value>> {
    Json(control(shared).objects(&kind))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SearchChange {
    lag_seconds: i64,
}

async fn set_search(
    State(shared): State<Arc<Shared>>,
    Json(change): Json<SearchChange>,
) -> StatusCode {
    control(shared).set_search_lag(change.lag_seconds);
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyChange {
    api_key: String,
}

async fn set_key(State(shared): State<Arc<Shared>>, Json(change): Json<KeyChange>) -> StatusCode {
    control(shared).set_api_key(&change.api_key);
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Dunning {
    after_retries: AfterRetries,
}

async fn set_dunning(
    State(shared): State<Arc<Shared>>,
    Json(dunning): Json<Dunning>,
) -> StatusCode {
    control(shared).set_after_retries(dunning.after_retries);
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ByHand {
    method: String,
    path: String,
    #[serde(default)]
    body: String,
}

async fn dashboard(State(shared): State<Arc<Shared>>, Json(act): Json<ByHand>) -> Done {
    match control(shared).in_dashboard(&act.method, &act.path, &act.body) {
        Ok(object) => (StatusCode::OK, Json(object)),
        Err(message) => done(Err(message)),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Destination {
    url: String,
    secret: String,
    types: Vec<String>,
}

async fn add_destination(
    State(shared): State<Arc<Shared>>,
    Json(wanted): Json<Destination>,
) -> Done {
    let types: Vec<&str> = wanted.types.iter().map(String::as_str).collect();
    done(Ok(control(shared).add_thin_destination(
        &wanted.url,
        &wanted.secret,
        &types,
    )))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Debit {
    /// A checkout session's or payment intent's id.
    id: String,
    paid: bool,
}

async fn conclude_debit(State(shared): State<Arc<Shared>>, Json(debit): Json<Debit>) -> StatusCode {
    found(control(shared).conclude_debit(&debit.id, debit.paid))
}

fn found(found: bool) -> StatusCode {
    if found {
        StatusCode::NO_CONTENT
    } else {
        StatusCode::NOT_FOUND
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refund {
    /// A charge's or payment intent's id.
    id: String,
    amount: Option<i64>,
}

async fn refund(State(shared): State<Arc<Shared>>, Json(refund): Json<Refund>) -> Done {
    done(control(shared).refund(&refund.id, refund.amount))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Dispute {
    /// A charge's or payment intent's id.
    id: String,
}

async fn dispute(State(shared): State<Arc<Shared>>, Json(dispute): Json<Dispute>) -> Done {
    done(control(shared).dispute(&dispute.id))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Close {
    won: bool,
}

async fn close_dispute(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Json(close): Json<Close>,
) -> Done {
    done(control(shared).close_dispute(&id, close.won).map(|()| id))
}

/// An answer with the id of what was made or changed, or with a sentence.
type Done = (StatusCode, Json<Value>);

fn done(outcome: Result<String, String>) -> Done {
    match outcome {
        Ok(id) => (StatusCode::OK, Json(json!({ "id": id }))),
        Err(message) => (StatusCode::BAD_REQUEST, Json(json!({ "message": message }))),
    }
}

async fn reset(State(shared): State<Arc<Shared>>) -> StatusCode {
    control(shared).reset();
    StatusCode::NO_CONTENT
}
