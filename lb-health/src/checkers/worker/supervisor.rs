//! The one process of a worker: started, fed, heard, and started again.

use std::collections::HashMap;
use std::convert::Infallible;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{ChildStdin, ChildStdout, Command};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{sleep, timeout};

use super::answer::{self, Answer};
use super::{LATE, faulty, silent};
use crate::CheckError;
use crate::checkers::process::{self, Credentials, Process};

/// The wait before a program that has died is started again, at first and at most.
const BACK_OFF: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(30)];
/// How long a program may answer nobody, after the first run for which that was too long.
const SILENCE: Duration = Duration::from_secs(10);
/// How long a program may live on that is told, by the end of its input, that it is not needed.
const FAREWELL: Duration = Duration::from_secs(2);
/// How long after its pipes a program may end.
const AFTERMATH: Duration = Duration::from_millis(100);
/// The longest line of a program, and the most that is written at once.
const LONGEST: usize = 4096;

/// What to run.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Program {
    pub(super) path: PathBuf,
    pub(super) arguments: Vec<OsString>,
    /// As whom; as this process if it is nobody.
    pub(super) user: Option<Credentials>,
}

/// Where runs wait for their answers.
#[derive(Debug, Default)]
pub(super) struct Desk {
    waiting: Mutex<HashMap<u64, oneshot::Sender<Result<Answer, CheckError>>>>,
    next: AtomicU64,
    /// The answers so far.
    heard: AtomicU64,
    /// Tells that a run had no answer, nor had any other in its time.
    pub(super) silence: Notify,
}

/// A run's place at the desk, until it is dropped.
pub(super) struct Ticket {
    desk: Arc<Desk>,
    pub(super) tag: u64,
    pub(super) answer: oneshot::Receiver<Result<Answer, CheckError>>,
    heard_before: u64,
}

impl Desk {
    pub(super) fn open(desk: &Arc<Self>) -> Ticket {
        let tag = desk.next.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        desk.waiting().insert(tag, sender);
        let heard_before = desk.heard();
        Ticket { desk: Arc::clone(desk), tag, answer, heard_before }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<Result<Answer, CheckError>>>> {
        // What panicked while it held this has left a whole map behind.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn heard(&self) -> u64 {
        self.heard.load(Ordering::Relaxed)
    }

    /// Takes a line of the program. What is no answer, or comes too late, is nobody's.
    fn take(&self, line: &[u8]) {
        let Ok((tag, answer)) = answer::parse(line) else { return };
        let Some(sender) = self.waiting().remove(&tag) else { return };
        self.heard.fetch_add(1, Ordering::Relaxed);
        // The run may be over at this very moment.
        let _ = sender.send(answer.map_err(faulty));
    }

    /// Answers everybody.
    fn fail(&self, error: &CheckError) {
        for (_, sender) in self.waiting().drain() {
            let _ = sender.send(Err(error.clone()));
        }
    }
}

impl Ticket {
    /// Why there was no answer in time.
    pub(super) fn overdue(&self) -> CheckError {
        if self.desk.heard() == self.heard_before { silent(&self.desk) } else { LATE }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.desk.waiting().remove(&self.tag);
    }
}

/// Runs the program for as long as there is somebody who may want it.
pub(super) async fn supervise(
    program: Program,
    desk: Arc<Desk>,
    mut orders: mpsc::Receiver<String>,
) {
    let [mut wait, longest] = BACK_OFF;
    while let Some(first) = orders.recv().await {
        let heard_before = desk.heard();
        let error = match serve(&program, &desk, first, &mut orders).await {
            Ok(()) => return,
            Err(error) => error,
        };
        if desk.heard() != heard_before {
            wait = BACK_OFF[0];
        }
        desk.fail(&error);
        let refusing = async {
            while orders.recv().await.is_some() {
                desk.fail(&error);
            }
        };
        // Whoever comes before the wait is over learns why there is one.
        if timeout(wait, refusing).await.is_ok() {
            return;
        }
        wait = longest.min(wait * 2);
    }
}

/// Runs the program once: `Ok` when nobody wants it any more, else why it ended.
async fn serve(
    program: &Program,
    desk: &Desk,
    first: String,
    orders: &mut mpsc::Receiver<String>,
) -> Result<(), CheckError> {
    let mut command = Command::new(&program.path);
    command.args(&program.arguments);
    let (mut process, input, output) = Process::spawn_talking(command, program.user)
        .map_err(|error| process::spawn_error(&program.path, program.user, error))?;
    let mut why = tokio::select! {
        Ok(status) = process.exit() => format!("it ended, {status}"),
        Err(error) = listen(output, desk) => format!("its output: {error}"),
        () = silence(desk) => "it answered nobody".to_owned(),
        result = dictate(input, first, orders) => match result {
            Err(error) => format!("its input: {error}"),
            // With that its input has ended.
            Ok(()) => {
                if timeout(FAREWELL, process.exit()).await.is_err() {
                    process.end().await;
                }
                return Ok(());
            }
        },
    };
    // When a program ends, its pipes may tell before it can be waited for.
    if let Ok(Ok(status)) = timeout(AFTERMATH, process.exit()).await {
        why = format!("it ended, {status}");
    }
    process.end().await;
    Err(faulty(format!("{why}{}", process.excerpt().await)))
}

/// Writes the orders; ends when there will be no more.
async fn dictate(
    mut input: ChildStdin,
    first: String,
    orders: &mut mpsc::Receiver<String>,
) -> io::Result<()> {
    let mut lines = first;
    loop {
        // As many at once as there are, for fewer system calls.
        while lines.len() < LONGEST
            && let Ok(line) = orders.try_recv()
        {
            lines.push_str(&line);
        }
        input.write_all(lines.as_bytes()).await?;
        match orders.recv().await {
            Some(line) => lines = line,
            None => return Ok(()),
        }
    }
}

/// Reads the answers; ends only by an error.
async fn listen(output: ChildStdout, desk: &Desk) -> io::Result<Infallible> {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    loop {
        line.clear();
        let count = (&mut output).take(LONGEST as u64).read_until(b'\n', &mut line).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line.pop() != Some(b'\n') && count == LONGEST {
            return Err(io::Error::other("a line without an end"));
        }
        desk.take(&line);
    }
}

/// Ends when the program has answered nobody for too long.
async fn silence(desk: &Desk) {
    loop {
        desk.silence.notified().await;
        let heard = desk.heard();
        sleep(SILENCE).await;
        if desk.heard() == heard {
            return;
        }
    }
}
