//! How late this machine itself was, so that nobody is blamed for what it did: it is shared, and a
//! virtual one may be stopped as a whole.

use std::sync::{LazyLock, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::lab::hurry;

/// How often somebody looks.
const EVERY: Duration = Duration::from_millis(5);
/// Who is no later than this was not kept from anything.
const SLACK: Duration = Duration::from_millis(2);

/// When somebody was late, and how late.
static LATE: LazyLock<Mutex<Vec<(Instant, Duration)>>> = LazyLock::new(|| {
    // One on each processor, in real time as daemons and probes are: what it waits for, they do.
    let all = sched_getaffinity(None).unwrap();
    for processor in (0..CpuSet::MAX_CPU).filter(|&processor| all.is_set(processor)) {
        thread::spawn(move || look(processor));
    }
    Mutex::default()
});

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
            LATE.lock().unwrap().push((due, late));
        }
    }
}

/// Begins to look.
pub(crate) fn look_at_it() {
    LazyLock::force(&LATE);
}

/// For how long in all the machine kept anybody from running since then, who was ready to and in no
/// less of a hurry than daemons and probes are.
pub(crate) fn late_since(since: Instant) -> Duration {
    // What goes on just now is known a moment later.
    thread::sleep(2 * EVERY);
    let late = LATE.lock().unwrap();
    let recent = late.iter().rev().take_while(|(due, late)| *due + *late >= since);
    recent.map(|(_, late)| *late).sum()
}
