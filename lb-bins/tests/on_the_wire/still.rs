//! How late this machine itself was, so that nobody is blamed for what it did: it is shared, and a
//! virtual one may be stopped as a whole.

use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::lab::hurry;

/// How often somebody looks.
const EVERY: Duration = Duration::from_millis(5);
/// Who is no later than this was not kept from anything.
const SLACK: Duration = Duration::from_millis(2);

/// Until when somebody was late, and how late.
static LATE: LazyLock<Mutex<Vec<(Instant, Duration)>>> = LazyLock::new(|| {
    // One on each processor, in real time as daemons and probes are: what it waits for, they do.
    let all = sched_getaffinity(None).unwrap();
    for processor in (0..CpuSet::MAX_CPU).filter(|&processor| all.is_set(processor)) {
        thread::spawn(move || look(processor));
    }
    thread::spawn(look_at_the_kernel);
    Mutex::default()
});

/// Packets that are too many for an interrupt are for `ksoftirqd`, which is in no hurry: whoever waits for
/// one waits for it.
fn look_at_the_kernel() {
    let processes = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let is_it = |path: &PathBuf| {
        read(&path.join("comm")).is_some_and(|name| name.starts_with("ksoftirqd/"))
    };
    let them: Vec<_> = processes.filter(is_it).map(|path| path.join("schedstat")).collect();
    // For how long they would have run but were not let, in nanoseconds.
    let field = |path: &PathBuf| read(path)?.split(' ').nth(1)?.parse::<u64>().ok();
    let waited = || Duration::from_nanos(them.iter().filter_map(field).sum());
    hurry();
    let mut before = waited();
    loop {
        thread::sleep(EVERY);
        let after = waited();
        let late = after.saturating_sub(before);
        if late > SLACK {
            note(Instant::now(), late);
        }
        before = after;
    }
}

fn read(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// What was late until now.
fn note(now: Instant, late: Duration) {
    LATE.lock().unwrap().push((now, late));
}

fn look(processor: usize) {
    let mut only = CpuSet::new();
    only.set(processor);
    sched_setaffinity(None, &only).unwrap();
    hurry();
    loop {
        let due = Instant::now() + EVERY;
        thread::sleep(EVERY);
        let late = due.elapsed();
        if late > SLACK {
            note(Instant::now(), late);
        }
    }
}

/// Begins to look.
pub(crate) fn look_at_it() {
    LazyLock::force(&LATE);
}

/// For how long in all the machine kept anybody from running since then, who was ready to and in no
/// less of a hurry than daemons and probes are, or who brings their packets.
pub(crate) fn late_since(since: Instant) -> Duration {
    // What goes on just now is known a moment later.
    thread::sleep(2 * EVERY);
    let late = LATE.lock().unwrap();
    let recent = late.iter().rev().take_while(|(until, _)| *until >= since);
    recent.map(|(_, late)| *late).sum()
}
