//! Which build this is: for `--version`, the first log line and the `glyph_build_info` metric.

use std::sync::LazyLock;

/// The version of the workspace: all of Glyph's crates share it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The git commit that was built, when `GLYPH_BUILD_COMMIT` was set at compile time.
pub const COMMIT: Option<&str> = option_env!("GLYPH_BUILD_COMMIT");

/// `0.1.0 (1a2b3c4)`, or `0.1.0` alone when the commit is not known. Give it to clap's `version`.
pub fn version() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| text(COMMIT));
    &TEXT
}

fn text(commit: Option<&str>) -> String {
    match commit {
        Some(commit) => format!("{VERSION} ({commit})"),
        None => VERSION.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_names_the_commit_only_when_it_is_known() {
        assert_eq!(text(Some("1a2b3c4")), format!("{VERSION} (1a2b3c4)"));
        assert_eq!(text(None), VERSION);
        assert!(version().starts_with(VERSION));
    }
}
