//! `/auth`: registering, logging in and out, passwords. Nothing here tells whether an e-mail address is known: what would
//! tell it is answered alike, and takes as long.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep_until};
use utoipa::ToSchema;

use super::Account;
use super::attempts::Address;
use super::input::{Input, With, credential, email};
use super::ports::{PoolError, PoolResult, Refusal};
use super::problem::{Answer, Problem, ProblemCode};

pub(super) mod login;
pub(super) mod me;

/// What an answer that would tell something by its time takes at least.
const AT_LEAST: Duration = Duration::from_secs(1);

/// What was done.
#[derive(Serialize, ToSchema)]
pub(super) struct Done {
    /// A stable word for it.
    #[schema(example = "confirmation_required")]
    pub(super) status: &'static str,
    /// What comes next, in a sentence.
    pub(super) detail: &'static str,
}

/// Somebody new.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Registration {
    /// E-mail address, which a code is sent to.
    #[schema(example = "ada@example.com")]
    email: String,
    /// Password, by the rules of the user pool.
    #[schema(format = Password)]
    password: String,
}

/// A code that was sent to an e-mail address.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Confirmation {
    /// E-mail address.
    email: String,
    /// The code that was sent to it.
    #[schema(example = "123456")]
    code: String,
}

/// Whom to send a code.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Addressee {
    /// E-mail address.
    email: String,
}

/// A new password in the place of one that was forgotten.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Reset {
    /// E-mail address.
    email: String,
    /// The code that was sent to it.
    code: String,
    /// The new password.
    #[schema(format = Password)]
    password: String,
}

impl Account {
    /// Refuses a password that the pool would not take.
    async fn strong(&self, password: &str) -> Answer<()> {
        let rules = self.pool.password_rules().await;
        rules
            .check(password)
            .map_err(|sentence| Problem::value("password", sentence))
    }
}

/// An outcome that is nobody's to know: whatever the pool refuses is answered as if it had been done.
fn hidden<T>(result: PoolResult<T>) -> Answer<Option<T>> {
    match result {
        Ok(done) => Ok(Some(done)),
        Err(PoolError::Refused(_)) => Ok(None),
        Err(other) => Err(other.into()),
    }
}

/// A code that was not right, whoever it was for.
fn wrong_code(error: PoolError) -> Problem {
    match error {
        PoolError::Refused(Refusal::WeakPassword) => Problem::value(
            "password",
            "The user pool does not take this password; choose another.",
        ),
        PoolError::Refused(_) => {
            let detail =
                "The code is not the one that was sent last, or it is too old; have another sent.";
            Problem::new(ProblemCode::InvalidCode, detail)
        }
        other => other.into(),
    }
}

/// Register.
///
/// Makes a user who can log in once the e-mail address is confirmed, and their customer. The answer is the same when the
/// address is known already: log in, or have a code or a new password sent.
#[utoipa::path(post, path = "/auth/register", tag = "Login", request_body = Registration,
    responses((status = 202, body = Done, description = "A code is on its way, unless the address was known")))]
pub(super) async fn register(
    State(account): State<Arc<Account>>,
    address: Address,
    Input(registration): Input<Registration>,
) -> Answer<With<Done>> {
    account.configured()?;
    let begun = Instant::now();
    let email = email(&registration.email)?;
    account.strong(&registration.password).await?;
    account.attempts().of(&email, &address).await?;
    let made = account.pool.sign_up(&email, &registration.password).await;
    let made = match made {
        Err(PoolError::Refused(Refusal::WeakPassword)) => {
            return Err(wrong_code(PoolError::Refused(Refusal::WeakPassword)));
        }
        other => hidden(other)?,
    };
    if let Some(sub) = made
        && let Err(problem) = account.make_customer(&sub, &email).await
    {
        // The first login makes it.
        tracing::warn!(?problem, "a user was registered without a customer");
    }
    sleep_until(begun + AT_LEAST).await;
    let detail = "If the address is new here, a code was sent to it: POST /auth/confirm with it, then log in.";
    let status = "confirmation_required";
    Ok((StatusCode::ACCEPTED, Json(Done { status, detail })))
}

/// Confirm the e-mail address.
#[utoipa::path(post, path = "/auth/confirm", tag = "Login", request_body = Confirmation,
    responses((status = 200, body = Done, description = "The address is confirmed")))]
pub(super) async fn confirm(
    State(account): State<Arc<Account>>,
    address: Address,
    Input(confirmation): Input<Confirmation>,
) -> Answer<Json<Done>> {
    account.configured()?;
    let email = email(&confirmation.email)?;
    let code = credential("code", &confirmation.code)?;
    account.attempts().of(&email, &address).await?;
    account
        .pool
        .confirm(&email, code)
        .await
        .map_err(wrong_code)?;
    account.attempts().right(&email).await;
    Ok(Json(Done {
        status: "confirmed",
        detail: "The address is confirmed; POST /auth/login now.",
    }))
}

/// Send the confirmation code once more.
#[utoipa::path(post, path = "/auth/resend", tag = "Login", request_body = Addressee,
    responses((status = 202, body = Done, description = "A code is on its way, if one is due")))]
pub(super) async fn resend(
    State(account): State<Arc<Account>>,
    address: Address,
    Input(addressee): Input<Addressee>,
) -> Answer<With<Done>> {
    account.configured()?;
    let email = email(&addressee.email)?;
    let sent = account.pool.resend(&email);
    account.send_code(&email, &address, sent).await
}

/// Have a code sent to set a new password with.
#[utoipa::path(post, path = "/auth/forgot", tag = "Login", request_body = Addressee,
    responses((status = 202, body = Done, description = "A code is on its way, if the address is known")))]
pub(super) async fn forgot(
    State(account): State<Arc<Account>>,
    address: Address,
    Input(addressee): Input<Addressee>,
) -> Answer<With<Done>> {
    account.configured()?;
    let email = email(&addressee.email)?;
    let sent = account.pool.forgot(&email);
    account.send_code(&email, &address, sent).await
}

impl Account {
    /// Counts an attempt for `who`, has the code sent, and tells nobody by answer or time whether one was.
    async fn send_code<T>(
        &self,
        who: &str,
        address: &Address,
        sent: impl Future<Output = PoolResult<T>>,
    ) -> Answer<With<Done>> {
        let begun = Instant::now();
        self.attempts().of(who, address).await?;
        hidden(sent.await)?;
        sleep_until(begun + AT_LEAST).await;
        let detail = "If the address is known here and a code is due, it was sent there.";
        let status = "code_sent";
        Ok((StatusCode::ACCEPTED, Json(Done { status, detail })))
    }
}

/// Set a new password with the code that was sent.
#[utoipa::path(post, path = "/auth/reset", tag = "Login", request_body = Reset,
    responses((status = 200, body = Done, description = "The new password is set")))]
pub(super) async fn reset(
    State(account): State<Arc<Account>>,
    address: Address,
    Input(reset): Input<Reset>,
) -> Answer<Json<Done>> {
    account.configured()?;
    let email = email(&reset.email)?;
    let code = credential("code", &reset.code)?;
    account.strong(&reset.password).await?;
    account.attempts().of(&email, &address).await?;
    let done = account.pool.reset(&email, code, &reset.password).await;
    done.map_err(wrong_code)?;
    account.attempts().right(&email).await;
    Ok(Json(Done {
        status: "password_set",
        detail: "The new password is set; POST /auth/login with it.",
    }))
}
