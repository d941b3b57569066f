//! Who may talk to an API server of ours, and the key that signs service account tokens. The API server itself makes
//! its certificate, `apiserver.crt`, which is also the authority to trust.

use std::path::Path;
use std::{fs, io};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::json;

/// What stands before the point of a P-256 key in a DER SubjectPublicKeyInfo (RFC 5480).
const P256_PUBLIC_KEY: [u8; 26] = *b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";

/// Somebody with a token and a kubeconfig.
pub(crate) struct User {
    /// The kubeconfig's name in the run folder.
    pub(crate) file: &'static str,
    /// The name that RBAC knows.
    pub(crate) name: &'static str,
    /// The group that RBAC knows; may be empty.
    pub(crate) group: &'static str,
}

/// The administrator.
pub(crate) const ADMIN: User = User {
    file: "kubeconfig",
    name: "admin",
    group: "system:masters",
};

/// Writes each user's token and kubeconfig, and the key that signs service account tokens, for the API server at `server`.
pub(crate) fn write(folder: &Path, server: &str, users: &[User]) -> io::Result<()> {
    let random = SystemRandom::new();
    let mut tokens = String::new();
    for user in users {
        let mut token = [0_u8; 24];
        random.fill(&mut token).map_err(no_key)?;
        let token = URL_SAFE_NO_PAD.encode(token);
        let User { file, name, group } = user;
        tokens.push_str(&format!("{token},{name},{name},\"{group}\"\n"));
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "glyph", "cluster": {
                "server": server, "certificate-authority": folder.join("apiserver.crt"),
            }}],
            "users": [{"name": name, "user": {"token": token}}],
            "contexts": [{"name": "glyph", "context": {"cluster": "glyph", "user": name}}],
            "current-context": "glyph",
        });
        fs::write(folder.join(file), config.to_string())?;
    }
    fs::write(folder.join("tokens.csv"), tokens)?;
    write_signing_key(folder, &random)
}

/// The API server's flags for what [`write`] wrote.
pub(crate) fn server_flags(folder: &Path) -> [String; 5] {
    let file = |name: &str| folder.join(name).display().to_string();
    [
        format!("--cert-dir={}", folder.display()),
        format!("--token-auth-file={}", file("tokens.csv")),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--service-account-key-file={}", file("sa.pub")),
        format!("--service-account-signing-key-file={}", file("sa.key")),
    ]
}

/// The controller manager's flags for what [`write`] wrote.
pub(crate) fn manager_flags(folder: &Path) -> [String; 2] {
    let file = |name: &str| folder.join(name).display().to_string();
    [
        format!("--service-account-private-key-file={}", file("sa.key")),
        format!("--root-ca-file={}", file("apiserver.crt")),
    ]
}

fn no_key(reason: impl std::fmt::Display) -> io::Error {
    io::Error::other(format!("no key could be made: {reason}"))
}

/// Makes the key pair of service account tokens: `sa.key` and `sa.pub`.
fn write_signing_key(folder: &Path, random: &SystemRandom) -> io::Result<()> {
    let kind = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let private = EcdsaKeyPair::generate_pkcs8(kind, random).map_err(no_key)?;
    let pair = EcdsaKeyPair::from_pkcs8(kind, private.as_ref(), random).map_err(no_key)?;
    let public = [&P256_PUBLIC_KEY, pair.public_key().as_ref()].concat();
    let pem = |label: &str, der: &[u8]| {
        let text = STANDARD.encode(der);
        format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
    };
    fs::write(folder.join("sa.key"), pem("PRIVATE KEY", private.as_ref()))?;
    fs::write(folder.join("sa.pub"), pem("PUBLIC KEY", &public))
}
