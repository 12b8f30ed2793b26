//! The program `nft`, and a thread that waits for it: it may take its time, but not ours.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::{self, Read, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Waker};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::driver::Operation;

/// How long it may take. One that takes longer is ended, and nobody knows what it has done.
const LIMIT: Duration = Duration::from_secs(5);
/// What the names of our tables begin with.
pub(super) const TABLE: &str = "lb_vrrp";

/// What is to be done.
#[derive(Debug, PartialEq)]
pub(super) enum Job {
    /// To run this script, which is done as a whole or not at all.
    Replace(String),
    /// To remove every table that somebody left who is gone.
    Sweep,
}

impl Job {
    const fn operation(&self) -> Operation {
        match self {
            Self::Replace(_) => Operation::Refuse,
            Self::Sweep => Operation::Sweep,
        }
    }

    fn run(&self) -> Result<(), Failed> {
        match self {
            Self::Replace(script) => replace(script),
            Self::Sweep => sweep(),
        }
    }
}

/// Why something was not done.
#[derive(Debug)]
pub(super) enum Failed {
    /// It was not begun, or taken back.
    Undone(io::Error),
    /// Nobody knows whether it was done.
    Unknown(io::Error),
}

/// What was tried, and what came of it.
pub(super) type Answer = (Operation, Result<(), Failed>);

/// A thread that does one job after the other.
#[derive(Debug)]
pub(super) struct Worker {
    jobs: Sender<Job>,
    answers: Receiver<Answer>,
    /// What it has not answered yet.
    pending: VecDeque<Operation>,
    /// Who is to be woken by its answers.
    waker: Arc<Mutex<Option<Waker>>>,
    thread: JoinHandle<()>,
}

impl Worker {
    /// One that runs `nft`, in the network namespace of the thread that calls this.
    pub(super) fn start() -> io::Result<Self> {
        Self::doing(|job| job.run())
    }

    pub(super) fn doing(
        mut work: impl FnMut(Job) -> Result<(), Failed> + Send + 'static,
    ) -> io::Result<Self> {
        let (jobs, inbox) = mpsc::channel::<Job>();
        let (outbox, answers) = mpsc::channel();
        let waker = Arc::<Mutex<Option<Waker>>>::default();
        let shared = Arc::clone(&waker);
        let run = move || {
            while let Ok(job) = inbox.recv() {
                let operation = job.operation();
                if outbox.send((operation, work(job))).is_err() {
                    return;
                }
                let waker = shared.lock().unwrap_or_else(PoisonError::into_inner).take();
                waker.into_iter().for_each(Waker::wake);
            }
        };
        let thread = thread::Builder::new().name("nft".to_owned()).spawn(run)?;
        Ok(Self { jobs, answers, pending: VecDeque::new(), waker, thread })
    }

    /// Has it done. That the thread is gone is found when it should have answered.
    pub(super) fn ask(&mut self, job: Job) {
        self.pending.push_back(job.operation());
        let _ = self.jobs.send(job);
    }

    /// Whether nothing that it is asked for will be done.
    pub(super) fn is_gone(&self) -> bool {
        self.thread.is_finished()
    }

    /// Whether it has not answered everything.
    pub(super) fn is_busy(&self) -> bool {
        !self.pending.is_empty()
    }

    /// What it has answered.
    pub(super) fn answer(&mut self) -> Option<Answer> {
        let operation = *self.pending.front()?;
        let answer = match self.answers.try_recv() {
            Ok(answer) => answer,
            Err(TryRecvError::Empty) => return None,
            Err(TryRecvError::Disconnected) => gone(operation),
        };
        self.pending.pop_front();
        Some(answer)
    }

    /// The same, waited for; it takes no longer than the program may, for each that is pending.
    pub(super) fn wait(&mut self) -> Option<Answer> {
        let operation = self.pending.pop_front()?;
        Some(match self.answers.recv_timeout(LIMIT * 2) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Disconnected | RecvTimeoutError::Timeout) => gone(operation),
        })
    }

    /// Wakes this one by the next answer.
    pub(super) fn wakes(&self, context: &Context<'_>) {
        let mut waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        if !waker.as_ref().is_some_and(|known| known.will_wake(context.waker())) {
            *waker = Some(context.waker().clone());
        }
    }
}

fn gone(operation: Operation) -> Answer {
    (operation, Err(Failed::Unknown(io::ErrorKind::BrokenPipe.into())))
}

fn replace(script: &str) -> Result<(), Failed> {
    converse(["-f", "-"], script, Listen::Errors).map(|_| ())
}

/// Where there is no `nft`, nobody has left a table.
fn sweep() -> Result<(), Failed> {
    let tables = match converse(["list", "tables"], "", Listen::Output) {
        // Without the kernel's part there are none either.
        Err(Failed::Undone(_)) => return Ok(()),
        tables => tables?,
    };
    let ours = format!("table inet {TABLE}");
    let mut script = String::new();
    for line in tables.lines().filter(|line| line.starts_with(&ours)) {
        let _ = writeln!(script, "delete {line}");
    }
    if script.is_empty() { Ok(()) } else { replace(&script) }
}

/// Which of the two things that it says is listened to.
#[derive(Clone, Copy)]
enum Listen {
    Errors,
    Output,
}

fn converse(arguments: [&str; 2], input: &str, listen: Listen) -> Result<String, Failed> {
    let spawn = |program: &str| {
        let mut nft = Command::new(program);
        nft.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        match listen {
            Listen::Errors => nft.stderr(Stdio::piped()),
            Listen::Output => nft.stdout(Stdio::piped()),
        };
        nft.spawn()
    };
    // It may not be where everybody looks.
    let child = spawn("nft").or_else(|_| spawn("/usr/sbin/nft")).map_err(|error| {
        let text = format!("cannot run nft (Debian: nftables): {error}");
        Failed::Undone(io::Error::new(error.kind(), text))
    })?;
    finish(child, input.to_owned(), LIMIT)
}

/// Tells a program something, and says what it said; if it fails, that is the error.
fn finish(mut child: Child, input: String, limit: Duration) -> Result<String, Failed> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (outbox, said) = mpsc::channel();
    let talk = move || {
        // Whoever does not listen to the end has something to say.
        let _ = stdin.map(|mut stdin| stdin.write_all(input.as_bytes()));
        let mut octets = Vec::new();
        let read = match (stdout, stderr) {
            (Some(mut stdout), _) => stdout.read_to_end(&mut octets),
            (None, Some(mut stderr)) => stderr.read_to_end(&mut octets),
            (None, None) => Ok(0),
        };
        let _ = outbox.send(read.map(|_| String::from_utf8_lossy(&octets).into_owned()));
    };
    let said = match thread::Builder::new().name("nft".to_owned()).spawn(talk) {
        Ok(_) => said.recv_timeout(limit),
        Err(_no_thread) => Err(RecvTimeoutError::Disconnected),
    };
    let Ok(said) = said else {
        // Whoever waits for it is told by its end.
        let _ = child.kill();
        let _ = child.wait();
        let text = format!("nft: no answer for {} ms: ended", limit.as_millis());
        return Err(Failed::Unknown(io::Error::new(io::ErrorKind::TimedOut, text)));
    };
    let status = child.wait().map_err(Failed::Unknown)?;
    let said = said.map_err(Failed::Unknown)?;
    if status.success() {
        return Ok(said);
    }
    let first = said.lines().next().unwrap_or("it failed without a word");
    Err(Failed::Undone(io::Error::other(format!("nft: {first}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Result<String, Failed> {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdin(Stdio::piped()).stderr(Stdio::piped());
        finish(command.spawn().unwrap(), "line\n".to_owned(), Duration::from_millis(200))
    }

    #[test]
    fn a_program_that_does_not_end_is_ended_and_nobody_knows_what_it_did() {
        let Err(Failed::Unknown(error)) = shell("exec sleep 60") else { panic!("it hangs") };
        assert_eq!(error.to_string(), "nft: no answer for 200 ms: ended");
    }

    #[test]
    fn a_program_that_fails_has_done_nothing_and_says_why() {
        let Err(Failed::Undone(error)) = shell("read it; echo \"no $it\" >&2; exit 1") else {
            panic!("it fails")
        };
        assert_eq!(error.to_string(), "nft: no line");
        assert_eq!(shell("cat >&2").unwrap(), "line\n");
    }

    #[test]
    fn who_dies_has_answered() {
        let (outbox, inbox) = mpsc::channel::<()>();
        let mut worker = Worker::doing(move |_| {
            let _ = &outbox;
            std::panic::resume_unwind(Box::new(()))
        })
        .unwrap();
        worker.ask(Job::Sweep);
        assert!(inbox.recv().is_err(), "the thread is gone");
        let answer = worker.wait();
        assert!(matches!(answer, Some((Operation::Sweep, Err(Failed::Unknown(_))))), "{answer:?}");
        assert!(!worker.is_busy() && worker.answer().is_none());
    }
}
