//! What the tests of the Helm chart need beside Helm: helm-docs, which makes its README, and the kinds of others that its
//! optional resources are of.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::process::{command, output_of_command, run};
use crate::sources::go;
use crate::store::{self, Workshop};

/// Go modules that hold kinds, and where.
const KINDS: [(&str, &str, &[&str]); 2] = [
    (
        "github.com/prometheus-operator/prometheus-operator",
        "example/prometheus-operator-crd",
        &[
            "monitoring.coreos.com_servicemonitors.yaml",
            "monitoring.coreos.com_prometheusrules.yaml",
        ],
    ),
    (
        "sigs.k8s.io/gateway-api",
        "config/crd/standard",
        &["gateway.networking.k8s.io_httproutes.yaml"],
    ),
];

/// The README of the chart in `chart`, as its values say it.
///
/// # Errors
/// When helm-docs cannot be built, or refuses the chart.
pub async fn readme(chart: &Path) -> Result<String> {
    let chart = chart.to_path_buf();
    store::blocking(move || {
        let mut docs = command(ensure_docs()?.join("helm-docs"));
        docs.args(["--dry-run", "--log-level=error", "--sort-values-order=file"]);
        docs.arg("--chart-search-root").arg(&chart);
        let made = output_of_command(&mut docs);
        made.map(|text| text + "\n")
            .ok_or_else(|| Error::answer("make the chart's README", "helm-docs refuses the chart"))
    })
    .await
}

/// A folder with the CustomResourceDefinitions of ServiceMonitor, PrometheusRule and HTTPRoute.
///
/// # Errors
/// When they cannot be fetched.
pub async fn kinds_of_others() -> Result<PathBuf> {
    store::blocking(ensure_kinds).await
}

pub(crate) fn ensure_docs() -> Result<PathBuf> {
    let stamp = include_str!("../parts/helm-docs/go.sum");
    let hint = "helm-docs from Go modules, seconds";
    store::ensure("helm-docs", stamp, hint, |workshop| {
        let package = "github.com/norwoodj/helm-docs/cmd/helm-docs";
        let go = go::go()?;
        go::build(&go, "helm-docs", package, "helm-docs", "-s -w", workshop)
    })
}

pub(crate) fn ensure_kinds() -> Result<PathBuf> {
    let stamp = include_str!("../parts/kinds/go.mod");
    let hint = "kinds of the Prometheus operator and the Gateway API from Go modules, seconds";
    store::ensure("kinds", stamp, hint, |workshop| {
        let go = go::go()?;
        let modules = KINDS.map(|(module, _, _)| module);
        let mut download = go::in_module(&go, "kinds");
        download.args(["mod", "download"]).args(modules);
        run("kinds", download, &workshop.log, &mut workshop.progress)?;
        KINDS
            .iter()
            .try_for_each(|(module, place, files)| copy(&go, module, place, files, workshop))
    })
}

fn copy(go: &Path, module: &str, place: &str, files: &[&str], workshop: &Workshop) -> Result<()> {
    let mut list = go::in_module(go, "kinds");
    list.args(["list", "-m", "-f", "{{.Dir}}", module]);
    let folder = output_of_command(&mut list)
        .ok_or_else(|| Error::unavailable("kinds", format!("go does not find {module}")))?;
    for file in files {
        let from = Path::new(&folder).join(place).join(file);
        fs::copy(&from, workshop.folder.join(file))
            .map_err(Error::io(format!("copy {}", from.display())))?;
    }
    Ok(())
}
