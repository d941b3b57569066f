//! Container images of one layer, written as OCI archives (`image-layout` of the OCI image specification 1.1 in a
//! tar file): what `ctr images import`, `skopeo copy oci-archive:…` and `docker load` take.
//!
//! Neither Docker nor a registry is needed. The same files and settings give the same bytes: entries are sorted,
//! owned by root and as old as [`Image::created`] says (1970 if it says nothing).

mod archive;
mod layer;
mod libraries;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use layer::Entry;

/// Why an image was not written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of the image could not be read.
    #[error("failed to read {} for an image", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The shared libraries that a program needs are not all there.
    #[error("failed to find the shared libraries of {}: {why}", program.display())]
    Libraries {
        /// The program.
        program: PathBuf,
        /// What `ldd` said.
        why: String,
    },
    /// The archive could not be written.
    #[error("failed to write the image {}", archive.display())]
    Write {
        /// The archive.
        archive: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An image to be: what is in it, and how it runs.
#[derive(Clone, Debug)]
pub struct Image {
    name: String,
    entries: BTreeMap<PathBuf, Entry>,
    entrypoint: Vec<String>,
    arguments: Vec<String>,
    environment: BTreeMap<String, String>,
    user: Option<String>,
    ports: Vec<String>,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    created: Option<Timestamp>,
    compressed: bool,
}

impl Image {
    /// An empty image with a name as in a pod's `image`: `registry.example/glyph-operator:1.2.3`.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            entries: BTreeMap::new(),
            entrypoint: Vec::new(),
            arguments: Vec::new(),
            environment: BTreeMap::new(),
            user: None,
            ports: Vec::new(),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            created: None,
            compressed: true,
        }
    }

    /// Puts the file `source` at `place` with the permissions `mode` (`0o755`). It is read when the image is written.
    #[must_use]
    pub fn file(self, source: impl Into<PathBuf>, place: impl AsRef<Path>, mode: u32) -> Self {
        self.entry(place.as_ref(), Entry::File(source.into(), mode))
    }

    /// Puts a file that holds `content` at `place`.
    #[must_use]
    pub fn content(self, content: impl Into<Vec<u8>>, place: impl AsRef<Path>, mode: u32) -> Self {
        self.entry(place.as_ref(), Entry::Content(content.into(), mode))
    }

    /// Makes the folder `place`. The folders above a file are made anyway, with `0o755`.
    #[must_use]
    pub fn folder(self, place: impl AsRef<Path>, mode: u32) -> Self {
        self.entry(place.as_ref(), Entry::Folder(mode))
    }

    /// Makes `place` a symbolic link to `target`.
    #[must_use]
    pub fn link(self, target: impl Into<PathBuf>, place: impl AsRef<Path>) -> Self {
        self.entry(place.as_ref(), Entry::Link(target.into()))
    }

    /// Puts a program of this machine at `place`, with the shared libraries that `ldd` says it needs where they are here.
    /// A static program needs none.
    ///
    /// # Errors
    /// When one of the libraries is not there, or `ldd` cannot be run.
    pub fn program(self, source: &Path, place: impl AsRef<Path>) -> Result<Self> {
        let libraries = libraries::of(source)?;
        let image = self.file(source, place, 0o755);
        Ok(libraries.into_iter().fold(image, |image, library| {
            image.file(library.clone(), library, 0o755)
        }))
    }

    fn entry(mut self, place: &Path, entry: Entry) -> Self {
        let inside = place.strip_prefix("/").unwrap_or(place);
        self.entries.insert(inside.to_path_buf(), entry);
        self
    }

    /// What is run.
    #[must_use]
    pub fn entrypoint(mut self, words: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.entrypoint = words.into_iter().map(Into::into).collect();
        self
    }

    /// What follows the entrypoint unless a pod's `args` say something else.
    #[must_use]
    pub fn arguments(mut self, words: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.arguments = words.into_iter().map(Into::into).collect();
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// Who runs it: `65532:65532`. Numbers, so that Kubernetes can tell that it is not root.
    #[must_use]
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// Tells of a port that it listens on: `8080/tcp`.
    #[must_use]
    pub fn port(mut self, port: impl Into<String>) -> Self {
        self.ports.push(port.into());
        self
    }

    /// Sets a label (in the image's configuration: `docker inspect` shows it).
    #[must_use]
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(name.into(), value.into());
        self
    }

    /// Sets an annotation (in the image's manifest: registries show it).
    #[must_use]
    pub fn annotation(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.annotations.insert(name.into(), value.into());
        self
    }

    /// When it was made, of its files too; for the same bytes again, give the time of the commit (`SOURCE_DATE_EPOCH`).
    #[must_use]
    pub fn created(mut self, time: Timestamp) -> Self {
        self.created = Some(time);
        self
    }

    /// Leaves the layer as it is: for an image that goes no farther than this machine.
    #[must_use]
    pub fn uncompressed(mut self) -> Self {
        self.compressed = false;
        self
    }

    /// Writes the archive and gives the digest of the image's manifest, `sha256:…`. A file that is there already is
    /// replaced at once.
    ///
    /// # Errors
    /// When a file of the image cannot be read, or the archive cannot be written.
    pub fn write(&self, archive: &Path) -> Result<String> {
        let layer = layer::build(&self.entries, self.created, self.compressed)?;
        archive::write(self, &layer, archive).map_err(|source| Error::Write {
            archive: archive.to_path_buf(),
            source,
        })
    }
}
