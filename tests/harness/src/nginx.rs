//! nginx 1.22 or newer: on `PATH`, else Debian's program, unpacked and not installed.
//!
//! A configuration file is run as it is; only addresses are replaced, and it is told where to keep what Debian's
//! package would keep below `/var`.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::net::{free_port, loopback, start_twice};
use crate::process::{Process, command};
use crate::sources::{debian, on_path};
use crate::store::{self, run_folder};

const READY: Duration = Duration::from_secs(10);
const GRACE: Duration = Duration::from_secs(2);

/// Which configuration to run, and which of its addresses stand for what.
#[derive(Clone, Debug)]
pub struct NginxConfig {
    /// The file, as a user would run it.
    pub file: PathBuf,
    /// The address in the file at which requests are taken; a free one is used instead.
    pub listener: SocketAddr,
    /// The addresses in the file of what nginx talks to, and where each really is.
    pub endpoints: Vec<(SocketAddr, SocketAddr)>,
}

/// A running nginx.
pub struct Nginx {
    listener: SocketAddr,
    process: Process,
}

impl Nginx {
    /// Starts nginx and waits until it takes connections.
    ///
    /// # Errors
    /// When it cannot be had, the file lacks an address that is told about, or it does not start: then with what it said.
    pub async fn start(config: &NginxConfig) -> Result<Self> {
        let program = store::blocking(ensure).await?;
        start_twice(async || Self::start_once(&program, config).await).await
    }

    async fn start_once(program: &Path, config: &NginxConfig) -> Result<Self> {
        let listener = loopback(free_port()?);
        let folder = run_folder("nginx")?;
        let file = folder.join("nginx.conf");
        fs::write(&file, readdress(config, listener, &folder)?)
            .map_err(Error::io("write nginx' configuration"))?;
        let mut nginx = command(program);
        nginx.arg("-p").arg(&folder).arg("-c").arg(&file);
        nginx.args(["-e", "stderr", "-g"]);
        nginx.arg("daemon off; master_process off; pid nginx.pid;");
        let process = Process::start("nginx", nginx, folder.join("nginx.log"), GRACE)?;
        process
            .ready(READY, async || {
                tokio::net::TcpStream::connect(listener).await.is_ok()
            })
            .await?;
        Ok(Self { listener, process })
    }

    /// Where it takes requests, `http://127.0.0.1:…`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.listener)
    }

    /// Everything it logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log_text()
    }
}

/// The configuration with every address replaced, and with places of its own for temporary files.
fn readdress(config: &NginxConfig, listener: SocketAddr, folder: &Path) -> Result<String> {
    let doing = || format!("read nginx' configuration {}", config.file.display());
    let mut text = fs::read_to_string(&config.file).map_err(Error::io(doing()))?;
    let all = config.endpoints.iter().copied();
    for (written, real) in all.chain([(config.listener, listener)]) {
        let written = format!("{written};");
        if !text.contains(&written) {
            return Err(Error::answer(doing(), format!("it lacks {written}")));
        }
        text = text.replace(&written, &format!("{real};"));
    }
    let places = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|place| format!("{place}_temp_path {}/{place};", folder.display()));
    let opening = "http {\n";
    if !text.contains(opening) {
        return Err(Error::answer(doing(), "it has no line `http {`"));
    }
    Ok(text.replacen(opening, &format!("{opening}{}\n", places.join("\n")), 1))
}

/// Gets `nginx`.
pub(crate) fn ensure() -> Result<PathBuf> {
    if let Some(program) = on_path("nginx") {
        return Ok(program);
    }
    let hint = "nginx from Debian, some seconds";
    let folder = store::ensure("nginx", "debian", hint, |workshop| {
        debian::unpack("nginx", &["nginx"], ".", workshop)
    })?;
    Ok(folder.join("usr/sbin/nginx"))
}
