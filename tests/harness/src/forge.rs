//! The published client, `glyph-forge` from PyPI: what the owner's customers really run.

use crate::error::{Error, Result};
use crate::kubernetes::CommandOutput;
use crate::sources::pypi;
use crate::store;

const PART: &str = "glyph-forge";

/// Asks the API at `base` one question with `key` through the published client. On success `stdout` is the
/// API's answer as JSON; on refusal the exit code is 1 and `stderr` is what the client prints.
///
/// # Errors
/// When the client cannot be had or run.
pub async fn ask(base: &str, key: &str, question: &str) -> Result<CommandOutput> {
    let (base, key, question) = (base.to_owned(), key.to_owned(), question.to_owned());
    store::blocking(move || {
        let mut python = pypi::python_with(&ensure()?)?;
        python.arg(store::recipe(PART).join("ask.py")).arg(question);
        python.env("GLYPH_API_BASE", base).env("GLYPH_API_KEY", key);
        let output = python
            .output()
            .map_err(Error::io("run the published client"))?;
        Ok(CommandOutput::from(output))
    })
    .await
}

/// Gets the client and what it needs: the folder of its packages.
pub(crate) fn ensure() -> Result<std::path::PathBuf> {
    pypi::packages(PART, "the published client from PyPI: some seconds")
}
