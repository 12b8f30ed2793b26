//! Passes when a long-lived program says so.

mod answer;
mod pool;
mod supervisor;

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use tokio::sync::mpsc;
use tokio::time::timeout_at;

use self::answer::{Answer, order};
pub use self::pool::Workers;
use self::supervisor::{Desk, Program};
use super::deadline_after;
use super::service::checker;
use crate::trace::{Excerpt, Phase};
use crate::{CheckError, Failure, Report, Target};

/// Passes when a long-lived program says so: what [`Script`](super::Script) is to a thousand checks
/// an hour, this is to a thousand a second. Clones share one process; so do all that [`Workers`] gives
/// out for one command.
///
/// For each run the program reads a line, and says one:
///
/// ```text
/// reads   TAG ADDRESS PORT MILLISECONDS      17 192.0.2.1 80 1000
/// says    TAG up                             17 up
///         TAG up WEIGHT                      17 up 40
///         TAG down REASON                    17 down no route to host
/// ```
///
/// in any order: the tag is which. So the shortest one is
/// `while read tag address port millis; do …; echo "$tag up"; done`. A program that takes its orders
/// one by one must not be given several at once, or the last ones time out: put tower's
/// `ConcurrencyLimit` around this.
///
/// The program has to answer within the milliseconds, since that is what a timeout means: a run
/// without an answer while others got theirs is [`CheckError::Timeout`]. If nobody gets any, the
/// program is at fault and no target is blamed ([`CheckError::Local`]); after ten seconds of that it
/// is killed. When it has died, it is started again with the next order, but not before a tenth of a
/// second is over, and twice that each time that it had not answered anything, up to half a minute.
/// Until then runs are [`CheckError::Local`]. It ends when the last clone is gone: it reads the end
/// of its input, and two seconds later gets SIGTERM.
///
/// Needs a tokio runtime with I/O and time, on which a task sees the program to its end.
///
/// ```
/// use std::time::Duration;
/// use lb_core::Weight;
/// use lb_health::{Target, checkers::Worker};
/// use tower::ServiceExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let answer = r#"while read tag rest; do echo "$tag up 40"; done"#;
/// let worker = Worker::new("/bin/sh", ["-c", answer]);
/// let target = Target::new("192.0.2.1:80".parse()?, Duration::from_secs(5));
/// assert_eq!(worker.clone().oneshot(target).await?.weight, Some(Weight::new(40)));
/// assert_eq!(worker.oneshot(target).await?.weight, Some(Weight::new(40))); // by the same process
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Worker(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    program: Program,
    desk: Arc<Desk>,
    /// The way to the supervisor, once there is one.
    orders: OnceLock<mpsc::Sender<String>>,
}

impl Worker {
    /// The orders that may wait for a program which is slow to read.
    const QUEUE: usize = 1024;

    /// A checker that runs `program` when there is the first target to check. A name without a slash
    /// is looked up in `PATH`.
    pub fn new(
        program: impl Into<PathBuf>,
        arguments: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Self {
        let arguments = arguments.into_iter().map(Into::into).collect();
        Self::running(Program { path: program.into(), arguments, user: None })
    }

    /// Whether `other` shares the process of this one.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn running(program: Program) -> Self {
        Self(Arc::new(Inner { program, desk: Arc::default(), orders: OnceLock::new() }))
    }

    async fn run(self, target: Target) -> Result<Report, Failure> {
        let Inner { program, desk, orders } = &*self.0;
        let orders = orders.get_or_init(|| {
            let (sender, receiver) = mpsc::channel(Self::QUEUE);
            tokio::spawn(supervisor::supervise(program.clone(), Arc::clone(desk), receiver));
            sender
        });
        let mut ticket = Desk::open(desk);
        let line = order(ticket.tag, target.address, target.timeout);
        let answering = async {
            // The supervisor is gone only if its runtime is.
            orders.send(line).await.map_err(|_| interrupted())?;
            (&mut ticket.answer).await.unwrap_or_else(|_| Err(interrupted()))
        };
        match timeout_at(deadline_after(target.timeout), answering).await {
            Ok(Ok(Answer::Up(weight))) => Ok(Report { weight, ..Report::ALIVE }),
            Ok(Ok(Answer::Down(reason))) => {
                let said = Excerpt::new(reason.as_bytes());
                Err(CheckError::rejected(format!("the worker says that it is down{said}")).into())
            }
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(ticket.overdue().into()),
        }
    }
}

checker!(Worker);

/// The fault is the program's.
fn faulty(what: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> CheckError {
    CheckError::Local { operation: "run the worker", source: Arc::new(io::Error::other(what)) }
}

fn interrupted() -> CheckError {
    faulty("the runtime is shutting down")
}

/// Nobody was answered in the time of a run.
fn silent(desk: &Desk) -> CheckError {
    desk.silence.notify_one();
    faulty("it answers nobody")
}

/// A run whose time is over.
const LATE: CheckError = CheckError::Timeout { phase: Phase::Script };
