//! A certificate for loopback, and the authority that vouches for it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::process::{command, run};
use crate::progress::Progress;
use crate::sources::{debian, on_path};
use crate::store::{self, run_folder};

/// A certificate of 127.0.0.1. Its files are PEM.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The authority's certificate.
    pub authority: PathBuf,
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl Certificate {
    /// Makes one.
    ///
    /// # Errors
    /// When openssl cannot be had, or fails.
    pub async fn make() -> Result<Self> {
        store::blocking(Self::make_now).await
    }

    fn make_now() -> Result<Self> {
        let folder = run_folder("certificate")?;
        let log = folder.join("log");
        let mut progress = Progress::begin("making a certificate", "at once");
        if on_path("openssl").is_none() {
            debian::install("openssl", &["openssl"], &log, &mut progress)?;
        }
        let extensions = folder.join("extensions");
        fs::write(&extensions, "subjectAltName=IP:127.0.0.1\n")
            .map_err(Error::io("write a certificate's extensions"))?;
        let mut openssl = |line: &str| {
            let mut openssl = command("openssl");
            openssl.args(line.split(' ')).current_dir(&folder);
            run("a certificate", openssl, &log, &mut progress)
        };
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
        openssl(&format!(
            "req -x509 {key} -keyout ca.key -out ca.crt -days 2 -subj /CN=authority"
        ))?;
        openssl(&format!(
            "req {key} -keyout redis.key -out redis.csr -subj /CN=redis"
        ))?;
        openssl(
            "x509 -req -in redis.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out redis.crt -days 2 -extfile extensions",
        )?;
        let at = |name: &str| Path::new(&folder).join(name);
        Ok(Self {
            authority: at("ca.crt"),
            certificate: at("redis.crt"),
            key: at("redis.key"),
        })
    }
}
