//! Addresses that routers learn of by BGP: announced by real speakers, BIRD and ExaBGP, to a real router.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::daemon::{Daemon, run_ours};
use crate::lab::{Host, Lab, MS, fetch, ip};
use crate::probe::Sniffer;

const ADDRESS: &str = "192.0.2.200";
const PATIENCE: Duration = Duration::from_secs(60);

const ROUTER: &str = "
    router id 10.99.0.3;
    protocol device {}
    protocol kernel { ipv4 { export all; }; merge paths yes; }
    template bgp director {
        local as 65000;
        ipv4 { import all; export none; };
        connect delay time 1; connect retry time 1; error wait time 1, 2;
        passive yes;
    }
    protocol bgp a from director { neighbor 10.99.0.1 as 65001; }
    protocol bgp b from director { neighbor 10.99.0.2 as 65001; }
";
/// Nothing is announced until it is told to.
const DIRECTOR: &str = r#"
    router id 10.99.0.NUMBER;
    protocol device {}
    protocol static vip_web { disabled; ipv4; route 192.0.2.200/32 blackhole; }
    protocol bgp upstream {
        local as 65001;
        neighbor 10.99.0.3 as 65000;
        ipv4 { import none; export where proto = "vip_web"; };
        connect delay time 1; connect retry time 1; error wait time 1, 2;
    }
"#;
const EXABGP: &str = "
neighbor 10.99.0.3 {
    router-id 10.99.0.NUMBER;
    local-address 10.99.0.NUMBER;
    local-as 65001;
    peer-as 65000;
    family { ipv4 unicast; }
}
";

/// A daemon that is ended with this, by its id.
struct Speaker(Child);

impl Drop for Speaker {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.0), Signal::KILL);
        let _ = self.0.wait();
    }
}

fn is_possible() -> bool {
    let has = |program| crate::lab::has(program, "--version");
    ["bird", "exabgp"].into_iter().all(has) && crate::lab::is_possible()
}

/// What everybody has here.
struct Net {
    lab: Lab,
    _router: Speaker,
}

impl Net {
    fn new() -> Self {
        let lab = Lab::new();
        let router = bird(&lab, &lab.client(), "router", ROUTER);
        Self { lab, _router: router }
    }

    fn bird(&self, host: Host) -> Speaker {
        let config = DIRECTOR.replace("NUMBER", &host.number().to_string());
        bird(&self.lab, &self.lab.space(host), &format!("bird-{host:?}"), &config)
    }

    /// With its pipes, which outlive it.
    fn exabgp(&self, host: Host) -> Speaker {
        let [commands, answers] = ["in", "out"].map(|end| self.pipe(end));
        std::fs::create_dir_all(self.lab.files.join("run")).unwrap();
        for pipe in [&commands, &answers] {
            assert!(Command::new("mkfifo").arg(pipe).stderr(Stdio::null()).status().is_ok());
        }
        let config = self.lab.files.join("exabgp.conf");
        std::fs::write(&config, EXABGP.replace("NUMBER", &host.number().to_string())).unwrap();
        let mut exabgp = Command::new("ip");
        exabgp.args(["netns", "exec", &self.lab.space(host), "exabgp", "--root"]);
        exabgp.arg(&self.lab.files).arg(&config);
        let name = commands.file_stem().unwrap().to_owned();
        exabgp.env("exabgp_api_pipename", name).env("exabgp_daemon_user", "root");
        exabgp.env("exabgp_daemon_daemonize", "false").env("exabgp_tcp_bind", "");
        exabgp.env("exabgp_log_destination", "stdout");
        let log = File::create(self.lab.files.join("exabgp.log")).unwrap();
        exabgp.stdin(Stdio::null()).stderr(log.try_clone().unwrap()).stdout(log);
        Speaker(exabgp.spawn().unwrap())
    }

    fn pipe(&self, end: &str) -> PathBuf {
        let name = self.lab.files.file_name().unwrap().to_str().unwrap();
        self.lab.files.join(format!("run/{name}.{end}"))
    }

    /// What an announcement of this host says of its speaker.
    fn speaker(&self, host: Host, kind: &str) -> String {
        match kind {
            "bird" => {
                let socket = self.lab.files.join(format!("bird-{host:?}.ctl"));
                format!(
                    "speaker = {{ type = \"bird\", socket = {socket:?}, protocol = \"vip_web\" }}"
                )
            }
            _ => format!(
                "addresses = [\"{ADDRESS}/32\"]\nspeaker = {{ type = \"exabgp\", pipe = {:?} }}",
                self.pipe("in")
            ),
        }
    }

    /// The directors that the router sends packets to.
    fn learned(&self) -> Vec<u8> {
        let routes = ip(&format!("-n {} route show {ADDRESS}", self.lab.client()));
        let has = |number: &u8| routes.contains(&format!("via 10.99.0.{number} "));
        [1, 2].into_iter().filter(has).collect()
    }

    fn learns(&self, directors: &[u8], saying: &str) -> Duration {
        self.lab.until(PATIENCE, saying, || self.learned() == directors)
    }

    fn status(&self, host: Host) -> serde_json::Value {
        let url = "http://127.0.0.1:9900/status";
        let status = fetch(&self.lab.space(host), &[url]);
        serde_json::from_str(&status).unwrap_or_default()
    }

    fn state(&self, host: Host) -> String {
        let status = self.status(host);
        let state = &status["bgp_announcements"][0]["state"];
        state.as_str().unwrap_or_default().to_owned()
    }
}

fn bird(lab: &Lab, space: &str, name: &str, config: &str) -> Speaker {
    let file = |end: &str| lab.files.join(format!("{name}.{end}"));
    std::fs::write(file("conf"), config).unwrap();
    let mut bird = Command::new("ip");
    bird.args(["netns", "exec", space, "bird", "-f", "-c"]).arg(file("conf"));
    bird.arg("-s").arg(file("ctl"));
    let log = File::create(file("log")).unwrap();
    bird.stdin(Stdio::null()).stderr(log.try_clone().unwrap()).stdout(log);
    Speaker(bird.spawn().unwrap())
}

/// No instance: whoever is fit announces, and the router spreads flows over them.
#[test]
#[ignore = "needs root, bird and exabgp"]
fn two_directors_share_an_address_as_long_as_they_are_fit() {
    if !is_possible() {
        return;
    }
    let net = Net::new();
    let alive = |host: Host| net.lab.files.join(format!("alive-{host:?}"));
    let config = |host: Host, kind: &str| {
        std::fs::write(alive(host), "").unwrap();
        format!(
            "admin = \"127.0.0.1:9900\"\n[[bgp_announcement]]\nname = \"web\"\n{}\n\
             track_scripts = [\"alive\"]\nwithdraw_delay = \"500ms\"\n[[vrrp_script]]\n\
             name = \"alive\"\ncommand = [\"/usr/bin/test\", \"-e\", {:?}]\ninterval = \"50ms\"\n\
             initial = \"down\"\n",
            net.speaker(host, kind),
            alive(host),
        )
    };
    let (mut bird, mut exabgp) = (net.bird(Host::A), net.exabgp(Host::B));
    let a = run_ours(&net.lab, Host::A, &config(Host::A, "bird"));
    let mut b = run_ours(&net.lab, Host::B, &config(Host::B, "exabgp"));
    net.learns(&[1, 2], "both directors");

    for (host, other) in [(Host::A, 2), (Host::B, 1)] {
        std::fs::remove_file(alive(host)).unwrap();
        net.learns(&[other], "who is not fit withdraws");
        assert_eq!(net.state(host), "WITHDRAWN");
        std::fs::write(alive(host), "").unwrap();
        net.learns(&[1, 2], "who is fit again announces");
        assert_eq!(net.state(host), "ANNOUNCED");
    }

    // Speakers come back without routes, and are told them again.
    drop(std::mem::replace(&mut bird, net.bird(Host::A)));
    net.learns(&[2], "the speaker of A died");
    drop(bird);
    net.lab.until(PATIENCE, "it is missed", || net.state(Host::A) == "UNKNOWN");
    let bird = net.bird(Host::A);
    net.learns(&[1, 2], "it came back");
    drop(exabgp);
    net.learns(&[1], "the speaker of B died");
    net.lab.until(PATIENCE, "it is missed", || net.state(Host::B) == "UNKNOWN");
    let metrics = fetch(&net.lab.space(Host::B), &["http://127.0.0.1:9900/metrics"]);
    assert!(metrics.contains("lb_bgp_announcement_unknown{announcement=\"web\"} 1"), "{metrics}");
    assert!(metrics.contains("lb_bgp_announcement_wanted{announcement=\"web\"} 1"), "{metrics}");
    exabgp = net.exabgp(Host::B);
    net.learns(&[1, 2], "it came back");

    // An announcement that goes with a reload, and one that comes.
    let without = "admin = \"127.0.0.1:9900\"\n[[bgp_announcement]]\nname = \"other\"\n";
    let another = net.speaker(Host::B, "exabgp").replace(ADDRESS, "192.0.2.77");
    b.reload_text(&format!("{without}{another}\n"));
    net.learns(&[1], "it is in the configuration no more");
    let learned = || ip(&format!("-n {} route show 192.0.2.77", net.lab.client()));
    net.lab.until(PATIENCE, "another one is", || learned().contains("via 10.99.0.2 "));
    b.reload_text(&config(Host::B, "exabgp"));
    net.learns(&[1, 2], "as it was");
    assert_eq!(learned(), "");

    // Routers have their time before it ends.
    b.tell_to_stop();
    net.learns(&[1], "B stops");
    let told = Instant::now();
    assert!(b.runs(), "it ended before routers had their time");
    b.wait();
    assert!(told.elapsed() >= 300 * MS, "{:?}", told.elapsed());

    // Who dies does not withdraw anything; but whoever comes after it does, if it should.
    a.kill();
    assert_eq!(net.learned(), [1]);
    std::fs::remove_file(alive(Host::A)).unwrap();
    let unfit = config(Host::A, "bird");
    std::fs::remove_file(alive(Host::A)).unwrap();
    let a = run_ours(&net.lab, Host::A, &unfit);
    net.learns(&[], "what was left is put right");
    drop((a, bird, exabgp));
}

/// With an instance: the master announces, and withdraws before it gives its addresses up.
#[test]
#[ignore = "needs root, bird and exabgp"]
fn a_master_withdraws_before_it_leaves() {
    if !is_possible() {
        return;
    }
    let net = Net::new();
    let config = |host: Host, kind: &str, priority: u8| {
        format!(
            "admin = \"127.0.0.1:9900\"\n[[bgp_announcement]]\nname = \"web\"\n{}\n\
             instance = \"v\"\nwithdraw_delay = \"1s\"\n[[vrrp_instance]]\nname = \"v\"\n\
             interface = \"eth0\"\nvirtual_router_id = 51\npriority = {priority}\n\
             advert_interval = \"100ms\"\naddresses = [\"{ADDRESS}/32\"]\n",
            net.speaker(host, kind),
        )
    };
    let _speakers = (net.exabgp(Host::A), net.bird(Host::B));
    let start = |host: Host| -> Daemon {
        let (kind, priority) = if host == Host::A { ("exabgp", 200) } else { ("bird", 100) };
        run_ours(&net.lab, host, &config(host, kind, priority))
    };
    let sniffer = Sniffer::start(&net.lab.space(Host::B));
    let mut a = start(Host::A);
    net.learns(&[1], "the master announces");
    let mut b = start(Host::B);
    net.lab.until(PATIENCE, "a backup does not", || net.state(Host::B) == "WITHDRAWN");
    assert_eq!(net.learned(), [1]);

    let releases = |host: Host, since: Instant| {
        let said = sniffer.said(host, since);
        said.into_iter().filter(|one| one.priority == 0).map(|one| one.at).next()
    };
    // In every way to leave on purpose.
    let left_in_order = |host: Host, since: Instant| {
        let withdrawn =
            since + net.lab.until(PATIENCE, "it withdraws", || net.learned() != [host.number()]);
        assert!(net.lab.holds(host, ADDRESS), "{host:?} gave the address up too early");
        net.lab.until(PATIENCE, "it gives up", || releases(host, since).is_some());
        let released = releases(host, since).unwrap();
        assert!(
            released >= withdrawn + 500 * MS,
            "{host:?} withdrew after {:?} and gave up after {:?}",
            withdrawn - since,
            released - since,
        );
    };
    let switchover = ["-X", "POST", "http://127.0.0.1:9900/vrrp_instances/v/switchover"];
    for how in ["stop", "switchover", "reload"] {
        let since = Instant::now();
        let mut asked = None;
        match how {
            "stop" => a.tell_to_stop(),
            "reload" => a.reload_text(
                &config(Host::A, "exabgp", 200).replace("router_id = 51", "router_id = 52"),
            ),
            _ => {
                let mut curl = Command::new("ip");
                curl.args(["netns", "exec", &net.lab.space(Host::A), "curl", "-s"]);
                asked = Some(curl.args(switchover).stdout(Stdio::null()).spawn().unwrap());
            }
        }
        left_in_order(Host::A, since);
        net.lab.until(PATIENCE, "B takes over", || net.state(Host::B) == "ANNOUNCED");
        match how {
            "stop" => a.wait(),
            "reload" => {
                a.kill();
            }
            _ => {
                assert!(asked.unwrap().wait().unwrap().success());
                net.learns(&[2], "B alone");
                continue_after_switchover(&net);
                continue;
            }
        }
        // Both would announce it: the other instance is none of B's business.
        net.lab.until(PATIENCE, "B announces", || net.learned().contains(&2));
        a = start(Host::A);
        net.learns(&[1], "A preempts B");
    }

    // Nobody takes over: it goes on, and says so again.
    b.tell_to_stop();
    b.wait();
    let since = Instant::now();
    assert_eq!(fetch(&net.lab.space(Host::A), &switchover), "done\n");
    net.lab.until(PATIENCE, "it gives up", || releases(Host::A, since).is_some());
    net.learns(&[1], "it remained master");
    assert!(net.lab.holds(Host::A, ADDRESS));

    // A second word is the last: there is no waiting.
    b = start(Host::B);
    net.lab.until(PATIENCE, "B is there", || net.state(Host::B) == "WITHDRAWN");
    let since = Instant::now();
    a.tell_to_stop();
    net.learns(&[], "it withdraws");
    a.tell_to_stop();
    net.lab.until(PATIENCE, "A gave up", || !net.lab.holds(Host::A, ADDRESS));
    assert!(since.elapsed() < 800 * MS, "{:?}", since.elapsed());
    a.wait();
    net.learns(&[2], "B announces");
    b.tell_to_stop();
    b.wait();
    assert_eq!(net.learned(), [0_u8; 0]);
}

fn continue_after_switchover(net: &Net) {
    let preempt = ["-X", "POST", "http://127.0.0.1:9900/vrrp_instances/v/preempt"];
    assert_eq!(fetch(&net.lab.space(Host::A), &preempt), "done\n");
    net.learns(&[1], "A wants it again");
}
