//! Scripts for events: in order, one at a time per queue unless one takes very long, never holding up anything.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;
use tracing::{info, warn};

use super::backlog::{Backlog, Entry};
use super::execution::{Ended, execute};
use crate::config::Command;

/// One that may take longer than this is waited for no longer by the next one: what it is told must not be told
/// hours later, as by keepalived, which starts each at once.
const PATIENCE: Duration = Duration::from_secs(60);
/// One that begins when the next ones have waited for as long already is waited for no longer than this: most
/// have ended by then, and stay in order.
const LEAST: Duration = Duration::from_secs(1);
/// Nobody limits it.
const FOREVER: Duration = Duration::from_secs(u32::MAX as u64);
/// Events beyond this many wait nowhere: the scripts are hopelessly behind.
const QUEUE: usize = 1024;

/// A queue of scripts, such as those of one virtual server.
#[derive(Debug)]
pub struct Scripts {
    queue: mpsc::Sender<Asked>,
    worker: JoinHandle<()>,
    backlog: Backlog,
}

/// A job that waits for its turn.
#[derive(Debug)]
struct Asked {
    at: Instant,
    job: Job,
    entry: Entry,
}

/// One run of a script.
#[derive(Debug)]
pub struct Job {
    /// Whom it is about, for the log.
    pub whose: String,
    /// What it is told, for the log.
    pub told: String,
    /// What to run.
    pub command: Command,
    /// Variables that tell the script what happened, beside what this process has.
    pub variables: Vec<(&'static str, String)>,
    /// After how long it is ended; `None`: never.
    pub limit: Option<Duration>,
    /// Held until it has run, for whoever asks whether it has.
    pub held: Option<Arc<()>>,
}

impl Scripts {
    /// Starts the queue; it works off what it has and ends when this is dropped. Must be called
    /// within a runtime.
    pub fn start() -> Self {
        Self::with_patience(PATIENCE)
    }

    fn with_patience(patience: Duration) -> Self {
        let (queue, mut jobs) = mpsc::channel::<Asked>(QUEUE);
        let worker = tokio::spawn(async move {
            // Those that nobody waits for but the end.
            let mut beside = JoinSet::new();
            while let Some(Asked { at, job, entry }) = jobs.recv().await {
                let script = job.command.program.clone();
                let longest = longest(at, Instant::now(), job.limit, patience);
                let mut run = Box::pin(async move {
                    entry.begin();
                    run(job).await;
                });
                match longest {
                    None => run.await,
                    Some(longest) => {
                        if timeout(longest, &mut run).await.is_err() {
                            info!(
                                script,
                                "the script runs on, and the next one does not wait for it"
                            );
                            beside.spawn(run);
                        }
                    }
                }
                while beside.try_join_next().is_some() {}
            }
            while beside.join_next().await.is_some() {}
        });
        Self { queue, worker, backlog: Backlog::default() }
    }

    /// Runs a script after all that were asked for before, or beside those that have not ended within a minute
    /// from when they were asked for, and a second from when they began.
    pub fn run(&self, job: Job) {
        let entry = self.backlog.add(job.command.program.clone(), job.told.clone());
        if let Err(refused) = self.queue.try_send(Asked { at: Instant::now(), job, entry }) {
            let Asked { job, .. } = refused.into_inner();
            warn!(script = job.command.program, "dropped: {QUEUE} scripts are waiting already");
        }
    }

    /// What has not ended, now and later.
    pub fn backlog(&self) -> Backlog {
        self.backlog.clone()
    }

    /// Resolves when every script that was asked for has ended.
    pub async fn finish(self) {
        drop(self.queue);
        // A panic in there was reported when it happened.
        let _ = self.worker.await;
    }
}

/// For how long the next ones wait for a job that was `asked` for then and begins `now`; `None`: until it has
/// ended, as it is about to be by then.
///
/// Whoever comes next was asked for later: that nobody waits for longer than from when the one before was asked
/// for keeps all waits within `patience`, however many in a row are slow.
fn longest(
    asked: Instant,
    now: Instant,
    limit: Option<Duration>,
    patience: Duration,
) -> Option<Duration> {
    let left =
        patience.saturating_sub(now.saturating_duration_since(asked)).max(LEAST.min(patience));
    // It took a moment from the one to the other.
    let ends_in_time = limit.is_some_and(|limit| limit <= (left + LEAST).min(patience));
    (!ends_in_time).then_some(left)
}

async fn run(Job { whose, told: _, command, variables, limit, held: _held }: Job) {
    let script = &command.program;
    // By them those differ that one change has, if it is one program.
    let arguments = command.arguments.join(" ");
    match execute(&whose, &command, variables, limit.unwrap_or(FOREVER)).await {
        Ok(Ended::Said(status)) if status.success() => {
            info!(script, arguments, "script ran");
        }
        Ok(Ended::Said(status)) => warn!(script, arguments, %status, "script failed"),
        Ok(Ended::Late(mut dying)) => {
            warn!(script, arguments, ?limit, "script ended: it took too long");
            if !dying.end().await {
                warn!(script, "the script cannot be ended: it waits for this host");
            }
        }
        Err(error) => warn!(script, arguments, %error, "script cannot be started"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("lb-{name}-{}", std::process::id()));
            std::fs::create_dir(&folder).unwrap();
            Self(folder)
        }

        fn job(&self, line: &str, limit: Option<Duration>) -> Job {
            let line = format!("cd {}; {line}", self.0.display());
            let command = Command::new("/bin/sh", vec!["-c".to_owned(), line]);
            let [whose, told] = ["test", "it"].map(str::to_owned);
            Job { whose, told, command, variables: Vec::new(), limit, held: None }
        }

        fn told(&self) -> String {
            std::fs::read_to_string(self.0.join("told")).unwrap_or_default()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    /// A database that is promoted must not be left half promoted, nor may what comes after wait for ever.
    #[tokio::test]
    async fn who_may_take_as_long_as_it_likes_holds_up_nobody_and_is_not_ended() {
        let folder = Folder::new("patience");
        for limit in [None, Some(Duration::from_secs(600))] {
            let _ = std::fs::remove_file(folder.0.join("go"));
            let _ = std::fs::remove_file(folder.0.join("told"));
            let scripts = Scripts::with_patience(Duration::from_millis(100));
            // The first one ends when the second one has run.
            let slow = "until [ -e go ]; do sleep 0.02; done; echo first >> told";
            scripts.run(folder.job(slow, limit));
            scripts.run(folder.job("echo second >> told; : > go", limit));
            scripts.run(folder.job("echo third >> told", limit));
            scripts.finish().await;
            let told = folder.told();
            let mut lines: Vec<_> = told.lines().collect();
            assert_eq!(lines[0], "second", "{limit:?}");
            lines.sort_unstable();
            assert_eq!(lines, ["first", "second", "third"], "{limit:?}");
        }
    }

    #[test]
    fn nobody_waits_for_longer_than_a_minute_however_many_are_slow() {
        let asked = Instant::now();
        let at = |begins: u64, limit: Option<u64>| {
            let now = asked + Duration::from_secs(begins);
            longest(asked, now, limit.map(Duration::from_secs), PATIENCE)
        };
        let seconds = |count| Some(Duration::from_secs(count));
        for limit in [None, Some(3600)] {
            assert_eq!(at(0, limit), seconds(60));
            assert_eq!(at(20, limit), seconds(40));
            // The one before it took all of the minute, and so did the next ones wait.
            assert_eq!(at(60, limit), Some(LEAST));
            assert_eq!(at(600, limit), Some(LEAST));
        }
        assert_eq!(at(0, Some(60)), None, "it is ended by then");
        assert_eq!(at(20, Some(40)), None);
        assert_eq!(at(60, Some(60)), Some(LEAST));
        assert_eq!(at(60, Some(1)), None);
    }

    #[tokio::test]
    async fn who_takes_too_long_is_ended_before_the_next_one_begins() {
        let folder = Folder::new("limit");
        let scripts = Scripts::with_patience(Duration::from_secs(60));
        let limit = Some(Duration::from_millis(100));
        let slow = "trap 'echo ended >> told; exit' TERM; sleep 99 & wait";
        scripts.run(folder.job(slow, limit));
        scripts.run(folder.job("echo second >> told", limit));
        scripts.finish().await;
        assert_eq!(folder.told(), "ended\nsecond\n");
    }

    #[tokio::test]
    async fn what_has_not_ended_is_known() {
        let folder = Folder::new("backlog");
        let scripts = Scripts::with_patience(Duration::from_secs(60));
        let backlog = scripts.backlog();
        let named =
            |line: &str, told: &str| Job { told: told.to_owned(), ..folder.job(line, None) };
        scripts.run(named("echo > begun; until [ -e go ]; do sleep 0.02; done", "first"));
        scripts.run(named("true", "second"));
        while !folder.0.join("begun").exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let undone = || backlog.undone().into_iter().map(|one| (one.told, one.is_running));
        let both = [("first".to_owned(), true), ("second".to_owned(), false)];
        assert_eq!(undone().collect::<Vec<_>>(), both);
        std::fs::write(folder.0.join("go"), "").unwrap();
        scripts.finish().await;
        assert_eq!(backlog.undone(), []);
    }
}
