//! How much is logged of what others say as often as they like, programs and agents of backends: nobody
//! reads more, and the log is not their own.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// The time in which so many lines are logged.
const WITHIN: Duration = Duration::from_secs(60);

/// What was logged of each who speaks: of as many as are configured.
#[derive(Debug)]
pub(crate) struct Said {
    most: u32,
    spent: HashMap<String, Spent>,
}

/// Of one of them.
#[derive(Debug)]
struct Spent {
    since: Instant,
    logged: u32,
    /// Lines that are in no log, and of which nobody was told yet.
    lost: u64,
    /// Whether somebody was, in this time.
    is_told: bool,
}

impl Said {
    /// Logs as many lines of each in a minute.
    pub(crate) fn at_most(most: u32) -> Self {
        Self { most, spent: HashMap::new() }
    }

    /// Counts a line. Whether it is logged; and how many were lost before, if that is to be told first.
    pub(crate) fn hear(&mut self, who: &str, now: Instant) -> (bool, u64) {
        let fresh = || Spent { since: now, logged: 0, lost: 0, is_told: false };
        let spent = self.spent.entry(who.to_owned()).or_insert_with(fresh);
        let is_over = now.saturating_duration_since(spent.since) >= WITHIN;
        let lost = if is_over { std::mem::replace(spent, fresh()).lost } else { 0 };
        let is_logged = spent.logged < self.most;
        if is_logged {
            spent.logged += 1;
        } else {
            spent.lost += 1;
        }
        (is_logged, lost)
    }

    /// A run has said all that it says: how many lines were lost, if that is to be told. Once in the time
    /// is enough, however many runs there are; the others are told of in the next one.
    pub(crate) fn end(&mut self, who: &str) -> u64 {
        let Some(spent) = self.spent.get_mut(who).filter(|spent| !spent.is_told) else { return 0 };
        spent.is_told = spent.lost > 0;
        std::mem::take(&mut spent.lost)
    }

    /// Forgets whose time is over; who lost lines in it, and how many.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<(String, u64)> {
        let over =
            self.spent.extract_if(|_, spent| now.saturating_duration_since(spent.since) >= WITHIN);
        over.filter_map(|(who, spent)| (spent.lost > 0).then_some((who, spent.lost))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_often_a_program_runs_it_fills_no_log() {
        let (mut said, start) = (Said::at_most(100), Instant::now());
        let mut run = |second| {
            let now = start + Duration::from_secs(second);
            let heard = [(); 70].map(|()| said.hear("noisy", now));
            let logged = heard.iter().filter(|(is_logged, _)| *is_logged).count();
            let lost: u64 = heard.iter().map(|(_, lost)| lost).sum();
            // Another one has as much for itself.
            assert_eq!(said.hear("quiet", now), (true, 0));
            (logged, lost, said.end("noisy"))
        };
        assert_eq!([0, 1, 2, 3].map(&mut run), [(70, 0, 0), (30, 0, 40), (0, 0, 0), (0, 0, 0)]);
        // Nothing that is lost is told of never, or twice.
        assert_eq!([60, 61].map(&mut run), [(70, 140, 0), (30, 0, 40)]);
    }

    #[test]
    fn what_was_lost_is_told_though_nobody_says_more() {
        let (mut said, start) = (Said::at_most(2), Instant::now());
        let heard = ["one", "one", "one", "other", "one"].map(|who| said.hear(who, start).0);
        assert_eq!(heard, [true, true, false, true, false]);
        let later = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(said.expire(later(59)), []);
        assert_eq!(said.expire(later(60)), [("one".to_owned(), 2)]);
        assert_eq!(said.expire(later(60)), []);
        assert_eq!(said.hear("one", later(60)), (true, 0));
    }
}
