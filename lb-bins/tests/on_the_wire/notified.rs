//! Commands that are told of changes, and take their time.

use std::time::Duration;

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
