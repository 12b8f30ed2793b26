//! `tcp-lb`: a layer-4 load balancer. What it can do is in lb-bins' library; here it is wired up.

use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgGroup, Parser};
use lb_bins::admin;
use lb_bins::command_line::{self, explain, print};
use lb_bins::config::{Config, ConfigFile, Daemon};
use lb_bins::control::Control;
use lb_bins::demo;
use lb_bins::privileges::drop_privileges;
use lb_bins::probe::EXAMPLES;
use lb_bins::process::{Signals, raise_descriptor_limit};
use lb_bins::simulate;
use lb_bins::tcp::Workers;
use tokio::runtime;

/// A load balancer for TCP: schedulers, health checks, quorum, sorry server and persistence as in
/// LVS and keepalived, in one process that needs no privileges.
///
/// SIGHUP reads the configuration again; a bad one changes nothing. SIGTERM and SIGINT stop
/// accepting and end when the open connections have, or after the drain timeout; a second one ends
/// at once. RUST_LOG=debug logs every connection that fails.
#[derive(Debug, Parser)]
#[command(name = "tcp-lb", version, disable_version_flag = true, after_help = EXAMPLES, group = ArgGroup::new("mode").required(true).multiple(true).args(["config", "demo", "probe", "genhash"]))]
struct Arguments {
    #[command(flatten)]
    common: command_line::Arguments,

    /// Show what this does: three backends and a balancer in this process, one of them dying now
    /// and then
    #[arg(long, conflicts_with_all = ["config", "config_id", "admin", "check", "probe", "genhash"])]
    demo: bool,

    /// End the demo after this many seconds
    #[arg(long, value_name = "SECONDS", requires = "demo", conflicts_with = "config")]
    demo_seconds: Option<u64>,

    #[command(flatten)]
    simulate: simulate::Arguments,
}

/// How many files may be read at once, by checks.
const MOST_READERS: usize = 512;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(code) = arguments.common.probe(Daemon::TcpLb) {
        return code;
    }
    let outcome = match arguments.common.file() {
        Some(file) => run(&arguments, file),
        None => show(&arguments),
    };
    outcome.map_or_else(|code| code, |()| ExitCode::SUCCESS)
}

fn run(arguments: &Arguments, file: ConfigFile) -> Result<(), ExitCode> {
    let Arguments { common, simulate, .. } = arguments;
    let config = common.load(&file, Daemon::TcpLb)?;
    if let Some(checked) = common.check(&config) {
        return checked;
    }
    if simulate.is_asked() {
        return print(simulate.run(&file, &config).map_err(explain)?);
    }
    // Before there are threads, each of which would keep what it had.
    drop_privileges(Daemon::TcpLb, &config).map_err(explain)?;
    let _log = common.start_log(&config);
    raise_descriptor_limit();
    balance(arguments, file, config)
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

fn runtime() -> Result<runtime::Runtime, ExitCode> {
    // Blocking work is to read files for checks, each of which holds a thread while its file system
    // hangs, and to find mail servers by their names. Threads are there only while there is
    // something to do.
    let mut builder = runtime::Builder::new_current_thread();
    builder.enable_all().max_blocking_threads(MOST_READERS).build().map_err(explain)
}

fn workers(arguments: &Arguments) -> Result<Workers, ExitCode> {
    Workers::start(arguments.common.workers()).map_err(explain)
}
