//! The shared libraries that a program of this machine needs, as `ldd` tells them.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Error, Result};

/// All of them with the loader, by their paths here; none for a static program.
pub(crate) fn of(program: &Path) -> Result<Vec<PathBuf>> {
    let failed = |why: String| Error::Libraries {
        program: program.to_path_buf(),
        why,
    };
    let output = Command::new("ldd").arg(program).env("LC_ALL", "C").output();
    let output = output.map_err(|error| failed(format!("ldd cannot be run: {error}")))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    let is_static = |text: &str| {
        text.contains("not a dynamic executable") || text.contains("statically linked")
    };
    if is_static(&said) || is_static(&complaint) {
        return Ok(Vec::new());
    }
    if !output.status.success() {
        return Err(failed(format!("{said}{complaint}")));
    }
    parse(&said).map_err(|missing| failed(format!("{missing} is not on this machine")))
}

/// Reads `ldd`'s lines: `libc.so.6 => /lib/libc.so.6 (0x…)`, `/lib64/ld-linux.so.2 (0x…)`, `linux-vdso.so.1 (0x…)`
/// (in the kernel, no file). The error names a library that is not found.
fn parse(said: &str) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    for line in said.lines().map(str::trim) {
        let (name, place) = line.split_once(" => ").unwrap_or((line, line));
        if place.starts_with("not found") {
            return Err(name.to_owned());
        }
        let file = place.split(" (").next().unwrap_or_default();
        if file.starts_with('/') {
            found.push(PathBuf::from(file));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loader_is_a_library_and_the_kernels_own_is_not() {
        let said = "\tlinux-vdso.so.1 (0x00007ffd)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)\n\
                    \t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        let files = [
            "/lib/x86_64-linux-gnu/libc.so.6",
            "/lib64/ld-linux-x86-64.so.2",
        ];
        assert_eq!(parse(said), Ok(files.map(PathBuf::from).to_vec()));
    }

    #[test]
    fn a_library_that_is_not_there_is_named() {
        assert_eq!(
            parse("\tlibssl.so.3 => not found\n"),
            Err("libssl.so.3".to_owned())
        );
    }
}
