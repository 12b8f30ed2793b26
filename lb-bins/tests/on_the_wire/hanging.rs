//! File systems that do not answer, as those of a server that is gone.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, Mode, mkfifoat};

use crate::daemon::{Daemon, run_ours};
use crate::lab::{Host, Lab, MS, is_possible};
use crate::probe::Sniffer;

const SECOND: Duration = Duration::from_secs(1);
const VIP: &str = "10.99.0.200";

/// One of its own, in a file, that can be frozen: whoever changes something in it waits until it thaws.
struct Slow(PathBuf);

impl Slow {
    /// `None` if this host has no loop devices.
    fn new(lab: &Lab) -> Option<Self> {
        let (image, folder) = (lab.files.join("image"), lab.files.join("slow"));
        std::fs::create_dir_all(&folder).unwrap();
        File::create(&image).unwrap().set_len(16 << 20).unwrap();
        let is_made = run("mkfs.ext4", &["-q".as_ref(), &image])
            && run("mount", &["-o".as_ref(), "loop".as_ref(), &image, &folder]);
        is_made.then_some(Self(folder))
    }

    /// Until what is returned is dropped.
    fn freeze(&self) -> Frozen<'_> {
        assert!(run("fsfreeze", &["--freeze".as_ref(), &self.0]));
        Frozen(self)
    }
}

struct Frozen<'a>(&'a Slow);

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        run("fsfreeze", &["--unfreeze".as_ref(), &self.0.0]);
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        run("umount", &["--lazy".as_ref(), &self.0]);
    }
}

fn run(program: &str, arguments: &[&Path]) -> bool {
    Command::new(program).args(arguments).status().is_ok_and(|status| status.success())
}

fn instance(priority: u8, more: &str) -> String {
    format!(
        "[[vrrp_instance]]\nname = \"one\"\ninterface = \"eth0\"\nvirtual_router_id = 51\n\
         priority = {priority}\nadvert_interval = \"100ms\"\naddresses = [\"{VIP}/24\"]\n{more}\n"
    )
}

/// It has advertised all the time, though it was told to reload.
fn reload(daemon: &Daemon, sniffer: &Sniffer, text: &str) {
    let since = Instant::now();
    daemon.reload_text(text);
    thread::sleep(2 * SECOND);
    let said = sniffer.said(Host::A, since);
    let longest = said.windows(2).map(|pair| pair[1].at - pair[0].at).max();
    let count = said.len();
    assert!(count > 15 && longest.is_some_and(|gap| gap < 500 * MS), "{count}, {longest:?}");
}

/// The pipe and the admin socket are made and removed, and the file of a secret is read, aside.
#[test]
#[ignore = "needs root"]
fn a_file_system_that_hangs_stops_no_advertisement() {
    if !is_possible() {
        return;
    }
    let lab = Lab::new();
    let Some(slow) = Slow::new(&lab) else {
        eprintln!("skipped: there is no file system to freeze");
        return;
    };
    let sniffer = Sniffer::start(&lab.space(Host::B));
    let daemon = run_ours(&lab, Host::A, &instance(200, ""));
    lab.until(5 * SECOND, "a master", || lab.holds(Host::A, VIP));
    let [pipe, socket, secret] = ["pipe", "socket", "secret"].map(|name| slow.0.join(name));
    let are_there = |is: bool| pipe.exists() == is && socket.exists() == is;
    let last = || sniffer.said(Host::A, Instant::now() - SECOND).last().map(|one| one.priority);

    let frozen = slow.freeze();
    let places = format!("notify_fifo = {pipe:?}\nadmin = {socket:?}\n");
    reload(&daemon, &sniffer, &(places + &instance(190, "")));
    assert_eq!(last(), Some(200), "it waits for the file system");
    drop(frozen);
    lab.until(5 * SECOND, "it is taken over", || last() == Some(190) && are_there(true));

    let frozen = slow.freeze();
    reload(&daemon, &sniffer, &instance(180, ""));
    assert_eq!(last(), Some(180), "nothing has to wait");
    drop(frozen);
    lab.until(5 * SECOND, "they are removed", || are_there(false));

    // Whoever opens a pipe to read waits for somebody who writes.
    mkfifoat(CWD, &secret, Mode::RUSR | Mode::WUSR).unwrap();
    let keys = format!("keys = [{{ id = 1, secret_file = {secret:?} }}], mode = \"receive-only\"");
    let signed = format!("authentication = {{ type = \"hmac\", {keys} }}");
    reload(&daemon, &sniffer, &instance(170, &signed));
    assert_eq!(last(), Some(180), "it waits for the secret");
    std::fs::write(&secret, [b'x'; 40]).unwrap();
    lab.until(5 * SECOND, "it is taken over", || last() == Some(170));
}
