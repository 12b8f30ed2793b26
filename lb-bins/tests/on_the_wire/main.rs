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
mod bgp;
mod carp;
mod cloud;
mod daemon;
mod databases;
mod dialect;
mod directors;
mod figures;
mod hanging;
mod host;
mod lab;
mod logs;
mod many;
mod privileges;
mod probe;
mod rejects;
mod reloads;
mod story;

use std::sync::{Mutex, PoisonError, RwLock};
use std::thread;

use daemon::Kind;
use dialect::Dialect;
use lab::is_possible;

/// Who is better, and who is beside it: with a file of its own, or that of its peer.
const PAIRS: [(Kind, Kind); 3] =
    [(Kind::Ours, Kind::Keepalived), (Kind::Keepalived, Kind::Migrated), (Kind::Ours, Kind::Ours)];

/// Whoever needs the machine for itself writes, whoever only waits reads: tests of one binary must not
/// be each other's load.
static ALONE: RwLock<()> = RwLock::new(());

/// How many are played at once: they mostly wait.
const AT_ONCE: usize = 12;

#[test]
#[ignore = "needs root and keepalived"]
fn every_dialect_beside_every_peer() {
    if !is_possible() {
        return;
    }
    let _alone = ALONE.read().unwrap_or_else(PoisonError::into_inner);
    let cells = PAIRS.iter().flat_map(|pair| Dialect::ALL.map(|dialect| (dialect, *pair)));
    // The slow ones first, so that nobody waits for them in the end.
    // While something is looked for: `WIRE_ONLY=UnicastV6`.
    let only = std::env::var("WIRE_ONLY").ok();
    let is_wanted = |dialect: Dialect| only.as_ref().is_none_or(|o| *o == format!("{dialect:?}"));
    let mut cells: Vec<_> = cells.filter(|(dialect, _)| is_wanted(*dialect)).collect();
    cells.sort_by_key(|(dialect, _)| dialect.interval());
    let cells = Mutex::new(cells);
    let failed = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((dialect, pair)) = { cells.lock().unwrap().pop() } {
                    let played = thread::spawn(move || story::play(dialect, pair)).join();
                    match played {
                        Ok(story) => eprintln!("{story}"),
                        Err(_) => failed.lock().unwrap().push((dialect, pair)),
                    }
                }
            });
        }
    });
    // Timing is part of it, and the machine may have been too busy: who fails does so again alone.
    let mut failed = failed.into_inner().unwrap();
    failed.retain(|&(dialect, pair)| {
        eprintln!("{dialect:?}, {pair:?}: once more, alone");
        match thread::spawn(move || story::play(dialect, pair)).join() {
            Ok(story) => eprintln!("{story}"),
            Err(_) => return true,
        }
        false
    });
    assert!(failed.is_empty(), "{failed:?}");
}
