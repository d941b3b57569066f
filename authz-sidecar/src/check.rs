//! `glyph-authz check`: asks a running sidecar as Envoy does, for those who have just installed one. A request without a
//! credential has to be refused as such: then the whole way to a decision works, and nothing passes that should not.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use bytes::{BufMut as _, Bytes, BytesMut};
use clap::Args;
use http::uri::PathAndQuery;
use http::{StatusCode, Uri};
use http_body_util::Empty;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::time::{Instant, sleep};
use tonic::Status;
use tonic::client::Grpc;
use tonic::codec::{Codec, EncodeBuf, Encoder};
use tonic::transport::Endpoint;

use crate::server::{Bare, CHECK};

/// Between two looks.
const AGAIN: Duration = Duration::from_millis(250);
/// How long one look may take.
const ONE: Duration = Duration::from_secs(5);
/// What the answer to a request without a credential says (docs/sidecar.md).
const REFUSED: &str = "missing_credential";

/// Whom to ask, and how long.
#[derive(Debug, Args)]
pub struct Check {
    /// The sidecar, such as http://glyph-authz:9000.
    #[arg(long, value_name = "URL")]
    sidecar: Uri,

    /// An address that has to answer 200, such as http://glyph-operator:9090/readyz. May be given several times.
    #[arg(long, value_name = "URL")]
    ready: Vec<Uri>,

    /// Seconds until it is given up.
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    within: u64,
}

impl Check {
    /// Asks until all is well; gives a line for each thing that is.
    ///
    /// # Errors
    /// With what was last wrong when it is given up.
    pub async fn run(&self) -> anyhow::Result<Vec<String>> {
        let ends = Instant::now() + Duration::from_secs(self.within);
        let mut well = Vec::new();
        for address in &self.ready {
            until(ends, || ready(address)).await?;
            well.push(format!("{address} is ready"));
        }
        until(ends, || refuses(&self.sidecar)).await?;
        well.push(format!(
            "{} refuses a request without a key, as it should ({REFUSED})",
            self.sidecar
        ));
        Ok(well)
    }
}

async fn until<F: Future<Output = anyhow::Result<()>>>(
    ends: Instant,
    look: impl Fn() -> F,
) -> anyhow::Result<()> {
    loop {
        let seen = match tokio::time::timeout(ONE, look()).await {
            Ok(seen) => seen,
            Err(_) => Err(anyhow::anyhow!("no answer within {} s", ONE.as_secs())),
        };
        match seen {
            Err(_) if Instant::now() < ends => sleep(AGAIN).await,
            seen => return seen,
        }
    }
}

async fn ready(address: &Uri) -> anyhow::Result<()> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let answer = client
        .get(address.clone())
        .await
        .with_context(|| format!("failed to ask {address}"))?;
    ensure!(
        answer.status() == StatusCode::OK,
        "{address} answers {}: it is not ready",
        answer.status()
    );
    Ok(())
}

async fn refuses(sidecar: &Uri) -> anyhow::Result<()> {
    let asking = || format!("failed to ask {sidecar}");
    let channel = Endpoint::from(sidecar.clone())
        .connect()
        .await
        .with_context(asking)?;
    let mut grpc = Grpc::new(channel);
    grpc.ready().await.with_context(asking)?;
    let request = tonic::Request::new(question());
    let path = PathAndQuery::from_static(CHECK);
    let answer = grpc
        .unary(request, path, Asking)
        .await
        .with_context(asking)?;
    let said = String::from_utf8_lossy(answer.get_ref()).into_owned();
    let code = said
        .split_once(r#""code":""#)
        .and_then(|(_, rest)| rest.split_once('"'))
        .map(|(code, _)| code.to_owned());
    match code.as_deref() {
        Some(REFUSED) => Ok(()),
        Some(code) => bail!("{sidecar} refuses a request without a key with {code}, not {REFUSED}"),
        None => bail!("{sidecar} lets a request without a key pass, or does not say why not"),
    }
}

/// The server's codec from the other side: bytes go out and come in as they are.
struct Asking;

impl Codec for Asking {
    type Encode = Bytes;
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

impl Encoder for Asking {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, question: Bytes, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put(question);
        Ok(())
    }
}

/// A CheckRequest (envoy/service/auth/v3) of `GET /`, with no header at all.
fn question() -> Bytes {
    let http = [text(2, b"GET"), text(4, b"/"), text(5, b"glyph-check")].concat();
    text(1, &text(4, &text(2, &http)))
}

/// A field of a protobuf message that is shorter than 128 bytes.
fn text(number: u8, content: &[u8]) -> Bytes {
    let mut field = BytesMut::with_capacity(content.len() + 2);
    field.put_u8(number << 3 | 2);
    field.put_u8(content.len() as u8);
    field.put_slice(content);
    field.freeze()
}
