//! `tcp-lb`: a layer-4 load balancer. What it can do is in lb-bins' library; here it is wired up.

use std::fmt::Display;
use std::io::{Write as _, stderr, stdout};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread::available_parallelism;
use std::time::Duration;

use clap::{ArgAction, ArgGroup, Parser};
use lb_bins::admin;
use lb_bins::config::{Config, ConfigFile, Daemon, Door};
use lb_bins::control::Control;
use lb_bins::demo;
use lb_bins::privileges::drop_privileges;
use lb_bins::probe::{self, EXAMPLES};
use lb_bins::process::{Signals, raise_descriptor_limit};
use lb_bins::simulate;
use lb_bins::tcp::Workers;
use lb_bins::telemetry::{self, LogFormat};
use tokio::runtime;
use tracing::warn;

/// A load balancer for TCP: schedulers, health checks, quorum, sorry server and persistence as in
/// LVS and keepalived, in one process that needs no privileges.
///
/// SIGHUP reads the configuration again; a bad one changes nothing. SIGTERM and SIGINT stop
/// accepting and end when the open connections have, or after the drain timeout; a second one ends
/// at once. RUST_LOG=debug logs every connection that fails.
#[derive(Debug, Parser)]
#[command(name = "tcp-lb", version, disable_version_flag = true, after_help = EXAMPLES, group = ArgGroup::new("mode").required(true).multiple(true).args(["config", "demo", "probe", "genhash"]))]
struct Arguments {
    /// Balance as this file says: TOML if it ends in .toml, keepalived.conf if not
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// The name by which lines that start with @ in a keepalived.conf know this host; its host name
    /// by default
    #[arg(short = 'i', long, value_name = "NAME", requires = "config", conflicts_with = "demo")]
    config_id: Option<String>,

    /// Answer at this address and port, or at the socket with this absolute path, whatever the file
    /// says: a keepalived.conf says nothing
    #[arg(long, value_name = "ADDRESS", requires = "config", conflicts_with = "demo")]
    admin: Option<Door>,

    /// Only check the configuration and print all of it, defaults included; exit status 2 if it has
    /// mistakes
    #[arg(long, requires = "config", conflicts_with = "demo")]
    check: bool,

    /// Show what this does: three backends and a balancer in this process, one of them dying now
    /// and then
    #[arg(long, conflicts_with_all = ["config", "probe", "genhash"])]
    demo: bool,

    /// End the demo after this many seconds
    #[arg(long, value_name = "SECONDS", requires = "demo", conflicts_with = "config")]
    demo_seconds: Option<u64>,

    #[command(flatten)]
    probe: probe::Arguments,

    #[command(flatten)]
    simulate: simulate::Arguments,

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
    fn file(&self) -> Option<ConfigFile> {
        let path = self.config.clone()?;
        let (config_id, admin) = (self.config_id.clone(), self.admin.clone());
        Some(ConfigFile { path, config_id, admin })
    }
}

/// How many files may be read at once, by checks.
const MOST_READERS: usize = 512;
/// What is wrong with the configuration or with the system it asks for.
const UNUSABLE: u8 = 2;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.probe.is_asked() {
        return probe(&arguments).unwrap_or_else(|code| code);
    }
    let outcome = match arguments.file() {
        Some(file) => file.load_for(Daemon::TcpLb).map_err(explain).and_then(|config| {
            if arguments.check || arguments.log_format == LogFormat::Text {
                config.warnings.iter().for_each(say);
            }
            if arguments.check {
                Control::rehearse(&config).map_err(explain)?;
                return write!(stdout(), "{config}").map_err(explain);
            }
            if arguments.simulate.is_asked() {
                let story = arguments.simulate.run(&file, &config).map_err(explain)?;
                return write!(stdout(), "{story}").map_err(explain);
            }
            // Before there are threads, each of which would keep what it had.
            drop_privileges(Daemon::TcpLb, &config).map_err(explain)?;
            let _log = telemetry::start(arguments.log_format);
            raise_descriptor_limit();
            if arguments.log_format == LogFormat::Json {
                config.warnings.iter().for_each(|warning| warn!("{warning}"));
            }
            balance(&arguments, file, config)
        }),
        None => show(&arguments),
    };
    outcome.map_or_else(|code| code, |()| ExitCode::SUCCESS)
}

fn balance(arguments: &Arguments, file: ConfigFile, config: Config) -> Result<(), ExitCode> {
    let runtime = runtime()?;
    let outcome = runtime.block_on(async {
        let signals = Signals::catch().map_err(explain)?;
        let control = Control::start(config, workers(arguments)?, |listener, control| {
            Box::pin(admin::run(listener, control))
        })
        .map_err(explain)?;
        tokio::spawn(signals.obey(control.handle(), Some(file)));
        control.run().await;
        Ok(())
    });
    // Nobody waits for a read that hangs.
    runtime.shutdown_background();
    outcome
}

fn show(arguments: &Arguments) -> Result<(), ExitCode> {
    let length = arguments.demo_seconds.map(Duration::from_secs);
    runtime()?.block_on(async {
        let signals = Signals::catch().map_err(explain)?;
        demo::run(workers(arguments)?, signals, length).await.map_err(explain)
    })
}

fn probe(arguments: &Arguments) -> Result<ExitCode, ExitCode> {
    let config = arguments.file().map(|file| file.load_for(Daemon::TcpLb)).transpose();
    let config = config.map_err(explain)?;
    let (text, outcome) = arguments.probe.run_alone(config.as_ref()).map_err(explain)?;
    write!(stdout(), "{text}").map_err(explain)?;
    Ok(outcome.exit_code())
}

fn runtime() -> Result<runtime::Runtime, ExitCode> {
    // Blocking work is to read files for checks, each of which holds a thread while its file system
    // hangs. Threads are there only while there is something to do.
    let mut builder = runtime::Builder::new_current_thread();
    builder.enable_all().max_blocking_threads(MOST_READERS).build().map_err(explain)
}

fn workers(arguments: &Arguments) -> Result<Workers, ExitCode> {
    let count = arguments.workers.or_else(|| available_parallelism().ok());
    if count.is_none() {
        warn!("the number of cores is unknown: one worker");
    }
    Workers::start(count.unwrap_or(NonZeroUsize::MIN)).map_err(explain)
}

fn explain(error: impl Display) -> ExitCode {
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
