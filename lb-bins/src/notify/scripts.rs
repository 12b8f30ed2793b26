//! Scripts for events: in order, one at a time per queue, never holding up anything.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, getgid, getuid, kill_process_group};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command as Process};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::{info, warn};

use crate::config::Command;
use crate::privileges::Identity;
use crate::process::aside;
use crate::said::Said;
use crate::telemetry;

/// A script that takes longer than this is killed: the next one must not wait forever.
const LONGEST_RUN: Duration = Duration::from_secs(60);
/// How long a killed one is waited for.
const DEATH: Duration = Duration::from_secs(2);
/// What it says in one line; more is another one.
const LONGEST_LINE: u64 = 4096;
/// So many lines of a program are logged in a minute, over all its runs: some run every second.
const MOST_LINES: u32 = 100;
/// Events beyond this many wait nowhere: the scripts are hopelessly behind.
const QUEUE: usize = 1024;

/// A queue of scripts, such as those of one virtual server.
#[derive(Debug)]
pub struct Scripts {
    queue: mpsc::Sender<Job>,
    worker: JoinHandle<()>,
}

/// One run of a script.
#[derive(Debug)]
pub struct Job {
    /// What to run.
    pub command: Command,
    /// Variables that tell the script what happened, beside what this process has.
    pub variables: Vec<(&'static str, String)>,
    /// Held until it has run, for whoever asks whether it has.
    pub held: Option<Arc<()>>,
}

impl Scripts {
    /// Starts the queue; it works off what it has and ends when this is dropped. Must be called
    /// within a runtime.
    pub fn start() -> Self {
        let (queue, mut jobs) = mpsc::channel::<Job>(QUEUE);
        let worker = tokio::spawn(async move {
            while let Some(job) = jobs.recv().await {
                run(job).await;
            }
        });
        Self { queue, worker }
    }

    /// Runs a script after all that were asked for before.
    pub fn run(&self, job: Job) {
        if let Err(refused) = self.queue.try_send(job) {
            let job = refused.into_inner();
            warn!(script = job.command.program, "dropped: {QUEUE} scripts are waiting already");
        }
    }

    /// Resolves when every script that was asked for has ended.
    pub async fn finish(self) {
        drop(self.queue);
        // A panic in there was reported when it happened.
        let _ = self.worker.await;
    }
}

async fn run(Job { command, variables, held: _held }: Job) {
    let script = &command.program;
    match execute(&command, variables, LONGEST_RUN).await {
        Ok(Some(status)) if status.success() => info!(script, "script ran"),
        Ok(Some(status)) => warn!(script, %status, "script failed"),
        Ok(None) => warn!(script, "script killed after {} s", LONGEST_RUN.as_secs()),
        Err(error) => warn!(script, %error, "script cannot be started"),
    }
}

/// Runs a command to its end; `None` if that did not come in time, so that it was killed with all
/// that it had started. It is killed as well when nobody waits any more.
///
/// # Errors
/// It cannot be started, or not be waited for.
pub(crate) async fn execute(
    command: &Command,
    variables: Vec<(&'static str, String)>,
    limit: Duration,
) -> io::Result<Option<ExitStatus>> {
    let mut process = Process::new(&command.program);
    process.args(&command.arguments).envs(variables).stdin(Stdio::null()).process_group(0);
    // In a log of JSON every line is an object; else what it says on standard error may stand as it is.
    if telemetry::is_json() {
        process.stderr(Stdio::piped());
    }
    // If nobody waits any more before it is known who it is.
    process.kill_on_drop(true);
    // A script has what the thread has that starts it; nor should anything wait for the fork.
    let user = command.user.clone();
    let spawned = aside(move || {
        if let Some(account) = user {
            let Identity { uid, gid, .. } = Identity::of(&account).map_err(io::Error::other)?;
            // Whom it is already cannot be changed to, and need not.
            if (getuid().as_raw(), getgid().as_raw()) != (uid, gid) {
                // The groups of root are left as well (`CommandExt::uid`).
                process.uid(uid).gid(gid);
            }
        }
        process.spawn()
    });
    let mut child = spawned.await??;
    let mut group = Group::of(&child);
    if let Some(errors) = child.stderr.take() {
        // Until the last one has ended that it has started.
        tokio::spawn(log_errors(command.program.clone(), errors));
    }
    match timeout(limit, child.wait()).await {
        Ok(ended) => {
            // What it left running on purpose may run on.
            group.0 = None;
            ended.map(Some)
        }
        Err(_) => {
            drop(group);
            // One that cannot be killed, in an uninterruptible sleep, is reaped by the runtime when
            // it may; nobody waits for it.
            let _ = timeout(DEATH, child.wait()).await;
            Ok(None)
        }
    }
}

/// Logs what a script says on standard error, line by line. It is read to its end, however much it is: a
/// full pipe would stop the script.
async fn log_errors(script: String, errors: impl AsyncRead + Unpin) {
    /// Whoever runs a program: it has one log.
    static SAID: LazyLock<Mutex<Said>> = LazyLock::new(|| Mutex::new(Said::at_most(MOST_LINES)));
    // Nothing panics while it has it.
    let said = || SAID.lock().unwrap_or_else(PoisonError::into_inner);
    let (mut errors, mut line) = (BufReader::new(errors), Vec::new());
    let tell = |lost: u64| {
        if lost > 0 {
            warn!(script, lost, "the script says too much: lines of it are in no log");
        }
    };
    loop {
        line.clear();
        let read = (&mut errors).take(LONGEST_LINE).read_until(b'\n', &mut line).await;
        if matches!(read, Ok(0) | Err(_)) {
            let lost = said().end(&script);
            return tell(lost);
        }
        let (is_logged, lost) = said().hear(&script, Instant::now());
        tell(lost);
        if is_logged {
            let stderr = String::from_utf8_lossy(&line);
            info!(script, stderr = stderr.trim_end(), "the script says");
        }
    }
}

/// A script and all that it has started: killed with this, when its time or the daemon's is over.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Perhaps there is nobody left.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}
