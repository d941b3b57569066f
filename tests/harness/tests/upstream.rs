//! The sample API, and the published client that speaks to it.

use glyph_harness::net::{free_port, get, send};
use glyph_harness::{Result, Upstream, forge};
use serde_json::Value;

#[tokio::test]
async fn it_echoes_what_arrived_and_counts() -> Result<()> {
    let upstream = Upstream::start().await?;
    let url = format!("http://{}/v1/items/7?full=1", upstream.address());
    let request = http::Request::put(&url)
        .header("x-glyph-customer", "a")
        .header("x-glyph-customer", "b");
    let echo: Value = send(request.body("").unwrap()).await?.json()?;
    assert_eq!(echo["method"], "PUT");
    assert_eq!(echo["path"], "/v1/items/7?full=1");
    assert_eq!(
        echo["headers"]["x-glyph-customer"],
        serde_json::json!(["a", "b"])
    );
    get(&url).await?;
    assert_eq!(upstream.requests(), 2);
    Ok(())
}

#[tokio::test]
async fn the_published_client_is_answered_and_shows_its_key() -> Result<()> {
    let upstream = Upstream::start().await?;
    let base = format!("http://{}", upstream.address());
    let said = forge::ask(&base, "glyph_sk_live_x", "hello there").await?;
    assert_eq!(said.code, 0, "{}", said.stderr);
    let answer: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(answer["response"], "You asked: hello there");
    assert_eq!(
        answer["metadata"]["headers"]["authorization"][0],
        "Bearer glyph_sk_live_x"
    );
    assert_eq!(upstream.requests(), 1);
    Ok(())
}

#[tokio::test]
async fn what_the_client_says_of_a_refusal_is_handed_on() -> Result<()> {
    let nobody = format!("http://127.0.0.1:{}", free_port()?);
    let said = forge::ask(&nobody, "glyph_sk_live_x", "hello").await?;
    assert_eq!(said.code, 1);
    assert!(
        said.stderr.contains("Network error during /ask request"),
        "{}",
        said.stderr
    );
    Ok(())
}
