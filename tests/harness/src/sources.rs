//! Where parts come from: Go modules, PyPI packages, Debian packages.

pub(crate) mod debian;
pub(crate) mod go;
pub(crate) mod pypi;

use std::path::{Path, PathBuf};

/// `program` as found on `PATH`.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata()
        .is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// The first `major.minor` after `prefix` in `text`, for comparing versions: "go1.26.8" is (1, 26).
pub(crate) fn version_after(text: &str, prefix: &str) -> Option<(u32, u32)> {
    let (_, rest) = text.split_once(prefix)?;
    let mut numbers = rest.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::version_after;

    #[test]
    fn a_version_is_read_out_of_what_programs_print() {
        assert_eq!(
            version_after("go version go1.26.8 linux/amd64", "version go"),
            Some((1, 26))
        );
        assert_eq!(
            version_after("Client Version: v1.32.4-dispatcher", "Version: v"),
            Some((1, 32))
        );
        assert_eq!(version_after("v4.3.0+g1234", "v"), Some((4, 3)));
        assert_eq!(version_after("no version here", "go"), None);
    }
}
