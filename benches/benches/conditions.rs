//! What a pick costs where not everybody is idle, well and alike: in groups, with full members, with
//! one that fails, with much to do. And what it costs at the least to look at all counters.
//!
//! There are no peers: none of them has these conditions. An allocation fails the run.

mod support;

use std::hint::black_box;
use std::num::NonZeroU32;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lb_core::backend::{Limits, Outcome};
use lb_core::scheduler::{Priorities, Zones};
use lb_core::{Algorithm, Backend, Lease, Pool, Scheduler};

use support::{Bars, Contender, equal, measure, pick, pool, pool_of, print};

const SIZES: [usize; 3] = [10, 100, 1000];
const ROUNDS: usize = 101;

const SCHEDULERS: [Algorithm; 7] = [
    Algorithm::Rr,
    Algorithm::P2c,
    Algorithm::PeakEwma,
    Algorithm::LeastTime,
    Algorithm::Lc,
    Algorithm::Wlc,
    Algorithm::Mh,
];

fn main() -> ExitCode {
    let mut bars = Bars::default();
    for size in SIZES {
        for (title, contenders) in [
            ("in groups", groups(size)),
            ("a tenth full", with(size, "a tenth full", tenth_full)),
            ("one fails", with(size, "one fails", one_fails)),
            ("all busy", all_busy(size)),
        ] {
            let costs = measure(contenders, ROUNDS);
            print(&format!("one pick of {size} backends, {title}"), &costs);
            bars.no_allocations(&costs);
        }
    }
    bars.verdict("no pick of ours allocates")
}

/// Two groups of half of the backends each; of the zones, the near one keeps all.
fn groups(size: usize) -> Vec<Contender<'static>> {
    let grouped = |name: String, scheduler: &dyn Scheduler| {
        let pool = pool_of(size, scheduler, equal, |n, backend| {
            let zone = if n % 2 == 0 { "near" } else { "far" };
            backend.at_priority((n % 2) as u8).in_zone(Some(zone.into()))
        });
        pick(name, pool)
    };
    let mut contenders = Vec::new();
    for one in [Algorithm::Wlc, Algorithm::Mh] {
        contenders.push(pick(one.name(), pool(size, &*one.scheduler(), equal)));
        let priorities = Priorities::around(one.scheduler());
        contenders.push(grouped(format!("{one} in priorities"), &priorities));
        let zones = Zones::around("near", one.scheduler());
        contenders.push(grouped(format!("{one} in zones"), &zones));
        let both = Zones::around("near", Arc::new(Priorities::around(one.scheduler())));
        contenders.push(grouped(format!("{one} in priorities in zones"), &both));
    }
    contenders
}

fn with(size: usize, what: &str, pool: fn(usize, Algorithm) -> Pool) -> Vec<Contender<'static>> {
    SCHEDULERS.map(|one| pick(format!("{one}, {what}"), pool(size, one))).into()
}

/// Every backend takes a flow, and every tenth has it.
fn tenth_full(size: usize, algorithm: Algorithm) -> Pool {
    let limits = Limits::NONE.at_most(NonZeroU32::MIN);
    let pool = pool_of(size, &*algorithm.scheduler(), equal, |_, one: Backend| {
        one.set_limits(limits);
        one
    });
    for backend in pool.backends().iter().step_by(10) {
        std::mem::forget(Lease::new(Arc::clone(backend)));
    }
    pool
}

/// One of them only ever fails; every other one has a flow.
fn one_fails(size: usize, algorithm: Algorithm) -> Pool {
    let (pool, now) = (pool(size, &*algorithm.scheduler(), equal), Instant::now());
    for _ in 0..100 {
        let lease = Lease::new(Arc::clone(&pool.backends()[size / 2]));
        lease.report(now, Outcome::Failure);
    }
    for backend in pool.backends().iter().step_by(2) {
        std::mem::forget(Lease::new(Arc::clone(backend)));
    }
    pool
}

/// One to seven flows each, which take one to ten milliseconds.
fn all_busy(size: usize) -> Vec<Contender<'static>> {
    let busy = |algorithm: Algorithm| {
        let (pool, now) = (pool(size, &*algorithm.scheduler(), equal), Instant::now());
        for (n, backend) in pool.backends().iter().enumerate() {
            for _ in 0..=(n * 5 % 7) {
                let lease = Lease::new(Arc::clone(backend)).since(now);
                let took = Duration::from_millis((n % 10) as u64 + 1);
                lease.report(now + took, Outcome::Success);
                std::mem::forget(lease);
            }
        }
        pool
    };
    let mut contenders: Vec<_> =
        SCHEDULERS.map(|one| pick(format!("{one}, all busy"), busy(one))).into();
    let pool = busy(Algorithm::Wlc);
    contenders.push(Contender::ours("every counter read, and nothing else", move |times| {
        for _ in 0..times {
            let counters = black_box(&pool).members().iter().map(|member| member.load.active());
            black_box(counters.fold(u32::MAX, u32::min));
        }
    }));
    contenders
}
