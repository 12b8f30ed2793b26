//! keepalived and tcp-lb on one configuration, and what they say of its servers.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use rustix::fs::{CWD, Mode, mkfifoat};
use rustix::process::{Pid, Signal, kill_process};

use crate::harness::*;

const NO_IPVS: &str = include_str!("ipvs_that_takes_everything.c");

/// Who reads the configuration, as its conditions call them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Who {
    Theirs,
    Ours,
}

impl Who {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Theirs => "theirs",
            Self::Ours => "ours",
        }
    }
}

/// What was said of a server: whether it went down where it was up at first, and up where it was down.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Said {
    pub(super) down: bool,
    pub(super) up: bool,
    /// Whether up was the last word, wherever.
    pub(super) last_up: bool,
}

/// A daemon that runs; stopped when this is dropped.
pub(super) struct Daemon {
    child: Child,
    /// The lines in its pipe, and in its log.
    lines: Arc<Mutex<Vec<String>>>,
    log: Arc<Mutex<Vec<String>>>,
}

impl Daemon {
    pub(super) fn start(who: Who, folder: &Folder, admin: SocketAddr) -> Self {
        let pipe = folder.file(who.name());
        mkfifoat(CWD, &pipe, Mode::RUSR | Mode::WUSR).unwrap();
        // For writing as well: no reader then waits for a writer, nor sees an end.
        let pipe = File::options().read(true).write(true).open(pipe).unwrap();
        let mut command = match who {
            Who::Theirs => keepalived(folder),
            Who::Ours => {
                let mut command = binary();
                command.args(["--admin", &admin.to_string()]);
                command
            }
        };
        command.args(["-i", who.name()]).stdin(Stdio::null()).current_dir(folder.path());
        command.arg(if who == Who::Ours { "--config" } else { "-f" });
        command.arg(folder.file("keepalived.conf")).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let log = collect(child.stderr.take().unwrap());
        Self { child, lines: collect(pipe), log }
    }

    /// What it has said so far, by server. `up_at_first` is the virtual server whose servers are.
    pub(super) fn said(&self, up_at_first: SocketAddr) -> HashMap<String, Said> {
        let mut all = HashMap::<_, Said>::new();
        for line in self.lines.lock().unwrap().iter() {
            // What becomes of virtual servers is not what this is about.
            let ["RS", server, of, state] = line.split(' ').collect::<Vec<_>>()[..] else {
                continue;
            };
            let said = all.entry(server.to_owned()).or_default();
            said.last_up = state == "UP";
            match (of == trio(up_at_first), state) {
                (true, "DOWN") => said.down = true,
                (false, "UP") => said.up = true,
                _ => {}
            }
        }
        all
    }

    pub(super) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// What the log says of a server, as either calls it.
    pub(super) fn log_of(&self, server: SocketAddr) -> impl Iterator<Item = String> {
        let names = [trio(server), format!("\"{server}\"")];
        let is_of = move |line: &String| names.iter().any(|name| line.contains(name));
        self.log().into_iter().filter(is_of)
    }

    pub(super) fn until_logged(&mut self, words: &str) {
        until(words, || {
            self.assert_runs();
            self.log().iter().any(|line| line.contains(words))
        });
    }

    pub(super) fn assert_runs(&mut self) {
        let ended = self.child.try_wait().unwrap();
        assert!(ended.is_none(), "{ended:?}:\n{}", self.log().join("\n"));
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // keepalived's children end with it, if it may say so.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let _ = self.child.wait();
    }
}

/// As keepalived calls a server.
pub(super) fn trio(address: SocketAddr) -> String {
    format!("[{}]:tcp:{}", address.ip(), address.port())
}

/// Its checks alone, over an IPVS that does nothing.
fn keepalived(folder: &Folder) -> Command {
    let (source, library) = (folder.write("ipvs.c", NO_IPVS), folder.file("ipvs.so"));
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source);
    assert!(compiler.status().unwrap().success());
    let mut command = Command::new("keepalived");
    command.args(["-n", "-l", "-D", "-C", "-p"]).arg(folder.file("keepalived.pid"));
    command.arg("-c").arg(folder.file("checkers.pid")).env("LD_PRELOAD", library);
    command
}

/// Lines as they come, until the end of the stream or of the test.
fn collect(stream: impl std::io::Read + Send + 'static) -> Arc<Mutex<Vec<String>>> {
    let lines = Arc::<Mutex<Vec<String>>>::default();
    let collected = Arc::clone(&lines);
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            collected.lock().unwrap().push(line);
        }
    });
    lines
}
