//! The user pool, as people use it ([`Pool`]): what they are refused is told apart from what is the operator's to mend.

use aws_sdk_cognitoidentityprovider::operation::initiate_auth::InitiateAuthOutput;
use aws_sdk_cognitoidentityprovider::operation::respond_to_auth_challenge::RespondToAuthChallengeOutput;
use aws_sdk_cognitoidentityprovider::types::{
    AuthFlowType, AuthenticationResultType, ChallengeNameType,
};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use glyph_operator_core::account::password::PasswordRules;
use glyph_operator_core::billing::FailureClass;
use glyph_runtime::Secret;

use super::token::{is_ours, secret_hash, username_of};
use super::{CognitoIdentity, EMAIL, Failure, SUB, attributes};
use crate::account::ports::{
    Challenge, ChallengeAnswer, Person, Pool, PoolError, PoolResult, Refusal, SignIn, Tokens,
};

mod refusal;

use refusal::{of_session, pool_error};

pub(super) const CLIENT_ID: &str = "AWS_COGNITO_CLIENT_ID";
const CLIENT_SECRET: &str = "AWS_COGNITO_CLIENT_SECRET";
/// Between user name and token, where a client has a secret: whose token it is has to be known to sign for it.
const OWNER_ENDS: char = '~';

/// An app client of the pool.
struct AppClient {
    id: String,
    secret: Option<Secret>,
}

impl AppClient {
    /// What a client with a secret has to send along for `username`.
    fn hash(&self, username: &str) -> Option<String> {
        let secret = self.secret.as_ref()?;
        secret_hash(secret.expose(), username, &self.id)
    }
}

impl CognitoIdentity {
    fn app_client(&self) -> PoolResult<AppClient> {
        let id = self.setting(CLIENT_ID);
        Ok(AppClient {
            id: id.map_err(|missing| PoolError::NotConfigured(missing.to_string()))?,
            secret: self.0.credentials.get(CLIENT_SECRET).ok(),
        })
    }

    /// The app client's id, for who sets it up.
    pub(super) fn client_id(&self) -> Result<String, Failure> {
        self.setting(CLIENT_ID).map_err(|missing| Failure {
            class: FailureClass::Credential(CLIENT_ID),
            message: missing.to_string(),
            ..Failure::default()
        })
    }

    /// A call on the pool's app client, in the words of [`PoolError`].
    async fn ask<T, E, F>(
        &self,
        name: &'static str,
        send: impl FnOnce(super::Client, AppClient) -> F,
    ) -> PoolResult<T>
    where
        E: super::ProvideErrorMetadata + std::error::Error + 'static,
        F: Future<Output = Result<T, super::SdkError<E, super::HttpResponse>>>,
    {
        let app = self.app_client()?;
        self.call(name, |client, _pool| send(client, app))
            .await
            .map_err(pool_error)
    }

    async fn rules_of_pool(&self) -> Option<PasswordRules> {
        let described = self.call("DescribeUserPool", |client, pool| {
            client.describe_user_pool().user_pool_id(pool).send()
        });
        let described = described.await.ok()?;
        let rules = described.user_pool()?.policies()?.password_policy()?;
        let default = PasswordRules::default();
        let length = rules
            .minimum_length()
            .and_then(|length| usize::try_from(length).ok());
        Some(PasswordRules {
            length: length.unwrap_or(default.length),
            upper: rules.require_uppercase(),
            lower: rules.require_lowercase(),
            digit: rules.require_numbers(),
            symbol: rules.require_symbols(),
        })
    }

    /// What a login came to.
    fn signed_in(
        &self,
        tokens: Option<AuthenticationResultType>,
        asked: Option<(&ChallengeNameType, Option<&str>)>,
    ) -> PoolResult<SignIn> {
        if let Some(tokens) = tokens {
            return Ok(SignIn::Done(self.tokens(tokens)?));
        }
        match asked {
            Some((name, Some(session))) => Ok(SignIn::Asked(Challenge {
                name: name.as_str().to_owned(),
                session: Secret::new(session),
            })),
            _ => Err(unreadable()),
        }
    }

    fn tokens(&self, given: AuthenticationResultType) -> PoolResult<Tokens> {
        let app = self.app_client()?;
        let (Some(access), Some(id)) = (given.access_token, given.id_token) else {
            return Err(unreadable());
        };
        let refresh = match (given.refresh_token, app.secret.is_some()) {
            (Some(token), true) => {
                username_of(&access).map(|who| format!("{who}{OWNER_ENDS}{token}"))
            }
            (token, _) => token,
        };
        Ok(Tokens {
            access: Secret::new(access),
            id: Secret::new(id),
            refresh: refresh.map(Secret::new),
            expires_in: given.expires_in,
        })
    }
}

fn unreadable() -> PoolError {
    PoolError::Unavailable("Cognito's answer holds neither tokens nor a challenge".to_owned())
}

impl Pool for CognitoIdentity {
    fn configured(&self) -> Result<(), String> {
        let missing = |name| self.setting(name).err().map(|missing| missing.to_string());
        match missing(super::USER_POOL).or_else(|| missing(CLIENT_ID)) {
            Some(sentence) => Err(sentence),
            None => Ok(()),
        }
    }

    fn password_rules(&self) -> BoxFuture<'_, PasswordRules> {
        async move {
            let generation = self.0.credentials.generation();
            let mut known = self.0.rules.lock().await;
            if let Some((of, rules)) = *known
                && of == generation
            {
                return rules;
            }
            // Without the right to look, those of a pool that says nothing.
            let Some(rules) = self.rules_of_pool().await else {
                return PasswordRules::default();
            };
            *known = Some((generation, rules));
            rules
        }
        .boxed()
    }

    fn sign_up<'a>(
        &'a self,
        email: &'a str,
        password: &'a str,
    ) -> BoxFuture<'a, PoolResult<String>> {
        self.ask("SignUp", move |client, app| {
            client
                .sign_up()
                .set_secret_hash(app.hash(email))
                .client_id(app.id)
                .username(email)
                .password(password)
                .set_user_attributes(attributes([(EMAIL, email)]))
                .send()
        })
        .map(|made| made.map(|made| made.user_sub().to_owned()))
        .boxed()
    }

    fn confirm<'a>(&'a self, email: &'a str, code: &'a str) -> BoxFuture<'a, PoolResult<()>> {
        self.ask("ConfirmSignUp", move |client, app| {
            let call = client.confirm_sign_up().set_secret_hash(app.hash(email));
            call.client_id(app.id)
                .username(email)
                .confirmation_code(code)
                .send()
        })
        .map(|done| done.map(drop))
        .boxed()
    }

    fn resend<'a>(&'a self, email: &'a str) -> BoxFuture<'a, PoolResult<()>> {
        self.ask("ResendConfirmationCode", move |client, app| {
            let call = client
                .resend_confirmation_code()
                .set_secret_hash(app.hash(email));
            call.client_id(app.id).username(email).send()
        })
        .map(|done| done.map(drop))
        .boxed()
    }

    fn sign_in<'a>(
        &'a self,
        email: &'a str,
        password: &'a str,
    ) -> BoxFuture<'a, PoolResult<SignIn>> {
        async move {
            let answer: InitiateAuthOutput = self
                .ask("InitiateAuth", move |client, app| {
                    let call = client
                        .initiate_auth()
                        .auth_flow(AuthFlowType::UserPasswordAuth);
                    let call = call.auth_parameters("USERNAME", email);
                    let call = call.auth_parameters("PASSWORD", password);
                    let call = match app.hash(email) {
                        Some(hash) => call.auth_parameters("SECRET_HASH", hash),
                        None => call,
                    };
                    call.client_id(app.id).send()
                })
                .await?;
            let asked = answer
                .challenge_name
                .as_ref()
                .map(|name| (name, answer.session.as_deref()));
            self.signed_in(answer.authentication_result.clone(), asked)
        }
        .boxed()
    }

    fn answer<'a>(&'a self, given: ChallengeAnswer<'a>) -> BoxFuture<'a, PoolResult<SignIn>> {
        async move {
            let ChallengeAnswer {
                name,
                session,
                email,
                answer,
            } = given;
            let field = match name {
                "NEW_PASSWORD_REQUIRED" => "NEW_PASSWORD".to_owned(),
                other => format!("{other}_CODE"),
            };
            let answer: RespondToAuthChallengeOutput = self
                .ask("RespondToAuthChallenge", move |client, app| {
                    let call = client
                        .respond_to_auth_challenge()
                        .challenge_name(name.into());
                    let call = call.challenge_responses("USERNAME", email);
                    let call = call.challenge_responses(field, answer);
                    let call = match app.hash(email) {
                        Some(hash) => call.challenge_responses("SECRET_HASH", hash),
                        None => call,
                    };
                    call.session(session).client_id(app.id).send()
                })
                .await
                .map_err(of_session)?;
            let asked = answer
                .challenge_name
                .as_ref()
                .map(|name| (name, answer.session.as_deref()));
            self.signed_in(answer.authentication_result.clone(), asked)
        }
        .boxed()
    }

    fn refresh<'a>(&'a self, token: &'a str) -> BoxFuture<'a, PoolResult<Tokens>> {
        async move {
            let app = self.app_client()?;
            let (owner, token) = match (&app.secret, token.split_once(OWNER_ENDS)) {
                (Some(_), Some((owner, token))) => (Some(owner), token),
                (Some(_), None) => return Err(PoolError::Refused(Refusal::NotAuthorized)),
                (None, _) => (None, token),
            };
            let answer: InitiateAuthOutput = self
                .ask("InitiateAuth", move |client, app| {
                    let call = client
                        .initiate_auth()
                        .auth_flow(AuthFlowType::RefreshTokenAuth);
                    let call = call.auth_parameters("REFRESH_TOKEN", token);
                    let call = match owner.and_then(|owner| app.hash(owner)) {
                        Some(hash) => call.auth_parameters("SECRET_HASH", hash),
                        None => call,
                    };
                    call.client_id(app.id).send()
                })
                .await
                .map_err(of_session)?;
            self.tokens(answer.authentication_result.ok_or_else(unreadable)?)
        }
        .boxed()
    }

    fn sign_out<'a>(&'a self, access: &'a str) -> BoxFuture<'a, PoolResult<()>> {
        self.ask("GlobalSignOut", move |client, _app| {
            client.global_sign_out().access_token(access).send()
        })
        .map(|done| done.map(drop))
        .boxed()
    }

    fn forgot<'a>(&'a self, email: &'a str) -> BoxFuture<'a, PoolResult<()>> {
        self.ask("ForgotPassword", move |client, app| {
            let call = client.forgot_password().set_secret_hash(app.hash(email));
            call.client_id(app.id).username(email).send()
        })
        .map(|done| done.map(drop))
        .boxed()
    }

    fn reset<'a>(
        &'a self,
        email: &'a str,
        code: &'a str,
        password: &'a str,
    ) -> BoxFuture<'a, PoolResult<()>> {
        self.ask("ConfirmForgotPassword", move |client, app| {
            let call = client
                .confirm_forgot_password()
                .set_secret_hash(app.hash(email));
            let call = call.client_id(app.id).username(email);
            call.confirmation_code(code).password(password).send()
        })
        .map(|done| done.map(drop))
        .boxed()
    }

    fn person<'a>(&'a self, access: &'a str) -> BoxFuture<'a, PoolResult<Person>> {
        async move {
            let app = self.app_client()?;
            let pool = self.pool().map_err(pool_error)?;
            // GetUser takes the tokens of every pool in the region: that it is one of ours is looked at here, and that it
            // is genuine, good and not signed out is Cognito's to say.
            if !is_ours(access, &pool, &app.id) {
                return Err(PoolError::Refused(Refusal::NotAuthorized));
            }
            let user = self
                .ask("GetUser", move |client, _app| {
                    client.get_user().access_token(access).send()
                })
                .await
                .map_err(of_session)?;
            let of = |name: &str| {
                let found = user.user_attributes().iter().find(|a| a.name() == name)?;
                found.value().map(str::to_owned)
            };
            match (of(SUB), of(EMAIL)) {
                (Some(sub), Some(email)) => Ok(Person {
                    sub,
                    email,
                    email_verified: of("email_verified").as_deref() == Some("true"),
                }),
                _ => Err(PoolError::Unavailable(
                    "the Cognito user has no sub or no email".to_owned(),
                )),
            }
        }
        .boxed()
    }

    fn change_email<'a>(
        &'a self,
        access: &'a str,
        email: &'a str,
    ) -> BoxFuture<'a, PoolResult<()>> {
        self.ask("UpdateUserAttributes", move |client, _app| {
            let call = client.update_user_attributes().access_token(access);
            call.set_user_attributes(attributes([(EMAIL, email)]))
                .send()
        })
        .map(|done| done.map(drop))
        .boxed()
    }

    fn confirm_email<'a>(
        &'a self,
        access: &'a str,
        code: &'a str,
    ) -> BoxFuture<'a, PoolResult<()>> {
        self.ask("VerifyUserAttribute", move |client, _app| {
            let call = client.verify_user_attribute().access_token(access);
            call.attribute_name(EMAIL).code(code).send()
        })
        .map(|done| done.map(drop))
        .boxed()
    }

    fn delete<'a>(&'a self, access: &'a str) -> BoxFuture<'a, PoolResult<()>> {
        self.ask("DeleteUser", move |client, _app| {
            client.delete_user().access_token(access).send()
        })
        .map(|done| done.map(drop))
        .boxed()
    }
}
