//! What the benches of health checks share: targets in a process of their own, so that only the
//! checks are measured, and what this process took.

#![allow(dead_code, unused_imports, reason = "every bench takes its part")]

mod bars;
mod process;
mod targets;

pub(crate) use bars::{Bars, Spread};
pub(crate) use process::{Meter, left_in_time_wait, resident};
pub(crate) use targets::{Kind, Targets, serve};

use rand::SeedableRng;
use rand::rngs::SmallRng;

pub(crate) fn rng() -> SmallRng {
    SmallRng::seed_from_u64(0x00C0_FFEE)
}

/// A runtime of this thread alone: what it does is what one core does.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}
