//! Logs: one line an event on standard error, as JSON for machines or as text for people.

use std::io::{self, IsTerminal};

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

/// Everything from info on, but not what kube's client says of each failed call: whoever called says that better.
const DEFAULT_FILTER: &str = "info,kube_client::client::builder=off";

/// What is logged, and how.
#[derive(Clone, Debug, clap::Args)]
pub struct LogArgs {
    /// What to log: a level (error, warn, info, debug, trace), or directives such as `info,glyph_operator=debug`.
    #[arg(long, env = "GLYPH_LOG", default_value = DEFAULT_FILTER, value_name = "FILTER")]
    pub log: String,

    /// How a log line is written.
    #[arg(
        long,
        env = "GLYPH_LOG_FORMAT",
        default_value = "json",
        value_name = "FORMAT"
    )]
    pub log_format: LogFormat,
}

/// How a log line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// Text for people, coloured on a terminal.
    Human,
}

/// Logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter is not one.
    #[error("failed to read the log filter {filter:?} (--log or GLYPH_LOG)")]
    Filter {
        /// What was given.
        filter: String,
        /// What is wrong with it.
        source: ParseError,
    },
    /// Another subscriber is there already.
    #[error("failed to start logging")]
    Start(#[from] TryInitError),
}

impl LogArgs {
    /// Starts logging for the whole process. Once.
    pub fn init(&self) -> Result<(), LogError> {
        Ok(self
            .subscriber(io::stderr, io::stderr().is_terminal())?
            .try_init()?)
    }

    /// A subscriber that writes to `writer`.
    fn subscriber<W>(
        &self,
        writer: W,
        ansi: bool,
    ) -> Result<Box<dyn Subscriber + Send + Sync>, LogError>
    where
        W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
    {
        let filter = EnvFilter::builder()
            .parse(&self.log)
            .map_err(|source| LogError::Filter {
                filter: self.log.clone(),
                source,
            })?;
        let lines = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(writer);
        Ok(match self.log_format {
            LogFormat::Json => Box::new(
                lines
                    .json()
                    .flatten_event(true)
                    .with_span_list(false)
                    .finish(),
            ),
            LogFormat::Human => Box::new(lines.with_ansi(ansi).finish()),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use serde_json::Value;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0
                .lock()
                .map_err(|_| io::Error::other("poisoned"))?
                .write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is written when `event` runs under these settings.
    fn logged(log: &str, log_format: LogFormat, event: impl FnOnce()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let args = LogArgs {
            log: log.to_owned(),
            log_format,
        };
        let subscriber = args.subscriber(move || writer.clone(), false).unwrap();
        tracing::subscriber::with_default(subscriber, event);
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn json_lines_carry_fields_and_span_at_hand() {
        let text = logged("info", LogFormat::Json, || {
            let _span = tracing::info_span!("reconcile", tier = "free").entered();
            tracing::info!(stripe_id = "prod_1", "product made");
        });
        let line: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["message"], "product made");
        assert_eq!(line["stripe_id"], "prod_1");
        assert_eq!(line["span"]["tier"], "free");
        assert_eq!(line["level"], "INFO");
    }

    #[test]
    fn human_lines_are_plain_text() {
        let text = logged("info", LogFormat::Human, || {
            tracing::warn!(tier = "free", "no price")
        });
        assert!(
            text.contains(" WARN ") && text.contains("no price tier=\"free\""),
            "{text}"
        );
    }

    #[test]
    fn the_filter_keeps_out_what_is_below_its_level() {
        let event = || {
            tracing::debug!("hidden");
            tracing::debug!(target: "chosen", "shown");
        };
        let text = logged("info,chosen=debug", LogFormat::Human, event);
        assert!(text.contains("shown") && !text.contains("hidden"), "{text}");
    }

    #[test]
    fn a_wrong_filter_is_refused_by_the_name_of_its_setting() {
        let args = LogArgs {
            log: "glyph=loud".to_owned(),
            log_format: LogFormat::Json,
        };
        let error = args.subscriber(io::sink, false).err().unwrap().to_string();
        assert_eq!(
            error,
            "failed to read the log filter \"glyph=loud\" (--log or GLYPH_LOG)"
        );
    }
}
