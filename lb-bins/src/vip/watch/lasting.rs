//! Whether there are enough processes, or not enough, for long enough that it counts.

use std::collections::HashSet;
use std::time::Instant;

use lb_vrrp::Signal;
use rustix::process::Pid;

use super::process::judge;
use crate::config::VrrpTrackProcess;

/// What counts, and what may soon. Pure: it is told what there is, and when.
///
/// What starts and ends again and again is never there for long, and must not count as there because it happens
/// to be when somebody looks. So a delay begins anew whenever the number crosses the quorum, as in keepalived,
/// which is told of every start and end: here, whatever comes and goes between two looks is told by who is left.
#[derive(Debug, Default)]
pub(super) struct Lasting {
    known: Option<Signal>,
    change: Option<Change>,
}

/// Another signal than the known one, that does not count yet.
#[derive(Debug)]
struct Change {
    signal: Signal,
    since: Instant,
    /// Who was there at the last look.
    found: HashSet<Pid>,
}

impl Lasting {
    /// Takes who is there `now`; answers what counts from now on, if that is news. What is there at first is no
    /// change, and counts at once. O(n).
    pub(super) fn look(
        &mut self,
        watched: &VrrpTrackProcess,
        now: Instant,
        found: &[Pid],
    ) -> Option<Signal> {
        let signal = judge(watched, found.len());
        if self.known == Some(signal) {
            self.change = None;
            return None;
        }
        let since = match &self.change {
            Some(change) if change.lasts(watched, found) => change.since,
            _ => now,
        };
        self.change = Some(Change { signal, since, found: found.iter().copied().collect() });
        if self.known.is_some() && self.due(watched).is_some_and(|due| due > now) {
            return None;
        }
        self.change = None;
        self.known = Some(signal);
        self.known
    }

    /// When what there is counts, if nothing changes until then: to be looked at then.
    pub(super) fn due(&self, watched: &VrrpTrackProcess) -> Option<Instant> {
        let Change { signal, since, .. } = self.change.as_ref()?;
        let delay = match signal {
            Signal::Up => watched.up_delay,
            _ => watched.down_delay,
        };
        // What lasts for longer than any clock never counts.
        since.checked_add(delay)
    }
}

impl Change {
    /// Whether there were as many all the time since the last look, as far as can be told.
    fn lasts(&self, watched: &VrrpTrackProcess, found: &[Pid]) -> bool {
        let stayed = found.iter().filter(|pid| self.found.contains(pid)).count();
        judge(watched, stayed) == self.signal
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::ParameterMatch;

    const SECOND: Duration = Duration::from_secs(1);

    fn watched(quorum: u32, quorum_max: Option<u32>) -> VrrpTrackProcess {
        VrrpTrackProcess {
            name: "it".into(),
            process: "it".into(),
            parameters: None,
            parameter_match: ParameterMatch::Exact,
            quorum,
            quorum_max,
            up_delay: 5 * SECOND,
            down_delay: 3 * SECOND,
            weight: 0,
        }
    }

    /// What is told after each of these looks: seconds, and who is there then.
    fn told(watched: &VrrpTrackProcess, looks: &[(u32, &[i32])]) -> Vec<(u32, Signal)> {
        let (origin, mut lasting) = (Instant::now(), Lasting::default());
        let mut told = Vec::new();
        for &(second, found) in looks {
            let found: Vec<_> = found.iter().map(|pid| Pid::from_raw(*pid).unwrap()).collect();
            let now = origin + second * SECOND;
            told.extend(lasting.look(watched, now, &found).map(|signal| (second, signal)));
            // Whoever waits for a change is woken when it is due.
            assert!(lasting.due(watched).is_none_or(|due| due > now));
        }
        told
    }

    #[test]
    fn what_lasts_counts_when_its_time_is_over() {
        let looks: [(_, &[i32]); 7] =
            [(0, &[]), (1, &[7]), (5, &[7]), (6, &[7]), (7, &[]), (9, &[]), (10, &[])];
        let wanted = [(0, Signal::Down), (6, Signal::Up), (10, Signal::Down)];
        assert_eq!(told(&watched(1, None), &looks), wanted);
    }

    /// It lives for four seconds, and is up for none of them, though it is there whenever five are over.
    #[test]
    fn what_starts_again_and_again_is_never_up() {
        let looks: [(_, &[i32]); 8] = [
            (0, &[]),
            (1, &[7]),
            (5, &[]),
            (6, &[8]),
            (10, &[]),
            (11, &[9]),
            (15, &[9]),
            (16, &[9]),
        ];
        assert_eq!(told(&watched(1, None), &looks), [(0, Signal::Down), (16, Signal::Up)]);
        // It was started again before anybody had looked.
        let looks: [(_, &[i32]); 5] = [(0, &[]), (1, &[7]), (5, &[8]), (9, &[8]), (10, &[8])];
        assert_eq!(told(&watched(1, None), &looks), [(0, Signal::Down), (10, Signal::Up)]);
    }

    #[test]
    fn what_is_back_in_time_was_never_away() {
        let looks: [(_, &[i32]); 6] =
            [(0, &[7]), (1, &[]), (3, &[8]), (4, &[]), (6, &[]), (7, &[])];
        assert_eq!(told(&watched(1, None), &looks), [(0, Signal::Up), (7, Signal::Down)]);
    }

    #[test]
    fn whom_the_quorum_does_not_need_may_come_and_go() {
        let looks: [(_, &[i32]); 5] =
            [(0, &[]), (1, &[1, 2]), (3, &[2, 3]), (5, &[2]), (6, &[2, 4])];
        assert_eq!(told(&watched(1, None), &looks), [(0, Signal::Down), (6, Signal::Up)]);
        // One too many.
        let looks: [(_, &[i32]); 5] =
            [(0, &[1]), (1, &[1, 2]), (2, &[1, 3]), (4, &[1, 3]), (5, &[1, 3])];
        assert_eq!(told(&watched(1, Some(1)), &looks), [(0, Signal::Up), (5, Signal::Down)]);
    }
}
