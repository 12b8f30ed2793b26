//! `vip-keeper`: addresses that one of several hosts has. What it can do is in lb-bins' library; here it
//! is wired up.

use std::fmt::Display;
use std::io::{Write as _, stderr, stdout};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread::available_parallelism;

use clap::{ArgAction, ArgGroup, Parser};
use lb_bins::config::{Config, ConfigFile, Daemon, Door};
use lb_bins::control::Control;
use lb_bins::privileges::drop_privileges;
use lb_bins::probe;
use lb_bins::process::{Signals, hurry, raise_descriptor_limit};
use lb_bins::telemetry::{self, LogFormat};
use lb_bins::vip::{Keeper, beside, serve_admin};
use tokio::runtime;
use tracing::warn;

/// Keeps virtual addresses alive by VRRP (RFC 9568, RFC 3768) or CARP, beside keepalived and ucarp or in
/// their place: sync groups, tracking, virtual MAC addresses, routes and rules, scripts for events.
///
/// It takes root, or CAP_NET_ADMIN and CAP_NET_RAW, and keeps nothing else. SIGHUP reads the
/// configuration again: what has not changed is not disturbed, and a bad one changes nothing. SIGTERM
/// and SIGINT give the addresses up and go on answering for them until the successors do; a second one
/// ends at once. RUST_LOG=debug logs every lower master that is heard.
#[derive(Debug, Parser)]
#[command(name = "vip-keeper", version, disable_version_flag = true, group = ArgGroup::new("mode").required(true).multiple(true).args(["config", "probe", "genhash"]))]
struct Arguments {
    /// Keep the addresses of the VRRP and CARP instances of this file: TOML if it ends in .toml,
    /// keepalived.conf if not
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// The name by which lines that start with @ in a keepalived.conf know this host; its host name
    /// by default
    #[arg(short = 'i', long, value_name = "NAME", requires = "config")]
    config_id: Option<String>,

    /// Answer at this address and port, or at the socket with this absolute path, whatever the file
    /// says: a keepalived.conf says nothing
    #[arg(long, value_name = "ADDRESS")]
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

    /// Threads that carry the connections of virtual servers; as many as there are cores by default
    #[arg(long, value_name = "NUMBER")]
    workers: Option<NonZeroUsize>,
}

/// What is wrong with the configuration or with the system it asks for.
const UNUSABLE: u8 = 2;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (config_id, admin) = (arguments.config_id.clone(), arguments.admin.clone());
    let file = arguments.config.clone().map(|path| ConfigFile { path, config_id, admin });
    if arguments.probe.is_asked() {
        return probe(&arguments, file).unwrap_or_else(|code| code);
    }
    let Some(file) = file else { return ExitCode::from(UNUSABLE) };
    let outcome = file
        .load_for(Daemon::VipKeeper)
        .map_err(explain)
        .and_then(|config| keep(&arguments, file, config));
    outcome.map_or_else(|code| code, |()| ExitCode::SUCCESS)
}

fn probe(arguments: &Arguments, file: Option<ConfigFile>) -> Result<ExitCode, ExitCode> {
    let config = file.map(|file| file.load_for(Daemon::VipKeeper)).transpose().map_err(explain)?;
    let (text, outcome) = arguments.probe.run_alone(config.as_ref()).map_err(explain)?;
    write!(stdout(), "{text}").map_err(explain)?;
    Ok(outcome.exit_code())
}

fn keep(arguments: &Arguments, file: ConfigFile, config: Config) -> Result<(), ExitCode> {
    if arguments.check || arguments.log_format == LogFormat::Text {
        config.warnings.iter().for_each(say);
    }
    if arguments.check {
        Control::rehearse(&config).map_err(explain)?;
        return write!(stdout(), "{config}").map_err(explain);
    }
    // Before there are threads, each of which would keep what it had.
    let hurried = hurry();
    drop_privileges(Daemon::VipKeeper, &config).map_err(explain)?;
    let _log = telemetry::start(arguments.log_format);
    raise_descriptor_limit();
    if let Err(error) = hurried {
        warn!(%error, "this may be late on a busy host: it lacks CAP_SYS_NICE");
    }
    if arguments.log_format == LogFormat::Json {
        config.warnings.iter().for_each(|warning| warn!("{warning}"));
    }
    let beside = beside().map_err(explain)?;
    let workers = arguments.workers.or_else(|| available_parallelism().ok());
    let workers = workers.unwrap_or(NonZeroUsize::MIN);
    // Blocking work is a look at the configuration file, now and then.
    let mut runtime = runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().max_blocking_threads(4).build().map_err(explain)?;
    runtime.block_on(async {
        let signals = Signals::catch().map_err(explain)?;
        let serve = |listener, keeper| Box::pin(serve_admin(listener, keeper)) as _;
        let keeper = Keeper::start(config, beside, workers, serve).await.map_err(explain)?;
        tokio::spawn(signals.obey(keeper.handle(), Some(file)));
        keeper.run().await;
        Ok(())
    })
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
