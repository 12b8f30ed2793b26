//! `vip-keeper`: addresses that one of several hosts has. What it can do is in lb-bins' library; here it
//! is wired up.

use std::fmt::Display;
use std::io::{Write as _, stderr, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use lb_bins::config::{Config, ConfigFile, Daemon};
use lb_bins::process::{Signals, hurry, raise_descriptor_limit};
use lb_bins::telemetry::{self, LogFormat};
use lb_bins::vip::{Keeper, drop_privileges, serve_admin};
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
#[command(name = "vip-keeper", version)]
struct Arguments {
    /// Keep the addresses of the VRRP and CARP instances of this file: TOML if it ends in .toml,
    /// keepalived.conf if not
    #[arg(long, value_name = "FILE")]
    config: PathBuf,

    /// The name by which lines that start with @ in a keepalived.conf know this host; its host name
    /// by default
    #[arg(short = 'i', long, value_name = "NAME")]
    config_id: Option<String>,

    /// Only check the configuration and print all of it, defaults included; exit status 2 if it has
    /// mistakes
    #[arg(long)]
    check: bool,

    /// How the log on standard error is written
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
}

/// What is wrong with the configuration or with the system it asks for.
const UNUSABLE: u8 = 2;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let file =
        ConfigFile { path: arguments.config.clone(), config_id: arguments.config_id.clone() };
    let outcome = file
        .load_for(Daemon::VipKeeper)
        .map_err(explain)
        .and_then(|config| keep(&arguments, file, config));
    outcome.map_or_else(|code| code, |()| ExitCode::SUCCESS)
}

fn keep(arguments: &Arguments, file: ConfigFile, config: Config) -> Result<(), ExitCode> {
    if arguments.check || arguments.log_format == LogFormat::Text {
        config.warnings.iter().for_each(say);
    }
    if arguments.check {
        return write!(stdout(), "{config}").map_err(explain);
    }
    // Before there are threads, each of which would keep what it had.
    let hurried = hurry();
    drop_privileges().map_err(explain)?;
    let _log = telemetry::start(arguments.log_format);
    raise_descriptor_limit();
    if let Err(error) = hurried {
        warn!(%error, "this may be late on a busy host: it lacks CAP_SYS_NICE");
    }
    if arguments.log_format == LogFormat::Json {
        config.warnings.iter().for_each(|warning| warn!("{warning}"));
    }
    // Blocking work is a page for an administrator or a look at a file, now and then.
    let mut runtime = runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().max_blocking_threads(4).build().map_err(explain)?;
    runtime.block_on(async {
        let signals = Signals::catch().map_err(explain)?;
        let serve = |bound, keeper| Box::pin(serve_admin(bound, keeper)) as _;
        let keeper = Keeper::start(config, serve).map_err(explain)?;
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
