//! Commands that are told of changes, and take their time.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process};

use crate::daemon::run_ours;
use crate::lab::{Host, Lab, is_possible};

/// As long as the file says, and what comes after is told all the same.
#[test]
#[ignore = "needs root"]
fn a_command_that_takes_longer_than_it_may_is_ended() {
    if !is_possible() {
        return;
    }
    let lab = Lab::new();
    let told = lab.files.join("told");
    let slow = format!("trap 'echo ended >> {0}; exit' TERM; sleep 99 & wait", told.display());
    let stop = format!("echo stop >> {}", told.display());
    let text = format!(
        "notify_timeout = \"300ms\"\n[[vrrp_instance]]\nname = \"it\"\ninterface = \"eth0\"\n\
         virtual_router_id = 51\npriority = 255\naddresses = [\"10.99.0.200/24\"]\n\
         notify_master = [\"/bin/sh\", \"-c\", \"{slow}\"]\n\
         notify_stop = [\"/bin/sh\", \"-c\", \"{stop}\"]\n"
    );
    let a = run_ours(&lab, Host::A, &text);
    let read = || std::fs::read_to_string(&told).unwrap_or_default();
    lab.until(Duration::from_secs(20), "it is ended", || read() == "ended\n");
    a.tell_to_stop();
    a.wait();
    assert_eq!(read(), "ended\nstop\n");
}

/// It is not ended half-way, as by keepalived; and nothing is lost without a word.
#[test]
#[ignore = "needs root"]
fn a_command_that_outlives_the_daemon_is_named_and_left_running() {
    if !is_possible() {
        return;
    }
    let lab = Lab::new();
    let file = |name: &str| lab.files.join(name);
    let command = format!(
        "echo $3 >> {}; echo $$ > {}; trap '' TERM; while :; do sleep 1; done",
        file("told").display(),
        file("pid").display()
    );
    let text = format!(
        "notify_timeout = \"0s\"\nsmtp = {{ server = \"127.0.0.1:1\", from = \"a@b.example\", \
         to = [\"c@d.example\"] }}\n[[vrrp_instance]]\nname = \"it\"\ninterface = \"eth0\"\n\
         virtual_router_id = 51\nadvert_interval = \"100ms\"\naddresses = [\"10.99.0.200/24\"]\n\
         smtp_alert = true\nnotify = [\"/bin/sh\", \"-c\", \"{command}\", \"told\"]\n"
    );
    let a = run_ours(&lab, Host::A, &text);
    lab.until(Duration::from_secs(5), "a master", || lab.holds(Host::A, "10.99.0.200"));
    let read = |name: &str| std::fs::read_to_string(file(name)).unwrap_or_default();
    lab.until(Duration::from_secs(5), "it runs", || read("pid").ends_with('\n'));
    a.tell_to_stop();
    a.wait();
    let script = Pid::from_raw(read("pid").trim().parse().unwrap()).unwrap();
    let runs = test_kill_process(script).is_ok();
    kill_process_group(script, Signal::KILL).unwrap();
    assert!(runs, "it was ended");
    assert_eq!(read("told"), "BACKUP\n");
    let log = read("a.log");
    let told = [
        "running=\"/bin/sh (INSTANCE it BACKUP)\"",
        "untold=\"/bin/sh (INSTANCE it MASTER), /bin/sh (INSTANCE it STOP)\"",
        "these changes are in none changes=3",
    ];
    assert!(told.iter().all(|line| log.contains(line)), "{log}");
}
