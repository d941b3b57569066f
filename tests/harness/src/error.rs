//! What can go wrong with a part, as sentences for the person at the terminal.

use std::fmt;
use std::time::Duration;

/// The result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a part cannot be had, did not start, or did not answer.
///
/// `Debug` prints the sentence and its causes too, so that a failed `unwrap` in a test reads well.
#[derive(thiserror::Error)]
pub enum Error {
    /// The part could not be fetched, built or found.
    #[error("{part} cannot be had: {why}")]
    Unavailable {
        /// The part's name.
        part: String,
        /// What was tried, how it ended, and what would help.
        why: String,
    },
    /// The part's process ended before it was ready.
    #[error("{part} ended before it was ready; the end of its log:\n{log}")]
    Exited {
        /// The part's name.
        part: String,
        /// The last lines it wrote.
        log: String,
    },
    /// The part runs but did not become ready in time.
    #[error("{part} was not ready after {} s; the end of its log:\n{log}", waited.as_secs())]
    NotReady {
        /// The part's name.
        part: String,
        /// How long was waited.
        waited: Duration,
        /// The last lines it wrote.
        log: String,
    },
    /// Something waited for did not come about.
    #[error("waited {} s in vain: {what}", waited.as_secs_f32())]
    Deadline {
        /// What was waited for.
        what: String,
        /// How long was waited.
        waited: Duration,
    },
    /// A running part answered something else than what is needed.
    #[error("failed to {doing}: {answer}")]
    Answer {
        /// What was being done.
        doing: String,
        /// What came instead.
        answer: String,
    },
    /// The operating system or the network refused something.
    #[error("failed to {doing}")]
    Io {
        /// What was being done.
        doing: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The Kubernetes API refused something.
    #[error("failed to {doing}")]
    Kube {
        /// What was being done.
        doing: String,
        /// What the API server said.
        source: Box<kube::Error>,
    },
}

impl Error {
    /// Wraps an I/O error with what was being done ("failed to …").
    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }

    /// Wraps a Kubernetes error with what was being done ("failed to …").
    pub(crate) fn kube(doing: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Kube {
            doing,
            source: Box::new(source),
        }
    }

    /// An answer that is not the one needed.
    pub(crate) fn answer(doing: impl Into<String>, answer: impl fmt::Display) -> Self {
        Self::Answer {
            doing: doing.into(),
            answer: answer.to_string(),
        }
    }

    /// A part that cannot be had.
    pub(crate) fn unavailable(part: impl Into<String>, why: impl fmt::Display) -> Self {
        Self::Unavailable {
            part: part.into(),
            why: why.to_string(),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
