//! A program that reads the pipe, as keepalived's `notify_fifo_script`.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tracing::warn;

use super::execution::{Ended, execute};
use crate::backoff::Backoff;
use crate::config::Command;

/// It should never end: if it does, it is started again in this time, and in twice that if it ends again
/// soon, up to …
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Nobody limits it.
const FOREVER: Duration = Duration::from_secs(u32::MAX as u64);
/// How long it has for what is still in the pipe, when that has been closed.
const PARTING: Duration = Duration::from_secs(2);

/// Runs it, again and again; killed with this.
#[derive(Debug)]
pub(super) struct Reader {
    command: Command,
    task: JoinHandle<()>,
    is_last: Arc<AtomicBool>,
}

impl Reader {
    /// Starts it; the path of the pipe is its last argument. Must be called within a runtime.
    pub(super) fn start(command: &Command, pipe: &Path) -> Self {
        let mut run = command.clone();
        run.arguments.push(pipe.display().to_string());
        let is_last = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(repeat(run, Arc::clone(&is_last)));
        Self { command: command.clone(), task, is_last }
    }

    /// What is run, but for the path.
    pub(super) const fn command(&self) -> &Command {
        &self.command
    }

    /// Resolves when it has ended, as it should now that nobody writes any more, or was killed.
    pub(super) async fn finish(mut self) {
        self.is_last.store(true, Ordering::Relaxed);
        if timeout(PARTING, &mut self.task).await.is_err() {
            warn!(
                script = self.command.program,
                "the reader of the pipe does not end: it is killed"
            );
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn repeat(command: Command, is_last: Arc<AtomicBool>) {
    let script = &command.program;
    let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
    loop {
        let begun = Instant::now();
        let ended = execute("notify_fifo", &command, Vec::new(), FOREVER).await;
        if is_last.load(Ordering::Relaxed) {
            return;
        }
        if begun.elapsed() > LONGEST_PAUSE {
            backoff.reset();
        }
        let pause = backoff.pause();
        match ended {
            Ok(status) => {
                let status = match status {
                    Ended::Said(status) => status.to_string(),
                    Ended::Late(_) => String::new(),
                };
                warn!(script, status, ?pause, "the reader of the pipe has ended");
            }
            Err(error) => warn!(script, %error, ?pause, "the reader of the pipe cannot be started"),
        }
        sleep(pause).await;
    }
}
