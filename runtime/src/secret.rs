//! A text that must not be shown.

use std::sync::Arc;

/// A secret text: a key, a token, a password. It has no `Debug`, `Display` or `Serialize`, so it cannot reach a log
/// line, an error or a resource by accident; [`Secret::expose`] is the one way out, and easy to search for.
///
/// ```compile_fail
/// let secret = glyph_runtime::Secret::new("sk_test_1");
/// format!("{secret:?}");
/// ```
/// ```compile_fail
/// let secret = glyph_runtime::Secret::new("sk_test_1");
/// format!("{secret}");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Takes `text` in.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The text itself. Hand it to what needs it, and to nothing that keeps or prints it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_gives_its_text_only_when_asked() {
        let secret = Secret::new(String::from("sk_test_1"));
        assert_eq!(secret.clone().expose(), "sk_test_1");
        assert!(secret == Secret::new("sk_test_1"));
    }
}
