//! What the kernel tells of interfaces, addresses, routes and rules, and what of it may have been
//! missed.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use socket2::Socket;
use tokio::io::unix::AsyncFd;

use super::netlink::{self, Change};
use super::receiver::{poll_waiting, watched};

/// How much of what the kernel tells is read before others have their turn.
const CHANGES: usize = 1024;
/// After how long what could not be looked at is looked at again: no descriptors are left, say, or the
/// kernel has no time.
const AGAIN: Duration = Duration::from_millis(100);

/// Listens to the kernel.
#[derive(Debug)]
pub(super) struct Watcher {
    monitor: AsyncFd<Socket>,
    /// Whether the monitor is told of routes.
    sees_routes: bool,
    datagram: Vec<u8>,
    changes: VecDeque<Change>,
    sight: Sight,
    /// Whether the kernel had its turn in this round of all sockets.
    had_turn: bool,
}

impl Watcher {
    /// One that has seen nothing yet.
    pub(super) fn open(now: Instant) -> io::Result<Self> {
        Ok(Self {
            monitor: watched(netlink::route_monitor(false)?)?,
            sees_routes: false,
            datagram: vec![0; 32 * 1024],
            changes: VecDeque::new(),
            sight: Sight(Some(now)),
            had_turn: false,
        })
    }

    /// Whether it is the kernel's turn to be listened to: once in a round of all sockets.
    pub(super) const fn begin(&mut self) -> bool {
        !std::mem::replace(&mut self.had_turn, true)
    }

    /// The round is over.
    pub(super) const fn end(&mut self) {
        self.had_turn = false;
    }

    /// Is told of routes and rules as well from now on.
    pub(super) fn see_routes(&mut self) -> io::Result<()> {
        if !self.sees_routes {
            self.monitor = watched(netlink::route_monitor(true)?)?;
            self.sees_routes = true;
        }
        Ok(())
    }

    /// Everything is to be looked at, now.
    pub(super) const fn look(&mut self, now: Instant) {
        self.sight = Sight(Some(now));
    }

    /// Reads what the kernel has told.
    pub(super) fn read(&mut self, now: Instant) {
        // Whoever changes routes without end must not keep us from everything else.
        for _ in 0..CHANGES {
            match self.monitor.get_ref().read(&mut self.datagram) {
                Ok(length) => netlink::changes(&self.datagram[..length], &mut self.changes),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // Too much at once (ENOBUFS).
                Err(_) => {
                    self.sight.miss(now);
                    break;
                }
            }
        }
    }

    /// Whether everything is to be looked at now. Then no single change counts any more.
    pub(super) fn is_to_look(&mut self, now: Instant) -> bool {
        let is_due = self.sight.take_due(now);
        if is_due {
            self.changes.clear();
        }
        is_due
    }

    /// The next thing that changed.
    pub(super) fn pop(&mut self) -> Option<Change> {
        self.changes.pop_front()
    }

    /// Something could not be looked at, or not be acted on: everything is looked at again, a little
    /// later.
    pub(super) fn fail(&mut self, now: Instant) {
        self.changes.clear();
        self.sight.miss(now + AGAIN);
    }

    /// When everything is to be looked at; `None` if nothing was missed.
    pub(super) const fn next_deadline(&self) -> Option<Instant> {
        self.sight.0
    }

    /// Whether the kernel has told something.
    pub(super) fn poll(&mut self, context: &mut Context<'_>, now: Instant) -> Poll<()> {
        poll_waiting(&self.monitor, context).map(|waits| {
            // Looking takes the error away, and it must not be forgotten.
            if waits.is_err() {
                self.sight.miss(now);
            }
        })
    }
}

/// When everything is to be looked at, because something may have been missed.
#[derive(Debug)]
struct Sight(Option<Instant>);

impl Sight {
    /// Something was missed. What is to be looked at already is not put off, nor brought forward: who
    /// cannot look would do nothing but try.
    const fn miss(&mut self, at: Instant) {
        if self.0.is_none() {
            self.0 = Some(at);
        }
    }

    fn take_due(&mut self, now: Instant) -> bool {
        self.0.take_if(|at| *at <= now).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_missed_is_looked_at_once_and_in_time() {
        #[allow(clippy::disallowed_methods, reason = "any instant is the beginning")]
        let now = Instant::now();
        let mut sight = Sight(None);
        assert!(!sight.take_due(now));
        sight.miss(now + AGAIN);
        // Neither who fails again and again nor who is told too much moves that.
        sight.miss(now + AGAIN * 5);
        sight.miss(now);
        assert!(!sight.take_due(now + AGAIN / 2));
        assert!(sight.take_due(now + AGAIN));
        assert!(!sight.take_due(now + AGAIN), "once");
    }
}
