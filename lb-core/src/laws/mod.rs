//! The laws that every [`Scheduler`] obeys, as a property suite to hold your own against.
//!
//! ```
//! use std::sync::Arc;
//! use lb_core::{Algorithm, laws};
//!
//! laws::check(&|| Algorithm::Wlc.scheduler());
//! ```
//!
//! In a test of your own, pass whatever makes a fresh instance of your scheduler. The laws:
//!
//! | law | in words |
//! |---|---|
//! | `survives the extremes` | no members, one, hundreds, all at weight 0, all at the largest: no panic, no overflow |
//! | `picks only usable members` | an index into the members, its weight above 0, its backend not tried |
//! | `refuses only when nobody is usable` | `None` says that there is nobody, and nothing else |
//! | `passes over those that are full` | whoever has reached a limit gets nothing, neither from the scheduler, if the flow [minds limits](crate::Flow::minding_limits), nor through [`Pool::pick`](crate::Pool::pick); whoever has room gets it |
//! | `minds every set of refusals` | both of these for every subset of the members as those tried |
//! | `follows every change of membership` | both of these along any chain of rebuilds: backends come, go, come back, change weight, place, priority, zone and limits |
//! | `leaves the old pool serving` | readers that still hold the previous pool get legal picks from it |
//! | `repeats itself` | two instances with the same history and the same seed make the same picks |
//! | `serves several threads at once` | all of this without a lock around it |
//!
//! A scheduler may also refuse on purpose, rather than overload whom it has: IPVS' `ovf` does. Such
//! a one is held to the same laws by [`check_refusing_when_busy`], with one in place of another:
//!
//! | law | in words |
//! |---|---|
//! | `refuses only when everybody is busy` | `None` says that everybody who is usable has a flow already |
//!
//! That counters are left alone needs no law: a [`Member`](crate::pool::Member) gives no way to change
//! them. Whether a scheduler is *fair* is its own matter, and for its own tests.

mod histories;

use std::collections::{BTreeMap, VecDeque};
use std::env;
use std::sync::Arc;
use std::thread;

use proptest::prelude::{Just, Strategy};
use proptest::test_runner::{Config, TestCaseError, TestCaseResult, TestRunner};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, SeedableRng};

use crate::backend::{Backend, BackendId, Lease};
use crate::flow::Flow;
use crate::pool::{Census, Pool};
use crate::scheduler::Scheduler;
use crate::weight::Weight;

use histories::{History, Stage, extremes, history, refusals, stage};

const DEFAULT_CASES: u32 = 64;

/// Holds the schedulers that `make` makes to every law of this module, and never lets them refuse a
/// flow that somebody could take.
///
/// `make` is called many times and must return instances that are alike, over no members yet. Each
/// law is tried on 64 random histories, or on as many as the environment variable `PROPTEST_CASES`
/// says.
///
/// # Panics
/// If a law is broken: with its name, and with the shortest history found that breaks it.
pub fn check(make: &dyn Fn() -> Arc<dyn Scheduler>) {
    hold_to_all(make, "refuses only when nobody is usable", needed, needed);
}

/// As [`check`], for schedulers that may refuse a flow if every usable member has one already.
///
/// One that is idle must never be refused a flow. How busy is too busy is the scheduler's own
/// matter, and for its own tests.
///
/// # Panics
/// As [`check`].
pub fn check_refusing_when_busy(make: &dyn Fn() -> Arc<dyn Scheduler>) {
    // Among threads, who is idle when a refusal is judged may have been busy when it was made.
    let unjudged = |_: &Pick<'_>| Ok(());
    hold_to_all(make, "refuses only when everybody is busy", needed_by_the_idle, unjudged);
}

/// A judgement of one pick.
type Law = fn(&Pick<'_>) -> TestCaseResult;

/// Holds the schedulers to all laws, where `refusal` is the name of the one that judges who picks
/// nobody: by `needed`, and where several threads pick by `needed_in_a_crowd`.
fn hold_to_all(
    make: &dyn Fn() -> Arc<dyn Scheduler>,
    refusal: &str,
    needed: Law,
    needed_in_a_crowd: Law,
) {
    let many = match env::var_os("PROPTEST_CASES") {
        Some(_) => Config::default().cases,
        None => DEFAULT_CASES,
    };
    let first = |stage| History { seed: 1, stages: vec![stage] };
    let legal = |pick: &Pick<'_>| usable(pick).and_then(|()| needed(pick));
    let legal_in_a_crowd = |pick: &Pick<'_>| usable(pick).and_then(|()| needed_in_a_crowd(pick));
    hold("survives the extremes", 1, &Just(extremes()), |history| play(make, &history, legal));
    hold("picks only usable members", many, &stage(), |stage| play(make, &first(stage), usable));
    hold(refusal, many, &stage(), |stage| play(make, &first(stage), needed));
    hold("passes over those that are full", many, &history(), |history| {
        full_are_passed_over(make, &history, legal)
    });
    hold("minds every set of refusals", many, &refusals(), |stage| {
        play(make, &first(stage), legal)
    });
    hold("follows every change of membership", many, &history(), |all| play(make, &all, legal));
    hold("leaves the old pool serving", many, &history(), |history| {
        old_pool_serves(make, &history, legal)
    });
    hold("repeats itself", many, &history(), |history| repeats(make, &history));
    hold("serves several threads at once", 1, &Just(()), |()| {
        threads_are_served(make, legal_in_a_crowd)
    });
}

/// A pick that is looked at.
struct Pick<'a> {
    pool: &'a Pool<()>,
    flow: Flow<'a>,
    choice: Option<usize>,
}

/// Lets `law` judge every pick of a fresh scheduler's history.
fn play(
    make: &dyn Fn() -> Arc<dyn Scheduler>,
    history: &History,
    mut law: impl FnMut(&Pick<'_>) -> TestCaseResult,
) -> TestCaseResult {
    rebuilds(make, history, |pool, stage, rng| {
        let mut staying = Vec::new();
        for attempt in &stage.attempts {
            let flow = Flow::new(attempt.hash).retried(&attempt.tried);
            let choice = pool.scheduler().pick(pool.members(), &flow, rng);
            law(&Pick { pool: &pool, flow, choice })?;
            let backend = choice.and_then(|index| pool.backends().get(index));
            staying.extend(backend.filter(|_| attempt.stays).cloned().map(Lease::new));
        }
        Ok(())
    })
}

/// The same with flows that mind limits, and through the pool; some of those that stay end.
fn full_are_passed_over(
    make: &dyn Fn() -> Arc<dyn Scheduler>,
    history: &History,
    mut law: impl FnMut(&Pick<'_>) -> TestCaseResult,
) -> TestCaseResult {
    rebuilds(make, history, |pool, stage, rng| {
        let mut staying = VecDeque::new();
        for attempt in &stage.attempts {
            let flow = Flow::new(attempt.hash).retried(&attempt.tried);
            let minding = flow.minding_limits();
            let choice = pool.scheduler().pick(pool.members(), &minding, rng);
            law(&Pick { pool: &pool, flow: minding, choice })?;
            let backend = pool.pick(&flow, rng).ok();
            let choice = backend.and_then(|backend| {
                pool.members().iter().position(|member| member.id == backend.id())
            });
            law(&Pick { pool: &pool, flow: minding, choice })?;
            staying.extend(backend.and_then(Lease::try_new));
            if !attempt.stays {
                staying.pop_front();
            }
        }
        Ok(())
    })
}

/// Takes a fresh scheduler through the memberships of `history`.
fn rebuilds(
    make: &dyn Fn() -> Arc<dyn Scheduler>,
    history: &History,
    mut each: impl FnMut(Pool<()>, &Stage, &mut dyn Rng) -> TestCaseResult,
) -> TestCaseResult {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(history.seed);
    let mut known = BTreeMap::new();
    let mut scheduler = make();
    for stage in &history.stages {
        let members = stage.members.iter().map(|role| {
            let number = role.number;
            let backend: &Backend<()> = known.entry(number).or_insert_with(|| {
                Backend::new(BackendId::new(number), format!("backend {number}"), ())
            });
            role.given_to(backend)
        });
        let seats: Vec<_> = members.collect();
        let census = Census::of(seats.iter().map(|seat| (seat.weight, seat.backend.priority())));
        let pool = Pool::seating(&census, seats, &*scheduler);
        scheduler = Arc::clone(pool.scheduler());
        each(pool, stage, &mut rng)?;
    }
    Ok(())
}

fn usable(pick: &Pick<'_>) -> TestCaseResult {
    let Some(index) = pick.choice else { return Ok(()) };
    let members = pick.pool.members();
    let Some(chosen) = members.get(index) else {
        return broken(pick, format!("picked index {index} of {}", members.len()));
    };
    if chosen.weight.is_zero() {
        return broken(pick, format!("picked {}, whose weight is 0", chosen.id));
    }
    if pick.flow.has_tried(chosen.id) {
        return broken(pick, format!("picked {}, which refused the flow", chosen.id));
    }
    if !pick.flow.any_will_do() && chosen.load.is_full() {
        return broken(pick, format!("picked {}, which is full", chosen.id));
    }
    Ok(())
}

fn needed(pick: &Pick<'_>) -> TestCaseResult {
    match pick.pool.members().iter().find(|member| pick.flow.may_use(member)) {
        Some(free) if pick.choice.is_none() => {
            broken(pick, format!("picked nobody, {} would have been usable", free.id))
        }
        _ => Ok(()),
    }
}

fn needed_by_the_idle(pick: &Pick<'_>) -> TestCaseResult {
    let mut usable = pick.pool.members().iter().filter(|member| pick.flow.may_use(member));
    match usable.find(|member| member.load.active() == 0) {
        Some(idle) if pick.choice.is_none() => {
            broken(pick, format!("picked nobody, {} is usable and idle", idle.id))
        }
        _ => Ok(()),
    }
}

fn broken(pick: &Pick<'_>, what: String) -> TestCaseResult {
    Err(TestCaseError::fail(format!("{what}, for {:?} over {:?}", pick.flow, pick.pool)))
}

fn old_pool_serves(
    make: &dyn Fn() -> Arc<dyn Scheduler>,
    history: &History,
    legal: impl Fn(&Pick<'_>) -> TestCaseResult,
) -> TestCaseResult {
    let mut previous: Option<Pool<()>> = None;
    rebuilds(make, history, |pool, stage, rng| {
        for attempt in &stage.attempts {
            let flow = Flow::new(attempt.hash).retried(&attempt.tried);
            for pool in previous.iter().chain([&pool]) {
                let choice = pool.scheduler().pick(pool.members(), &flow, rng);
                legal(&Pick { pool, flow, choice })?;
            }
        }
        previous = Some(pool);
        Ok(())
    })
}

fn repeats(make: &dyn Fn() -> Arc<dyn Scheduler>, history: &History) -> TestCaseResult {
    let picks = || {
        let mut picks = Vec::new();
        play(make, history, |pick| {
            picks.push(pick.choice);
            Ok(())
        })?;
        Ok::<_, TestCaseError>(picks)
    };
    let (once, again) = (picks()?, picks()?);
    match once.iter().zip(&again).position(|(one, other)| one != other) {
        Some(index) => Err(TestCaseError::fail(format!(
            "pick {index} was {:?} once and {:?} again",
            once[index], again[index]
        ))),
        None => Ok(()),
    }
}

fn threads_are_served(
    make: &dyn Fn() -> Arc<dyn Scheduler>,
    legal: impl Fn(&Pick<'_>) -> TestCaseResult + Sync,
) -> TestCaseResult {
    const THREADS: u64 = 4;
    let members = (0..5).map(|number| {
        let backend = Backend::new(BackendId::new(number), format!("backend {number}"), ());
        (Arc::new(backend), Weight::new(number as u16))
    });
    let pool = Pool::new(members, &*make());
    let serve = &|thread: u64| {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(thread);
        let refused = [BackendId::new(thread as u32)];
        for round in 0..500 {
            let tried = if round % 4 == 0 { &refused[..] } else { &[] };
            let flow = Flow::new(round).retried(tried);
            let choice = pool.scheduler().pick(pool.members(), &flow, &mut rng);
            legal(&Pick { pool: &pool, flow, choice })?;
            let _stays = choice.map(|index| Lease::new(Arc::clone(&pool.backends()[index])));
        }
        Ok(())
    };
    thread::scope(|scope| {
        let threads: Vec<_> =
            (0..THREADS).map(|thread| scope.spawn(move || serve(thread))).collect();
        threads.into_iter().try_for_each(|thread| {
            thread.join().unwrap_or_else(|_| Err(TestCaseError::fail("a picking thread panicked")))
        })
    })
}

/// Tries `law` on as many `cases` as asked for of what `strategy` comes up with.
fn hold<S: Strategy>(
    law: &str,
    cases: u32,
    strategy: &S,
    test: impl Fn(S::Value) -> TestCaseResult,
) {
    // What a failure says is all that is needed to repeat it: a library leaves no files behind.
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    if let Err(error) = TestRunner::new(config).run(strategy, test) {
        panic!("the scheduler breaks the law `{law}`: {error}");
    }
}
