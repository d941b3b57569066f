//! The OpenAPI document and its page, and what every answer says to browsers.

use glyph_harness::net::Answer;
use http::Method;
use serde_json::{Value, json};

use super::site::{SHOP, Site, code, headers};

/// All paths that are promised.
const PATHS: [(&str, &str); 24] = [
    ("post", "/auth/register"),
    ("post", "/auth/confirm"),
    ("post", "/auth/resend"),
    ("post", "/auth/login"),
    ("post", "/auth/challenge"),
    ("post", "/auth/refresh"),
    ("post", "/auth/logout"),
    ("post", "/auth/forgot"),
    ("post", "/auth/reset"),
    ("post", "/auth/email"),
    ("post", "/auth/email/confirm"),
    ("get", "/auth/me"),
    ("delete", "/auth/me"),
    ("get", "/billing/status"),
    ("post", "/billing/checkout"),
    ("post", "/billing/portal"),
    ("get", "/billing/usage"),
    ("get", "/billing/invoices"),
    ("get", "/plans"),
    ("post", "/api-keys/generate"),
    ("get", "/api-keys/list"),
    ("patch", "/api-keys/{key_id}"),
    ("post", "/api-keys/{key_id}/rotate"),
    ("delete", "/api-keys/{key_id}"),
];

#[tokio::test]
async fn the_document_and_its_page_name_every_path_and_need_nothing_from_elsewhere() {
    let site = Site::new("document").await;
    let document: Value = site.get("/openapi.json", None).await.json().unwrap();
    assert!(
        document["openapi"].as_str().unwrap().starts_with("3.1"),
        "{}",
        document["openapi"]
    );
    let page = site.get("/docs", None).await;
    assert!(page.header("content-type").starts_with("text/html"));
    let page = page.text();
    for (method, path) in PATHS {
        assert!(
            document["paths"][path][method].is_object(),
            "{method} {path}"
        );
        assert!(
            page.contains(&format!(
                "<span class=\"method\">{method}</span> {path}</code>"
            )),
            "{method} {path}"
        );
    }
    for foreign in ["<script", "src=", "http://", "https://", "@import", "url("] {
        assert!(!page.contains(foreign), "{foreign}");
    }
}

/// CASE 60
#[tokio::test]
async fn pages_of_foreign_origins_are_refused_and_no_cookie_is_ever_looked_at_or_set() {
    let site = Site::new("origins").await;
    let ada = site.member("ada").await;
    let ask = async |origin: &str| {
        let more = [("origin", origin)];
        site.post_with("/billing/portal", Some(&ada.token), &json!({}), &more)
            .await
    };
    let foreign = ask("https://evil.example").await;
    assert_eq!(code(&foreign, 403), "foreign_origin");
    assert_eq!(foreign.header("access-control-allow-origin"), "");
    let own = ask(SHOP).await;
    assert_eq!(
        (own.status, own.header("access-control-allow-origin")),
        (200, SHOP.to_owned())
    );
    let preflight = async |origin: &str| {
        let asks = [
            ("origin", origin),
            ("access-control-request-method", "POST"),
        ];
        site.ask(
            Method::OPTIONS,
            "/billing/portal",
            &headers(None, &asks),
            Vec::new(),
        )
        .await
    };
    assert_eq!(
        preflight(SHOP).await.header("access-control-allow-origin"),
        SHOP
    );
    assert_eq!(
        preflight("https://evil.example")
            .await
            .header("access-control-allow-origin"),
        ""
    );
    let cookie = format!("access_token={}; session={}", ada.token, ada.token);
    let by_cookie = site
        .post_with("/billing/portal", None, &json!({}), &[("cookie", &cookie)])
        .await;
    assert_eq!(code(&by_cookie, 401), "missing_credential");
    assert!(by_cookie.header("www-authenticate").starts_with("Bearer"));
    let answers = [
        foreign,
        own,
        by_cookie,
        site.get("/plans", None).await,
        site.get("/docs", None).await,
    ];
    answers.iter().for_each(guarded);
}

fn guarded(answer: &Answer) {
    assert_eq!(answer.header("set-cookie"), "");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(answer.header("x-frame-options"), "DENY");
    assert!(
        answer
            .header("content-security-policy")
            .contains("default-src 'none'")
    );
    assert!(
        answer
            .header("content-security-policy")
            .contains("frame-ancestors 'none'")
    );
    assert!(
        answer
            .header("strict-transport-security")
            .contains("max-age")
    );
    assert!(
        answer.header("ratelimit").starts_with("\"address\";r="),
        "{:?}",
        answer.headers
    );
}

/// CASES 35 and 58
#[tokio::test]
async fn prices_customers_roles_and_return_addresses_of_the_callers_are_refused() {
    let site = Site::new("fields").await;
    let ada = site.member("ada").await;
    for (path, body) in [
        (
            "/billing/checkout",
            json!({"tier": "starter", "price": "price_1"}),
        ),
        (
            "/billing/checkout",
            json!({"tier": "starter", "customer": "cus_1"}),
        ),
        (
            "/billing/checkout",
            json!({"tier": "starter", "success_url": "https://evil.example"}),
        ),
        (
            "/billing/portal",
            json!({"return_url": "https://evil.example"}),
        ),
        ("/billing/portal", json!({"customer": "cus_1"})),
        ("/api-keys/generate", json!({"customer": "somebody"})),
        (
            "/api-keys/generate",
            json!({"tier": "enterprise", "role": "admin"}),
        ),
        (
            "/auth/register",
            json!({"email": "a@b.example", "password": "Correct-horse-7", "role": "admin"}),
        ),
    ] {
        let answer = site.post(path, Some(&ada.token), &body).await;
        assert_eq!(code(&answer, 400), "invalid_request", "{path} {body}");
    }
    for (tier, wanted) in [
        ("free", "not_for_sale"),
        ("enterprise", "not_for_sale"),
        ("none", "invalid_value"),
    ] {
        let answer = site
            .post(
                "/billing/checkout",
                Some(&ada.token),
                &json!({"tier": tier}),
            )
            .await;
        assert_eq!(code(&answer, 422), wanted, "{tier}");
    }
    assert_eq!(site.stage.ever("checkout.session"), 0);
}

#[tokio::test]
async fn what_cannot_be_read_is_answered_with_what_is_wrong() {
    let site = Site::new("unreadable").await;
    let large = vec![b' '; 40_000];
    let json_type = headers(None, &[("content-type", "application/json")]);
    let answer = site
        .ask(Method::POST, "/auth/login", &json_type, large)
        .await;
    assert_eq!(code(&answer, 413), "body_too_large");
    let form = headers(
        None,
        &[("content-type", "application/x-www-form-urlencoded")],
    );
    let answer = site
        .ask(Method::POST, "/auth/login", &form, b"email=a".to_vec())
        .await;
    assert_eq!(code(&answer, 415), "unsupported_media_type");
    let answer = site
        .post("/auth/login", None, &json!({"email": "a@b.example"}))
        .await;
    assert_eq!(code(&answer, 400), "invalid_request");
    assert!(answer.text().contains("password"), "{}", answer.text());
    assert_eq!(code(&site.get("/nowhere", None).await, 404), "not_found");
    assert_eq!(
        code(&site.get("/auth/login", None).await, 405),
        "method_not_allowed"
    );
}
