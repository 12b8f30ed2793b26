//! What vip-keeper leaves on its host, and what it takes from it.

use std::io::Read as _;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::daemon::run_ours;
use crate::lab::{Host, Lab, MS, fetch, has, ip, is_possible, status};
use crate::still::{late_since, look_at_it};

const CONFIG: &str = r#"
admin = "127.0.0.1:9900"
notify_fifo = "FILES/fifo"

[[vrrp_script]]
name = "script"
command = ["/usr/bin/test", "-e", "FILES/alive"]
interval = "50ms"
initial = "down"

[[vrrp_track_file]]
name = "file"
file = "FILES/number"

[[vrrp_instance]]
name = "one"
interface = "eth0"
virtual_router_id = 51
priority = 100
advert_interval = "50ms"
addresses = [{ address = "10.99.0.200/24", label = "eth0:vip" }]
excluded_addresses = ["fd99::200/64"]
routes = [{ to = "10.77.0.0/16", via = "10.99.0.2", metric = 7 }]
rules = [{ from = "10.99.0.200", table = 100, priority = 1000 }]
track_files = ["file"]
notify = ["/bin/sh", "-c", "echo $@ $(nice) >> FILES/told", "told"]

[[vrrp_instance]]
name = "two"
interface = "eth0"
virtual_router_id = 52
advert_interval = "50ms"
addresses = ["fe80::201/64"]
track_scripts = ["script"]

[[vrrp_instance]]
name = "three"
interface = "eth0"
virtual_router_id = 53
advert_interval = "50ms"
addresses = ["10.99.0.203/32"]

[[vrrp_sync_group]]
name = "both"
members = ["two", "three"]
"#;

#[test]
#[ignore = "needs root"]
fn the_host_has_what_a_master_has_and_nothing_is_left() {
    if !is_possible() {
        return;
    }
    look_at_it();
    let lab = Lab::new();
    let space = lab.space(Host::A);
    let file = |name: &str| lab.files.join(name);
    let config = CONFIG.replace("FILES", lab.files.to_str().unwrap());
    // As a crash would leave it.
    ip(&format!("-n {space} address add 10.99.0.203/32 dev eth0"));
    let daemon = run_ours(&lab, Host::A, &config);
    let second = Duration::from_secs(1);
    lab.until(second, "what is left over goes", || !lab.holds(Host::A, "10.99.0.203"));
    lab.until(5 * second, "a master", || lab.holds(Host::A, "10.99.0.200"));

    let addresses = ip(&format!("-n {space} -o address show dev eth0"));
    assert!(addresses.contains("10.99.0.200/24 scope global secondary eth0:vip"), "{addresses}");
    assert!(addresses.contains("fd99::200/64"), "{addresses}");
    let route = || ip(&format!("-n {space} route show 10.77.0.0/16"));
    assert!(route().contains("via 10.99.0.2 dev eth0 proto 112 metric 7"), "{}", route());
    let rules = || ip(&format!("-n {space} rule show"));
    assert!(rules().contains("1000:\tfrom 10.99.0.200 lookup 100"), "{}", rules());
    // Somebody takes them away. Who looks from time to time has them back some time, but not always at
    // once.
    let vip = "address delete 10.99.0.200/24 dev eth0";
    let is_back: [(&str, &dyn Fn() -> bool); 2] = [
        ("route delete 10.77.0.0/16", &|| route().contains("10.99.0.2")),
        (vip, &|| lab.holds(Host::A, "10.99.0.200")),
    ];
    for (theft, is_back) in is_back {
        let mut took = [0; 5].map(|_| {
            let since = Instant::now();
            ip(&format!("-n {space} {theft}"));
            lab.until(second, "it is put back", is_back);
            since.elapsed().saturating_sub(late_since(since))
        });
        took.sort();
        assert!(took[2] < 100 * MS, "{theft}: {took:?}");
    }

    // Of the group, one is at fault, and so are both.
    let state = |name: &str| {
        let all = status(&space)["vrrp_instances"].as_array().unwrap().clone();
        all.into_iter().find(|one| one["name"] == name).unwrap()
    };
    assert_eq!(state("three")["state"], "FAULT");
    assert_eq!(state("three")["faults"][0], "group");
    assert_eq!(state("one")["lonely"], true);
    std::fs::write(file("alive"), "").unwrap();
    lab.until(5 * second, "both are masters", || {
        lab.holds(Host::A, "10.99.0.203") && lab.holds(Host::A, "fe80::201")
    });
    std::fs::remove_file(file("alive")).unwrap();
    lab.until(5 * second, "neither is", || {
        !lab.holds(Host::A, "10.99.0.203") && !lab.holds(Host::A, "fe80::201")
    });

    std::fs::write(file("number"), "-30\n").unwrap();
    lab.until(second, "another priority", || state("one")["priority"] == 70);
    let metrics = fetch(&space, &["http://127.0.0.1:9900/metrics"]);
    let labels = r#"{instance="one",interface="eth0",virtual_router_id="51"}"#;
    assert!(metrics.contains(&format!("lb_vrrp_instance_priority{labels} 70")), "{metrics}");
    assert!(metrics.contains(&format!("lb_vrrp_instance_lonely{labels} 1")), "{metrics}");
    let order = "http://127.0.0.1:9900/vrrp_instances/one/switchover";
    // One right after the other: the second one comes while it waits for somebody.
    let said = fetch(&space, &["-X", "POST", order, order]);
    assert_eq!(said, "done\n`one` is giving its addresses away already\n");

    // CAP_NET_ADMIN and CAP_NET_RAW, in every thread.
    let kept = format!("{:016x}", (1 << 12) | (1 << 13));
    for thread in std::fs::read_dir(daemon.path("task")).unwrap().flatten() {
        let status = std::fs::read_to_string(thread.path().join("status")).unwrap();
        for set in ["CapPrm", "CapEff"] {
            assert!(status.contains(&format!("{set}:\t{kept}")), "{status}");
        }
    }

    daemon.tell_to_stop();
    daemon.wait();
    let left = ip(&format!("-n {space} -o address show dev eth0"));
    assert!(!left.contains("200") && !left.contains("203"), "{left}");
    assert!(!rules().contains("1000:") && route().is_empty(), "{} {}", rules(), route());

    let niceness = String::from_utf8(Command::new("nice").output().unwrap().stdout).unwrap();
    let told = std::fs::read_to_string(file("told")).unwrap();
    let first: Vec<_> = told.lines().take(2).collect();
    let expected =
        ["BACKUP", "MASTER"].map(|s| format!("INSTANCE one {s} 100 {}", niceness.trim()));
    assert_eq!(first, expected, "{told}");
    assert!(told.contains("INSTANCE one STOP 70"), "{told}");
    assert!(!file("fifo").exists(), "the pipe is removed by whoever made it");
}

#[test]
#[ignore = "needs root"]
fn a_pipe_has_a_line_for_everything() {
    if !is_possible() {
        return;
    }
    let lab = Lab::new();
    let config = CONFIG.replace("FILES", lab.files.to_str().unwrap());
    std::fs::write(lab.files.join("alive"), "").unwrap();
    let daemon = run_ours(&lab, Host::A, &config);
    lab.until(Duration::from_secs(5), "a master", || lab.holds(Host::A, "10.99.0.203"));
    thread::sleep(100 * MS);
    let reader = lab.files.join("fifo");
    let reader = thread::spawn(move || read_fifo(&reader));
    thread::sleep(100 * MS);
    daemon.tell_to_stop();
    daemon.wait();
    let lines = reader.join().unwrap();
    for line in [
        "INSTANCE \"one\" BACKUP 100\n",
        "INSTANCE \"one\" MASTER 100\n",
        "GROUP \"both\" MASTER 0\n",
        "INSTANCE \"three\" STOP 100\n",
        "GROUP \"both\" STOP 0\n",
    ] {
        assert!(lines.contains(line), "{line:?} is not in {lines:?}");
    }
}

/// As a user without any power but these two.
#[test]
#[ignore = "needs root"]
fn two_capabilities_are_enough() {
    if !is_possible() || !has("setpriv", "--version") {
        return;
    }
    let lab = Lab::new();
    let space = lab.space(Host::A);
    let config = "[[vrrp_instance]]\nname = \"one\"\ninterface = \"eth0\"\nvirtual_router_id = 51\n\
        priority = 255\naddresses = [\"10.99.0.200/24\"]\n";
    let path = lab.files.join("user.toml");
    std::fs::write(&path, config).unwrap();
    // Where anybody may run it.
    let program = lab.files.join("vip-keeper");
    std::fs::copy(env!("CARGO_BIN_EXE_vip-keeper"), &program).unwrap();
    let start = |capabilities: &str| {
        Command::new("ip")
            .args(["netns", "exec", &space, "setpriv", "--reuid=65534", "--clear-groups"])
            .args([format!("--inh-caps={capabilities}"), format!("--ambient-caps={capabilities}")])
            .args([program.as_os_str(), "--config".as_ref(), path.as_os_str()])
            .spawn()
            .unwrap()
    };
    let mut powerless = start("-all");
    assert_eq!(powerless.wait().unwrap().code(), Some(2), "it takes more than nothing");
    let mut child = start("-all,+net_admin,+net_raw");
    lab.until(Duration::from_secs(5), "an owner", || lab.holds(Host::A, "10.99.0.200"));
    rustix::process::kill_process(
        rustix::process::Pid::from_child(&child),
        rustix::process::Signal::TERM,
    )
    .unwrap();
    assert!(child.wait().unwrap().success());
    assert!(!lab.holds(Host::A, "10.99.0.200"));
}

/// What there is until nobody writes any more.
fn read_fifo(path: &std::path::Path) -> String {
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::CLOEXEC;
    let fifo =
        rustix::fs::open(path, flags | rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty());
    let mut fifo = std::fs::File::from(fifo.unwrap());
    let mut lines = String::new();
    let mut buffer = [0; 4096];
    loop {
        match fifo.read(&mut buffer) {
            Ok(0) => return lines,
            Ok(length) => lines += std::str::from_utf8(&buffer[..length]).unwrap(),
            Err(_) => thread::sleep(10 * MS),
        }
    }
}

/// A cloud that gives its address to whoever asks last, and does not work at first.
#[test]
#[ignore = "needs root"]
fn a_floating_address_is_claimed_until_it_is_had_and_by_nobody_else() {
    if !is_possible() {
        return;
    }
    let lab = Lab::new();
    let file = |name: &str| lab.files.join(name);
    // As `curl` would ask DigitalOcean's `/v2/floating_ips/ADDRESS/actions`.
    let script = file("claim");
    let cloud = format!(
        "#!/bin/sh\ncurl -sf -m 2 -X POST -H 'Content-Type: application/json' \
         -d \"{{\\\"type\\\":\\\"assign\\\",\\\"droplet_id\\\":$1,\\\"generation\\\":$LB_GENERATION}}\" \
         http://10.99.0.3:8080/v2/floating_ips/${{LB_ADDRESSES%% *}}/actions >> {}\n",
        file("answers").display()
    );
    std::fs::write(&script, cloud).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&script, mode).unwrap();
    let asked = std::sync::Arc::new(std::sync::Mutex::new(Vec::<String>::new()));
    let (space, heard) = (lab.client(), std::sync::Arc::clone(&asked));
    let listener = Lab::inside(&space, || std::net::TcpListener::bind("10.99.0.3:8080").unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 2048];
            let mut length = 0;
            while !request[..length].ends_with(b"}") {
                length += stream.read(&mut request[length..]).unwrap();
            }
            let mut heard = heard.lock().unwrap();
            heard.push(String::from_utf8_lossy(&request[..length]).into_owned());
            let answer = if heard.len() < 3 { "500 No" } else { "201 Created" };
            let answer = format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n");
            std::io::Write::write_all(&mut stream, answer.as_bytes()).unwrap();
        }
    });
    let config = |host: Host, priority: u8| {
        format!(
            "admin = \"127.0.0.1:9900\"\n[[vrrp_instance]]\nname = \"f\"\ninterface = \"eth0\"\n\
             virtual_router_id = 51\npriority = {priority}\nadvert_interval = \"100ms\"\n\
             addresses = [\"10.99.0.200/24\"]\n\
             claim = {{ command = [\"{}\", \"{}\"], interval = \"2s\" }}\n",
            script.display(),
            host.number(),
        )
    };
    let a = run_ours(&lab, Host::A, &config(Host::A, 200));
    let space = lab.space(Host::A);
    let claimed = || fetch(&space, &["http://127.0.0.1:9900/status"]).contains("\"claimed\":true");
    lab.until(Duration::from_secs(10), "it is claimed at the third attempt", claimed);
    let count = || asked.lock().unwrap().len();
    // More, if it took long to see.
    let first = count();
    assert!(first >= 3, "{first}");
    lab.until(Duration::from_secs(10), "it is claimed again and again", || count() > first);

    let b = run_ours(&lab, Host::B, &config(Host::B, 100));
    thread::sleep(1000 * MS);
    let last = || asked.lock().unwrap().last().unwrap().clone();
    assert!(last().contains("\"droplet_id\":1"), "a backup claims nothing: {}", last());
    let of_a = generation(&last());
    a.tell_to_stop();
    a.wait();
    lab.until(Duration::from_secs(5), "the other one claims it", || {
        last().contains("\"droplet_id\":2")
    });
    assert!(generation(&last()) > of_a);
    assert!(last().starts_with("POST /v2/floating_ips/10.99.0.200/actions"), "{}", last());
    b.tell_to_stop();
    b.wait();
    let before = count();
    thread::sleep(2500 * MS);
    assert_eq!(count(), before, "nobody is master, and nobody claims");
}

fn generation(request: &str) -> u64 {
    let digits = request.rsplit(':').next().unwrap();
    digits.trim_end_matches('}').parse().unwrap()
}
