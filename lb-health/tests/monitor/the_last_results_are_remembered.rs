//! A check remembers how its last runs ended, alike ones in one entry, against a naive list of all.
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use std::time::{Duration, Instant};

use lb_health::monitor::Action;
use lb_health::status_ranges::StatusRanges;
use lb_health::trace::Phase;
use lb_health::{CheckError, CheckSpec, Monitor, Report};
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::SmallRng;

fn result(number: u8) -> Result<Report, CheckError> {
    match number {
        0 => Ok(Report::ALIVE),
        1 => Err(CheckError::Refused),
        2 => Err(CheckError::Timeout { phase: Phase::Connect }),
        4 => Err(CheckError::Status { got: 404, wanted: StatusRanges::default() }),
        // The same cause with another word of it is another entry.
        5 => Err(CheckError::Status { got: 502, wanted: StatusRanges::default() }),
        6 => Err(CheckError::rejected("a replica")),
        7 => Err(CheckError::rejected("loading")),
        // The same error in another phase is another cause.
        _ => Err(CheckError::Timeout { phase: Phase::Response }),
    }
}

proptest! {
    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant serves as the origin")]
    fn equals_a_list_of_all(
        results in prop::collection::vec(0_u8..8, 0..60),
        limit in 1_usize..12,
    ) {
        let mut now = Instant::now();
        let mut monitor = Monitor::new().with_history(limit.try_into().unwrap());
        let mut rng = SmallRng::seed_from_u64(0);
        let check = monitor.watch(now, 0_u8, CheckSpec::default(), &mut rng);
        let mut all: Vec<(Instant, u8)> = Vec::new();
        for number in results {
            now = monitor.next_deadline().unwrap();
            monitor.handle_timeout(now);
            while let Some(action) = monitor.poll_action() {
                if let Action::Run(run) = action {
                    now += Duration::from_millis(3);
                    monitor.handle_result(now, run, result(number).map_err(Into::into));
                    all.push((now, number));
                }
            }
            let groups = all.chunk_by(|(_, one), (_, other)| one == other).rev().take(limit);
            let expected: Vec<_> = groups
                .map(|group| {
                    let &(at, number) = group.last().unwrap();
                    let cause = result(number).err().map(|error| error.cause());
                    (at, Duration::from_millis(3), cause, group.len() as u32)
                })
                .collect();
            let check = monitor.check(check).unwrap();
            let remembered: Vec<_> = check
                .recent()
                .map(|outcome| {
                    let cause = outcome.result.as_ref().err().map(lb_health::Failure::cause);
                    (outcome.at, outcome.took, cause, outcome.repeated)
                })
                .collect();
            prop_assert_eq!(&remembered, &expected);
            prop_assert_eq!(check.last().map(|last| last.at), expected.first().map(|first| first.0));
        }
    }
}
