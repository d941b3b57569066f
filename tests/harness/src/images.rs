//! Glyph's own images: both programs built statically, each alone with the certificates it trusts in an OCI archive
//! below `target/images`. What `cargo image` writes is what the tests run.
//!
//! The same commit gives the same bytes: paths of this machine are taken out of the programs, and files are as old as the
//! commit (or as `SOURCE_DATE_EPOCH` says).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use glyph_image::Image;
use jiff::Timestamp;

use crate::cargo;
use crate::envoy;
use crate::error::{Error, Result};
use crate::process::{command, output_of_command, run};
use crate::progress::Progress;
use crate::redis;
use crate::service::Program;
use crate::sources::{debian, on_path};
use crate::store::{self, run_folder, target, workspace_root};

/// The certificates that Stripe and AWS are trusted by.
const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// Nobody, by number, so that Kubernetes can tell that it is not root.
const USER: &str = "65532:65532";

/// An image that was written.
#[derive(Clone, Debug)]
pub struct Built {
    /// Its name: `ghcr.io/devpro-llc/glyph-operator:0.1.0`.
    pub name: String,
    /// The OCI archive.
    pub archive: PathBuf,
    /// The digest of its manifest, `sha256:…`.
    pub digest: String,
    /// Bytes of the archive.
    pub size: u64,
}

/// What images are made of: one build of both programs.
#[derive(Clone, Debug)]
pub struct Programs {
    folder: PathBuf,
    source: Source,
}

/// The image of a part that runs beside Glyph in a cluster, under the name that charts and examples give it: the program and
/// the libraries of this machine that it needs.
///
/// # Errors
/// When the part or a library cannot be had, or the archive cannot be written.
pub async fn of_part(part: Part, name: &str, archive: &Path) -> Result<()> {
    let (name, archive) = (name.to_owned(), archive.to_path_buf());
    store::blocking(move || {
        let (program, place) = match part {
            Part::Redis => (redis::ensure()?, "/usr/local/bin/redis-server"),
            Part::Envoy => (envoy::ensure()?, "/usr/local/bin/envoy"),
        };
        let doing = |error| Error::answer(format!("write the image {name}"), error);
        let image = Image::new(&name)
            .uncompressed()
            .program(&program, place)
            .map_err(doing)?
            .folder("/tmp", 0o1777)
            .env("PATH", "/usr/local/bin")
            .entrypoint([place])
            .user(USER);
        image.write(&archive).map(drop).map_err(doing)
    })
    .await
}

/// A part that runs beside Glyph in a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Redis.
    Redis,
    /// Envoy.
    Envoy,
}

/// Which state of the code this is.
#[derive(Clone, Debug, Default)]
struct Source {
    commit: Option<String>,
    time: Option<Timestamp>,
}

impl Programs {
    /// Builds both programs, optimised and without any library of the machine's.
    ///
    /// # Errors
    /// When the C compiler or Rust's library for musl cannot be had, or with the compiler's last words.
    pub async fn build() -> Result<Self> {
        store::blocking(Self::build_now).await
    }

    fn build_now() -> Result<Self> {
        let triple = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
        let log = run_folder("image")?.join("cargo.log");
        let mut progress = Progress::begin(
            "building glyph-operator and glyph-authz for images",
            "a quarter of an hour when cold",
        );
        ensure_compiler(&triple, &log, &mut progress)?;
        let source = Source::of_workspace();
        let folder = target().join("images");
        let mut build = command(PathBuf::from(cargo::program()));
        cargo::forget_package(&mut build);
        build.current_dir(workspace_root()).args([
            "build",
            "--release",
            "--locked",
            "--target",
            &triple,
        ]);
        build.arg("--target-dir").arg(folder.join("build"));
        for program in [Program::Operator, Program::Authz] {
            build.args(["--package", program.name(), "--bin", program.name()]);
        }
        build.env("RUSTFLAGS", flags());
        // The C compiler's idea of now, which mimalloc's banner would hold. No commit's: C code is not built again for one.
        build.env("SOURCE_DATE_EPOCH", "0");
        source.tell(&mut build);
        run("the images", build, &log, &mut progress)?;
        progress.done();
        Ok(Self {
            folder: folder.join("build").join(triple).join("release"),
            source,
        })
    }

    /// Writes the image of one program, `<registry>/<program>:<tag>`, into `folder`.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn image(
        &self,
        program: Program,
        registry: &str,
        tag: &str,
        folder: &Path,
    ) -> Result<Built> {
        let name = format!("{registry}/{}:{tag}", program.name());
        let place = format!("/{}", program.name());
        let mut image = Image::new(&name)
            .file(self.folder.join(program.name()), &place, 0o755)
            .file(CERTIFICATES, CERTIFICATES, 0o644)
            .env("SSL_CERT_FILE", CERTIFICATES)
            .entrypoint([place])
            .user(USER)
            .label("org.opencontainers.image.licenses", "Apache-2.0")
            .label("org.opencontainers.image.version", tag);
        if let Some(commit) = &self.source.commit {
            image = image.label("org.opencontainers.image.revision", commit);
        }
        if let Some(time) = self.source.time {
            image = image.created(time);
        }
        fs::create_dir_all(folder)
            .map_err(Error::io(format!("make the folder {}", folder.display())))?;
        let archive = folder.join(format!("{}-{tag}.tar", program.name()));
        let written = image.write(&archive);
        let digest = written.map_err(|error| Error::answer(format!("write {name}"), error))?;
        let size = fs::metadata(&archive).map_err(Error::io("look at an image"))?;
        Ok(Built {
            name,
            archive,
            digest,
            size: size.len(),
        })
    }
}

impl Source {
    fn of_workspace() -> Self {
        let git = |args: &[&str]| {
            let mut git = Command::new("git");
            git.current_dir(workspace_root()).args(args);
            output_of_command(&mut git).filter(|said| !said.is_empty())
        };
        let edited = git(&["status", "--porcelain"]).is_some();
        let commit = git(&["rev-parse", "--short=12", "HEAD"]);
        let seconds = std::env::var("SOURCE_DATE_EPOCH")
            .ok()
            .or_else(|| git(&["log", "-1", "--format=%ct"]));
        let time = seconds.and_then(|text| Timestamp::from_second(text.parse().ok()?).ok());
        Self {
            commit: commit.map(|commit| if edited { commit + "-edited" } else { commit }),
            time,
        }
    }

    /// Has the programs know what they were built from (`--version`).
    fn tell(&self, build: &mut Command) {
        if let Some(commit) = &self.commit {
            build.env("GLYPH_BUILD_COMMIT", commit);
        }
        if let Some(time) = self.time {
            build.env("GLYPH_BUILD_DATE", time.strftime("%Y-%m-%d").to_string());
        }
    }
}

/// Static, and with no path of this machine in it.
fn flags() -> String {
    let mut flags = vec!["-Ctarget-feature=+crt-static".to_owned()];
    let mut remap = |from: PathBuf, to: &str| {
        flags.push(format!("--remap-path-prefix={}={to}", from.display()));
    };
    remap(workspace_root(), "/glyph");
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo"));
    let cargo = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    if let Some(cargo) = cargo.or_else(home) {
        remap(cargo, "/cargo");
    }
    flags.join(" ")
}

fn ensure_compiler(triple: &str, log: &Path, progress: &mut Progress) -> Result<()> {
    let mut lacking = Vec::new();
    if on_path("musl-gcc").is_none() {
        lacking.push("musl-tools");
    }
    if !Path::new(CERTIFICATES).exists() {
        lacking.push("ca-certificates");
    }
    if !lacking.is_empty() {
        debian::install("the C compiler for musl", &lacking, log, progress)?;
    }
    let mut add = command("rustup");
    add.current_dir(workspace_root())
        .args(["target", "add", triple]);
    run("Rust's library for musl", add, log, progress)
}
