//! A part never outlives its owner, however the owner ends.
#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use glyph_harness::{Redis, Result, poll_until};

const SOON: Duration = Duration::from_secs(5);

/// Starts `parts run <name>`, waits until it says where the part is, and gives it with what it started.
fn owner_of(name: &str) -> (Child, String, Vec<u32>) {
    let mut owner = Command::new(env!("CARGO_BIN_EXE_parts"))
        .args(["run", name])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut place = String::new();
    BufReader::new(owner.stdout.take().unwrap())
        .read_line(&mut place)
        .unwrap();
    let children = running()
        .into_iter()
        .filter(|(_, parent)| *parent == owner.id());
    let children = children.map(|(pid, _)| pid).collect();
    (owner, place.trim().to_owned(), children)
}

/// Process id and parent of everything that runs; a zombie does not.
fn running() -> Vec<(u32, u32)> {
    let stat = |pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let mut fields = stat.rsplit(')').next()?.split_whitespace();
        let state = fields.next()?;
        (state != "Z").then_some((pid, fields.next()?.parse().ok()?))
    };
    let pids = fs::read_dir("/proc").unwrap().flatten();
    pids.filter_map(|entry| stat(entry.file_name().to_str()?.parse().ok()?))
        .collect()
}

async fn nothing_is_left_of(name: &str, expected_children: usize) -> Result<()> {
    let (mut owner, place, children) = owner_of(name);
    assert!(!place.is_empty(), "{name} did not start");
    assert_eq!(
        children.len(),
        expected_children,
        "{name} runs as {children:?}"
    );
    owner.kill().unwrap();
    owner.wait().unwrap();
    let gone = async || {
        running()
            .iter()
            .all(|(pid, _)| !children.contains(pid))
            .then_some(())
    };
    poll_until(&format!("the end of {name} after its owner's"), SOON, gone).await
}

#[tokio::test]
async fn redis_dies_with_a_killed_owner() -> Result<()> {
    nothing_is_left_of("redis", 1).await
}

#[tokio::test]
async fn cognito_dies_with_a_killed_owner() -> Result<()> {
    nothing_is_left_of("cognito", 1).await
}

#[tokio::test]
async fn stripe_mock_dies_with_a_killed_owner() -> Result<()> {
    nothing_is_left_of("stripe-mock", 1).await
}

#[tokio::test]
async fn a_control_plane_dies_whole_with_a_killed_owner() -> Result<()> {
    nothing_is_left_of("kubernetes", 3).await
}

#[tokio::test]
async fn a_dropped_part_is_gone_when_drop_returns() -> Result<()> {
    let redis = Redis::start().await?;
    let address = ("127.0.0.1", redis.port());
    assert!(std::net::TcpStream::connect(address).is_ok());
    drop(redis);
    assert!(std::net::TcpStream::connect(address).is_err());
    Ok(())
}
