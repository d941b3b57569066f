//! Logins: nobody learns who is known, tokens of others are nobody's, users of the pool that are there already come in.

use glyph_crds::GlyphCustomer;
use glyph_harness::net::Answer;
use kube::api::ListParams;
use serde_json::{Value, json};

use super::site::{PASSWORD, Site, code};

/// CASE 40
#[tokio::test]
async fn nothing_tells_whether_an_address_is_known() {
    let site = Site::new("known").await;
    let ada = site.member("ada").await;
    let nobody = site.stage.email("nobody");
    let same = async |path: &str, of: &dyn Fn(&str) -> Value| {
        let known = site.post(path, None, &of(&ada.email)).await;
        let unknown = site.post(path, None, &of(&nobody)).await;
        assert_eq!(
            (known.status, known.text()),
            (unknown.status, unknown.text()),
            "{path}"
        );
        known
    };
    let login = |email: &str| json!({"email": email, "password": "Wrong-horse-7"});
    assert_eq!(
        code(&same("/auth/login", &login).await, 401),
        "invalid_login"
    );
    for path in ["/auth/forgot", "/auth/resend"] {
        assert_eq!(
            same(path, &|email| json!({"email": email})).await.status,
            202
        );
    }
    let reset = |email: &str| json!({"email": email, "code": "000000", "password": PASSWORD});
    assert_eq!(
        code(&same("/auth/reset", &reset).await, 422),
        "invalid_code"
    );
    let confirm = |email: &str| json!({"email": email, "code": "000000"});
    assert_eq!(
        code(&same("/auth/confirm", &confirm).await, 422),
        "invalid_code"
    );
    // A weak password tells it neither: it is refused before the pool is asked.
    let weak = |email: &str| json!({"email": email, "password": "weak"});
    assert_eq!(
        code(&same("/auth/register", &weak).await, 422),
        "invalid_value"
    );
    let strong = |email: &str| json!({"email": email, "password": PASSWORD});
    assert_eq!(same("/auth/register", &strong).await.status, 202);
}

#[tokio::test]
async fn a_forgotten_password_is_set_anew_and_a_new_address_counts_once_it_is_confirmed() {
    let site = Site::new("forgot").await;
    let ada = site.member("ada").await;
    let cognito = site.stage.cognito;
    site.post("/auth/forgot", None, &json!({"email": ada.email}))
        .await;
    let sent = cognito.code_sent_to(&ada.email).unwrap();
    let body = json!({"email": ada.email, "code": sent, "password": "Another-horse-8"});
    let reset = site.post("/auth/reset", None, &body).await;
    assert_eq!(reset.status, 200, "{}", reset.text());
    let login = async |email: &str, password: &str| {
        site.post(
            "/auth/login",
            None,
            &json!({"email": email, "password": password}),
        )
        .await
    };
    assert_eq!(
        code(&login(&ada.email, PASSWORD).await, 401),
        "invalid_login"
    );
    assert_eq!(login(&ada.email, "Another-horse-8").await.status, 200);

    let new = site.stage.email("ada.new");
    let asked = site
        .post("/auth/email", Some(&ada.token), &json!({"email": new}))
        .await;
    assert_eq!(asked.status, 202, "{}", asked.text());
    let wrong = site
        .post(
            "/auth/email/confirm",
            Some(&ada.token),
            &json!({"code": "000000"}),
        )
        .await;
    assert_eq!(code(&wrong, 422), "invalid_code");
    let sent = cognito.code_sent_to(&new).unwrap();
    let changed = site
        .post(
            "/auth/email/confirm",
            Some(&ada.token),
            &json!({"code": sent}),
        )
        .await;
    assert_eq!(changed.status, 200, "{}", changed.text());
    assert_eq!(changed.json::<Value>().unwrap()["email"], new.as_str());
    let customers = site
        .stage
        .namespace
        .api::<GlyphCustomer>()
        .list(&ListParams::default())
        .await
        .unwrap();
    assert_eq!(
        (customers.items.len(), &customers.items[0].spec.email),
        (1, &new)
    );
    assert_eq!(login(&new, "Another-horse-8").await.status, 200);
}

#[tokio::test]
async fn tokens_are_refreshed_and_all_of_them_end_with_a_logout() {
    let site = Site::new("logout").await;
    let ada = site.member("ada").await;
    let elsewhere = site.log_in(&ada.email).await;
    let refresh = json!({"refresh_token": ada.login["tokens"]["refresh_token"]});
    let refreshed = site.post("/auth/refresh", None, &refresh).await;
    assert_eq!(refreshed.status, 200, "{}", refreshed.text());
    let fresh = refreshed.json::<Value>().unwrap()["access_token"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(site.get("/auth/me", Some(&fresh)).await.status, 200);
    let out = site.post("/auth/logout", Some(&fresh), &json!({})).await;
    assert_eq!(out.status, 200, "{}", out.text());
    for token in [&fresh, &ada.token, &elsewhere.token] {
        assert_eq!(
            code(&site.get("/auth/me", Some(token)).await, 401),
            "invalid_credential"
        );
    }
    assert_eq!(
        code(&site.post("/auth/refresh", None, &refresh).await, 401),
        "invalid_login"
    );
}

/// CASES 36 to 38
#[tokio::test]
async fn a_token_of_another_kind_client_or_make_is_nobodys() {
    let site = Site::new("tokens").await;
    let ada = site.member("ada").await;
    let cognito = site.stage.cognito;
    let client = json!({"UserPoolId": cognito.pool_id(), "ClientName": "other", "ExplicitAuthFlows": ["ALLOW_USER_PASSWORD_AUTH"]});
    let client = cognito.call("CreateUserPoolClient", &client).await.unwrap();
    let login = json!({
        "ClientId": client["UserPoolClient"]["ClientId"], "AuthFlow": "USER_PASSWORD_AUTH",
        "AuthParameters": {"USERNAME": ada.email, "PASSWORD": PASSWORD},
    });
    let login = cognito.call("InitiateAuth", &login).await.unwrap();
    let foreign = login["AuthenticationResult"]["AccessToken"]
        .as_str()
        .unwrap()
        .to_owned();
    let id_token = ada.login["tokens"]["id_token"].as_str().unwrap().to_owned();
    let (head, rest) = ada.token.split_once('.').unwrap();
    let unsigned = format!("{head}.{}.", rest.split_once('.').unwrap().0);
    let tampered = format!("{}x", ada.token);
    for token in [
        foreign,
        id_token,
        unsigned,
        tampered,
        "a.b.c".to_owned(),
        "glyph_sk_live_x".to_owned(),
    ] {
        assert_eq!(
            code(&site.get("/auth/me", Some(&token)).await, 401),
            "invalid_credential",
            "{token}"
        );
    }
    assert_eq!(
        code(&site.get("/auth/me", None).await, 401),
        "missing_credential"
    );
}

#[tokio::test]
async fn a_user_that_the_pool_had_before_comes_in_by_a_new_password_and_gets_a_customer() {
    let site = Site::new("before").await;
    let email = site.stage.email("old");
    let user = json!({
        "UserPoolId": site.stage.cognito.pool_id(), "Username": email, "TemporaryPassword": "Temporary-1",
        "UserAttributes": [{"Name": "email", "Value": email}, {"Name": "email_verified", "Value": "true"}],
    });
    site.stage
        .cognito
        .call("AdminCreateUser", &user)
        .await
        .unwrap();
    let login = json!({"email": email, "password": "Temporary-1"});
    let asked: Value = site.post("/auth/login", None, &login).await.json().unwrap();
    assert_eq!(asked["status"], "challenge", "{asked}");
    assert_eq!(asked["question"]["challenge"], "new_password_required");
    let reply = |session: &Value| {
        json!({
            "challenge": "new_password_required", "session": session, "email": email, "answer": PASSWORD,
        })
    };
    let wrong: Answer = site
        .post("/auth/challenge", None, &reply(&json!("nonsense")))
        .await;
    assert_eq!(code(&wrong, 401), "invalid_login");
    let done = site
        .post(
            "/auth/challenge",
            None,
            &reply(&asked["question"]["session"]),
        )
        .await;
    assert_eq!(done.status, 200, "{}", done.text());
    let done: Value = done.json().unwrap();
    assert_eq!(
        (&done["status"], &done["billing"]["tier"]),
        (&json!("complete"), &json!("free"))
    );
    let customers = site
        .stage
        .namespace
        .api::<GlyphCustomer>()
        .list(&ListParams::default())
        .await
        .unwrap();
    assert_eq!(customers.items.len(), 1);
}

/// A customer that was made with kubectl and names the user is the user's; one that has but the address is not.
#[tokio::test]
async fn a_customer_made_by_hand_is_found_by_its_user() {
    let site = Site::new("byhand").await;
    let email = site.stage.email("ada");
    let cognito = json!({"create": true});
    site.stage
        .create::<GlyphCustomer>("acme", json!({"email": email, "cognito": cognito}))
        .await;
    site.stage
        .condition::<GlyphCustomer>("acme", "Ready", "True", "Linked")
        .await;
    let password = json!({
        "UserPoolId": site.stage.cognito.pool_id(), "Username": email, "Password": PASSWORD, "Permanent": true,
    });
    site.stage
        .cognito
        .call("AdminSetUserPassword", &password)
        .await
        .unwrap();
    let ada = site.log_in(&email).await;
    site.key(&ada, "laptop").await;
    let keys = site
        .stage
        .namespace
        .api::<glyph_crds::ApiKey>()
        .list(&ListParams::default())
        .await
        .unwrap();
    assert_eq!(keys.items[0].spec.customer_ref.name, "acme");
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

/// CASE 41
#[tokio::test]
async fn what_a_user_writes_into_its_own_attributes_entitles_to_nothing() {
    let site = Site::new("attribute").await;
    let (ada, eve) = (site.member("ada").await, site.member("eve").await);
    site.subscribe(&ada, "starter").await;
    let customers = site.stage.stripe.control().objects("customer");
    let of_ada = customers
        .iter()
        .find(|c| c["email"] == ada.email.as_str())
        .unwrap();
    let write = json!({
        "AccessToken": eve.token,
        "UserAttributes": [{"Name": "custom:stripe_customer_id", "Value": of_ada["id"]}],
    });
    site.stage
        .cognito
        .call("UpdateUserAttributes", &write)
        .await
        .unwrap();
    let status: Value = site
        .get("/billing/status", Some(&eve.token))
        .await
        .json()
        .unwrap();
    assert_eq!(
        (&status["tier"], &status["subscription"]),
        (&json!("free"), &Value::Null)
    );
    let invoices: Value = site
        .get("/billing/invoices", Some(&eve.token))
        .await
        .json()
        .unwrap();
    assert_eq!(invoices["data"], json!([]));
}

#[tokio::test]
async fn an_app_client_with_a_secret_works_as_well() {
    let pool = async |site: &Site| {
        let client = json!({
            "UserPoolId": site.stage.cognito.pool_id(), "ClientName": "secret", "GenerateSecret": true,
            "ExplicitAuthFlows": ["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
        });
        site.stage
            .cognito
            .call("CreateUserPoolClient", &client)
            .await
            .unwrap()["UserPoolClient"]
            .clone()
    };
    let site = Site::new("secret").await;
    let client = pool(&site).await;
    let text = |name: &str| client[name].as_str().unwrap().to_owned();
    let settings = site
        .stage
        .settings()
        .redis(&site.redis)
        .set("GLYPH_ACCOUNT_API", "true");
    let settings = settings.set("AWS_COGNITO_CLIENT_ID", text("ClientId"));
    let wrong = settings.clone().set("AWS_COGNITO_CLIENT_SECRET", "not it");
    let Site {
        stage,
        redis,
        operator,
        base,
    } = site;
    assert!(operator.stop());
    let person = json!({"email": stage.email("ada"), "password": PASSWORD});
    let operator = stage.operator_with(wrong).await;
    let site = Site {
        stage,
        redis,
        operator,
        base,
    };
    site.post("/auth/register", None, &person).await;
    assert_eq!(
        site.stage.cognito.code_sent_to(&site.stage.email("ada")),
        None
    );
    let Site {
        stage,
        redis,
        operator,
        base,
    } = site;
    assert!(operator.stop());
    let operator = stage
        .operator_with(settings.set("AWS_COGNITO_CLIENT_SECRET", text("ClientSecret")))
        .await;
    let site = Site {
        stage,
        redis,
        operator,
        base,
    };
    site.member("ada").await;
}

#[tokio::test]
async fn without_a_pool_logins_say_what_to_set_and_the_plans_are_served() {
    let bare = |settings: glyph_harness::Settings| {
        settings
            .without("AWS_COGNITO_USER_POOL_ID")
            .without("AWS_COGNITO_CLIENT_ID")
    };
    let site = Site::with("bare", bare).await;
    let login = json!({"email": "ada@example.com", "password": PASSWORD});
    for answer in [
        site.post("/auth/login", None, &login).await,
        site.post("/auth/register", None, &login).await,
        site.get("/billing/status", Some("a.b.c")).await,
    ] {
        assert_eq!(code(&answer, 501), "not_configured");
        assert!(
            answer.text().contains("AWS_COGNITO_USER_POOL_ID"),
            "{}",
            answer.text()
        );
    }
    assert_eq!(site.get("/plans", None).await.status, 200);
}

/// The command as a person runs it.
async fn set_up(stage: &crate::stage::Stage, client: &str, args: &[&str]) -> String {
    let program = glyph_harness::service::program(glyph_harness::Program::Operator)
        .await
        .unwrap();
    let output = tokio::process::Command::new(program)
        .args(["setup", "cognito"])
        .args(args)
        .env_clear()
        .envs([
            ("AWS_ENDPOINT_URL", stage.cognito.url()),
            ("AWS_COGNITO_USER_POOL_ID", stage.cognito.pool_id()),
            ("AWS_COGNITO_CLIENT_ID", client),
            ("AWS_ACCESS_KEY_ID", "harness"),
            ("AWS_SECRET_ACCESS_KEY", "harness"),
        ])
        .output()
        .await
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

#[tokio::test]
async fn setup_cognito_says_what_it_would_change_then_changes_it_and_then_nothing() {
    let stage = crate::stage::Stage::new("setup").await;
    let client = json!({
        "UserPoolId": stage.cognito.pool_id(), "ClientName": "shop", "CallbackURLs": ["https://shop.example"],
        "WriteAttributes": ["email", "custom:stripe_customer_id"],
    });
    let client = stage
        .cognito
        .call("CreateUserPoolClient", &client)
        .await
        .unwrap();
    let id = client["UserPoolClient"]["ClientId"].as_str().unwrap();
    let described = async || {
        let asked = json!({"UserPoolId": stage.cognito.pool_id(), "ClientId": id});
        stage
            .cognito
            .call("DescribeUserPoolClient", &asked)
            .await
            .unwrap()["UserPoolClient"]
            .clone()
    };
    let before = described().await;
    let told = set_up(&stage, id, &["--dry-run"]).await;
    assert!(
        told.starts_with("To be changed (nothing was):\n- "),
        "{told}"
    );
    assert_eq!(described().await, before);
    let told = set_up(&stage, id, &[]).await;
    assert!(
        told.starts_with("Changed:\n- ") && told.contains("ALLOW_USER_PASSWORD_AUTH"),
        "{told}"
    );
    let after = described().await;
    assert_eq!(
        (&after["ClientName"], &after["CallbackURLs"]),
        (&before["ClientName"], &before["CallbackURLs"])
    );
    assert_eq!(
        (
            &after["WriteAttributes"],
            &after["PreventUserExistenceErrors"]
        ),
        (&json!(["email"]), &json!("ENABLED"))
    );
    let told = set_up(&stage, id, &[]).await;
    assert_eq!(
        told,
        "The user pool and its app client are as they have to be.\n"
    );
}
