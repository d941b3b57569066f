//! `parts get` gets every part, `parts get NAME` one; `parts run NAME` starts one, says where it is, and holds it until killed.
#![allow(
    clippy::print_stdout,
    reason = "a program speaks on its standard output"
)]

use glyph_harness::stripe_mock::StripeMock;
use glyph_harness::{Cognito, ControlPlane, Node, Redis, Result, get, get_all};

#[tokio::main]
async fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["get"] => return get_all().await,
        ["get", name] if get(name).await? => {}
        ["run", "kubernetes"] => {
            hold(&ControlPlane::shared().await?.kubeconfig().to_string_lossy()).await
        }
        ["run", "node"] => {
            let node = Node::start().await?;
            let kubeconfig = node.kubeconfig().display();
            hold(&format!(
                "KUBECONFIG={kubeconfig} {} kubectl",
                node.way_in()
            ))
            .await;
        }
        ["run", "redis"] => hold(&Redis::start().await?.url()).await,
        ["run", "cognito"] => hold(Cognito::start().await?.url()).await,
        ["run", "stripe-mock"] => hold(StripeMock::start().await?.url()).await,
        _ => println!(
            "usage: parts get [MODULE, as in tests/harness/README.md] | parts run (kubernetes | node | redis | cognito | stripe-mock)"
        ),
    }
    Ok(())
}

async fn hold(place: &str) {
    println!("{place}");
    std::future::pending::<()>().await;
}
