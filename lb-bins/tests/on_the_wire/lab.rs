//! Two hosts, a client and a switch, each in a network namespace of its own.

use std::fs::File;
use std::net::IpAddr;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::ifaddrs::getifaddrs;
use rustix::thread::{LinkNameSpaceType, gettid, move_into_link_name_space};

pub(crate) const MS: Duration = Duration::from_millis(1);

/// Whether everything is there that most tests need.
pub(crate) fn is_possible() -> bool {
    has("ip", "-V") && has("keepalived", "--version")
}

/// Whether there is a program, which answers this at once; says so if not. With `LB_SKIP_NOTHING` in
/// the environment it has to be there.
pub(crate) fn has(tool: &str, argument: &str) -> bool {
    let is_there = Command::new(tool).arg(argument).output().is_ok();
    let may_skip = std::env::var_os("LB_SKIP_NOTHING").is_none();
    assert!(is_there || may_skip, "there is no {tool}");
    if !is_there {
        eprintln!("skipped: there is no {tool}");
    }
    is_there
}

fn try_ip(arguments: &str) -> Output {
    Command::new("ip").args(arguments.split_whitespace()).output().unwrap()
}

pub(crate) fn ip(arguments: &str) -> String {
    let output = try_ip(arguments);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// What `curl` with these arguments gets in a namespace.
pub(crate) fn fetch(space: &str, arguments: &[&str]) -> String {
    let mut curl = Command::new("ip");
    curl.args(["netns", "exec", space, "curl", "-s"]).args(arguments);
    String::from_utf8(curl.output().unwrap().stdout).unwrap()
}

/// `/status` in a namespace; `null` as long as nobody answers.
pub(crate) fn status(space: &str) -> serde_json::Value {
    serde_json::from_str(&fetch(space, &["http://127.0.0.1:9900/status"])).unwrap_or_default()
}

/// One of the two hosts, or the client's where it takes part as a third one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Host {
    A,
    B,
    C,
}

impl Host {
    pub(crate) const ALL: [Self; 3] = [Self::A, Self::B, Self::C];

    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::A => 1,
            Self::B => 2,
            Self::C => 3,
        }
    }

    pub(crate) const fn letter(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
            Self::C => "c",
        }
    }

    /// Of the pair.
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B | Self::C => Self::A,
        }
    }
}

/// What there is to play with, until it is dropped.
pub(crate) struct Lab {
    name: String,
    pub(crate) files: PathBuf,
}

impl Lab {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("vip{}-{count}", std::process::id());
        let files = std::env::temp_dir().join(&name);
        std::fs::create_dir_all(&files).unwrap();
        let lab = Self { name, files };
        for space in ["s", "a", "b", "c"] {
            ip(&format!("netns add {}", lab.space_of(space)));
            ip(&format!("-n {} link set lo up", lab.space_of(space)));
        }
        let switch = lab.space_of("s");
        ip(&format!("-n {switch} link add br0 type bridge mcast_snooping 0"));
        ip(&format!("-n {switch} link set br0 up"));
        for (number, host) in Host::ALL.map(|host| (host.number(), host.letter())) {
            let space = lab.space_of(host);
            ip(&format!("-n {switch} link add port-{host} type veth peer name eth0 netns {space}"));
            ip(&format!("-n {switch} link set port-{host} master br0 up"));
            ip(&format!("-n {space} link set eth0 addrgenmode none"));
            ip(&format!("-n {space} link set eth0 up"));
            ip(&format!("-n {space} address add 10.99.0.{number}/24 dev eth0"));
            ip(&format!("-n {space} address add fe80::{number}/64 dev eth0 nodad"));
            ip(&format!("-n {space} address add fd99::{number}/64 dev eth0 nodad"));
        }
        lab
    }

    /// More cables between the hosts: `eth1` and so on.
    pub(crate) fn add_cables(&self, count: usize) {
        let (a, b) = (self.space(Host::A), self.space(Host::B));
        for cable in 1..=count {
            ip(&format!("-n {a} link add eth{cable} type veth peer name eth{cable} netns {b}"));
            for (space, number) in [(&a, 1), (&b, 2)] {
                ip(&format!("-n {space} link set eth{cable} up"));
                ip(&format!("-n {space} address add 10.98.{cable}.{number}/24 dev eth{cable}"));
            }
        }
    }

    fn space_of(&self, what: &str) -> String {
        format!("{}{what}", self.name)
    }

    pub(crate) fn space(&self, host: Host) -> String {
        self.space_of(host.letter())
    }

    pub(crate) fn client(&self) -> String {
        self.space(Host::C)
    }

    pub(crate) fn switch(&self) -> String {
        self.space_of("s")
    }

    /// The MAC address of a host.
    pub(crate) fn mac(&self, host: Host) -> String {
        let link = ip(&format!("-n {} -o link show dev eth0", self.space(host)));
        link.split("link/ether ").nth(1).unwrap().split(' ').next().unwrap().to_owned()
    }

    /// What somebody runs on a host, which has to succeed.
    pub(crate) fn run(&self, space: &str, line: &str) -> String {
        ip(&format!("netns exec {space} {line}"))
    }

    /// Runs something in a namespace.
    pub(crate) fn inside<T: Send>(space: &str, what: impl FnOnce() -> T + Send) -> T {
        let there = || {
            enter(space);
            what()
        };
        thread::scope(|scope| scope.spawn(there).join().unwrap())
    }

    /// Takes a host off the switch, or back to it; it sees a carrier all the time.
    pub(crate) fn connect(&self, host: Host, connected: bool) {
        let what = if connected { "master br0" } else { "nomaster" };
        ip(&format!("-n {} link set port-{} {what}", self.switch(), host.letter()));
    }

    pub(crate) fn holds(&self, host: Host, address: &str) -> bool {
        let address: IpAddr = address.parse().unwrap();
        let all = Self::inside(&self.space(host), || getifaddrs().unwrap().collect::<Vec<_>>());
        all.iter().filter_map(|one| one.address.as_ref()).any(|one| {
            let v4 = one.as_sockaddr_in().map(|one| IpAddr::from(one.ip()));
            let v6 = one.as_sockaddr_in6().map(|one| IpAddr::from(one.ip()));
            v4.or(v6) == Some(address)
        })
    }

    /// Waits until `what` is so.
    pub(crate) fn until(&self, limit: Duration, saying: &str, what: impl Fn() -> bool) -> Duration {
        let start = Instant::now();
        while !what() {
            assert!(start.elapsed() < limit, "not within {limit:?}: {saying}");
            thread::sleep(10 * MS);
        }
        start.elapsed()
    }
}

/// Whoever measures goes before what else runs here: this thread, in real time if that may be.
pub(crate) fn hurry() {
    let _ = rustix::process::setpriority_process(None, -20);
    let mut chrt = Command::new("chrt");
    chrt.args(["--fifo", "--pid", "10", &gettid().as_raw_nonzero().to_string()]);
    let _ = chrt.output();
}

pub(crate) fn enter(space: &str) {
    let file = File::open(format!("/run/netns/{space}")).unwrap();
    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
}

impl Drop for Lab {
    fn drop(&mut self) {
        for space in ["a", "b", "c", "s"] {
            let _ = try_ip(&format!("netns delete {}", self.space_of(space)));
        }
        if thread::panicking() {
            for log in ["a.log", "b.log", "c.log"] {
                let text = std::fs::read_to_string(self.files.join(log)).unwrap_or_default();
                let tail: Vec<_> = text.lines().rev().take(40).collect();
                let tail: Vec<_> = tail.into_iter().rev().collect();
                eprintln!("---- {log}\n{}", tail.join("\n"));
            }
        }
        let _ = std::fs::remove_dir_all(&self.files);
    }
}
