//! The daemon as a child process, backends that misbehave on demand, and clients that notice.
//!
//! Nothing here sleeps for synchronisation: whatever takes time is looked for again and again
//! until it is seen, or until [`PATIENCE`] is over and the test has failed.

mod backend;
mod balancer;
mod client;
mod daemon;
mod folder;
mod http;
mod load;
mod mail_server;
mod name_server;
mod port;
mod text;

use std::thread;
use std::time::{Duration, Instant};

pub(crate) use backend::{Backend, BlackHole};
pub(crate) use balancer::{Balancer, arguments, binary, first_words};
pub(crate) use client::{Visitor, ask, ask_from, connect, until_turned_away};
pub(crate) use daemon::Daemon;
pub(crate) use folder::Folder;
pub(crate) use http::{Answer, get, get_from, post, request};
pub(crate) use load::Load;
pub(crate) use mail_server::{MailServer, Mood, Safety};
pub(crate) use name_server::{Answer as NameAnswer, NameServer};
pub(crate) use port::Port;
pub(crate) use text::{QUICK_CHECK, UNCHECKED, backends, backends_with, server};

/// How long anything may take. Machines that run tests are slow and shared: this is only there to
/// end a test that would never end.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Looks until there is something to see.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < deadline, "never seen: {what}");
        thread::sleep(LOOK_AGAIN);
    }
}

/// Looks until it is true.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    eventually(what, || is_so().then_some(()));
}

/// Allows this process as many descriptors as it may have; whether that is enough for `wanted`.
pub(crate) fn enough_descriptors(wanted: u64) -> bool {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    let enough = limit.maximum.is_none_or(|most| most >= wanted);
    if !enough {
        eprintln!("skipped: this needs {wanted} descriptors, and {:?} are allowed", limit.maximum);
    }
    enough
}
