//! `vip-keeper`: addresses that one of several hosts has. What it can do is in lb-bins' library; here it
//! is wired up.

use std::process::ExitCode;

use clap::{ArgGroup, Parser};
use lb_bins::command_line::{self, explain};
use lb_bins::config::{ConfigFile, Daemon};
use lb_bins::privileges::drop_privileges;
use lb_bins::process::{Signals, hurry, raise_descriptor_limit};
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
    #[command(flatten)]
    common: command_line::Arguments,
}

fn main() -> ExitCode {
    let Arguments { common } = Arguments::parse();
    if let Some(code) = common.probe(Daemon::VipKeeper) {
        return code;
    }
    // One of the two is required.
    let outcome = common.file().map_or(Ok(()), |file| keep(&common, file));
    outcome.map_or_else(|code| code, |()| ExitCode::SUCCESS)
}

fn keep(common: &command_line::Arguments, file: ConfigFile) -> Result<(), ExitCode> {
    let config = common.load(&file, Daemon::VipKeeper)?;
    if let Some(checked) = common.check(&config) {
        return checked;
    }
    // Before there are threads, each of which would keep what it had.
    let hurried = hurry();
    drop_privileges(Daemon::VipKeeper, &config).map_err(explain)?;
    let _log = common.start_log(&config);
    raise_descriptor_limit();
    if let Err(error) = hurried {
        warn!(%error, "this may be late on a busy host: it lacks CAP_SYS_NICE");
    }
    let beside = beside().map_err(explain)?;
    // Blocking work is a look at the configuration file, now and then.
    let mut runtime = runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().max_blocking_threads(4).build().map_err(explain)?;
    runtime.block_on(async {
        let signals = Signals::catch().map_err(explain)?;
        let serve = |listener, keeper| Box::pin(serve_admin(listener, keeper)) as _;
        let keeper = Keeper::start(config, beside, common.workers(), serve).await;
        let keeper = keeper.map_err(explain)?;
        tokio::spawn(signals.obey(keeper.handle(), Some(file)));
        keeper.run().await;
        Ok(())
    })
}
