//! What the benches share.

#![allow(dead_code, unused_imports, reason = "every bench takes its part")]

mod allocations;
mod backends;
mod measure;
mod picks;
mod table;

pub(crate) use allocations::{allocations_of, held_by};
pub(crate) use backends::{GOLDEN, Weights, address, equal, pool, pool_of, rng, uneven};
pub(crate) use measure::{Contender, Cost, measure};
pub(crate) use picks::{
    assign, assign_once, pick, pick_by, pick_once, pingora, select, select_once,
};
pub(crate) use table::{Bars, find, print};
