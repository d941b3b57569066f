//! What the account API asks of Cognito and Stripe where no resource can say it. The adapters (`cognito`, `stripe`)
//! implement it.

use futures::future::BoxFuture;
use glyph_operator_core::account::password::PasswordRules;
use glyph_runtime::Secret;
use jiff::Timestamp;

use crate::ports::CallResult;

/// Why the user pool did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PoolError {
    /// The person's own doing.
    Refused(Refusal),
    /// A setting is missing or wrong; the sentence names it, for the operator's eyes.
    NotConfigured(String),
    /// The pool cannot be asked now, or not as often as that.
    Unavailable(String),
}

/// What a pool refuses a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The pool has a user of this address.
    Exists,
    /// The address was not confirmed yet; said only to who knows the password.
    NotConfirmed,
    /// Unknown, or a wrong password, or a token that is not or no longer good.
    NotAuthorized,
    /// A code that was not sent, or not lately.
    WrongCode,
    /// A password that the pool does not take.
    WeakPassword,
    /// Another value that the pool does not take.
    Invalid,
}

/// Result of asking the pool.
pub type PoolResult<T> = Result<T, PoolError>;

/// What a login gives. It has no Debug: it holds secrets.
pub struct Tokens {
    /// For the `Authorization` header, here and, once it is taken there, at the API itself.
    pub access: Secret,
    /// Who it is, for a front end to read.
    pub id: Secret,
    /// For another pair; none when it stays the same.
    pub refresh: Option<Secret>,
    /// Seconds that the first two hold.
    pub expires_in: i32,
}

/// What comes of a login.
pub enum SignIn {
    /// It is done.
    Done(Tokens),
    /// One more question (a second factor, a new password).
    Asked(Challenge),
}

/// A question before a login is done. It has no Debug: its session is a secret.
pub struct Challenge {
    /// Cognito's name of it.
    pub name: String,
    /// What the answer has to bring back.
    pub session: Secret,
}

/// The answer to a [`Challenge`].
pub struct ChallengeAnswer<'a> {
    /// Cognito's name of the challenge.
    pub name: &'a str,
    /// What came with it.
    pub session: &'a str,
    /// Who logs in.
    pub email: &'a str,
    /// The code, or the new password.
    pub answer: &'a str,
}

/// Somebody who has shown a good access token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The user's `sub`.
    pub sub: String,
    /// E-mail address.
    pub email: String,
    /// Whether it was shown to be theirs.
    pub email_verified: bool,
}

/// The user pool, as people use it.
pub trait Pool: Send + Sync + 'static {
    /// Whether there is a pool with an app client; else the sentence that says what to set.
    ///
    /// # Errors
    /// What is missing.
    fn configured(&self) -> Result<(), String>;
    /// The passwords it takes.
    fn password_rules(&self) -> BoxFuture<'_, PasswordRules>;
    /// Registers somebody, and has a code sent; their `sub`.
    fn sign_up<'a>(
        &'a self,
        email: &'a str,
        password: &'a str,
    ) -> BoxFuture<'a, PoolResult<String>>;
    /// Takes the code that was sent at the registration.
    fn confirm<'a>(&'a self, email: &'a str, code: &'a str) -> BoxFuture<'a, PoolResult<()>>;
    /// Sends that code once more.
    fn resend<'a>(&'a self, email: &'a str) -> BoxFuture<'a, PoolResult<()>>;
    /// Logs in.
    fn sign_in<'a>(
        &'a self,
        email: &'a str,
        password: &'a str,
    ) -> BoxFuture<'a, PoolResult<SignIn>>;
    /// Goes on with a login.
    fn answer<'a>(&'a self, answer: ChallengeAnswer<'a>) -> BoxFuture<'a, PoolResult<SignIn>>;
    /// New tokens for a refresh token.
    fn refresh<'a>(&'a self, token: &'a str) -> BoxFuture<'a, PoolResult<Tokens>>;
    /// Ends every session of who has this access token.
    fn sign_out<'a>(&'a self, access: &'a str) -> BoxFuture<'a, PoolResult<()>>;
    /// Sends a code to set a new password with.
    fn forgot<'a>(&'a self, email: &'a str) -> BoxFuture<'a, PoolResult<()>>;
    /// Sets the new password.
    fn reset<'a>(
        &'a self,
        email: &'a str,
        code: &'a str,
        password: &'a str,
    ) -> BoxFuture<'a, PoolResult<()>>;
    /// Who has this access token, if it is one of our app client, good, and not signed out.
    fn person<'a>(&'a self, access: &'a str) -> BoxFuture<'a, PoolResult<Person>>;
    /// Asks for another address, to which a code is sent.
    fn change_email<'a>(&'a self, access: &'a str, email: &'a str)
    -> BoxFuture<'a, PoolResult<()>>;
    /// Takes the code that was sent to a new address.
    fn confirm_email<'a>(&'a self, access: &'a str, code: &'a str)
    -> BoxFuture<'a, PoolResult<()>>;
    /// Deletes who has this access token.
    fn delete<'a>(&'a self, access: &'a str) -> BoxFuture<'a, PoolResult<()>>;
}

/// An invoice, as its customer may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invoice {
    /// `in_…`
    pub id: String,
    /// The number on it, once it is final.
    pub number: Option<String>,
    /// Stripe's word: `draft`, `open`, `paid`, `uncollectible`, `void`.
    pub status: Option<String>,
    /// ISO 4217 code in lower case.
    pub currency: String,
    /// The whole, in minor units.
    pub total: i64,
    /// What was paid of it.
    pub amount_paid: i64,
    /// What is still to be paid.
    pub amount_due: i64,
    /// When it was made.
    pub created: Timestamp,
    /// Stripe's page of it.
    pub hosted_url: Option<String>,
    /// It as a PDF.
    pub pdf_url: Option<String>,
}

/// Some of a customer's invoices, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invoices {
    /// They.
    pub invoices: Vec<Invoice>,
    /// Whether there are more after them.
    pub has_more: bool,
}

/// Stripe's own pages.
pub trait Pages: Send + Sync + 'static {
    /// A link into Stripe's customer portal, which ends soon.
    fn portal<'a>(
        &'a self,
        key: Option<&'a str>,
        customer: &'a str,
        return_url: &'a str,
    ) -> BoxFuture<'a, CallResult<String>>;
    /// Invoices of a customer after one of them; `None` when Stripe does not know that one.
    fn invoices<'a>(
        &'a self,
        customer: &'a str,
        limit: u8,
        after: Option<&'a str>,
    ) -> BoxFuture<'a, CallResult<Option<Invoices>>>;
}
