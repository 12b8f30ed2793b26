//! Passes when a program exits with zero.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::ExitStatus;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use lb_core::Weight;
use tokio::process::Command;
use tokio::sync::{oneshot, watch};
use tokio::time::{sleep_until, timeout_at};
use tower_service::Service;

use super::deadline_after;
use super::process::{Credentials, Process, spawn_error};
use super::script_slots::{Places, ScriptSlot, ScriptSlots, Wait};
use crate::trace::{Excerpt, Phase};
use crate::{CheckError, Report, Target};

/// Passes when a program exits with zero.
///
/// | exit | plain | with [dynamic weight](Self::with_dynamic_weight) |
/// |---|---|---|
/// | 0 | up, at the configured weight | the same |
/// | 1 | down | down |
/// | 2 to 255 | down | up, at weight exit − 2: so 2 drains |
/// | by a signal | down | down |
///
/// The program runs without a shell, in a process group of its own, with no input and with
/// `BACKEND_ADDRESS` and `BACKEND_PORT` in its environment. When its time is over the group gets
/// SIGTERM, and 2 s later SIGKILL; so it does when the run is cancelled. What a program leaves
/// behind in its group when it exits is killed. **A child that makes a session of its own (`setsid`) is
/// out of reach**, as are services that a program starts on purpose: it holds up neither the run nor
/// its slot, and lives until it ends or the service manager ends all that the daemon has started. The next run at the same address waits until the
/// last has died, within its own time. One that SIGKILL does not end within 2 s (it is in
/// uninterruptible sleep: a dead NFS server) gives its slot back, and until it ends, every run at
/// its address is a [`CheckError::Local`]: there is never a second process beside it.
///
/// Needs a tokio runtime with I/O and time, whose tasks see the program to its end.
///
/// ```
/// use std::time::Duration;
/// use lb_core::Weight;
/// use lb_health::{Target, checkers::{Script, ScriptSlots}};
/// use tower::ServiceExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let slots = ScriptSlots::default(); // one for the whole process
/// let script = Script::new("/bin/sh", ["-c", "exit 42"], slots).with_dynamic_weight();
/// let target = Target::new("192.0.2.1:80".parse()?, Duration::from_secs(5));
/// assert_eq!(script.oneshot(target).await?.weight, Some(Weight::new(40)));
/// # Ok(())
/// # }
/// ```
pub struct Script {
    job: Job,
    slots: ScriptSlots,
    /// Where runs of this and its clones go on waiting.
    places: Places,
    slot: Slot,
}

/// A script's slot, between `poll_ready` and `call`.
enum Slot {
    None,
    Awaited(Wait),
    Held(ScriptSlot),
}

impl Script {
    /// A checker that runs `program`. A name without a slash is looked up in `PATH`.
    pub fn new(
        program: impl Into<PathBuf>,
        arguments: impl IntoIterator<Item = impl Into<OsString>>,
        slots: ScriptSlots,
    ) -> Self {
        let job = Job {
            program: program.into(),
            arguments: arguments.into_iter().map(Into::into).collect(),
            user: None,
            dynamic_weight: false,
            running: Arc::new(watch::Sender::default()),
        };
        Self { job, slots, places: Places::default(), slot: Slot::None }
    }

    /// This checker, with its program run as somebody else. Default: as this process.
    ///
    /// What this process may not do is [`CheckError::Local`], and no failure of the target.
    #[must_use]
    pub fn with_credentials(mut self, credentials: Credentials) -> Self {
        self.job.user = Some(credentials);
        self
    }

    /// This checker, with exit codes above 1 read as weights: keepalived's `misc_dynamic`.
    #[must_use]
    pub fn with_dynamic_weight(mut self) -> Self {
        self.job.dynamic_weight = true;
        self
    }
}

impl Clone for Script {
    /// The same program and slots. A slot that is held or awaited stays with the original.
    fn clone(&self) -> Self {
        let Self { job, slots, places, slot: _ } = self;
        Self { job: job.clone(), slots: slots.clone(), places: places.clone(), slot: Slot::None }
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script").field("job", &self.job).finish_non_exhaustive()
    }
}

impl Service<Target> for Script {
    type Response = Report;
    type Error = CheckError;
    type Future = Pin<Box<dyn Future<Output = Result<Report, CheckError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), CheckError>> {
        loop {
            self.slot = match &mut self.slot {
                Slot::Held(_) => return Poll::Ready(Ok(())),
                Slot::None => Slot::Awaited(self.slots.wait(self.places.clone())),
                Slot::Awaited(wait) => Slot::Held(ready!(Pin::new(wait).poll(context))),
            };
        }
    }

    fn call(&mut self, target: Target) -> Self::Future {
        let held = std::mem::replace(&mut self.slot, Slot::None);
        let (job, slots, places) = (self.job.clone(), self.slots.clone(), self.places.clone());
        Box::pin(async move {
            let slot = match held {
                Slot::Held(slot) => slot,
                // Called without being ready: the wait has no end of its own.
                _ => slots.wait(places).await,
            };
            let (answer, result) = oneshot::channel();
            // A task of its own sees the process to its end, also if this future is dropped.
            tokio::spawn(job.supervise(target, answer, slot));
            result.await.unwrap_or_else(|_| Err(interrupted()))
        })
    }
}

/// What to run, and where it runs now.
#[derive(Clone, Debug)]
struct Job {
    program: PathBuf,
    arguments: Vec<OsString>,
    user: Option<Credentials>,
    dynamic_weight: bool,
    running: Lanes,
}

/// Where a script runs.
type Lanes = Arc<watch::Sender<HashMap<SocketAddr, Occupant>>>;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Occupant {
    /// It runs or is dying.
    Alive,
    /// It was killed, to no effect.
    Stuck,
}

impl Job {
    /// Runs the script once and answers; returns when it is dead. The slot is given back then, or
    /// as soon as the script turns out to be stuck.
    async fn supervise(
        self,
        target: Target,
        mut answer: oneshot::Sender<Result<Report, CheckError>>,
        slot: ScriptSlot,
    ) {
        let deadline = deadline_after(target.timeout);
        let late = Err(CheckError::Timeout { phase: Phase::Script });
        // An answer that nobody waits for any more (the run was cancelled) may be lost.
        let entered = tokio::select! {
            lane = timeout_at(deadline, Lane::enter(&self.running, target.address)) => lane,
            () = answer.closed() => return,
        };
        let lane = match entered {
            Ok(Some(lane)) => lane,
            Ok(None) => {
                let _ = answer.send(Err(stuck()));
                return;
            }
            Err(_) => {
                let _ = answer.send(late);
                return;
            }
        };
        let mut process = match Process::spawn(self.command(target.address), self.user) {
            Ok(process) => process,
            Err(error) => {
                let _ = answer.send(Err(spawn_error(&self.program, self.user, error)));
                return;
            }
        };
        let exited = tokio::select! {
            status = process.exit() => Some(status),
            () = sleep_until(deadline) => None,
            () = answer.closed() => None,
        };
        match exited {
            Some(Ok(status)) => {
                let output = process.excerpt().await;
                let _ = answer.send(self.judge(status, output));
            }
            Some(Err(error)) => {
                let _ = answer.send(Err(CheckError::from_io(Phase::Script, error)));
            }
            None => {
                let _ = answer.send(late);
                if !process.end().await {
                    lane.occupy(Occupant::Stuck);
                    drop(slot);
                    let _ = process.exit().await;
                }
            }
        }
    }

    fn command(&self, address: SocketAddr) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .env("BACKEND_ADDRESS", address.ip().to_string())
            .env("BACKEND_PORT", address.port().to_string());
        command
    }

    fn judge(&self, status: ExitStatus, output: Excerpt) -> Result<Report, CheckError> {
        // An exit code has eight bits.
        match (status.code().map(|code| code as u8), status.signal()) {
            (Some(0), _) => Ok(Report::ALIVE),
            (Some(code @ 2..), _) if self.dynamic_weight => {
                Ok(Report::weighing(Weight::new(u16::from(code) - 2)))
            }
            (Some(code), _) => Err(CheckError::ScriptExit { code, output }),
            (None, signal) => {
                Err(CheckError::ScriptKilled { signal: signal.unwrap_or_default(), output })
            }
        }
    }
}

/// The only run of a script at one address, until it is dropped.
struct Lane {
    running: Lanes,
    address: SocketAddr,
}

impl Lane {
    /// Waits until no other run is at `address`; `None` if that one is stuck.
    async fn enter(running: &Lanes, address: SocketAddr) -> Option<Self> {
        let mut changes = running.subscribe();
        loop {
            let mut occupant = None;
            running.send_if_modified(|lanes| {
                occupant = lanes.get(&address).copied();
                occupant.is_none() && lanes.insert(address, Occupant::Alive).is_none()
            });
            match occupant {
                None => return Some(Self { running: Arc::clone(running), address }),
                Some(Occupant::Stuck) => return None,
                Some(Occupant::Alive) => {}
            }
            let alive = |lanes: &HashMap<_, _>| lanes.get(&address) == Some(&Occupant::Alive);
            // The sender is borrowed here, so the wait cannot fail.
            let _ = changes.wait_for(|lanes| !alive(lanes)).await;
        }
    }

    fn occupy(&self, occupant: Occupant) {
        self.running.send_modify(|lanes| {
            lanes.insert(self.address, occupant);
        });
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.running.send_modify(|lanes| {
            lanes.remove(&self.address);
        });
    }
}

/// The last run cannot be ended.
fn stuck() -> CheckError {
    let source = Arc::new(io::ErrorKind::ResourceBusy.into());
    CheckError::Local { operation: "end the last run of the script", source }
}

/// The runtime is shutting down: there is no result.
fn interrupted() -> CheckError {
    let source = Arc::new(io::ErrorKind::Interrupted.into());
    CheckError::Local { operation: "wait for a script", source }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A process in uninterruptible sleep cannot be had in a test, so its lane alone.
    #[tokio::test(start_paused = true)]
    async fn a_lane_is_closed_while_its_run_is_stuck() {
        let (running, address) = (Lanes::default(), SocketAddr::from(([192, 0, 2, 1], 80)));
        let lane = Lane::enter(&running, address).await.unwrap();
        let waiting = tokio::spawn({
            let running = Arc::clone(&running);
            async move { Lane::enter(&running, address).await.is_some() }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished(), "it may still end");
        lane.occupy(Occupant::Stuck);
        assert!(!waiting.await.unwrap());
        assert!(Lane::enter(&running, address).await.is_none());
        drop(lane);
        assert!(Lane::enter(&running, address).await.is_some());
        assert!(running.borrow().is_empty());
    }
}
