//! The archives as others read them: the documents lead to the layer, digests are right, bytes are the same again.
#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::Path;

use flate2::read::GzDecoder;
use glyph_image::{Error, Image};
use ring::digest::{SHA256, digest};
use serde_json::Value;
use tar::Archive;

type Blobs = BTreeMap<String, Vec<u8>>;

fn unpack(bytes: &[u8]) -> Blobs {
    let mut archive = Archive::new(bytes);
    let read = |entry: std::io::Result<tar::Entry<'_, &[u8]>>| {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        (
            entry.path().unwrap().to_string_lossy().into_owned(),
            content,
        )
    };
    archive.entries().unwrap().map(read).collect()
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

fn sha256(bytes: &[u8]) -> String {
    let hash = digest(&SHA256, bytes);
    let hex: String = hash
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256:{hex}")
}

/// The blob that a descriptor speaks of, whose digest and size must be as it says.
fn blob<'a>(blobs: &'a Blobs, descriptor: &Value) -> &'a [u8] {
    let name = descriptor["digest"].as_str().unwrap();
    let blob = &blobs[&format!("blobs/{}", name.replace(':', "/"))];
    assert_eq!(sha256(blob), name);
    assert_eq!(descriptor["size"], blob.len());
    blob
}

fn image() -> Image {
    Image::new("glyph.local/greeter:7")
        .content("hello", "/etc/greeting", 0o640)
        .content("#!", "/bin/greet", 0o755)
        .folder("/tmp", 0o1777)
        .link("greet", "/bin/hello")
        .entrypoint(["/bin/greet"])
        .user("65532:65532")
        .env("GREETING", "hello")
        .label("org.opencontainers.image.version", "7")
        .annotation("org.opencontainers.image.title", "greeter")
        .created("2026-01-02T03:04:05Z".parse().unwrap())
}

fn written(image: &Image) -> (String, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image.tar");
    let digest = image.write(&path).unwrap();
    (digest, fs::read(path).unwrap())
}

#[test]
fn index_manifest_and_configuration_lead_to_the_layer_and_say_how_it_runs() {
    let (told, bytes) = written(&image());
    let blobs = unpack(&bytes);
    assert_eq!(json(&blobs["oci-layout"])["imageLayoutVersion"], "1.0.0");
    let index = json(&blobs["index.json"]);
    let described = &index["manifests"][0];
    assert_eq!(described["digest"], told);
    let names = &described["annotations"];
    assert_eq!(names["io.containerd.image.name"], "glyph.local/greeter:7");
    assert_eq!(names["org.opencontainers.image.ref.name"], "7");
    let manifest = json(blob(&blobs, described));
    assert_eq!(
        manifest["annotations"]["org.opencontainers.image.title"],
        "greeter"
    );
    let config = json(blob(&blobs, &manifest["config"]));
    assert_eq!(config["created"], "2026-01-02T03:04:05Z");
    let run = &config["config"];
    assert_eq!(run["Entrypoint"], serde_json::json!(["/bin/greet"]));
    assert_eq!(
        (&run["User"], &run["Env"][0]),
        (&"65532:65532".into(), &"GREETING=hello".into())
    );
    assert_eq!(run["Labels"]["org.opencontainers.image.version"], "7");
    let mut layer = Vec::new();
    GzDecoder::new(blob(&blobs, &manifest["layers"][0]))
        .read_to_end(&mut layer)
        .unwrap();
    assert_eq!(config["rootfs"]["diff_ids"][0], sha256(&layer));
    assert_eq!(unpack(&layer)["etc/greeting"], b"hello");
}

#[test]
fn a_layer_is_sorted_owned_by_root_and_as_old_as_told() {
    let (_, bytes) = written(&image().uncompressed());
    let blobs = unpack(&bytes);
    let index = json(&blobs["index.json"]);
    let manifest = json(blob(&blobs, &index["manifests"][0]));
    let mut layer = Archive::new(blob(&blobs, &manifest["layers"][0]));
    let shown = layer.entries().unwrap().map(|entry| {
        let entry = entry.unwrap();
        let header = entry.header();
        assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
        assert_eq!(header.mtime().unwrap(), 1_767_323_045);
        let path = entry.path().unwrap().to_string_lossy().into_owned();
        format!("{path} {:o}", header.mode().unwrap())
    });
    let expected = [
        "bin 755",
        "bin/greet 755",
        "bin/hello 777",
        "etc 755",
        "etc/greeting 640",
        "tmp 1777",
    ];
    assert_eq!(shown.collect::<Vec<_>>(), expected);
}

#[test]
fn the_same_image_gives_the_same_bytes_and_another_gives_others() {
    let other = image().content("good day", "/etc/greeting", 0o640);
    assert_eq!(written(&image()), written(&image()));
    assert_ne!(written(&image()).0, written(&other).0);
}

#[test]
fn a_program_comes_with_the_libraries_that_it_needs() {
    let image = Image::new("glyph.local/cat:1").program(Path::new("/bin/cat"), "/bin/cat");
    let (_, bytes) = written(&image.unwrap().uncompressed());
    let blobs = unpack(&bytes);
    let index = json(&blobs["index.json"]);
    let manifest = json(blob(&blobs, &index["manifests"][0]));
    let files = unpack(blob(&blobs, &manifest["layers"][0]));
    assert_eq!(files["bin/cat"], fs::read("/bin/cat").unwrap());
    let has = |name: &str| files.keys().any(|file| file.contains(name));
    assert!(has("libc.so") && has("ld-linux"), "{:?}", files.keys());
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let image = Image::new("x:1").file("/nowhere/program", "/program", 0o755);
    let error = image.write(&folder.path().join("image.tar")).unwrap_err();
    assert!(matches!(error, Error::Read { file, .. } if file == Path::new("/nowhere/program")));
}
