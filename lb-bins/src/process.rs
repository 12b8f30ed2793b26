//! What the process has to do with the system around it.

use std::fmt::Display;
use std::io;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use rustix::process::{
    Resource, Rlimit, getpriority_process, getrlimit, setpriority_process, setrlimit,
};
use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tracing::{debug, error, info, warn};

use crate::config::{Config, ConfigFile, Daemon};
use crate::memory::forget_the_start;
use crate::privileges::{hand_on_nothing, warn_of_start};
use crate::service_manager::{reassure, tell_ready, tell_reloading, tell_stopping};

/// With fewer than that there is something to say.
const FEW_DESCRIPTORS: u64 = 1024;

/// Allows as many open descriptors as an administrator permits. The usual soft limit of 1024 is
/// there for programs that use `select(2)`; a proxy needs two descriptors per connection. What is wrong with
/// that is logged, so the log comes first.
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

/// So long after a start or a reload everything that belongs to it has happened, as elections.
const SETTLED: Duration = Duration::from_secs(5);

/// What this process had before [`hurry`].
static NICENESS: OnceLock<i32> = OnceLock::new();

/// Goes before everything else on this host that is not in real time, as far as it may: whoever is
/// late with a word is taken for dead. Scripts are spared that.
///
/// # Errors
/// It may not: that takes `CAP_SYS_NICE`.
pub fn hurry() -> io::Result<()> {
    const FIRST: i32 = -20;
    let before = getpriority_process(None)?;
    setpriority_process(None, FIRST)?;
    NICENESS.get_or_init(|| before);
    Ok(())
}

/// Has the calling thread, and all that it starts, in no more of a hurry than this process was
/// started with.
pub(crate) fn stop_hurrying() {
    if let Some(before) = NICENESS.get() {
        // Nobody is refused to be slower.
        let _ = setpriority_process(None, *before);
    }
}

/// Does what blocks on a thread of its own, so that it waits for nobody else: those that the runtime
/// has for that may all read files for checks, from a file system that hangs. What it starts is in no
/// hurry and gets no privilege. Must be called within a runtime.
///
/// # Errors
/// There is no thread to be had, or it panicked.
pub(crate) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let (runtime, (done, result)) = (Handle::current(), oneshot::channel());
    thread::Builder::new().name("aside".to_owned()).spawn(move || {
        let _entered = runtime.enter();
        stop_hurrying();
        hand_on_nothing();
        // Whoever does not wait any more does not need it.
        let _ = done.send(work());
    })?;
    result.await.map_err(|_| io::Error::other("the thread panicked"))
}

/// Something whose end may take its time, since it removes a file: when it is dropped, a thread of its own
/// sees to that.
#[derive(Debug)]
pub(crate) struct Unhurried<T: Send + 'static>(Option<T>);

impl<T: Send + 'static> Unhurried<T> {
    pub(crate) const fn new(what: T) -> Self {
        Self(Some(what))
    }

    /// Itself, which ends as it does.
    pub(crate) fn into_inner(mut self) -> Option<T> {
        self.0.take()
    }
}

impl<T: Send + 'static> Drop for Unhurried<T> {
    fn drop(&mut self) {
        if let Some(what) = self.0.take() {
            let end = move || {
                stop_hurrying();
                drop(what);
            };
            // Where there is no thread to be had, it ends here.
            let _ = thread::Builder::new().name("aside".to_owned()).spawn(end);
        }
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

    /// Obeys: `SIGHUP` reads `file` again, `SIGTERM` and `SIGINT` stop. However long a reload takes (a file
    /// system that hangs, somebody who has to leave first), they are heard meanwhile; all `SIGHUP`s that
    /// come meanwhile are one more reload.
    pub async fn obey<G: Governed>(mut self, governed: G, file: Option<ConfigFile>) {
        tell_ready().await;
        let mut pulse = JoinSet::new();
        pulse.spawn(reassure(governed.clone()));
        tokio::spawn(settle());
        let mut reloads = JoinSet::new();
        let mut is_wanted = false;
        loop {
            tokio::select! {
                Some(()) = self.hangup.recv() => is_wanted = true,
                // A panic in there was reported when it happened.
                Some(_) = reloads.join_next() => {}
                Some(()) = self.interrupt.recv() => stop(&governed).await,
                Some(()) = self.terminate.recv() => stop(&governed).await,
                else => return,
            }
            if is_wanted && reloads.is_empty() {
                is_wanted = false;
                match &file {
                    Some(file) => drop(reloads.spawn(reload(governed.clone(), file.clone()))),
                    None => info!("there is no configuration file to read again"),
                }
            }
        }
    }
}

/// What obeys signals.
pub trait Governed: Clone + Send + Sync + 'static {
    /// Whose part of a configuration it needs.
    const DAEMON: Daemon;
    /// Why a configuration is not taken over.
    type Refusal: Display + Send;

    /// Takes over another configuration, whole or not at all.
    fn reconfigure(&self, config: Config)
    -> impl Future<Output = Result<(), Self::Refusal>> + Send;

    /// Ends; asked a second time, at once.
    fn stop(&self) -> impl Future<Output = ()> + Send;

    /// Whether it does what it is there for.
    fn is_well(&self) -> impl Future<Output = bool> + Send;
}

async fn stop<G: Governed>(governed: &G) {
    tell_stopping().await;
    governed.stop().await;
}

/// Takes over the file as it is now, or says why not.
async fn reload<G: Governed>(governed: G, file: ConfigFile) {
    tell_reloading().await;
    take_over(governed, file).await;
    tell_ready().await;
    tokio::spawn(settle());
}

/// A while after a configuration was taken over, what that took in memory is not needed any more.
async fn settle() {
    sleep(SETTLED).await;
    if let Ok(Err(error)) | Err(error) = aside(forget_the_start).await {
        debug!(%error, "what the start took stays in memory");
    }
}

async fn take_over<G: Governed>(governed: G, file: ConfigFile) {
    let name = file.path.display().to_string();
    // A large file takes a while, which nothing else should wait for.
    let config = match aside(move || file.load_for(G::DAEMON)).await {
        Ok(Ok(config)) => config,
        Ok(Err(errors)) => return error!("the configuration stays as it was:\n{errors}"),
        Err(error) => return error!(%error, "the configuration stays as it was"),
    };
    for warning in &config.warnings {
        warn!("{warning}");
    }
    warn_of_start(&config);
    match governed.reconfigure(config).await {
        Ok(()) => info!(path = name, "configuration taken over"),
        Err(refusal) => error!(error = %refusal, "the configuration stays as it was"),
    }
}
