//! The end of a process: signals, and long-running tasks that are all joined.
//!
//! A task that dies alone leaves a process that looks alive and does half its work. So the end of any one task,
//! good or bad or by panic, is everyone's end, and the error names it.

use std::collections::HashMap;
use std::error::Error;
use std::io;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// How the process ends.
#[derive(Clone, Debug, clap::Args)]
pub struct ShutdownArgs {
    /// Seconds that running work may take to end after SIGTERM or SIGINT before it is cut off.
    #[arg(
        long,
        env = "GLYPH_DRAIN_SECONDS",
        default_value_t = 25,
        value_name = "SECONDS"
    )]
    pub drain_seconds: u64,
}

impl ShutdownArgs {
    /// The drain deadline.
    pub fn drain(&self) -> Duration {
        Duration::from_secs(self.drain_seconds)
    }
}

/// Why the tasks did not end well.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// A task ended though nobody had asked it to.
    #[error("the task `{0}` ended before it was asked to")]
    Ended(&'static str),
    /// A task ended with an error.
    #[error("the task `{name}` failed")]
    Failed {
        /// The task.
        name: &'static str,
        /// Its error.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A task panicked; the panic's message is on standard error.
    #[error("the task `{0}` panicked")]
    Panicked(&'static str),
    /// Tasks were still running at the drain deadline and were cut off.
    #[error("the tasks {names:?} had not ended {deadline:?} after the shutdown began")]
    Undrained {
        /// The tasks, in alphabetical order.
        names: Vec<&'static str>,
        /// The drain deadline.
        deadline: Duration,
    },
}

type TaskResult = Result<(), Box<dyn Error + Send + Sync>>;

/// The long-running tasks of a process.
#[derive(Default)]
pub struct Tasks {
    set: JoinSet<TaskResult>,
    names: HashMap<Id, &'static str>,
    stop: CancellationToken,
}

impl Tasks {
    /// No tasks yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Is cancelled when the tasks should end.
    pub fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Starts a task that runs until [`Tasks::stop`] is cancelled.
    pub fn spawn<E>(
        &mut self,
        name: &'static str,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let id = self
            .set
            .spawn(async move { task.await.map_err(Into::into) })
            .id();
        self.names.insert(id, name);
    }

    /// Runs until `signal` (see [`signalled`]) or until a task ends; then all are asked to end and have `drain` to do
    /// so. `Err` is the first thing that went wrong.
    pub async fn run(
        mut self,
        signal: impl Future<Output = ()>,
        drain: Duration,
    ) -> Result<(), TaskError> {
        let first = tokio::select! {
            () = signal => Ok(()),
            Some((name, result)) = self.join_next() => result.and(Err(TaskError::Ended(name))),
        };
        self.stop.cancel();
        first.and(self.drain(drain).await)
    }

    async fn drain(mut self, deadline: Duration) -> Result<(), TaskError> {
        let mut first = Ok(());
        let all = async {
            while let Some((_, result)) = self.join_next().await {
                first = std::mem::replace(&mut first, Ok(())).and(result);
            }
        };
        if tokio::time::timeout(deadline, all).await.is_ok() {
            return first;
        }
        let mut names: Vec<_> = self.names.into_values().collect();
        names.sort_unstable();
        self.set.shutdown().await;
        first.and(Err(TaskError::Undrained { names, deadline }))
    }

    /// The next task that ends, and how. Safe to drop and call again.
    async fn join_next(&mut self) -> Option<(&'static str, Result<(), TaskError>)> {
        let ended = self.set.join_next_with_id().await?;
        let id = ended.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let name = self.names.remove(&id).unwrap_or("unnamed");
        let result = match ended {
            Ok((_, Ok(()))) => Ok(()),
            Ok((_, Err(source))) => Err(TaskError::Failed { name, source }),
            Err(_) => Err(TaskError::Panicked(name)),
        };
        Some((name, result))
    }
}

/// A future that ends at the first SIGTERM or SIGINT. Both are caught from the call on, not from the first poll.
pub fn signalled() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!(signal = name, "shutting down");
    })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::{pending, ready};

    use super::*;

    const DRAIN: Duration = Duration::from_secs(5);

    /// A task that ends when asked to.
    async fn obedient(stop: CancellationToken) -> Result<(), Infallible> {
        stop.cancelled().await;
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn a_signal_ends_all_tasks_well() {
        let mut tasks = Tasks::new();
        tasks.spawn("one", obedient(tasks.stop()));
        tasks.spawn("two", obedient(tasks.stop()));
        tasks.run(ready(()), DRAIN).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn the_early_end_of_one_task_ends_all_and_names_it() {
        let mut tasks = Tasks::new();
        let stop = tasks.stop();
        tasks.spawn("server", obedient(tasks.stop()));
        tasks.spawn("lease", ready(Ok::<_, Infallible>(())));
        let error = tasks.run(pending(), DRAIN).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the task `lease` ended before it was asked to"
        );
        assert!(stop.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn a_failing_task_ends_all_with_its_error() {
        let mut tasks = Tasks::new();
        tasks.spawn("server", obedient(tasks.stop()));
        tasks.spawn("watch", ready(Err(io::Error::other("410 Gone"))));
        let error = tasks.run(pending(), DRAIN).await.unwrap_err();
        assert_eq!(error.to_string(), "the task `watch` failed");
        assert_eq!(error.source().unwrap().to_string(), "410 Gone");
    }

    #[tokio::test(start_paused = true)]
    async fn a_panicking_task_ends_all_and_is_named() {
        let mut tasks = Tasks::new();
        tasks.spawn("server", obedient(tasks.stop()));
        tasks.spawn("worker", async {
            if true {
                panic!("on purpose")
            } else {
                Ok::<_, Infallible>(())
            }
        });
        let error = tasks.run(pending(), DRAIN).await.unwrap_err();
        assert!(matches!(error, TaskError::Panicked("worker")), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_fails_while_draining_is_reported() {
        let mut tasks = Tasks::new();
        let stop = tasks.stop();
        tasks.spawn("flush", async move {
            stop.cancelled().await;
            Err(io::Error::other("disk full"))
        });
        tasks.spawn("server", obedient(tasks.stop()));
        let error = tasks.run(ready(()), DRAIN).await.unwrap_err();
        assert!(
            matches!(error, TaskError::Failed { name: "flush", .. }),
            "{error}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_does_not_drain_is_cut_off_at_the_deadline_and_named() {
        let mut tasks = Tasks::new();
        tasks.spawn("server", obedient(tasks.stop()));
        tasks.spawn("stuck", pending::<Result<(), Infallible>>());
        let error = tasks.run(ready(()), DRAIN).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the tasks [\"stuck\"] had not ended 5s after the shutdown began"
        );
    }
}
