//! The daemons, started in a namespace and ended by their ids.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::dialect::{Dialect, Wish};
use crate::lab::{Host, Lab};

/// Which daemon.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Keepalived,
    /// Ours, from the file that keepalived would have.
    Migrated,
    Ours,
    Ucarp,
}

impl Kind {
    pub(crate) const fn is_ours(self) -> bool {
        matches!(self, Self::Migrated | Self::Ours)
    }
}

/// A running daemon.
pub(crate) struct Daemon {
    pub(crate) kind: Kind,
    child: Child,
    config: PathBuf,
    /// keepalived's worker.
    worker: Option<PathBuf>,
}

/// Ours, with any configuration.
pub(crate) fn run_ours(lab: &Lab, host: Host, text: &str) -> Daemon {
    Daemon::run(lab, Kind::Ours, host, text)
}

impl Daemon {
    pub(crate) fn start(lab: &Lab, kind: Kind, dialect: Dialect, wish: &Wish) -> Self {
        Self::run(lab, kind, wish.host, &dialect.text(kind, wish))
    }

    /// With this text, in the language of its kind.
    pub(crate) fn run(lab: &Lab, kind: Kind, host: Host, text: &str) -> Self {
        let file = |name: &str| lab.files.join(format!("{}.{name}", host.letter()));
        let config = file(if kind == Kind::Ours { "toml" } else { "conf" });
        let worker = file("vrrp.pid");
        let _ = std::fs::remove_file(&worker);
        std::fs::write(&config, text).unwrap();
        // In real time, as services that must not be late are run: who is starved by what else runs here
        // is late whatever it does, and no niceness helps against other sessions. What ours runs and
        // starts beside that is not; of keepalived it is a child that speaks.
        let mut command = Command::new("chrt");
        if kind.is_ours() {
            command.arg("--reset-on-fork");
        }
        command.args(["--rr", "10", "ip", "netns", "exec", &lab.space(host)]);
        match kind {
            Kind::Migrated | Kind::Ours => {
                // Another build of it, where figures are wanted.
                let ours = std::env::var("VIP_KEEPER");
                let ours = ours.unwrap_or_else(|_| env!("CARGO_BIN_EXE_vip-keeper").to_owned());
                command.arg(ours).arg("--config").arg(&config);
            }
            _ => {
                command.args(["keepalived", "--dont-fork", "--vrrp", "--log-console"]);
                command.arg("--use-file").arg(&config).arg("--pid").arg(file("pid"));
                command.arg("--vrrp_pid").arg(&worker);
            }
        }
        let log = File::options().append(true).create(true).open(file("log")).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let child = command.spawn().unwrap();
        Self { kind, child, config, worker: (kind == Kind::Keepalived).then_some(worker) }
    }

    /// Takes another configuration, as text.
    pub(crate) fn reload_text(&self, text: &str) {
        std::fs::write(&self.config, text).unwrap();
        kill_process(self.pid(), Signal::HUP).unwrap();
    }

    /// Resident memory, in octets.
    pub(crate) fn resident(&self) -> u64 {
        let status = self.proc("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// Time on a processor, of all its threads (`proc_pid_stat(5)`, in hundredths of a second).
    pub(crate) fn cpu(&self) -> Duration {
        let stat = self.proc("stat");
        let fields = stat.rsplit(") ").next().unwrap().split(' ').skip(11).take(2);
        Duration::from_millis(10 * fields.map(|field| field.parse::<u64>().unwrap()).sum::<u64>())
    }

    /// For how long its main thread would have run but was not let (`Documentation/scheduler/sched-stats`):
    /// whatever its niceness is, other sessions and control groups have their share.
    pub(crate) fn starved(&self) -> Duration {
        self.scheduled(1)
    }

    /// For how long its main thread, which speaks, has run.
    pub(crate) fn spoke(&self) -> Duration {
        self.scheduled(0)
    }

    fn scheduled(&self, field: usize) -> Duration {
        let text = self.proc("schedstat");
        Duration::from_nanos(text.split(' ').nth(field).unwrap().parse().unwrap())
    }

    pub(crate) fn proc(&self, file: &str) -> String {
        std::fs::read_to_string(self.path(file)).unwrap()
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        format!("/proc/{}/{file}", self.child.id()).into()
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Takes another configuration.
    pub(crate) fn reload(&self, dialect: Dialect, wish: &Wish) {
        self.reload_text(&dialect.text(self.kind, wish));
    }

    /// Whether it has not ended.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub(crate) fn tell_to_stop(&self) {
        kill_process(self.pid(), Signal::TERM).unwrap();
    }

    pub(crate) fn is_running(&self) -> bool {
        // A zombie has no memory.
        std::fs::read(self.path("cmdline")).is_ok_and(|line| !line.is_empty())
    }

    pub(crate) fn wait(mut self) {
        self.child.wait().unwrap();
    }

    /// The process that speaks.
    fn speaker(&self) -> Pid {
        let Some(worker) = &self.worker else { return self.pid() };
        let worker = std::fs::read_to_string(worker).unwrap().trim().parse().unwrap();
        Pid::from_raw(worker).unwrap()
    }

    /// It does nothing until it is thawed, as that of a host that is moved elsewhere.
    pub(crate) fn freeze(&self) {
        kill_process(self.speaker(), Signal::STOP).unwrap();
    }

    pub(crate) fn thaw(&self) {
        kill_process(self.speaker(), Signal::CONT).unwrap();
    }

    /// Without a word: keepalived's parent must not notice that its child is gone.
    pub(crate) fn kill(mut self) {
        if self.worker.is_some() {
            kill_process(self.pid(), Signal::STOP).unwrap();
            kill_process(self.speaker(), Signal::KILL).unwrap();
        }
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            let _ = kill_process(self.pid(), Signal::TERM);
            let _ = self.child.wait();
        }
    }
}
