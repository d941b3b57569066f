//! Envoy's configuration: `examples/envoy/envoy.yaml` as it is, or with the route that its comment tells how to add.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use glyph_harness::{EnvoyConfig, run_folder, workspace_root};

/// The ports in the file.
const LISTENER: u16 = 10000;
const ADMIN: u16 = 9901;
const SIDECAR: u16 = 9000;
const UPSTREAM: u16 = 8080;
/// The route of everything in the file, which further ones must stand above.
const LAST_ROUTE: &str = "                        - match: { prefix: / }\n";

/// The configuration with where sidecar and API really are, and a route for `free_path` that costs nothing.
///
/// # Errors
/// When the example has no place for the route, or it cannot be read or written.
pub(super) fn config(
    sidecar: SocketAddr,
    upstream: SocketAddr,
    free_path: Option<&str>,
) -> Result<EnvoyConfig> {
    let example = workspace_root().join("examples/envoy/envoy.yaml");
    let file = match free_path {
        Some(path) => with_free_path(&example, path)?,
        None => example,
    };
    Ok(EnvoyConfig {
        file,
        listener_port: LISTENER,
        admin_port: ADMIN,
        endpoints: BTreeMap::from([(SIDECAR, sidecar), (UPSTREAM, upstream)]),
    })
}

fn with_free_path(example: &Path, path: &str) -> Result<PathBuf> {
    let text = fs::read_to_string(example).context("failed to read Envoy's example")?;
    ensure!(
        text.matches(LAST_ROUTE).count() == 1,
        "expected the line {LAST_ROUTE:?} in Envoy's example, once"
    );
    let free = format!(
        r#"                        - match: {{ path: {path} }}
                          route: {{ cluster: api, timeout: 30s }}
                          typed_per_filter_config:
                            envoy.filters.http.ext_authz:
                              "@type": type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute
                              check_settings: {{ context_extensions: {{ glyph.cost: "0" }} }}
"#
    );
    let file = run_folder("envoy-example")?.join("envoy.yaml");
    let text = text.replace(LAST_ROUTE, &format!("{free}{LAST_ROUTE}"));
    fs::write(&file, text).context("failed to write Envoy's configuration")?;
    Ok(file)
}
