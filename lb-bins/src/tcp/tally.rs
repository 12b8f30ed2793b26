//! What happened to the clients of one virtual server.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lb_core::pool::NoBackend;
use lb_core::service::BalanceError;

/// Why a client was turned away.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RefusalReason {
    /// Every backend was full, and there is no queue.
    Full,
    /// The backend that the client belongs to is down.
    HomeDown,
    /// This host had run out of descriptors, memory, or ports to connect from.
    Host,
    /// Nobody lives, or takes new clients.
    NoBackend,
    /// Every backend was full, or the one that the client waits for, and the queue, too.
    QueueFull,
    /// Every backend was full, or the one that the client waits for, for as long as clients may wait.
    QueueTimeout,
    /// No backend that was asked took the connection.
    Unreachable,
}

impl RefusalReason {
    /// Every reason.
    pub const ALL: [Self; 7] = [
        Self::Full,
        Self::HomeDown,
        Self::Host,
        Self::NoBackend,
        Self::QueueFull,
        Self::QueueTimeout,
        Self::Unreachable,
    ];

    /// The reason in one word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::HomeDown => "home_down",
            Self::Host => "host",
            Self::NoBackend => "no_backend",
            Self::QueueFull => "queue_full",
            Self::QueueTimeout => "queue_timeout",
            Self::Unreachable => "unreachable",
        }
    }
}

impl From<&BalanceError> for RefusalReason {
    fn from(error: &BalanceError) -> Self {
        match error {
            // What backends do is told as what a check finds, what this host lacks as it says so.
            BalanceError::Exhausted { last, .. } if last.is::<io::Error>() => Self::Host,
            BalanceError::Exhausted { .. } => Self::Unreachable,
            BalanceError::NoBackend(NoBackend::AllFull { .. } | NoBackend::HomeFull { .. }) => {
                Self::Full
            }
            BalanceError::NoBackend(NoBackend::HomeDown { .. }) => Self::HomeDown,
            BalanceError::NoBackend(_) => Self::NoBackend,
            BalanceError::QueueFull { .. } => Self::QueueFull,
            BalanceError::QueueTimeout { .. } => Self::QueueTimeout,
            // The connector keeps clients only when this host is to blame.
            _ => Self::Host,
        }
    }
}

/// What happened to the clients of one virtual server. Kept over reloads.
#[derive(Debug, Default)]
pub struct Tally {
    accepted: AtomicU64,
    abandoned: AtomicU64,
    refused: [AtomicU64; RefusalReason::ALL.len()],
    open: AtomicU64,
}

impl Tally {
    /// Connections that clients opened.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Connections that clients reset before a backend had taken them.
    pub fn abandoned(&self) -> u64 {
        self.abandoned.load(Ordering::Relaxed)
    }

    /// Connections that were reset because no backend took them.
    pub fn refused(&self, reason: RefusalReason) -> u64 {
        self.refused[reason as usize].load(Ordering::Relaxed)
    }

    /// Connections that are open now.
    pub fn open(&self) -> u64 {
        self.open.load(Ordering::Acquire)
    }

    /// Counts one connection until the guard is dropped.
    pub(super) fn enter(self: &Arc<Self>) -> Visit {
        self.accepted.fetch_add(1, Ordering::Relaxed);
        self.open.fetch_add(1, Ordering::AcqRel);
        Visit(Arc::clone(self))
    }

    /// Counts a client that left before it had a backend.
    pub(super) fn abandon(&self) {
        self.abandoned.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a client that was turned away.
    pub(super) fn refuse(&self, reason: RefusalReason) {
        self.refused[reason as usize].fetch_add(1, Ordering::Relaxed);
    }
}

/// One connection of a [`Tally`].
#[derive(Debug)]
pub(super) struct Visit(Arc<Tally>);

impl Drop for Visit {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use lb_health::CheckError;

    use super::*;

    #[test]
    fn who_finds_no_port_of_this_host_is_not_refused_by_backends() {
        let last = io::Error::from(io::ErrorKind::AddrNotAvailable).into();
        let error = BalanceError::Exhausted { attempts: 2, last };
        assert_eq!(RefusalReason::from(&error), RefusalReason::Host);
        let error = BalanceError::Exhausted { attempts: 2, last: CheckError::Refused.into() };
        assert_eq!(RefusalReason::from(&error), RefusalReason::Unreachable);
    }
}
