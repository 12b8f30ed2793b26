//! Who depends on something that nobody has seen yet, or that a reload has moved in the list.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use crate::daemon::{Daemon, Kind, run_ours};
use crate::dialect::{Dialect, Wish};
use crate::lab::{Host, Lab, is_possible, status};
use crate::reloads::Monitor;

const SECOND: Duration = Duration::from_secs(1);
const VIP: &str = "10.99.0.200";

/// One that takes over at once when it may: what it holds says whether it is at fault.
fn owner(tracks: &str) -> String {
    format!(
        "admin = \"127.0.0.1:9900\"\n[[vrrp_instance]]\nname = \"it\"\ninterface = \"eth0\"\n\
         virtual_router_id = 51\npriority = 255\naddresses = [\"{VIP}/24\"]\n\
         track_scripts = {tracks}\n"
    )
}

/// Up as long as there is a file of its name; it counts its runs in another one.
fn script(lab: &Lab, name: &str, more: &str) -> String {
    let (up, runs) = (lab.files.join(name), runs(lab, name));
    let line = format!("echo >> {}; test -e {}", runs.display(), up.display());
    format!(
        "[[vrrp_script]]\nname = \"{name}\"\ncommand = [\"/bin/sh\", \"-c\", \"{line}\"]\n\
         interval = \"100ms\"\ntimeout = \"5s\"\n{more}\n"
    )
}

fn runs(lab: &Lab, name: &str) -> PathBuf {
    lab.files.join(format!("runs.{name}"))
}

/// Waits until it has run this often from now on.
fn until_run(lab: &Lab, name: &str, times: usize) {
    let count = || std::fs::read(runs(lab, name)).unwrap_or_default().len();
    let before = count();
    // The last of them has ended when the next one has begun.
    lab.until(20 * SECOND, "it runs", || count() > before + times);
}

fn instance(lab: &Lab) -> serde_json::Value {
    status(&lab.space(Host::A))["vrrp_instances"][0].clone()
}

fn becomes(lab: &Lab, state: &str) {
    lab.until(10 * SECOND, state, || instance(lab)["state"] == state);
}

/// An operator who removes the script that fails must be rid of it; and what stands in the place of
/// something that is up is not up for that.
#[test]
#[ignore = "needs root"]
fn a_reload_leaves_each_script_what_is_known_of_it() {
    if !is_possible() {
        return;
    }
    let lab = Lab::new();
    for up in ["up", "also"] {
        std::fs::write(lab.files.join(up), "").unwrap();
    }
    // All begin alike, whatever they are.
    for initial in ["down", "unknown", "up"] {
        let scripts: String = ["up", "also", "dead"]
            .map(|name| script(&lab, name, &format!("initial = \"{initial}\"")))
            .concat();
        let with = |tracks: &str| owner(tracks) + &scripts;
        let a = run_ours(&lab, Host::A, &with(r#"["up", "dead"]"#));
        becomes(&lab, "FAULT");
        until_run(&lab, "up", 2);
        for (tracks, state) in [
            (r#"["dead"]"#, "FAULT"),
            (r#"["up", "dead"]"#, "FAULT"),
            (r#"["dead", "up", "also"]"#, "FAULT"),
            (r#"["up"]"#, "MASTER"),
            (r#"["also", "up"]"#, "MASTER"),
        ] {
            let taken = || {
                let log = std::fs::read_to_string(lab.files.join("a.log")).unwrap();
                log.matches("changed instance=\"it\"").count()
            };
            let before = taken();
            a.reload_text(&with(tracks));
            lab.until(10 * SECOND, "it is taken over", || taken() > before);
            becomes(&lab, state);
            until_run(&lab, "up", 3);
            assert_eq!(instance(&lab)["state"], state, "{initial}: {tracks}");
            assert_eq!(lab.holds(Host::A, VIP), state == "MASTER", "{initial}: {tracks}");
        }
        a.tell_to_stop();
        a.wait();
    }
}

/// The better host starts with its service dead, beside one whose service lives: whatever `fall` is, it
/// never has the address, nor as long as the first run lasts.
#[test]
#[ignore = "needs root"]
fn a_dead_service_attracts_nobody_before_it_was_looked_at() {
    if !is_possible() {
        return;
    }
    let dialect = Dialect::V4;
    for kind in [Kind::Ours, Kind::Migrated] {
        let lab = Lab::new();
        let b = Daemon::start(&lab, Kind::Keepalived, dialect, &Wish::new(Host::B, 100));
        lab.until(10 * SECOND, "B is alone", || lab.holds(Host::B, VIP));
        // The first run lasts until it is let go, far longer than the silence that makes a master; and the
        // next one as well.
        let [go, on, up] = ["go", "on", "up"].map(|name| lab.files.join(name));
        let (begun, file) = (runs(&lab, "service"), lab.files.join("service.sh"));
        let text = format!(
            "echo >> {begun}\n[ $(wc -l < {begun}) = 1 ] && wait_for={go} || wait_for={on}\n\
             until [ -e $wait_for ]; do sleep 0.05; done\ntest -e {up}\n",
            begun = begun.display(),
            go = go.display(),
            on = on.display(),
            up = up.display()
        );
        std::fs::write(&file, text).unwrap();
        let wish = Wish::new(Host::A, 200);
        let text = dialect.text(kind, &wish);
        let file = file.display();
        let text = match kind {
            Kind::Ours => format!(
                "{text}track_scripts = [\"service\"]\n[[vrrp_script]]\nname = \"service\"\n\
                 command = [\"/bin/sh\", \"{file}\"]\ninterval = \"1s\"\ntimeout = \"60s\"\nfall = 3\n"
            ),
            _ => {
                let (head, tail) = text.rsplit_once('}').unwrap();
                format!(
                    "vrrp_script service {{\n script \"/bin/sh {file}\"\n interval 1\n timeout 60\n \
                     fall 3\n}}\n{head} track_script {{\n service\n }}\n}}{tail}"
                )
            }
        };
        let seen = Monitor::start(&lab, Host::A, "address");
        let a = Daemon::run(&lab, kind, Host::A, &text);
        let count = || std::fs::read(&begun).unwrap_or_default().len();
        lab.until(10 * SECOND, "it is looked at", || count() > 0);
        thread::sleep(dialect.master_down(200) * 3);
        let log = || std::fs::read_to_string(lab.files.join("a.log")).unwrap();
        assert!(!log().contains("at fault") && !log().contains("to=\"BACKUP\""), "{}", log());
        std::fs::write(&go, "").unwrap();
        lab.until(10 * SECOND, "one failure is enough", || log().contains("at fault"));
        std::fs::write(&on, "").unwrap();
        lab.until(20 * SECOND, "it goes on", || count() > 3);
        assert_eq!(seen.lines_with(VIP), 0, "{kind:?} had the address: {}", log());
        assert!(lab.holds(Host::B, VIP));
        // And one that lives again is preferred as before.
        std::fs::write(&up, "").unwrap();
        lab.until(10 * SECOND, "A preempts", || lab.holds(Host::A, VIP));
        a.tell_to_stop();
        a.wait();
        b.tell_to_stop();
        b.wait();
    }
}

/// Another `fall` is no reason to believe a service that is dead.
#[test]
#[ignore = "needs root"]
fn a_script_that_a_reload_changes_keeps_its_verdict() {
    if !is_possible() {
        return;
    }
    let lab = Lab::new();
    let with = |more: &str| owner(r#"["service"]"#) + &script(&lab, "service", more);
    let seen = Monitor::start(&lab, Host::A, "address");
    let a = run_ours(&lab, Host::A, &with(""));
    becomes(&lab, "FAULT");
    for more in ["fall = 1000", "fall = 1000\ninitial = \"up\"", "fall = 999\nrise = 2"] {
        a.reload_text(&with(more));
        until_run(&lab, "service", 5);
        assert_eq!(instance(&lab)["state"], "FAULT", "{more}");
    }
    assert_eq!(seen.lines_with(VIP), 0);
    std::fs::write(lab.files.join("service"), "").unwrap();
    becomes(&lab, "MASTER");
    // Nor to distrust one that lives, before it has failed as often as that.
    let seen = Monitor::start(&lab, Host::A, "address");
    a.reload_text(&with("fall = 1000\ninitial = \"down\"\nrise = 1000"));
    until_run(&lab, "service", 5);
    assert_eq!(instance(&lab)["state"], "MASTER");
    assert_eq!(seen.lines_with(VIP), 0);
    a.tell_to_stop();
    a.wait();
}
