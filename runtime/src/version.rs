//! Which build this is: for `--version`, the first log line and the `glyph_build_info` metric.

use std::sync::LazyLock;

/// The version of the workspace: all of Glyph's crates share it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The git commit that was built, when `GLYPH_BUILD_COMMIT` was set at compile time.
pub const COMMIT: Option<&str> = option_env!("GLYPH_BUILD_COMMIT");

/// The day of that commit (`2026-11-25`), when `GLYPH_BUILD_DATE` was set at compile time.
pub const DATE: Option<&str> = option_env!("GLYPH_BUILD_DATE");

/// `0.1.0 (1a2b3c4 2026-11-25)`, or as much of it as is known. Give it to clap's `version`.
pub fn version() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| text(COMMIT, DATE));
    &TEXT
}

fn text(commit: Option<&str>, date: Option<&str>) -> String {
    match (commit, date) {
        (Some(commit), Some(date)) => format!("{VERSION} ({commit} {date})"),
        (Some(known), None) | (None, Some(known)) => format!("{VERSION} ({known})"),
        (None, None) => VERSION.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_names_commit_and_date_when_they_are_known() {
        let all = text(Some("1a2b3c4"), Some("2026-11-25"));
        assert_eq!(all, format!("{VERSION} (1a2b3c4 2026-11-25)"));
        assert_eq!(text(Some("1a2b3c4"), None), format!("{VERSION} (1a2b3c4)"));
        assert_eq!(text(None, None), VERSION);
        assert!(version().starts_with(VERSION));
    }
}
