//! What the process has to do with the system around it.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{error, info, warn};

use crate::config::{ConfigFile, Daemon};
use crate::control::Handle;

/// With fewer than that there is something to say.
const FEW_DESCRIPTORS: u64 = 1024;

/// Allows as many open descriptors as an administrator permits. The usual soft limit of 1024 is
/// there for programs that use `select(2)`; a proxy needs two descriptors per connection.
pub fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        warn!(%error, limit = ?limit.current, "the limit of open descriptors stays");
    }
    if let Some(few) = limit.maximum.filter(|&most| most < FEW_DESCRIPTORS) {
        warn!(
            "only {few} open descriptors are allowed (`ulimit -Hn`, LimitNOFILE): each connection takes two"
        );
    }
}

/// The signals that the daemons obey.
#[derive(Debug)]
pub struct Signals {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// From now on the signals are ours. Must be called within a runtime, before anything is
    /// started: until then they would end the process half-way.
    ///
    /// # Errors
    /// What the system says if it does not hand them over.
    pub fn catch() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Obeys: `SIGHUP` reads `file` again, `SIGTERM` and `SIGINT` stop.
    pub async fn obey(mut self, control: Handle, file: Option<ConfigFile>) {
        loop {
            tokio::select! {
                Some(()) = self.hangup.recv() => match &file {
                    Some(file) => reload(&control, file).await,
                    None => info!("there is no configuration file to read again"),
                },
                Some(()) = self.interrupt.recv() => control.stop().await,
                Some(()) = self.terminate.recv() => control.stop().await,
                else => return,
            }
        }
    }
}

/// Takes over the file as it is now, or says why not.
async fn reload(control: &Handle, file: &ConfigFile) {
    let config = match file.load_for(Daemon::TcpLb) {
        Ok(config) => config,
        Err(errors) => return error!("the configuration stays as it was:\n{errors}"),
    };
    for warning in &config.warnings {
        warn!("{warning}");
    }
    match control.reconfigure(config).await {
        Ok(()) => info!(path = %file.path.display(), "configuration taken over"),
        Err(refusal) => error!(error = %refusal, "the configuration stays as it was"),
    }
}
