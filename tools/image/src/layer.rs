//! The one layer of an image: a sorted tar of its files, compressed or not, with its two digests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use flate2::{Compression, GzBuilder};
use jiff::Timestamp;
use tar::{Builder, EntryType, Header};

use crate::archive::digest;
use crate::{Error, Result};

/// One place in an image.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    /// The content of this file, with these permissions.
    File(PathBuf, u32),
    /// This content, with these permissions.
    Content(Vec<u8>, u32),
    /// A folder with these permissions.
    Folder(u32),
    /// A symbolic link to this.
    Link(PathBuf),
}

/// A layer as it stands in an archive.
pub(crate) struct Layer {
    /// The tar, compressed or not.
    pub(crate) bytes: Vec<u8>,
    /// What `bytes` are.
    pub(crate) media_type: &'static str,
    /// The digest of the tar before it was compressed.
    pub(crate) diff_id: String,
}

pub(crate) fn build(
    entries: &BTreeMap<PathBuf, Entry>,
    created: Option<Timestamp>,
    compressed: bool,
) -> Result<Layer> {
    let seconds = created.map_or(0, Timestamp::as_second);
    let mut tar = Builder::new(Vec::new());
    // A time before 1970 cannot be told in a tar.
    let mut writer = Writer {
        tar: &mut tar,
        mtime: u64::try_from(seconds).unwrap_or_default(),
        folders: BTreeSet::new(),
    };
    for (place, entry) in entries {
        writer.add(place, entry)?;
    }
    let in_memory = |source| Error::Read {
        file: PathBuf::from("the layer"),
        source,
    };
    let tar = tar.into_inner().map_err(in_memory)?;
    let diff_id = digest(&tar);
    if !compressed {
        return Ok(Layer {
            bytes: tar,
            media_type: "application/vnd.oci.image.layer.v1.tar",
            diff_id,
        });
    }
    Ok(Layer {
        bytes: compress(&tar).map_err(in_memory)?,
        media_type: "application/vnd.oci.image.layer.v1.tar+gzip",
        diff_id,
    })
}

fn compress(tar: &[u8]) -> io::Result<Vec<u8>> {
    // Neither a time nor a name in the head: the same tar gives the same bytes.
    let mut gzip = GzBuilder::new()
        .mtime(0)
        .write(Vec::new(), Compression::default());
    gzip.write_all(tar)?;
    gzip.finish()
}

struct Writer<'a> {
    tar: &'a mut Builder<Vec<u8>>,
    mtime: u64,
    /// The folders that are written already.
    folders: BTreeSet<PathBuf>,
}

impl Writer<'_> {
    fn add(&mut self, place: &Path, entry: &Entry) -> Result<()> {
        if let Some(parent) = place.parent() {
            self.folder(parent, 0o755).map_err(failed(place))?;
        }
        match entry {
            Entry::File(source, mode) => {
                let read = || {
                    let file = fs::File::open(source)?;
                    Ok((file.metadata()?.len(), file))
                };
                let (size, file) = read().map_err(failed(source))?;
                self.content(place, file, size, *mode)
                    .map_err(failed(source))
            }
            Entry::Content(content, mode) => {
                let size = u64::try_from(content.len()).unwrap_or(u64::MAX);
                self.content(place, content.as_slice(), size, *mode)
                    .map_err(failed(place))
            }
            Entry::Folder(mode) => self.folder(place, *mode).map_err(failed(place)),
            Entry::Link(target) => self.link(place, target).map_err(failed(place)),
        }
    }

    /// Makes a folder and those above it, once each.
    fn folder(&mut self, place: &Path, mode: u32) -> io::Result<()> {
        if place.as_os_str().is_empty() || !self.folders.insert(place.to_path_buf()) {
            return Ok(());
        }
        if let Some(parent) = place.parent() {
            self.folder(parent, 0o755)?;
        }
        let mut header = self.header(EntryType::Directory, 0, mode);
        self.tar.append_data(&mut header, place, io::empty())
    }

    fn content(
        &mut self,
        place: &Path,
        content: impl Read,
        size: u64,
        mode: u32,
    ) -> io::Result<()> {
        let mut header = self.header(EntryType::Regular, size, mode);
        self.tar.append_data(&mut header, place, content)
    }

    fn link(&mut self, place: &Path, target: &Path) -> io::Result<()> {
        let mut header = self.header(EntryType::Symlink, 0, 0o777);
        self.tar.append_link(&mut header, place, target)
    }

    fn header(&self, kind: EntryType, size: u64, mode: u32) -> Header {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(self.mtime);
        header
    }
}

fn failed(file: &Path) -> impl FnOnce(io::Error) -> Error {
    let file = file.to_path_buf();
    move |source| Error::Read { file, source }
}
