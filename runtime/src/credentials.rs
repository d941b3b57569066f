//! Named credentials (`STRIPE_SECRET_KEY`, …) from the environment or from mounted files, reloaded while running.
//!
//! A file of the directory wins over the environment variable of the same name. The directory is re-read every
//! second and compared by content, so a rotated Kubernetes Secret is in force without a restart. Contents never
//! leave this module but as [`Secret`].

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::Secret;

/// How often the directory is read again.
const RELOAD_EVERY: Duration = Duration::from_secs(1);

/// Where credentials are taken from.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct CredentialArgs {
    /// Directory of credential files, one named after each setting (STRIPE_SECRET_KEY, …), as a mounted Kubernetes
    /// Secret has them. A file wins over the environment variable of the same name and is reloaded when it changes.
    #[arg(long, env = "GLYPH_CREDENTIALS_DIR", value_name = "DIRECTORY")]
    pub credentials_dir: Option<PathBuf>,
}

/// A credential that is needed is nowhere to be found, or empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name} is not set: set the environment variable {name}, or put a file named {name} into the directory given by \
     --credentials-dir or GLYPH_CREDENTIALS_DIR ({})", .directory.as_ref().map_or("now not given".to_owned(), |directory| format!("now {}", directory.display()))
)]
pub struct MissingCredential {
    /// The setting's name.
    pub name: String,
    /// The directory that was looked into, if one is given.
    pub directory: Option<PathBuf>,
}

/// The credentials directory cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("failed to read credentials from {}", .path.display())]
pub struct ReadError {
    /// The directory or the file that could not be read.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

type Environment = dyn Fn(&str) -> Option<String> + Send + Sync;
type Files = BTreeMap<String, Secret>;

/// The credentials of this process. Clones share one state.
#[derive(Clone)]
pub struct Credentials(Arc<Shared>);

struct Shared {
    directory: Option<PathBuf>,
    environment: Box<Environment>,
    files: ArcSwap<Files>,
    generation: watch::Sender<u64>,
}

impl Credentials {
    /// Reads the directory, if one is given; the process environment stands behind it.
    pub fn load(args: &CredentialArgs) -> Result<Self, ReadError> {
        Self::with_environment(args, |name| std::env::var(name).ok())
    }

    /// As [`Credentials::load`], with something else than the process environment.
    pub fn with_environment(
        args: &CredentialArgs,
        environment: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Result<Self, ReadError> {
        let directory = args.credentials_dir.clone();
        let files = directory
            .as_deref()
            .map(read_directory)
            .transpose()?
            .unwrap_or_default();
        Ok(Self(Arc::new(Shared {
            directory,
            environment: Box::new(environment),
            files: ArcSwap::from_pointee(files),
            generation: watch::Sender::new(0),
        })))
    }

    /// The present value of the setting `name`. An empty one is a missing one.
    pub fn get(&self, name: &str) -> Result<Secret, MissingCredential> {
        let file = self.0.files.load().get(name).cloned();
        let found = file.or_else(|| {
            (self.0.environment)(name)
                .filter(|text| !text.is_empty())
                .map(Secret::new)
        });
        found.ok_or_else(|| MissingCredential {
            name: name.to_owned(),
            directory: self.0.directory.clone(),
        })
    }

    /// How many times the files have changed since the start.
    pub fn generation(&self) -> u64 {
        *self.0.generation.borrow()
    }

    /// Tells, by the generation, when any credential has changed.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.0.generation.subscribe()
    }

    /// Reads the directory again every second until `stop`. A directory that cannot be read leaves the last values
    /// in force, and is logged once.
    pub async fn keep_fresh(self, stop: CancellationToken) {
        let mut failing = false;
        while stop
            .run_until_cancelled(tokio::time::sleep(RELOAD_EVERY))
            .await
            .is_some()
        {
            match self.reload() {
                Ok(()) => failing = false,
                Err(error) if !failing => {
                    failing = true;
                    tracing::warn!(path = %error.path.display(), error = %error.source,
                        "failed to re-read credentials; the last ones stay in force");
                }
                Err(_) => {}
            }
        }
    }

    /// Reads the directory again now. A few small files of a memory file system: not worth another thread.
    pub fn reload(&self) -> Result<(), ReadError> {
        let Some(directory) = &self.0.directory else {
            return Ok(());
        };
        let read = read_directory(directory)?;
        if read != **self.0.files.load() {
            self.0.files.store(Arc::new(read));
            self.0.generation.send_modify(|generation| *generation += 1);
            tracing::info!(directory = %directory.display(), "credentials have changed and are in force");
        }
        Ok(())
    }
}

/// All non-empty files of the directory. A kubelet mount keeps them in a dated directory behind the symlink `..data`
/// and swaps the link: reading behind the link gives one state, never half of each.
fn read_directory(directory: &Path) -> Result<Files, ReadError> {
    let directory = directory
        .join("..data")
        .canonicalize()
        .unwrap_or_else(|_| directory.to_owned());
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| ReadError { path, source }
    };
    let mut files = Files::new();
    for entry in directory.read_dir().map_err(failed(&directory))? {
        let path = entry.map_err(failed(&directory))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        if name.starts_with('.') || !path.is_file() {
            continue;
        }
        let text = std::fs::read_to_string(&path).map_err(failed(&path))?;
        let text = text.trim_end_matches(['\r', '\n']);
        if !text.is_empty() {
            files.insert(name.to_owned(), Secret::new(text));
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests;
