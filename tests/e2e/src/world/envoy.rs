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
/// A second sidecar, which the file does not have.
const SECOND: u16 = 9001;
/// A sidecar that is away is passed over (docs/gateways/envoy.md).
const EJECTS: &str = "      outlier_detection: { consecutive_5xx: 2, interval: 1s, base_ejection_time: 2s, max_ejection_percent: 50 }\n";
/// A request that failed is sent once more.
const IMPATIENT: &str =
    "route: { cluster: api, timeout: 1s, retry_policy: { retry_on: 5xx, num_retries: 1 } }";
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

/// The example before two sidecars, with what docs/gateways/envoy.md says of several, and with a short timeout and
/// Envoy's own retries before the API.
///
/// # Errors
/// When the example has no place for it, or it cannot be read or written.
pub(super) fn before_two(sidecars: [SocketAddr; 2], upstream: SocketAddr) -> Result<EnvoyConfig> {
    let example = workspace_root().join("examples/envoy/envoy.yaml");
    let mut text = fs::read_to_string(example).context("failed to read Envoy's example")?;
    let endpoint = |port| {
        format!(
            "              - endpoint:
                  address:
                    socket_address: {{ address: 127.0.0.1, port_value: {port} }}
"
        )
    };
    let load = "      load_assignment:\n        cluster_name: glyph-authz\n";
    let route = "route: { cluster: api, timeout: 30s }";
    for (found, with) in [
        (endpoint(SIDECAR), endpoint(SIDECAR) + &endpoint(SECOND)),
        (load.to_owned(), format!("{EJECTS}{load}")),
        (route.to_owned(), IMPATIENT.to_owned()),
    ] {
        ensure!(
            text.matches(&found).count() == 1,
            "expected {found:?} in Envoy's example, once"
        );
        text = text.replace(&found, &with);
    }
    let file = run_folder("envoy-example")?.join("envoy.yaml");
    fs::write(&file, text).context("failed to write Envoy's configuration")?;
    let [first, second] = sidecars;
    Ok(EnvoyConfig {
        file,
        listener_port: LISTENER,
        admin_port: ADMIN,
        endpoints: BTreeMap::from([(SIDECAR, first), (SECOND, second), (UPSTREAM, upstream)]),
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
