//! A flood of new clients takes nothing from those that come back within `min_age`, in whichever shard
//! of a director's table they are; and is served all the same.
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::support;

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use lb_core::backend::BackendId;
use lb_core::hash::HashSeed;
use lb_core::persistence::PersistenceConfig;
use lb_core::{Algorithm, Director, Pool};
use support::start;

/// Four shards.
const CAPACITY: usize = 4_096;
const KNOWN: u64 = 3_000;
const FLOOD: u64 = 20_000;
const MIN_AGE: Duration = Duration::from_secs(10);
const SECOND: Duration = Duration::from_secs(1);

struct Stage {
    director: Director<u64, ()>,
    start: Instant,
    /// Where each known client was sent first.
    homes: Vec<BackendId>,
    /// The next client that nobody has seen.
    next: u64,
}

impl Stage {
    /// All that are known have come, now.
    fn new(min_age: Duration) -> Self {
        let backends = ["a", "b", "c", "d", "e", "f", "g"].map(|name| (name, ()));
        let config = PersistenceConfig::new(3_600 * SECOND, NonZeroUsize::new(CAPACITY).unwrap())
            .min_age(min_age)
            .seed(HashSeed::new([1, 2]));
        let director = Director::new(Pool::named(backends, &*Algorithm::Rr.scheduler_at(0)))
            .with_persistence_config(&config);
        let mut stage = Self { director, start: start(), homes: Vec::new(), next: KNOWN };
        stage.homes = (0..KNOWN).map(|client| stage.assign(Duration::ZERO, client)).collect();
        stage
    }

    fn assign(&self, after: Duration, client: u64) -> BackendId {
        let now = self.start + after;
        self.director.assign(now, &client, &[], &mut support::Zeros).unwrap().id()
    }

    /// Each of a flood comes once.
    fn flood(&mut self, after: Duration) {
        for client in self.next..self.next + FLOOD {
            self.assign(after, client);
        }
        self.next += FLOOD;
    }

    /// How many of those that are known are sent elsewhere: each that is forgotten, but for one in
    /// seven, to which chance is kind.
    fn moved(&self, after: Duration) -> usize {
        let homes = (0..KNOWN).zip(&self.homes);
        homes.filter(|&(client, home)| self.assign(after, client) != *home).count()
    }
}

#[test]
fn whoever_comes_back_in_time_stays_through_any_flood() {
    let mut stage = Stage::new(MIN_AGE);
    for wave in 1..=4 {
        let after = wave * (MIN_AGE - SECOND);
        stage.flood(after);
        assert_eq!(stage.moved(after), 0, "in wave {wave}");
    }
}

#[test]
fn whoever_comes_back_later_may_have_made_room() {
    let mut stage = Stage::new(MIN_AGE);
    stage.flood(MIN_AGE + SECOND);
    assert!(stage.moved(MIN_AGE + SECOND) as u64 > KNOWN / 2);
}

#[test]
fn without_it_a_flood_pushes_them_out() {
    let mut stage = Stage::new(Duration::ZERO);
    stage.flood(MIN_AGE - SECOND);
    assert!(stage.moved(MIN_AGE - SECOND) as u64 > KNOWN / 2);
}
