//! A network namespace that goes with its test.

use std::fs::File;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use nix::sched::{CloneFlags, setns};
use tokio::runtime;

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Whether there are these programs, each with something that it answers at once. With
/// `LB_SKIP_NOTHING` in the environment they have to be there.
pub(crate) fn is_possible(tools: &[[&str; 2]]) -> bool {
    for [tool, argument] in tools {
        if Command::new(tool).arg(argument).output().is_err() {
            assert!(std::env::var_os("LB_SKIP_NOTHING").is_none(), "there is no {tool}");
            eprintln!("skipped: there is no {tool}");
            return false;
        }
    }
    true
}

pub(crate) struct Namespace {
    name: String,
    _turn: MutexGuard<'static, ()>,
}

impl Namespace {
    /// One with two pairs of interfaces, `eth0` and `eth1`, and where they lead, `far0` and `far1`; the
    /// former have `10.99.0.1/24` and `10.99.1.1/24`.
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        // A test that failed has ended all the same.
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("host{}-{count}", std::process::id());
        run(&format!("netns add {name}"));
        let space = Self { name, _turn: turn };
        space.ip("link set lo up");
        for number in [0, 1] {
            space.ip(&format!("link add eth{number} type veth peer name far{number}"));
            space.ip(&format!("link set far{number} up"));
            space.ip(&format!("link set eth{number} up"));
            space.ip(&format!("address add 10.99.{number}.1/24 dev eth{number}"));
        }
        space
    }

    /// `ip` in there.
    pub(crate) fn ip(&self, arguments: &str) -> String {
        run(&format!("-n {} {arguments}", self.name))
    }

    /// Does something in there, within a runtime.
    pub(crate) fn inside<T: Send>(&self, what: impl AsyncFnOnce() -> T + Send) -> T {
        let space = File::open(format!("/run/netns/{}", self.name)).unwrap();
        let there = || {
            setns(space, CloneFlags::CLONE_NEWNET).unwrap();
            let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(what())
        };
        thread::scope(|scope| scope.spawn(there).join().unwrap())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "delete", &self.name]).status();
    }
}

fn run(arguments: &str) -> String {
    let output = Command::new("ip").args(arguments.split_whitespace()).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments}: {error}");
    String::from_utf8(output.stdout).unwrap()
}
