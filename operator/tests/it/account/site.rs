//! An operator that serves the account API, and people who use it.

use glyph_crds::{CreditPack, Tier};
use glyph_harness::net::{Answer, send};
use glyph_harness::{Redis, Service, Settings, poll_until};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use serde_json::{Value, json};

use crate::stage::{SOON, Stage};

pub const PASSWORD: &str = "Correct-horse-7";
/// An origin that may call.
pub const SHOP: &str = "https://shop.example";

pub struct Site {
    pub stage: Stage,
    pub redis: Redis,
    pub operator: Service,
    pub base: String,
}

/// Somebody who is logged in.
pub struct Member {
    pub email: String,
    pub token: String,
    pub login: Value,
}

impl Site {
    pub async fn new(name: &str) -> Self {
        Self::with(name, |settings| settings).await
    }

    /// With other settings.
    pub async fn with(name: &str, change: impl FnOnce(Settings) -> Settings) -> Self {
        let (stage, redis) = tokio::join!(Stage::new(name), Redis::start());
        let redis = redis.unwrap();
        let settings = stage.settings().redis(&redis);
        let settings = settings
            .set("GLYPH_ACCOUNT_API", "true")
            .set("GLYPH_ACCOUNT_ORIGINS", SHOP)
            .set("GLYPH_ACCOUNT_TRUSTED_PROXIES", "1")
            .set("GLYPH_ACCOUNT_WAIT", "20")
            .set("GLYPH_ACCOUNT_REQUESTS_PER_MINUTE", "1000000");
        let operator = stage.operator_with(change(settings)).await;
        let base = stage.webhook_url();
        let base = base.trim_end_matches("/webhooks/stripe").to_owned();
        let site = Self {
            stage,
            redis,
            operator,
            base,
        };
        site.catalogue().await;
        site
    }

    async fn catalogue(&self) {
        self.stage.tiers().await;
        let price = json!({"currency": "usd", "amount": 9900, "interval": "Month"});
        let quota = json!({"requests": 100_000});
        let pro = json!({"displayName": "Professional", "price": price, "quota": quota});
        self.stage.create::<Tier>("professional", pro).await;
        let sales = json!({"displayName": "Enterprise", "contactSales": true});
        self.stage.create::<Tier>("enterprise", sales).await;
        let price = json!({"currency": "usd", "amount": 1900});
        let pack = json!({"displayName": "Extra", "credits": 5000, "price": price});
        self.stage.create::<CreditPack>("extra", pack).await;
        for tier in ["starter", "professional"] {
            self.stage
                .condition::<Tier>(tier, "Ready", "True", "OnSale")
                .await;
        }
        self.stage
            .condition::<CreditPack>("extra", "Ready", "True", "OnSale")
            .await;
        poll_until("the plans to be served", SOON, async || {
            let plans = self.get("/plans", None).await.json::<Value>().ok()?;
            (plans["plans"].as_array()?.len() == 4 && plans["credit_packs"].as_array()?.len() == 1)
                .then_some(())
        })
        .await
        .unwrap();
    }

    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &HeaderMap,
        body: Vec<u8>,
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base));
        *request.headers_mut().unwrap() = headers.clone();
        send(request.body(body).unwrap()).await.unwrap()
    }

    pub async fn get(&self, path: &str, token: Option<&str>) -> Answer {
        self.ask(Method::GET, path, &headers(token, &[]), Vec::new())
            .await
    }

    pub async fn post(&self, path: &str, token: Option<&str>, body: &Value) -> Answer {
        self.post_with(path, token, body, &[]).await
    }

    pub async fn post_with(
        &self,
        path: &str,
        token: Option<&str>,
        body: &Value,
        more: &[(&str, &str)],
    ) -> Answer {
        let more: Vec<_> = [("content-type", "application/json")]
            .into_iter()
            .chain(more.iter().copied())
            .collect();
        self.ask(
            Method::POST,
            path,
            &headers(token, &more),
            body.to_string().into(),
        )
        .await
    }

    pub async fn send(&self, method: Method, path: &str, token: &str, body: &Value) -> Answer {
        let headers = headers(Some(token), &[("content-type", "application/json")]);
        let body = if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into()
        };
        self.ask(method, path, &headers, body).await
    }

    /// Registers, confirms and logs in.
    pub async fn member(&self, name: &str) -> Member {
        let email = self.stage.email(name);
        let person = json!({"email": email, "password": PASSWORD});
        let registered = self.post("/auth/register", None, &person).await;
        assert_eq!(registered.status, 202, "{}", registered.text());
        self.confirm(&email).await;
        self.log_in(&email).await
    }

    pub async fn confirm(&self, email: &str) {
        let code = self.stage.cognito.code_sent_to(email).unwrap();
        let confirmed = self
            .post(
                "/auth/confirm",
                None,
                &json!({"email": email, "code": code}),
            )
            .await;
        assert_eq!(confirmed.status, 200, "{}", confirmed.text());
    }

    pub async fn log_in(&self, email: &str) -> Member {
        let person = json!({"email": email, "password": PASSWORD});
        let login = self.post("/auth/login", None, &person).await;
        assert_eq!(login.status, 200, "{}", login.text());
        let login: Value = login.json().unwrap();
        assert_eq!(login["status"], "complete", "{login}");
        Member {
            email: email.to_owned(),
            token: login["tokens"]["access_token"].as_str().unwrap().to_owned(),
            login,
        }
    }

    /// Buys a plan with Stripe's test card, and waits until it is in force.
    pub async fn subscribe(&self, member: &Member, tier: &str) {
        let checkout = self
            .post(
                "/billing/checkout",
                Some(&member.token),
                &json!({"tier": tier}),
            )
            .await;
        assert_eq!(checkout.status, 200, "{}", checkout.text());
        let checkout: Value = checkout.json().unwrap();
        self.pay(&checkout);
        self.billing_until(member, "the plan to be in force", |billing| {
            billing["tier"] == tier
        })
        .await;
    }

    /// Pays at the link as a person does.
    pub fn pay(&self, checkout: &Value) {
        let url = checkout["url"].as_str().unwrap();
        let session = self.stage.stripe.control().objects("checkout.session");
        let session = session
            .iter()
            .find(|session| session["url"] == url)
            .unwrap();
        let id = session["id"].as_str().unwrap();
        let paid = self
            .stage
            .stripe
            .control()
            .pay(id, crate::stage::GOOD_CARD, None);
        assert!(
            matches!(paid, glyph_stripe_sim::Payment::Done(_)),
            "{paid:?}"
        );
    }

    pub async fn billing_until(
        &self,
        member: &Member,
        what: &str,
        is: impl Fn(&Value) -> bool,
    ) -> Value {
        poll_until(what, SOON, async || {
            let answer = self.get("/billing/status", Some(&member.token)).await;
            let billing: Value = answer.json().ok()?;
            is(&billing).then_some(billing)
        })
        .await
        .unwrap()
    }

    /// Makes a key; its text and its id.
    pub async fn key(&self, member: &Member, name: &str) -> (String, String) {
        let made = self
            .post(
                "/api-keys/generate",
                Some(&member.token),
                &json!({"name": name}),
            )
            .await;
        assert_eq!(made.status, 201, "{}", made.text());
        let made: Value = made.json().unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&made["key"]), text(&made["api_key"]["id"]))
    }
}

pub fn headers(token: Option<&str>, more: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in more {
        let name: HeaderName = name.parse().unwrap();
        headers.append(name, HeaderValue::from_str(value).unwrap());
    }
    if let Some(token) = token {
        let value = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
        headers.insert("authorization", value);
    }
    headers
}

/// The `code` of a problem document, checked for its form.
pub fn code(answer: &Answer, status: u16) -> String {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "application/problem+json");
    let problem: Value = answer.json().unwrap();
    assert_eq!(problem["status"], status);
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.ends_with('.') && detail.len() > 20, "{detail}");
    problem["code"].as_str().unwrap().to_owned()
}
