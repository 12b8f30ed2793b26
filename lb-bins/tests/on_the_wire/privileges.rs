//! What the daemons keep of root's power, and what those have that they run.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::daemon::run_ours;
use crate::lab::{Host, Lab, is_possible};

const SECOND: Duration = Duration::from_secs(1);
// As in `linux/capability.h`.
const BIND: u64 = 1 << 10;
const ADMIN: u64 = 1 << 12;
const RAW: u64 = 1 << 13;
const NOBODY: &str = "65534";

const INSTANCE: &str = r#"
[[vrrp_instance]]
name = "one"
interface = "eth0"
virtual_router_id = 51
priority = 255
advert_interval = "100ms"
addresses = ["10.99.0.200/24"]
"#;

/// A line of a `status` of proc(5), of each of these threads.
fn lines(task: &Path, key: &str) -> Vec<String> {
    // Some are there for a moment only.
    let all = std::fs::read_dir(task).unwrap().flatten();
    let statuses = all.filter_map(|one| std::fs::read_to_string(one.path().join("status")).ok());
    statuses.map(|status| line(&status, key)).collect()
}

fn line(status: &str, key: &str) -> String {
    let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(":\t"));
    line.unwrap_or_else(|| panic!("no {key} in {status}")).to_owned()
}

/// Whether every thread has exactly these.
fn assert_all(task: &Path, expected: &[(&str, u64)]) {
    for (key, expected) in expected {
        let found = lines(task, key);
        assert!(!found.is_empty());
        let expected = format!("{expected:016x}");
        assert!(found.iter().all(|set| *set == expected), "{key} is {found:?}, not {expected}");
    }
}

/// A folder where anybody may write.
fn open_folder(lab: &Lab) -> String {
    let folder = lab.files.join("open");
    std::fs::create_dir(&folder).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o1777);
    std::fs::set_permissions(&folder, mode).unwrap();
    folder.display().to_string()
}

#[test]
#[ignore = "needs root"]
fn whoever_runs_nothing_can_gain_nothing() {
    if !is_possible() {
        return;
    }
    let lab = Lab::new();
    let daemon = run_ours(&lab, Host::A, INSTANCE);
    lab.until(5 * SECOND, "an owner", || lab.holds(Host::A, "10.99.0.200"));
    let (task, kept) = (daemon.path("task"), ADMIN | RAW);
    assert_all(&task, &[("CapPrm", kept), ("CapEff", kept), ("CapBnd", kept)]);
    assert_all(&task, &[("CapInh", 0), ("CapAmb", 0)]);
    assert!(lines(&task, "NoNewPrivs").iter().all(|line| line == "1"));
    daemon.tell_to_stop();
    daemon.wait();
    assert!(!lab.holds(Host::A, "10.99.0.200"));
}

/// Root keeps what it takes to run scripts as others, and to kill them.
#[test]
#[ignore = "needs root"]
fn scripts_run_as_whom_they_should() {
    if !is_possible() {
        return;
    }
    let lab = Lab::new();
    let open = open_folder(&lab);
    let who = |file: &str| {
        format!("[\"/bin/sh\", \"-c\", \"echo $(id -u) $(id -g) $(id -G) >> {open}/{file}\"]")
    };
    let config = format!(
        "script_user = \"nobody:daemon\"\n{INSTANCE}\nnotify = {}\ntrack_scripts = [\"slow\"]\n\
         track_checks = [{{ name = \"theirs\", weight = 1 }}, {{ name = \"own\", weight = 1 }}]\n\
         [[vrrp_check]]\nname = \"theirs\"\ncheck = {{ type = \"script\", command = {} }}\n\
         [[vrrp_check]]\nname = \"own\"\n\
         check = {{ type = \"script\", user = \"nobody\", command = {} }}\n\
         [[vrrp_script]]\nname = \"slow\"\nuser = \"nobody\"\ninterval = \"300ms\"\nweight = 1\n\
         timeout = \"200ms\"\ncommand = [\"/bin/sh\", \"-c\", \"echo $$ $(id -u) >> {open}/slow; exec sleep 99\"]\n\
         [[carp_instance]]\nname = \"carp\"\ninterface = \"eth0\"\nvhid = 52\npassphrase = \"x\"\n\
         addresses = [\"10.99.0.201\"]\nnotify_user = \"0:0\"\nnotify_master = {}\n",
        who("notify"),
        who("theirs"),
        who("own"),
        who("carp"),
    );
    let daemon = run_ours(&lab, Host::A, &config);
    let read = |file: &str| std::fs::read_to_string(format!("{open}/{file}")).unwrap_or_default();
    lab.until(8 * SECOND, "all have run", || {
        read("notify").lines().count() == 1 && read("carp").lines().count() == 1
    });
    lab.until(5 * SECOND, "checks have run", || {
        read("theirs").lines().count() > 0 && read("own").lines().count() > 0
    });
    assert!(read("theirs").lines().all(|line| line == "65534 1 1"), "{}", read("theirs"));
    assert!(read("own").lines().all(|line| line == "65534 65534 65534"), "{}", read("own"));
    assert!(read("notify").lines().all(|line| line == "65534 1 1"), "{}", read("notify"));
    assert!(read("carp").starts_with("0 0 "), "{}", read("carp"));
    let more = ADMIN | RAW | (1 << 5) | (1 << 6) | (1 << 7);
    assert_all(&daemon.path("task"), &[("CapPrm", more), ("CapEff", more)]);
    assert!(lines(&daemon.path("task"), "NoNewPrivs").iter().all(|line| line == "0"));

    lab.until(2 * SECOND, "the slow one runs again", || read("slow").lines().count() > 2);
    let slow = read("slow");
    let (first, user) = slow.lines().next().unwrap().split_once(' ').unwrap();
    assert_eq!(user, NOBODY);
    assert!(!Path::new(&format!("/proc/{first}")).exists(), "it was killed");
    daemon.tell_to_stop();
    daemon.wait();
}

/// Started as root, it becomes somebody who keeps two capabilities, and hands on nothing.
#[test]
#[ignore = "needs root"]
fn root_becomes_somebody_else() {
    if !is_possible() {
        return;
    }
    let lab = Lab::new();
    let open = open_folder(&lab);
    let notify = format!(
        "notify = [\"/bin/sh\", \"-c\", \"grep -E 'Uid|CapEff' /proc/self/status > {open}/notify\"]"
    );
    let check = format!(
        "[\"/bin/sh\", \"-c\", \"grep -E 'CapEff|CapAmb' /proc/self/status > {open}/check\"]"
    );
    let config = format!(
        "user = \"nobody\"\n{INSTANCE}\n{notify}\n\
         track_checks = [{{ name = \"script\", weight = 1 }}]\n[[vrrp_check]]\nname = \"script\"\n\
         check = {{ type = \"script\", command = {check} }}\n"
    );
    let daemon = run_ours(&lab, Host::A, &config);
    lab.until(5 * SECOND, "an owner", || lab.holds(Host::A, "10.99.0.200"));
    let task = daemon.path("task");
    assert_all(&task, &[("CapPrm", ADMIN | RAW), ("CapEff", ADMIN | RAW), ("CapInh", ADMIN)]);
    for key in ["Uid", "Gid"] {
        let all_of_it = [NOBODY; 4].join("\t");
        assert!(lines(&task, key).iter().all(|line| *line == all_of_it), "{:?}", lines(&task, key));
    }
    assert!(lines(&task, "Groups").iter().all(|line| line.trim() == NOBODY));
    let told = || std::fs::read_to_string(format!("{open}/notify")).unwrap_or_default();
    lab.until(2 * SECOND, "a script ran", || told().lines().count() == 2);
    assert_eq!(line(&told(), "CapEff"), format!("{:016x}", 0));
    assert!(line(&told(), "Uid").starts_with(NOBODY));
    let checked = || std::fs::read_to_string(format!("{open}/check")).unwrap_or_default();
    lab.until(5 * SECOND, "a check ran", || checked().lines().count() == 2);
    for key in ["CapEff", "CapAmb"] {
        assert_eq!(line(&checked(), key), format!("{:016x}", 0));
    }

    // Nobody else can be become any more.
    daemon.reload_text(&config.replace("notify = ", "notify_user = \"root\"\nnotify = "));
    let log = || std::fs::read_to_string(lab.files.join("a.log")).unwrap();
    lab.until(2 * SECOND, "it says so", || log().contains("but the daemon runs as `nobody`"));
    daemon.tell_to_stop();
    daemon.wait();
    assert!(!lab.holds(Host::A, "10.99.0.200"));
}

struct Balancer(Child);

impl Drop for Balancer {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.0), Signal::TERM);
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "needs root"]
fn a_balancer_becomes_somebody_else_and_still_takes_low_ports() {
    if !is_possible() {
        return;
    }
    let lab = Lab::new();
    let space = lab.space(Host::A);
    let path = lab.files.join("lb.toml");
    let server = |port: u16| {
        format!(
            "\n[[virtual_server]]\nlisten = \"127.0.0.1:{port}\"\n[[virtual_server.backend]]\n\
             address = \"127.0.0.1:9\"\n"
        )
    };
    let first = format!("user = \"nobody\"\n{}", server(80));
    std::fs::write(&path, &first).unwrap();
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &space, env!("CARGO_BIN_EXE_tcp-lb"), "--config"]).arg(&path);
    let child = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let balancer = Balancer(child);
    let listens = |port: u16| {
        let address = ([127, 0, 0, 1], port).into();
        Lab::inside(&space, || std::net::TcpStream::connect_timeout(&address, SECOND).is_ok())
    };
    lab.until(5 * SECOND, "it listens", || listens(80));
    let task = Path::new("/proc").join(balancer.0.id().to_string()).join("task");
    assert_all(&task, &[("CapPrm", BIND), ("CapEff", BIND), ("CapBnd", BIND), ("CapAmb", 0)]);
    assert!(lines(&task, "Uid").iter().all(|line| *line == [NOBODY; 4].join("\t")));
    assert!(lines(&task, "NoNewPrivs").iter().all(|line| line == "1"));
    std::fs::write(&path, first + &server(81)).unwrap();
    kill_process(Pid::from_child(&balancer.0), Signal::HUP).unwrap();
    lab.until(5 * SECOND, "it listens there as well", || listens(81));
}
