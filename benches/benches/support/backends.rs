//! The backends that all contenders choose among.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use lb_core::backend::BackendId;
use lb_core::{Backend, Pool, Scheduler, Weight};
use rand::SeedableRng;
use rand::rngs::SmallRng;

/// The weight of a backend, by its number.
pub(crate) type Weights = fn(usize) -> u16;

pub(crate) fn equal(_: usize) -> u16 {
    1
}

pub(crate) fn uneven(n: usize) -> u16 {
    n as u16 % 5 + 1
}

pub(crate) fn address(n: usize) -> SocketAddr {
    (Ipv4Addr::from_bits(0x0a00_0001 + n as u32), 80).into()
}

pub(crate) fn backend(n: usize) -> Backend {
    Backend::new(BackendId::new(n as u32), address(n).to_string(), address(n))
}

pub(crate) fn pool(size: usize, scheduler: &dyn Scheduler, weight: Weights) -> Pool {
    pool_of(size, scheduler, weight, |_, backend| backend)
}

/// A pool of backends that are something besides.
pub(crate) fn pool_of(
    size: usize,
    scheduler: &dyn Scheduler,
    weight: Weights,
    besides: impl Fn(usize, Backend) -> Backend,
) -> Pool {
    let member = |n| (Arc::new(besides(n, backend(n))), Weight::new(weight(n)));
    Pool::new((0..size).map(member), scheduler)
}

pub(crate) fn rng() -> SmallRng {
    SmallRng::seed_from_u64(1)
}

/// Steps by this visit all of 64 bits evenly.
pub(crate) const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
