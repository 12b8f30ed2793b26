//! What a reload, a crash and other programs do to what a host has.

use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::daemon::run_ours;
use crate::lab::{Host, Lab, MS, ip, is_possible};

const SECOND: Duration = Duration::from_secs(1);
const VIP: &str = "10.99.0.200";

fn instance(name: &str, vrid: u8, priority: u8, more: &str) -> String {
    format!(
        "[[vrrp_instance]]\nname = \"{name}\"\ninterface = \"eth0\"\nvirtual_router_id = {vrid}\n\
         priority = {priority}\nadvert_interval = \"100ms\"\n{more}\n"
    )
}

fn with_vip(name: &str, vrid: u8, priority: u8) -> String {
    instance(name, vrid, priority, &format!("addresses = [\"{VIP}/24\"]"))
}

fn log(lab: &Lab, letter: &str) -> String {
    std::fs::read_to_string(lab.files.join(format!("{letter}.log"))).unwrap_or_default()
}

/// What `ip monitor` has seen of a kind.
pub(crate) struct Monitor {
    child: Child,
    file: std::path::PathBuf,
}

impl Monitor {
    pub(crate) fn start(lab: &Lab, host: Host, what: &str) -> Self {
        let file = lab.files.join(format!("monitor.{what}"));
        let out = File::create(&file).unwrap();
        let child = Command::new("ip")
            .args(["-n", &lab.space(host), "monitor", what])
            .stdout(out)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(100 * MS);
        Self { child, file }
    }

    pub(crate) fn lines_with(mut self, text: &str) -> usize {
        thread::sleep(100 * MS);
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let seen = std::fs::read_to_string(&self.file).unwrap();
        seen.lines().filter(|line| line.contains(text)).count()
    }
}

/// A backup whose new configuration the kernel refuses goes on hearing its master.
#[test]
#[ignore = "needs root"]
fn a_refused_reload_leaves_everything_as_it_was() {
    if !is_possible() {
        return;
    }
    let lab = Lab::new();
    let b_space = lab.space(Host::B);
    let _a = run_ours(&lab, Host::A, &with_vip("one", 51, 200));
    lab.until(5 * SECOND, "a master", || lab.holds(Host::A, VIP));
    let b = run_ours(&lab, Host::B, &with_vip("one", 51, 100));
    thread::sleep(500 * MS);
    // Somebody else's, with our MAC address: there can be only one.
    ip(&format!(
        "-n {b_space} link add other link eth0 address 00:00:5e:00:01:33 type macvlan mode private"
    ));
    ip(&format!("-n {b_space} link set other up"));
    let more = format!("use_vmac = true\naddresses = [\"{VIP}/24\"]");
    b.reload_text(&instance("two", 51, 100, &more));
    lab.until(2 * SECOND, "it is refused", || log(&lab, "b").contains("stays as it was"));
    thread::sleep(SECOND);
    assert!(!lab.holds(Host::B, VIP), "it is deaf");
    assert!(lab.holds(Host::A, VIP));
    let left = ip(&format!("-n {b_space} -o link show"));
    assert!(!left.contains("vrrp.51"), "{left}");
    // And the next one is taken.
    b.reload_text(&with_vip("three", 51, 250));
    lab.until(SECOND, "it takes over", || lab.holds(Host::B, VIP) && !lab.holds(Host::A, VIP));
}

/// Another name, a new skew, two identifiers exchanged: the address is never gone.
#[test]
#[ignore = "needs root"]
fn an_address_stays_through_a_reload() {
    if !is_possible() {
        return;
    }
    let lab = Lab::new();
    let second = "addresses = [\"10.99.0.201/24\"]";
    let carp = |skew: u8| {
        format!(
            "[[carp_instance]]\nname = \"carp\"\ninterface = \"eth0\"\nvhid = 60\n\
             advskew = {skew}\npassphrase = \"secret\"\naddresses = [\"10.99.0.202/24\"]\n"
        )
    };
    let told = lab.files.join("told");
    let notify = format!(
        "notify = [\"/bin/sh\", \"-c\", \"echo $@ >> {}\", \"told\"]\n\
         addresses = [\"{VIP}/24\"]",
        told.display()
    );
    let text = with_vip("one", 51, 100) + &instance("two", 52, 100, second) + &carp(0);
    let a = run_ours(&lab, Host::A, &text);
    lab.until(10 * SECOND, "masters", || {
        [VIP, "10.99.0.201", "10.99.0.202"].iter().all(|address| lab.holds(Host::A, address))
    });
    let monitor = Monitor::start(&lab, Host::A, "address");
    a.reload_text(&(with_vip("uno", 51, 100) + &instance("two", 52, 100, second) + &carp(0)));
    thread::sleep(SECOND);
    a.reload_text(&(with_vip("uno", 51, 100) + &instance("two", 52, 100, second) + &carp(7)));
    thread::sleep(SECOND);
    // Who was 51 is 52 now, and has its address, and the reverse.
    a.reload_text(
        &(instance("two", 51, 100, &notify) + &instance("uno", 52, 90, second) + &carp(7)),
    );
    thread::sleep(SECOND);
    let seen = monitor.lines_with("10.99.0.20");
    assert_eq!(seen, 0, "addresses were touched");
    let log = log(&lab, "a");
    assert_eq!(log.matches("changed").count(), 4, "{log}");
    let told = std::fs::read_to_string(told).unwrap();
    assert_eq!(told, "INSTANCE two MASTER 100\n", "under its new name");
    a.tell_to_stop();
    a.wait();
    assert!(!lab.holds(Host::A, VIP));

    // Another virtual router takes the address over from the one that it was.
    let a = run_ours(&lab, Host::A, &with_vip("one", 51, 100));
    lab.until(5 * SECOND, "a master", || lab.holds(Host::A, VIP));
    let monitor = Monitor::start(&lab, Host::A, "address");
    a.reload_text(&with_vip("one", 53, 100));
    thread::sleep(2 * SECOND);
    assert!(lab.holds(Host::A, VIP));
    assert_eq!(monitor.lines_with(VIP), 0, "it was gone for a moment");
}

/// It comes up as soon as there is one.
#[test]
#[ignore = "needs root"]
fn an_interface_that_is_not_there_is_warned_of() {
    if !is_possible() {
        return;
    }
    let lab = Lab::new();
    let text = with_vip("one", 51, 255).replace("eth0", "late0");
    let _a = run_ours(&lab, Host::A, &text);
    let warning = "WARN at fault instance=\"one\" interface=\"late0\" causes=\"there is no interface `late0`\"";
    lab.until(5 * SECOND, "it is warned of", || log(&lab, "a").contains(warning));
    let place = "a.toml:3:13: warning: `interface`: there is no interface \"late0\" on this host";
    assert!(log(&lab, "a").contains(place), "{}", log(&lab, "a"));
    let space = lab.space(Host::A);
    ip(&format!("-n {space} link add late0 type veth peer name late1"));
    ip(&format!("-n {space} link set late1 up"));
    ip(&format!("-n {space} address add 10.97.0.1/24 dev late0"));
    ip(&format!("-n {space} link set late0 up"));
    lab.until(5 * SECOND, "an owner", || lab.holds(Host::A, VIP));
    // The log is written beside, and may be late.
    lab.until(SECOND, "that is told", || log(&lab, "a").contains("not at fault any more"));
    assert_eq!(log(&lab, "a").matches("WARN at fault").count(), 1, "it is one event");
}

/// By `notify_deleted`, if that is there; what stays, or is another one under its name, is not gone.
#[test]
#[ignore = "needs root"]
fn what_a_reload_has_removed_is_told_so() {
    if !is_possible() {
        return;
    }
    let lab = Lab::new();
    let tell = |key: &str, word: &str| {
        let file = lab.files.join("told");
        let line = format!("echo {word} $@ >> {}", file.display());
        format!("{key} = [\"/bin/sh\", \"-c\", \"{line}\", \"told\"]\n")
    };
    let told = || std::fs::read_to_string(lab.files.join("told")).unwrap_or_default();
    let more = |name: &str, last: u8| {
        format!("addresses = [\"10.99.0.{last}/24\"]\n")
            + &tell("notify", "any")
            + &tell("notify_stop", &format!("stop-{name}"))
    };
    let deleted = |name: &str| tell("notify_deleted", &format!("deleted-{name}"));
    let stays = instance("stays", 51, 255, &(more("stays", 200) + &deleted("stays")));
    let moves = |vrid: u8| instance("moves", vrid, 255, &(more("moves", 201) + &deleted("moves")));
    let asks = instance("asks", 53, 255, &(more("asks", 202) + &deleted("asks")));
    let silent = instance("silent", 54, 255, &more("silent", 203));
    // The word alone.
    let word = instance("word", 56, 255, &(more("word", 204) + "notify_deleted = true\n"));
    let group = "[[vrrp_sync_group]]\nname = \"group\"\nmembers = [\"stays\"]\n".to_owned()
        + &tell("notify", "any")
        + &deleted("group");
    let a = run_ours(&lab, Host::A, &[&*stays, &moves(52), &asks, &silent, &word, &group].concat());
    lab.until(5 * SECOND, "masters", || told().matches("MASTER").count() == 6);
    std::fs::remove_file(lab.files.join("told")).unwrap();

    a.reload_text(&(stays.clone() + &moves(55)));
    let gone = [
        "INSTANCE asks DELETED 255",
        "INSTANCE silent STOP 255",
        "INSTANCE word DELETED 255",
        "GROUP group DELETED 0",
    ];
    let scripts = ["deleted-asks", "stop-silent", "deleted-group", "stop-moves"];
    lab.until(5 * SECOND, "they are told", || {
        gone.iter().chain(&scripts).all(|line| told().contains(line))
    });
    lab.until(5 * SECOND, "it has moved", || log(&lab, "a").contains("removed instance=\"moves\""));
    let of_it = told()
        .lines()
        .filter(|line| line.contains(" moves "))
        .map(str::to_owned)
        .collect::<Vec<_>>();
    let in_order = ["any INSTANCE moves STOP 255", "any INSTANCE moves MASTER 255"];
    assert_eq!(of_it, in_order, "the one that has gone is not the last that is heard of");
    a.tell_to_stop();
    a.wait();
    let told = told();
    assert!(told.contains("stop-stays") && !told.contains("deleted-stays"), "{told}");
    let wrong =
        ["deleted-moves", "stop-asks", "stop-word", "moves DELETED", "asks STOP", "group STOP"];
    assert!(!wrong.iter().any(|line| told.contains(line)), "{told}");
}

/// Nothing happens to its members, but whoever was told that it has gone hears of it again.
#[test]
#[ignore = "needs root"]
fn a_group_that_a_reload_adds_is_told_of_though_its_members_stay_as_they_are() {
    if !is_possible() {
        return;
    }
    let lab = Lab::new();
    let file = lab.files.join("told");
    let told = || std::fs::read_to_string(&file).unwrap_or_default();
    let group = format!(
        "[[vrrp_sync_group]]\nname = \"group\"\nmembers = [\"one\"]\n\
         notify = [\"/bin/sh\", \"-c\", \"echo $@ >> {}\", \"told\"]\n",
        file.display()
    );
    let text = with_vip("one", 51, 255);
    let a = run_ours(&lab, Host::A, &(text.clone() + &group));
    lab.until(5 * SECOND, "a master", || told().ends_with("GROUP group MASTER 0\n"));
    a.reload_text(&text);
    lab.until(5 * SECOND, "it has gone", || told().ends_with("GROUP group STOP 0\n"));
    a.reload_text(&(text.clone() + &group));
    lab.until(5 * SECOND, "it is there again", || told().matches("MASTER").count() == 2);
    // One that stays is no news.
    a.reload_text(&(text + &group + "smtp_alert = false\n"));
    let taken_over = || log(&lab, "a").matches("configuration taken over").count();
    lab.until(5 * SECOND, "it has taken over the last one", || taken_over() == 3);
    a.tell_to_stop();
    a.wait();
    let words = ["BACKUP", "MASTER", "STOP", "MASTER", "STOP"];
    let words = words.map(|word| format!("GROUP group {word} 0\n"));
    assert_eq!(told(), words.concat());
}

/// With other prefixes, other names, and what is in no configuration any more.
#[test]
#[ignore = "needs root"]
fn what_a_crash_leaves_is_gone_within_a_second() {
    if !is_possible() {
        return;
    }
    let lab = Lab::new();
    let space = lab.space(Host::A);
    let more = format!(
        "use_vmac = true\nvmac_interface = \"macold\"\naddresses = [\"{VIP}/24\"]\n\
         routes = [{{ to = \"10.77.0.0/16\", via = \"10.99.0.2\" }}, {{ to = \"10.78.0.0/16\", \
         via = \"10.99.0.2\", table = 100 }}]\n\
         rules = [{{ from = \"{VIP}\", table = 100, priority = 1000 }}]"
    );
    let other = "addresses = [\"10.99.0.201/24\", \"10.99.0.204/24\"]\n\
         routes = [{ to = \"10.79.0.0/16\", via = \"10.99.0.2\" }]";
    let text = instance("one", 51, 255, &more) + &instance("two", 52, 255, other);
    let everything = || {
        ["address show", "route show table all", "rule show", "link show"]
            .map(|what| ip(&format!("-n {space} {what}")))
            .concat()
    };
    let a = run_ours(&lab, Host::A, &text);
    lab.until(5 * SECOND, "masters", || lab.holds(Host::A, VIP) && everything().contains("10.79."));
    ip(&format!("-n {space} route add 10.80.0.0/16 via 10.99.0.2 proto bgp"));
    a.kill();
    assert!(everything().contains("10.77.0.0/16") && everything().contains("macold"));

    // The same routers, as backups, and one address less, and in another prefix.
    let more = more.replace("macold", "macnew").replace("/24", "/32").replace("10.78.", "10.81.");
    let other = "addresses = [\"10.99.0.201/28\"]";
    let text = instance("one", 51, 100, &more) + &instance("two", 52, 100, other);
    let text = text.replace("100ms", "5s");
    let _a = run_ours(&lab, Host::A, &text);
    let start = Instant::now();
    let gone = [VIP, "10.99.0.201", "10.99.0.204", "10.77.", "10.78.", "10.79.", "macold"];
    loop {
        let all = everything();
        let left: Vec<_> = gone.iter().filter(|what| all.contains(*what)).collect();
        if left.is_empty() {
            break;
        }
        // A second is promised; a busy machine takes longer for anything.
        assert!(start.elapsed() < 5 * SECOND, "{left:?} is left in {all}");
        thread::sleep(10 * MS);
    }
    eprintln!("what was left was gone after {:?}", start.elapsed());
    let all = everything();
    assert!(all.contains("macnew") && all.contains("10.80."), "{all}");
}

/// A daemon beside it, in the same network namespace, has marks of its own on what it has.
#[test]
#[ignore = "needs root"]
fn what_the_living_have_is_not_left_over() {
    if !is_possible() {
        return;
    }
    let lab = Lab::new();
    let more = format!(
        "addresses = [\"{VIP}/24\"]\nroutes = [{{ to = \"10.77.0.0/16\", via = \"10.99.0.2\" }}]"
    );
    let _first = run_ours(&lab, Host::A, &instance("one", 51, 255, &more));
    lab.until(5 * SECOND, "a master", || lab.holds(Host::A, VIP));
    let addresses = Monitor::start(&lab, Host::A, "address");
    let routes = Monitor::start(&lab, Host::A, "route");
    let second = "addresses = [\"10.99.0.201/24\"]";
    let _second = run_ours(&lab, Host::A, &instance("two", 52, 100, second));
    thread::sleep(SECOND);
    assert_eq!(addresses.lines_with(VIP), 0);
    assert_eq!(routes.lines_with("10.77."), 0);
}

/// Two that were started by mistake would take the address away from each other by turns.
#[test]
#[ignore = "needs root"]
fn who_speaks_for_a_router_already_is_not_joined() {
    if !is_possible() {
        return;
    }
    let lab = Lab::new();
    let config = instance("one", 51, 255, &format!("addresses = [\"{VIP}/24\"]"));
    let first = run_ours(&lab, Host::A, &config);
    lab.until(5 * SECOND, "a master", || lab.holds(Host::A, VIP));
    let addresses = Monitor::start(&lab, Host::A, "address");
    let file = lab.files.join("again.toml");
    std::fs::write(&file, &config).unwrap();
    let again = Command::new("ip")
        .args(["netns", "exec", &lab.space(Host::A), env!("CARGO_BIN_EXE_vip-keeper")])
        .arg("--config")
        .arg(&file)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    assert_eq!(again.status.code(), Some(2), "{said}");
    assert!(said.contains("`one`") && said.contains("another process"), "{said}");
    assert!(first.is_running() && lab.holds(Host::A, VIP));
    assert_eq!(addresses.lines_with(VIP), 0);

    // As one of two, the first may come again: what the second has is not left over.
    let other =
        run_ours(&lab, Host::A, &instance("two", 52, 255, "addresses = [\"10.99.0.201/24\"]"));
    lab.until(5 * SECOND, "another master", || lab.holds(Host::A, "10.99.0.201"));
    let addresses = Monitor::start(&lab, Host::A, "address");
    first.tell_to_stop();
    first.wait();
    let _first = run_ours(&lab, Host::A, &config);
    lab.until(5 * SECOND, "a master again", || lab.holds(Host::A, VIP));
    assert_eq!(addresses.lines_with("10.99.0.201"), 0);
    drop(other);
}

/// Thousands of routes come and go that have nothing to do with ours but the length of their prefixes.
#[test]
#[ignore = "needs root"]
fn other_routes_may_come_and_go() {
    if !is_possible() {
        return;
    }
    let lab = Lab::new();
    let space = lab.space(Host::A);
    let more = format!(
        "addresses = [\"{VIP}/24\"]\nroutes = [{{ to = \"10.77.0.0/24\", via = \"10.99.0.2\" }}]"
    );
    let a = run_ours(&lab, Host::A, &instance("one", 51, 255, &more));
    lab.until(5 * SECOND, "a master", || lab.holds(Host::A, VIP));
    let mut batch = String::new();
    for what in ["add", "delete"] {
        for number in 0..20_000_u32 {
            let (high, low) = (number / 200, number % 200);
            batch += &format!("route {what} 172.{high}.{low}.0/24 via 10.99.0.2 proto bgp\n");
        }
    }
    let file = lab.files.join("batch");
    std::fs::write(&file, batch).unwrap();
    let monitor = Monitor::start(&lab, Host::A, "route");
    let before = a.cpu();
    ip(&format!("-n {space} -batch {}", file.display()));
    thread::sleep(500 * MS);
    let spent = a.cpu() - before;
    eprintln!("20000 routes came and went: {spent:?} of a processor");
    // Who misses something, because it is too much, looks after its own: four times a second at most.
    let seen = monitor.lines_with("10.77.0.0/24");
    assert!(seen < 50, "ours was added again {seen} times");
    // Ours is another matter, but not a thousand times a second.
    let monitor = Monitor::start(&lab, Host::A, "route");
    let start = Instant::now();
    for _ in 0..200 {
        let _ = Command::new("ip")
            .args(["-n", &space, "route", "delete", "10.77.0.0/24"])
            .stderr(Stdio::null())
            .status();
    }
    lab.until(SECOND, "it is back", || {
        ip(&format!("-n {space} route show 10.77.0.0/24")).contains("10.99.0.2")
    });
    // Sixteen at once and four a second, each with its end.
    let most = 2 * (16 + 4 * (start.elapsed().as_secs() as usize + 2));
    let seen = monitor.lines_with("10.77.0.0/24");
    assert!(seen <= most, "{seen}, more than {most}");
}

/// What is in the file of a key counts from a reload on, for both hosts; and a file that never has a word
/// in it stops nothing.
#[test]
#[ignore = "needs root"]
fn keys_are_read_again_and_aside() {
    if !is_possible() {
        return;
    }
    let lab = Lab::new();
    let key = |letter: &str| lab.files.join(format!("{letter}.key"));
    let text = |letter: &str, priority: u8| {
        let keys = format!("keys = [{{ id = 1, secret_file = {:?} }}]", key(letter));
        let more = format!("authentication = {{ type = \"hmac\", {keys} }}");
        with_vip("one", 51, priority) + &more + "\n"
    };
    let write =
        |secret: &str| ["a", "b"].map(|letter| std::fs::write(key(letter), secret).unwrap());
    write("0123456789abcdef0123456789abcdef");
    let a = run_ours(&lab, Host::A, &text("a", 200));
    lab.until(5 * SECOND, "a master", || lab.holds(Host::A, VIP));
    let b = run_ours(&lab, Host::B, &text("b", 100));
    thread::sleep(SECOND);
    assert!(!lab.holds(Host::B, VIP), "they understand each other");
    let monitor = Monitor::start(&lab, Host::A, "address");
    write("fedcba9876543210fedcba9876543210");
    a.reload_text(&text("a", 200));
    b.reload_text(&text("b", 100));
    thread::sleep(SECOND);
    assert_eq!(monitor.lines_with(VIP), 0, "the address was touched");
    assert!(lab.holds(Host::A, VIP) && !lab.holds(Host::B, VIP));
    // Whoever starts now knows the new one alone.
    b.tell_to_stop();
    b.wait();
    let b = run_ours(&lab, Host::B, &text("b", 100));
    thread::sleep(2 * SECOND);
    assert!(!lab.holds(Host::B, VIP), "the master still speaks by the old one");

    std::fs::remove_file(key("a")).unwrap();
    let made = Command::new("mkfifo").arg(key("a")).status().unwrap();
    assert!(made.success());
    a.reload_text(&text("a", 201));
    lab.until(3 * SECOND, "it is refused", || log(&lab, "a").contains("it is no regular file"));
    thread::sleep(SECOND);
    assert!(lab.holds(Host::A, VIP) && !lab.holds(Host::B, VIP), "it is silent");
    drop((a, b));
}
