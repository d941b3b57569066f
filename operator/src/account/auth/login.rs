//! Logging in, going on after a challenge, new tokens, logging out.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep_until};
use utoipa::ToSchema;

use super::me::User;
use super::{AT_LEAST, Account, Addressee, Done};
use crate::account::attempts::Address;
use crate::account::billing::status::BillingStatus;
use crate::account::caller::LoggedIn;
use crate::account::input::{Input, Nothing, OptionalInput, credential, email};
use crate::account::ports::{self, ChallengeAnswer, PoolError, Refusal, SignIn};
use crate::account::problem::{Answer, Problem, ProblemCode};

/// Somebody who comes back.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::account) struct Login {
    /// E-mail address.
    #[schema(example = "ada@example.com")]
    email: String,
    /// Password.
    #[schema(format = Password)]
    password: String,
}

/// What is asked before a login is done.
#[derive(Clone, Copy, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::account) enum ChallengeKind {
    /// The first password has to be replaced.
    NewPasswordRequired,
    /// A code of an authenticator app.
    SoftwareTokenMfa,
    /// A code that was sent by SMS.
    SmsMfa,
    /// A code that was sent by e-mail.
    EmailOtp,
}

/// The kinds, by Cognito's names.
const CHALLENGES: [(ChallengeKind, &str); 4] = [
    (ChallengeKind::NewPasswordRequired, "NEW_PASSWORD_REQUIRED"),
    (ChallengeKind::SoftwareTokenMfa, "SOFTWARE_TOKEN_MFA"),
    (ChallengeKind::SmsMfa, "SMS_MFA"),
    (ChallengeKind::EmailOtp, "EMAIL_OTP"),
];

impl ChallengeKind {
    fn to_pool(self) -> &'static str {
        CHALLENGES[self as usize].1
    }

    fn of_pool(name: &str) -> Option<Self> {
        CHALLENGES
            .iter()
            .find(|(_, known)| *known == name)
            .map(|(kind, _)| *kind)
    }
}

/// The answer to a challenge.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::account) struct Reply {
    /// Which challenge it answers.
    challenge: ChallengeKind,
    /// The `session` that came with the challenge.
    session: String,
    /// E-mail address.
    email: String,
    /// The code, or the new password.
    #[schema(format = Password)]
    answer: String,
}

/// A refresh token.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::account) struct Refresh {
    /// The `refresh_token` of the login.
    #[schema(format = Password)]
    refresh_token: String,
}

/// What a login gives.
#[derive(Serialize, ToSchema)]
pub(in crate::account) struct TokenSet {
    /// For the `Authorization` header.
    access_token: String,
    /// Who it is, for a front end to read.
    id_token: String,
    /// For new tokens; absent where the old one stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    /// Seconds that the access token holds.
    expires_in: i32,
    /// `Bearer`.
    token_type: &'static str,
}

/// What is asked before the login is done.
#[derive(Serialize, ToSchema)]
pub(in crate::account) struct Question {
    /// What is asked.
    challenge: ChallengeKind,
    /// Send it back with the answer to POST /auth/challenge.
    session: String,
}

/// Where a login stands.
#[derive(Serialize, ToSchema)]
#[serde(tag = "status", rename_all = "snake_case")]
pub(in crate::account) enum LoginAnswer {
    /// It is done.
    Complete {
        /// The tokens.
        tokens: TokenSet,
        /// Who it is.
        user: User,
        /// What the customer has, and has to pay.
        billing: Box<BillingStatus>,
    },
    /// One more question: answer it with POST /auth/challenge.
    Challenge {
        /// The question.
        question: Question,
    },
}

fn token_set(tokens: &ports::Tokens) -> TokenSet {
    TokenSet {
        access_token: tokens.access.expose().to_owned(),
        id_token: tokens.id.expose().to_owned(),
        refresh_token: tokens
            .refresh
            .as_ref()
            .map(|token| token.expose().to_owned()),
        expires_in: tokens.expires_in,
        token_type: "Bearer",
    }
}

fn refused(error: PoolError) -> Problem {
    match error {
        PoolError::Refused(Refusal::NotConfirmed) => {
            let detail = "The e-mail address is not confirmed: POST /auth/confirm with the code, or /auth/resend.";
            Problem::new(ProblemCode::NotConfirmed, detail)
        }
        PoolError::Refused(Refusal::WeakPassword) => Problem::value(
            "answer",
            "The user pool does not take this password; choose another.",
        ),
        PoolError::Refused(_) => {
            let detail = "E-mail address or password is wrong, or the password has to be set anew (POST /auth/forgot).";
            Problem::new(ProblemCode::InvalidLogin, detail)
        }
        other => other.into(),
    }
}

impl Account {
    async fn logged_in(&self, signed_in: SignIn) -> Answer<Json<LoginAnswer>> {
        let tokens = match signed_in {
            SignIn::Done(tokens) => tokens,
            SignIn::Asked(asked) => {
                let Some(challenge) = ChallengeKind::of_pool(&asked.name) else {
                    return Err(Problem::misconfigured(&format!(
                        "the user pool asks {}, which the account API cannot",
                        asked.name
                    )));
                };
                let session = asked.session.expose().to_owned();
                let question = Question { challenge, session };
                return Ok(Json(LoginAnswer::Challenge { question }));
            }
        };
        let person = self
            .pool
            .person(tokens.access.expose())
            .await
            .map_err(refused)?;
        let customer = self.customer_of(&person).await?;
        let billing = self.billing_status(&customer).await?;
        Ok(Json(LoginAnswer::Complete {
            tokens: token_set(&tokens),
            user: User::new(&person, &customer),
            billing: Box::new(billing),
        }))
    }
}

/// Log in.
///
/// Gives the tokens, and in the same answer what the customer has and has to pay; or asks one more question.
#[utoipa::path(post, path = "/auth/login", tag = "Login", request_body = Login, responses(
    (status = 200, body = LoginAnswer, description = "Tokens, or a challenge"),
    (status = 401, body = super::super::problem::ProblemDocument, content_type = "application/problem+json",
        description = "No such user, or another password"),
    (status = 409, body = super::super::problem::ProblemDocument, content_type = "application/problem+json",
        description = "The account cannot be opened")))]
pub(in crate::account) async fn login(
    State(account): State<Arc<Account>>,
    address: Address,
    Input(login): Input<Login>,
) -> Answer<Json<LoginAnswer>> {
    account.configured()?;
    let begun = Instant::now();
    let email = email(&login.email)?;
    if login.password.is_empty() || login.password.len() > 1024 {
        return Err(Problem::value(
            "password",
            "Send the password as you chose it.",
        ));
    }
    account.attempts().of(&email, &address).await?;
    match account.pool.sign_in(&email, &login.password).await {
        Ok(signed_in) => {
            account.attempts().right(&email).await;
            account.logged_in(signed_in).await
        }
        Err(error) => {
            sleep_until(begun + AT_LEAST).await;
            Err(refused(error))
        }
    }
}

/// Answer a challenge of the login.
#[utoipa::path(post, path = "/auth/challenge", tag = "Login", request_body = Reply, responses(
    (status = 200, body = LoginAnswer, description = "Tokens, or the next challenge"),
    (status = 401, body = super::super::problem::ProblemDocument, content_type = "application/problem+json",
        description = "A wrong answer, or a session that is over"),
    (status = 409, body = super::super::problem::ProblemDocument, content_type = "application/problem+json",
        description = "The account cannot be opened")))]
pub(in crate::account) async fn challenge(
    State(account): State<Arc<Account>>,
    address: Address,
    Input(reply): Input<Reply>,
) -> Answer<Json<LoginAnswer>> {
    account.configured()?;
    let email = email(&reply.email)?;
    let session = credential("session", &reply.session)?;
    if reply.answer.is_empty() || reply.answer.len() > 1024 {
        return Err(Problem::value(
            "answer",
            "Send the code, or the new password.",
        ));
    }
    account.attempts().of(&email, &address).await?;
    let given = ChallengeAnswer {
        name: reply.challenge.to_pool(),
        session,
        email: &email,
        answer: &reply.answer,
    };
    let signed_in = account
        .pool
        .answer(given)
        .await
        .map_err(|error| match error {
            PoolError::Refused(Refusal::WrongCode | Refusal::NotAuthorized) => {
                let detail = "The answer is wrong, or the login took too long; log in again.";
                Problem::new(ProblemCode::InvalidLogin, detail)
            }
            other => refused(other),
        })?;
    account.attempts().right(&email).await;
    account.logged_in(signed_in).await
}

/// Get new tokens.
#[utoipa::path(post, path = "/auth/refresh", tag = "Login", request_body = Refresh, responses(
    (status = 200, body = TokenSet, description = "New tokens"),
    (status = 401, body = super::super::problem::ProblemDocument, content_type = "application/problem+json",
        description = "A refresh token that is not, or no longer, good")))]
pub(in crate::account) async fn refresh(
    State(account): State<Arc<Account>>,
    Input(refresh): Input<Refresh>,
) -> Answer<Json<TokenSet>> {
    account.configured()?;
    let token = credential("refresh_token", &refresh.refresh_token)?;
    let tokens = account
        .pool
        .refresh(token)
        .await
        .map_err(|error| match error {
            PoolError::Refused(_) => {
                let detail =
                    "The refresh token is not one of this API, or no longer good; log in again.";
                Problem::new(ProblemCode::InvalidLogin, detail)
            }
            other => other.into(),
        })?;
    Ok(Json(token_set(&tokens)))
}

/// Log out everywhere.
///
/// Every token of the user stops working here, on this device and on all others.
#[utoipa::path(post, path = "/auth/logout", tag = "Login", security(("access_token" = [])),
    responses((status = 200, body = Done, description = "Logged out")))]
pub(in crate::account) async fn logout(
    State(account): State<Arc<Account>>,
    caller: LoggedIn,
    OptionalInput(Nothing {}): OptionalInput<Nothing>,
) -> Answer<Json<Done>> {
    // A token that has ended meanwhile is logged out as well.
    super::hidden(account.pool.sign_out(caller.token.expose()).await)?;
    Ok(Json(Done {
        status: "logged_out",
        detail: "No token of yours works here any more.",
    }))
}

/// Ask for another e-mail address.
///
/// A code is sent to the new address: POST /auth/email/confirm with it. Until then nothing changes for the books.
#[utoipa::path(post, path = "/auth/email", tag = "Login", request_body = Addressee, security(("access_token" = [])),
    responses((status = 202, body = Done, description = "A code is on its way, unless the address is another account's")))]
pub(in crate::account) async fn change_email(
    State(account): State<Arc<Account>>,
    address: Address,
    caller: LoggedIn,
    Input(wanted): Input<Addressee>,
) -> Answer<super::With<Done>> {
    let email = email(&wanted.email)?;
    let sent = account.pool.change_email(caller.token.expose(), &email);
    account.send_code(&caller.person.sub, &address, sent).await
}
