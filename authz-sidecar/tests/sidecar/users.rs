//! Access tokens through Envoy: moto's, as a user gets them by signing in. CASES 37, 41, 44.

use glyph_crds::GlyphCustomer;
use glyph_harness::{Cognito, Result, Settings, poll_until};
use serde_json::{Value, json};

use crate::stage::{SOON, Stage, answer, code};

const EMAIL: &str = "ada@example.com";
const PASSWORD: &str = "Correct-horse-7";

/// A stage where tokens of moto's pool are taken, and `ada` is the user who has signed in.
struct SignedIn {
    stage: Stage,
    cognito: Cognito,
    tokens: Value,
}

impl SignedIn {
    async fn set(more: impl FnOnce(Settings) -> Settings) -> Result<Self> {
        let cognito = Cognito::start().await?;
        let stage = Stage::set_with(|settings| more(settings.tokens_of(&cognito))).await?;
        let sub = cognito.register(EMAIL, PASSWORD).await?;
        let tokens = cognito.sign_in(EMAIL, PASSWORD).await?;
        let known = json!({"cognitoSub": sub});
        stage
            .world
            .patch_status::<GlyphCustomer>("ada", known)
            .await;
        Ok(Self {
            stage,
            cognito,
            tokens,
        })
    }

    fn token(&self, name: &str) -> &str {
        self.tokens[name].as_str().unwrap()
    }

    async fn with(&self, token: &str) -> glyph_harness::net::Answer {
        let bearer = format!("Bearer {token}");
        answer(self.stage.get("/v1/items").header("authorization", bearer)).await
    }

    /// Waits until the access token is answered so.
    async fn until(&self, status: u16, wanted: &str) -> glyph_harness::net::Answer {
        let token = self.token("AccessToken");
        let probe = async || {
            let answer = self.with(token).await;
            let said = if answer.status == 200 {
                String::new()
            } else {
                code(&answer)
            };
            (answer.status == status && said == wanted).then_some(answer)
        };
        let what = format!("{status} {wanted}");
        poll_until(&what, SOON, probe).await.unwrap()
    }
}

#[tokio::test]
async fn who_has_signed_in_passes_as_the_customer_and_upstream_learns_who_it_is_and_not_the_token()
-> Result<()> {
    let signed_in = SignedIn::set(|settings| settings).await?;
    let passed = signed_in.until(200, "").await;
    let seen: Value = passed.json()?;
    let headers = &seen["headers"];
    let user = signed_in.cognito.user(EMAIL).await?.unwrap();
    let namespace = signed_in.stage.world.namespace.name();
    assert_eq!(
        headers["x-glyph-customer"],
        json!([format!("{namespace}/ada")])
    );
    assert_eq!(headers["x-glyph-subject"], json!([user["sub"]]));
    assert_eq!(headers["x-glyph-tier"], json!(["free"]));
    assert!(headers.get("x-glyph-key-id").is_none() && headers.get("authorization").is_none());
    assert!(!passed.text().contains(signed_in.token("AccessToken")));

    let forged = answer(
        signed_in
            .stage
            .get("/v1/items")
            .header(
                "authorization",
                format!("Bearer {}", signed_in.token("AccessToken")),
            )
            .header("x-glyph-key-id", "forged"),
    );
    let seen: Value = forged.await.json()?;
    assert!(seen["headers"].get("x-glyph-key-id").is_none());

    let key = signed_in.stage.world.key("laptop", "ada", json!({})).await;
    signed_in.stage.until(&key, 200).await;
    let left = |answer: &glyph_harness::net::Answer| answer.header("ratelimit");
    let (one, other) = (
        signed_in.stage.with_key(&key).await,
        signed_in.until(200, "").await,
    );
    assert_ne!(left(&one), left(&other), "key and token draw on one quota");
    Ok(())
}

#[tokio::test]
async fn a_token_stops_and_goes_on_with_its_customer() -> Result<()> {
    let signed_in = SignedIn::set(|settings| settings).await?;
    let world = &signed_in.stage.world;
    signed_in.until(200, "").await;
    world
        .patch::<GlyphCustomer>("ada", json!({"spec": {"suspended": true}}))
        .await;
    signed_in.until(403, "suspended").await;
    world
        .patch::<GlyphCustomer>("ada", json!({"spec": {"suspended": false}}))
        .await;
    signed_in.until(200, "").await;
    world
        .subscription("ada", json!({"state": "unpaid", "tier": "starter"}))
        .await;
    signed_in.until(402, "payment_required").await;
    world.delete::<GlyphCustomer>("ada").await;
    let gone = signed_in.until(401, "invalid_credential").await;
    assert!(gone.text().contains("is no customer"), "{}", gone.text());
    Ok(())
}

#[tokio::test]
async fn a_user_who_writes_another_customers_id_into_its_attributes_is_still_itself() -> Result<()>
{
    let signed_in = SignedIn::set(|settings| settings).await?;
    signed_in.stage.world.customer("eve", json!({})).await;
    let known = json!({"stripeCustomerId": "cus_eve"});
    signed_in
        .stage
        .world
        .patch_status::<GlyphCustomer>("eve", known)
        .await;
    let attribute = json!([{"Name": "custom:stripe_customer_id", "Value": "cus_eve"}]);
    let written =
        json!({"AccessToken": signed_in.token("AccessToken"), "UserAttributes": attribute});
    signed_in
        .cognito
        .call("UpdateUserAttributes", &written)
        .await?;
    let user = signed_in.cognito.user(EMAIL).await?.unwrap();
    assert_eq!(user["custom:stripe_customer_id"], "cus_eve");
    let again = signed_in.cognito.sign_in(EMAIL, PASSWORD).await?;
    signed_in.until(200, "").await;
    let passed = signed_in.with(again["AccessToken"].as_str().unwrap()).await;
    let seen: Value = passed.json()?;
    let namespace = signed_in.stage.world.namespace.name();
    assert_eq!(
        seen["headers"]["x-glyph-customer"],
        json!([format!("{namespace}/ada")])
    );
    Ok(())
}

#[tokio::test]
async fn an_id_token_is_refused_unless_it_is_to_be_taken() -> Result<()> {
    let signed_in = SignedIn::set(|settings| settings).await?;
    signed_in.until(200, "").await;
    let refused = signed_in.with(signed_in.token("IdToken")).await;
    assert_eq!(
        (refused.status, code(&refused).as_str()),
        (401, "invalid_credential")
    );
    assert_eq!(
        refused.header("www-authenticate"),
        "Bearer realm=\"glyph\", error=\"invalid_token\""
    );
    let taking = SignedIn::set(|settings| settings.set("GLYPH_COGNITO_ID_TOKENS", "true")).await?;
    taking.until(200, "").await;
    assert_eq!(taking.with(taking.token("IdToken")).await.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_token_beside_another_credential_or_in_another_place_is_refused() -> Result<()> {
    let signed_in = SignedIn::set(|settings| settings).await?;
    let stage = &signed_in.stage;
    let key = stage.world.key("laptop", "ada", json!({})).await;
    stage.until(&key, 200).await;
    signed_in.until(200, "").await;
    let token = signed_in.token("AccessToken");
    let bearer = format!("Bearer {token}");
    let (a, x) = ("authorization", "x-api-key");
    let joined = format!("{bearer},{bearer}");
    let (basic, no_space) = (format!("Basic {token}"), format!("Bearer{token}"));
    for headers in [
        vec![(a, bearer.as_str()), (x, key.as_str())],
        vec![(a, &bearer), (x, "")],
        vec![(a, &bearer), (a, &bearer)],
        vec![(a, &joined)],
        vec![(x, token)],
        vec![(a, token)],
        vec![(a, &basic)],
        vec![(a, &no_space)],
    ] {
        let request = headers
            .iter()
            .fold(stage.get("/"), |request, (name, value)| {
                request.header(*name, *value)
            });
        let refused = answer(request).await;
        assert_eq!(
            (refused.status, code(&refused).as_str()),
            (401, "invalid_credential"),
            "{:?}",
            headers.iter().map(|(name, _)| name).collect::<Vec<_>>()
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_token_shows_in_no_log_and_no_metric_even_at_trace() -> Result<()> {
    let signed_in = SignedIn::set(|settings| settings.set("GLYPH_LOG", "trace")).await?;
    signed_in.until(200, "").await;
    let access = signed_in.token("AccessToken");
    let damaged = format!("{access}A");
    signed_in.with(&damaged).await;
    signed_in.with(signed_in.token("IdToken")).await;
    let sidecar = &signed_in.stage.sidecar;
    let metrics = glyph_harness::net::get(&format!("{}/metrics", sidecar.admin_url())).await?;
    let metrics = metrics.text();
    let pool = signed_in.cognito.pool_id();
    assert!(
        metrics.contains(&format!(
            "glyph_authz_jwks_fetches_total{{pool=\"{pool}\",outcome=\"ok\"}} 1"
        )),
        "{metrics}"
    );
    assert!(metrics.contains(&format!("glyph_authz_jwks_age_seconds{{pool=\"{pool}\"}}")));
    assert!(
        metrics.contains("glyph_authz_tokens_total{by=\"signature\"} 1"),
        "{metrics}"
    );
    for (place, text) in [
        ("log", sidecar.log()),
        ("metrics", metrics),
        ("Envoy's log", signed_in.stage.envoy.log()),
    ] {
        for part in access
            .split('.')
            .chain(signed_in.token("IdToken").split('.').skip(1))
        {
            assert!(!text.contains(part), "a part of a token is in the {place}");
        }
    }
    Ok(())
}
