//! Envoy's `envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs`: streams that Envoy writes to and never ends, and
//! whose messages it neither has acknowledged nor sends again.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use glyph_runtime::clock::Clock;
use glyph_usage::Counters;
use http::{Request, Response};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::codec::{Codec, EncodeBuf, Encoder, Streaming};
use tonic::server::Grpc;
use tonic::{Response as Answer, Status};
use tower::service_fn;

use super::Bare;
use crate::gate::Gate;

/// The method.
pub(super) const LOGS: &str = "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs";
/// How long what is on its way is waited for after a stream was answered.
const LINGER: Duration = Duration::from_secs(1);

/// Takes in what comes by one stream, until its end or `stop`.
pub(super) async fn answer<C: Counters, K: Clock>(
    gate: Arc<Gate<C, K>>,
    stop: CancellationToken,
    request: Request<Body>,
) -> Response<Body> {
    let take = service_fn(move |request: tonic::Request<Streaming<Bytes>>| {
        let (gate, stop) = (Arc::clone(&gate), stop.clone());
        async move {
            let mut stream = request.into_inner();
            match stop.run_until_cancelled(take_all(&gate, &mut stream)).await {
                Some(ended) => ended?,
                // Envoy learns by the answer that it has to go elsewhere. What it has sent until then is not lost.
                None => drop(gate.usage.served.spawn(linger(Arc::clone(&gate), stream))),
            }
            Ok::<_, Status>(Answer::new(()))
        }
    });
    Grpc::new(Logs).client_streaming(take, request).await
}

async fn take_all<C: Counters, K: Clock>(
    gate: &Gate<C, K>,
    stream: &mut Streaming<Bytes>,
) -> Result<(), Status> {
    while let Some(message) = stream.message().await? {
        gate.take_log(&message);
    }
    Ok(())
}

async fn linger<C: Counters, K: Clock>(gate: Arc<Gate<C, K>>, mut stream: Streaming<Bytes>) {
    // How it ends is Envoy's business: by a reset, mostly.
    let _ = tokio::time::timeout(LINGER, take_all(&gate, &mut stream)).await;
}

/// Hands messages on as they are, and answers with an empty one.
struct Logs;

impl Codec for Logs {
    type Encode = ();
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Bare;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Bare {
        Bare
    }
}

impl Encoder for Logs {
    type Item = ();
    type Error = Status;

    fn encode(&mut self, (): (), _: &mut EncodeBuf<'_>) -> Result<(), Status> {
        Ok(())
    }
}
