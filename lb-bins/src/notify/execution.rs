//! One run of a command, to its end: what it says is logged, and a run that takes too long is ended with
//! all that it has started.

use std::pin::Pin;
use std::process::{ExitStatus, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{fmt, io};

use rustix::process::{Pid, Signal, getgid, getuid, kill_process_group, test_kill_process_group};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command as Process};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use crate::config::Command;
use crate::privileges::Identity;
use crate::process::aside;
use crate::said::Said;

/// Between SIGTERM and SIGKILL, as in keepalived (`child_killed_thread`): a script may tidy up.
const GRACE: Duration = Duration::from_secs(2);
/// How long a killed one is waited for.
const DEATH: Duration = Duration::from_secs(2);
/// How often it is looked whether all that a script has started is gone.
const LOOK: Duration = Duration::from_millis(20);
/// What it says in one line; more is another one.
const LONGEST_LINE: u64 = 4096;
/// So many lines of a program are logged in a minute, over all its runs: some run every second.
const MOST_LINES: u32 = 100;

/// How a run came to its end.
#[derive(Debug)]
pub(crate) enum Ended {
    /// By itself.
    Said(ExitStatus),
    /// Its time is over.
    Late(Dying),
}

/// A run whose time is over: it was told to end, and is killed with this.
#[derive(Debug)]
pub(crate) struct Dying(Run);

impl Dying {
    /// Resolves when it has ended with all that it had started, by itself or killed after 2 s, or when it has
    /// not ended for all that. Whether it is gone: nothing can be done of one in an uninterruptible sleep, as
    /// on a file system that hangs, but to wait for it.
    pub(crate) async fn end(&mut self) -> bool {
        if timeout(GRACE, self.0.gone()).await.is_ok() {
            return true;
        }
        self.0.signal(Signal::KILL);
        timeout(DEATH, self.0.gone()).await.is_ok()
    }
}

/// Resolves when a program is running: that takes as long as its file system does.
type Start = Pin<Box<dyn Future<Output = io::Result<Started>> + Send>>;

/// A program that was told to run.
enum Run {
    Starting(Start),
    Started(Started),
    /// It could not be started.
    Nothing,
}

#[derive(Debug)]
struct Started {
    child: Child,
    group: Group,
}

impl Run {
    /// It, as soon as it runs.
    async fn started(&mut self) -> io::Result<&mut Started> {
        if let Self::Starting(start) = self {
            let started = start.await;
            *self = Self::Nothing;
            *self = Self::Started(started?);
        }
        match self {
            Self::Started(started) => Ok(started),
            Self::Starting(_) | Self::Nothing => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn signal(&self, signal: Signal) {
        if let Self::Started(started) = self {
            started.group.signal(signal);
        }
    }

    /// Resolves when nothing is left of it.
    async fn gone(&mut self) {
        let was_started = matches!(self, Self::Started(_));
        // What could not be started is gone.
        let Ok(started) = self.started().await else { return };
        if !was_started {
            started.group.signal(Signal::TERM);
        }
        // To wait fails only if somebody else has reaped it, which is as well.
        let _ = started.child.wait().await;
        while started.group.is_there() {
            sleep(LOOK).await;
        }
        started.group.0 = None;
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting(_) => formatter.write_str("Starting"),
            Self::Started(started) => started.fmt(formatter),
            Self::Nothing => formatter.write_str("Nothing"),
        }
    }
}

/// Runs a command until it ends, or its time is over. What it says on standard error is logged as that of
/// `whose` script it is. It is killed when nobody waits any more.
///
/// # Errors
/// It cannot be started, or not be waited for.
pub(crate) async fn execute(
    whose: &str,
    command: &Command,
    variables: Vec<(&'static str, String)>,
    limit: Duration,
) -> io::Result<Ended> {
    let mut run = Run::Starting(Box::pin(start(command, variables)));
    let said = async {
        let Started { child, group } = run.started().await?;
        if let Some(errors) = child.stderr.take() {
            // Until the last one has ended that it has started.
            tokio::spawn(log_errors(whose.to_owned(), command.program.clone(), errors));
        }
        let ended = child.wait().await;
        // What it left running on purpose may run on.
        group.0 = None;
        ended.map(Ended::Said)
    };
    match timeout(limit, said).await {
        Ok(ended) => ended,
        Err(_) => {
            run.signal(Signal::TERM);
            Ok(Ended::Late(Dying(run)))
        }
    }
}

/// Has it started.
fn start(
    command: &Command,
    variables: Vec<(&'static str, String)>,
) -> impl Future<Output = io::Result<Started>> + Send + use<> {
    let mut process = Process::new(&command.program);
    process.args(&command.arguments).envs(variables).stdin(Stdio::null()).process_group(0);
    process.stderr(Stdio::piped());
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
        let child = process.spawn()?;
        let group = Group::of(&child);
        Ok(Started { child, group })
    });
    async move { spawned.await? }
}

/// Logs what a script says on standard error, line by line. It is read to its end, however much it is: a
/// full pipe would stop the script.
async fn log_errors(whose: String, script: String, errors: impl AsyncRead + Unpin) {
    /// Whoever runs a program: it has one log.
    static SAID: LazyLock<Mutex<Said>> = LazyLock::new(|| Mutex::new(Said::at_most(MOST_LINES)));
    // Nothing panics while it has it.
    let said = || SAID.lock().unwrap_or_else(PoisonError::into_inner);
    let (mut errors, mut line) = (BufReader::new(errors), Vec::new());
    let program = format!("{whose}: {script}");
    let tell = |lost: u64| {
        if lost > 0 {
            warn!(
                whose,
                script,
                lost,
                "the script repeats itself, or says too much: lines of it are in no log"
            );
        }
    };
    loop {
        line.clear();
        let read = (&mut errors).take(LONGEST_LINE).read_until(b'\n', &mut line).await;
        if matches!(read, Ok(0) | Err(_)) {
            let lost = said().end(&program);
            return tell(lost);
        }
        let (is_logged, lost) = said().hear_line(&program, &line, Instant::now());
        tell(lost);
        if is_logged {
            let stderr = String::from_utf8_lossy(&line);
            info!(whose, script, stderr = stderr.trim_end(), "the script says");
        }
    }
}

/// A script and all that it has started: killed with this, when the daemon's time is over, or when it has not
/// ended though it was told to.
#[derive(Debug)]
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)))
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.0 {
            // Perhaps there is nobody left.
            let _ = kill_process_group(group, signal);
        }
    }

    fn is_there(&self) -> bool {
        self.0.is_some_and(|group| test_kill_process_group(group).is_ok())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// Runs a script that is late, and says what it has written, and how long it took to end.
    async fn late(name: &str, script: &str) -> (String, Duration) {
        let path: PathBuf =
            std::env::temp_dir().join(format!("lb-late-{name}-{}", std::process::id()));
        let script = format!("exec >{}; {script}", path.display());
        let command = Command::new("/bin/sh", vec!["-c".to_owned(), script]);
        let limit = Duration::from_millis(300);
        let ended = execute("test", &command, Vec::new(), limit).await.unwrap();
        let Ended::Late(mut dying) = ended else { panic!("{ended:?}") };
        let begun = Instant::now();
        assert!(dying.end().await);
        let took = begun.elapsed();
        let written = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        (written, took)
    }

    #[tokio::test]
    async fn who_is_late_may_tidy_up() {
        let tidy = "trap 'sleep 0.2; echo tidy; exit' TERM; sleep 60 & wait";
        let (written, took) = late("tidy", tidy).await;
        assert_eq!(written, "tidy\n");
        assert!(took < Duration::from_millis(1500), "{took:?}: it is not waited for longer");
        // Also one that the script has started, and that outlives it.
        let child = "(trap 'sleep 0.2; echo child; exit' TERM; sleep 60 & wait) & wait";
        assert_eq!(late("child", child).await.0, "child\n");
    }

    #[tokio::test]
    async fn who_does_not_want_to_end_is_killed() {
        let (written, took) = late("stubborn", "trap '' TERM; while :; do sleep 1; done").await;
        assert_eq!(written, "");
        assert!(took >= GRACE && took < GRACE + DEATH, "{took:?}");
    }

    #[tokio::test]
    async fn who_does_not_even_start_is_waited_for_and_ended_then() {
        let (run, start) = tokio::sync::oneshot::channel();
        let start = async { start.await.map_err(io::Error::other)? };
        let mut dying = Dying(Run::Starting(Box::pin(start)));
        assert!(!dying.end().await, "its file system hangs");
        let mut child = Process::new("/bin/sh");
        child.args(["-c", "trap 'echo told; exit' TERM; echo ready; sleep 60 & wait"]);
        let mut child = child.stdout(Stdio::piped()).process_group(0).spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).await.unwrap();
        let group = Group::of(&child);
        run.send(Ok(Started { child, group })).unwrap();
        assert!(dying.end().await);
        said.read_line(&mut line).await.unwrap();
        assert_eq!(line, "ready\ntold\n");
    }
}
