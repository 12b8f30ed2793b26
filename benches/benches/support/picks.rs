//! One pick, one flow, and pingora's nearest to either.

use std::collections::BTreeSet;
use std::hint::black_box;
use std::time::Instant;

use futures::FutureExt;
use lb_core::{Director, Flow, Pool};
use pingora_load_balancing::selection::{BackendIter, BackendSelection};
use pingora_load_balancing::{Backend as PingoraBackend, Backends, LoadBalancer, discovery};
use rand::Rng;

use super::backends::{GOLDEN, Weights, address, rng};
use super::measure::Contender;

/// pingora's cap on candidates per pick; the first one is always ready here.
const MOST_CANDIDATES: usize = 256;

/// `Pool::pick` for one key after the other.
pub(crate) fn pick(name: impl Into<String>, pool: Pool) -> Contender<'static> {
    pick_by(name, pool, rng(), |key| key)
}

/// The same with a generator and a hash of the key.
pub(crate) fn pick_by(
    name: impl Into<String>,
    pool: Pool,
    mut rng: impl Rng + 'static,
    hash: impl Fn(u64) -> u64 + 'static,
) -> Contender<'static> {
    let mut key = 0_u64;
    Contender::ours(name, move |times| {
        for _ in 0..times {
            key = key.wrapping_add(GOLDEN);
            pick_once(&pool, hash(key), &mut rng);
        }
    })
}

/// A pick whose result is looked at, as a caller does.
#[inline]
pub(crate) fn pick_once(pool: &Pool, hash: u64, rng: &mut dyn Rng) {
    let backend = pool.pick(black_box(&Flow::new(hash)), rng);
    black_box(backend.expect("there is always somebody"));
}

/// `Director::assign` and the end of the lease.
pub(crate) fn assign(name: impl Into<String>, pool: Pool) -> Contender<'static> {
    let director: Director<u64> = Director::new(pool);
    let (now, mut rng, mut client) = (Instant::now(), rng(), 0_u64);
    Contender::ours(name, move |times| {
        for _ in 0..times {
            client = client.wrapping_add(GOLDEN);
            assign_once(&director, now, client, &mut rng);
        }
    })
}

#[inline]
pub(crate) fn assign_once(director: &Director<u64>, now: Instant, client: u64, rng: &mut dyn Rng) {
    let lease = director.assign(now, black_box(&client), &[], rng);
    black_box(lease.expect("there is always somebody").id());
}

/// pingora's `select`, which counts nothing.
pub(crate) fn select<S>(
    name: &str,
    against: &'static [&'static str],
    size: usize,
    weight: Weights,
) -> Contender<'static>
where
    S: BackendSelection + Send + Sync + 'static,
    S::Iter: BackendIter,
{
    let balancer = pingora::<S>(size, weight);
    let mut key = 0_u64;
    Contender::peer(name, against, move |times| {
        for _ in 0..times {
            key = key.wrapping_add(GOLDEN);
            select_once(&balancer, key);
        }
    })
}

#[inline]
pub(crate) fn select_once<S>(balancer: &LoadBalancer<S>, key: u64)
where
    S: BackendSelection + 'static,
    S::Iter: BackendIter,
{
    let key = key.to_ne_bytes();
    let backend = black_box(balancer.select(black_box(&key), MOST_CANDIDATES));
    assert!(backend.is_some(), "every backend is ready");
}

pub(crate) fn pingora<S>(size: usize, weight: Weights) -> LoadBalancer<S>
where
    S: BackendSelection + Send + Sync + 'static,
    S::Iter: BackendIter,
{
    let backends: BTreeSet<PingoraBackend> = (0..size)
        .map(|n| PingoraBackend::new_with_weight(&address(n).to_string(), weight(n).into()))
        .map(|backend| backend.expect("an address"))
        .collect();
    let balancer = LoadBalancer::from_backends(Backends::new(discovery::Static::new(backends)));
    let updated = balancer.update().now_or_never().expect("a static set is there at once");
    updated.expect("a static set is always found");
    balancer
}
