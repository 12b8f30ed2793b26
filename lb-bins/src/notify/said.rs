//! How much of what programs say is logged: nobody reads more, and the log is not their own.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, Instant};

/// So many lines of a program are logged in this time, over all its runs, and each only once: some run every
/// second, and say the same each time.
const MOST_LINES: usize = 100;
const WITHIN: Duration = Duration::from_secs(60);

/// What was logged of each program: of as many as are configured.
#[derive(Debug, Default)]
pub(super) struct Said {
    spent: HashMap<String, Spent>,
    hasher: RandomState,
}

/// Of one program.
#[derive(Debug)]
struct Spent {
    since: Instant,
    /// What was logged, in short.
    logged: HashSet<u64>,
    /// Lines that are in no log, and of which nobody was told yet.
    lost: u64,
    /// Whether somebody was, in this time.
    is_told: bool,
}

impl Said {
    /// Counts a line. Whether it is logged; and how many were lost before, if that is to be told first.
    pub(super) fn hear(&mut self, program: &str, line: &[u8], now: Instant) -> (bool, u64) {
        let fresh = || Spent { since: now, logged: HashSet::new(), lost: 0, is_told: false };
        let line = self.hasher.hash_one(line);
        let spent = self.spent.entry(program.to_owned()).or_insert_with(fresh);
        let is_over = now.saturating_duration_since(spent.since) >= WITHIN;
        let lost = if is_over { std::mem::replace(spent, fresh()).lost } else { 0 };
        let is_logged = spent.logged.len() < MOST_LINES && spent.logged.insert(line);
        spent.lost += u64::from(!is_logged);
        (is_logged, lost)
    }

    /// A run has said all that it says: how many lines were lost, if that is to be told. Once in the time
    /// is enough, however many runs there are; the others are told of in the next one.
    pub(super) fn end(&mut self, program: &str) -> u64 {
        let Some(spent) = self.spent.get_mut(program).filter(|spent| !spent.is_told) else {
            return 0;
        };
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
        let mut run = |second: u64| {
            let now = start + Duration::from_secs(second);
            let lines: [_; 70] = std::array::from_fn(|line| format!("{second} {line}"));
            let heard = lines.map(|line| said.hear("noisy", line.as_bytes(), now));
            let logged = heard.iter().filter(|(is_logged, _)| *is_logged).count();
            let lost: u64 = heard.iter().map(|(_, lost)| lost).sum();
            // Another one has as much for itself.
            assert!(said.hear("quiet", second.to_string().as_bytes(), now).0);
            (logged, lost, said.end("noisy"))
        };
        assert_eq!([0, 1, 2, 3].map(&mut run), [(70, 0, 0), (30, 0, 40), (0, 0, 0), (0, 0, 0)]);
        // Nothing that is lost is told of never, or twice.
        assert_eq!([60, 61].map(&mut run), [(70, 140, 0), (30, 0, 40)]);
    }
    /// A script that cannot be run says so every second.
    #[test]
    fn what_is_said_again_and_again_is_logged_once_a_minute() {
        let (mut said, start) = (Said::default(), Instant::now());
        let mut run = |second| {
            let now = start + Duration::from_secs(second);
            let (is_logged, lost) = said.hear("broken", b"no such file\n", now);
            (is_logged, lost + said.end("broken"))
        };
        assert_eq!(run(0), (true, 0));
        let heard: Vec<_> = (1..60).map(&mut run).collect();
        assert!(heard.iter().all(|(is_logged, _)| !is_logged));
        assert_eq!(heard.iter().map(|(_, lost)| lost).sum::<u64>(), 1, "told of at once, once");
        assert_eq!(run(60), (true, 58));
    }
}
