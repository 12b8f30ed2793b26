//! What the log says of what goes wrong, and how often.

use std::thread;
use std::time::Duration;

use crate::daemon::run_ours;
use crate::lab::{Host, Lab, MS, fetch, ip, is_possible, status};

const SECOND: Duration = Duration::from_secs(1);

fn instance(more: &str) -> String {
    format!(
        "admin = \"127.0.0.1:9900\"\n[[vrrp_instance]]\nname = \"one\"\ninterface = \"eth0\"\n\
         virtual_router_id = 51\naddresses = [\"10.99.0.200/24\"]\n{more}\n"
    )
}

fn lines_with(lab: &Lab, letter: &str, words: &[&str]) -> usize {
    let log = std::fs::read_to_string(lab.files.join(format!("{letter}.log"))).unwrap_or_default();
    log.lines().filter(|line| words.iter().all(|word| line.contains(word))).count()
}

/// Two masters of one address, for want of the same password: each says what it hears of the other one.
#[test]
#[ignore = "needs root"]
fn who_is_refused_is_told_once() {
    if !is_possible() {
        return;
    }
    let lab = Lab::new();
    let with = |password: &str| {
        let key = format!("authentication = {{ type = \"pass\", password = \"{password}\" }}");
        instance(&format!("version = 2\nstate = \"master\"\n{key}"))
    };
    let _a = run_ours(&lab, Host::A, &with("this"));
    let b = run_ours(&lab, Host::B, &with("that"));
    let told = |letter, sender| {
        let sender = format!("sender=\"{sender}\"");
        let words = ["WARN an advertisement is refused", "\"one\"", &sender, "another password"];
        lines_with(&lab, letter, &words)
    };
    lab.until(10 * SECOND, "both say it", || {
        told("a", "10.99.0.2") == 1 && told("b", "10.99.0.1") == 1
    });
    thread::sleep(3 * SECOND);
    assert_eq!((told("a", "10.99.0.2"), told("b", "10.99.0.1")), (1, 1), "once");
    b.reload_text(&with("this"));
    lab.until(10 * SECOND, "one has the address", || {
        lab.holds(Host::A, "10.99.0.200") != lab.holds(Host::B, "10.99.0.200")
    });
}

/// That one was told of lets no other one go unseen.
#[test]
#[ignore = "needs root"]
fn each_router_that_lists_other_addresses_is_named_with_a_remedy() {
    if !is_possible() {
        return;
    }
    let lab = Lab::new();
    let _a = run_ours(&lab, Host::A, &instance("priority = 50"));
    let other = |priority: u8| {
        instance(&format!("priority = {priority}")).replace("10.99.0.200", "10.99.0.201")
    };
    let told = |sender: &str| {
        let sender = format!("sender={sender}");
        let remedy = "if it is not yours, take another virtual_router_id";
        let words = ["WARN another router lists other addresses", remedy, "\"one\"", &sender];
        lines_with(&lab, "a", &words)
    };
    let _b = run_ours(&lab, Host::B, &other(100));
    lab.until(10 * SECOND, "the first one is named", || told("10.99.0.2") == 1);
    let _c = run_ours(&lab, Host::C, &other(150));
    lab.until(10 * SECOND, "so is the second one", || told("10.99.0.3") == 1);
    assert_eq!((told("10.99.0.2"), told("10.99.0.3")), (1, 1), "once each");
}

#[test]
#[ignore = "needs root"]
fn tracked_interfaces_are_told_of() {
    if !is_possible() {
        return;
    }
    let lab = Lab::new();
    let late = "track_interfaces = [{ name = \"late0\", weight = -50 }]\n";
    let _a = run_ours(&lab, Host::A, &instance(late));
    let told = |level: &str, is_up: bool| {
        let line = format!("{level} tracked interface instance=\"one\" interface=\"late0\"");
        lines_with(&lab, "a", &[&line, &format!("up={is_up}")])
    };
    let space = lab.space(Host::A);
    let shown = |state: &str| {
        let known = serde_json::json!({
            "type": "interface", "name": "late0", "state": state, "value": null,
            "reason": (state == "down").then_some("there is no such interface"),
        });
        let metrics = fetch(&space, &["http://127.0.0.1:9900/metrics"]);
        let is_up = u8::from(state == "up");
        let line = format!("lb_tracked_up{{type=\"interface\",name=\"late0\"}} {is_up}\n");
        status(&space)["tracked"] == serde_json::json!([known]) && metrics.contains(&line)
    };
    lab.until(5 * SECOND, "it is not there", || told("WARN", false) == 1 && shown("down"));
    ip(&format!("-n {space} link add late0 type veth peer name late1"));
    ip(&format!("-n {space} link set late1 up"));
    ip(&format!("-n {space} link set late0 up"));
    lab.until(5 * SECOND, "it is up", || told("INFO", true) == 1 && shown("up"));
    assert_eq!(told("WARN", false), 1, "said once, though links were looked at again");
}

#[test]
#[ignore = "needs root"]
fn what_is_wrong_with_a_script_is_told_once() {
    if !is_possible() {
        return;
    }
    let lab = Lab::new();
    let script = |name: &str, command: &str| {
        format!("[[vrrp_script]]\nname = \"{name}\"\ncommand = {command}\ninterval = \"100ms\"\n")
    };
    let scripts = script("gone", "[\"/nonexistent\"]")
        + &script("slow", "[\"/bin/sleep\", \"9\"]")
        + &script("loud", "[\"/bin/sh\", \"-c\", \"echo oops >&2; exit 1\"]");
    let text = instance("track_scripts = [\"gone\", \"slow\", \"loud\"]\n") + &scripts;
    let _a = run_ours(&lab, Host::A, &text);
    let gone = || lines_with(&lab, "a", &["WARN tracked script cannot be run", "\"gone\""]);
    let slow = || lines_with(&lab, "a", &["WARN tracked script ended", "\"slow\""]);
    let loud =
        || lines_with(&lab, "a", &["INFO the script says", "whose=\"loud\"", "stderr=\"oops\""]);
    lab.until(5 * SECOND, "all are told of", || gone() > 0 && slow() > 0 && loud() > 0);
    thread::sleep(1000 * MS);
    assert_eq!((gone(), slow(), loud()), (1, 1, 1));
    assert_eq!(lines_with(&lab, "a", &["oops"]), 1, "nor without time and name");
}

/// By both members of a group, and in words, however many causes follow from each other.
#[test]
#[ignore = "needs root"]
fn one_fault_is_one_line_of_each_instance() {
    if !is_possible() {
        return;
    }
    let lab = Lab::new();
    let space = lab.space(Host::A);
    let other = instance("").replace("\"one\"", "\"two\"").replace("= 51", "= 52");
    let other = other.replace("admin = \"127.0.0.1:9900\"\n", "").replace(".200", ".201");
    let group = "[[vrrp_sync_group]]\nname = \"both\"\nmembers = [\"one\", \"two\"]\n";
    let _a = run_ours(&lab, Host::A, &(instance("") + &other + group));
    lab.until(10 * SECOND, "masters", || lab.holds(Host::A, "10.99.0.201"));
    let told = |name: &str, words: &str| {
        lines_with(&lab, "a", &["WARN at fault", &format!("instance=\"{name}\""), words])
    };
    let fit = || lines_with(&lab, "a", &["INFO not at fault any more"]);
    ip(&format!("-n {space} link set eth0 down"));
    let down = "causes=\"interface `eth0` is down\"";
    lab.until(5 * SECOND, "both say why", || told("one", down) == 1 && told("two", down) == 1);
    ip(&format!("-n {space} link set eth0 up"));
    lab.until(5 * SECOND, "both are fit", || fit() == 2);
    ip(&format!("-n {space} address flush dev eth0"));
    let mute = "causes=\"interface `eth0` has no address to speak from\"";
    lab.until(5 * SECOND, "both say why", || told("one", mute) == 1 && told("two", mute) == 1);
    ip(&format!("-n {space} address add 10.99.0.1/24 dev eth0"));
    lab.until(5 * SECOND, "both are fit", || fit() == 4);
    assert_eq!((told("one", ""), told("two", "")), (2, 2), "nothing else");
}

/// In the log, where they are found to be down, and in the status as long as they are.
#[test]
#[ignore = "needs root"]
fn why_what_is_tracked_is_down_is_said() {
    if !is_possible() {
        return;
    }
    let lab = Lab::new();
    let script = |name: &str, command: &str| {
        format!(
            "[[vrrp_script]]\nname = \"{name}\"\ncommand = {command}\n\
             interval = \"200ms\"\nweight = {}\n",
            if name == "status" { 0 } else { -10 }
        )
    };
    let good = lab.files.join("good");
    let status_of = format!("[\"/bin/sh\", \"-c\", \"test -e {} || exit 3\"]", good.display());
    let text = instance(
        "track_scripts = [\"status\", \"late\", \"gone\"]\ntrack_checks = [\"check\"]\n\
         track_processes = [\"none\"]\ntrack_quorums = [{ name = \"web\", weight = -10 }]\n",
    ) + &script("status", &status_of)
        + &script("late", "[\"/bin/sleep\", \"9\"]")
        + &script("gone", "[\"/nonexistent\"]")
        + "[[vrrp_check]]\nname = \"check\"\ntarget = \"127.0.0.1:1\"\nweight = -10\n\
           check = { type = \"tcp\", interval = \"200ms\", fall = 1, initial = \"up\" }\n\
           [[vrrp_track_process]]\nname = \"none\"\nprocess = \"/no/such/program\"\nweight = -10\n\
           [[virtual_server]]\nname = \"web\"\nlisten = \"127.0.0.1:8000\"\n\
           backend = [{ address = \"127.0.0.1:1\" }]\n\
           check = { type = \"tcp\", interval = \"200ms\", fall = 1 }\n";
    let _a = run_ours(&lab, Host::A, &text);
    let space = lab.space(Host::A);
    let reason = |name: &str| {
        let all = status(&space)["tracked"].as_array().unwrap().clone();
        // It is listed as soon as it was looked at.
        let one = all.into_iter().find(|one| one["name"] == name).unwrap_or_default();
        one["reason"].as_str().unwrap_or_default().to_owned()
    };
    let wanted = [
        ("status", "exit status: 3"),
        ("late", "it took too long, after 200ms"),
        ("gone", "it cannot be run: No such file or directory"),
        ("check", "refused"),
        ("none", "0 run, and 1 should"),
        ("web", "0 of 1 backends live"),
    ];
    for (name, words) in wanted {
        lab.until(5 * SECOND, name, || reason(name).contains(words));
        let quoted = format!("\"{name}\"");
        let line = ["WARN tracked ", &quoted, "up=false", words];
        lab.until(SECOND, name, || lines_with(&lab, "a", &line) == 1);
    }
    let faults = || status(&space)["vrrp_instances"][0]["faults"].clone();
    assert_eq!(faults(), serde_json::json!(["script status"]));
    let words = ["WARN at fault", "causes=\"script `status`\""];
    assert_eq!(lines_with(&lab, "a", &words), 1);
    std::fs::write(good, "").unwrap();
    lab.until(5 * SECOND, "it is fit", || faults() == serde_json::json!([]));
    assert_eq!(reason("status"), "", "it is up");
}

/// Whoever administers the host may not know who does it.
#[test]
#[ignore = "needs root"]
fn who_took_an_address_away_or_over_is_told_in_words() {
    if !is_possible() {
        return;
    }
    let lab = Lab::new();
    let _a = run_ours(&lab, Host::A, &instance("priority = 100\n"));
    lab.until(10 * SECOND, "it is master", || lab.holds(Host::A, "10.99.0.200"));
    let space = lab.space(Host::A);
    for _ in 0..2 {
        ip(&format!("-n {space} address delete 10.99.0.200/24 dev eth0"));
        lab.until(5 * SECOND, "it is back", || lab.holds(Host::A, "10.99.0.200"));
    }
    let told =
        "WARN somebody took an address away: it is put back instance=\"one\" address=10.99.0.200";
    assert_eq!(lines_with(&lab, "a", &[told]), 1, "once");
    let _b = run_ours(&lab, Host::B, &instance("priority = 150\n"));
    let outranked = "because=outranked by 10.99.0.2 (priority 150)";
    lab.until(10 * SECOND, "by whom", || lines_with(&lab, "a", &[outranked]) == 1);
}

/// What a crash has left goes, or stays if it is to: both are told; and that somebody else is there.
#[test]
#[ignore = "needs root"]
fn what_a_crash_has_left_is_told_of() {
    if !is_possible() {
        return;
    }
    let lab = Lab::new();
    let fixed = |to: &str| format!("[[static_route]]\nto = \"{to}\"\ndev = \"eth0\"\n");
    let more = "excluded_addresses = [\"10.99.0.201/24\"]\n\
                routes = [{ to = \"10.5.0.0/16\", via = \"10.99.0.9\" }]\n\
                rules = [{ from = \"10.99.0.200\", table = 100, priority = 500 }]\n";
    let first =
        run_ours(&lab, Host::A, &(instance(more) + &fixed("10.6.0.0/16") + &fixed("10.7.0.0/16")));
    lab.until(10 * SECOND, "a master", || lab.holds(Host::A, "10.99.0.200"));
    lab.until(SECOND, "routes", || {
        ip(&format!("-n {} route", lab.space(Host::A))).contains("10.5.0.0/16")
    });
    assert_eq!(lines_with(&lab, "a", &["left"]), 0);
    first.kill();
    let second = run_ours(&lab, Host::A, &(instance("") + &fixed("10.7.0.0/16")));
    lab.until(5 * SECOND, "it is told", || lines_with(&lab, "a", &["had left"]) == 6);
    for what in [
        "removed what a run that was killed had left: address 10.99.0.201/24",
        "removed what a run that was killed had left: route to 10.5.0.0/16 in table 254",
        "removed what a run that was killed had left: rule of priority 500",
        "removed what a run that was killed had left: route to 10.6.0.0/16 in table 254",
        "found what a run that was killed had left: route to 10.7.0.0/16 dev eth0 in table 254",
        "found what a run that was killed had left: address 10.99.0.200/24",
    ] {
        assert_eq!(lines_with(&lab, "a", &["INFO", what]), 1, "{what}");
    }
    assert_eq!(lines_with(&lab, "a", &["another vip-keeper"]), 0);
    let text = instance("").replace("127.0.0.1:9900", "127.0.0.1:9901").replace(".200", ".210");
    let _beside = run_ours(&lab, Host::A, &text);
    lab.until(5 * SECOND, "it is warned", || {
        lines_with(&lab, "a", &["WARN another vip-keeper runs"]) == 1
    });
    drop(second);
}

/// Root that has dropped its right to everybody's directories says so.
#[test]
#[ignore = "needs root"]
fn a_directory_that_root_may_not_write_to_is_explained() {
    if !is_possible() {
        return;
    }
    let lab = Lab::new();
    let theirs = lab.files.join("theirs");
    std::fs::create_dir(&theirs).unwrap();
    std::os::unix::fs::chown(&theirs, Some(65534), None).unwrap();
    for place in ["admin", "notify_fifo"] {
        let text = instance("").replace("admin = \"127.0.0.1:9900\"", "");
        let text = format!("{place} = {:?}\n", theirs.join(place)) + &text;
        let _daemon = run_ours(&lab, Host::A, &text);
        let words = [&format!("{place}: "), "Permission denied", "set `user` to whose it is"];
        lab.until(5 * SECOND, place, || lines_with(&lab, "a", &words) == 1);
    }
}
