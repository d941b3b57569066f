//! What this thread logs at trace, for tests that search it.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::Dispatch;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;

/// Log lines of this thread, until dropped.
pub(crate) struct Captured {
    lines: Lines,
    _guard: DefaultGuard,
    /// With one dispatcher alone, tracing asks the thread that first passes a log call whether anybody wants it, and
    /// remembers the no of another test's thread for all.
    _second: Dispatch,
}

impl Captured {
    pub(crate) fn start() -> Self {
        let second = Dispatch::new(tracing_subscriber::registry());
        let lines = Lines::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(lines.clone())
            .with_ansi(false)
            .finish();
        let guard = tracing::subscriber::set_default(subscriber);
        Self {
            lines,
            _guard: guard,
            _second: second,
        }
    }

    /// Everything so far.
    pub(crate) fn text(&self) -> String {
        let lines = self.lines.0.lock().unwrap();
        String::from_utf8_lossy(&lines).into_owned()
    }
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
