//! One run of a checker: its deadline, and the trace that it leaves.

use std::io;
use std::sync::Arc;

use lb_core::health::Admin;
use tokio::time::{Instant, timeout_at};

use crate::advice::Advice;
use crate::checkers::deadline_after;
use crate::trace::{Phase, Trace};
use crate::{CheckError, Failure, Report, Target};

/// A run that is going. Every wait of a checker goes through [`step`](Self::step), so that none is
/// longer than the run may take and each is accounted for.
#[derive(Debug)]
pub(in crate::checkers) struct Attempt {
    deadline: Instant,
    /// The end of the last step.
    at: Instant,
    pub(in crate::checkers) trace: Trace,
    /// Whether what was seen asks for no new clients.
    pub(in crate::checkers) drains: bool,
    /// See [`Report::unless_up`].
    pub(in crate::checkers) unless_up: Option<Arc<CheckError>>,
}

impl Attempt {
    /// A run that begins now.
    pub(in crate::checkers) fn begin(target: Target) -> Self {
        let deadline = deadline_after(target.timeout);
        Self { deadline, at: clock(), trace: Trace::EMPTY, drains: false, unless_up: None }
    }

    /// Waits for `step` until the deadline. The time since the step before is what `phase` took.
    pub(in crate::checkers) async fn step<T, E>(
        &mut self,
        phase: Phase,
        step: impl Future<Output = Result<T, E>>,
    ) -> Result<T, CheckError>
    where
        E: IntoCause,
    {
        let result = timeout_at(self.deadline, step).await;
        self.passed(phase);
        match result {
            Ok(result) => result.map_err(|error| error.into_cause(phase)),
            Err(_) => Err(CheckError::Timeout { phase }),
        }
    }

    /// Accounts the time since the step before to `phase`.
    pub(in crate::checkers) fn passed(&mut self, phase: Phase) {
        let now = clock();
        self.trace.spend(phase, now - self.at);
        self.at = now;
    }

    /// The end of the run.
    pub(in crate::checkers) fn finish(
        self,
        result: Result<(), CheckError>,
    ) -> Result<Report, Failure> {
        match result {
            Ok(()) => {
                let admin = self.drains.then_some(Admin::Drain);
                let advice = Advice { admin, ..Advice::NONE };
                let Self { trace, unless_up, .. } = self;
                Ok(Report { trace, advice, unless_up, ..Report::ALIVE })
            }
            Err(error) => Err(Failure::new(error, self.trace)),
        }
    }
}

/// What can go wrong in a step.
pub(in crate::checkers) trait IntoCause {
    /// The cause of a failure in `phase`.
    fn into_cause(self, phase: Phase) -> CheckError;
}

impl IntoCause for io::Error {
    /// What TLS makes fail comes as an I/O error that wraps the cause. Whatever is waited for is answered by
    /// the target or the network; a datagram that this host does not let go is told by who
    /// [sends](super::datagram::send) it.
    fn into_cause(self, phase: Phase) -> CheckError {
        #[cfg(feature = "tls")]
        if let Some(cause) = super::tls::cause(&self) {
            return cause;
        }
        CheckError::from_network(phase, self)
    }
}

impl IntoCause for CheckError {
    fn into_cause(self, _: Phase) -> CheckError {
        self
    }
}

#[expect(clippy::disallowed_methods, reason = "a checker is a driver of its own")]
fn clock() -> Instant {
    Instant::now()
}
