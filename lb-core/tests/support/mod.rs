//! What several tests need: a clock that stands still, dice that are loaded, pools from words.

#![allow(dead_code, reason = "each test uses a part of it")]
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lb_core::backend::BackendId;
use lb_core::{Algorithm, Backend, Flow, Lease, Pool, Scheduler, Weight};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, SeedableRng, TryRng};

/// An instant to count from. Its value has no meaning: only differences are looked at.
#[expect(clippy::disallowed_methods, reason = "there is no other way to make an Instant")]
pub(crate) fn start() -> Instant {
    Instant::now()
}

/// The instant `millis` after `start`.
pub(crate) fn after(start: Instant, millis: u64) -> Instant {
    start + Duration::from_millis(millis)
}

/// A generator of nothing but zeros: whoever draws with it gets the first.
pub(crate) struct Zeros;

impl TryRng for Zeros {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(0)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(0)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.fill(0);
        Ok(())
    }
}

/// A generator that gives the same numbers for a seed everywhere.
pub(crate) fn seeded(seed: u64) -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(seed)
}

/// Backends `A`, `B`, … with ids 0, 1, … and these weights.
pub(crate) fn alphabet(weights: &[u16]) -> Vec<(Arc<Backend<()>>, Weight)> {
    ('A'..)
        .zip(0..)
        .zip(weights)
        .map(|((name, id), &weight)| {
            let backend = Backend::new(BackendId::new(id), name.to_string(), ());
            (Arc::new(backend), Weight::new(weight))
        })
        .collect()
}

/// A pool of `A`, `B`, … with these weights.
pub(crate) fn pool(algorithm: Algorithm, weights: &[u16]) -> Pool<()> {
    rebuilt(&*algorithm.scheduler_at(0), weights)
}

/// The same over a scheduler that has a past.
pub(crate) fn rebuilt(previous: &dyn Scheduler, weights: &[u16]) -> Pool<()> {
    Pool::new(alphabet(weights), previous)
}

/// Whom `count` flows go to, one letter each; every flow stays.
pub(crate) fn letters(pool: &Pool<()>, count: usize, rng: &mut dyn Rng) -> String {
    let leases: Vec<_> = (0..count as u64)
        .map(|number| Lease::new(Arc::clone(pool.pick(&Flow::new(number), rng).unwrap())))
        .collect();
    leases.iter().map(|lease| lease.name().to_owned()).collect()
}

/// How often each member is picked by `flows`, none of which stays.
pub(crate) fn tally(
    pool: &Pool<()>,
    flows: impl IntoIterator<Item = u64>,
    rng: &mut dyn Rng,
) -> Vec<u64> {
    let mut counts = vec![0; pool.members().len()];
    for hash in flows {
        counts[index(pool, &Flow::new(hash), rng).unwrap()] += 1;
    }
    counts
}

/// The scheduler's own choice.
pub(crate) fn index(pool: &Pool<()>, flow: &Flow<'_>, rng: &mut dyn Rng) -> Option<usize> {
    pool.scheduler().pick(pool.members(), flow, rng)
}
