//! Cognito, as the controllers ask for it ([`Identity`]): the AWS SDK over rustls and ring. AWS' types stop in this
//! module.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials as AccessKey;
use aws_sdk_cognitoidentityprovider::Client;
use aws_sdk_cognitoidentityprovider::config::SharedHttpClient;
use aws_sdk_cognitoidentityprovider::config::http::HttpResponse;
use aws_sdk_cognitoidentityprovider::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_cognitoidentityprovider::types::{AttributeType, DeliveryMediumType};
use aws_smithy_http_client::tls;
use glyph_operator_core::account::password::PasswordRules;
use glyph_operator_core::billing::FailureClass;
use glyph_runtime::admin::Metrics;
use glyph_runtime::credentials::{Credentials, MissingCredential};
use tokio::sync::Mutex;
use tracing::Instrument;
use tracing::field::Empty;

use crate::ports::{CallError, CallResult, Identity, User};
use failure::{ACCESS_KEY, Failure, USER_POOL};
use metrics::CallMetrics;

mod failure;
mod metrics;
mod people;
mod pool;
mod token;

const SECRET_KEY: &str = "AWS_SECRET_ACCESS_KEY";
const SESSION_TOKEN: &str = "AWS_SESSION_TOKEN";
const REGION: &str = "AWS_REGION";
const ENDPOINT: &str = "AWS_ENDPOINT_URL";

const EMAIL: &str = "email";
const SUB: &str = "sub";
const STRIPE_CUSTOMER: &str = "custom:stripe_customer_id";

/// One attempt, one call with all its attempts, and how many those are.
const ATTEMPT: Duration = Duration::from_secs(5);
const CALL: Duration = Duration::from_secs(20);
const ATTEMPTS: u32 = 3;

/// [`Identity`] by the user pool that `AWS_COGNITO_USER_POOL_ID` names. Clones share connections.
///
/// Access keys, region and endpoint are `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`,
/// `AWS_REGION` (else the pool's own) and `AWS_ENDPOINT_URL`, from files or environment, and reload. Without keys
/// there, AWS' usual places are asked: profile, web identity, container, instance.
#[derive(Clone)]
pub struct CognitoIdentity(Arc<Shared>);

struct Shared {
    credentials: Credentials,
    http: SharedHttpClient,
    /// The client, and the generation of credentials it was made from.
    client: Mutex<Option<(u64, Client)>>,
    /// The pool's rules on passwords, and the generation of credentials they were read with.
    rules: Mutex<Option<(u64, PasswordRules)>>,
    metrics: CallMetrics,
}

impl CognitoIdentity {
    /// A client with the settings that `credentials` hold at each call; its metrics are registered in `metrics`.
    #[must_use]
    pub fn new(credentials: Credentials, metrics: &Metrics) -> Self {
        let ring = tls::rustls_provider::CryptoMode::Ring;
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(tls::Provider::Rustls(ring))
            .build_https();
        Self(Arc::new(Shared {
            credentials,
            http,
            client: Mutex::new(None),
            rules: Mutex::new(None),
            metrics: CallMetrics::new(metrics),
        }))
    }

    fn setting(&self, name: &str) -> Result<String, MissingCredential> {
        let secret = self.0.credentials.get(name)?;
        Ok(secret.expose().to_owned())
    }

    fn pool(&self) -> Result<String, Failure> {
        self.setting(USER_POOL).map_err(|missing| Failure {
            class: FailureClass::Credential(USER_POOL),
            message: missing.to_string(),
            ..Failure::default()
        })
    }

    /// The client for the credentials of now.
    async fn client(&self, pool: &str) -> Client {
        let generation = self.0.credentials.generation();
        let mut cached = self.0.client.lock().await;
        if let Some((of, client)) = &*cached
            && *of == generation
        {
            return client.clone();
        }
        let client = self.connect(pool).await;
        *cached = Some((generation, client.clone()));
        client
    }

    async fn connect(&self, pool: &str) -> Client {
        // A pool's id is its region, `_` and a name.
        let own_region = pool.split_once('_').map(|(region, _)| region.to_owned());
        let region = self.setting(REGION).ok().or(own_region);
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(ATTEMPT)
            .operation_attempt_timeout(ATTEMPT)
            .operation_timeout(CALL)
            .build();
        let mut config = aws_config::defaults(BehaviorVersion::latest())
            .http_client(self.0.http.clone())
            .region(region.map(Region::new))
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
            .timeout_config(timeouts);
        if let Ok(endpoint) = self.setting(ENDPOINT) {
            config = config.endpoint_url(endpoint);
        }
        if let (Ok(id), Ok(secret)) = (self.setting(ACCESS_KEY), self.setting(SECRET_KEY)) {
            let token = self.setting(SESSION_TOKEN).ok();
            config = config.credentials_provider(AccessKey::new(id, secret, token, None, "glyph"));
        }
        Client::new(&config.load().await)
    }

    /// Makes the call `name` on the pool, in a span of its own.
    async fn call<T, E, F>(
        &self,
        name: &'static str,
        send: impl FnOnce(Client, String) -> F,
    ) -> Result<T, Failure>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        let span = tracing::info_span!("cognito", call = name, outcome = Empty, request_id = Empty);
        async {
            let pool = self.pool()?;
            let client = self.client(&pool).await;
            let begun = Instant::now();
            let result = send(client, pool).await.map_err(failure::failure);
            let metrics = &self.0.metrics;
            metrics.record(name, result.as_ref().err(), begun.elapsed());
            let span = tracing::Span::current();
            match &result {
                Ok(_) => span.record("outcome", "ok"),
                Err(failure) => span
                    .record("outcome", failure.code.as_deref().unwrap_or("failed"))
                    .record("request_id", failure.request_id.as_deref()),
            };
            tracing::debug!("called Cognito");
            result
        }
        .instrument(span)
        .await
    }

    async fn get(&self, username: &str) -> Result<Option<User>, Failure> {
        let found = self
            .call("AdminGetUser", |client, pool| {
                let call = client.admin_get_user().user_pool_id(pool);
                call.username(username).send()
            })
            .await;
        match found {
            Ok(user) => Ok(Some(from_attributes(
                &user.username,
                user.user_attributes(),
            ))),
            Err(failure) if failure.is("UserNotFoundException") => Ok(None),
            Err(failure) => Err(failure),
        }
    }
}

impl Identity for CognitoIdentity {
    fn configured(&self) -> bool {
        self.setting(USER_POOL).is_ok()
    }

    async fn user(&self, username: &str) -> CallResult<Option<User>> {
        (self.get(username).await).map_err(|failure| failure.during("read the Cognito user"))
    }

    async fn user_by_sub(&self, sub: &str) -> CallResult<Option<User>> {
        let operation = "find the Cognito user by sub";
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if !sub.bytes().all(plain) {
            // It could not be one, and it would have to be escaped in the filter.
            return Ok(None);
        }
        let found = self
            .call("ListUsers", |client, pool| {
                let call = client.list_users().user_pool_id(pool);
                call.filter(format!("sub = \"{sub}\"")).limit(1).send()
            })
            .await
            .map_err(|failure| failure.during(operation))?;
        Ok(found
            .users()
            .first()
            .map(|user| from_attributes(user.username().unwrap_or_default(), user.attributes())))
    }

    async fn create_user(&self, username: &str, email: &str) -> CallResult<User> {
        let operation = "create the Cognito user";
        let made = self
            .call("AdminCreateUser", |client, pool| {
                // Cognito mails a first password to the address: who signs in with it has shown that it is theirs.
                client
                    .admin_create_user()
                    .user_pool_id(pool)
                    .username(username)
                    .set_user_attributes(attributes([(EMAIL, email), ("email_verified", "true")]))
                    .desired_delivery_mediums(DeliveryMediumType::Email)
                    .send()
            })
            .await;
        match made {
            Ok(made) => Ok(made.user().map_or_else(
                || from_attributes(username, &[]),
                |user| from_attributes(user.username().unwrap_or(username), user.attributes()),
            )),
            Err(exists) if exists.is("UsernameExistsException") => {
                let found = self.get(username).await;
                found
                    .map_err(|failure| failure.during(operation))?
                    .ok_or_else(|| exists.during(operation))
            }
            Err(failure) => Err(failure.during(operation)),
        }
    }

    async fn link_user(&self, username: &str, stripe_customer_id: &str) -> CallResult<()> {
        self.call("AdminUpdateUserAttributes", |client, pool| {
            client
                .admin_update_user_attributes()
                .user_pool_id(pool)
                .username(username)
                .set_user_attributes(attributes([(STRIPE_CUSTOMER, stripe_customer_id)]))
                .send()
        })
        .await
        .map(drop)
        .map_err(|failure| failure.during("link the Cognito user to the Stripe customer"))
    }

    async fn delete_user(&self, username: &str) -> CallResult<()> {
        let deleted = self
            .call("AdminDeleteUser", |client, pool| {
                let call = client.admin_delete_user().user_pool_id(pool);
                call.username(username).send()
            })
            .await;
        match deleted {
            Err(failure) if !failure.is("UserNotFoundException") => {
                Err(failure.during("delete the Cognito user"))
            }
            _ => Ok(()),
        }
    }
}

impl Failure {
    fn during(self, operation: &'static str) -> CallError {
        CallError {
            operation,
            message: self.message,
            class: self.class,
            request_id: self.request_id,
        }
    }
}

fn from_attributes(username: &str, attributes: &[AttributeType]) -> User {
    let of = |name: &str| {
        let found = attributes
            .iter()
            .find(|attribute| attribute.name() == name)?;
        found.value().map(str::to_owned)
    };
    User {
        username: username.to_owned(),
        sub: of(SUB).unwrap_or_default(),
        email: of(EMAIL),
        stripe_customer_id: of(STRIPE_CUSTOMER),
    }
}

/// Attributes to be written. Only one without a name fails to build.
fn attributes<const N: usize>(pairs: [(&str, &str); N]) -> Option<Vec<AttributeType>> {
    let build = |(name, value)| AttributeType::builder().name(name).value(value).build();
    pairs.into_iter().map(build).collect::<Result<_, _>>().ok()
}

#[cfg(test)]
mod tests;
