//! What both daemons are told on the command line, and what they say to it.

use std::fmt::Display;
use std::io::{Write as _, stderr, stdout};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread::available_parallelism;

use clap::{ArgAction, Args};
use rustix::fs::{Access, access};
use rustix::io::Errno;
use tracing::warn;
use tracing_appender::non_blocking::WorkerGuard;

use crate::config::{Config, ConfigFile, Daemon, Door};
use crate::control::Control;
use crate::privileges::own_name;
use crate::probe;
use crate::telemetry::{self, LogFormat};

/// The exit status if something is wrong with the configuration, or with the system that it asks for.
const UNUSABLE: u8 = 2;

/// What both are told.
#[derive(Args, Debug)]
#[group(skip)]
pub struct Arguments {
    /// Do as this file says: TOML if its name ends in .toml, keepalived.conf if not
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// The name by which lines that start with @ in a keepalived.conf know this host; its host name
    /// by default
    #[arg(short = 'i', long, value_name = "NAME", requires = "config")]
    config_id: Option<String>,

    /// Answer at this address and port, or at the socket with this absolute path, whatever the file
    /// says: a keepalived.conf says nothing
    #[arg(long, value_name = "ADDRESS", requires = "config")]
    admin: Option<Door>,

    /// Only check the configuration and print all of it, defaults included; exit status 2 if it has
    /// mistakes
    #[arg(long, requires = "config")]
    check: bool,

    #[command(flatten)]
    probe: probe::Arguments,

    /// Print the version; -V is genhash's
    #[arg(long, action = ArgAction::Version)]
    version: Option<bool>,

    /// How the log on standard error is written
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,

    /// Threads that carry connections; as many as there are cores by default
    #[arg(long, value_name = "NUMBER")]
    workers: Option<NonZeroUsize>,
}

impl Arguments {
    /// The file that is named.
    pub fn file(&self) -> Option<ConfigFile> {
        let path = self.config.clone()?;
        let (config_id, admin) = (self.config_id.clone(), self.admin.clone());
        Some(ConfigFile { path, config_id, admin })
    }

    /// Reads it, and says what it warns of, unless that is for a log that is no text.
    ///
    /// # Errors
    /// The exit status; why is said.
    pub fn load(&self, file: &ConfigFile, daemon: Daemon) -> Result<Config, ExitCode> {
        let config = file.load_for(daemon).map_err(explain)?;
        if self.check || self.log_format == LogFormat::Text {
            config.warnings.iter().for_each(say);
        }
        Ok(config)
    }

    /// Runs the probe that is asked for, if one is; how it ended, which is said.
    pub fn probe(&self, daemon: Daemon) -> Option<ExitCode> {
        let probe = || {
            let config = self.file().map(|file| file.load_for(daemon)).transpose();
            let config = config.map_err(explain)?;
            let (text, outcome) = self.probe.run_alone(config.as_ref()).map_err(explain)?;
            print(text)?;
            Ok(outcome.exit_code())
        };
        self.probe.is_asked().then(|| probe().unwrap_or_else(|code: ExitCode| code))
    }

    /// If that is all that is asked for, looks whether a start would succeed, and prints the configuration;
    /// if it would not, the exit status, and why is said.
    pub fn check(&self, config: &Config) -> Option<Result<(), ExitCode>> {
        let rehearse = || Control::rehearse(config).map_err(explain).and_then(|()| print(config));
        self.check.then(rehearse)
    }

    /// Starts the log, with what the configuration warns of if nobody has read it yet.
    #[must_use = "lines that are not written yet are lost with the guard"]
    pub fn start_log(&self, config: &Config) -> WorkerGuard {
        let log = telemetry::start(self.log_format);
        if self.log_format == LogFormat::Json {
            config.warnings.iter().for_each(|warning| warn!("{warning}"));
        }
        self.warn_of_reloads();
        log
    }

    /// Whoever has become another user since the file was read may not read it again.
    fn warn_of_reloads(&self) {
        let Some(path) = &self.config else { return };
        if access(path, Access::READ_OK) == Err(Errno::ACCESS) {
            let (path, user) = (path.display(), own_name());
            warn!("the user `{user}` may not read {path}: no reload will succeed");
        }
    }

    /// How many threads carry connections.
    pub fn workers(&self) -> NonZeroUsize {
        let count = self.workers.or_else(|| available_parallelism().ok());
        if count.is_none() {
            warn!("the number of cores is unknown: one worker");
        }
        count.unwrap_or(NonZeroUsize::MIN)
    }
}

/// Prints what was asked for.
///
/// # Errors
/// The exit status, if it cannot be written; why is said.
pub fn print(words: impl Display) -> Result<(), ExitCode> {
    write!(stdout(), "{words}").map_err(explain)
}

/// Says why it ends; the exit status for that.
pub fn explain(error: impl Display) -> ExitCode {
    let error = error.to_string();
    // Mistakes in a file come as blocks that name it.
    match error.ends_with('\n') {
        true => say(error),
        false => say(format_args!("error: {error}\n")),
    }
    ExitCode::from(UNUSABLE)
}

/// Whoever closed standard error does not want to know.
fn say(words: impl Display) {
    let _ = write!(stderr(), "{words}");
}
