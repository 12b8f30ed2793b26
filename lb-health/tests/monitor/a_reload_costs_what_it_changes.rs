//! A reload of which a little is new costs as much as that, however many checks there are (X5), and tells
//! nobody of the others (X4).
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::world;

use std::cell::Cell;
use std::hash::{Hash, Hasher};
use std::time::Instant;

use lb_health::monitor::Action;
use lb_health::{CheckId, CheckSpec, Monitor, Report};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use world::millis;

thread_local! {
    /// How often keys were compared or hashed.
    static LOOKS: Cell<u64> = const { Cell::new(0) };
}

/// A key that counts who looks at it.
#[derive(Clone, Copy, Debug, Eq)]
struct Key(u32);

fn look() {
    LOOKS.set(LOOKS.get() + 1);
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        look();
        self.0 == other.0
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        look();
        self.0.hash(state);
    }
}

struct Watched {
    now: Instant,
    monitor: Monitor<Key>,
    checks: Vec<CheckId>,
}

/// So many backends that are up, each second pair of them with one check.
fn all_up(count: u32) -> Watched {
    let (now, mut rng) = (world::origin(), SmallRng::seed_from_u64(1));
    let mut monitor = Monitor::new();
    let mut checks = Vec::new();
    for number in (0..count).step_by(2) {
        let check = monitor.watch(now, Key(number), CheckSpec::default(), &mut rng);
        monitor.share(now, check, Key(number + 1));
        checks.push(check);
    }
    let mut watched = Watched { now: now + millis(1), monitor, checks };
    watched.monitor.handle_timeout(watched.now);
    while let Some(action) = watched.monitor.poll_action() {
        if let Action::Run(run) = action {
            watched.monitor.handle_result(watched.now, run, Ok(Report::ALIVE));
        }
    }
    watched
}

/// Changes some of them; answers how many looks that took, and what was told.
fn reload(watched: &mut Watched) -> (u64, usize) {
    let Watched { now, monitor, checks } = watched;
    let (spec, mut rng) = (CheckSpec::default().with_fall(7).unwrap(), SmallRng::seed_from_u64(2));
    let before = LOOKS.get();
    let pairs = (0..).step_by(2).zip(checks.iter().copied());
    for (number, check) in pairs.take(100) {
        match number % 8 {
            0 => monitor.replace(*now, check, spec.clone()),
            2 => {
                monitor.split(*now, check, Key(number + 1), spec.clone(), &mut rng);
            }
            4 => monitor.release(check, Key(number + 1)),
            _ => monitor.forget(Key(number)),
        }
    }
    let mut told = 0;
    while let Some(action) = monitor.poll_action() {
        told += usize::from(matches!(action, Action::Notify(_)));
    }
    (LOOKS.get() - before, told)
}

#[test]
fn what_stays_costs_nothing_and_is_told_nobody() {
    let [few, many] = [200, 20_000].map(|count| reload(&mut all_up(count)));
    // A look at a key more or less depends on where it is in its table.
    assert!(many.0 <= few.0 + few.0 / 4, "{} looks among few, {} among many", few.0, many.0);
    // Who has no check left is up, as he was; and so is everybody else.
    assert_eq!((few.1, many.1), (0, 0));
}
