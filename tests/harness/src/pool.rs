//! A user pool whose keys a test holds: it signs whatever it is told to, and serves its keys, or something else in their
//! place. For what moto cannot do: other claims, other keys, an address that fails.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::error::{Error, Result};
use crate::net::{free_port, loopback};

/// Two keys of 2048 bits, made for this and used for nothing else.
const KEYS: [(&str, &[u8]); 2] = [
    ("first", include_bytes!("pool/first.p8")),
    ("second", include_bytes!("pool/second.p8")),
];

/// A key that tokens are signed by.
pub struct SigningKey {
    id: String,
    pair: RsaKeyPair,
}

impl SigningKey {
    /// The first of two keys, which are the same in every run.
    ///
    /// # Errors
    /// When the key cannot be read.
    pub fn first() -> Result<Self> {
        Self::of(KEYS[0])
    }

    /// The second of them.
    ///
    /// # Errors
    /// When the key cannot be read.
    pub fn second() -> Result<Self> {
        Self::of(KEYS[1])
    }

    fn of((id, key): (&str, &[u8])) -> Result<Self> {
        let pair = RsaKeyPair::from_pkcs8(key);
        Ok(Self {
            id: id.to_owned(),
            pair: pair.map_err(|error| Error::answer("read a signing key", error))?,
        })
    }

    /// The public half, as a JWKS has it. Its `kid` is `first` or `second`.
    #[must_use]
    pub fn public(&self) -> Value {
        let PublicKeyComponents::<Vec<u8>> { n, e } = self.pair.public().into();
        json!({
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.id,
            "n": URL_SAFE_NO_PAD.encode(n), "e": URL_SAFE_NO_PAD.encode(e),
        })
    }

    /// A token as Cognito signs it.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn sign(&self, claims: &Value) -> Result<String> {
        let header = json!({"kid": self.id, "alg": "RS256"});
        self.sign_text(&header.to_string(), &claims.to_string())
    }

    /// A token of any header and claims, also such as are no JSON.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn sign_text(&self, header: &str, claims: &str) -> Result<String> {
        let [header, claims] = [header, claims].map(|text| URL_SAFE_NO_PAD.encode(text));
        let signed = format!("{header}.{claims}");
        let mut signature = vec![0; self.pair.public().modulus_len()];
        self.pair
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                signed.as_bytes(),
                &mut signature,
            )
            .map_err(|error| Error::answer("sign a token", error))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// A JWKS of these keys.
#[must_use]
pub fn jwks(keys: &[&SigningKey]) -> String {
    let keys: Vec<_> = keys.iter().map(|key| key.public()).collect();
    json!({ "keys": keys }).to_string()
}

/// What a [`KeyServer`] answers with.
#[derive(Clone, Debug)]
pub enum Reply {
    /// A whole answer.
    Answer {
        /// The status.
        status: u16,
        /// The header fields.
        headers: Vec<(&'static str, String)>,
        /// The body.
        body: String,
    },
    /// None, as long as it is asked to wait.
    Silence,
}

impl Reply {
    /// 200 with this body.
    #[must_use]
    pub fn of(body: impl Into<String>) -> Self {
        Self::with(200, body)
    }

    /// This status with this body.
    #[must_use]
    pub fn with(status: u16, body: impl Into<String>) -> Self {
        Self::Answer {
            status,
            headers: Vec::new(),
            body: body.into(),
        }
    }
}

/// Where the keys are served; it ends when dropped.
pub struct KeyServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

struct Shared {
    reply: Mutex<Reply>,
    asked: AtomicU64,
}

impl KeyServer {
    /// Starts it on a free port of loopback.
    ///
    /// # Errors
    /// When the port cannot be had.
    pub async fn start(reply: Reply) -> Result<Self> {
        let address = loopback(free_port()?);
        let listener = tokio::net::TcpListener::bind(address)
            .await
            .map_err(Error::io(format!("listen on {address}")))?;
        let shared = Arc::new(Shared {
            reply: Mutex::new(reply),
            asked: AtomicU64::new(0),
        });
        let app = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&shared));
        let serving = tokio::spawn(async move {
            // It serves until it is aborted; there is no error to see.
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self {
            address,
            shared,
            serving,
        })
    }

    /// The address of the keys.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/.well-known/jwks.json", self.address)
    }

    /// Answers this from now on.
    pub fn reply(&self, reply: Reply) {
        *self.shared.reply() = reply;
    }

    /// How many times it was asked.
    #[must_use]
    pub fn asked(&self) -> u64 {
        self.shared.asked.load(Ordering::SeqCst)
    }
}

impl Drop for KeyServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Shared {
    fn reply(&self) -> MutexGuard<'_, Reply> {
        self.reply.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn answer(State(shared): State<Arc<Shared>>) -> Response {
    shared.asked.fetch_add(1, Ordering::SeqCst);
    let reply = shared.reply().clone();
    let Reply::Answer {
        status,
        headers,
        body,
    } = reply
    else {
        return std::future::pending().await;
    };
    let mut response = Response::new(Body::from(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::try_from(value) {
            response
                .headers_mut()
                .insert(HeaderName::from_static(name), value);
        }
    }
    response
}
