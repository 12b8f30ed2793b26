//! The way of one flow to its backend: at once if there is room, else through the queue.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use pin_project_lite::pin_project;

use crate::backend::{BackendId, Lease};
use crate::director::{Director, Ticket, Turn};
use crate::env::Env;
use crate::flow::ClientKey;
use crate::pool::NoBackend;

pin_project! {
    /// What a flow holds while it has no backend yet: nothing, or a position in the queue.
    ///
    /// Dropped, it gives up its position; whoever is next is told.
    pub(super) struct Admission<W> {
        ticket: Option<Ticket>,
        #[pin]
        alarm: Option<W>,
    }
}

/// A flow that has waited, and may have to again when its backend refuses it.
#[derive(Clone, Copy)]
pub(super) struct Waiting {
    /// Its position in the line, while that is the same one.
    number: u64,
    /// How long it waits, all in all.
    patience: Option<Patience>,
}

#[derive(Clone, Copy)]
struct Patience {
    until: Instant,
    time: Duration,
}

/// Why a flow has no backend.
pub(super) enum Refusal {
    NoBackend(NoBackend),
    QueueFull { waiting: usize },
    TimedOut { after: Duration },
}

impl<W> Admission<W> {
    /// A flow that has just come.
    pub(super) const fn new() -> Self {
        Self { ticket: None, alarm: None }
    }

    /// Tries for a backend, or waits until trying makes sense again.
    pub(super) fn poll<K, V, E>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        director: &Director<K, E>,
        env: &V,
        client: &K,
        tried: &[BackendId],
        waiting: &mut Option<Waiting>,
    ) -> Poll<Result<Lease<E>, Refusal>>
    where
        K: ClientKey,
        V: Env<Sleep = W>,
        W: Future<Output = ()>,
    {
        let assign = |turn: Turn<'_>| {
            env.with_rng(|rng| director.assign_at(|| env.now(), client, tried, turn, rng))
        };
        let queue = director.queue();
        if !queue.is_open() {
            let outcome = assign(director.turn_of_newcomer(&[]));
            return Poll::Ready(outcome.map_err(Refusal::NoBackend));
        }
        let home = || director.home_to_wait_for(|| env.now(), client, tried);
        let mut this = self.project();
        if this.ticket.is_none() {
            // Whoever waits was here first.
            if let Some(claimed) = queue.claimed() {
                match assign(director.turn_of_newcomer(&claimed)) {
                    Err(NoBackend::AllFull { .. } | NoBackend::HomeFull { .. }) => {}
                    outcome => return Poll::Ready(outcome.map_err(Refusal::NoBackend)),
                }
            }
            let before = waiting.as_ref().map(|waiting| waiting.number);
            let ticket = match queue.join(cx.waker(), before, home()) {
                Ok(ticket) => ticket,
                // Others may go on waiting in a line that was closed meanwhile.
                Err(_) if queue.room() == 0 => {
                    return Poll::Ready(Err(Refusal::NoBackend(director.all_full())));
                }
                Err(waiting) => return Poll::Ready(Err(Refusal::QueueFull { waiting })),
            };
            // A flow that comes back from a backend that refused it has only what is left.
            let waiting = waiting.get_or_insert_with(|| Waiting {
                number: ticket.number(),
                // Further away than the clock goes is for ever.
                patience: queue.timeout().and_then(|time| {
                    env.now().checked_add(time).map(|until| Patience { until, time })
                }),
            });
            *this.ticket = Some(ticket);
            this.alarm.set(waiting.patience.map(|patience| env.sleep_until(patience.until)));
        }
        while let Some(ticket) = this.ticket.as_mut()
            && let Some(claimed) = ticket.turn(cx)
        {
            match assign(Turn { claimed: &claimed, may_wait: true }) {
                Err(NoBackend::AllFull { .. } | NoBackend::HomeFull { .. }) => {
                    // Where it belongs may have become another one, or full, or out of the question.
                    if !ticket.wait_for(home()) {
                        // Somebody who was not refused yet may have more luck.
                        ticket.pass_on(!tried.is_empty());
                        break;
                    }
                }
                outcome => {
                    *this.ticket = None;
                    return Poll::Ready(outcome.map_err(Refusal::NoBackend));
                }
            }
        }
        let alarm = this.alarm.as_mut().as_pin_mut();
        let patience = waiting.and_then(|waiting| waiting.patience);
        if let (Some(alarm), Some(patience)) = (alarm, patience)
            && alarm.poll(cx).is_ready()
        {
            *this.ticket = None;
            return Poll::Ready(Err(Refusal::TimedOut { after: patience.time }));
        }
        Poll::Pending
    }
}
