//! The client against moto's Cognito, and against answers of AWS' that moto never gives.

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::post;
use glyph_harness::Cognito;
use glyph_runtime::credentials::CredentialArgs;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::*;
use crate::captured::Captured;

const SECRET: &str = "canarysecretaccesskey";

/// A client with these settings, and access keys of its own.
fn client(settings: &[(&'static str, &str)]) -> CognitoIdentity {
    counted(settings, &Metrics::default())
}

/// The same, counting in `metrics`.
fn counted(settings: &[(&'static str, &str)], metrics: &Metrics) -> CognitoIdentity {
    let mut settings: Vec<_> = settings
        .iter()
        .map(|&(name, value)| (name, value.to_owned()))
        .collect();
    settings.push((ACCESS_KEY, "AKIAEXAMPLE".to_owned()));
    settings.push((SECRET_KEY, SECRET.to_owned()));
    let environment = move |name: &str| {
        let found = settings.iter().find(|(setting, _)| *setting == name);
        found.map(|(_, value)| value.clone())
    };
    let credentials = Credentials::with_environment(&CredentialArgs::default(), environment);
    CognitoIdentity::new(credentials.unwrap(), metrics)
}

fn of(cognito: &Cognito) -> CognitoIdentity {
    client(&[
        (ENDPOINT, cognito.url()),
        (USER_POOL, cognito.pool_id()),
        (REGION, cognito.region()),
    ])
}

#[tokio::test]
async fn a_user_is_made_once_found_linked_and_deleted() {
    let cognito = Cognito::start().await.unwrap();
    let identity = of(&cognito);
    let ada = "ada@example.com";
    assert!(identity.configured());
    assert_eq!(identity.user(ada).await.unwrap(), None);

    let made = identity.create_user(ada, ada).await.unwrap();
    assert_eq!(made.email.as_deref(), Some(ada));
    assert!(!made.sub.is_empty());
    assert_eq!(identity.create_user(ada, ada).await.unwrap(), made);
    assert_eq!(identity.user(ada).await.unwrap().as_ref(), Some(&made));
    assert_eq!(
        identity.user_by_sub(&made.sub).await.unwrap().as_ref(),
        Some(&made)
    );
    assert_eq!(cognito.users().await.unwrap().len(), 1);

    identity.link_user(&made.username, "cus_1").await.unwrap();
    let linked = identity.user(&made.username).await.unwrap().unwrap();
    assert_eq!(linked.stripe_customer_id.as_deref(), Some("cus_1"));
    let seen = cognito.user(&made.username).await.unwrap().unwrap();
    assert_eq!(seen["custom:stripe_customer_id"], "cus_1");

    identity.delete_user(&made.username).await.unwrap();
    identity.delete_user(&made.username).await.unwrap();
    assert_eq!(identity.user_by_sub(&made.sub).await.unwrap(), None);
    assert_eq!(
        identity.user_by_sub("x\" or sub = \"y").await.unwrap(),
        None
    );
}

#[tokio::test]
async fn a_pool_that_is_not_there_names_its_setting() {
    let cognito = Cognito::start().await.unwrap();
    let wrong = client(&[
        (ENDPOINT, cognito.url()),
        (USER_POOL, "eu-central-1_nowhere"),
    ]);
    let error = wrong.user("ada@example.com").await.unwrap_err();
    assert_eq!(
        error.class,
        FailureClass::Credential("AWS_COGNITO_USER_POOL_ID")
    );
    assert!(
        error
            .message
            .starts_with("AWS_COGNITO_USER_POOL_ID names no user pool"),
        "{error}"
    );
}

#[tokio::test]
async fn calls_are_counted_by_operation_and_outcome_and_name_nobody() {
    let cognito = Cognito::start().await.unwrap();
    let metrics = Metrics::default();
    let settings = [(ENDPOINT, cognito.url()), (USER_POOL, cognito.pool_id())];
    let identity = counted(&settings, &metrics);
    let ada = "ada@example.com";
    assert_eq!(identity.user(ada).await.unwrap(), None);
    identity.create_user(ada, ada).await.unwrap();
    identity.create_user(ada, ada).await.unwrap();
    let text = metrics.encode().unwrap();
    for line in [
        r#"glyph_cognito_calls_total{operation="AdminGetUser",outcome="missing"} 1"#,
        r#"glyph_cognito_calls_total{operation="AdminCreateUser",outcome="ok"} 1"#,
        r#"glyph_cognito_calls_total{operation="AdminCreateUser",outcome="exists"} 1"#,
        r#"glyph_cognito_call_duration_seconds_count{operation="AdminCreateUser"} 2"#,
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("ada"), "{text}");
}

#[tokio::test]
async fn without_a_pool_nothing_is_asked_and_the_setting_is_named() {
    let identity = client(&[]);
    assert!(!identity.configured());
    let error = identity.user("ada@example.com").await.unwrap_err();
    assert_eq!(
        error.class,
        FailureClass::Credential("AWS_COGNITO_USER_POOL_ID")
    );
}

#[tokio::test]
async fn settings_that_change_are_in_force_at_the_next_call() {
    let cognito = Cognito::start().await.unwrap();
    let files = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(files.path().join(name), text).unwrap();
    for (name, text) in [
        (ACCESS_KEY, "AKIAEXAMPLE"),
        (SECRET_KEY, SECRET),
        (ENDPOINT, "http://127.0.0.1:1"),
    ] {
        write(name, text);
    }
    let args = CredentialArgs {
        credentials_dir: Some(files.path().to_owned()),
    };
    let credentials = Credentials::with_environment(&args, |_| None).unwrap();
    let identity = CognitoIdentity::new(credentials.clone(), &Metrics::default());
    assert!(!identity.configured());

    write(USER_POOL, cognito.pool_id());
    credentials.reload().unwrap();
    assert!(identity.configured());
    let away = identity.user("ada@example.com").await.unwrap_err();
    assert_eq!(away.class, FailureClass::Transient);

    write(ENDPOINT, cognito.url());
    credentials.reload().unwrap();
    assert_eq!(identity.user("ada@example.com").await.unwrap(), None);
}

/// Something that answers every call with one of AWS' refusals, and counts them.
async fn refusing(status: u16, code: &str, message: &str) -> (String, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let (counted, body) = (calls.clone(), json!({"__type": code, "message": message}));
    let handler = move |_: HeaderMap| {
        counted.fetch_add(1, Ordering::SeqCst);
        let body: Value = body.clone();
        async move { (StatusCode::from_u16(status).unwrap(), body.to_string()).into_response() }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new().route("/", post(handler));
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, calls)
}

async fn refused(status: u16, code: &str, message: &str) -> (CallError, usize) {
    let (url, calls) = refusing(status, code, message).await;
    let identity = client(&[(ENDPOINT, &url), (USER_POOL, "eu-central-1_pool")]);
    let error = identity.link_user("ada", "cus_1").await.unwrap_err();
    (error, calls.load(Ordering::SeqCst))
}

#[tokio::test]
async fn refused_access_names_the_access_key_and_is_not_tried_again() {
    for (code, setting) in [
        ("UnrecognizedClientException", ACCESS_KEY),
        ("AccessDeniedException", ACCESS_KEY),
        ("NotAuthorizedException", ACCESS_KEY),
        ("InvalidSignatureException", SECRET_KEY),
    ] {
        let (error, calls) = refused(400, code, "No.").await;
        assert_eq!(
            (error.class, calls),
            (FailureClass::Credential(setting), 1),
            "{code}"
        );
    }
}

#[tokio::test]
async fn throttling_is_tried_three_times_and_then_told() {
    let (error, calls) = refused(400, "TooManyRequestsException", "Rate exceeded").await;
    assert_eq!((error.class, calls), (FailureClass::Throttled(None), 3));
}

#[tokio::test]
async fn an_internal_error_is_transient() {
    let (error, calls) = refused(500, "InternalErrorException", "Oops").await;
    assert_eq!((error.class, calls), (FailureClass::Transient, 3));
}

#[tokio::test]
async fn a_pool_without_our_attribute_is_told_what_to_add() {
    let said = "user.custom:stripe_customer_id: Attribute does not exist in the schema.";
    let (error, _) = refused(400, "InvalidParameterException", said).await;
    assert_eq!(error.class, FailureClass::Invalid);
    assert!(
        error
            .to_string()
            .contains("add a mutable custom attribute named stripe_customer_id"),
        "{error}"
    );
}

#[tokio::test]
async fn a_cognito_that_hangs_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let identity = client(&[(ENDPOINT, &url), (USER_POOL, "eu-central-1_pool")]);
    let started = Instant::now();
    let error = identity.user("ada").await.unwrap_err();
    assert_eq!(error.class, FailureClass::Transient);
    assert!(
        started.elapsed() < CALL + ATTEMPT,
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn the_secret_access_key_stands_in_no_log_line_at_trace() {
    let (url, _) = refusing(400, "UnrecognizedClientException", "No.").await;
    let identity = client(&[
        (ENDPOINT, &url),
        (USER_POOL, "eu-central-1_pool"),
        (SESSION_TOKEN, "canarytoken"),
    ]);
    let captured = Captured::start();
    identity.user("ada").await.unwrap_err();
    let text = captured.text();
    assert!(
        text.contains("called Cognito") && text.contains("call=\"AdminGetUser\""),
        "{text}"
    );
    let leaks: Vec<_> = text
        .lines()
        .filter(|line| line.contains("canary"))
        .collect();
    assert!(leaks.is_empty(), "{leaks:#?}");
}

#[tokio::test]
async fn without_access_keys_the_setting_is_named() {
    let environment = |name: &str| (name == USER_POOL).then(|| "eu-central-1_pool".to_owned());
    let credentials = Credentials::with_environment(&CredentialArgs::default(), environment);
    let identity = CognitoIdentity::new(credentials.unwrap(), &Metrics::default());
    let error = identity.user("ada").await.unwrap_err();
    assert_eq!(error.class, FailureClass::Credential("AWS_ACCESS_KEY_ID"));
}
