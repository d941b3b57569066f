//! The three processes of a control plane: their flags, and when each is ready.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use std::{fs, io};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::json;

use super::binaries::Binaries;
use super::plane::Retry;
use crate::error::{Error, Result};
use crate::net::{free_port, get, loopback};
use crate::process::{Process, command};
use crate::store::{self, run_folder};

const READY: Duration = Duration::from_secs(60);
/// Nothing in a control plane for tests is worth a graceful end, which takes the API server seconds.
const AT_ONCE: Duration = Duration::ZERO;
/// What stands before the point of a P-256 key in a DER SubjectPublicKeyInfo (RFC 5480).
const P256_PUBLIC_KEY: [u8; 26] = *b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";

/// A control plane's processes. The API server can be stopped and started again on the same port and data.
pub(super) struct Processes {
    pub(super) folder: PathBuf,
    pub(super) kubeconfig: PathBuf,
    pub(super) address: SocketAddr,
    binaries: Binaries,
    etcd_url: String,
    api_server: Mutex<Option<Process>>,
    _etcd: Process,
    _controller_manager: Process,
}

impl Processes {
    /// Starts all three and waits until the API server is ready.
    pub(super) async fn start() -> Result<Self> {
        let binaries = store::blocking(super::ensure_binaries).await?;
        let folder = run_folder("kubernetes")?;
        let (client, peer, api) = (free_port()?, free_port()?, free_port()?);
        let etcd_url = format!("http://{}", loopback(client));
        let address = loopback(api);
        let kubeconfig =
            write_credentials(&folder, address).map_err(Error::io("write a kubeconfig"))?;
        let etcd = Process::start(
            "etcd",
            etcd(&binaries, &folder, client, peer),
            folder.join("etcd.log"),
            AT_ONCE,
        )?;
        let etcd_healthy = async || {
            get(&format!("{etcd_url}/health"))
                .await
                .is_ok_and(|answer| answer.status == 200)
        };
        etcd.ready(READY, etcd_healthy).await?;
        let api_server = start_api_server(&binaries, &folder, address, &etcd_url)?;
        wait_for_api_server(&api_server, &kubeconfig).await?;
        let manager = controller_manager(&binaries, &folder, &kubeconfig);
        let manager = Process::start(
            "kube-controller-manager",
            manager,
            folder.join("controllers.log"),
            AT_ONCE,
        )?;
        Ok(Self {
            folder,
            kubeconfig,
            address,
            binaries,
            etcd_url,
            api_server: Mutex::new(Some(api_server)),
            _etcd: etcd,
            _controller_manager: manager,
        })
    }

    /// Kills the API server; its connections break, its port refuses.
    pub(super) fn stop_api_server(&self) {
        let server = self
            .api_server
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        drop(server);
    }

    /// Starts the API server on the same port and data, and waits until it is ready.
    pub(super) async fn start_api_server(&self) -> Result<()> {
        let server = start_api_server(&self.binaries, &self.folder, self.address, &self.etcd_url)?;
        wait_for_api_server(&server, &self.kubeconfig).await?;
        *self
            .api_server
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(server);
        Ok(())
    }
}

fn etcd(binaries: &Binaries, folder: &Path, client: u16, peer: u16) -> Command {
    let (client, peer) = (
        format!("http://{}", loopback(client)),
        format!("http://{}", loopback(peer)),
    );
    let mut etcd = command(&binaries.etcd);
    etcd.arg("--unsafe-no-fsync").arg("--log-level=warn");
    etcd.arg(format!("--data-dir={}", folder.join("data/etcd").display()));
    etcd.arg(format!("--listen-client-urls={client}"))
        .arg(format!("--advertise-client-urls={client}"));
    etcd.arg(format!("--listen-peer-urls={peer}"))
        .arg(format!("--initial-advertise-peer-urls={peer}"));
    etcd.arg(format!("--initial-cluster=default={peer}"));
    etcd
}

fn start_api_server(
    binaries: &Binaries,
    folder: &Path,
    address: SocketAddr,
    etcd_url: &str,
) -> Result<Process> {
    let mut server = command(&binaries.api_server);
    server.args([
        "--bind-address=127.0.0.1",
        "--authorization-mode=RBAC",
        "--service-cluster-ip-range=10.0.0.0/24",
    ]);
    // Without this it refuses to advertise a loopback address.
    server.arg("--endpoint-reconciler-type=none");
    server
        .arg(format!("--secure-port={}", address.port()))
        .arg(format!("--etcd-servers={etcd_url}"));
    server.arg(format!("--cert-dir={}", folder.display()));
    server.arg(format!(
        "--token-auth-file={}",
        folder.join("tokens.csv").display()
    ));
    server.arg("--service-account-issuer=https://kubernetes.default.svc");
    server.arg(format!(
        "--service-account-key-file={}",
        folder.join("sa.pub").display()
    ));
    server.arg(format!(
        "--service-account-signing-key-file={}",
        folder.join("sa.key").display()
    ));
    Process::start(
        "kube-apiserver",
        server,
        folder.join("apiserver.log"),
        AT_ONCE,
    )
}

fn controller_manager(binaries: &Binaries, folder: &Path, kubeconfig: &Path) -> Command {
    let mut manager = command(&binaries.controller_manager);
    manager.args(["--leader-elect=false", "--secure-port=0"]);
    manager.arg(format!("--kubeconfig={}", kubeconfig.display()));
    manager.arg(format!(
        "--service-account-private-key-file={}",
        folder.join("sa.key").display()
    ));
    manager.arg(format!(
        "--root-ca-file={}",
        folder.join("apiserver.crt").display()
    ));
    manager
}

/// Waits for `/readyz`, asked as the administrator, whose rights come with the server's start-up hooks.
async fn wait_for_api_server(server: &Process, kubeconfig: &Path) -> Result<()> {
    let probe = async || {
        let Ok(client) = super::plane::client(kubeconfig, None, Retry::Never).await else {
            return false;
        };
        let Ok(request) = http::Request::get("/readyz").body(Vec::new()) else {
            return false;
        };
        client.request_text(request).await.is_ok()
    };
    server.ready(READY, probe).await
}

/// Writes the administrator's token, the key that signs service account tokens, and a kubeconfig. The API
/// server itself makes its certificate, `apiserver.crt`, which is also the authority to trust.
fn write_credentials(folder: &Path, address: SocketAddr) -> io::Result<PathBuf> {
    let random = SystemRandom::new();
    let mut token = [0_u8; 24];
    random.fill(&mut token).map_err(no_key)?;
    let token = URL_SAFE_NO_PAD.encode(token);
    fs::write(
        folder.join("tokens.csv"),
        format!("{token},admin,admin,\"system:masters\"\n"),
    )?;
    write_signing_key(folder, &random)?;
    let authority = folder.join("apiserver.crt");
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "glyph", "cluster": {
            "server": format!("https://{address}"), "certificate-authority": authority,
        }}],
        "users": [{"name": "admin", "user": {"token": token}}],
        "contexts": [{"name": "glyph", "context": {"cluster": "glyph", "user": "admin"}}],
        "current-context": "glyph",
    });
    let path = folder.join("kubeconfig");
    fs::write(&path, config.to_string())?;
    Ok(path)
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
