//! One API request from its first byte to its answer: key, faults, idempotency, parameters, handler, record.
//!
//! Two steps under the lock, `admit` and `execute`; between them only the time that a latency fault asks for.

use std::sync::Arc;

use base64::Engine;
use http::{HeaderMap, header};
use serde_json::Value;

use crate::answer::{Answer, Content};
use crate::doc::visible;
use crate::error::ApiError;
use crate::expand::expand;
use crate::faults::{FaultKind, Strike, When};
use crate::form;
use crate::idempotency::Fingerprint;
use crate::journal::RecordedRequest;
use crate::objects::{Call, Route, find_route, test_clocks};
use crate::params::{self, EXPAND};
use crate::server::Shared;
use crate::world::{API_VERSION, Cause, World};

/// A request as it came. Its headers hold the key, so it cannot be shown.
pub(crate) struct Incoming {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Incoming {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The key counts for POST only; elsewhere it has no effect.
    fn idempotency_key(&self) -> Option<&str> {
        self.header("idempotency-key")
            .filter(|key| self.method == "POST" && !key.is_empty())
    }

    /// Query and body thrown together, as Stripe does.
    fn pairs(&self) -> Vec<(String, String)> {
        let mut pairs = form::pairs(&self.query);
        pairs.extend(form::pairs(&self.body));
        pairs
    }
}

/// A request that may run.
struct Admitted {
    route: &'static Route,
    call: Call,
    strike: Strike,
}

/// What the first step decided.
enum Admission {
    Run(Admitted),
    /// `faulted`: a fault made this answer.
    Answered {
        answer: Answer,
        faulted: bool,
    },
}

/// Answers a request. Runs to its end even if the caller goes away meanwhile.
pub(crate) async fn answer(shared: Arc<Shared>, incoming: Incoming) -> Answer {
    let (request_id, admission) = {
        let mut world = shared.world();
        world.catch_up();
        let request_id = world.new_id("req_", 14);
        let admission = admit(&mut world, &incoming);
        (request_id, admission)
    };
    let (answer, faulted) = match admission {
        Admission::Answered { answer, faulted } => (answer, faulted),
        Admission::Run(admitted) => {
            if !admitted.strike.latency.is_zero() {
                tokio::select! {
                    () = tokio::time::sleep(admitted.strike.latency) => {}
                    () = shared.stopped.cancelled() => {}
                }
            }
            let faulted = admitted.strike.failure.is_some();
            (
                execute(&mut shared.world(), &incoming, &request_id, admitted),
                faulted,
            )
        }
    };
    let answer = with_headers(answer, &incoming, &request_id);
    record(
        &mut shared.world(),
        &incoming,
        &request_id,
        &answer,
        faulted,
    );
    shared.wake.notify_one();
    answer
}

fn admit(world: &mut World, incoming: &Incoming) -> Admission {
    let refused = |error: ApiError| Admission::Answered {
        answer: error.into(),
        faulted: false,
    };
    if let Err(error) =
        authenticate(&world.api_key, incoming).and_then(|()| check_version(incoming))
    {
        return refused(error);
    }
    let strike = world.faults.strike(&incoming.method, &incoming.path);
    if let Some(answer) = strike.failure.and_then(turned_away) {
        return Admission::Answered {
            answer,
            faulted: true,
        };
    }
    let pairs = incoming.pairs();
    if let Some(key) = incoming.idempotency_key() {
        let fingerprint = Fingerprint::new(&incoming.method, &incoming.path, &pairs);
        match world.idempotency.begin(key, fingerprint, world.now) {
            Ok(None) => {}
            Ok(Some(answer)) => {
                return Admission::Answered {
                    answer,
                    faulted: false,
                };
            }
            Err(error) => return refused(error),
        }
    }
    match read(incoming, &pairs) {
        Ok((route, call)) => Admission::Run(Admitted {
            route,
            call,
            strike,
        }),
        Err(error) => {
            if let Some(key) = incoming.idempotency_key() {
                world.idempotency.release(key);
            }
            refused(error)
        }
    }
}

fn read(
    incoming: &Incoming,
    pairs: &[(String, String)],
) -> Result<(&'static Route, Call), ApiError> {
    let content_type = incoming.header("content-type").unwrap_or_default();
    if !incoming.body.is_empty() && !content_type.starts_with("application/x-www-form-urlencoded") {
        return Err(ApiError::invalid(
            "Invalid request (check that your POST content type is application/x-www-form-urlencoded). If you have any questions, we can \
             help at https://support.stripe.com/.",
        ));
    }
    let (route, args) = find_route(&incoming.method, &incoming.path).ok_or_else(|| {
        ApiError::new(
            404,
            "invalid_request_error",
            format!(
                "Unrecognized request URL ({}: {}). Please see https://stripe.com/docs or we can help at https://support.stripe.com/.",
                incoming.method, incoming.path
            ),
        )
    })?;
    let groups: Vec<_> = route.params.iter().copied().chain([EXPAND]).collect();
    Ok((
        route,
        Call {
            args,
            params: params::read(&groups, &form::tree(pairs)?)?,
        },
    ))
}

/// Does what a request would do, for somebody who needs no key.
///
/// # Errors
/// As the request.
pub(crate) fn by_hand(
    world: &mut World,
    method: &str,
    path: &str,
    body: &str,
) -> Result<Value, ApiError> {
    let (route, args) = find_route(method, path).ok_or_else(|| {
        ApiError::invalid(format!("Unrecognized request URL ({method}: {path})."))
    })?;
    let params = params::read(route.params, &form::tree(&form::pairs(body))?)?;
    test_clocks::run(world, route, &Call { args, params }).map(|object| visible(&object))
}

/// Runs the handler, unless a fault strikes before it; then lets a fault after it take the answer's place.
fn execute(world: &mut World, incoming: &Incoming, request_id: &str, admitted: Admitted) -> Answer {
    let Admitted {
        route,
        call,
        strike,
    } = admitted;
    world.catch_up();
    let key = incoming.idempotency_key().map(str::to_owned);
    world.cause = Cause {
        request_id: Some(request_id.to_owned()),
        idempotency_key: key.clone(),
    };
    let answer = match strike.failure {
        Some(FaultKind::ServerError { when: When::Before }) => server_error(),
        failure => {
            let done = test_clocks::run(world, route, &call).and_then(|object| {
                let mut answer = visible(&object);
                expand(world, &mut answer, call.items("expand"))?;
                Ok(answer)
            });
            let done = done.map_or_else(Answer::from, |body| Answer::json(200, body));
            if failure == Some(FaultKind::ServerError { when: When::After }) {
                server_error()
            } else {
                done
            }
        }
    };
    world.cause = Cause::default();
    if let Some(key) = key {
        let kept = answer.clone().header("original-request", request_id);
        world.idempotency.finish(&key, &kept);
    }
    match strike.failure {
        Some(FaultKind::BadGateway { .. }) => bad_gateway(),
        Some(FaultKind::Reset { .. }) => Answer::reset(),
        _ => answer,
    }
}

/// Faults in front of the API: nothing is begun, nothing is kept.
fn turned_away(failure: FaultKind) -> Option<Answer> {
    match failure {
        FaultKind::RateLimit {
            should_retry,
            retry_after,
        } => {
            let error = ApiError::new(
                429,
                "invalid_request_error",
                "Request rate limit exceeded. Learn more about rate limits here https://stripe.com/docs/rate-limits.",
            );
            let mut answer = Answer::from(error.code("rate_limit"));
            if let Some(should_retry) = should_retry {
                answer = answer.header("stripe-should-retry", should_retry.to_string());
            }
            Some(match retry_after {
                Some(seconds) => answer.header("retry-after", seconds.to_string()),
                None => answer,
            })
        }
        FaultKind::BadGateway { when: When::Before } => Some(bad_gateway()),
        FaultKind::Reset { when: When::Before } => Some(Answer::reset()),
        _ => None,
    }
}

fn server_error() -> Answer {
    ApiError::new(500, "api_error", "Sorry! There was an error while talking to one of our backends. Support has been notified.").into()
}

fn bad_gateway() -> Answer {
    Answer::html(502, "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>".to_owned())
}

fn authenticate(accepted: &str, incoming: &Incoming) -> Result<(), ApiError> {
    let unauthorized = |message: String| Err(ApiError::new(401, "invalid_request_error", message));
    let given = incoming
        .headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(key_of);
    match given.filter(|key| !key.is_empty()) {
        None => unauthorized(
            "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer auth (e.g. \
             'Authorization: Bearer YOUR_SECRET_KEY'). See https://stripe.com/docs/api#authentication for details, or we can help at \
             https://support.stripe.com/."
                .to_owned(),
        ),
        Some(key) if key == accepted => Ok(()),
        Some(key) => unauthorized(format!("Invalid API Key provided: {}", redacted(&key))),
    }
}

/// The key of a Bearer or Basic header (Basic: as user name, without a password).
fn key_of(authorization: &str) -> Option<String> {
    let (scheme, value) = authorization.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(value.trim().to_owned());
    }
    let decoded = base64::engine::general_purpose::STANDARD
        .decode(value.trim())
        .ok()?;
    let text = String::from_utf8(decoded).ok()?;
    scheme
        .eq_ignore_ascii_case("basic")
        .then(|| text.split(':').next().unwrap_or_default().to_owned())
}

/// `sk_test_****abcd`: the kind of key and its last four characters.
fn redacted(key: &str) -> String {
    let chars: Vec<char> = key.chars().collect();
    let kept: usize = if chars.len() > 12 { 4 } else { 0 };
    let shown = [
        "sk_test_", "sk_live_", "rk_test_", "rk_live_", "pk_test_", "pk_live_",
    ];
    let prefix = shown
        .iter()
        .find(|prefix| key.starts_with(**prefix))
        .copied()
        .unwrap_or_default();
    let hidden = "*".repeat(chars.len().saturating_sub(prefix.len() + kept));
    let end: String = chars[chars.len() - kept..].iter().collect();
    format!("{prefix}{hidden}{end}")
}

fn check_version(incoming: &Incoming) -> Result<(), ApiError> {
    match incoming.header("stripe-version") {
        Some(version) if version != API_VERSION => Err(ApiError::invalid(format!(
            "Invalid Stripe API version: {version}. The simulator speaks {API_VERSION} only."
        ))),
        _ => Ok(()),
    }
}

fn with_headers(answer: Answer, incoming: &Incoming, request_id: &str) -> Answer {
    let answer = answer
        .header("request-id", request_id)
        .header("stripe-version", API_VERSION);
    match incoming.header("idempotency-key") {
        Some(key) => answer.header("idempotency-key", key),
        None => answer,
    }
}

fn record(
    world: &mut World,
    incoming: &Incoming,
    request_id: &str,
    answer: &Answer,
    faulted: bool,
) {
    let recorded = RecordedRequest {
        at: world.now,
        request_id: request_id.to_owned(),
        method: incoming.method.clone(),
        path: incoming.path.clone(),
        query: incoming.query.clone(),
        body: incoming.body.clone(),
        idempotency_key: incoming.header("idempotency-key").map(str::to_owned),
        status: answer.status,
        answer: match &answer.body {
            Content::Json(body) => without_secret(body.clone()),
            Content::Html(_) | Content::Reset => Value::Null,
        },
        replayed: answer.is_replay(),
        faulted,
    };
    world.journal.add(recorded);
}

/// A new webhook endpoint's secret is for its caller alone.
fn without_secret(mut body: Value) -> Value {
    if let Some(secret) = body.get_mut("secret") {
        *secret = Value::from("whsec_hidden");
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_shown_by_its_kind_and_last_four_characters_only() {
        assert_eq!(redacted("sk_test_0123456789abcd"), "sk_test_**********abcd");
        assert_eq!(redacted("secret"), "******");
    }

    #[test]
    fn a_key_is_read_from_bearer_and_basic() {
        assert_eq!(key_of("Bearer sk_test_1").as_deref(), Some("sk_test_1"));
        assert_eq!(
            key_of("Basic c2tfdGVzdF8xOg==").as_deref(),
            Some("sk_test_1")
        );
        assert_eq!(key_of("Digest x"), None);
    }
}
