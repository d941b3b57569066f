//! `/api-keys`: made, listed, renamed, rotated, revoked. A key is an ApiKey resource; the controller delivers it into a
//! Secret, from where it is taken into the one answer that shows it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use glyph_crds::ApiKey;
use glyph_operator_core::account::slots::{Held, next_name};
use http::{StatusCode, header};
use kube::api::{Patch, PatchParams};
use kube::core::DeserializeGuard;
use kube::{Api, ResourceExt as _};
use serde_json::json;

use super::Account;
use super::billing::resources::of_customer;
use super::caller::Caller;
use super::idempotency::{Asked, IdempotencyKey};
use super::input::{Id, Input, OptionalInput, Parameters, name};
use super::people::{is_conflict, making};
use super::problem::{Answer, Problem, ProblemCode, ProblemDocument};
use reveal::{Shown, pending};
use view::{Key, KeyList, NewKey, Rename, RotateKey, Which, page};

mod reveal;
mod view;

/// How often what another changed meanwhile is looked at again.
const TRIES: usize = 100;

impl Account {
    /// The keys of a customer, also those that cannot be read.
    async fn all_keys_of(&self, customer: &str) -> Answer<Vec<DeserializeGuard<ApiKey>>> {
        let api: Api<DeserializeGuard<ApiKey>> =
            Api::namespaced(self.client.clone(), &self.namespace);
        Ok(api.list(&of_customer(customer)).await?.items)
    }

    /// The keys of a customer that can be read.
    pub(super) async fn keys_of(&self, customer: &str) -> Answer<Vec<ApiKey>> {
        let all = self.all_keys_of(customer).await?;
        Ok(all.into_iter().filter_map(|key| key.0.ok()).collect())
    }

    /// The key of this public id, if it is the caller's.
    async fn key_of(&self, caller: &Caller, id: &str) -> Answer<ApiKey> {
        let keys = self.keys_of(&caller.name()).await?;
        let key = keys.into_iter().find(|key| view::id(key) == id);
        key.ok_or_else(Problem::not_found)
    }

    /// The key that was asked for: made now, or before under the same idempotency key.
    async fn make_key(&self, caller: &Caller, wish: &NewKey, asked: &Asked) -> Answer<ApiKey> {
        let limit = usize::from(self.settings.account_max_keys);
        for _ in 0..TRIES {
            // One look at all of them: of two, the second could show a key that the first did not.
            let keys = self.all_keys_of(&caller.name()).await?;
            for key in &keys {
                if asked.made(key)?
                    && let Ok(key) = &key.0
                {
                    return Ok(key.clone());
                }
            }
            self.may_have_key(caller).await?;
            let revoked =
                |key: &DeserializeGuard<ApiKey>| key.0.as_ref().is_ok_and(|key| key.spec.revoked);
            let names: Vec<_> = keys
                .iter()
                .map(|key| (key.name_any(), revoked(key)))
                .collect();
            let held: Vec<_> = names
                .iter()
                .map(|(name, revoked)| Held {
                    name,
                    revoked: *revoked,
                })
                .collect();
            let Some(name) = next_name(&caller.name(), &held, limit) else {
                let detail = format!(
                    "There are {limit} keys, and no more may be; revoke one that you do not need."
                );
                return Err(Problem::new(ProblemCode::KeyLimitReached, detail));
            };
            match self
                .api::<ApiKey>()
                .create(&making(), &wish.resource(&name, caller, asked)?)
                .await
            {
                Err(error) if is_conflict(&error) => {}
                made => return Ok(made?),
            }
        }
        Err(Problem::unavailable(&"too many keys are made at once"))
    }

    /// The answer with a key, or the promise of one.
    async fn show(&self, key: ApiKey, created: bool) -> Answer<Response> {
        let status = if created {
            StatusCode::CREATED
        } else {
            StatusCode::OK
        };
        let location = [(header::LOCATION, format!("/api-keys/{}", view::id(&key)))];
        Ok(match self.reveal(&key).await? {
            Shown::Now(key, text) => {
                let answer = view::KeyWithText::new(&key, self.now(), Some(text), view::SHOWN_ONCE);
                (status, location, Json(answer)).into_response()
            }
            Shown::Before(key) => {
                let answer = view::KeyWithText::new(&key, self.now(), None, view::SHOWN_BEFORE);
                (StatusCode::OK, location, Json(answer)).into_response()
            }
            Shown::Later => {
                let answer = view::KeyWithText::new(&key, self.now(), None, view::SHOWN_LATER);
                (StatusCode::ACCEPTED, location, Json(answer)).into_response()
            }
        })
    }
}

/// Make an API key.
///
/// The answer holds the key, this once: nobody can show it again. A key is made when the plan allows it; before that the
/// answer is 402 and says where to pay. With an `Idempotency-Key`, a request that is sent again makes no second key. If the
/// key is not ready in time, the answer is 202: send the same request again under its `Idempotency-Key`, and it is shown.
#[utoipa::path(post, path = "/api-keys/generate", tag = "API keys", request_body = NewKey,
    params(("idempotency-key" = Option<String>, Header, description = "The same key makes the same thing once")),
    security(("access_token" = [])), responses(
    (status = 201, body = view::KeyWithText, description = "The key, shown once"),
    (status = 200, body = view::KeyWithText, description = "It was made before under this Idempotency-Key, and shown"),
    (status = 202, body = view::KeyWithText, description = "It is being made"),
    (status = 402, body = ProblemDocument, content_type = "application/problem+json", description = "Pay first")))]
pub(super) async fn generate(
    State(account): State<Arc<Account>>,
    caller: Caller,
    key: IdempotencyKey,
    Input(wish): Input<NewKey>,
) -> Answer<Response> {
    caller.may_act()?;
    wish.check(account.now())?;
    let asked = Asked::new(&caller.uid(), &key, &wish);
    let made = account.make_key(&caller, &wish, &asked).await?;
    account.show(made, true).await
}

/// List your API keys, newest first.
#[utoipa::path(get, path = "/api-keys/list", tag = "API keys", params(Which), security(("access_token" = [])),
    responses((status = 200, body = KeyList, description = "Keys")))]
pub(super) async fn list(
    State(account): State<Arc<Account>>,
    caller: Caller,
    Parameters(which): Parameters<Which>,
) -> Answer<Json<KeyList>> {
    let keys = account.keys_of(&caller.name()).await?;
    page(&keys, &which, account.now()).map(Json)
}

/// Look at an API key.
#[utoipa::path(get, path = "/api-keys/{key_id}", tag = "API keys", params(("key_id" = String, Path, description = "Its id")),
    security(("access_token" = [])), responses((status = 200, body = Key, description = "The key")))]
pub(super) async fn look(
    State(account): State<Arc<Account>>,
    caller: Caller,
    Id(id): Id,
) -> Answer<Json<Key>> {
    let key = account.key_of(&caller, &id).await?;
    Ok(Json(Key::new(&key, account.now())))
}

/// Rename an API key.
#[utoipa::path(patch, path = "/api-keys/{key_id}", tag = "API keys", request_body = Rename,
    params(("key_id" = String, Path, description = "Its id")),
    security(("access_token" = [])), responses((status = 200, body = Key, description = "The key")))]
pub(super) async fn rename(
    State(account): State<Arc<Account>>,
    caller: Caller,
    Id(id): Id,
    Input(wanted): Input<Rename>,
) -> Answer<Json<Key>> {
    let name = name(&wanted.name)?;
    let key = account.key_of(&caller, &id).await?;
    let patch = json!({"metadata": {"uid": key.uid()}, "spec": {"displayName": name}});
    let patched = account.api::<ApiKey>();
    let patched = patched
        .patch(
            &key.name_any(),
            &PatchParams::default(),
            &Patch::Merge(patch),
        )
        .await?;
    Ok(Json(Key::new(&patched, account.now())))
}

/// Replace an API key by a new one.
///
/// The new key has the same id, name and rights; the old one works on for `overlap_seconds`. The answer holds the new key,
/// this once.
#[utoipa::path(post, path = "/api-keys/{key_id}/rotate", tag = "API keys", request_body = RotateKey,
    params(("key_id" = String, Path, description = "Its id"),
        ("idempotency-key" = Option<String>, Header, description = "The same key rotates once")),
    security(("access_token" = [])), responses(
    (status = 201, body = view::KeyWithText, description = "The new key, shown once"),
    (status = 200, body = view::KeyWithText, description = "It was rotated before under this Idempotency-Key, and shown"),
    (status = 202, body = view::KeyWithText, description = "It is being made")))]
pub(super) async fn rotate(
    State(account): State<Arc<Account>>,
    caller: Caller,
    Id(id): Id,
    idempotency: IdempotencyKey,
    OptionalInput(wish): OptionalInput<RotateKey>,
) -> Answer<Response> {
    caller.may_act()?;
    wish.check()?;
    let asked = Asked::new(&caller.uid(), &idempotency, &(&id, &wish));
    for _ in 0..TRIES {
        let key = account.key_of(&caller, &id).await?;
        if asked.made(&key)? {
            return account.show(key, true).await;
        }
        if pending(&key) {
            let detail = "The key is still being made; rotate it once it is active.";
            return Err(Problem::new(ProblemCode::KeyNotActive, detail));
        }
        if !view::is_active(&key, account.now()) {
            let detail = "The key was revoked or has expired; make another one.";
            return Err(Problem::new(ProblemCode::KeyNotActive, detail));
        }
        let patch = Patch::Merge(wish.patch(&key, &asked));
        match account
            .api::<ApiKey>()
            .patch(&key.name_any(), &PatchParams::default(), &patch)
            .await
        {
            Err(error) if is_conflict(&error) => {}
            patched => return account.show(patched?, true).await,
        }
    }
    Err(Problem::unavailable(&"a key is changed too often"))
}

/// Revoke an API key, for good.
#[utoipa::path(delete, path = "/api-keys/{key_id}", tag = "API keys", params(("key_id" = String, Path, description = "Its id")),
    security(("access_token" = [])), responses((status = 200, body = Key, description = "It works no more")))]
pub(super) async fn revoke(
    State(account): State<Arc<Account>>,
    caller: Caller,
    Id(id): Id,
) -> Answer<Json<Key>> {
    let key = account.key_of(&caller, &id).await?;
    let patch = json!({"metadata": {"uid": key.uid()}, "spec": {"revoked": true}});
    let api = account.api::<ApiKey>();
    let revoked = api
        .patch(
            &key.name_any(),
            &PatchParams::default(),
            &Patch::Merge(patch),
        )
        .await?;
    Ok(Json(Key::new(&revoked, account.now())))
}
