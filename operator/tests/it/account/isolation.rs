//! One customer reaches nothing of another's: tried over every path of the served document, with every id of the other, in
//! every place that takes one.

use http::Method;
use serde_json::{Map, Value, json};

use super::site::{Member, Site, headers};

/// What somebody has that nobody else may see.
struct Possessions {
    ids: Vec<String>,
    secrets: Vec<String>,
}

async fn possessions(site: &Site, of: &Member) -> Possessions {
    site.subscribe(of, "starter").await;
    let (key, key_id) = site.key(of, "a key of Bob's").await;
    let checkout = site
        .post(
            "/billing/checkout",
            Some(&of.token),
            &json!({"credit_pack": "extra"}),
        )
        .await;
    let checkout: Value = checkout.json().unwrap();
    let invoices: Value = site
        .get("/billing/invoices", Some(&of.token))
        .await
        .json()
        .unwrap();
    let invoice = &invoices["data"][0];
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let keys: Value = site
        .get("/api-keys/list", Some(&of.token))
        .await
        .json()
        .unwrap();
    let customer = site.stage.stripe.control().objects("customer");
    let customer = customer
        .iter()
        .find(|c| c["email"] == of.email.as_str())
        .unwrap();
    Possessions {
        ids: vec![
            key_id,
            text(&checkout["id"]),
            text(&invoice["id"]),
            text(&of.login["user"]["id"]),
            text(&customer["id"]),
        ],
        secrets: vec![
            key,
            of.email.clone(),
            "a key of Bob's".to_owned(),
            text(&keys["data"][0]["prefix"]),
            text(&checkout["url"]),
            text(&invoice["hosted_url"]),
        ],
    }
}

/// What Bob sees of his own.
async fn seen(site: &Site, of: &Member) -> Vec<Value> {
    let mut all = Vec::new();
    for path in [
        "/auth/me",
        "/api-keys/list",
        "/billing/status",
        "/billing/invoices",
    ] {
        all.push(site.get(path, Some(&of.token)).await.json().unwrap());
    }
    all
}

/// A body whose every text is `id`.
fn body(document: &Value, operation: &Value, id: &str) -> Value {
    let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
    let Some(name) = schema["$ref"]
        .as_str()
        .and_then(|reference| reference.rsplit('/').next())
    else {
        return Value::Null;
    };
    let properties = document["components"]["schemas"][name]["properties"]
        .as_object()
        .unwrap();
    let fields = properties.iter().filter(|(_, field)| {
        let kind = field["type"].to_string();
        kind.contains("string")
    });
    fields
        .map(|(name, _)| (name.clone(), json!(id)))
        .collect::<Map<_, _>>()
        .into()
}

/// CASE 58
#[tokio::test]
async fn one_customer_reaches_nothing_of_anothers_by_any_path_and_id() {
    let many = |settings: glyph_harness::Settings| {
        settings
            .set("GLYPH_ACCOUNT_ATTEMPTS_PER_ADDRESS", "100000")
            .set("GLYPH_ACCOUNT_ATTEMPTS_PER_EMAIL", "100000")
    };
    let site = Site::with("isolation", many).await;
    let bob = site.member("bob").await;
    let mut eve = site.member("eve").await;
    let of_bob = possessions(&site, &bob).await;
    let before = seen(&site, &bob).await;
    let document: Value = site.get("/openapi.json", None).await.json().unwrap();
    let mut tried = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let takes_id = path.contains('{');
            for id in &of_bob.ids {
                let at = path.split('/').map(|part| {
                    if part.starts_with('{') {
                        id.as_str()
                    } else {
                        part
                    }
                });
                let at = at.collect::<Vec<_>>().join("/");
                let queries =
                    ["cursor", "key_id", "customer"].map(|name| format!("{at}?{name}={id}"));
                for at in queries.into_iter().chain([at]) {
                    let method: Method = method.to_uppercase().parse().unwrap();
                    let body = body(&document, operation, id);
                    let body = if body.is_null() {
                        Vec::new()
                    } else {
                        body.to_string().into()
                    };
                    let sent = headers(
                        Some(&eve.token),
                        &[
                            ("content-type", "application/json"),
                            ("idempotency-key", id),
                        ],
                    );
                    let answer = site.ask(method.clone(), &at, &sent, body).await;
                    tried += 1;
                    let text = answer.text();
                    for secret in &of_bob.secrets {
                        assert!(
                            !text.contains(secret),
                            "{method} {at} shows {secret}: {text}"
                        );
                    }
                    let done = (200..300).contains(&answer.status);
                    assert!(!(takes_id && done), "{method} {at} was done: {text}");
                    if takes_id && method == Method::GET && !at.contains('?') {
                        assert_eq!(answer.status, 404, "{method} {at}: {text}");
                    }
                    // Logging out and deleting the account are done, to Eve.
                    if site.get("/auth/me", Some(&eve.token)).await.status != 200 {
                        eve = site.member(&format!("eve{tried}")).await;
                    }
                }
            }
        }
    }
    assert!(tried > 200, "{tried}");
    assert_eq!(
        seen(&site, &bob).await,
        before,
        "nothing of Bob's has changed"
    );
}
