//! What a million remembered clients cost, beside a plain map with timestamps and the `lru` crate.
//!
//! First ours alone. Then all run in the same process, in turns, over the same addresses in the same random order. Timing
//! never fails the run; an allocation in our table does.

mod support;

use std::collections::HashMap;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lb_core::backend::BackendId;
use lb_core::hash::HashSeed;
use lb_core::persistence::PersistenceConfig;
use lb_core::{Algorithm, Backend, Director, PersistenceTable, Pool, Weight};
use lru::LruCache;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use support::{Contender, Cost, find, held_by, measure, print};

const CLIENTS: u32 = 1_000_000;
const CAPACITY: NonZeroUsize = NonZeroUsize::new(CLIENTS as usize).expect("a million");
const BACKENDS: u32 = 100;
const TIMEOUT: Duration = Duration::from_secs(3600);
/// How much time passes between two operations: as much as the bar for look-ups allows.
const PACE: Duration = Duration::from_nanos(125);
const ROUNDS: usize = 201;
/// As long as that takes together with the peers, so that each client comes back many times.
const ROUNDS_ALONE: usize = 4 * ROUNDS;
/// Scanning a map of a million takes milliseconds.
const FEW_ROUNDS: usize = 11;

const OURS: &str = "PersistenceTable";
const MAP: &str = "std HashMap with timestamps";
const LRU: &str = "lru::LruCache with timestamps";
/// One shard of 64 is locked, one pick by rr is not needed.
const DIRECTOR: &str = "Director::assign of a known client";

type Map = HashMap<IpAddr, (BackendId, Instant)>;
type Cache = LruCache<IpAddr, (BackendId, Instant)>;

fn main() -> ExitCode {
    let start = Instant::now();
    let [lookups_alone, evictions_alone] = alone(start);
    let (table_bytes, mut table) = held_by(|| table(start));
    let (map_bytes, mut map) = held_by(|| map(start));
    let (cache_bytes, mut cache) = held_by(|| cache(start));
    let (director_bytes, director) = held_by(|| director(start));
    println!("\n{CLIENTS} remembered clients: bytes an entry");
    for (name, bytes) in
        [(OURS, table_bytes), (MAP, map_bytes), (LRU, cache_bytes), (DIRECTOR, director_bytes)]
    {
        println!("  {name:<44} {:>10.1}", per_entry(bytes));
    }

    let lookups = measure(
        vec![
            ours(|times| lookup(times, start, |now, key| table.get(now, key))),
            map_peer(|times| lookup(times, start, |now, key| look_up_map(&mut map, now, key))),
            cache_peer(|times| {
                lookup(times, start, |now, key| look_up_cache(&mut cache, now, key));
            }),
            Contender::ours(DIRECTOR, |times| {
                let mut rng = SmallRng::seed_from_u64(1);
                lookup(times, start, |now, key| {
                    director.assign(now, key, &[], &mut rng).ok().map(|lease| lease.id())
                });
            }),
        ],
        ROUNDS,
    );
    print("one look-up of a known client, which refreshes it", &lookups);

    let mut news = [CLIENTS; 2];
    let [new, new_to_cache] = &mut news;
    let evictions = measure(
        vec![
            ours(|times| {
                insert(times, start, new, |now, key, backend| {
                    assert!(table.insert(now, key, backend), "without min_age, all are remembered");
                });
            }),
            cache_peer(|times| {
                insert(times, start, new_to_cache, |now, key, backend| {
                    cache.push(key, (backend, now));
                });
            }),
        ],
        ROUNDS,
    );
    print("one new client in a full table, the oldest pushed out", &evictions);

    let (mut backend, mut backend_of_map) = (0, 0);
    let forgettings = measure(
        vec![
            ours(|times| {
                for _ in 0..times {
                    backend = (backend + 1) % BACKENDS;
                    table.forget(black_box(BackendId::new(backend)));
                }
            }),
            map_peer(|times| {
                for _ in 0..times {
                    backend_of_map = (backend_of_map + 1) % BACKENDS;
                    map.retain(|_, (id, _)| id.number() != backend_of_map);
                }
            }),
        ],
        FEW_ROUNDS,
    );
    print("one backend forgotten", &forgettings);

    let costs: [&[Cost]; 5] =
        [&lookups_alone, &lookups, &evictions_alone, &evictions, &forgettings];
    verdict(table_bytes, costs)
}

/// A table that nobody else takes the caches from, beside what the memory gives at most.
fn alone(start: Instant) -> [Vec<Cost>; 2] {
    let (mut table, mut new) = (table(start), CLIENTS);
    let lookups = measure(
        vec![ours(|times| lookup(times, start, |now, key| table.get(now, key)))],
        ROUNDS_ALONE,
    );
    print("one look-up of a known client, nobody else in the caches", &lookups);
    let evictions = measure(
        vec![ours(|times| {
            insert(times, start, &mut new, |now, key, backend| {
                assert!(table.insert(now, key, backend), "without min_age, all are remembered");
            });
        })],
        ROUNDS_ALONE,
    );
    print("one new client in a full table, nobody else in the caches", &evictions);
    drop(table);
    let lines = vec![[1_u64; 8]; CLIENTS as usize * 39 / 64];
    let lines = measure(vec![reads(&lines, true), reads(&lines, false)], ROUNDS);
    print("one line somewhere in 39 MB, and nothing else", &lines);
    [lookups, evictions]
}

fn ours<'a>(run: impl FnMut(u32) + 'a) -> Contender<'a> {
    Contender::ours(OURS, run)
}

fn map_peer<'a>(run: impl FnMut(u32) + 'a) -> Contender<'a> {
    Contender::peer(MAP, &[OURS], run)
}

fn cache_peer<'a>(run: impl FnMut(u32) + 'a) -> Contender<'a> {
    Contender::peer(LRU, &[OURS], run)
}

/// Lines all over the place: each known only when the one before was read, or all known in advance.
fn reads(lines: &[[u64; 8]], one_by_one: bool) -> Contender<'_> {
    let mut rng = SmallRng::seed_from_u64(1);
    let name = if one_by_one { "each known by the one before" } else { "all known in advance" };
    Contender::peer(name, &[], move |times| {
        let mut read = |known: u64| {
            let drawn = u64::from(rng.next_u32()) ^ (known & u64::from(u32::MAX));
            lines[((drawn * lines.len() as u64) >> 32) as usize][0]
        };
        black_box(match one_by_one {
            true => (0..times).fold(0, |sum, _| sum + read(sum)),
            false => (0..times).fold(0, |sum, _| sum + read(0)),
        });
    })
}

/// Random clients, all of them known, and time that passes.
fn lookup(times: u32, start: Instant, mut get: impl FnMut(Instant, &IpAddr) -> Option<BackendId>) {
    let mut rng = SmallRng::seed_from_u64(start.elapsed().as_nanos() as u64);
    let mut now = start + start.elapsed();
    for _ in 0..times {
        now += PACE;
        let client = (u64::from(rng.next_u32()) * u64::from(CLIENTS)) >> 32;
        let backend = get(now, black_box(&address(client as u32)));
        assert!(black_box(backend).is_some(), "every client is known");
    }
}

/// Clients that were never seen before.
fn insert(
    times: u32,
    start: Instant,
    next: &mut u32,
    mut insert: impl FnMut(Instant, IpAddr, BackendId),
) {
    let mut now = start + start.elapsed();
    for _ in 0..times {
        now += PACE;
        *next = next.wrapping_add(1);
        insert(now, black_box(address(*next)), backend(*next));
    }
}

fn look_up_map(map: &mut Map, now: Instant, key: &IpAddr) -> Option<BackendId> {
    let (backend, used) = map.get_mut(key)?;
    let fresh = now.duration_since(*used) < TIMEOUT;
    *used = now;
    fresh.then_some(*backend)
}

fn look_up_cache(cache: &mut Cache, now: Instant, key: &IpAddr) -> Option<BackendId> {
    let (backend, used) = cache.get_mut(key)?;
    let fresh = now.duration_since(*used) < TIMEOUT;
    *used = now;
    fresh.then_some(*backend)
}

fn table(now: Instant) -> PersistenceTable<IpAddr> {
    let mut table = PersistenceTable::with_hasher(TIMEOUT, CAPACITY, seed());
    for client in shuffled() {
        table.insert(now, address(client), backend(client));
    }
    table
}

fn map(now: Instant) -> Map {
    let mut map = HashMap::with_capacity(CAPACITY.get());
    map.extend(shuffled().map(|client| (address(client), (backend(client), now))));
    map
}

fn cache(now: Instant) -> Cache {
    let mut cache = LruCache::new(CAPACITY);
    for client in shuffled() {
        cache.push(address(client), (backend(client), now));
    }
    cache
}

/// Half as much room again: shards fill unevenly, and nobody is to be pushed out here.
fn director(now: Instant) -> Director {
    let member = |n| {
        let endpoint = (Ipv4Addr::from_bits(0x0a00_0001 + n), 80).into();
        (Arc::new(Backend::new(BackendId::new(n), format!("{n}"), endpoint)), Weight::ONE)
    };
    let pool = Pool::new((0..BACKENDS).map(member), &*Algorithm::Rr.scheduler());
    let room = CAPACITY.saturating_add(CAPACITY.get() / 2);
    let config = PersistenceConfig::new(TIMEOUT, room).seed(seed());
    let director = Director::new(pool).with_persistence_config(&config);
    let mut rng = SmallRng::seed_from_u64(1);
    for client in shuffled() {
        drop(director.assign(now, &address(client), &[], &mut rng));
    }
    director
}

fn seed() -> HashSeed {
    HashSeed::new([1, 2])
}

/// Every client once, so that neighbours in time are no neighbours in memory.
fn shuffled() -> impl Iterator<Item = u32> {
    // A prime that does not divide the number of clients: its multiples visit all of them.
    (0..CLIENTS).map(|n| (u64::from(n) * 7_368_787 % u64::from(CLIENTS)) as u32)
}

/// Addresses all over the place, one for each number.
fn address(client: u32) -> IpAddr {
    Ipv4Addr::from_bits(client.wrapping_mul(0x9e37_79b1)).into()
}

fn backend(client: u32) -> BackendId {
    BackendId::new(client % BACKENDS)
}

fn per_entry(bytes: i64) -> f64 {
    bytes as f64 / f64::from(CLIENTS)
}

fn verdict(table_bytes: i64, costs: [&[Cost]; 5]) -> ExitCode {
    let [lookups_alone, lookups, evictions_alone, evictions, forgettings] = costs;
    println!("\nbars, at {CLIENTS} clients");
    let judge =
        |met: bool, bar: String| println!("  {} {bar}", if met { "met   " } else { "MISSED" });
    let bytes = per_entry(table_bytes);
    judge(bytes <= 40.0, format!("{bytes:.1} bytes an entry, at most 40"));
    for (what, bar, costs, how) in [
        ("look-ups", 8.0, lookups_alone, "alone"),
        ("look-ups", 8.0, lookups, "in turns with its peers"),
        ("insert-and-evict", 3.0, evictions_alone, "alone"),
        ("insert-and-evict", 3.0, evictions, "in turns with its peer"),
    ] {
        let rate = 1000.0 / find(costs, OURS).median;
        judge(rate >= bar, format!("{rate:.1} M {what}/s {how}, at least {bar}"));
    }
    let forget = find(forgettings, OURS).median;
    judge(forget < 1000.0, format!("{forget:.0} ns to forget a backend, less than 1000"));

    let ours = costs.into_iter().flatten();
    let allocating = ours.filter(|cost| cost.against.is_empty() && cost.allocations > 0.0);
    let allocating: Vec<_> = allocating.map(|cost| cost.name.as_str()).collect();
    judge(allocating.is_empty(), format!("allocations after construction: {allocating:?}"));
    if allocating.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
