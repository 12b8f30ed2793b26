//! A process with its group: started, heard in part, and always seen to its end.

use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, getgid, getuid, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
#[cfg(feature = "worker")]
use tokio::process::ChildStdin;
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::time::timeout;

use crate::CheckError;
use crate::trace::Excerpt;

/// Between SIGTERM and SIGKILL, and then until the process counts as stuck, as in keepalived
/// (`check_misc.c`).
const TERMINATION: Duration = Duration::from_secs(2);
/// How long output may still be read once the process is gone: one of its children that has left
/// the group may hold the pipe open for ever.
const LAST_WORDS: Duration = Duration::from_millis(50);

/// Whom a program runs as, by number: a user and its group, and from root in no other group. To be somebody
/// else than this process is takes `CAP_SETUID` and `CAP_SETGID`, which root has; without being root, the
/// other groups of this process stay, as they do if nothing has to be changed.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Credentials {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

impl Credentials {
    /// Lets `command` run as these; nothing has to be changed if this process is that already.
    fn apply(self, command: &mut Command) {
        if (getuid().as_raw(), getgid().as_raw()) != (self.uid, self.gid) {
            // The other groups of this process are left as well (`CommandExt::uid`).
            command.uid(self.uid).gid(self.gid);
        }
    }
}

/// A running process, leader of a group of its own.
pub(super) struct Process {
    child: Child,
    group: Option<Pid>,
    output: Option<Kept<ChildStdout>>,
    errors: Option<Kept<ChildStderr>>,
}

impl Process {
    /// Starts `command`, without input, as whom it is to run.
    pub(super) fn spawn(command: Command, user: Option<Credentials>) -> io::Result<Self> {
        let mut process = Self::start(command, user, Stdio::null())?;
        process.output = process.child.stdout.take().map(Kept::new);
        Ok(process)
    }

    /// Starts `command`, to be talked to.
    #[cfg(feature = "worker")]
    pub(super) fn spawn_talking(
        command: Command,
        user: Option<Credentials>,
    ) -> io::Result<(Self, ChildStdin, ChildStdout)> {
        let mut process = Self::start(command, user, Stdio::piped())?;
        let (input, output) = (process.child.stdin.take(), process.child.stdout.take());
        match input.zip(output) {
            Some((input, output)) => Ok((process, input, output)),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn start(mut command: Command, user: Option<Credentials>, input: Stdio) -> io::Result<Self> {
        if let Some(user) = user {
            user.apply(&mut command);
        }
        let mut child = command
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let errors = child.stderr.take().map(Kept::new);
        Ok(Self { child, group, output: None, errors })
    }

    /// Waits until the process exits, reading all it says; then kills what it left in its group.
    ///
    /// Cancel safe: what was read is kept.
    pub(super) async fn exit(&mut self) -> io::Result<ExitStatus> {
        let status = tokio::select! {
            status = self.child.wait() => status?,
            never = drain_for_ever(&mut self.output, &mut self.errors) => match never {},
        };
        // The group's number cannot be in use again yet: either the group still has a process, or
        // all the other numbers would have had to be used up since the process was reaped.
        self.signal(Signal::KILL);
        Ok(status)
    }

    /// How the output of the process, which has exited, begins.
    pub(super) async fn excerpt(&mut self) -> Excerpt {
        let rest = drain(&mut self.output, &mut self.errors);
        // What is not there by now is not worth waiting for.
        let _ = timeout(LAST_WORDS, rest).await;
        let kept = |kept: Option<&[u8]>| Excerpt::new(kept.unwrap_or_default());
        let errors = kept(self.errors.as_ref().map(|errors| errors.bytes.as_slice()));
        if errors.as_str().is_empty() {
            kept(self.output.as_ref().map(|output| output.bytes.as_slice()))
        } else {
            errors
        }
    }

    /// Ends the process: SIGTERM to the group, SIGKILL when that has not helped in 2 s. Answers
    /// whether it is gone after 2 s more; one in uninterruptible sleep is not, and may never be.
    pub(super) async fn end(&mut self) -> bool {
        self.signal(Signal::TERM);
        // To wait fails only if somebody else has reaped the process, which is as well.
        if timeout(TERMINATION, self.exit()).await.is_ok() {
            return true;
        }
        self.kill();
        timeout(TERMINATION, self.exit()).await.is_ok()
    }

    /// Kills the group, and the process even if it has moved to another group.
    fn kill(&mut self) {
        self.signal(Signal::KILL);
        // It fails only when the process is gone.
        let _ = self.child.start_kill();
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            // It fails only when nobody is left to receive it.
            let _ = kill_process_group(group, signal);
        }
    }
}

/// Why `program` cannot be started as `user`.
pub(super) fn spawn_error(
    program: &Path,
    user: Option<Credentials>,
    error: io::Error,
) -> CheckError {
    use io::ErrorKind as Kind;
    let source = Arc::new(error);
    let is = |errno: Errno| source.raw_os_error() == Some(errno.raw_os_error());
    match source.kind() {
        // Who may not execute it is told EACCES.
        _ if user.is_some() && is(Errno::PERM) => {
            CheckError::Local { operation: "become the user of the script", source }
        }
        Kind::IsADirectory | Kind::NotADirectory | Kind::NotFound | Kind::PermissionDenied => {
            CheckError::ScriptNotFound { program: program.to_owned(), source }
        }
        // ENOEXEC, which has no kind of its own: not a program and no `#!` line.
        _ if is(Errno::NOEXEC) => {
            CheckError::ScriptNotFound { program: program.to_owned(), source }
        }
        _ => CheckError::Local { operation: "start a script", source },
    }
}

impl Drop for Process {
    /// The runtime shuts down before the process has exited: nothing can wait any more, but tokio
    /// reaps it when it next may.
    fn drop(&mut self) {
        if self.child.id().is_some() {
            self.kill();
        }
    }
}

/// A pipe of which the beginning is kept and the rest thrown away, so that its writer never blocks.
struct Kept<R> {
    reader: R,
    bytes: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Kept<R> {
    fn new(reader: R) -> Self {
        Self { reader, bytes: Vec::new() }
    }

    async fn drain(&mut self) {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = self.reader.read(&mut buffer).await {
            let wanted = count.min(Excerpt::LIMIT - self.bytes.len());
            self.bytes.extend_from_slice(&buffer[..wanted]);
        }
    }
}

async fn drain(output: &mut Option<Kept<ChildStdout>>, errors: &mut Option<Kept<ChildStderr>>) {
    let output = async {
        if let Some(output) = output {
            output.drain().await;
        }
    };
    let errors = async {
        if let Some(errors) = errors {
            errors.drain().await;
        }
    };
    tokio::join!(output, errors);
}

async fn drain_for_ever(
    output: &mut Option<Kept<ChildStdout>>,
    errors: &mut Option<Kept<ChildStderr>>,
) -> std::convert::Infallible {
    drain(output, errors).await;
    std::future::pending().await
}
