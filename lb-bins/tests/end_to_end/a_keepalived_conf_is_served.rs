//! keepalived's own configuration: served as it is, read again, and printed as TOML that serves the
//! same.

use std::fs;
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::*;

/// The daemon with a keepalived.conf, which knows no admin address; killed when this is dropped.
struct Keepalived {
    child: Child,
    folder: Folder,
}

impl Keepalived {
    fn start(web: &Port, sorry: &Backend, backends: &[&Backend]) -> Self {
        let folder = folder(web, sorry, backends);
        let child = binary()
            .args(["-i", "main", "--config"])
            .arg(folder.file("keepalived.conf"))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, folder }
    }

    fn send(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Keepalived {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A configuration in two files.
fn folder(web: &Port, sorry: &Backend, backends: &[&Backend]) -> Folder {
    let folder = Folder::new();
    fs::create_dir(folder.file("servers")).unwrap();
    folder.write("servers/10-web.conf", &real_servers(backends));
    folder.write("keepalived.conf", &server(web, sorry));
    folder
}

/// A virtual server, of which the real servers are in another file.
fn server(web: &Port, sorry: &Backend) -> String {
    let (web, sorry) = (web.address(), sorry.address());
    format!(
        "$INTERVAL=0.05\n\
         virtual_server {} {} {{\n\
             @main  delay_loop $INTERVAL\n\
             @other delay_loop 1000\n\
             lb_algo rr\n\
             lb_kind DR   ! of which a proxy makes nothing but a connection\n\
             protocol TCP\n\
             warmup 0\n\
             alpha\n\
             sorry_server {} {}\n\
             include servers/*.conf\n\
         }}\n}}\n",
        web.ip(),
        web.port(),
        sorry.ip(),
        sorry.port(),
    )
}

/// NAT, as the servers are on one host.
fn real_servers(backends: &[&Backend]) -> String {
    let real = |backend: &&Backend| {
        let address = backend.address();
        format!(
            "real_server {} {} {{\nlvs_method NAT\nTCP_CHECK {{\nretry 0\nconnect_timeout 5\n}}\n}}\n",
            address.ip(),
            address.port()
        )
    };
    backends.iter().map(real).collect()
}

fn answers(web: &Port, who: &Backend) -> bool {
    ask(web.address()).is_ok_and(|name| name == who.name())
}

#[test]
fn it_is_served_and_read_again() {
    let web = Port::free();
    let (mut a, mut b) = (Backend::greeter(), Backend::greeter());
    let (sorry, later) = (Backend::greeter(), Backend::greeter());
    let daemon = Keepalived::start(&web, &sorry, &[&a, &b]);
    until("a serves", || answers(&web, &a));
    until("b serves", || answers(&web, &b));

    a.kill();
    until("a is gone", || (0..4).all(|_| answers(&web, &b)));
    b.kill();
    until("the sorry server serves", || (0..4).all(|_| answers(&web, &sorry)));
    a.revive();
    until("a is back", || (0..4).all(|_| answers(&web, &a)));

    daemon.folder.write("servers/10-web.conf", &real_servers(&[&later]));
    daemon.send(Signal::HUP);
    until("the new server serves", || (0..4).all(|_| answers(&web, &later)));
}

#[test]
fn what_check_prints_serves_the_same() {
    let web = Port::free();
    let (mut a, b, sorry) = (Backend::greeter(), Backend::greeter(), Backend::greeter());
    let folder = folder(&web, &sorry, &[&a, &b]);
    let path = folder.file("keepalived.conf");
    let output = arguments(&["--check", "--config-id", "main", "--config", path.to_str().unwrap()]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    for expected in ["this brace closes nothing", "not forwarded by the kernel yet (dr)"] {
        assert!(said.contains(expected), "{said}");
    }

    let balancer = Balancer::start(&String::from_utf8(output.stdout).unwrap());
    balancer.until_all_up();
    until("a serves", || answers(&web, &a));
    a.kill();
    until("a is gone", || (0..4).all(|_| answers(&web, &b)));
}

/// keepalived has no bound for `MISC_CHECK`s: dead servers are found, however many other scripts hang.
#[test]
fn scripts_that_hang_keep_no_other_from_a_turn() {
    const HANGING: u8 = 30;
    let web = Port::free();
    let real = |last: u8, command: &str| {
        format!(
            "real_server 127.0.0.{last} 9 {{\nMISC_CHECK {{\nmisc_path \"{command}\"\n\
             misc_timeout 600\n}}\n}}\n"
        )
    };
    let hanging = (1..=HANGING).map(|last| real(last, "/bin/sleep 100"));
    let dead = (HANGING + 1..=HANGING + 5).map(|last| real(last, "/bin/false"));
    let servers: String = hanging.chain(dead).collect();
    let text = format!(
        "virtual_server {} {} {{\ndelay_loop 1\nprotocol TCP\n{servers}}}\n",
        web.address().ip(),
        web.address().port()
    );
    let folder = Folder::new();
    let path = folder.write("keepalived.conf", &text);
    let output = arguments(&["--check", "--config", path.to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
    let mut balancer = Balancer::start(&String::from_utf8(output.stdout).unwrap());
    until("the dead are down", || {
        let status = balancer.status();
        let backends = status["virtual_servers"][0]["backends"].as_array().unwrap();
        backends.iter().filter(|backend| backend["state"] == "down").count() == 5
    });
    // So that it takes the scripts with it.
    balancer.signal(Signal::TERM);
    balancer.ended();
}

#[test]
fn a_bad_one_starts_nothing() {
    let folder = Folder::new();
    let path = folder.write("keepalived.conf", "virtual_server 127.0.0.1 80 {\n delay_lop 6\n}\n");
    let output = arguments(&["--config", path.to_str().unwrap()]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("keepalived.conf:2:2: error: "), "{said}");
    assert!(said.contains("did you mean `delay_loop`?"), "{said}");
}
