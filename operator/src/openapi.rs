//! `glyph-operator api-from-openapi FILE`: prints a GlyphApi for an OpenAPI 3 document. It needs no cluster.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use glyph_operator_core::openapi::spec_of;
use serde_json::{Value, json};

/// Which document, and what is made of it.
#[derive(Clone, Debug, Args)]
pub struct ApiFromOpenApi {
    /// The document, JSON or YAML.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Name of the GlyphApi; default: the document's title.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
}

impl ApiFromOpenApi {
    /// The GlyphApi, as YAML.
    ///
    /// # Errors
    /// When the file is not read, or is no document that a GlyphApi can be made of; the sentence says what to change.
    pub fn yaml(&self) -> anyhow::Result<String> {
        let file = self.file.display();
        let document = read(&self.file)?;
        let spec = spec_of(&document).with_context(|| format!("failed to convert {file}"))?;
        let title = document.pointer("/info/title").and_then(Value::as_str);
        let name = resource_name(self.name.as_deref().or(title).unwrap_or("api"));
        let resource = json!({
            "apiVersion": "glyphapi.ai/v1alpha1",
            "kind": "GlyphApi",
            "metadata": {"name": name},
            "spec": spec,
        });
        serde_saphyr::to_string(&resource).context("failed to write YAML")
    }
}

fn read(file: &Path) -> anyhow::Result<Value> {
    let name = file.display();
    let text = std::fs::read_to_string(file).with_context(|| format!("failed to read {name}"))?;
    // JSON is YAML too, but for large documents its own reader is quicker and says better what is wrong.
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(&text).with_context(|| format!("{name} is no JSON"));
    }
    serde_saphyr::from_str(&text).with_context(|| format!("{name} is neither JSON nor YAML"))
}

/// `text` as the name of a resource.
fn resource_name(text: &str) -> String {
    let mut name = String::new();
    for letter in text.chars() {
        match letter.to_ascii_lowercase() {
            plain if plain.is_ascii_alphanumeric() => name.push(plain),
            _ if name.ends_with('-') => {}
            _ => name.push('-'),
        }
    }
    name.truncate(63);
    match name.trim_matches('-') {
        "" => "api".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use glyph_crds::{Auth, GlyphApi};

    use super::*;

    fn of(name: &str, text: &str) -> anyhow::Result<String> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join(name);
        std::fs::write(&file, text)?;
        ApiFromOpenApi { file, name: None }.yaml()
    }

    #[test]
    fn json_and_yaml_give_the_same_resource() {
        let yaml = "
openapi: 3.1.0
info: { title: 'My API: items', version: '1' }
paths:
  /items/{id}:
    get: { operationId: item, security: [] }
";
        let json = r#"{"openapi": "3.1.0", "info": {"title": "My API: items"},
            "paths": {"/items/{id}": {"get": {"operationId": "item", "security": []}}}}"#;
        let printed = of("api.yaml", yaml).unwrap();
        assert_eq!(printed, of("api.json", json).unwrap());
        let api: GlyphApi = serde_saphyr::from_str(&printed).unwrap();
        assert_eq!(api.metadata.name.as_deref(), Some("my-api-items"));
        let endpoint = &api.spec.endpoints[0];
        assert_eq!(
            (endpoint.name.as_str(), endpoint.auth),
            ("item", Auth::None)
        );
    }

    #[test]
    fn a_file_that_is_none_or_not_there_is_named() {
        let said = |name, text| format!("{:#}", of(name, text).unwrap_err());
        assert!(said("x.json", "{").contains("x.json is no JSON: EOF"));
        assert!(said("x.yaml", "a: [").contains("x.yaml is neither JSON nor YAML"));
        let none = ApiFromOpenApi {
            file: "/nowhere/api.yaml".into(),
            name: None,
        };
        let error = format!("{:#}", none.yaml().unwrap_err());
        assert!(
            error.starts_with("failed to read /nowhere/api.yaml: "),
            "{error}"
        );
        let error = said("x.yaml", "openapi: 3.1.0\npaths: {}\n");
        assert!(
            error.ends_with("by a GlyphApi:\npaths: there is no operation"),
            "{error}"
        );
    }
}
