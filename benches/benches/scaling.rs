//! How much more two threads get done than one, with one pool or one director between them, beside
//! pingora's `select` and beside two threads that share nothing.
//!
//! Where others want the cores as well, two threads seldom run at once: so the best of many short
//! windows counts, of one thread and of two, in turns. Nothing here fails the run.

mod support;

use std::hint::{black_box, spin_loop};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use lb_core::{Algorithm, Director};
use pingora_load_balancing::selection::{Consistent, RoundRobin};
use rand::SeedableRng;
use rand::rngs::SmallRng;

use support::{Bars, GOLDEN, assign_once, equal, pick_once, pingora, pool, select_once};

const SIZE: usize = 1000;
const ROUNDS: usize = 25;
/// How many windows a subject has before it is the next one's turn: the first fills the caches.
const TURN: usize = 6;
const WINDOW: Duration = Duration::from_micros(500);
const WARM_UP: Duration = Duration::from_micros(200);
/// What is done between two looks at the clock.
const CHUNK: Duration = Duration::from_micros(10);

/// What a thread does so many times.
type Work<'a> = Box<dyn FnMut(u32) + 'a>;

struct Subject {
    name: String,
    /// At least so many times as much by two threads.
    bar: Option<f64>,
    /// The work of one of the threads.
    worker: Box<dyn Fn(u64) -> Work<'static> + Sync>,
}

/// Operations a second, at best.
#[derive(Clone, Copy, Default)]
struct Best {
    alone: f64,
    together: f64,
}

fn main() -> ExitCode {
    let mut bars = Bars::default();
    for (what, subjects) in [("a pick", picks()), ("a flow", assignments())] {
        bars.of(format!("{what}, {SIZE} backends"));
        println!("\n{what} of {SIZE} backends, by two threads and by one");
        println!("  {:<24} {:>12} {:>12} {:>8}   bar", "", "1: M/s", "2: M/s", "2 over 1");
        let bests = measure(&subjects);
        for (Subject { name, bar, .. }, Best { alone, together }) in subjects.iter().zip(bests) {
            let ratio = together / alone;
            let at_least = bar.map_or(String::new(), |bar| format!("{bar}"));
            println!(
                "  {name:<24} {:>12.1} {:>12.1} {ratio:>8.2}   {at_least}",
                alone / 1e6,
                together / 1e6
            );
            if let Some(bar) = bar {
                bars.judge(ratio >= *bar, format!("{name}: {ratio:.2} x, at least {bar} x"));
            }
        }
    }
    bars.verdict("nothing is required of a shared machine")
}

fn picks() -> Vec<Subject> {
    let ours = Algorithm::ALL.map(|one| {
        let pool = shared(pool(SIZE, &*one.scheduler(), equal));
        let worker = move |thread: u64| {
            let (mut rng, mut key) = (SmallRng::seed_from_u64(thread), thread);
            Box::new(move |times: u32| {
                for _ in 0..times {
                    key = key.wrapping_add(GOLDEN);
                    pick_once(pool, key, &mut rng);
                }
            }) as Work<'static>
        };
        Subject { name: one.name().to_owned(), bar: bar(one), worker: Box::new(worker) }
    });
    ours.into_iter().chain(peers()).collect()
}

fn assignments() -> Vec<Subject> {
    let ours = Algorithm::ALL.map(|one| {
        let director: &Director<u64> = shared(Director::new(pool(SIZE, &*one.scheduler(), equal)));
        let now = Instant::now();
        let worker = move |thread: u64| {
            let (mut rng, mut key) = (SmallRng::seed_from_u64(thread), thread);
            Box::new(move |times: u32| {
                for _ in 0..times {
                    key = key.wrapping_add(GOLDEN);
                    assign_once(director, now, key, &mut rng);
                }
            }) as Work<'static>
        };
        Subject { name: one.name().to_owned(), bar: bar(one), worker: Box::new(worker) }
    });
    ours.into_iter().chain(peers()).collect()
}

fn peers() -> [Subject; 4] {
    let round_robin = shared(pingora::<RoundRobin>(SIZE, equal));
    let consistent = shared(pingora::<Consistent>(SIZE, equal));
    let repeat = |name: &str, work: fn(u64) -> Work<'static>| Subject {
        name: name.to_owned(),
        bar: None,
        worker: Box::new(work),
    };
    let nothing_shared = repeat("nothing shared", |mut key| {
        Box::new(move |times: u32| {
            for _ in 0..times {
                key = black_box(key ^ key >> 31).wrapping_mul(GOLDEN);
            }
        })
    });
    // As above each multiplication waits for the one before, and here for none: what then gets less
    // than twice as much by two threads are processors that share their arithmetic units.
    let all_units = repeat("nothing shared, all units", |mut key| {
        Box::new(move |times: u32| {
            for _ in 0..times {
                key = black_box(key.wrapping_add(GOLDEN));
                let products = (1..=64_u64).map(|seat| u128::from(key ^ seat) * u128::from(!key));
                black_box(products.fold(0, |sum, wide| sum ^ wide as u64 ^ (wide >> 64) as u64));
            }
        })
    });
    let select = |name: &str, select: Box<dyn Fn(u64) + Sync>| {
        let select = shared(select);
        let worker = move |mut key: u64| {
            Box::new(move |times: u32| {
                for _ in 0..times {
                    key = key.wrapping_add(GOLDEN);
                    select(key);
                }
            }) as Work<'static>
        };
        Subject { name: name.to_owned(), bar: None, worker: Box::new(worker) }
    };
    [
        select("pingora RoundRobin", Box::new(|key| select_once(round_robin, key))),
        select("pingora Consistent", Box::new(|key| select_once(consistent, key))),
        nothing_shared,
        all_units,
    ]
}

fn bar(algorithm: Algorithm) -> Option<f64> {
    match algorithm {
        Algorithm::Rr => Some(1.4),
        Algorithm::Dh
        | Algorithm::Ketama
        | Algorithm::Mh
        | Algorithm::Rendezvous
        | Algorithm::Ring
        | Algorithm::Sh => Some(1.7),
        _ => None,
    }
}

/// What all threads share lasts as long as the process.
fn shared<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

fn measure(subjects: &[Subject]) -> Vec<Best> {
    let chunks: Vec<u32> = subjects.iter().map(|subject| chunk(&mut (subject.worker)(0))).collect();
    let mut bests = vec![Best::default(); subjects.len()];
    for _ in 0..ROUNDS {
        for ((subject, &chunk), best) in subjects.iter().zip(&chunks).zip(&mut bests) {
            let better = |best: &mut f64, threads| {
                *best = best.max(window(subject, chunk, threads).unwrap_or_default());
            };
            for _ in 0..TURN {
                better(&mut best.alone, 1);
                better(&mut best.together, 2);
            }
        }
    }
    bests
}

/// How often the work fits between two looks at the clock.
fn chunk(work: &mut Work<'_>) -> u32 {
    let mut times = 1_u32;
    loop {
        let started = Instant::now();
        work(times);
        if started.elapsed() >= CHUNK {
            return times;
        }
        times *= 2;
    }
}

/// What a thread did, and when.
struct Done {
    times: u64,
    from: Instant,
    until: Instant,
}

/// Operations a second of so many threads, from when the first begins until the last is done. None if
/// that took longer than a window: then they did not run at once, and nothing is known.
fn window(subject: &Subject, chunk: u32, threads: usize) -> Option<f64> {
    let ready = AtomicUsize::new(0);
    let run = |thread: usize| {
        let mut work = (subject.worker)(thread as u64);
        work_for(WARM_UP, chunk, &mut work);
        ready.fetch_add(1, Ordering::Relaxed);
        while ready.load(Ordering::Relaxed) < threads {
            spin_loop();
        }
        work_for(WINDOW, chunk, &mut work)
    };
    let done: Vec<Done> = thread::scope(|scope| {
        let run = &run;
        let threads: Vec<_> = (0..threads).map(|thread| scope.spawn(move || run(thread))).collect();
        let join = |thread: thread::ScopedJoinHandle<'_, Done>| thread.join();
        threads.into_iter().map(|one| join(one).expect("a worker does not panic")).collect()
    });
    let from = done.iter().map(|one| one.from).min().expect("one thread at least");
    let until = done.iter().map(|one| one.until).max().expect("one thread at least");
    let times: u64 = done.iter().map(|one| one.times).sum();
    let span = until - from;
    (span < WINDOW + WINDOW / 5).then(|| times as f64 / span.as_secs_f64())
}

fn work_for(time: Duration, chunk: u32, work: &mut Work<'_>) -> Done {
    let (from, mut times) = (Instant::now(), 0_u64);
    loop {
        work(chunk);
        times += u64::from(chunk);
        let until = Instant::now();
        if until - from >= time {
            return Done { times, from, until };
        }
    }
}
