//! The documents around a layer (configuration, manifest, index) and the tar file that holds them all.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use ring::digest::SHA256;
use serde::Serialize;
use serde_json::{Map, Value, json};
use tar::{Builder, Header};
use tempfile::NamedTempFile;

use crate::Image;
use crate::layer::Layer;

const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A digest as images write it: `sha256:` and lower-case hexadecimal.
pub(crate) fn digest(bytes: &[u8]) -> String {
    let hash = ring::digest::digest(&SHA256, bytes);
    let hex: String = hash
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256:{hex}")
}

/// Writes `image` with `layer` to `path` and gives the manifest's digest.
pub(crate) fn write(image: &Image, layer: &Layer, path: &Path) -> io::Result<String> {
    let config = serde_json::to_vec(&config(image, layer))?;
    let manifest = serde_json::to_vec(&manifest(image, layer, &config))?;
    let index = serde_json::to_vec(&index(image, &manifest))?;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let mut file = NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
    let mut archive = Builder::new(file.as_file_mut());
    let version = json!({"imageLayoutVersion": "1.0.0"}).to_string();
    add(&mut archive, "oci-layout", version.as_bytes())?;
    add(&mut archive, "index.json", &index)?;
    let blobs: BTreeMap<String, &[u8]> = [&layer.bytes, &config, &manifest]
        .map(|blob| (digest(blob).replace(':', "/"), blob.as_slice()))
        .into();
    for (name, blob) in blobs {
        add(&mut archive, &format!("blobs/{name}"), blob)?;
    }
    archive.into_inner()?;
    readable_by_all(file.as_file())?;
    file.persist(path)?;
    Ok(digest(&manifest))
}

fn add(archive: &mut Builder<impl io::Write>, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_size(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    header.set_mode(0o644);
    header.set_mtime(0);
    archive.append_data(&mut header, name, bytes)
}

/// A temporary file is its owner's alone.
fn readable_by_all(file: &std::fs::File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

fn config(image: &Image, layer: &Layer) -> Value {
    let path = ("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned());
    let mut environment = BTreeMap::from([path]);
    environment.extend(image.environment.clone());
    let environment: Vec<String> = environment
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let mut run = json!({"Env": environment, "WorkingDir": "/"});
    set(&mut run, "Entrypoint", &image.entrypoint);
    set(&mut run, "Cmd", &image.arguments);
    set(&mut run, "Labels", &image.labels);
    if let Some(user) = &image.user {
        run["User"] = json!(user);
    }
    if !image.ports.is_empty() {
        let ports: Map<String, Value> = image
            .ports
            .iter()
            .map(|port| (port.clone(), json!({})))
            .collect();
        run["ExposedPorts"] = ports.into();
    }
    let mut config = platform();
    config["config"] = run;
    config["rootfs"] = json!({"type": "layers", "diff_ids": [layer.diff_id]});
    let mut history = json!({"created_by": "glyph-image"});
    if let Some(created) = image.created {
        config["created"] = json!(created);
        history["created"] = json!(created);
    }
    config["history"] = json!([history]);
    config
}

fn manifest(image: &Image, layer: &Layer, config: &[u8]) -> Value {
    let mut manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor(CONFIG, config),
        "layers": [descriptor(layer.media_type, &layer.bytes)],
    });
    set(&mut manifest, "annotations", &image.annotations);
    manifest
}

fn index(image: &Image, manifest: &[u8]) -> Value {
    let mut described = descriptor(MANIFEST, manifest);
    described["platform"] = platform();
    // containerd goes by the first, others by the second, which is the tag alone.
    described["annotations"] = json!({
        "io.containerd.image.name": image.name,
        "org.opencontainers.image.ref.name": tag(&image.name),
    });
    json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [described]})
}

fn tag(name: &str) -> &str {
    let last = name.rsplit('/').next().unwrap_or(name);
    last.split_once(':').map_or("latest", |(_, tag)| tag)
}

fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": digest(bytes), "size": bytes.len()})
}

/// This machine's, as Go names it.
fn platform() -> Value {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    json!({"architecture": architecture, "os": "linux"})
}

/// Sets a field unless its value is empty.
fn set<T: Serialize + Default + PartialEq>(object: &mut Value, field: &str, value: &T) {
    if *value != T::default() {
        object[field] = json!(value);
    }
}

#[cfg(test)]
mod tests {
    use super::tag;

    #[test]
    fn a_registrys_port_is_not_taken_for_a_tag() {
        assert_eq!(tag("glyph.local/pause:1"), "1");
        assert_eq!(tag("registry.example:5000/glyph/operator"), "latest");
        assert_eq!(tag("registry.example:5000/glyph/operator:v2"), "v2");
    }
}
