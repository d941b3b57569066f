//! One request through a proxy: counted, trapped or forwarded, answered as the answer comes.

use std::sync::Arc;

use bytes::Bytes;
use http::uri::{Authority, Scheme};
use http::{HeaderMap, Request, Response, Uri, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;

use super::Callee;
use super::calls::{Call, CallKind, Calls, Moment, Trap};

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Body = UnsyncBoxBody<Bytes, BoxError>;

/// Where calls are forwarded to.
pub(super) enum Upstream {
    Http {
        client: Box<Client<HttpConnector, Full<Bytes>>>,
        authority: Authority,
    },
    Kubernetes(kube::Client),
}

/// A proxy's way of handling requests.
pub(super) struct Relay {
    calls: Calls,
    callee: Callee,
    upstream: Upstream,
}

impl Relay {
    pub(super) fn new(calls: Calls, callee: Callee, upstream: Upstream) -> Self {
        Self {
            calls,
            callee,
            upstream,
        }
    }

    /// Passes one request; an error breaks the connection. What is under way goes on when the caller dies
    /// meanwhile, as it does in a network.
    pub(super) async fn pass(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, BoxError> {
        tokio::spawn(async move { self.pass_to_the_end(request).await }).await?
    }

    async fn pass_to_the_end(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, BoxError> {
        let (kind, what) = classify(self.callee, &request);
        let method = request.method().clone();
        let (mut head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let (call, trap) = self.calls.arrive(self.callee, kind, method, what);
        let trap = match trap {
            Some(trap) if trap.moment == Moment::BeforeForwarding => {
                return Err(self.spring(trap, call).await);
            }
            trap => trap,
        };
        remove_connection_fields(&mut head.headers);
        head.headers.remove(header::HOST);
        let answer = self.forward(Request::from_parts(head, body)).await;
        if let Some(trap) = trap {
            return Err(self.spring(trap, call).await);
        }
        let mut answer = answer?;
        remove_connection_fields(answer.headers_mut());
        Ok(answer)
    }

    async fn forward(&self, mut request: Request<Bytes>) -> Result<Response<Body>, BoxError> {
        match &self.upstream {
            Upstream::Http { client, authority } => {
                let mut uri = std::mem::take(request.uri_mut()).into_parts();
                uri.scheme = Some(Scheme::HTTP);
                uri.authority = Some(authority.clone());
                *request.uri_mut() = Uri::from_parts(uri)?;
                let answer = client.request(request.map(Full::new)).await?;
                Ok(answer.map(|body| body.map_err(Into::into).boxed_unsync()))
            }
            Upstream::Kubernetes(client) => {
                let answer = client.send(request.map(Into::into)).await?;
                Ok(answer.map(|body| body.map_err(Into::into).boxed_unsync()))
            }
        }
    }

    /// Runs the trap's action, which may block (it waits for a killed process), and gives the error that breaks
    /// the connection.
    async fn spring(&self, trap: Trap, call: Call) -> BoxError {
        let ran = tokio::task::spawn_blocking(trap.action).await;
        self.calls.has_sprung(call);
        match ran {
            Ok(()) => "the trap sprang".into(),
            Err(error) => error.into(),
        }
    }
}

/// What a request is, told from its path or, for Cognito, from its action.
fn classify(callee: Callee, request: &Request<Incoming>) -> (CallKind, String) {
    let path = request
        .uri()
        .path_and_query()
        .map(ToString::to_string)
        .unwrap_or_default();
    let by_method = if request.method().is_safe() {
        CallKind::Read
    } else {
        CallKind::Write
    };
    match callee {
        Callee::Stripe => (by_method, path),
        Callee::Kubernetes if path.contains("/leases") => (CallKind::Lease, path),
        Callee::Kubernetes if is_watch(request.uri()) => (CallKind::Watch, path),
        Callee::Kubernetes => (by_method, path),
        Callee::Cognito => {
            let target = request
                .headers()
                .get("x-amz-target")
                .map(|value| String::from_utf8_lossy(value.as_bytes()));
            let target = target.unwrap_or_default();
            let action = target.rsplit('.').next().unwrap_or_default().to_owned();
            let reads = ["AdminGet", "Get", "List", "Describe"]
                .iter()
                .any(|verb| action.starts_with(verb));
            (
                if reads {
                    CallKind::Read
                } else {
                    CallKind::Write
                },
                action,
            )
        }
    }
}

fn is_watch(uri: &Uri) -> bool {
    let fields = uri.query().unwrap_or_default().split('&');
    fields
        .into_iter()
        .any(|field| field == "watch=true" || field == "watch=1")
}

/// Takes away what is about one connection only (RFC 9110, 7.6.1); hyper writes its own.
fn remove_connection_fields(headers: &mut HeaderMap) {
    for name in [
        header::CONNECTION,
        header::TRANSFER_ENCODING,
        header::TE,
        header::UPGRADE,
    ] {
        headers.remove(name);
    }
}
