//! A customer's way: register, confirm, log in, pay, make a key, rename, rotate and revoke it; credits; another plan; the end.

use glyph_crds::{ApiKey, CreditPurchase, GlyphCustomer, Subscription};
use glyph_harness::poll_until;
use http::Method;
use k8s_openapi::api::core::v1::Secret;
use kube::api::ListParams;
use serde_json::{Value, json};

use super::site::{PASSWORD, Site, code};
use crate::stage::SOON;

#[tokio::test]
async fn a_customer_registers_pays_and_gets_a_key_that_is_shown_once() {
    let site = Site::with("journey", |settings| settings.set("GLYPH_LOG", "trace")).await;
    let ada = site.member("ada").await;
    assert_eq!(ada.login["user"]["email"], ada.email.as_str());
    let billing = &ada.login["billing"];
    assert_eq!(
        (&billing["tier"], &billing["subscription"]),
        (&json!("free"), &Value::Null)
    );

    let checkout = site
        .post(
            "/billing/checkout",
            Some(&ada.token),
            &json!({"tier": "starter"}),
        )
        .await;
    assert_eq!(checkout.status, 200, "{}", checkout.text());
    let checkout: Value = checkout.json().unwrap();
    assert_eq!(
        (&checkout["status"], &checkout["kind"]),
        (&json!("open"), &json!("subscription"))
    );

    let unpaid = site
        .post("/api-keys/generate", Some(&ada.token), &json!({}))
        .await;
    assert_eq!(code(&unpaid, 402), "payment_required");
    let unpaid: Value = unpaid.json().unwrap();
    assert_eq!(unpaid["pay_at"], checkout["url"]);

    site.pay(&checkout);
    let billing = site
        .billing_until(&ada, "an active subscription", |b| {
            b["subscription"]["status"] == "active"
        })
        .await;
    assert_eq!(billing["tier"], "starter");
    let look = format!("/billing/checkout/{}", checkout["id"].as_str().unwrap());
    let look: Value = site.get(&look, Some(&ada.token)).await.json().unwrap();
    assert_eq!(look["status"], "complete");

    let (key, id) = site.key(&ada, "laptop").await;
    assert!(key.starts_with("glyph_sk_live_"), "the form of a key");
    let secrets = site.stage.namespace.api::<Secret>();
    let secrets = secrets.list(&ListParams::default()).await.unwrap();
    assert!(
        secrets.items.is_empty(),
        "the Secret is gone with the answer"
    );
    let listed: Value = site
        .get("/api-keys/list", Some(&ada.token))
        .await
        .json()
        .unwrap();
    let shown = &listed["data"][0];
    assert_eq!(
        (&shown["id"], &shown["name"], &shown["status"]),
        (&json!(id), &json!("laptop"), &json!("active"))
    );
    assert!(
        !listed.to_string().contains(&key) && key.starts_with(shown["prefix"].as_str().unwrap())
    );

    let path = format!("/api-keys/{id}");
    let renamed = site
        .send(
            Method::PATCH,
            &path,
            &ada.token,
            &json!({"name": "desktop"}),
        )
        .await;
    assert_eq!(renamed.json::<Value>().unwrap()["name"], "desktop");
    let rotated = site
        .post(
            &format!("{path}/rotate"),
            Some(&ada.token),
            &json!({"overlap_seconds": 60}),
        )
        .await;
    assert_eq!(rotated.status, 201, "{}", rotated.text());
    let rotated: Value = rotated.json().unwrap();
    assert_eq!(rotated["api_key"]["id"], json!(id));
    assert_ne!(rotated["key"], json!(key));
    let revoked = site
        .send(Method::DELETE, &path, &ada.token, &Value::Null)
        .await;
    assert_eq!(revoked.json::<Value>().unwrap()["status"], "revoked");
    let again = site
        .post(&format!("{path}/rotate"), Some(&ada.token), &json!({}))
        .await;
    assert_eq!(code(&again, 409), "key_not_active");
    assert!(!site.operator.log().contains(&key), "no key in the log");
    assert!(!site.operator.log().contains(&ada.token) && !site.operator.log().contains(PASSWORD));
}

/// CASE 61
#[tokio::test]
async fn a_request_that_is_sent_again_makes_no_second_key_and_shows_none() {
    let site = Site::new("again").await;
    let ada = site.member("ada").await;
    site.subscribe(&ada, "starter").await;
    let under = [("idempotency-key", "one")];
    let ask = async |body: Value| {
        site.post_with("/api-keys/generate", Some(&ada.token), &body, &under)
            .await
    };
    let all = futures::future::join_all((0..8).map(|_| ask(json!({"name": "laptop"})))).await;
    let shown = all
        .iter()
        .filter(|answer| answer.json::<Value>().unwrap()["key"].is_string());
    assert_eq!(
        shown.count(),
        1,
        "{:?}",
        all.iter().map(|a| a.text()).collect::<Vec<_>>()
    );
    assert!(all.iter().all(|answer| matches!(answer.status, 200 | 201)));
    let keys = site
        .stage
        .namespace
        .api::<ApiKey>()
        .list(&ListParams::default())
        .await
        .unwrap();
    assert_eq!(keys.items.len(), 1);
    let other = ask(json!({"name": "desktop"})).await;
    assert_eq!(code(&other, 422), "idempotency_key_reused");
}

/// CASES 22 and 23
#[tokio::test]
async fn a_double_click_on_checkout_makes_one_payable_session() {
    let site = Site::new("double").await;
    let ada = site.member("ada").await;
    let click = async || {
        let answer = site
            .post(
                "/billing/checkout",
                Some(&ada.token),
                &json!({"tier": "starter"}),
            )
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json::<Value>().unwrap()
    };
    let clicks = futures::future::join_all((0..6).map(|_| click())).await;
    assert!(
        clicks.iter().all(|one| one["url"] == clicks[0]["url"]),
        "{clicks:?}"
    );
    assert_eq!(
        (
            site.stage.ever("customer"),
            site.stage.ever("checkout.session")
        ),
        (1, 1)
    );
    site.pay(&clicks[0]);
    // The person is back before the webhook is, and tries again.
    let early = site
        .post(
            "/billing/checkout",
            Some(&ada.token),
            &json!({"tier": "starter"}),
        )
        .await;
    assert!(matches!(early.status, 200 | 202 | 409), "{}", early.text());
    site.billing_until(&ada, "the plan to be in force", |b| b["tier"] == "starter")
        .await;
    let late = site
        .post(
            "/billing/checkout",
            Some(&ada.token),
            &json!({"tier": "starter"}),
        )
        .await;
    assert_eq!(code(&late, 409), "already_subscribed");
    assert_eq!(
        (
            site.stage.ever("checkout.session"),
            site.stage.ever("subscription")
        ),
        (1, 1)
    );
}

#[tokio::test]
async fn a_customer_moves_to_another_plan_and_buys_credits() {
    let site = Site::new("more").await;
    let ada = site.member("ada").await;
    site.subscribe(&ada, "starter").await;
    let dearer = site
        .post(
            "/billing/checkout",
            Some(&ada.token),
            &json!({"tier": "professional"}),
        )
        .await;
    assert_eq!(dearer.status, 200, "{}", dearer.text());
    assert_eq!(dearer.json::<Value>().unwrap()["status"], "complete");
    let billing = site
        .billing_until(&ada, "the dearer plan", |b| b["tier"] == "professional")
        .await;
    assert_eq!(billing["quota"]["limit"], 100_000);
    let cheaper = site
        .post(
            "/billing/checkout",
            Some(&ada.token),
            &json!({"tier": "starter"}),
        )
        .await;
    let cheaper: Value = cheaper.json().unwrap();
    assert_eq!(
        (&cheaper["status"], &cheaper["pending_tier"]),
        (&json!("complete"), &json!("starter"))
    );

    let wish = json!({"credit_pack": "extra", "quantity": 2});
    let pack = site
        .post("/billing/checkout", Some(&ada.token), &wish)
        .await;
    let pack: Value = pack.json().unwrap();
    assert_eq!(
        (&pack["status"], &pack["kind"]),
        (&json!("open"), &json!("credits"))
    );
    let same: Value = site
        .post("/billing/checkout", Some(&ada.token), &wish)
        .await
        .json()
        .unwrap();
    assert_eq!(same["url"], pack["url"]);
    site.pay(&pack);
    let credited = |b: &Value| b["credits"]["remaining"] == 10_000;
    site.billing_until(&ada, "the credits", credited).await;
    let usage: Value = site
        .get("/billing/usage", Some(&ada.token))
        .await
        .json()
        .unwrap();
    assert_eq!(
        (&usage["credits"]["remaining"], &usage["quota"]["used"]),
        (&json!(10_000), &json!(0))
    );
    let another: Value = site
        .post("/billing/checkout", Some(&ada.token), &wish)
        .await
        .json()
        .unwrap();
    assert_ne!(another["id"], pack["id"]);
    let purchases = site
        .stage
        .namespace
        .api::<CreditPurchase>()
        .list(&ListParams::default())
        .await;
    assert_eq!(purchases.unwrap().items.len(), 2);

    let invoices: Value = site
        .get("/billing/invoices?limit=1", Some(&ada.token))
        .await
        .json()
        .unwrap();
    assert_eq!(invoices["data"].as_array().unwrap().len(), 1, "{invoices}");
    assert_eq!(invoices["has_more"], true);
    let next = format!(
        "/billing/invoices?cursor={}",
        invoices["next_cursor"].as_str().unwrap()
    );
    let next: Value = site.get(&next, Some(&ada.token)).await.json().unwrap();
    assert_ne!(next["data"][0]["id"], invoices["data"][0]["id"]);
    assert!(next["data"][0]["hosted_url"].is_string(), "{next}");
    let portal: Value = site
        .post("/billing/portal", Some(&ada.token), &json!({}))
        .await
        .json()
        .unwrap();
    assert!(
        portal["url"].as_str().unwrap().starts_with("http"),
        "{portal}"
    );
}

#[tokio::test]
async fn a_deleted_account_leaves_no_key_no_subscription_and_no_login_but_the_books() {
    let site = Site::new("delete").await;
    let ada = site.member("ada").await;
    site.subscribe(&ada, "starter").await;
    site.key(&ada, "laptop").await;
    let deleted = site
        .send(Method::DELETE, "/auth/me", &ada.token, &Value::Null)
        .await;
    assert_eq!(deleted.status, 200, "{}", deleted.text());
    assert!(deleted.text().contains("Stripe"), "{}", deleted.text());
    let namespace = &site.stage.namespace;
    poll_until("nothing to be left", SOON, async || {
        let all = ListParams::default();
        let keys = namespace.api::<ApiKey>().list(&all).await.ok()?.items.len();
        let subscriptions = namespace
            .api::<Subscription>()
            .list(&all)
            .await
            .ok()?
            .items
            .len();
        let customers = namespace
            .api::<GlyphCustomer>()
            .list(&all)
            .await
            .ok()?
            .items
            .len();
        (keys + subscriptions + customers == 0).then_some(())
    })
    .await
    .unwrap();
    let subscriptions = site.stage.stripe.control().objects("subscription");
    assert!(
        subscriptions.iter().all(|s| s["status"] == "canceled"),
        "{subscriptions:?}"
    );
    assert_eq!(
        site.stage.living("customer"),
        1,
        "the books keep their customer"
    );
    assert_eq!(site.stage.cognito.user(&ada.email).await.unwrap(), None);
    let after = site.get("/auth/me", Some(&ada.token)).await;
    assert_eq!(code(&after, 401), "invalid_credential");
    let login = json!({"email": ada.email, "password": PASSWORD});
    assert_eq!(
        code(&site.post("/auth/login", None, &login).await, 401),
        "invalid_login"
    );
}

#[tokio::test]
async fn a_plan_that_cannot_be_charged_is_not_bought_and_not_asked_for_any_more() {
    let site = Site::new("declined").await;
    let ada = site.member("ada").await;
    site.subscribe(&ada, "starter").await;
    let in_stripe = site.stage.stripe.control().objects("subscription");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let (id, customer) = (text(&in_stripe[0]["id"]), text(&in_stripe[0]["customer"]));
    let path = "/v1/payment_methods/pm_card_chargeCustomerFail/attach";
    let card = site
        .stage
        .in_dashboard("POST", path, &format!("customer={customer}"))
        .await;
    let form = format!("default_payment_method={}", text(&card["id"]));
    site.stage
        .in_dashboard("POST", &format!("/v1/subscriptions/{id}"), &form)
        .await;
    let wish = json!({"tier": "professional"});
    let refused = site
        .post("/billing/checkout", Some(&ada.token), &wish)
        .await;
    assert_eq!(code(&refused, 402), "payment_required");
    let billing: Value = site
        .get("/billing/status", Some(&ada.token))
        .await
        .json()
        .unwrap();
    assert_eq!(
        (&billing["tier"], &billing["subscription"]["tier"]),
        (&json!("starter"), &json!("starter"))
    );
}

/// Who has an address that an older customer has pays for nothing, until somebody has joined the two.
#[tokio::test]
async fn an_address_of_an_older_customer_opens_nothing() {
    let site = Site::new("older").await;
    let email = site.stage.email("ada");
    site.stage.customer("ada").await;
    site.stage
        .condition::<GlyphCustomer>("ada", "Ready", "True", "Linked")
        .await;
    site.stage.next_second("ada").await;
    let ada = site.member("ada").await;
    assert_eq!(ada.email, email);
    let refused = poll_until("the conflict to be noticed", SOON, async || {
        let answer = site
            .post("/api-keys/generate", Some(&ada.token), &json!({}))
            .await;
        (answer.status == 409).then_some(answer)
    });
    assert_eq!(code(&refused.await.unwrap(), 409), "conflict");
}

/// The replica that leads is stopped in the middle: the other one answers, and shows the key when it can be made.
#[tokio::test]
async fn every_replica_answers_and_what_takes_too_long_is_shown_when_it_is_asked_for_again() {
    let mut site = Site::with("replicas", |settings| {
        settings.set("GLYPH_LEASE_DURATION", "60")
    })
    .await;
    let ada = site.member("ada").await;
    site.subscribe(&ada, "starter").await;
    let port = glyph_harness::net::loopback(glyph_harness::net::free_port().unwrap());
    let settings = site
        .stage
        .settings()
        .redis(&site.redis)
        .set("GLYPH_ACCOUNT_API", "true");
    let settings = settings
        .set("GLYPH_LISTEN", port.to_string())
        .set("GLYPH_ACCOUNT_WAIT", "1");
    let other = site
        .stage
        .operator_with(settings.set("GLYPH_LEASE_DURATION", "60"))
        .await;
    let leader = std::mem::replace(&mut site.base, format!("http://{port}"));
    let ask = async |site: &Site| {
        let under = [("idempotency-key", "one")];
        let wish = json!({"name": "laptop"});
        site.post_with("/api-keys/generate", Some(&ada.token), &wish, &under)
            .await
    };
    site.operator.pause();
    let late = ask(&site).await;
    assert_eq!(late.status, 202, "{}", late.text());
    let location = late.header("location");
    let look: Value = site.get(&location, Some(&ada.token)).await.json().unwrap();
    assert_eq!(look["status"], "pending", "{look}");
    site.operator.resume();
    poll_until("the key to be made", SOON, async || {
        let look: Value = site.get(&location, Some(&ada.token)).await.json().ok()?;
        (look["status"] == "active").then_some(())
    })
    .await
    .unwrap();
    let shown = ask(&site).await;
    assert_eq!(shown.status, 201, "{}", shown.text());
    assert!(shown.json::<Value>().unwrap()["key"].is_string());
    site.base = leader;
    let again = ask(&site).await;
    assert_eq!(
        (again.status, again.json::<Value>().unwrap()["key"].clone()),
        (200, Value::Null)
    );
    assert!(other.is_running());
}
