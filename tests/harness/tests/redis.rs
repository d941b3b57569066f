//! Redis as tests need it: real, empty, and ill-treated at will.

use std::time::Duration;

use glyph_harness::{MovedClock, Redis, Result, poll_until};

#[tokio::test]
async fn it_counts_flushes_and_takes_options() -> Result<()> {
    let redis = Redis::start_with(&["--databases", "2"]).await?;
    assert_eq!(redis.command_line("INCR calls").await?, ":1");
    assert_eq!(redis.command_line("INCR calls").await?, ":2");
    redis.flush().await?;
    assert_eq!(redis.command_line("GET calls").await?, "$-1");
    assert!(
        redis.command_line("SELECT 5").await?.starts_with("-ERR"),
        "--databases 2"
    );
    Ok(())
}

#[tokio::test]
async fn a_stopped_one_refuses_and_comes_back_empty_on_the_same_port() -> Result<()> {
    let redis = Redis::start().await?;
    redis.command_line("INCR calls").await?;
    redis.stop();
    assert!(redis.command_line("PING").await.is_err());
    redis.start_again().await?;
    assert_eq!(redis.command_line("GET calls").await?, "$-1");
    Ok(())
}

#[tokio::test]
async fn a_paused_one_hangs_and_a_resumed_one_answers() -> Result<()> {
    let redis = Redis::start().await?;
    redis.pause();
    let asked = tokio::time::timeout(Duration::from_millis(300), redis.command_line("PING")).await;
    assert!(asked.is_err(), "it must hang, and said {asked:?}");
    redis.resume();
    let answers = async || {
        redis
            .command_line("PING")
            .await
            .ok()
            .filter(|said| said == "+PONG")
    };
    poll_until("an answer after SIGCONT", Duration::from_secs(5), answers).await?;
    Ok(())
}

#[tokio::test]
async fn by_a_moved_clock_months_pass_at_once_and_keys_expire() -> Result<()> {
    const MONTH: i64 = 30 * 24 * 3600;
    let clock = MovedClock::start().await?;
    let redis = Redis::start_by(&clock, &[]).await?;
    redis.command_line("SET short life EX 86400").await?;
    redis
        .command_line(&format!("SET long life EX {}", MONTH + 3600))
        .await?;
    clock.advance(MONTH)?;
    assert_eq!(redis.command_line("GET short").await?, "$-1");
    assert_eq!(redis.command_line("GET long").await?, "$4");
    clock.advance(MONTH)?;
    assert_eq!(redis.command_line("GET long").await?, "$-1");
    Ok(())
}
