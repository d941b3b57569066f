//! Attempts in a window of time: how often somebody tried, whoever of several processes was asked.

use std::time::Duration;

use redis::Cmd;

use super::RedisCounters;
use super::link::Line;
use crate::CountersError;
use crate::spend::validate_customer;

const SCRIPT: &str = include_str!("attempts.lua");

/// Where somebody stands after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempts {
    /// Attempts in this window, this one included.
    pub made: u64,
    /// When the window ends, and all are forgotten.
    pub forgotten_in: Duration,
}

impl RedisCounters {
    /// Counts one attempt of `who`, which must not be empty or hold braces, in a window that begins with the first.
    ///
    /// # Errors
    /// As of [`Counters`](crate::Counters): the attempt may have been counted all the same.
    pub async fn attempt(&self, who: &str, window: Duration) -> Result<Attempts, CountersError> {
        validate_customer(who)?;
        let window = u64::try_from(window.as_millis()).unwrap_or(u64::MAX).max(1);
        let mut command = Cmd::new();
        command
            .arg("EVAL")
            .arg(SCRIPT)
            .arg(1)
            .arg(key(who))
            .arg(window);
        let command = &command;
        let ask = |mut line: Line| async move { line.query::<(u64, u64)>(command).await };
        let (made, left) = self.ask(who, ask).await?;
        Ok(Attempts {
            made,
            forgotten_in: Duration::from_millis(left),
        })
    }

    /// Forgets the attempts of `who`.
    ///
    /// # Errors
    /// As of [`Counters`](crate::Counters).
    pub async fn forget_attempts(&self, who: &str) -> Result<(), CountersError> {
        validate_customer(who)?;
        // In the place of DEL, which the least rights of docs/redis.md do not hold.
        let forget = &Cmd::expire(key(who), 0);
        let ask = |mut line: Line| async move { line.query::<()>(forget).await };
        Ok(self.ask(who, ask).await?)
    }
}

fn key(who: &str) -> String {
    format!("glyph:{{{who}}}:attempts")
}
