//! stripe-mock: Stripe's own, stateless check of requests, and in its module Stripe's OpenAPI.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::net::{free_port, get, loopback, start_twice};
use crate::process::{Process, command, output_of_command};
use crate::sources::go;
use crate::store::{self, run_folder};

const PART: &str = "stripe-mock";
const MODULE: &str = "github.com/stripe/stripe-mock";
const READY: Duration = Duration::from_secs(20);
const GRACE: Duration = Duration::from_secs(1);

/// A running stripe-mock.
pub struct StripeMock {
    url: String,
    _process: Process,
}

impl StripeMock {
    /// Starts one.
    ///
    /// # Errors
    /// When it cannot be built or does not start.
    pub async fn start() -> Result<Self> {
        let folder = store::blocking(ensure).await?;
        start_twice(async || {
            let address = loopback(free_port()?).to_string();
            let mut mock = command(folder.join(PART));
            // Without an address of its own, HTTPS takes a fixed port, which a second stripe-mock finds taken.
            mock.args(["-http-addr", &address, "-https-addr", "127.0.0.1:0"]);
            let process =
                Process::start(PART, mock, run_folder(PART)?.join("stripe-mock.log"), GRACE)?;
            let url = format!("http://{address}");
            // Without a key it says 401, which is all that readiness needs.
            process
                .ready(READY, async || get(&url).await.is_ok())
                .await?;
            Ok(Self {
                url,
                _process: process,
            })
        })
        .await
    }

    /// Where it listens, `http://127.0.0.1:…`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The file with Stripe's OpenAPI (`spec3.json`).
    ///
    /// # Errors
    /// When the module cannot be had.
    pub async fn openapi() -> Result<PathBuf> {
        Ok(store::blocking(ensure).await?.join("spec3.json"))
    }
}

/// Gets the folder with the program and `spec3.json`.
pub(crate) fn ensure() -> Result<PathBuf> {
    let sums = include_str!("../parts/stripe-mock/go.sum");
    let stamp = format!("{}{sums}", include_str!("../parts/stripe-mock/go.mod"));
    store::ensure(
        PART,
        &stamp,
        "Stripe's mock and OpenAPI from a Go module: some 20 seconds",
        |workshop| {
            let go = go::go()?;
            go::build(&go, PART, MODULE, PART, "-s -w", workshop)?;
            let mut list = go::in_module(&go, PART);
            list.args(["list", "-m", "-f", "{{.Dir}}", MODULE]);
            let module = output_of_command(&mut list)
                .ok_or_else(|| Error::unavailable(PART, "go does not say where its module is"))?;
            let spec = PathBuf::from(module).join("embedded/openapi/spec3.json");
            let copied = std::fs::copy(&spec, workshop.folder.join("spec3.json"));
            copied
                .map(drop)
                .map_err(Error::io(format!("copy {}", spec.display())))
        },
    )
}
