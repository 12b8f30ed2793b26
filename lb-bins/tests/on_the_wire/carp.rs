//! CARP: vip-keeper beside ucarp, both ways, and beside itself.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::daemon::{Daemon, Kind, run_ours};
use crate::lab::{Host, Lab, MS, fetch, has, ip, is_possible};
use crate::probe::Probe;

const ADDRESS: &str = "10.99.0.200";
/// Three bases, the slowest skew, and a while to begin.
const PATIENCE: Duration = Duration::from_secs(8);

/// Either daemon.
enum Carp {
    Ours(Daemon),
    Ucarp(Child),
}

impl Carp {
    /// `skew` 0 is better than 100.
    fn start(lab: &Lab, kind: Kind, host: Host, skew: u8) -> Self {
        if kind == Kind::Ours {
            return Self::Ours(run_ours(lab, host, &config(skew)));
        }
        let script = |name: &str, command: &str| {
            let path = lab.files.join(name);
            // ucarp announces, but moves nothing.
            let text = format!("#!/bin/sh\nip address {command} {ADDRESS}/24 dev eth0\n");
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
            path
        };
        let number = host.number();
        let mut ucarp = Command::new("ip");
        ucarp.args(["netns", "exec", &lab.space(host), "ucarp", "--interface=eth0", "--vhid=51"]);
        ucarp.args([format!("--srcip=10.99.0.{number}"), format!("--addr={ADDRESS}")]);
        ucarp.args([format!("--advskew={skew}"), "--pass=secret".to_owned()]);
        ucarp.args(["--preempt", "--shutdown"]);
        ucarp.arg("--upscript").arg(script("up", "add"));
        ucarp.arg("--downscript").arg(script("down", "delete"));
        let quiet = ucarp.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self::Ucarp(quiet.spawn().unwrap())
    }

    fn pid(&self) -> Pid {
        match self {
            Self::Ours(daemon) => daemon.pid(),
            Self::Ucarp(child) => Pid::from_child(child),
        }
    }

    fn stop(self) {
        kill_process(self.pid(), Signal::TERM).unwrap();
        self.wait();
    }

    fn kill(self) {
        kill_process(self.pid(), Signal::KILL).unwrap();
        self.wait();
    }

    fn wait(self) {
        match self {
            Self::Ours(daemon) => daemon.wait(),
            Self::Ucarp(mut child) => drop(child.wait().unwrap()),
        }
    }
}

fn config(skew: u8) -> String {
    format!(
        "[[carp_instance]]\nname = \"c\"\ninterface = \"eth0\"\nvhid = 51\nadvskew = {skew}\n\
         preempt = true\npassphrase = \"secret\"\naddresses = [\"{ADDRESS}/24\"]\n"
    )
}

/// Lists of addresses that differ are no matter here: hosts that have other ones do not know each other,
/// since what is said is signed with them.
fn play((better, lesser): (Kind, Kind)) -> String {
    let lab = Lab::new();
    let probe = Probe::start(&lab, ADDRESS.parse().unwrap());
    let settles = |a: bool, b: bool, saying: &str| {
        let there = || (lab.holds(Host::A, ADDRESS), lab.holds(Host::B, ADDRESS));
        lab.until(PATIENCE, saying, || there() == (a, b));
    };
    let answers = |host: Host, saying: &str| {
        lab.until(2 * PATIENCE, saying, || probe.last() == Some(host.number()));
    };
    let b = Carp::start(&lab, lesser, Host::B, 100);
    settles(false, true, "B is elected, for nobody else is there");
    let since = Instant::now();
    let mut a = Carp::start(&lab, better, Host::A, 0);
    settles(true, false, "A preempts B");
    answers(Host::A, "A answers");
    let preemption = probe.gap(since);

    // The same again is nothing new; what has changed goes and comes back, unnoticed by clients.
    if let Carp::Ours(daemon) = &a {
        for skew in [0, 1, 0] {
            let since = Instant::now();
            daemon.reload_text(&config(skew));
            thread::sleep(500 * MS);
            settles(true, false, "A is master after a reload");
            answers(Host::A, "A answers after a reload");
            let gap = probe.gap(since);
            assert!(gap < 500 * MS, "{gap:?} for a reload");
        }
    }

    let since = Instant::now();
    a.stop();
    settles(false, true, "B takes over from A, which stopped");
    answers(Host::B, "B answers");
    thread::sleep(500 * MS);
    let stop = probe.gap(since);
    // ucarp's own takes three bases and the skew.
    assert!(better != Kind::Ours || stop < 500 * MS, "{stop:?} for a stop");

    a = Carp::start(&lab, better, Host::A, 0);
    settles(true, false, "A preempts B again");
    answers(Host::A, "A answers again");
    let since = Instant::now();
    lab.connect(Host::A, false);
    settles(true, true, "B takes over from A, which fell silent");
    answers(Host::B, "B answers after A was cut off");
    let cut = probe.gap(since);
    let since = Instant::now();
    lab.connect(Host::A, true);
    settles(true, false, "one of two masters gives way");
    answers(Host::A, "A answers after the partition");
    let heal = probe.gap(since);
    assert!((better, lesser) != (Kind::Ours, Kind::Ours) || heal < 500 * MS, "{heal:?} to heal");

    a.kill();
    settles(true, true, "B takes over from A, which died");
    if better == Kind::Ours {
        // ucarp does not know what it left behind.
        a = Carp::start(&lab, better, Host::A, 0);
        thread::sleep(500 * MS);
        settles(true, false, "A comes back");
        a.stop();
        settles(false, true, "and goes");
    }
    b.stop();
    format!(
        "CARP, {better:?} beside {lesser:?}: preemption {preemption:.0?}, stop {stop:.0?}, cut {cut:.0?}, \
         heal {heal:.0?}"
    )
}

#[test]
#[ignore = "needs root and ucarp"]
fn carp_beside_every_peer() {
    if !is_possible() || !has("ucarp", "--help") {
        return;
    }
    let (ours, ucarp) = (Kind::Ours, Kind::Ucarp);
    thread::scope(|scope| {
        let pairs = [(ours, ucarp), (ucarp, ours), (ours, ours)];
        let threads = pairs.map(|pair| scope.spawn(move || play(pair)));
        for thread in threads {
            eprintln!("{}", thread.join().unwrap());
        }
    });
}

/// On virtual MAC addresses, with a number in a file and a check that demote the better one.
#[test]
#[ignore = "needs root"]
fn what_is_tracked_demotes() {
    if !is_possible() {
        return;
    }
    let lab = Lab::new();
    let number = lab.files.join("number");
    std::fs::write(&number, "0\n").unwrap();
    let ready = lab.files.join("ready");
    std::fs::write(&ready, "0\n").unwrap();
    let config = |skew: u8| {
        format!(
            "[[vrrp_track_file]]\nname = \"file\"\nfile = \"{}\"\n\
             [[vrrp_check]]\nname = \"ready\"\ncheck = {{ type = \"file\", path = \"{}\", \
             interval = \"100ms\", rise = 1, fall = 1 }}\n\
             [[carp_instance]]\nname = \"c\"\ninterface = \"eth0\"\nvhid = 51\nadvskew = {skew}\n\
             preempt = true\npassphrase = \"secret\"\naddresses = [\"{ADDRESS}/24\"]\n\
             use_vmac = true\n",
            number.display(),
            ready.display()
        )
    };
    let tracks = "track_files = [\"file\"]\ntrack_checks = [{ name = \"ready\", weight = -100 }]\n";
    let _a = run_ours(&lab, Host::A, &(config(0) + tracks));
    let _b = run_ours(&lab, Host::B, &config(50));
    lab.until(PATIENCE, "the better one", || lab.holds(Host::A, ADDRESS));
    thread::sleep(Duration::from_secs(4));
    assert!(!lab.holds(Host::B, ADDRESS));
    for (file, demoted) in [(&number, "-100\n"), (&ready, "1\n")] {
        std::fs::write(file, demoted).unwrap();
        lab.until(PATIENCE, "the other one", || {
            lab.holds(Host::B, ADDRESS) && !lab.holds(Host::A, ADDRESS)
        });
        std::fs::write(file, "0\n").unwrap();
        lab.until(PATIENCE, "the better one again", || {
            lab.holds(Host::A, ADDRESS) && !lab.holds(Host::B, ADDRESS)
        });
    }
}

#[test]
#[ignore = "needs root"]
fn who_is_not_fit_says_why() {
    if !is_possible() {
        return;
    }
    let lab = Lab::new();
    let _a = run_ours(&lab, Host::A, &format!("admin = \"127.0.0.1:9900\"\n{}", config(0)));
    lab.until(PATIENCE, "a master", || lab.holds(Host::A, ADDRESS));
    let status = || fetch(&lab.space(Host::A), &["http://127.0.0.1:9900/status"]);
    assert!(status().contains("\"faults\":[]"), "{}", status());
    ip(&format!("-n {} link set eth0 down", lab.space(Host::A)));
    lab.until(PATIENCE, "it is not fit", || status().contains("\"faults\":[\"interface\"]"));
    assert!(!lab.holds(Host::A, ADDRESS));
}
