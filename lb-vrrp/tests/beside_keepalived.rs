//! Our router in one network namespace, a real keepalived in another, and a cable between them.
//!
//! Needs root, `ip` and `keepalived`: `cargo test --features linux -- --ignored`. Namespaces are made
//! and removed by each test, and only processes that it started are ended, by their ids.
#![cfg(all(feature = "linux", target_os = "linux"))]
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]
#![allow(clippy::disallowed_methods, reason = "this is about a real kernel, in real time")]

use std::fs::File;
use std::io::Read;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use lb_vrrp::driver::{Counters, Driver, Report};
use lb_vrrp::linux::{LinuxNetwork, Settings, VirtualAddress, primary_address};
use lb_vrrp::{
    AddressList, Authentication, Channel, ChannelConfig, Config, Family, GratuitousArp, Interval,
    MacAddr, Peer, Priority, Reach, Reason, Role, UnsolicitedNa, Version, Vrid,
};
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::mpsc;

const MS: Duration = Duration::from_millis(1);

/// Whether everything is there; says what is not. With `LB_SKIP_NOTHING` in the environment all of it
/// has to be there.
fn is_possible() -> bool {
    for tool in [["ip", "-V"], ["keepalived", "--version"]] {
        if Command::new(tool[0]).arg(tool[1]).output().is_err() {
            assert!(std::env::var_os("LB_SKIP_NOTHING").is_none(), "there is no {}", tool[0]);
            eprintln!("skipped: there is no {}", tool[0]);
            return false;
        }
    }
    true
}

fn ip(arguments: &str) -> String {
    let output = Command::new("ip").args(arguments.split_whitespace()).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// What is spoken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Dialect {
    /// Version 2 with keepalived's authentication header; whole seconds.
    Ah,
    /// Version 3 over IPv4.
    V4,
    /// Version 3 over IPv6.
    V6,
    /// Version 3 over IPv4, to a peer.
    Unicast,
}

/// Two namespaces and a cable: `a` is ours, `b` is keepalived's.
struct Lab {
    dialect: Dialect,
    a: String,
    b: String,
    files: PathBuf,
}

impl Lab {
    fn new(dialect: Dialect) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("vrrp{}-{count}", std::process::id());
        let files = std::env::temp_dir().join(&name);
        std::fs::create_dir_all(&files).unwrap();
        let lab = Self { dialect, a: format!("{name}a"), b: format!("{name}b"), files };
        let (a, b) = (&lab.a, &lab.b);
        ip(&format!("netns add {a}"));
        ip(&format!("netns add {b}"));
        lab.plug_in();
        lab
    }

    /// The cable, and what each host has without us.
    fn plug_in(&self) {
        let (a, b) = (&self.a, &self.b);
        ip(&format!("-n {a} link add eth0 type veth peer name eth0 netns {b}"));
        for (space, host) in [(a, "1"), (b, "2")] {
            ip(&format!("-n {space} address add 10.99.0.{host}/24 dev eth0"));
            ip(&format!("-n {space} link set lo up"));
            ip(&format!("-n {space} link set eth0 addrgenmode none"));
            ip(&format!("-n {space} link set eth0 up"));
            ip(&format!("-n {space} address add fe80::{host}/64 dev eth0 nodad"));
        }
    }

    fn virtual_address(&self) -> VirtualAddress {
        match self.dialect {
            Dialect::V6 => VirtualAddress::new("fe80::200".parse().unwrap()).prefix(64),
            _ => VirtualAddress::new([10, 99, 0, 200].into()).prefix(24).label("eth0:vip"),
        }
    }

    fn interval(&self) -> Interval {
        Interval::from_centis(if self.dialect == Dialect::Ah { 100 } else { 10 }).unwrap()
    }

    /// How long a backup of priority 100 or more waits, and a little more.
    fn master_down(&self) -> Duration {
        self.interval().as_duration() * 4 + 200 * MS
    }

    fn channel(&self, source: IpAddr) -> ChannelConfig {
        let addresses = AddressList::new([self.virtual_address().address]).unwrap();
        let mut channel = ChannelConfig::new(Vrid::new(51).unwrap(), source, addresses).unwrap();
        if self.dialect == Dialect::Ah {
            channel.version(Version::V2, self.interval()).unwrap();
            channel.authentication(Authentication::ah(b"secret")).unwrap();
        } else {
            channel.version(Version::V3, self.interval()).unwrap();
        }
        if self.dialect == Dialect::Unicast {
            let peer = Peer::new([10, 99, 0, 2].into()).hop_limits(255..=255);
            channel.reach(Reach::unicast(vec![peer])).unwrap();
        }
        channel
    }

    /// Runs something in the namespace.
    fn inside<T: Send>(space: &str, what: impl FnOnce() -> T + Send) -> T {
        let there = || {
            setns(File::open(format!("/run/netns/{space}")).unwrap(), CloneFlags::CLONE_NEWNET)
                .unwrap();
            what()
        };
        thread::scope(|scope| scope.spawn(there).join().unwrap())
    }

    /// Starts ours.
    fn start(&self, priority: u8) -> Ours {
        let family = Family::of(&self.virtual_address().address);
        let source = Self::inside(&self.a, || primary_address("eth0", family)).unwrap().unwrap();
        let channel = self.channel(source);
        let mut router = Config::of(&channel);
        router.priority(Priority::new(priority)).unwrap();
        let space = File::open(format!("/run/netns/{}", self.a)).unwrap();
        let address = self.virtual_address();
        let seen = Arc::new(Mutex::new((Role::Initialize, Counters::default())));
        let shown = Arc::clone(&seen);
        let (commands, mut inbox) = mpsc::unbounded_channel();
        let thread = thread::spawn(move || {
            setns(space, CloneFlags::CLONE_NEWNET).unwrap();
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let mut network = LinuxNetwork::new().unwrap();
                let settings = Settings::new("eth0").address(address);
                let id = network.open(&channel, settings).unwrap();
                let mut driver = Driver::new(network);
                driver.add(id, router, Channel::new(channel));
                driver.startup(id);
                loop {
                    tokio::select! {
                        report = driver.next() => match report {
                            Some((_, Report::Event(event))) => eprintln!("ours: {event:?}"),
                            Some(failed) => eprintln!("ours: {failed:?}"),
                            None => break,
                        },
                        Some(()) = inbox.recv() => driver.shutdown(),
                        () = tokio::time::sleep(5 * MS) => {}
                    }
                    *shown.lock().unwrap() =
                        (driver.router(id).unwrap().state().role(), *driver.counters(id).unwrap());
                }
            });
        });
        Ours { commands, seen, thread }
    }

    fn keepalived(&self, priority: u8) -> Keepalived {
        let VirtualAddress { address, prefix, .. } = self.virtual_address();
        let version = if self.dialect == Dialect::Ah { 2 } else { 3 };
        let interval = self.interval().as_duration().as_secs_f64();
        let extra = match self.dialect {
            Dialect::Ah => "authentication {\n auth_type AH\n auth_pass secret\n }",
            Dialect::Unicast => "unicast_src_ip 10.99.0.2\n unicast_peer {\n 10.99.0.1\n }",
            Dialect::V4 | Dialect::V6 => "",
        };
        let config = format!(
            "global_defs {{\n vrrp_version {version}\n}}\nvrrp_instance v {{\n interface eth0\n \
             virtual_router_id 51\n priority {priority}\n advert_int {interval}\n {extra}\n \
             virtual_ipaddress {{\n {address}/{prefix}\n }}\n}}\n"
        );
        let file = |name: &str| self.files.join(name).to_str().unwrap().to_owned();
        std::fs::write(file("keepalived.conf"), config).unwrap();
        let pid_file = PathBuf::from(file("vrrp.pid"));
        let _ = std::fs::remove_file(&pid_file);
        let process = Command::new("ip")
            .args(["netns", "exec", &self.b, "keepalived", "--dont-fork", "--vrrp"])
            .args(["--log-console", "--use-file", &file("keepalived.conf")])
            .args(["--pid", &file("keepalived.pid"), "--vrrp_pid", &file("vrrp.pid")])
            .stdout(Stdio::null())
            .stderr(File::create(file("keepalived.log")).unwrap())
            .spawn()
            .unwrap();
        Keepalived { process, pid_file }
    }

    fn holds(&self, space: &str) -> bool {
        let addresses = ip(&format!("-n {space} -o address show dev eth0"));
        addresses.contains(&format!(" {}/", self.virtual_address().address))
    }

    /// Waits until the address is here, or not, and there, or not.
    fn settles(&self, a: bool, b: bool, limit: Duration) -> Duration {
        let start = Instant::now();
        loop {
            let now = (self.holds(&self.a), self.holds(&self.b));
            if now == (a, b) {
                return start.elapsed();
            }
            // On a busy machine both daemons and whoever looks at them wait for the processor.
            let limit = 5 * limit;
            assert!(start.elapsed() < limit, "{:?}: {now:?}, not {:?}", self.dialect, (a, b));
            thread::sleep(2 * MS);
        }
    }

    /// It stays like this.
    fn stays(&self, a: bool, b: bool, length: Duration) {
        let start = Instant::now();
        while start.elapsed() < length {
            assert_eq!((self.holds(&self.a), self.holds(&self.b)), (a, b), "{:?}", self.dialect);
            thread::sleep(10 * MS);
        }
    }

    /// All frames that arrive at `b`.
    fn listen(&self) -> Socket {
        let all = Protocol::from(i32::from(0x0003_u16.to_be()));
        Self::inside(&self.b, || {
            let socket = Socket::new(Domain::PACKET, Type::RAW, Some(all)).unwrap();
            socket.set_read_timeout(Some(500 * MS)).unwrap();
            socket
        })
    }

    /// What tells the link that the address is at `a`.
    fn announcement(&self) -> Vec<u8> {
        let link = ip(&format!("-n {} -o link show dev eth0", self.a));
        let mac = link.split("link/ether ").nth(1).unwrap().split(' ').next().unwrap();
        let octets: Vec<_> =
            mac.split(':').map(|octet| u8::from_str_radix(octet, 16).unwrap()).collect();
        let mac = MacAddr(octets.try_into().unwrap());
        let mut frame = Vec::new();
        match self.virtual_address().address {
            IpAddr::V4(address) => GratuitousArp::new(mac, address).emit(&mut frame),
            IpAddr::V6(address) => {
                UnsolicitedNa { mac, address, router: false }.emit(&mut frame);
            }
        }
        frame
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for space in [&self.a, &self.b] {
            let _ = Command::new("ip").args(["netns", "delete", space]).status();
        }
        if thread::panicking() {
            let log = std::fs::read_to_string(self.files.join("keepalived.log"));
            eprintln!("keepalived: {}", log.unwrap_or_default());
        }
        let _ = std::fs::remove_dir_all(&self.files);
    }
}

struct Ours {
    commands: mpsc::UnboundedSender<()>,
    seen: Arc<Mutex<(Role, Counters)>>,
    thread: JoinHandle<()>,
}

impl Ours {
    fn role(&self) -> Role {
        self.seen.lock().unwrap().0
    }

    fn counters(&self) -> Counters {
        self.seen.lock().unwrap().1
    }

    fn stop(self) {
        self.commands.send(()).unwrap();
        self.thread.join().unwrap();
    }
}

struct Keepalived {
    process: Child,
    pid_file: PathBuf,
}

impl Keepalived {
    fn pid(&self) -> Pid {
        Pid::from_raw(self.process.id().try_into().unwrap())
    }

    /// As if its host died: it cannot say a word. The parent must not notice that its child is gone.
    fn kill(mut self) {
        let child = std::fs::read_to_string(&self.pid_file).unwrap();
        let child = Pid::from_raw(child.trim().parse().unwrap());
        kill(self.pid(), Signal::SIGSTOP).unwrap();
        kill(child, Signal::SIGKILL).unwrap();
        kill(self.pid(), Signal::SIGKILL).unwrap();
        self.process.wait().unwrap();
    }

    fn stop(mut self) {
        kill(self.pid(), Signal::SIGTERM).unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Keepalived {
    fn drop(&mut self) {
        if self.process.try_wait().is_ok_and(|status| status.is_none()) {
            let _ = kill(self.pid(), Signal::SIGTERM);
            let _ = self.process.wait();
        }
    }
}

/// Election, failover and failback, both ways.
fn all_goes_as_it_should(dialect: Dialect) {
    if !is_possible() {
        return;
    }
    let lab = Lab::new(dialect);
    let down = lab.master_down();

    // Ours is better.
    let mut frames = lab.listen();
    let keepalived = lab.keepalived(100);
    lab.settles(false, true, down + 3000 * MS);
    let ours = lab.start(200);
    lab.settles(true, false, down + 500 * MS);
    let announcement = lab.announcement();
    let mut frame = [0; 2048];
    while frames.read(&mut frame).unwrap() < announcement.len() || !frame.starts_with(&announcement)
    {
    }
    lab.stays(true, false, 2 * down);
    let failover = Instant::now();
    ours.stop();
    let took = failover.elapsed();
    assert!(lab.holds(&lab.b), "ours answers until the other one speaks");
    lab.settles(false, true, 100 * MS);
    eprintln!("{dialect:?}: stopped in {took:?}");
    let ours = lab.start(200);
    lab.settles(true, false, down + 500 * MS);
    keepalived.stop();
    lab.stays(true, false, down);
    assert_eq!(ours.role(), Role::Master);
    ours.stop();
    lab.settles(false, false, 100 * MS);

    // Keepalived is better.
    let ours = lab.start(100);
    lab.settles(true, false, down + 500 * MS);
    let keepalived = lab.keepalived(200);
    lab.settles(false, true, down + 3000 * MS);
    lab.stays(false, true, 2 * down);
    assert_eq!(ours.role(), Role::Backup);
    let start = Instant::now();
    keepalived.kill();
    let VirtualAddress { address, prefix, .. } = lab.virtual_address();
    // With its host would have gone the address.
    ip(&format!("-n {} address delete {address}/{prefix} dev eth0", lab.b));
    lab.settles(true, false, down);
    let took = start.elapsed();
    eprintln!("{dialect:?}: failed over in {took:?}");
    assert!(took >= lab.interval().as_duration() * 2, "it was only late");
    let keepalived = lab.keepalived(200);
    lab.settles(false, true, down + 3000 * MS);

    let counters = ours.counters();
    eprintln!("{dialect:?}: {counters:?}");
    assert!(counters.received > 5 && counters.not_sent == 0 && counters.addresses_differ == 0);
    let refused = Reason::ALL.iter().map(|reason| counters.refused(*reason)).sum::<u64>();
    assert_eq!(refused, 0);
    ours.stop();
    keepalived.stop();
}

#[test]
#[ignore = "needs root and keepalived"]
fn version_3_over_ipv4() {
    all_goes_as_it_should(Dialect::V4);
}

#[test]
#[ignore = "needs root and keepalived"]
fn version_3_over_ipv6() {
    all_goes_as_it_should(Dialect::V6);
}

#[test]
#[ignore = "needs root and keepalived"]
fn version_3_to_a_peer() {
    all_goes_as_it_should(Dialect::Unicast);
}

#[test]
#[ignore = "needs root and keepalived"]
fn version_2_with_an_authentication_header() {
    all_goes_as_it_should(Dialect::Ah);
}

/// Needs no root to be asked.
#[test]
fn the_primary_address_is_the_first_one() {
    assert_eq!(primary_address("nothing0", Family::V4).unwrap(), None);
    assert_eq!(primary_address("lo", Family::V4).unwrap(), Some([127, 0, 0, 1].into()));
}

#[test]
#[ignore = "needs root and keepalived"]
fn addresses_and_links_are_watched() {
    if !is_possible() {
        return;
    }
    for dialect in [Dialect::V4, Dialect::V6] {
        let lab = Lab::new(dialect);
        let (a, b) = (&lab.a, &lab.b);
        let VirtualAddress { address, prefix, .. } = lab.virtual_address();
        ip(&format!("-n {a} address add {address}/{prefix} dev eth0"));
        let ours = lab.start(100);
        let took = lab.settles(false, false, 200 * MS);
        eprintln!("{dialect:?}: what was left over was gone after {took:?}");
        lab.settles(true, false, lab.master_down());

        for _ in 0..10 {
            ip(&format!("-n {a} address delete {address}/{prefix} dev eth0"));
            lab.settles(true, false, 50 * MS);
        }

        ip(&format!("-n {b} link set eth0 down"));
        lab.settles(false, false, 200 * MS);
        assert_eq!(ours.role(), Role::Fault);
        ip(&format!("-n {b} link set eth0 up"));
        lab.settles(true, false, lab.master_down() + 1000 * MS);

        if dialect == Dialect::V4 {
            assert!(
                ip(&format!("-n {a} -o address show")).contains("scope global secondary eth0:vip")
            );
        }

        // Taken away while it is needed, and back with another index.
        ip(&format!("-n {a} link delete eth0"));
        thread::sleep(200 * MS);
        assert_eq!(ours.role(), Role::Fault);
        ip(&format!("-n {a} link add eth9 type veth peer name eth8"));
        lab.plug_in();
        lab.settles(true, false, lab.master_down() + 1000 * MS);
        let keepalived = lab.keepalived(200);
        lab.settles(false, true, lab.master_down() + 3000 * MS);
        keepalived.stop();
        lab.settles(true, false, lab.master_down());

        ours.stop();
        assert!(!lab.holds(a));
    }
}
