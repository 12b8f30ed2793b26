//! How the last runs of a check ended, for whoever asks why.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::{Failure, Report};

/// How a run ended, and how often in a row it ended like that.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PastRun {
    /// When the result came in.
    pub at: Instant,
    /// How long the run took, the wait for its turn included.
    pub took: Duration,
    /// What came out.
    pub result: Result<Report, Failure>,
    /// The runs in a row that ended alike: all passed, or all failed for the same
    /// [cause](crate::CheckError::cause) and with the same word of it, such as a status. The other
    /// fields are those of the last of them.
    pub repeated: u32,
}

impl PastRun {
    fn is_like(&self, result: &Result<Report, Failure>) -> bool {
        match (&self.result, result) {
            (Ok(_), Ok(_)) => true,
            (Err(one), Err(other)) => {
                let status = |failure: &Failure| failure.trace.evidence().status;
                one.error.is_like(&other.error) && status(one) == status(other)
            }
            _ => false,
        }
    }
}

/// The last outcomes that differ from their neighbours, up to a limit.
///
/// Runs that end alike are one entry: a thousand that passed do not push out the failure before
/// them, which is the one that is asked for. And a check that only ever passes, as most do, keeps
/// its one entry in place.
#[derive(Debug, Default)]
pub(crate) struct History {
    last: Option<PastRun>,
    former: Option<Box<Former>>,
}

/// The oldest first.
#[derive(Debug, Default)]
struct Former(VecDeque<PastRun>);

impl History {
    /// Adds how a run ended; beyond `limit` entries the oldest is forgotten.
    pub(crate) fn add(
        &mut self,
        at: Instant,
        took: Duration,
        result: Result<Report, Failure>,
        limit: usize,
    ) {
        match &mut self.last {
            Some(last) if last.is_like(&result) => {
                let repeated = last.repeated.saturating_add(1);
                *last = PastRun { at, took, result, repeated };
            }
            last => {
                let before = last.replace(PastRun { at, took, result, repeated: 1 });
                let Some(before) = before.filter(|_| limit > 1) else { return };
                let Former(former) = &mut **self.former.get_or_insert_default();
                former.drain(..former.len().saturating_sub(limit - 2));
                former.push_back(before);
            }
        }
    }

    pub(crate) const fn last(&self) -> Option<&PastRun> {
        self.last.as_ref()
    }

    /// The latest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &PastRun> {
        let former = self.former.iter().flat_map(|former| former.0.iter().rev());
        self.last.iter().chain(former)
    }
}
