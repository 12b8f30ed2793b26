//! A network of the test's own.

use std::fs::File;
use std::os::fd::AsFd;
use std::process::Command;
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A network namespace with nothing but loopback, until it is dropped.
pub(super) struct Space(String);

impl Space {
    pub(super) fn new() -> Self {
        let space = Self(format!("verdicts-{}", std::process::id()));
        ip(&["netns", "add", &space.0]);
        ip(&["-n", &space.0, "link", "set", "lo", "up"]);
        space
    }

    /// Runs something in it, with all that it starts.
    pub(super) fn inside(&self, what: impl FnOnce() + Send) {
        let there = || {
            let file = File::open(format!("/run/netns/{}", self.0)).unwrap();
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            what();
        };
        let ended = thread::scope(|scope| scope.spawn(there).join());
        if let Err(panic) = ended {
            std::panic::resume_unwind(panic);
        }
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "delete", &self.0]).status();
    }
}

fn ip(arguments: &[&str]) {
    assert!(Command::new("ip").args(arguments).status().unwrap().success(), "ip {arguments:?}");
}
