//! The log: for people on a terminal, for machines as JSON.

use std::env;
use std::io::{self, IsTerminal};
use std::str::FromStr;

use clap::ValueEnum;
use tracing::warn;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// So many lines may wait to be written. Each has its place from the beginning: the default would
/// take 4 MB.
const MOST_LINES: usize = 4 * 1024;

/// How the log is written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum LogFormat {
    /// One line per event for people; in colour on a terminal.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// What `RUST_LOG` asks for, and what is wrong with it, if it cannot be understood. An empty one, as
/// service managers leave behind, asks for nothing.
fn filter(asked: &str) -> (EnvFilter, Option<String>) {
    let info = || EnvFilter::new("info");
    let asked = asked.trim();
    if asked.is_empty() {
        return (info(), None);
    }
    if let Some(word) = asked.split(',').map(str::trim).find(|word| is_no_level(word)) {
        let said = format!("`{word}` is no level: error, warn, info, debug, trace, off");
        return (info(), Some(said));
    }
    match EnvFilter::try_new(asked) {
        Ok(filter) => (filter, None),
        Err(error) => (info(), Some(error.to_string())),
    }
}

/// Whether a word is meant for a level and is none. It would be taken for the name of a part of the
/// program, and everything else would be hidden; those parts that there are have these names.
fn is_no_level(word: &str) -> bool {
    let is_part = ["lb_", "tcp_lb", "vip_keeper"].iter().any(|name| word.starts_with(name));
    !is_part && !word.contains(['=', '[', ']', '}', ':']) && LevelFilter::from_str(word).is_err()
}

/// Starts to log on standard error until the guard is dropped. `RUST_LOG` sets what is logged; by
/// default `info` and graver.
///
/// Lines are written by a thread of their own: where nobody reads them (a full pipe, a stopped
/// terminal), or they cannot be written (a full disk, a reader that has gone), lines are lost, and
/// nothing else is.
#[must_use = "lines that are not written yet are lost with the guard"]
pub fn start(format: LogFormat) -> WorkerGuard {
    let (writer, guard) =
        NonBlockingBuilder::default().buffered_lines_limit(MOST_LINES).finish(io::stderr());
    let (filter, wrong) = filter(&env::var(EnvFilter::DEFAULT_ENV).unwrap_or_default());
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        // Its complaint about a log that cannot be written would go there, too.
        .log_internal_errors(false)
        .with_writer(writer);
    match format {
        LogFormat::Json => log.json().flatten_event(true).init(),
        LogFormat::Text => log.with_ansi(io::stderr().is_terminal()).init(),
    }
    if let Some(error) = wrong {
        warn!(%error, "RUST_LOG is not understood, and left aside");
    }
    guard
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_level_hides_nothing() {
        for word in ["warning", "inof", "info, warning", "lb_bins=loud"] {
            let (used, wrong) = filter(word);
            assert_eq!(used.to_string(), "info", "{word}");
            assert!(wrong.is_some(), "{word}");
        }
        let understood = ["debug", "WARN", "off", "lb_bins=debug", "info,hyper=warn", "lb_vrrp"];
        for word in understood {
            assert_eq!(filter(word).1, None, "{word}");
        }
        assert_eq!((filter(" ").0.to_string(), filter("").1), ("info".to_owned(), None));
    }
}
