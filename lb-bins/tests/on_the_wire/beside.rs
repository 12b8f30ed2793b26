//! What a file of keepalived's asks of a host: of keepalived and of ours, which read the same text and
//! stand beside each other, it is the same.

use std::path::PathBuf;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use crate::daemon::{Daemon, Kind};
use crate::lab::{Host, Lab, MS, ip, is_possible};
use crate::parallel::play_all;
use crate::probe::Sniffer;
use crate::still::late_since;

const SECOND: Duration = Duration::from_secs(1);
const INTERVAL: Duration = Duration::from_millis(100);
/// A daemon needs a while to begin, and a backup its time.
const PATIENCE: Duration = Duration::from_secs(10);
const VIP: &str = "10.99.0.200";
/// Of a second instance.
const OTHER_VIP: &str = "10.99.0.201";

/// Who is on A, and who is on B.
type Pair = (Kind, Kind);

const PAIRS: [Pair; 3] = [
    (Kind::Migrated, Kind::Keepalived),
    (Kind::Keepalived, Kind::Migrated),
    (Kind::Migrated, Kind::Migrated),
];

/// A title and what happens.
#[derive(Clone, Copy)]
struct Story(&'static str, fn(&Scene, Pair));

const STORIES: [Story; 12] = [
    Story("three peers", of_three_peers_the_best_is_master),
    Story("nopreempt", who_does_not_preempt_waits_until_nobody_is_there),
    Story("preempt_delay", who_preempts_late_bears_a_living_lower_one_for_so_long),
    Story("down_timer_adverts", so_many_silent_intervals_are_borne),
    Story("vrrp_sync_group", whoever_outranks_one_of_a_group_takes_all),
    Story("vrrp_sync_group on both", a_group_moves_as_one_or_not_at_all),
    Story("track_interface", the_weight_of_an_interface_moves_the_addresses_both_ways),
    Story("nopreempt and a weight", a_weight_moves_nothing_where_nobody_preempts),
    Story("vrrp_script", so_many_runs_have_to_fail_and_so_many_to_succeed),
    Story("track_process", the_end_of_a_process_moves_the_addresses_and_its_start_brings_them_back),
    Story("priority 255", of_two_owners_one_gives_way),
    Story("three peers, AH", of_three_peers_with_authentication_headers_the_best_is_master),
];

impl std::fmt::Debug for Story {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[test]
#[ignore = "needs root and keepalived"]
fn what_a_file_asks_for_is_the_same_of_both() {
    if !is_possible() {
        return;
    }
    // While something is looked for: `WIRE_ONLY=nopreempt`, and `WIRE_PEERS=1` for what keepalived
    // does beside itself.
    let only = std::env::var("WIRE_ONLY").ok();
    let pairs = match std::env::var_os("WIRE_PEERS") {
        Some(_) => vec![(Kind::Keepalived, Kind::Keepalived)],
        None => PAIRS.to_vec(),
    };
    let stories = STORIES.into_iter().filter(|one| only.as_ref().is_none_or(|o| o == one.0));
    let stories = stories.flat_map(|story| pairs.iter().map(move |pair| (story, *pair)));
    play_all(stories.collect(), |(Story(title, story), pair)| {
        let start = Instant::now();
        story(&Scene::new(), pair);
        eprintln!("{title}, {pair:?}: {:.1?}", start.elapsed());
    });
}

struct Scene {
    lab: Lab,
    /// At B, which hears A and itself.
    sniffer: Sniffer,
}

impl Scene {
    fn new() -> Self {
        let lab = Lab::new();
        let sniffer = Sniffer::start(&lab.space(Host::B));
        Self { lab, sniffer }
    }

    fn start(&self, kind: Kind, host: Host, text: &str) -> Daemon {
        Daemon::run(&self.lab, kind, host, text)
    }

    fn stop(daemon: Daemon) {
        daemon.tell_to_stop();
        daemon.wait();
    }

    fn holders(&self, address: &str) -> Vec<Host> {
        Host::ALL.into_iter().filter(|host| self.lab.holds(*host, address)).collect()
    }

    /// Waits until the address is on these and on nobody else.
    fn settles(&self, address: &str, hosts: &[Host], saying: &str) {
        self.lab.until(PATIENCE, saying, || self.holders(address) == hosts);
    }

    /// It stays there.
    fn stays(&self, address: &str, hosts: &[Host], length: Duration, saying: &str) {
        let start = Instant::now();
        while start.elapsed() < length {
            assert_eq!(self.holders(address), hosts, "{saying}");
            thread::sleep(10 * MS);
        }
    }

    /// Waits until both addresses are on these and on nobody else, and stay there.
    fn both_settle(&self, hosts: &[Host], saying: &str) {
        let are_there = || [VIP, OTHER_VIP].iter().all(|address| self.holders(address) == hosts);
        self.lab.until(PATIENCE, saying, are_there);
        let start = Instant::now();
        // Longer than anybody waits.
        while start.elapsed() < 6 * INTERVAL {
            assert!(are_there(), "{saying}");
            thread::sleep(10 * MS);
        }
    }

    /// The priority that a host last spoke with since then.
    fn priority(&self, host: Host, since: Instant) -> Option<u8> {
        self.sniffer.said(host, since).last().map(|one| one.priority)
    }
}

/// A file with one instance, with these more lines.
fn file(priority: u8, more: &str) -> String {
    globals() + &instance("v", 51, priority, more)
}

fn globals() -> String {
    "global_defs {\n vrrp_version 3\n script_user root\n}\n".to_owned()
}

fn instance(name: &str, vrid: u8, priority: u8, more: &str) -> String {
    format!(
        "vrrp_instance {name} {{\n interface eth0\n virtual_router_id {vrid}\n priority {priority}\n \
         advert_int 0.1\n virtual_ipaddress {{\n 10.99.0.{}/24\n }}\n {more}\n}}\n",
        149 + vrid
    )
}

fn who_does_not_preempt_waits_until_nobody_is_there(scene: &Scene, pair: Pair) {
    let b = scene.start(pair.1, Host::B, &file(100, ""));
    scene.settles(VIP, &[Host::B], "B is elected");
    let a = scene.start(pair.0, Host::A, &file(200, "nopreempt"));
    scene.stays(VIP, &[Host::B], 2 * SECOND, "A does not preempt B");
    Scene::stop(b);
    scene.settles(VIP, &[Host::A], "A takes over, for nobody else is there");
    let b = scene.start(pair.1, Host::B, &file(100, ""));
    scene.stays(VIP, &[Host::A], 2 * SECOND, "B is no better");
    // Of two masters the better one stays, whatever they may preempt.
    scene.lab.connect(Host::A, false);
    scene.settles(VIP, &[Host::A, Host::B], "B takes over from A, which fell silent");
    scene.lab.connect(Host::A, true);
    scene.settles(VIP, &[Host::A], "B gives way");
    scene.stays(VIP, &[Host::A], SECOND, "and that is that");
    Scene::stop(a);
    Scene::stop(b);
}

fn who_preempts_late_bears_a_living_lower_one_for_so_long(scene: &Scene, pair: Pair) {
    let with_delay = |delay: u8| file(200, &format!("preempt_delay {delay}"));
    // Nobody is there whom it could preempt.
    let start = Instant::now();
    let a = scene.start(pair.0, Host::A, &with_delay(5));
    scene.settles(VIP, &[Host::A], "A is elected");
    let took = start.elapsed();
    assert!(took < 5 * SECOND + late_since(start), "A waited for {took:?}");
    let b = scene.start(pair.1, Host::B, &file(100, ""));
    scene.stays(VIP, &[Host::A], SECOND, "B is no better");
    Scene::stop(a);
    scene.settles(VIP, &[Host::B], "B takes over");

    let start = Instant::now();
    let a = scene.start(pair.0, Host::A, &with_delay(1));
    scene.settles(VIP, &[Host::A], "A takes over");
    let took = scene.sniffer.said(Host::A, start)[0].at - start;
    assert!(took > SECOND, "A waited for {took:?} only");
    Scene::stop(a);
    scene.settles(VIP, &[Host::B], "B takes over");

    // Whom it bears goes meanwhile.
    let start = Instant::now();
    let a = scene.start(pair.0, Host::A, &with_delay(8));
    scene.stays(VIP, &[Host::B], 2 * SECOND, "A waits");
    Scene::stop(b);
    scene.settles(VIP, &[Host::A], "A takes over from B, which stopped");
    let took = start.elapsed();
    assert!(took < 8 * SECOND + late_since(start), "A waited for {took:?}");
    Scene::stop(a);
}

fn so_many_silent_intervals_are_borne(scene: &Scene, pair: Pair) {
    // 5 intervals and (256 - 100) 256ths of one.
    const DOWN: Duration = Duration::from_micros(560_937);
    let text = |priority: u8| file(priority, "down_timer_adverts 5");
    let b = scene.start(pair.1, Host::B, &text(100));
    scene.settles(VIP, &[Host::B], "B is elected");
    let a = scene.start(pair.0, Host::A, &text(200));
    scene.settles(VIP, &[Host::A], "A preempts B");
    thread::sleep(3 * INTERVAL);
    let since = Instant::now();
    scene.lab.connect(Host::A, false);
    scene.settles(VIP, &[Host::A, Host::B], "B takes over from A, which fell silent");
    let first = scene.sniffer.said(Host::B, since)[0].at;
    let heard = scene.sniffer.said(Host::A, since - SECOND);
    let took = first - heard.iter().rfind(|one| one.at < first).unwrap().at;
    assert!(took + MS >= DOWN, "B was early: {took:?}");
    let limit = DOWN + 50 * MS + late_since(since);
    assert!(!pair.1.is_ours() || took < limit, "B was late: {took:?}");
    scene.lab.connect(Host::A, true);
    scene.settles(VIP, &[Host::A], "B gives way");
    Scene::stop(a);
    Scene::stop(b);
}

fn group(members: &str) -> String {
    format!("vrrp_sync_group g {{\n group {{\n {members}\n }}\n}}\n")
}

fn pair_of_instances(first: u8, second: u8) -> String {
    instance("one", 51, first, "") + &instance("two", 52, second, "")
}

/// They are apart on B, so that it wants one alone, and gets both.
fn whoever_outranks_one_of_a_group_takes_all(scene: &Scene, pair: Pair) {
    let apart = |first, second| globals() + &pair_of_instances(first, second);
    let together = |first, second| apart(first, second) + &group("one two");
    let both = |hosts: &[Host], saying: &str| scene.both_settle(hosts, saying);
    let a = scene.start(pair.0, Host::A, &together(150, 150));
    both(&[Host::A], "A is elected");
    let b = scene.start(pair.1, Host::B, &apart(100, 100));
    both(&[Host::A], "B is no better");
    b.reload_text(&apart(100, 200));
    both(&[Host::B], "B has outranked one of two");
    b.reload_text(&apart(100, 100));
    both(&[Host::A], "A outranks both");
    Scene::stop(a);
    both(&[Host::B], "A stopped");
    Scene::stop(b);
}

fn a_group_moves_as_one_or_not_at_all(scene: &Scene, pair: Pair) {
    let text = |first, second| globals() + &pair_of_instances(first, second) + &group("one two");
    let both = |hosts: &[Host], saying: &str| scene.both_settle(hosts, saying);
    // Of one of A's, which must be there.
    scene.lab.add_cables(1);
    let tracked = "track_interface {\n eth1\n }";
    let both_of_a = instance("one", 51, 150, "") + &instance("two", 52, 150, tracked);
    let a = scene.start(pair.0, Host::A, &(globals() + &both_of_a + &group("one two")));
    both(&[Host::A], "A is elected");
    let b = scene.start(pair.1, Host::B, &text(100, 100));
    both(&[Host::A], "B is no better");
    b.reload_text(&text(100, 200));
    both(&[Host::A], "one of B's alone wants to be master");
    b.reload_text(&text(200, 200));
    both(&[Host::B], "both want to");
    // As of one that lost its master: both follow.
    Scene::stop(b);
    both(&[Host::A], "B stopped");
    let b = scene.start(pair.1, Host::B, &text(100, 100));
    both(&[Host::A], "B is no better");
    scene.lab.connect(Host::A, false);
    both(&[Host::A, Host::B], "B takes over from A, which fell silent");
    scene.lab.connect(Host::A, true);
    both(&[Host::A], "B gives way");
    let space = scene.lab.space(Host::A);
    ip(&format!("-n {space} link set eth1 down"));
    both(&[Host::B], "one of A's is at fault");
    ip(&format!("-n {space} link set eth1 up"));
    both(&[Host::A], "both of A's are well again");
    Scene::stop(a);
    Scene::stop(b);
}

fn the_weight_of_an_interface_moves_the_addresses_both_ways(scene: &Scene, pair: Pair) {
    scene.lab.add_cables(2);
    let space = scene.lab.space(Host::A);
    let link = |name: &str, what: &str| ip(&format!("-n {space} link set {name} {what}"));
    let b = scene.start(pair.1, Host::B, &file(130, ""));
    scene.settles(VIP, &[Host::B], "B is elected");
    // Added while one is up, and subtracted while the other one is down.
    let tracked = "track_interface {\n eth1 weight 50\n eth2 weight -40\n }";
    let a = scene.start(pair.0, Host::A, &file(100, tracked));
    for (name, down) in [("eth1", 100), ("eth2", 110), ("eth1", 100)] {
        let start = Instant::now();
        scene.settles(VIP, &[Host::A], "A is better");
        scene
            .lab
            .until(PATIENCE, "with both weights", || scene.priority(Host::A, start) == Some(150));
        let since = Instant::now();
        link(name, "down");
        scene.settles(VIP, &[Host::B], "B is better");
        let said = scene.sniffer.said(Host::A, since);
        let lowest = said.iter().map(|one| one.priority).filter(|&priority| priority > 0).min();
        assert!(lowest.is_none_or(|lowest| lowest >= down), "{said:?}");
        link(name, "up");
    }
    scene.settles(VIP, &[Host::A], "A is better again");
    // Turned round.
    let tracked = "track_interface {\n eth1 weight 50 reverse\n }";
    a.reload_text(&file(170, tracked));
    scene.settles(VIP, &[Host::B], "A has 120");
    link("eth1", "down");
    scene.settles(VIP, &[Host::A], "A has 170");
    link("eth1", "up");
    scene.settles(VIP, &[Host::B], "A has 120 again");
    Scene::stop(a);
    Scene::stop(b);
}

fn a_weight_moves_nothing_where_nobody_preempts(scene: &Scene, pair: Pair) {
    scene.lab.add_cables(1);
    let space = scene.lab.space(Host::A);
    let tracked = "nopreempt\n track_interface {\n eth1 weight -150\n }";
    let a = scene.start(pair.0, Host::A, &file(200, tracked));
    scene.settles(VIP, &[Host::A], "A is elected");
    let b = scene.start(pair.1, Host::B, &file(100, "nopreempt"));
    scene.stays(VIP, &[Host::A], SECOND, "B is no better");
    let since = Instant::now();
    ip(&format!("-n {space} link set eth1 down"));
    let says = || scene.priority(Host::A, since) == Some(50);
    scene.lab.until(PATIENCE, "A is worse", says);
    scene.stays(VIP, &[Host::A], SECOND, "B does not preempt A");
    Scene::stop(a);
    scene.settles(VIP, &[Host::B], "nobody else is there");
    let a = scene.start(pair.0, Host::A, &file(200, tracked));
    scene.stays(VIP, &[Host::B], SECOND, "A is worse");
    ip(&format!("-n {space} link set eth1 up"));
    scene.stays(VIP, &[Host::B], SECOND, "A does not preempt B");
    Scene::stop(b);
    scene.settles(VIP, &[Host::A], "nobody else is there");
    Scene::stop(a);
}

/// A script that says in a file how it ended, which is up as long as another file is there.
struct Script {
    program: PathBuf,
    alive: PathBuf,
    runs: PathBuf,
}

impl Script {
    fn new(lab: &Lab) -> Self {
        let [program, alive, runs] = ["program", "alive", "runs"].map(|name| lab.files.join(name));
        let text = format!(
            "#!/bin/sh\nif test -e {}; then echo up; else echo down; false; fi >> {}\n",
            alive.display(),
            runs.display()
        );
        std::fs::write(&program, text).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&program, mode).unwrap();
        std::fs::write(&alive, "").unwrap();
        Self { program, alive, runs }
    }

    /// How many runs have ended like this, of the last ones that did.
    fn last_runs(&self, outcome: &str) -> usize {
        let text = std::fs::read_to_string(&self.runs).unwrap_or_default();
        text.lines().rev().take_while(|line| *line == outcome).count()
    }
}

fn so_many_runs_have_to_fail_and_so_many_to_succeed(scene: &Scene, pair: Pair) {
    let script = Script::new(&scene.lab);
    let program = script.program.display();
    let described = |more: &str| {
        format!(
            "vrrp_script s {{\n script \"{program}\"\n interval 1\n fall 3\n rise 2\n {more}\n}}\n"
        )
    };
    let tracked = |weight: &str| format!("track_script {{\n s {weight}\n }}");
    let text = |more: &str, priority: u8, weight: &str| {
        globals() + &described(more) + &instance("v", 51, priority, &tracked(weight))
    };
    let b = scene.start(pair.1, Host::B, &file(130, ""));
    let a = scene.start(pair.0, Host::A, &text("weight -50", 150, ""));
    scene.settles(VIP, &[Host::A], "A is better");
    std::fs::remove_file(&script.alive).unwrap();
    scene.settles(VIP, &[Host::B], "A has 100");
    assert!(script.last_runs("down") >= 3, "{}", script.last_runs("down"));
    std::fs::write(&script.alive, "").unwrap();
    scene.settles(VIP, &[Host::A], "A has 150 again");
    assert!(script.last_runs("up") >= 2, "{}", script.last_runs("up"));

    // Turned round: as long as the script succeeds A has less, and its failure is what it waits for.
    // By a reload keepalived 2.2.7 would add what it is to subtract.
    Scene::stop(a);
    let a = scene.start(pair.0, Host::A, &text("", 150, "weight 50 reverse"));
    let since = Instant::now();
    scene.lab.until(PATIENCE, "A runs it", || script.last_runs("up") > 4);
    scene.stays(VIP, &[Host::B], 6 * INTERVAL, "A has 100");
    assert!(scene.sniffer.said(Host::A, since).is_empty(), "A is no better");
    std::fs::remove_file(&script.alive).unwrap();
    scene.settles(VIP, &[Host::A], "A has 150");
    assert!(script.last_runs("down") >= 3, "{}", script.last_runs("down"));
    Scene::stop(a);
    Scene::stop(b);
}

/// A program that does nothing, under a name of its own.
struct Program(PathBuf);

impl Program {
    fn new(lab: &Lab) -> Self {
        // `comm` has 15 characters.
        let name: String = lab.files.file_name().unwrap().to_str().unwrap().into();
        let path = lab.files.join(&name[name.len().saturating_sub(15)..]);
        std::fs::copy("/bin/sleep", &path).unwrap();
        Self(path)
    }

    fn run(&self) -> Running {
        Running(Command::new(&self.0).arg("1000").spawn().unwrap())
    }
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn the_end_of_a_process_moves_the_addresses_and_its_start_brings_them_back(
    scene: &Scene,
    pair: Pair,
) {
    if !pair.0.is_ours() {
        // keepalived is told of processes by the kernel, which speaks to the first namespace alone.
        return;
    }
    let program = Program::new(&scene.lab);
    let described =
        format!("vrrp_track_process p {{\n process {}\n weight 50\n}}\n", program.0.display());
    let text = |more: &str| {
        globals()
            + &described
            + &instance("v", 51, 100, &format!("track_process {{\n p {more}\n }}"))
    };
    let b = scene.start(pair.1, Host::B, &file(130, ""));
    scene.settles(VIP, &[Host::B], "B is elected");
    let running = program.run();
    let a = scene.start(pair.0, Host::A, &text(""));
    scene.settles(VIP, &[Host::A], "A has 150");
    drop(running);
    scene.settles(VIP, &[Host::B], "A has 100");
    let running = program.run();
    scene.settles(VIP, &[Host::A], "A has 150 again");
    // Without a weight it is a fault.
    a.reload_text(&text("weight 0").replace("priority 100", "priority 150"));
    scene.stays(VIP, &[Host::A], SECOND, "it is there");
    drop(running);
    scene.settles(VIP, &[Host::B], "A is at fault");
    let since = Instant::now();
    scene.stays(VIP, &[Host::B], SECOND, "A is at fault");
    assert_eq!(scene.priority(Host::A, since), None, "who is at fault is silent");
    let _running = program.run();
    scene.settles(VIP, &[Host::A], "A is well again");
    Scene::stop(a);
    Scene::stop(b);
}

/// At the latest when it hears that the other one does not.
fn of_two_owners_one_gives_way(scene: &Scene, pair: Pair) {
    let kind = |host: Host| if host == Host::A { pair.0 } else { pair.1 };
    for first in [Host::A, Host::B] {
        let second = first.other();
        let mut owners = vec![(first, scene.start(kind(first), first, &file(255, "")))];
        scene.settles(VIP, &[first], "one alone");
        owners.push((second, scene.start(kind(second), second, &file(255, ""))));
        thread::sleep(SECOND);
        let is_one = || scene.holders(VIP).len() == 1;
        scene.lab.until(PATIENCE, "one gives way", is_one);
        let since = Instant::now();
        let stays = scene.holders(VIP)[0];
        scene.stays(VIP, &[stays], SECOND, "and is patient");
        let goes = stays.other();
        assert!(scene.sniffer.said(goes, since).is_empty(), "{goes:?} speaks as a master");
        if pair == (Kind::Migrated, Kind::Migrated) {
            assert_eq!(stays, Host::B, "it has the higher address");
        }
        let place = owners.iter().position(|(host, _)| *host == stays).unwrap();
        Scene::stop(owners.remove(place).1);
        scene.settles(VIP, &[goes], "it takes over");
        if kind(goes).is_ours() {
            // keepalived 2.2.7 is content with 254 from then on.
            let owns = || scene.priority(goes, since) == Some(255);
            scene.lab.until(PATIENCE, "it is the owner again", owns);
        }
        Scene::stop(owners.remove(0).1);
    }
}

/// All three have the others as peers, and whoever is best of those that are there is master.
fn of_three_peers_the_best_is_master(scene: &Scene, pair: Pair) {
    three_peers(scene, pair, 3, "");
}

/// Every sender has a sequence of its own.
fn of_three_peers_with_authentication_headers_the_best_is_master(scene: &Scene, pair: Pair) {
    three_peers(scene, pair, 2, "authentication {\n auth_type AH\n auth_pass secret\n }");
}

fn three_peers(scene: &Scene, pair: Pair, version: u8, more: &str) {
    let text = |host: Host| {
        let at = |host: Host| format!("10.99.0.{}", host.number());
        let others: Vec<_> = Host::ALL.into_iter().filter(|one| *one != host).map(at).collect();
        let more = format!(
            "unicast_src_ip {}\n unicast_peer {{\n {}\n }}\n {more}",
            at(host),
            others.join("\n ")
        );
        let text = file(250 - 50 * host.number(), &more);
        match version {
            2 => text.replace("vrrp_version 3", "vrrp_version 2").replace("int 0.1", "int 1"),
            _ => text,
        }
    };
    let interval = if version == 2 { SECOND } else { INTERVAL };
    let settles = |host: Host, saying: &str| {
        scene.settles(VIP, &[host], saying);
        scene.stays(VIP, &[host], 5 * interval, saying);
    };
    let c = scene.start(pair.1, Host::C, &text(Host::C));
    let b = scene.start(pair.1, Host::B, &text(Host::B));
    let a = scene.start(pair.0, Host::A, &text(Host::A));
    settles(Host::A, "A is best");
    Scene::stop(a);
    settles(Host::B, "B is better than C");
    // It begins in a partition, with a sequence that is behind the others'.
    scene.lab.connect(Host::A, false);
    let a = scene.start(pair.0, Host::A, &text(Host::A));
    scene.settles(VIP, &[Host::A, Host::B], "A is alone");
    scene.lab.connect(Host::A, true);
    settles(Host::A, "A is best again");
    Scene::stop(a);
    Scene::stop(b);
    Scene::stop(c);
}

/// Of version 3 over IPv4 there are two, and each daemon of keepalived's knows one of them alone.
#[test]
#[ignore = "needs root and keepalived"]
fn whoever_sums_up_as_the_master_does_is_understood_by_it() {
    if !is_possible() {
        return;
    }
    let toml = |priority: u8, checksum: &str| {
        format!(
            "[[vrrp_instance]]\nname = \"v\"\ninterface = \"eth0\"\nvirtual_router_id = 51\n\
             priority = {priority}\nadvert_interval = \"100ms\"\naddresses = [\"{VIP}/24\"]\n\
             checksum = \"{checksum}\"\n"
        )
    };
    let cases = [
        (Kind::Keepalived, file(100, ""), false),
        (Kind::Ours, toml(100, "pseudo"), false),
        (Kind::Ours, toml(100, "rfc9568"), true),
    ];
    for (kind, text, alone) in cases {
        let scene = Scene::new();
        let start = Instant::now();
        let sums = |host: Host| {
            let said = scene.sniffer.said(host, start);
            assert!(!said.is_empty(), "{host:?} is silent");
            said.iter().filter(|one| one.sums_message_alone == alone).count() == said.len()
        };
        let b = scene.start(kind, Host::B, &text);
        scene.settles(VIP, &[Host::B], "B is elected");
        let a = scene.start(Kind::Ours, Host::A, &toml(200, "auto"));
        scene.settles(VIP, &[Host::A], "A preempts B");
        scene.stays(VIP, &[Host::A], 6 * INTERVAL, "B understands A");
        assert!(sums(Host::A) && sums(Host::B), "{kind:?}, {alone}");
        Scene::stop(a);
        Scene::stop(b);
    }
}
