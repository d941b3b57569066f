//! egctl 1.9.1: what Envoy Gateway makes of manifests, as a configuration that Envoy runs by itself.

mod alone;

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::kubernetes::CommandOutput;
use crate::process::command;
use crate::sources::go;
use crate::store::{self, run_folder};

const PART: &str = "egctl";
const PACKAGE: &str = "github.com/envoyproxy/gateway/cmd/egctl";
/// What must be said of every resource that Envoy Gateway has an opinion on.
const GOOD: [&str; 2] = ["Accepted", "ResolvedRefs"];

/// The file of Envoy's configuration that Envoy Gateway makes of `manifests`: one GatewayClass and Gateway, their routes, policies and
/// the Services that these name, with addresses. Envoy needs no Envoy Gateway to run it: what it would ask for is in it.
///
/// In it are the ports of the Gateway (10,000 more where it is below 1,024) and of the Services, 19000 of the admin interface and
/// 19003, where Envoy says that it is ready.
///
/// # Errors
/// When egctl cannot be had or refuses the manifests, when Envoy Gateway would not accept all of them: with its words.
pub async fn translate(manifests: &str) -> Result<PathBuf> {
    let program = store::blocking(ensure).await?.join(PART);
    let folder = run_folder(PART)?;
    let (given, made) = (folder.join("manifests.yaml"), folder.join("envoy.json"));
    fs::write(&given, manifests).map_err(Error::io("write manifests for egctl"))?;
    let mut egctl = tokio::process::Command::from(command(program));
    egctl.args(["experimental", "translate", "--from", "gateway-api"]);
    egctl.args(["--to", "gateway-api,xds", "--output", "json", "--file"]);
    egctl.arg(&given).kill_on_drop(true);
    let output = egctl.output().await.map_err(Error::io("run egctl"))?;
    let said = CommandOutput::from(output).ok()?;
    let translated: Value = serde_json::from_str(&said)
        .map_err(|error| Error::answer("read what egctl made", error))?;
    let mut refused = Vec::new();
    collect_refused(&translated, &mut refused);
    if !refused.is_empty() {
        let why = refused.join("; ");
        return Err(Error::answer("have Envoy Gateway accept all", why));
    }
    let text = alone::configuration(&translated["xds"])?.to_string();
    fs::write(&made, text).map_err(Error::io("write what egctl made"))?;
    Ok(made)
}

/// The messages of the conditions that are not as they should be.
fn collect_refused(value: &Value, refused: &mut Vec<String>) {
    let is_refusal = |kind: &str| GOOD.contains(&kind) && value["status"] != "True";
    if value["type"].as_str().is_some_and(is_refusal) && value["reason"].is_string() {
        refused.push(value["message"].as_str().unwrap_or_default().to_owned());
    }
    match value {
        Value::Object(fields) => fields
            .values()
            .for_each(|one| collect_refused(one, refused)),
        Value::Array(items) => items.iter().for_each(|one| collect_refused(one, refused)),
        _ => {}
    }
}

/// Gets the folder with `egctl`.
pub(crate) fn ensure() -> Result<PathBuf> {
    let sums = include_str!("../parts/egctl/go.sum");
    let stamp = format!("{}{sums}", include_str!("../parts/egctl/go.mod"));
    let hint = "Envoy Gateway's egctl 1.9.1 from Go modules: 4 to 15 minutes, once";
    store::ensure(PART, &stamp, hint, |workshop| {
        go::build(&go::go()?, PART, PACKAGE, PART, "-s -w", workshop)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_envoy_gateway_does_not_accept_is_told_in_its_words() {
        let condition = |kind: &str, status: &str, message: &str| json!({"type": kind, "status": status, "reason": "R", "message": message});
        let conditions = [
            condition("Accepted", "True", "fine"),
            condition("Overridden", "False", "not asked for"),
            condition("Accepted", "False", "no Service glyph-authz"),
        ];
        let all = json!({"policies": [{"status": {"ancestors": [{"conditions": conditions}]}}]});
        let mut refused = Vec::new();
        collect_refused(&all, &mut refused);
        assert_eq!(refused, ["no Service glyph-authz"]);
    }
}
