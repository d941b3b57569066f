//! Many at once: never a key over the limit, never two users of one address.

use futures::future::join_all;
use glyph_crds::{ApiKey, GlyphCustomer};
use kube::api::ListParams;
use serde_json::{Value, json};

use super::site::{PASSWORD, Site, code};

/// CASE 61
#[tokio::test]
async fn fifty_who_ask_for_keys_at_once_get_as_many_as_may_be_and_not_one_more() {
    let site = Site::with("fifty", |settings| {
        settings.set("GLYPH_ACCOUNT_MAX_KEYS", "7")
    })
    .await;
    let ada = site.member("ada").await;
    site.subscribe(&ada, "starter").await;
    let ask = async |turn: usize| {
        let body = json!({"name": format!("key {turn}")});
        site.post("/api-keys/generate", Some(&ada.token), &body)
            .await
    };
    let answers = join_all((0..50).map(ask)).await;
    let (made, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 201);
    assert_eq!(
        made.len(),
        7,
        "{:?}",
        answers
            .iter()
            .map(|answer| answer.status)
            .collect::<Vec<_>>()
    );
    for answer in refused {
        assert_eq!(code(answer, 409), "key_limit_reached");
    }
    let mut texts: Vec<_> = made
        .iter()
        .map(|answer| answer.json::<Value>().unwrap()["key"].clone())
        .collect();
    texts.sort_by_key(Value::to_string);
    texts.dedup();
    assert!(
        texts.len() == 7 && texts.iter().all(Value::is_string),
        "each key was shown to one"
    );
    let keys = site
        .stage
        .namespace
        .api::<ApiKey>()
        .list(&ListParams::default())
        .await
        .unwrap();
    assert_eq!(keys.items.len(), 7);

    let id = made[0].json::<Value>().unwrap()["api_key"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    site.send(
        http::Method::DELETE,
        &format!("/api-keys/{id}"),
        &ada.token,
        &Value::Null,
    )
    .await;
    let answers = join_all((50..60).map(ask)).await;
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(made, 1, "a revoked key gives way to one other");
}

/// CASE 40
#[tokio::test]
async fn twenty_registrations_of_one_address_at_once_make_one_user_and_one_customer() {
    let site = Site::with("twenty", |settings| {
        settings.set("GLYPH_ACCOUNT_ATTEMPTS_PER_EMAIL", "100")
    })
    .await;
    let email = site.stage.email("ada");
    let register = async |email: String| {
        let body = json!({"email": email, "password": PASSWORD});
        site.post("/auth/register", None, &body).await
    };
    let upper = email.to_uppercase();
    let answers = join_all((0..20).map(|turn| {
        register(if turn % 2 == 0 {
            email.clone()
        } else {
            upper.clone()
        })
    }))
    .await;
    for answer in &answers {
        assert_eq!((answer.status, answer.text()), (202, answers[0].text()));
    }
    let users = site.stage.cognito.users().await.unwrap();
    assert_eq!(
        users
            .iter()
            .filter(|user| user["email"] == email.as_str())
            .count(),
        1
    );
    let customers = site
        .stage
        .namespace
        .api::<GlyphCustomer>()
        .list(&ListParams::default())
        .await
        .unwrap();
    assert_eq!(customers.items.len(), 1);
    site.confirm(&email).await;
    site.log_in(&email).await;
    assert_eq!(
        site.stage
            .namespace
            .api::<GlyphCustomer>()
            .list(&ListParams::default())
            .await
            .unwrap()
            .items
            .len(),
        1
    );
}
