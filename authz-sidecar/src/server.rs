//! Envoy's `envoy.service.auth.v3.Authorization/Check` over gRPC, and beside it its access log. Bytes in, bytes out: the messages are read and
//! written in `glyph-authz-core`. Logs nothing of a request.

mod io;
mod logs;

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, BufMut as _, Bytes};
use futures::FutureExt as _;
use glyph_authz_core::wire::Answer;
use glyph_runtime::clock::Clock;
use glyph_usage::Counters;
use http::{Request, Response};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::Grpc;
use tonic::transport::Server;
use tonic::{Code, Status};
use tower::service_fn;

use crate::gate::Gate;
use logs::LOGS;

/// The method that decides.
pub(crate) const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";
/// Checks under way on one connection; Envoy opens another when it needs more.
const MOST_STREAMS: u32 = 4096;
/// A peer that is gone without a word is noticed by pings.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// A connection is asked to end after this, so that gateways which keep theirs spread over pods that came later.
const LONGEST_CONNECTION: Duration = Duration::from_secs(300);
/// What a message fits into, mostly; it grows where one does not.
const BUFFERS: (usize, usize) = (2 * 1024, 32 * 1024);

/// Serves checks, and takes in the access log, on `listener` until `stop`; checks under way are answered.
///
/// # Errors
/// When serving fails for good.
pub async fn serve<C: Counters, K: Clock>(
    listener: TcpListener,
    gate: Arc<Gate<C, K>>,
    stop: CancellationToken,
) -> Result<(), tonic::transport::Error> {
    let stopping = stop.clone();
    let service = service_fn(move |request: Request<Body>| {
        let (gate, stopping) = (Arc::clone(&gate), stopping.clone());
        async move {
            Ok::<_, Infallible>(match request.uri().path() {
                CHECK => answer(gate, request).await,
                LOGS => logs::answer(gate, stopping, request).await,
                _ => {
                    let served =
                        "only Authorization/Check and AccessLogService/StreamAccessLogs are served";
                    Status::new(Code::Unimplemented, served).into_http()
                }
            })
        }
    });
    Server::builder()
        .max_concurrent_streams(MOST_STREAMS)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .max_connection_age(LONGEST_CONNECTION)
        .serve_with_incoming_shutdown(service, io::incoming(listener), stop.cancelled_owned())
        .await
}

async fn answer<C: Counters, K: Clock>(
    gate: Arc<Gate<C, K>>,
    request: Request<Body>,
) -> Response<Body> {
    let check = service_fn(move |request: tonic::Request<Bytes>| {
        let gate = Arc::clone(&gate);
        async move {
            let message = request.into_inner();
            // An error of gRPC is no verdict: Envoy then does what it does when there is no sidecar.
            let checked = AssertUnwindSafe(gate.check(&message)).catch_unwind().await;
            checked
                .map(tonic::Response::new)
                .map_err(|_| Status::internal("the check failed"))
        }
    });
    Grpc::new(Bare).unary(check, request).await
}

/// Hands the bytes of a message on as they are.
pub(crate) struct Bare;

impl Codec for Bare {
    type Encode = Answer;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Bare {
    type Item = Answer;
    type Error = Status;

    fn encode(&mut self, answer: Answer, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put(answer.into_bytes());
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFERS.0, BUFFERS.1)
    }
}

impl Decoder for Bare {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        let length = from.remaining();
        Ok(Some(from.copy_to_bytes(length)))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFERS.0, BUFFERS.1)
    }
}
