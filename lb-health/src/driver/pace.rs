//! The loop of a task that polls by hand: steps, deadlines and the wait for either take turns.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use tokio::task::coop::has_budget_remaining;
use tokio::task::yield_now;
use tokio::time::{self, Sleep};

use super::now;

/// The steps that are taken before the clock and the sockets are looked at again, and other tasks
/// get their turn.
const TURN: u32 = 64;

/// What is to be done in steps, at deadlines, and when it is woken.
pub(super) trait Work {
    /// Takes one step; answers whether there was one.
    fn step(&mut self) -> bool;

    /// When [`Self::handle_timeout`] is due next.
    fn next_deadline(&self) -> Option<Instant>;

    /// Told what [`Self::next_deadline`] answered, for whoever watches.
    fn waits_for(&self, due: Option<Instant>);

    /// Time has come, at `due`.
    fn handle_timeout(&mut self, due: Instant, now: Instant);

    /// Whom to wake when there is another step.
    fn listen(&self, waker: &Waker);

    /// How it goes: what [`until`] keeps between two calls.
    fn pace(&mut self) -> &mut Pace;
}

/// The steps that were taken since the clock was looked at.
#[derive(Debug, Default)]
pub(super) struct Pace(u32);

/// Works until `done` answers something. Cancel safe, if that is.
pub(super) async fn until<W: Work, T>(
    work: &mut W,
    mut done: impl FnMut(&mut W) -> Option<T>,
) -> T {
    let mut alarm = pin!(None);
    loop {
        for _ in 0..TURN {
            if let Some(output) = done(work) {
                return output;
            }
            // Without tokio's budget a target that sends for ever would be read for ever; and once
            // that is used up, nobody is told what has arrived.
            if !has_budget_remaining() {
                break;
            }
            poll_fn(|context| poll(work, context, alarm.as_mut())).await;
        }
        yield_now().await;
    }
}

/// Takes one step, or waits for the next one that can be taken.
fn poll<W: Work>(
    work: &mut W,
    context: &mut Context<'_>,
    alarm: Pin<&mut Option<Sleep>>,
) -> Poll<()> {
    // Answers before deadlines: what is there in time counts, however late this is. But there may be
    // no end of them.
    if work.pace().0 < TURN && work.step() {
        work.pace().0 += 1;
        return Poll::Ready(());
    }
    work.pace().0 = 0;
    let next = work.next_deadline();
    work.waits_for(next);
    if let Some(due) = next {
        let now = now();
        if due <= now {
            work.handle_timeout(due, now);
            return Poll::Ready(());
        }
    }
    work.listen(context.waker());
    if work.step() {
        return Poll::Ready(());
    }
    match next {
        Some(due) => wait_until(due.into(), alarm, context),
        None => Poll::Pending,
    }
}

/// Sets `alarm` to `due`, unless it is, and polls it.
fn wait_until(
    due: time::Instant,
    mut alarm: Pin<&mut Option<Sleep>>,
    context: &mut Context<'_>,
) -> Poll<()> {
    if alarm.is_none() {
        alarm.set(Some(time::sleep_until(due)));
    }
    let Some(mut alarm) = alarm.as_pin_mut() else { return Poll::Pending };
    if alarm.deadline() != due {
        alarm.as_mut().reset(due);
    }
    alarm.poll(context)
}
