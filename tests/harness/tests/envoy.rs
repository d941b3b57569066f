//! Envoy as tests need it: the configuration file of a user, on other addresses.
#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::collections::BTreeMap;
use std::io::Write as _;

use glyph_harness::net::{get, loopback};
use glyph_harness::{Envoy, EnvoyConfig, Result};

const DIRECT: &str = r"
admin: {address: {socket_address: {address: 127.0.0.1, port_value: 9901}}}
static_resources:
  listeners:
  - name: http
    address: {socket_address: {address: 0.0.0.0, port_value: 8000}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          '@type': type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: http
          route_config:
            virtual_hosts:
            - {name: all, domains: ['*'], routes: [{match: {prefix: /}, direct_response: {status: 200, body: {inline_string: hello}}}]}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
";

fn config(text: &str) -> (tempfile::NamedTempFile, EnvoyConfig) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let config = EnvoyConfig {
        file: file.path().to_path_buf(),
        listener_port: 8000,
        admin_port: 9901,
        endpoints: BTreeMap::new(),
    };
    (file, config)
}

#[tokio::test]
async fn it_runs_the_very_file_on_free_ports() -> Result<()> {
    let (_file, config) = config(DIRECT);
    let (one, other) = (Envoy::start(&config).await?, Envoy::start(&config).await?);
    assert_ne!(one.url(), other.url());
    let answer = get(&format!("{}/anything", one.url())).await?;
    assert_eq!((answer.status, answer.text().as_str()), (200, "hello"));
    let version = get(&format!("{}/server_info", one.admin_url()))
        .await?
        .text();
    assert!(version.contains("/1.40."), "{version}");
    Ok(())
}

#[tokio::test]
async fn a_port_the_file_lacks_is_an_error_and_so_is_one_not_told_about() {
    let (_file, mut lacking) = config(DIRECT);
    lacking.endpoints.insert(9000, loopback(1));
    let error = Envoy::start(&lacking).await.err().unwrap().to_string();
    assert!(error.contains("[9000], which it lacks"), "{error}");
    let (_file, untold) = config(&DIRECT.replace("8000", "8001"));
    let error = Envoy::start(&untold).await.err().unwrap().to_string();
    assert!(
        error.contains("not told about") && error.contains("8001"),
        "{error}"
    );
}

#[tokio::test]
async fn a_configuration_envoy_refuses_is_an_error_with_its_own_words() {
    let (_file, config) = config(&DIRECT.replace("stat_prefix", "stats_prefix"));
    let error = Envoy::start(&config).await.err().unwrap().to_string();
    assert!(error.contains("stats_prefix"), "{error}");
}
