//! Cargo, run from a program that cargo runs.

use std::ffi::OsString;
use std::process::Command;

/// What `cargo run` and `cargo test` tell a program about its own package.
const OF_A_PACKAGE: [&str; 4] = [
    "CARGO_PKG_",
    "CARGO_MANIFEST_",
    "CARGO_BIN_",
    "CARGO_CRATE_",
];

/// The cargo that runs us, else the one on `PATH`.
#[must_use]
pub fn program() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"))
}

/// Takes away what cargo told us about our own package. Build scripts that watch these variables (ring's does)
/// would run again, and all that stands on them be built again, whenever the asking package changes.
pub fn forget_package(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let told = name.to_string_lossy();
        if OF_A_PACKAGE.iter().any(|prefix| told.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
}
