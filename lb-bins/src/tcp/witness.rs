//! What a connection shows of its backend, so that one that fails fast does not look idle.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use lb_core::Lease;
use lb_core::backend::Outcome;
use lb_health::CheckError;
use lb_health::trace::Phase;

use super::relay::{End, Side};
use super::reporter::Reporter;
use super::upstream::Endpoint;

/// Counts the bytes of one connection, and tells once how its backend fared:
///
/// | what happened | the backend |
/// |---|---|
/// | it said something | succeeded at its first byte: that is the time it took |
/// | the client spoke and left, the backend closed as well | succeeded: there was nothing to say |
/// | the client spoke, the backend closed before it did | failed |
/// | the backend reset the connection, unless the client had left without a word | failed |
/// | anything else: the client broke it off, it was cut, nobody spoke | is not judged |
///
/// A backend that closes before anybody has spoken is not judged, because that is also how
/// connections end that browsers open in advance.
#[derive(Debug)]
pub(super) struct Witness<'a> {
    lease: &'a Lease<Endpoint>,
    reporter: &'a Reporter,
    // Only one task writes; they are atomic so that it may move between threads.
    asked: AtomicBool,
    told: AtomicBool,
}

impl<'a> Witness<'a> {
    /// Of a connection on which nobody has spoken yet.
    pub(super) const fn of(lease: &'a Lease<Endpoint>, reporter: &'a Reporter) -> Self {
        Self { lease, reporter, asked: AtomicBool::new(false), told: AtomicBool::new(false) }
    }

    /// So many bytes came from this side.
    pub(super) fn count(&self, from: Side, bytes: usize) {
        let traffic = self.lease.endpoint().traffic();
        match from {
            Side::Backend => {
                traffic.sent.fetch_add(bytes as u64, Ordering::Relaxed);
                self.tell(Ok(()));
            }
            Side::Client => {
                traffic.received.fetch_add(bytes as u64, Ordering::Relaxed);
                if !self.asked.load(Ordering::Relaxed) {
                    self.asked.store(true, Ordering::Relaxed);
                }
            }
        }
    }

    /// The connection is over.
    pub(super) fn judge(&self, end: &End) {
        let asked = self.asked.load(Ordering::Relaxed);
        match (&end.broken, end.first) {
            (Some((Side::Client, _)), _) => {}
            (Some((Side::Backend, _)), Some(Side::Client)) if !asked => {}
            (Some((Side::Backend, error)), _) => {
                let code = error.raw_os_error().map(io::Error::from_raw_os_error);
                let error = code.unwrap_or_else(|| error.kind().into());
                self.tell(Err(CheckError::from_network(Phase::Response, error)));
            }
            (None, _) if !asked => {}
            (None, Some(Side::Backend)) => self.tell(Err(CheckError::Closed)),
            (None, _) => self.tell(Ok(())),
        }
    }

    /// Told once; the clock is read for that alone.
    fn tell(&self, outcome: Result<(), CheckError>) {
        if !self.told.load(Ordering::Relaxed) {
            self.told.store(true, Ordering::Relaxed);
            let load = if outcome.is_ok() { Outcome::Success } else { Outcome::Failure };
            self.lease.report(Instant::now(), load);
            self.reporter.flowed(self.lease, outcome);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lb_core::Backend;
    use lb_core::backend::BackendId;

    use tokio::sync::mpsc;

    use super::*;
    use crate::tcp::{Observed, ServerKey, Upstream};

    /// How many successes (0 or 1) and failures come of these bytes and this end.
    fn told(bytes: &[Side], first: Option<Side>, broken: Option<Side>) -> (bool, u64) {
        let upstream = Upstream::new("127.0.0.1:1".parse().unwrap(), None);
        let lease = Lease::new(Arc::new(Backend::new(BackendId::new(0), "a", upstream)));
        let (attempts, mut told_health) = mpsc::channel(1);
        let reporter = Reporter::new(ServerKey::default(), Observed::Flows, attempts);
        let witness = Witness::of(&lease, &reporter);
        bytes.iter().for_each(|&side| witness.count(side, 1));
        let broken = broken.map(|side| (side, io::ErrorKind::ConnectionReset.into()));
        witness.judge(&End { first, broken });
        let told = witness.told.load(Ordering::Relaxed);
        // Health hears of the same.
        let successes = lease.endpoint().successes();
        assert_eq!(told_health.try_recv().is_ok(), lease.load().failed() == 1);
        assert_eq!(successes == 1, told && lease.load().failed() == 0);
        (told && lease.load().failed() == 0, lease.load().failed())
    }

    #[test]
    fn the_table_holds() {
        use Side::{Backend, Client};
        const SUCCESS: (bool, u64) = (true, 0);
        const FAILURE: (bool, u64) = (false, 1);
        const NOTHING: (bool, u64) = (false, 0);
        // Whoever said something has done its part, however it ends.
        for (first, broken) in [(Some(Backend), None), (None, Some(Backend)), (None, Some(Client))]
        {
            assert_eq!(told(&[Client, Backend, Backend], first, broken), SUCCESS);
            assert_eq!(told(&[Backend], first, broken), SUCCESS);
        }
        assert_eq!(told(&[Client], Some(Client), None), SUCCESS);
        assert_eq!(told(&[Client], Some(Backend), None), FAILURE);
        assert_eq!(told(&[Client], None, Some(Backend)), FAILURE);
        assert_eq!(told(&[Client], Some(Client), Some(Backend)), FAILURE);
        // A reset may be quicker than what the client says.
        assert_eq!(told(&[], None, Some(Backend)), FAILURE);
        assert_eq!(told(&[], Some(Client), Some(Backend)), NOTHING);
        assert_eq!(told(&[Client], None, Some(Client)), NOTHING);
        assert_eq!(told(&[], Some(Backend), None), NOTHING);
        assert_eq!(told(&[], Some(Client), None), NOTHING);
    }
}
