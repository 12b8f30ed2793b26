//! Threads that run checks, so that neither their processor time nor their forks are taken from
//! whoever asks for them.

use std::collections::HashMap;
use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::mpsc;
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

use super::lag::Due;
use super::mailbox::Mailbox;
use super::now;
use super::outbox::Outbox;
use super::pace::{self, Pace, Work};
use super::runner::Runner;
use super::runs::{Finished, Job, Spot};
use crate::CheckId;
use crate::monitor::Run;

/// How long whoever drops the driver waits for the threads to end their runs. One that hangs in a
/// checker is left to itself.
const FAREWELL: Duration = Duration::from_secs(1);

/// Threads that run checks, each with a runtime of its own. A check is always run by the same one.
pub(super) struct Threads {
    desks: Box<[Desk]>,
    results: Arc<Mailbox<Finished>>,
    /// What `results` was emptied into, the next one last.
    batch: Vec<Finished>,
}

/// The way to one thread.
struct Desk {
    orders: Arc<Mailbox<Order>>,
    due: Due,
    /// Closed when the thread has ended its runs.
    ended: mpsc::Receiver<()>,
}

enum Order {
    Limit(usize),
    Start(Job),
    Stop(Run),
    Quit,
}

impl Threads {
    /// `begin` is called on each thread before anything else.
    pub(super) fn new(
        count: NonZeroUsize,
        begin: &(impl Fn() + Clone + Send + 'static),
    ) -> io::Result<Self> {
        let results = Arc::new(Mailbox::default());
        let desk = |number| Desk::new(number, begin.clone(), Arc::clone(&results));
        let desks = (0..count.get()).map(desk).collect::<io::Result<_>>()?;
        Ok(Self { desks, results, batch: Vec::new() })
    }

    /// Gives each its part of so many runs at once, and one at least.
    pub(super) fn limit(&self, most: usize) {
        let (share, rest) = (most / self.desks.len(), most % self.desks.len());
        for (number, desk) in self.desks.iter().enumerate() {
            desk.orders.post(Order::Limit((share + usize::from(number < rest)).max(1)));
        }
    }

    pub(super) fn start(&self, now: Instant, job: Job) {
        let desk = self.desk(job.run.check());
        // First, or the thread may have done it and nobody takes this back.
        desk.due.advance(now);
        desk.orders.post(Order::Start(job));
    }

    pub(super) fn stop(&self, run: Run) {
        self.desk(run.check()).orders.post(Order::Stop(run));
    }

    /// The next run that is over; `None` if there is none yet.
    pub(super) fn poll_next(&mut self) -> Option<Finished> {
        if self.batch.is_empty() {
            self.results.take(&mut self.batch);
        }
        self.batch.pop()
    }

    pub(super) fn listen(&self, waker: &Waker) {
        self.results.listen(waker);
    }

    /// When each thread has to do something.
    pub(super) fn dues(&self) -> impl Iterator<Item = Due> {
        self.desks.iter().map(|desk| desk.due.clone())
    }

    fn desk(&self, check: CheckId) -> &Desk {
        &self.desks[check.slot as usize % self.desks.len()]
    }
}

impl Desk {
    fn new(
        number: usize,
        begin: impl FnOnce() + Send + 'static,
        results: Arc<Mailbox<Finished>>,
    ) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (orders, due) = (Arc::new(Mailbox::default()), Due::new(now()));
        let worker = Worker {
            runner: Runner::default(),
            spots: HashMap::new(),
            orders: Arc::clone(&orders),
            batch: Vec::new(),
            outbox: Outbox::new(results),
            due: due.clone(),
            is_over: false,
            pace: Pace::default(),
        };
        let (alive, ended) = mpsc::channel();
        let thread = thread::Builder::new().name(format!("checks-{number}"));
        thread.spawn(move || {
            begin();
            worker.run(runtime);
            drop(alive);
        })?;
        Ok(Self { orders, due, ended })
    }
}

impl Drop for Threads {
    /// What runs, and the processes of it, is ended before this returns, if that can be.
    fn drop(&mut self) {
        self.desks.iter().for_each(|desk| desk.orders.post(Order::Quit));
        let end = now() + FAREWELL;
        for Desk { ended, .. } in &self.desks {
            // Nothing is ever sent: it ends by being closed, or too late.
            let _ = ended.recv_timeout(end.saturating_duration_since(now()));
        }
    }
}

/// What happens on one of the threads.
struct Worker {
    runner: Runner,
    /// Where the runs are, by the slot of the check.
    spots: HashMap<u32, (Run, Spot)>,
    orders: Arc<Mailbox<Order>>,
    batch: Vec<Order>,
    outbox: Outbox,
    due: Due,
    is_over: bool,
    pace: Pace,
}

impl Worker {
    fn run(mut self, runtime: Runtime) {
        runtime.block_on(async {
            pace::until(&mut self, |worker| worker.is_over.then_some(())).await;
            // Runs may need the runtime to end.
            drop(self);
        });
        // A file that is read from a dead server would hold this for ever.
        runtime.shutdown_background();
    }

    fn follow(&mut self, order: Order) {
        match order {
            Order::Limit(most) => self.runner.limit(most),
            Order::Quit => self.is_over = true,
            Order::Start(job) => {
                let run = job.run;
                let spot = self.runner.start(now(), job);
                self.spots.insert(run.check().slot, (run, spot));
            }
            Order::Stop(run) => {
                let slot = run.check().slot;
                // It may be over, and its result on the way.
                if self.spots.get(&slot).is_some_and(|(going, _)| *going == run)
                    && let Some((_, spot)) = self.spots.remove(&slot)
                {
                    self.runner.stop(spot);
                }
            }
        }
    }

    fn finish(&mut self, finished: Finished) {
        self.spots.remove(&finished.run.check().slot);
        self.outbox.put(finished);
    }
}

impl Work for Worker {
    fn step(&mut self) -> bool {
        if self.batch.is_empty() {
            self.orders.take(&mut self.batch);
        }
        if let Some(order) = self.batch.pop() {
            self.follow(order);
            return true;
        }
        let polled = self.runner.poll_next();
        let is_step = polled.is_some();
        if let Some(Poll::Ready(finished)) = polled {
            self.finish(finished);
        }
        is_step
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.runner.next_deadline().into_iter().chain(self.outbox.next_deadline()).min()
    }

    fn waits_for(&self, due: Option<Instant>) {
        self.due.set(due);
    }

    fn handle_timeout(&mut self, due: Instant, now: Instant) {
        self.runner.woken(due, now);
        self.outbox.handle_timeout(now);
        while let Some(finished) = self.runner.end_overdue(now) {
            self.finish(finished);
        }
    }

    fn listen(&self, waker: &Waker) {
        self.orders.listen(waker);
        self.runner.listen(waker);
    }

    fn pace(&mut self) -> &mut Pace {
        &mut self.pace
    }
}
