//! Cognito, played by `moto_server` (PyPI `moto`): AWS' own wire protocol on a plain HTTP address.
//!
//! moto checks no signatures; tests that need a refusal by AWS put the counting proxy in between. What it lacks of what
//! people do (codes that are sent and checked, above all) `parts/moto/serve.py` adds.

use std::path::PathBuf;
use std::time::Duration;

use http::Request;
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::net::{free_port, get, loopback, send, start_twice};
use crate::process::Process;
use crate::sources::pypi;
use crate::store::{self, run_folder};

const PART: &str = "moto";
const HINT: &str = "moto, which plays Cognito, from PyPI: some 15 seconds";
const READY: Duration = Duration::from_secs(30);
const GRACE: Duration = Duration::from_secs(1);
/// The region all of it is in.
const REGION: &str = "eu-central-1";

/// A running Cognito with one user pool and one app client.
pub struct Cognito {
    url: String,
    pool_id: String,
    client_id: String,
    outbox: PathBuf,
    process: Process,
}

impl Cognito {
    /// Starts it with a pool whose users sign in by email and carry `custom:stripe_customer_id`.
    ///
    /// # Errors
    /// When moto cannot be had, does not start or refuses the pool.
    pub async fn start() -> Result<Self> {
        start_twice(Self::start_once).await
    }

    async fn start_once() -> Result<Self> {
        let mut moto = store::blocking(|| pypi::python_with(&ensure()?)).await?;
        let port = free_port()?;
        let folder = run_folder("cognito")?;
        let outbox = folder.join("outbox");
        moto.arg(store::recipe(PART).join("serve.py"));
        moto.env("GLYPH_OUTBOX", &outbox);
        moto.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        let process = Process::start(PART, moto, folder.join("moto.log"), GRACE)?;
        let url = format!("http://{}", loopback(port));
        let probe = format!("{url}/moto-api/");
        process
            .ready(READY, async || {
                get(&probe).await.is_ok_and(|answer| answer.status == 200)
            })
            .await?;
        let mut cognito = Self {
            url,
            pool_id: String::new(),
            client_id: String::new(),
            outbox,
            process,
        };
        cognito.make_pool().await?;
        Ok(cognito)
    }

    async fn make_pool(&mut self) -> Result<()> {
        let pool = json!({
            "PoolName": "glyph",
            "UsernameAttributes": ["email"],
            "Schema": [{"Name": "stripe_customer_id", "AttributeDataType": "String", "Mutable": true}],
        });
        let pool = self.call("CreateUserPool", &pool).await?;
        self.pool_id = text(&pool, "/UserPool/Id");
        let client = json!({
            "UserPoolId": self.pool_id,
            "ClientName": "glyph",
            "ExplicitAuthFlows": ["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
        });
        let client = self.call("CreateUserPoolClient", &client).await?;
        self.client_id = text(&client, "/UserPoolClient/ClientId");
        Ok(())
    }

    /// The endpoint, for `AWS_ENDPOINT_URL`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// For `AWS_REGION`.
    #[must_use]
    pub fn region(&self) -> &'static str {
        REGION
    }

    /// For `AWS_COGNITO_USER_POOL_ID`.
    #[must_use]
    pub fn pool_id(&self) -> &str {
        &self.pool_id
    }

    /// For `AWS_COGNITO_CLIENT_ID`.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The code that was last sent to an address, if one was.
    #[must_use]
    pub fn code_sent_to(&self, address: &str) -> Option<String> {
        let outbox = std::fs::read_to_string(&self.outbox).ok()?;
        let sent = |line: &str| {
            let letter: Value = serde_json::from_str(line).ok()?;
            (letter["to"] == address).then(|| text(&letter, "/code"))
        };
        outbox.lines().rev().find_map(sent)
    }

    /// The attributes of a user by name, email or sub, as `{"email": …, "custom:stripe_customer_id": …}`;
    /// nothing when there is none.
    ///
    /// # Errors
    /// When Cognito refuses for another reason.
    pub async fn user(&self, username: &str) -> Result<Option<Value>> {
        let asked = json!({"UserPoolId": self.pool_id, "Username": username});
        match self.call("AdminGetUser", &asked).await {
            Ok(user) => Ok(Some(attributes(&user["UserAttributes"]))),
            Err(Error::Answer { answer, .. }) if answer.contains("UserNotFoundException") => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The attributes of all users of the pool (the first 60).
    ///
    /// # Errors
    /// When Cognito refuses.
    pub async fn users(&self) -> Result<Vec<Value>> {
        let answer = self
            .call("ListUsers", &json!({"UserPoolId": self.pool_id}))
            .await?;
        let users = answer["Users"].as_array().cloned().unwrap_or_default();
        Ok(users
            .iter()
            .map(|user| attributes(&user["Attributes"]))
            .collect())
    }

    /// One call of Cognito's API by its name, `AdminDeleteUser` and the like.
    ///
    /// # Errors
    /// With Cognito's answer when it is not 200.
    pub async fn call(&self, action: &str, body: &Value) -> Result<Value> {
        let doing = format!("call Cognito's {action}");
        let scope = format!(
            "AWS4-HMAC-SHA256 Credential=harness/20260101/{REGION}/cognito-idp/aws4_request"
        );
        let request = Request::post(&self.url)
            .header(
                "x-amz-target",
                format!("AWSCognitoIdentityProviderService.{action}"),
            )
            .header("content-type", "application/x-amz-json-1.1")
            .header(
                "authorization",
                format!("{scope}, SignedHeaders=host, Signature=0"),
            )
            .body(body.to_string())
            .map_err(|error| Error::answer(&doing, error))?;
        let answer = send(request).await?;
        if answer.status != 200 {
            return Err(Error::answer(doing, answer.text()));
        }
        answer.json()
    }

    /// Where the public keys of the pool are. (Its tokens name AWS' own address as their issuer.)
    #[must_use]
    pub fn keys_url(&self) -> String {
        format!("{}/{}/.well-known/jwks.json", self.url, self.pool_id)
    }

    /// Makes a user who has a password, and gives the user's `sub`.
    ///
    /// # Errors
    /// When Cognito refuses.
    pub async fn register(&self, email: &str, password: &str) -> Result<String> {
        let user = json!({
            "UserPoolId": self.pool_id,
            "Username": email,
            "MessageAction": "SUPPRESS",
            "UserAttributes": [{"Name": "email", "Value": email}],
        });
        let made = self.call("AdminCreateUser", &user).await?;
        self.set_password(email, password).await?;
        let made = attributes(&made["User"]["Attributes"]);
        Ok(text(&made, "/sub"))
    }

    /// Gives a user a password, as one does who was invited.
    ///
    /// # Errors
    /// When Cognito refuses.
    pub async fn set_password(&self, email: &str, password: &str) -> Result<()> {
        let asked = json!({
            "UserPoolId": self.pool_id,
            "Username": email,
            "Password": password,
            "Permanent": true,
        });
        self.call("AdminSetUserPassword", &asked).await.map(drop)
    }

    /// Signs a user in: `{"AccessToken": …, "IdToken": …, …}`.
    ///
    /// # Errors
    /// When Cognito refuses.
    pub async fn sign_in(&self, email: &str, password: &str) -> Result<Value> {
        let asked = json!({
            "ClientId": self.client_id,
            "AuthFlow": "USER_PASSWORD_AUTH",
            "AuthParameters": {"USERNAME": email, "PASSWORD": password},
        });
        let answer = self.call("InitiateAuth", &asked).await?;
        Ok(answer["AuthenticationResult"].clone())
    }

    /// Everything moto logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log_text()
    }
}

fn text(answer: &Value, pointer: &str) -> String {
    answer
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

/// `[{"Name": n, "Value": v}, …]` as `{n: v, …}`.
fn attributes(list: &Value) -> Value {
    let pairs = list.as_array().into_iter().flatten();
    pairs
        .map(|pair| (text(pair, "/Name"), pair["Value"].clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// Gets moto and what it needs: the folder of its packages.
pub(crate) fn ensure() -> Result<std::path::PathBuf> {
    pypi::packages(PART, HINT)
}
