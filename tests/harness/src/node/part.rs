//! What a node is made of: Kubernetes' programs and CoreDNS from Go modules, container runtime and network tools from
//! Debian (unpacked, not installed), and the two images that every node needs.

use std::ffi::OsString;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use glyph_image::Image;

use super::is_allowed;
use crate::error::{Error, Result};
use crate::kubernetes::{Binaries, Tools, ensure_binaries, modules, version_flags};
use crate::sources::{debian, go};
use crate::store::{self, Workshop};

const HINT: &str = "scheduler, kubelet, kube-proxy and CoreDNS from Go modules, containerd from Debian: 2 minutes, once";
/// Built from the module `parts/kubernetes`, beside the control plane.
const PROGRAMS: [&str; 3] = ["kube-scheduler", "kubelet", "kube-proxy"];
/// Built from the module `parts/node`, each into an image of its own.
const IMAGES: [&str; 2] = ["pause", "coredns"];
const PACKAGES: [&str; 6] = [
    "containerd",
    "runc",
    "containernetworking-plugins",
    "iptables",
    "nftables",
    "iproute2",
];
/// One program that goes by the name it is called with; Debian links the names when it installs.
const IPTABLES: [&str; 6] = [
    "iptables",
    "iptables-save",
    "iptables-restore",
    "ip6tables",
    "ip6tables-save",
    "ip6tables-restore",
];

/// A node's part, with the control plane and the tools that it shares with others.
pub(super) struct Part {
    pub(super) binaries: Binaries,
    pub(super) tools: Tools,
    folder: PathBuf,
}

impl Part {
    /// Gets all of it.
    pub(super) fn get() -> Result<Self> {
        if !is_allowed() {
            let why = "namespaces and containers take root";
            return Err(Error::unavailable("a Kubernetes node", why));
        }
        Ok(Self {
            binaries: ensure_binaries()?,
            tools: Tools::ensure()?,
            folder: store::ensure("node", &stamp(), HINT, make)?,
        })
    }

    /// One of the programs built for nodes.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A file of the Debian packages.
    pub(super) fn debian(&self, file: &str) -> PathBuf {
        self.folder.join("debian").join(file)
    }

    /// The archives of the images that every node needs.
    pub(super) fn images(&self) -> [PathBuf; 2] {
        IMAGES.map(|name| self.folder.join(format!("{name}.tar")))
    }

    /// What lets the unpacked programs find each other and their libraries.
    pub(super) fn environment(&self) -> [(&'static str, OsString); 3] {
        let own = ["usr/sbin", "usr/bin", "sbin", "bin"].map(|folder| self.debian(folder));
        let mut path = own.map(PathBuf::into_os_string).join(&OsString::from(":"));
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let machine = format!("{}-linux-gnu", std::env::consts::ARCH);
        let libraries = self.debian("usr/lib").join(&machine);
        let plugins = libraries.join("xtables").into_os_string();
        let older = self.debian("lib").join(&machine);
        let both = [libraries, older].map(PathBuf::into_os_string);
        [
            ("PATH", path),
            ("LD_LIBRARY_PATH", both.join(&OsString::from(":"))),
            ("XTABLES_LIBDIR", plugins),
        ]
    }
}

fn stamp() -> String {
    let own = [
        include_str!("../../parts/node/go.mod"),
        include_str!("../../parts/node/go.sum"),
        include_str!("../../parts/node/coredns/main.go"),
        include_str!("../../parts/node/pause/main.go"),
    ];
    format!("{}{}{}", modules(), own.concat(), PACKAGES.join(" "))
}

fn make(workshop: &mut Workshop) -> Result<()> {
    let go = go::go()?;
    for name in PROGRAMS {
        workshop.progress.step(&format!("building {name}"));
        let package = format!("k8s.io/kubernetes/cmd/{name}");
        go::build(
            &go,
            "kubernetes",
            &package,
            name,
            &version_flags(),
            workshop,
        )?;
    }
    for name in IMAGES {
        workshop.progress.step(&format!("building {name}"));
        go::build(&go, "node", &format!("./{name}"), name, "-s -w", workshop)?;
        write_image(name, workshop)?;
    }
    workshop.progress.step("fetching Debian packages");
    debian::unpack("the container runtime", &PACKAGES, "debian", workshop)?;
    for name in IPTABLES {
        symlink(
            "xtables-nft-multi",
            workshop.folder.join("debian/usr/sbin").join(name),
        )
        .map_err(Error::io("link iptables"))?;
    }
    Ok(())
}

fn write_image(name: &str, workshop: &Workshop) -> Result<()> {
    let program = format!("/{name}");
    let image = Image::new(format!("glyph.local/{name}:1"))
        .file(workshop.folder.join(name), &program, 0o755)
        .entrypoint([program])
        .uncompressed();
    let archive = workshop.folder.join(format!("{name}.tar"));
    image
        .write(&archive)
        .map(drop)
        .map_err(|error| Error::answer(format!("make the image of {name}"), error))
}
