//! An active/passive pool of MariaDB servers behind the daemon: clients are sent to the one that takes
//! changes, whichever that is.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::harness::*;

const SERVER: &str = "/usr/sbin/mariadbd";
const INSTALL: &str = "/usr/bin/mariadb-install-db";
const CLIENT: &str = "/usr/bin/mariadb";

struct MariaDb {
    port: Port,
    folder: Folder,
    user: Option<(u32, u32)>,
    child: Option<Child>,
}

impl MariaDb {
    /// A server that takes no changes, with a user for checks and one for clients, neither of whom may
    /// write to a server that is read-only.
    fn start() -> Self {
        let (folder, port) = (Folder::new(), Port::free());
        // It does not run as root.
        let user =
            (fs::metadata("/proc/self").unwrap().uid() == 0).then(|| lookup("mysql")).flatten();
        if let Some((uid, gid)) = user {
            chown(folder.path(), Some(uid), Some(gid)).unwrap();
        }
        let mut server = Self { port, folder, user, child: None };
        let data = format!("--datadir={}", server.folder.file("data").display());
        let rights = "--auth-root-authentication-method=normal";
        server.run(INSTALL, &["--no-defaults", &data, rights, "--skip-test-db"]);
        server.boot();
        server.say(
            "CREATE USER 'check'@'%' IDENTIFIED BY 'secret'; CREATE USER 'app'@'%' IDENTIFIED BY 'sesame'; \
             CREATE DATABASE shop; CREATE TABLE shop.goods (name TEXT); \
             GRANT SELECT, INSERT ON shop.* TO 'app'@'%'; SET GLOBAL read_only = 1",
        );
        server
    }

    fn boot(&mut self) {
        let file = |name: &str| self.folder.file(name).display().to_string();
        let mut command = self.command(SERVER);
        command.args([
            "--no-defaults",
            &format!("--datadir={}", file("data")),
            &format!("--socket={}", file("socket")),
            &format!("--port={}", self.port.address().port()),
            "--bind-address=127.0.0.1",
            "--innodb-buffer-pool-size=8M",
            "--read-only=1",
        ]);
        let log = fs::File::create(self.folder.file("log")).unwrap();
        command.stdout(log.try_clone().unwrap()).stderr(log);
        self.child = Some(command.spawn().unwrap());
        until("MariaDB answers", || self.try_say("SELECT 1").is_some());
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        // Two that install a database at once would meet in the common folder for what is temporary.
        let folder = self.folder.path();
        command.current_dir(folder).env("TMPDIR", folder).stdin(Stdio::null());
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let output = self.command(program).args(arguments).output().unwrap();
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Says it as root, over the socket.
    fn say(&self, statement: &str) -> String {
        self.try_say(statement)
            .unwrap_or_else(|| panic!("{statement}: {}", self.folder.read("log")))
    }

    fn try_say(&self, statement: &str) -> Option<String> {
        let socket = format!("--socket={}", self.folder.file("socket").display());
        let arguments = ["--no-defaults", &socket, "-uroot", "-N", "-B", "-e", statement];
        let output = self.command(CLIENT).args(arguments).output().unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    }

    fn die(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn name(&self) -> String {
        self.port.to_string()
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        self.die();
    }
}

/// The numbers of a user and its group.
fn lookup(user: &str) -> Option<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let line = users.lines().find(|line| line.split(':').next() == Some(user))?;
    let mut fields = line.split(':').skip(2).map(|field| field.parse().unwrap());
    fields.next().zip(fields.next())
}

/// A client of the pool that writes, and asks who took it: the port, if anybody did.
fn write(pool: &Port) -> Option<String> {
    let output = Command::new(CLIENT)
        .args(["--no-defaults", "--host=127.0.0.1", "-uapp", "-psesame", "-N", "-B", "--skip-ssl"])
        .args([&format!("--port={}", pool.address().port()), "-e"])
        .arg("INSERT INTO shop.goods VALUES ('shoe'); SELECT @@port")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    output.status.success().then(|| format!("127.0.0.1:{}", said.trim()))
}

#[test]
#[ignore = "needs mariadb-server"]
fn clients_follow_the_primary() {
    if ![SERVER, INSTALL, CLIENT].iter().all(|program| Path::new(program).exists()) {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "MariaDB is missing");
        return eprintln!("skipped: MariaDB is missing");
    }
    let (mut one, two, pool, folder) =
        (MariaDb::start(), MariaDb::start(), Port::free(), Folder::new());
    let password = folder.write("password", "secret\n");
    one.say("SET GLOBAL read_only = 0");
    let check = format!(
        r#"check = {{ type = "mysql", user = "check", password_file = "{}", writable = true, interval = "200ms", fast_interval = "100ms", timeout = "10s", rise = 1, fall = 2 }}"#,
        password.display()
    );
    let list = format!(
        "backend = [{{ address = \"{}\" }}, {{ address = \"{}\" }}]",
        one.name(),
        two.name()
    );
    let balancer =
        Balancer::start(&server("pool", &pool, &[r#"scheduler = "first""#, &check, &list]));
    let until_state = |server: &MariaDb, state: &str| {
        let address = server.port.address();
        until(&format!("{address} is {state}"), || {
            balancer.backend("pool", address)["state"] == state
        });
    };
    until_state(&one, "up");
    until_state(&two, "down");
    assert_eq!(write(&pool), Some(one.name()));

    // The primary steps down, and for a while there is none: nobody writes to a replica.
    one.say("SET GLOBAL read_only = 1");
    until_state(&one, "down");
    assert_eq!(write(&pool), None);
    two.say("SET GLOBAL read_only = 0");
    until_state(&two, "up");
    assert_eq!(write(&pool), Some(two.name()));
    let why = get(balancer.admin(), &format!("/explain/pool/{}", one.name())).unwrap().body;
    assert!(why.contains("mysql check of") && why.contains("is down"), "{why}");

    // The old one dies and comes back as a replica: no client goes there.
    one.die();
    until("its death is noticed", || {
        balancer.backend("pool", one.port.address())["last_check"]["cause"] == "refused"
    });
    one.boot();
    until("it is looked at", || {
        balancer.backend("pool", one.port.address())["last_check"]["cause"] != "refused"
    });
    assert_eq!(write(&pool), Some(two.name()));
    // And with the roles changed once more it is the primary again.
    two.say("SET GLOBAL read_only = 1");
    one.say("SET GLOBAL read_only = 0");
    until_state(&one, "up");
    until_state(&two, "down");
    assert_eq!(write(&pool), Some(one.name()));
    assert_eq!(two.say("SELECT count(*) FROM shop.goods").trim(), "2");
}
