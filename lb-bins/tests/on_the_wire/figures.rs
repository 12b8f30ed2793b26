//! How long a client waits, beside named peers and in one run: what `benches/RESULTS.md` has.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::thread;
use std::time::{Duration, Instant};

use crate::ALONE;
use crate::daemon::Kind;
use crate::dialect::Dialect;
use crate::lab::{Host, MS, is_possible};
use crate::story::Stage;

/// What was measured, run by run.
type Measured = BTreeMap<&'static str, Vec<Duration>>;

/// In the same run and under the same load: where keepalived leaves clients alone for its successor's
/// skew, they do not notice that ours stops.
#[test]
#[ignore = "needs root and keepalived"]
fn a_stop_is_noticed_less_than_half_as_much_as_that_of_keepalived() {
    const RUNS: usize = 3;
    if !is_possible() {
        return;
    }
    let stops = |better: Kind, dialect: Dialect| {
        let stage = Stage::new(dialect);
        let _b = stage.start(Kind::Keepalived, Host::B);
        stage.settles(false, true, "B is elected");
        let mut gaps: Vec<_> = (0..RUNS).map(|_| stop(&stage, better)).collect();
        gaps.sort();
        gaps[RUNS / 2]
    };
    let _alone = ALONE.read().unwrap_or_else(PoisonError::into_inner);
    for dialect in [Dialect::V4Second, Dialect::V4] {
        let (ours, theirs) = thread::scope(|scope| {
            let theirs = scope.spawn(|| stops(Kind::Keepalived, dialect));
            (stops(Kind::Ours, dialect), theirs.join().unwrap())
        });
        eprintln!("{dialect:?}: a stop takes {ours:.1?}, and keepalived's {theirs:.1?}");
        assert!(ours < theirs / 2, "{dialect:?}: {ours:?}, but keepalived {theirs:?}");
    }
}

/// A comes and goes.
fn stop(stage: &Stage, better: Kind) -> Duration {
    let a = stage.start(better, Host::A);
    stage.settles(true, false, "A preempts B");
    stage.answers(Host::A, "A answers");
    stage.intervals(1);
    let since = Instant::now();
    a.tell_to_stop();
    stage.answers(Host::B, "B answers");
    stage.intervals(1);
    let gap = stage.probe.gap(since);
    stage.settles(false, true, "B takes over");
    a.wait();
    gap
}

/// What `benches/RESULTS.md` has; it takes an hour and a quiet machine, and asserts nothing about time.
#[test]
#[ignore = "needs root, keepalived and WIRE_RUNS"]
fn figures() {
    let Some(runs) = std::env::var("WIRE_RUNS").ok().and_then(|runs| runs.parse().ok()) else {
        eprintln!("skipped: WIRE_RUNS is not set");
        return;
    };
    if !is_possible() {
        return;
    }
    let (ours, keepalived) = (Kind::Ours, Kind::Keepalived);
    println!("| dialect | A | B | event | min | median | max |\n|---|---|---|---|---|---|---|");
    let pairs = [(ours, keepalived), (keepalived, ours), (ours, ours), (keepalived, keepalived)];
    let show = |dialect: Dialect, (a, b): (Kind, Kind), measured: Measured| {
        for (event, mut gaps) in measured {
            gaps.sort();
            let [min, median, max] =
                [gaps[0], gaps[gaps.len() / 2], gaps[gaps.len() - 1]].map(|gap| gap.as_millis());
            println!("| {dialect:?} | {a:?} | {b:?} | {event} | {min} | {median} | {max} |");
        }
    };
    // The quick ones one after another: what else runs is what a client waits for.
    let only = std::env::var("WIRE_ONLY").ok();
    let is_wanted = |dialect: Dialect| only.as_ref().is_none_or(|o| *o == format!("{dialect:?}"));
    let quick = [Dialect::V4, Dialect::V6, Dialect::UnicastV4, Dialect::VirtualMacV4];
    for dialect in quick.into_iter().filter(|dialect| is_wanted(*dialect)) {
        for pair in pairs {
            show(dialect, pair, play(dialect, pair, runs));
        }
    }
    if !is_wanted(Dialect::V4Second) {
        return;
    }
    thread::scope(|scope| {
        let slow = Dialect::V4Second;
        let threads = pairs.map(|pair| (pair, scope.spawn(move || play(slow, pair, runs))));
        for (pair, thread) in threads {
            show(slow, pair, thread.join().unwrap());
        }
    });
}

/// A is better and goes in every way, again and again.
fn play(dialect: Dialect, (better, lesser): (Kind, Kind), runs: usize) -> Measured {
    let stage = Stage::new(dialect);
    let mut measured = Measured::new();
    let _b = stage.start(lesser, Host::B);
    stage.settles(false, true, "B is elected");
    for run in 0..runs {
        let a = stage.start(better, Host::A);
        stage.settles(true, false, "A preempts B");
        stage.answers(Host::A, "A answers");
        stage.intervals(3);
        // At another phase of the interval each time.
        thread::sleep(dialect.interval() * run as u32 / runs as u32);
        let since = Instant::now();
        thread::sleep(500 * MS);
        measured.entry("nothing, client gap").or_default().push(stage.probe.gap(since));
        let since = Instant::now();
        a.tell_to_stop();
        stage.answers(Host::B, "B answers");
        stage.intervals(3);
        measured.entry("stop, client gap").or_default().push(stage.probe.gap(since));
        stage.settles(false, true, "B takes over");
        a.wait();

        let a = stage.start(better, Host::A);
        stage.settles(true, false, "A preempts B");
        stage.answers(Host::A, "A answers");
        stage.intervals(3);
        let since = Instant::now();
        stage.lab.connect(Host::A, false);
        stage.lab.until(stage.patience(), "B takes over", || stage.takeover(since).is_some());
        stage.answers(Host::B, "B answers");
        measured.entry("cut, client gap").or_default().push(stage.probe.gap(since));
        let takeover = stage.takeover(since).unwrap();
        measured.entry("cut, takeover").or_default().push(takeover);
        stage.intervals(2);
        let since = Instant::now();
        stage.lab.connect(Host::A, true);
        stage.answers(Host::A, "A answers");
        stage.intervals(3);
        measured.entry("heal, client gap").or_default().push(stage.probe.gap(since));
        stage.settles(true, false, "B gives way");
        a.tell_to_stop();
        a.wait();
        stage.settles(false, true, "B takes over");
        stage.answers(Host::B, "B answers");
    }
    measured
}
