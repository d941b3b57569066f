//! A pool's keys: changed in mid-flight, away, late, or something else. CASES 36, 38, 39.

use std::time::Duration;

use futures::future::join_all;
use glyph_crds::{GlyphCustomer, Tier};
use glyph_harness::net::Answer;
use glyph_harness::pool::{KeyServer, Reply, SigningKey, jwks};
use glyph_harness::{Result, Settings, poll_until};
use serde_json::{Value, json};

use crate::stage::{Stage, answer, code, now};

const POOL: &str = "eu-central-1_test";
/// Longer than the ten seconds that pass between two fetches, and the five that one may take.
const FETCHED: Duration = Duration::from_secs(40);
const SUBJECT: &str = "0f9b8a7c-1111-4222-8333-444455556666";

/// A stage where tokens of a pool are taken whose keys the test holds.
struct Signing {
    stage: Stage,
    server: KeyServer,
}

impl Signing {
    /// The keys are answered for with `reply`.
    async fn set(reply: Reply) -> Result<Self> {
        Self::set_with(reply, |settings| settings).await
    }

    async fn set_with(reply: Reply, more: impl FnOnce(Settings) -> Settings) -> Result<Self> {
        let server = KeyServer::start(reply).await?;
        let taking = |settings: Settings| {
            let pool =
                json!([{"userPoolId": POOL, "clientIds": ["shop"], "jwksUrl": server.url()}]);
            more(settings.set("GLYPH_COGNITO_POOLS", pool.to_string()))
        };
        let stage = Stage::set_with(taking).await?;
        // More than is asked while something is waited for.
        let plenty = json!({"spec": {"quota": {"requests": 1_000_000}}});
        stage.world.patch::<Tier>("free", plenty).await;
        let known = json!({"cognitoSub": SUBJECT});
        stage
            .world
            .patch_status::<GlyphCustomer>("ada", known)
            .await;
        Ok(Self { stage, server })
    }

    async fn with(&self, token: &str) -> Answer {
        let bearer = format!("Bearer {token}");
        answer(self.stage.get("/v1/items").header("authorization", bearer)).await
    }

    async fn until(&self, token: &str, status: u16) -> Answer {
        let probe = async || Some(self.with(token).await).filter(|answer| answer.status == status);
        let what = format!("{status} for a token");
        poll_until(&what, FETCHED, probe).await.unwrap()
    }

    /// Requests with keys never notice.
    async fn keys_work(&self) {
        let key = self.stage.world.key("laptop", "ada", json!({})).await;
        self.stage.until(&key, 200).await;
    }
}

fn claims(more: Value) -> Value {
    let mut claims = json!({
        "iss": format!("https://cognito-idp.eu-central-1.amazonaws.com/{POOL}"),
        "sub": SUBJECT, "client_id": "shop", "token_use": "access",
        "scope": "aws.cognito.signin.user.admin", "exp": now().as_second() + 3600,
    });
    for (name, value) in more.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

fn token(key: &SigningKey) -> String {
    key.sign(&claims(json!({}))).unwrap()
}

fn refusal(answer: &Answer) -> (u16, String) {
    (answer.status, code(answer))
}

#[tokio::test]
async fn a_key_that_comes_in_mid_flight_is_fetched_while_its_first_token_waits() -> Result<()> {
    let (first, second) = (SigningKey::first()?, SigningKey::second()?);
    let signing = Signing::set(Reply::of(jwks(&[&first]))).await?;
    signing.until(&token(&first), 200).await;
    signing.server.reply(Reply::of(jwks(&[&first, &second])));
    // Once the keys of the start are ten seconds old; until then a key may not be asked for.
    signing.until(&token(&second), 200).await;
    assert_eq!(signing.server.asked(), 2);
    assert_eq!(signing.with(&token(&first)).await.status, 200);

    signing.server.reply(Reply::of(jwks(&[&second])));
    let other = SigningKey::first()?.sign_text(
        r#"{"alg":"RS256","kid":"third"}"#,
        &claims(json!({})).to_string(),
    )?;
    let gone = async || {
        signing.with(&other).await;
        (signing.with(&token(&first)).await.status == 401).then_some(())
    };
    poll_until("the first key, taken away, to be refused", FETCHED, gone).await?;
    assert_eq!(signing.with(&token(&second)).await.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_key_that_its_pool_takes_away_stops_tokens_that_were_seen_before() -> Result<()> {
    let (first, second) = (SigningKey::first()?, SigningKey::second()?);
    let both = Reply::of(jwks(&[&first, &second]));
    let often = |settings: Settings| settings.set("GLYPH_JWKS_REFRESH", "10");
    let signing = Signing::set_with(both, often).await?;
    let (going, staying) = (token(&first), token(&second));
    signing.until(&going, 200).await;
    assert_eq!(signing.with(&going).await.status, 200);
    signing.server.reply(Reply::of(jwks(&[&second])));
    let refused = signing.until(&going, 401).await;
    assert!(refused.text().contains("does not have (any more)"));
    assert_eq!(signing.with(&staying).await.status, 200);
    Ok(())
}

/// With keys that are known, while the address answers `bad`, of which the log says `said`.
async fn goes_on(bad: Reply, said: &str) {
    let first = SigningKey::first().unwrap();
    let second = SigningKey::second().unwrap();
    let signing = Signing::set(Reply::of(jwks(&[&first]))).await.unwrap();
    signing.until(&token(&first), 200).await;
    signing.server.reply(bad);
    // A key that is not known makes it ask, and while its pool cannot say, nobody can: 503, not 401.
    let refused = signing.until(&token(&second), 503).await;
    assert_eq!(refusal(&refused), (503, "unavailable".to_owned()));
    assert!(!refused.header("retry-after").is_empty());
    let logged = async || signing.stage.sidecar.log().contains(said).then_some(());
    poll_until(said, FETCHED, logged).await.unwrap();
    assert_eq!(signing.with(&token(&first)).await.status, 200, "{said}");
    signing.keys_work().await;
}

#[tokio::test]
async fn whatever_the_keys_address_answers_the_keys_that_are_known_go_on() -> Result<()> {
    let second = SigningKey::second()?;
    let elsewhere = KeyServer::start(Reply::of(jwks(&[&second]))).await?;
    let redirect = Reply::Answer {
        status: 302,
        headers: vec![("location", elsewhere.url())],
        body: String::new(),
    };
    let bad = [
        (Reply::with(500, "oh"), "it answers 500"),
        (Reply::of("<html>Sign in</html>"), "a page of HTML"),
        (Reply::of(""), "it is empty"),
        (Reply::of(r#"{"keys":[]}"#), "holds no key"),
        (Reply::of("x".repeat(300 * 1024)), "longer than 256 kB"),
        (redirect, "redirects are not followed"),
        (Reply::Silence, "no whole answer within 5 s"),
    ];
    join_all(bad.map(async |(bad, said)| goes_on(bad, said).await)).await;
    assert_eq!(elsewhere.asked(), 0);
    Ok(())
}

#[tokio::test]
async fn without_any_keys_tokens_are_answered_with_503_and_api_keys_as_ever() -> Result<()> {
    let first = SigningKey::first()?;
    let signing = Signing::set(Reply::with(500, "")).await?;
    let refused = signing.with(&token(&first)).await;
    assert_eq!(refusal(&refused), (503, "unavailable".to_owned()));
    signing.keys_work().await;
    let log = signing.stage.sidecar.log();
    assert!(
        log.contains("access tokens are answered with 503 until they come"),
        "{log}"
    );
    signing.server.reply(Reply::of(jwks(&[&first])));
    signing.until(&token(&first), 200).await;
    Ok(())
}

#[tokio::test]
async fn a_thousand_made_up_keys_do_not_make_it_ask_more_than_once_in_ten_seconds() -> Result<()> {
    let first = SigningKey::first()?;
    let signing = Signing::set(Reply::of(jwks(&[&first]))).await?;
    signing.until(&token(&first), 200).await;
    let begun = std::time::Instant::now();
    for n in 0..1000 {
        let header = json!({"alg": "RS256", "kid": format!("made-up-{n}")});
        let token = first.sign_text(&header.to_string(), &claims(json!({})).to_string())?;
        let refused = signing.with(&token).await;
        assert_eq!(refusal(&refused), (401, "invalid_credential".to_owned()));
    }
    // One at the start, and one in each ten seconds that it took.
    let most = 2 + begun.elapsed().as_secs() / 10;
    assert!(
        signing.server.asked() <= most,
        "{} fetches",
        signing.server.asked()
    );
    Ok(())
}

#[tokio::test]
async fn forged_tokens_are_refused_through_envoy() -> Result<()> {
    let (first, second) = (SigningKey::first()?, SigningKey::second()?);
    let signing = Signing::set(Reply::of(jwks(&[&first]))).await?;
    let good = token(&first);
    signing.until(&good, 200).await;
    let said = claims(json!({})).to_string();
    let (head, signature) = good.rsplit_once('.').unwrap();
    let (_, claimed) = head.split_once('.').unwrap();
    let none = first.sign_text(r#"{"alg":"none","kid":"first"}"#, &said)?;
    let brings = json!({"alg": "RS256", "kid": "first", "jku": signing.server.url(), "jwk": second.public()});
    for forged in [
        none.clone(),
        format!("{}.", none.rsplit_once('.').unwrap().0),
        second.sign_text(&brings.to_string(), &said)?,
        first.sign_text(r#"{"alg":"HS256","kid":"first"}"#, &said)?,
        first.sign(&claims(json!({"exp": now().as_second() - 31})))?,
        first.sign(&claims(
            json!({"exp": (now().as_second() + 60).to_string()}),
        ))?,
        first.sign(&claims(json!({"nbf": now().as_second() + 60})))?,
        first.sign(&claims(json!({"client_id": "other"})))?,
        first.sign(&claims(
            json!({"iss": "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_other"}),
        ))?,
        first.sign(&claims(json!({"sub": "nobody"})))?,
        head.to_owned(),
        format!("{good}.{signature}"),
        format!("{good}="),
        format!("{claimed}.{claimed}.{signature}"),
    ] {
        let refused = signing.with(&forged).await;
        assert_eq!(refusal(&refused), (401, "invalid_credential".to_owned()));
        assert!(refused.header("www-authenticate").contains("invalid_token"));
    }
    assert_eq!(signing.with(&good).await.status, 200);
    Ok(())
}
