//! A daemon that has no admin address, or no log that can be read.

use std::process::{Child, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::binary;

/// Killed when this is dropped.
pub(crate) struct Daemon(Child);

impl Daemon {
    pub(crate) fn start(arguments: &[&str], stderr: impl Into<Stdio>) -> Self {
        Self(binary().args(arguments).stderr(stderr).spawn().unwrap())
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    /// Waits until it has ended.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        self.0.wait().unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
