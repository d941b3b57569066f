//! What can be read of Cognito's tokens without keys, and what proves a client with a secret. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Deserialize;
use sha2::Sha256;

/// Longest token that is looked at, in bytes: header fields end there as well.
const LONGEST: usize = 8 << 10;

/// The claims of an access token that say whose it is
/// (<https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-access-token.html>).
#[derive(Deserialize)]
struct Claims {
    iss: String,
    client_id: String,
    token_use: String,
    username: String,
}

/// Whether a token says that it is an access token of this pool's app client. That it says so truly, this cannot tell.
pub(super) fn is_ours(token: &str, pool: &str, client_id: &str) -> bool {
    claims(token).is_some_and(|claims| {
        claims.iss.starts_with("https://")
            && claims.iss.rsplit('/').next() == Some(pool)
            && claims.client_id == client_id
            && claims.token_use == "access"
    })
}

/// The user name in a token that Cognito just gave.
pub(super) fn username_of(token: &str) -> Option<String> {
    claims(token).map(|claims| claims.username)
}

fn claims(token: &str) -> Option<Claims> {
    if token.len() > LONGEST {
        return None;
    }
    let mut parts = token.split('.');
    let (_header, payload, _signature) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
    serde_json::from_slice(&payload).ok()
}

/// `SECRET_HASH`
/// (<https://docs.aws.amazon.com/cognito/latest/developerguide/signing-up-users-in-your-app.html#cognito-user-pools-computing-secret-hash>).
pub(super) fn secret_hash(secret: &str, username: &str, client_id: &str) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(username.as_bytes());
    mac.update(client_id.as_bytes());
    Some(STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const POOL: &str = "eu-central-1_abc";

    fn token(claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.c2ln", part(&json!({"alg": "RS256"})), part(claims))
    }

    fn good() -> Value {
        json!({
            "iss": format!("https://cognito-idp.eu-central-1.amazonaws.com/{POOL}"),
            "client_id": "ours", "token_use": "access", "username": "ada",
        })
    }

    /// CASE 37
    #[test]
    fn only_an_access_token_of_our_client_and_pool_is_ours() {
        assert!(is_ours(&token(&good()), POOL, "ours"));
        assert_eq!(username_of(&token(&good())).as_deref(), Some("ada"));
        let others = [
            (
                "iss",
                json!("https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_other"),
            ),
            ("iss", json!(POOL)),
            ("client_id", json!("another")),
            ("token_use", json!("id")),
            ("client_id", Value::Null),
        ];
        for (name, value) in others {
            let mut claims = good();
            claims[name] = value;
            assert!(!is_ours(&token(&claims), POOL, "ours"), "{claims}");
        }
    }

    /// CASE 38
    #[test]
    fn a_token_of_another_form_is_nobodys() {
        let good = token(&good());
        let two = good.rsplit_once('.').unwrap().0;
        let long = format!("{good}{}", "a".repeat(LONGEST));
        for odd in ["", "...", two, &format!("{good}.x"), &long, "a.b.c"] {
            assert!(!is_ours(odd, POOL, "ours"), "{odd}");
        }
    }

    /// Computed with `printf '%s' adaours | openssl dgst -sha256 -hmac secret -binary | base64`.
    #[test]
    fn a_secret_hash_is_as_aws_computes_it() {
        let hash = secret_hash("secret", "ada", "ours").unwrap();
        assert_eq!(hash, "9fSGsoCBaqatzfhPyorGj2zPXPJTGpF+W3zc7w/n0IA=");
    }
}
