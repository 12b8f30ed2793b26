//! An address that follows the server which may be written to.

use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::daemon::run_ours;
use crate::lab::{Host, Lab, is_possible};

const SERVER: &str = "/usr/sbin/mariadbd";
const INSTALL: &str = "/usr/bin/mariadb-install-db";
const CLIENT: &str = "/usr/bin/mariadb";
const SECOND: Duration = Duration::from_secs(1);

/// A database of one host.
struct MariaDb {
    child: Child,
    socket: String,
}

impl MariaDb {
    fn start(lab: &Lab, host: Host) -> Self {
        let space = lab.space(host);
        let folder = lab.files.join(format!("mariadb-{}", host.number()));
        std::fs::create_dir(&folder).unwrap();
        let owner = Command::new("chown").arg("mysql").arg(&folder).status().unwrap();
        assert!(owner.success());
        let file = |name: &str| folder.join(name).display().to_string();
        let data = format!("--datadir={}", file("data"));
        let rights = "--auth-root-authentication-method=normal";
        // Two at once would meet in the common folder for what is temporary.
        let installed = Command::new(INSTALL)
            .env("TMPDIR", &folder)
            .args(["--no-defaults", "--user=mysql", &data, rights, "--skip-test-db"])
            .output()
            .unwrap();
        assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
        let socket = format!("--socket={}", file("socket"));
        let number = format!("--server-id={}", host.number());
        let log = std::fs::File::create(folder.join("log")).unwrap();
        let child = Command::new("ip")
            .args(["netns", "exec", &space, SERVER, "--no-defaults", "--user=mysql", &data])
            .args([&socket, &number, "--port=3306", "--bind-address=*", "--skip-name-resolve"])
            .args(["--innodb-buffer-pool-size=8M", "--read-only"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let database = Self { child, socket };
        lab.until(30 * SECOND, "the database listens", || {
            Lab::inside(&space, || TcpStream::connect("127.0.0.1:3306").is_ok())
        });
        database.execute("CREATE USER 'check'@'%' IDENTIFIED BY 'secret'");
        database
    }

    fn execute(&self, statement: &str) {
        let done = Command::new(CLIENT)
            .args(["--no-defaults", &self.socket, "-uroot", "-e", statement])
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    fn set_writable(&self, writable: bool) {
        self.execute(&format!("SET GLOBAL read_only = {}", u8::from(!writable)));
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let _ = self.child.wait();
    }
}

fn config(host: Host) -> String {
    format!(
        r#"
[[vrrp_check]]
name = "primary"
target = "127.0.0.1:3306"

[vrrp_check.check]
type = "mysql"
user = "check"
password = "secret"
writable = true
interval = "200ms"
fall = 2

[[vrrp_instance]]
name = "database"
interface = "eth0"
virtual_router_id = 51
priority = {}
advert_interval = "100ms"
addresses = ["10.99.0.200/24"]
track_checks = ["primary"]
"#,
        100 + host.number()
    )
}

/// Which server answers at the address, and whether it may be written to.
fn asked(lab: &Lab) -> String {
    let answer = Command::new("ip")
        .args(["netns", "exec", &lab.client(), CLIENT, "--no-defaults", "-h10.99.0.200"])
        .args(["--connect-timeout=1", "-ucheck", "-psecret", "-N", "-B"])
        .args(["-e", "SELECT @@server_id, @@read_only"])
        .output()
        .unwrap();
    String::from_utf8(answer.stdout).unwrap().trim().to_owned()
}

#[test]
#[ignore = "needs root and mariadb-server"]
fn an_address_follows_the_writable_primary() {
    if !is_possible() || ![SERVER, INSTALL, CLIENT].iter().all(|file| Path::new(file).exists()) {
        return;
    }
    let lab = Lab::new();
    let (one, two) = (MariaDb::start(&lab, Host::A), MariaDb::start(&lab, Host::B));
    one.set_writable(true);
    let a = run_ours(&lab, Host::A, &config(Host::A));
    let b = run_ours(&lab, Host::B, &config(Host::B));
    // Though B has the higher priority.
    lab.until(10 * SECOND, "the first is the primary", || asked(&lab) == "1\t0");
    assert!(!lab.holds(Host::B, "10.99.0.200"));

    one.set_writable(false);
    two.set_writable(true);
    lab.until(10 * SECOND, "the second is the primary", || asked(&lab) == "2\t0");
    assert!(!lab.holds(Host::A, "10.99.0.200"));

    // Nobody may be written to, so nobody has the address.
    two.set_writable(false);
    lab.until(10 * SECOND, "nobody is the primary", || {
        ![Host::A, Host::B].iter().any(|host| lab.holds(*host, "10.99.0.200"))
    });
    one.set_writable(true);
    lab.until(10 * SECOND, "the first is the primary again", || asked(&lab) == "1\t0");
    for daemon in [a, b] {
        daemon.tell_to_stop();
        daemon.wait();
    }
}
