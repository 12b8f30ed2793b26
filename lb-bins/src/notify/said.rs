//! How much of what programs say is logged: nobody reads more, and the log is not their own.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// So many lines of a program are logged in this time, over all its runs: some run every second.
const MOST_LINES: u32 = 100;
const WITHIN: Duration = Duration::from_secs(60);

/// What was logged of each program: of as many as are configured.
#[derive(Debug, Default)]
pub(super) struct Said(HashMap<String, Spent>);

/// Of one program.
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
    /// Counts a line. Whether it is logged; and how many were lost before, if that is to be told first.
    pub(super) fn hear(&mut self, program: &str, now: Instant) -> (bool, u64) {
        let fresh = || Spent { since: now, logged: 0, lost: 0, is_told: false };
        let spent = self.0.entry(program.to_owned()).or_insert_with(fresh);
        let is_over = now.saturating_duration_since(spent.since) >= WITHIN;
        let lost = if is_over { std::mem::replace(spent, fresh()).lost } else { 0 };
        let is_logged = spent.logged < MOST_LINES;
        if is_logged {
            spent.logged += 1;
        } else {
            spent.lost += 1;
        }
        (is_logged, lost)
    }

    /// A run has said all that it says: how many lines were lost, if that is to be told. Once in the time
    /// is enough, however many runs there are; the others are told of in the next one.
    pub(super) fn end(&mut self, program: &str) -> u64 {
        let Some(spent) = self.0.get_mut(program).filter(|spent| !spent.is_told) else { return 0 };
        spent.is_told = spent.lost > 0;
        std::mem::take(&mut spent.lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_often_a_program_runs_it_fills_no_log() {
        let (mut said, start) = (Said::default(), Instant::now());
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
}
