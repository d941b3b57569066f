//! What pods need, on a node of our own: images without a registry, Pod Security, Services, names, updates without a
//! lost request; and that nothing of a node outlives its owner.
#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use glyph_harness::net::get;
use glyph_harness::{
    Node, Program, Result, Service, Settings, Upstream, poll_until, workspace_root,
};
use glyph_image::Image;
use serde_json::Value;
use tokio::sync::OnceCell;

const SOON: Duration = Duration::from_secs(30);
/// Nobody in particular, which is what `runAsNonRoot` asks for.
const NOBODY: &str = "65532:65532";

/// One node for all tests but the one that ends nodes, with the image of the sample API.
async fn node() -> Result<&'static Node> {
    static NODE: OnceCell<Node> = OnceCell::const_new();
    let start = async || {
        let node = Node::start().await?;
        let folder = tempfile::tempdir().unwrap();
        let archive = folder.path().join("upstream.tar");
        upstream_image().write(&archive).unwrap();
        node.import_image(&archive).await?;
        Ok(node)
    };
    NODE.get_or_try_init(start).await
}

/// The sample API, and some programs of this machine to look around with.
fn upstream_image() -> Image {
    let programs = [
        (env!("CARGO_BIN_EXE_upstream"), "/upstream"),
        ("/usr/bin/cat", "/bin/cat"),
        ("/usr/bin/touch", "/bin/touch"),
        ("/usr/bin/getent", "/bin/getent"),
    ];
    let image = Image::new("glyph.local/upstream:1").uncompressed();
    let image = image.entrypoint(["/upstream"]).user(NOBODY);
    programs.iter().fold(image, |image, (source, place)| {
        image.program(Path::new(source), place).unwrap()
    })
}

/// Two pods of the sample API and a Service, in a namespace that lets in restricted pods only.
async fn deploy(node: &Node, namespace: &str) -> Result<()> {
    let manifest = include_str!("node/upstream.yaml").replace("NAMESPACE", namespace);
    node.kubectl_with_input(&["apply", "-f", "-"], &manifest)
        .await?
        .ok()?;
    wait_for_rollout(node, namespace).await
}

async fn wait_for_rollout(node: &Node, namespace: &str) -> Result<()> {
    let status = [
        "-n",
        namespace,
        "rollout",
        "status",
        "deployment/upstream",
        "--timeout=60s",
    ];
    node.kubectl(&status).await?.ok().map(drop)
}

/// The address of the Service that [`deploy`] makes.
async fn service_address(node: &Node, namespace: &str) -> Result<String> {
    let get = ["-n", namespace, "get", "service", "upstream"];
    let path = ["-o", "jsonpath={.spec.clusterIP}"];
    node.kubectl(&[&get[..], &path].concat()).await?.ok()
}

/// What a program in one of the pods says.
async fn exec(node: &Node, namespace: &str, command: &[&str]) -> Result<(i32, String)> {
    let exec = ["-n", namespace, "exec", "deployment/upstream", "--"];
    let output = node.kubectl(&[&exec[..], command].concat()).await?;
    Ok((output.code, output.stdout + &output.stderr))
}

/// The pod that answers, asked from inside the node's network.
async fn host(node: &Node, url: &str) -> Option<String> {
    let answer = node.network().get(url).await.ok()?;
    let echo: Value = answer.json().ok()?;
    echo["host"].as_str().map(ToOwned::to_owned)
}

#[tokio::test]
async fn a_service_balances_over_restricted_pods() -> Result<()> {
    let node = node().await?;
    deploy(node, "balanced").await?;
    let url = format!("http://{}/", service_address(node, "balanced").await?);
    let mut hosts = BTreeSet::new();
    poll_until("an answer of each pod", SOON, async || {
        hosts.extend(host(node, &url).await);
        (hosts.len() == 2).then_some(())
    })
    .await?;
    let (_, status) = exec(node, "balanced", &["cat", "/proc/1/status"]).await?;
    for line in [
        "Uid:\t65532\t65532",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
        "CapBnd:\t0000000000000000",
    ] {
        assert!(status.contains(line), "{line} is not in {status}");
    }
    let (code, said) = exec(node, "balanced", &["touch", "/mark"]).await?;
    assert!(
        code != 0 && said.contains("Read-only file system"),
        "{said}"
    );
    let bad = [
        "-n",
        "balanced",
        "run",
        "bad",
        "--image=glyph.local/upstream:1",
    ];
    let refused = node.kubectl(&bad).await?.stderr;
    assert!(
        refused.contains("violates PodSecurity \"restricted"),
        "{refused}"
    );
    Ok(())
}

#[tokio::test]
async fn pods_find_each_other_by_name_and_people_find_pods() -> Result<()> {
    let node = node().await?;
    deploy(node, "named").await?;
    let address = service_address(node, "named").await?;
    let name = "upstream.named.svc.cluster.local";
    // kube-proxy may still be on its way when CoreDNS is ready.
    poll_until("the Service's name in a pod", SOON, async || {
        let asked = exec(node, "named", &["getent", "hosts", name]).await.ok()?;
        asked.1.starts_with(&format!("{address} ")).then_some(())
    })
    .await?;
    let exec = [
        "-n",
        "named",
        "exec",
        "-i",
        "deployment/upstream",
        "--",
        "cat",
    ];
    let echoed = node.kubectl_with_input(&exec, "good morning").await?.ok()?;
    assert_eq!(echoed, "good morning");
    let logs = node.kubectl(&["-n", "named", "logs", "deployment/upstream"]);
    let logs = logs.await?.ok()?;
    assert_eq!(logs, "the sample API listens on 0.0.0.0:8080\n");
    let forward = node.kubectl_in_background(&[
        "-n",
        "named",
        "port-forward",
        "service/upstream",
        "18080:80",
    ])?;
    poll_until("port-forward to listen", SOON, async || {
        forward.log().contains("Forwarding from").then_some(())
    })
    .await?;
    let through = host(node, "http://127.0.0.1:18080/").await;
    assert!(through.unwrap().starts_with("upstream-"));
    drop(forward);
    let through = host(node, "http://127.0.0.1:18080/").await;
    assert_eq!(through, None, "a dropped guest is gone");
    Ok(())
}

#[tokio::test]
async fn a_rolling_update_loses_no_request() -> Result<()> {
    let node = node().await?;
    deploy(node, "updated").await?;
    let url = format!("http://{}/", service_address(node, "updated").await?);
    let old = ["-n", "updated", "get", "pods", "-o", "name"];
    let old = node.kubectl(&old).await?.ok()?;
    let old: Vec<&str> = old.lines().collect();
    let done = Arc::new(AtomicBool::new(false));
    let asking = node.network().run({
        let done = Arc::clone(&done);
        async move {
            let mut hosts = BTreeSet::new();
            while !done.load(Ordering::SeqCst) {
                let answer = get(&url).await?;
                assert_eq!(answer.status, 200);
                hosts.insert(answer.json::<Value>()?["host"].to_string());
            }
            Ok(hosts)
        }
    });
    let updating = async {
        let restart = ["-n", "updated", "rollout", "restart", "deployment/upstream"];
        node.kubectl(&restart).await?.ok()?;
        wait_for_rollout(node, "updated").await?;
        let old = [&["-n", "updated", "wait", "--for=delete"][..], &old].concat();
        node.kubectl(&old).await?.ok()?;
        done.store(true, Ordering::SeqCst);
        Ok(())
    };
    let (hosts, ()) = tokio::try_join!(async { asking.await? }, updating)?;
    assert!(hosts.len() >= 3, "old pods and new ones, not {hosts:?}");
    Ok(())
}

#[tokio::test]
async fn what_runs_here_can_serve_pods() -> Result<()> {
    let node = node().await?;
    let address = (Node::ADDRESS, 9000).into();
    let upstream = node.network().run(Upstream::start_at(address)).await??;
    let url = format!("http://{address}/");
    let here = TcpListener::bind((Node::ADDRESS, 0));
    assert!(here.is_err(), "this machine must not have the address");
    assert!(host(node, &url).await.is_some());
    assert_eq!(upstream.requests(), 1);
    let kinds = workspace_root().join("crds/yaml");
    let apply = ["apply", "--server-side", "-f", &kinds.to_string_lossy()];
    node.kubectl(&apply).await?.ok()?;
    let settings = Settings::default()
        .set("KUBECONFIG", node.kubeconfig().to_string_lossy())
        .set("GLYPH_NAMESPACES", "default")
        .set(
            "GLYPH_KEY_PEPPERS",
            "1:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=",
        )
        .set("GLYPH_CHECKOUT_SUCCESS_URL", "https://shop.example/paid")
        .set("GLYPH_CHECKOUT_CANCEL_URL", "https://shop.example/plans");
    let operator = Service::start_inside(node.network(), Program::Operator, settings).await?;
    assert!(operator.is_running());
    assert!(
        get(&operator.admin_url()).await.is_err(),
        "nor the operator"
    );
    Ok(())
}

/// Everything that runs below `parent`.
fn running_below(parent: u32) -> Vec<u32> {
    let parent_of = |pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let mut fields = stat.rsplit(')').next()?.split_whitespace();
        (fields.next()? != "Z").then_some(())?;
        fields.next()?.parse::<u32>().ok()
    };
    let pids = fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let children: Vec<u32> = pids.filter(|pid| parent_of(*pid) == Some(parent)).collect();
    let below = children.iter().flat_map(|child| running_below(*child));
    children.iter().copied().chain(below).collect()
}

fn runs(pid: &u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit(") ")
        .next()
        .and_then(|rest| rest.chars().next());
    !matches!(state, None | Some('Z'))
}

/// The cgroups of nodes that `owner` started.
fn cgroups_of(owner: u32) -> Vec<String> {
    let prefix = format!("glyph-{owner}-node-");
    let root = Path::new("/sys/fs/cgroup");
    let inner = fs::read_dir(root)
        .unwrap()
        .flatten()
        .map(|entry| entry.path());
    let folders = inner
        .chain([root.to_path_buf()])
        .filter(|path| path.is_dir());
    let names = folders.flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten());
    let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with(&prefix)).collect()
}

#[tokio::test]
async fn nothing_of_a_node_outlives_a_killed_owner() -> Result<()> {
    let mut owner = Command::new(env!("CARGO_BIN_EXE_parts"))
        .args(["run", "node"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut way_in = String::new();
    BufReader::new(owner.stdout.take().unwrap())
        .read_line(&mut way_in)
        .unwrap();
    assert!(way_in.contains("nsenter --net="), "{way_in}");
    let processes = running_below(owner.id());
    assert!(
        processes.len() > 10,
        "control plane, containerd and pods, not {processes:?}"
    );
    assert!(!cgroups_of(owner.id()).is_empty());
    owner.kill().unwrap();
    owner.wait().unwrap();
    poll_until("the end of all processes", SOON, async || {
        (!processes.iter().any(runs)).then_some(())
    })
    .await?;
    poll_until("the end of all cgroups", SOON, async || {
        cgroups_of(owner.id()).is_empty().then_some(())
    })
    .await
}

#[tokio::test]
async fn a_dropped_node_is_gone_when_drop_returns() -> Result<()> {
    let node = Node::start().await?;
    let network = node.network().clone();
    let own = node.kubeconfig().parent().unwrap().file_name().unwrap();
    let own = format!("glyph-{}", own.to_string_lossy());
    let ours = || cgroups_of(std::process::id()).contains(&own);
    assert!(ours());
    let folder = node
        .kubeconfig()
        .parent()
        .unwrap()
        .to_string_lossy()
        .into_owned();
    let uses = |pid: &u32| {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&words).contains(&folder)
    };
    assert!(running_below(std::process::id()).iter().any(uses));
    drop(node);
    assert!(!running_below(std::process::id()).iter().any(uses));
    assert!(!ours());
    let late = network.run(async {}).await;
    assert!(late.is_err(), "its network is gone as well");
    Ok(())
}
