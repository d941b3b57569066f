//! A plain HTTP client for the tests, and the shortest way to the objects they need.

use bytes::Bytes;
use glyph_stripe_sim::{Control, Options, StripeSim};
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

pub const KEY: &str = "sk_test_0123456789abcd";

/// What came back.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).expect(&self.text)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .get(name)
            .map(|value| value.to_str().expect("a readable header"))
    }

    /// The object, if the request succeeded.
    pub fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        self.json()
    }

    /// One field of the error, as text.
    pub fn error(&self, field: &str) -> String {
        self.json()["error"][field]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }
}

/// A simulator of its own and a client for it.
pub struct Bench {
    pub sim: StripeSim,
    http: HyperClient<HttpConnector, Full<Bytes>>,
}

impl Bench {
    pub async fn start() -> Self {
        let options = Options {
            api_key: KEY.to_owned(),
            ..Options::default()
        };
        let sim = StripeSim::start(options).await.expect("a free port");
        Self {
            sim,
            http: HyperClient::builder(TokioExecutor::new()).build_http(),
        }
    }

    pub fn control(&self) -> &Control {
        self.sim.control()
    }

    /// Sends a request with these headers instead of the usual ones.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Option<Reply> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.sim.base_url()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request
            .body(Full::new(Bytes::from(body.to_owned())))
            .expect("a request");
        let (head, body) = self.http.request(request).await.ok()?.into_parts();
        let bytes = body.collect().await.ok()?.to_bytes();
        let text = String::from_utf8(bytes.to_vec()).expect("UTF-8");
        Some(Reply {
            status: head.status.as_u16(),
            headers: head.headers,
            text,
        })
    }

    pub async fn call(
        &self,
        method: &str,
        path: &str,
        body: &str,
        key: Option<&str>,
    ) -> Option<Reply> {
        let bearer = format!("Bearer {KEY}");
        let mut headers = vec![("authorization", bearer.as_str())];
        if method == "POST" {
            headers.push(("content-type", "application/x-www-form-urlencoded"));
        }
        if let Some(key) = key {
            headers.push(("idempotency-key", key));
        }
        self.send(method, path, &headers, body).await
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.call("GET", path, "", None).await.expect("an answer")
    }

    pub async fn post(&self, path: &str, body: &str) -> Reply {
        self.call("POST", path, body, None)
            .await
            .expect("an answer")
    }

    pub async fn post_with_key(&self, path: &str, body: &str, key: &str) -> Reply {
        self.call("POST", path, body, Some(key))
            .await
            .expect("an answer")
    }

    pub async fn delete(&self, path: &str) -> Reply {
        self.call("DELETE", path, "", None)
            .await
            .expect("an answer")
    }

    /// A form sent by a person's browser.
    pub async fn submit(&self, path: &str, body: &str) -> Reply {
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        self.send("POST", path, &headers, body)
            .await
            .expect("an answer")
    }

    /// Creates something and returns its id.
    pub async fn made(&self, path: &str, body: &str) -> String {
        id(&self.post(path, body).await.ok())
    }

    /// A customer who can be charged.
    pub async fn paying_customer(&self) -> String {
        self.made(
            "/v1/customers",
            "email=ann@example.com&invoice_settings[default_payment_method]=pm_card_visa",
        )
        .await
    }

    /// A price of 29 dollars a month for a new product.
    pub async fn monthly_price(&self) -> String {
        let body =
            "currency=usd&unit_amount=2900&recurring[interval]=month&product_data[name]=Starter";
        self.made("/v1/prices", body).await
    }

    /// Event types so far, oldest first.
    pub fn event_types(&self) -> Vec<String> {
        self.control()
            .objects("event")
            .iter()
            .map(|event| text(event, "type"))
            .collect()
    }
}

pub fn id(object: &Value) -> String {
    text(object, "id")
}

pub fn text(object: &Value, field: &str) -> String {
    object[field].as_str().unwrap_or_default().to_owned()
}

/// The path of a URL of the simulator.
pub fn path_of(url: &str) -> String {
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    after_scheme
        .find('/')
        .map_or("/", |at| &after_scheme[at..])
        .to_owned()
}
