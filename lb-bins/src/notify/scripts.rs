//! Scripts for events: in order, one at a time per queue, never holding up anything.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use super::execution::{Ended, execute};
use crate::config::Command;

/// A script that takes longer than this is ended: the next one must not wait forever.
const LONGEST_RUN: Duration = Duration::from_secs(60);
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
    /// Whom it is about, for the log.
    pub whose: String,
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

async fn run(Job { whose, command, variables, held: _held }: Job) {
    let script = &command.program;
    match execute(&whose, &command, variables, LONGEST_RUN).await {
        Ok(Ended::Said(status)) if status.success() => info!(script, "script ran"),
        Ok(Ended::Said(status)) => warn!(script, %status, "script failed"),
        Ok(Ended::Late(mut dying)) => {
            warn!(script, "script ended after {} s", LONGEST_RUN.as_secs());
            if !dying.end().await {
                warn!(script, "the script cannot be ended: it waits for this host");
            }
        }
        Err(error) => warn!(script, %error, "script cannot be started"),
    }
}
