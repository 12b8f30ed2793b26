//! vip-keeper beside keepalived and beside itself, over real links: who has the address, what a client
//! notices, and what is said on the wire.
//!
//! Needs root, `ip` and `keepalived`: `cargo test -p lb-bins --test on_the_wire -- --ignored`. Namespaces
//! are made and removed by each test, and only processes that it started are ended, by their ids.
//!
//! Which host has the address, and in which order, is asserted, and how long clients go without it as
//! far as a busy machine does not decide that. How much better it is than that is measured:
//! `WIRE_RUNS=10 VIP_KEEPER=target/release/vip-keeper cargo test … -- --ignored --nocapture` prints what
//! `benches/RESULTS.md` has.

#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::disallowed_methods, reason = "this is about real hosts, in real time")]

mod accept;
mod alerts;
mod beside;
mod bgp;
mod carp;
mod cloud;
mod daemon;
mod databases;
mod dialect;
mod directors;
mod figures;
mod goals;
mod hanging;
mod host;
mod lab;
mod logs;
mod many;
mod notified;
mod parallel;
mod privileges;
mod probe;
mod rejects;
mod reloads;
mod still;
mod story;
mod tracking;

use std::sync::RwLock;

use daemon::Kind;
use dialect::Dialect;
use lab::is_possible;

/// Who is better, and who is beside it: with a file of its own, or that of its peer.
const PAIRS: [(Kind, Kind); 3] =
    [(Kind::Ours, Kind::Keepalived), (Kind::Keepalived, Kind::Migrated), (Kind::Ours, Kind::Ours)];

/// Whoever needs the machine for itself writes, whoever only waits reads: tests of one binary must not
/// be each other's load.
static ALONE: RwLock<()> = RwLock::new(());

#[test]
#[ignore = "needs root and keepalived"]
fn every_dialect_beside_every_peer() {
    if !is_possible() {
        return;
    }
    let cells = PAIRS.iter().flat_map(|pair| Dialect::ALL.map(|dialect| (dialect, *pair)));
    // While something is looked for: `WIRE_ONLY=UnicastV6`.
    let only = std::env::var("WIRE_ONLY").ok();
    let is_wanted = |dialect: Dialect| only.as_ref().is_none_or(|o| *o == format!("{dialect:?}"));
    let mut cells: Vec<_> = cells.filter(|(dialect, _)| is_wanted(*dialect)).collect();
    // The slow ones first, so that nobody waits for them in the end.
    cells.sort_by_key(|(dialect, _)| dialect.interval());
    parallel::play_all(cells, |(dialect, pair)| eprintln!("{}", story::play(dialect, pair)));
}
