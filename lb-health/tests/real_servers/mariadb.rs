//! MariaDB: who is let in, who may write, and what the server holds against its clients.

use std::net::IpAddr;

use lb_health::checkers::{Mysql, Tcp};

use crate::harness::{Server, are_installed, check, failure, pause, until};
use crate::support::port::free_port;

const SERVER: &str = "/usr/sbin/mariadbd";
const INSTALL: &str = "/usr/bin/mariadb-install-db";
const CLIENT: &str = "/usr/bin/mariadb";
const GALERA: &str = "/usr/lib/galera/libgalera_smm.so";

const IN_A_CLUSTER: &str = "--wsrep-on=ON";

struct MariaDb(Server);

impl MariaDb {
    fn start() -> Self {
        Self::start_and(&[])
    }

    /// With arguments more.
    fn start_and(more: &[&str]) -> Self {
        let mut server = Server::prepare("mariadb", "mysql");
        let (data, socket) = (server.file("data"), server.file("socket"));
        let data = format!("--datadir={data}");
        let rights = "--auth-root-authentication-method=normal";
        server.run(INSTALL, &["--no-defaults", &data, rights, "--skip-test-db"]);
        let port = format!("--port={}", server.port());
        let socket = format!("--socket={socket}");
        let users = server.write(
            "users.sql",
            "CREATE USER 'check'@'%' IDENTIFIED BY 'secret';\
             CREATE USER 'bare'@'%';\
             CREATE DATABASE shop; CREATE TABLE shop.goods (name TEXT);\
             GRANT SELECT ON shop.* TO 'check'@'%';",
        );
        let limits = ["--max-connect-errors=3", "--innodb-buffer-pool-size=8M"];
        let arguments = [
            &["--no-defaults", &data, &port, &socket, "--bind-address=127.0.0.1,127.0.0.2"][..],
            &limits,
            more,
        ];
        server.start(SERVER, &arguments.concat());
        let started = Self(server);
        if more.contains(&IN_A_CLUSTER) {
            // Before that it takes no statement, whoever it is from.
            until("the node is ready", || started.is_ready("ON"));
        }
        started.execute(&format!("SOURCE {users}"));
        started
    }

    /// What a node of a cluster says of that.
    fn is_ready(&self, state: &str) -> bool {
        self.execute("SHOW GLOBAL STATUS LIKE 'wsrep_ready'").contains(state)
    }

    fn execute(&self, statement: &str) -> String {
        let socket = format!("--socket={}", self.0.file("socket"));
        let arguments = ["--no-defaults", &socket, "-uroot", "-N", "-B", "-e", statement];
        self.0.run(CLIENT, &arguments)
    }

    /// What the server counts: connections that did not come about, and that were not closed.
    fn aborted(&self) -> [u64; 2] {
        let counts = self.execute(
            "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME IN \
             ('ABORTED_CONNECTS', 'ABORTED_CLIENTS') ORDER BY VARIABLE_NAME DESC",
        );
        let mut counts = counts.lines().map(|count| count.parse().unwrap());
        [counts.next().unwrap(), counts.next().unwrap()]
    }
}

fn user() -> Mysql {
    Mysql::new().with_user("check", "secret")
}

#[tokio::test]
#[ignore = "needs mariadb-server"]
async fn mariadb_lets_in_who_knows_the_password_and_tells_a_replica() {
    if !are_installed(&[SERVER, INSTALL, CLIENT]) {
        return;
    }
    let MariaDb(server) = &MariaDb::start();
    let report = check(user(), server).await.unwrap();
    let version = report.trace.evidence().received.as_str();
    assert!(version.contains("MariaDB") && version.starts_with("1"), "{version}");
    check(Mysql::new().with_user("bare", ""), server).await.unwrap();

    let (cause, text) = failure(Mysql::new().with_user("check", "wrong"), server).await;
    assert_eq!(cause, "rejected");
    assert!(text.starts_with(r#"error 1045: "Access denied for user 'check'"#), "{text}");
    assert_eq!(failure(Mysql::new().with_user("nobody", "x"), server).await.0, "rejected");
}

#[tokio::test]
#[ignore = "needs mariadb-server"]
async fn mariadb_answers_queries_and_tells_whether_it_is_writable() {
    if !are_installed(&[SERVER, INSTALL, CLIENT]) {
        return;
    }
    let mariadb = MariaDb::start();
    let server = &mariadb.0;
    for query in ["SELECT 1", "SELECT name FROM shop.goods", "SET @a = 1", "DO 1"] {
        check(user().with_query(query), server).await.unwrap();
    }
    check(user().with_database("shop").with_query("SELECT * FROM goods"), server).await.unwrap();
    let long = "SELECT REPEAT('x', 100000)";
    assert_eq!(failure(user().with_query(long), server).await.0, "protocol");
    let many = "SELECT * FROM shop.seq_1_to_2000";
    assert_eq!(failure(user().with_query(many), server).await.0, "protocol");
    let (cause, text) = failure(user().with_query("SELECT * FROM shop.bads"), server).await;
    assert_eq!((cause, text.contains("error 1146")), ("rejected", true), "{text}");
    let (cause, text) = failure(user().with_database("mysql"), server).await;
    assert_eq!((cause, text.contains("error 1044")), ("rejected", true), "{text}");

    check(user().with_writable(), server).await.unwrap();
    mariadb.execute("SET GLOBAL read_only = 1");
    let (cause, text) = failure(user().with_writable(), server).await;
    assert_eq!((cause, &*text), ("rejected", r#"the server is not writable: "read_only is ON""#));
    check(user(), server).await.unwrap();
    mariadb.execute("SET GLOBAL read_only = 0");
    check(user().with_writable(), server).await.unwrap();
}

/// A node that has lost its cluster reads and says `read_only = OFF`, but takes nothing.
#[tokio::test]
#[ignore = "needs mariadb-server and galera"]
async fn mariadb_in_a_cluster_is_writable_as_long_as_it_is_ready() {
    if !are_installed(&[SERVER, INSTALL, CLIENT, GALERA]) {
        return;
    }
    let provider = format!("--wsrep-provider={GALERA}");
    let options = format!("--wsrep-provider-options=base_port={}", free_port());
    let mariadb = MariaDb::start_and(&[
        IN_A_CLUSTER,
        "--wsrep-cluster-address=gcomm://",
        "--binlog-format=ROW",
        &provider,
        &options,
    ]);
    check(user().with_writable(), &mariadb.0).await.unwrap();

    // It leaves, for a cluster where nobody is; whoever says so waits for that.
    let nobody = format!("SET GLOBAL wsrep_cluster_address = 'gcomm://127.0.0.1:{}'", free_port());
    let socket = format!("--socket={}", mariadb.0.file("socket"));
    let mut leaving = mariadb.0.command(CLIENT);
    let leaving = leaving.args(["--no-defaults", &socket, "-uroot", "-e", &nobody]).spawn();
    let mut leaving = leaving.unwrap();
    until("the node is not ready", || mariadb.is_ready("OFF"));
    let (mut cause, mut text) = failure(user().with_writable(), &mariadb.0).await;
    // It closes connections while it is leaving.
    for _ in 0..100 {
        if cause != "closed" {
            break;
        }
        pause();
        (cause, text) = failure(user().with_writable(), &mariadb.0).await;
    }
    let wanted = r#"the node is not ready in its cluster: "wsrep_ready is OFF""#;
    assert_eq!((cause, &*text), ("rejected", wanted));
    leaving.kill().unwrap();
    leaving.wait().unwrap();
}

#[tokio::test]
#[ignore = "needs mariadb-server"]
async fn mariadb_holds_nothing_against_who_checks_it() {
    if !are_installed(&[SERVER, INSTALL, CLIENT]) {
        return;
    }
    let mut mariadb = MariaDb::start();
    // The server trusts this host's first address, whatever it does.
    mariadb.0.address.set_ip([127, 0, 0, 2].into());
    let connector = Tcp::new().with_origin(IpAddr::from([127, 0, 0, 2]));
    let from = |checker: Mysql| checker.with_connector(connector.clone());
    let before = mariadb.aborted();
    for _ in 0..100 {
        check(from(user().with_writable()), &mariadb.0).await.unwrap();
        // A failure is told in order, too.
        let wrong = from(user().with_query("SELECT nonsense"));
        assert_eq!(failure(wrong, &mariadb.0).await.0, "rejected");
    }
    assert_eq!(mariadb.aborted(), before);

    // As the documentation warns: nobody logs in, three times.
    for _ in 0..3 {
        check(from(Mysql::new()), &mariadb.0).await.unwrap();
    }
    until("the server has counted them", || mariadb.aborted()[0] == before[0] + 3);
    let (cause, text) = failure(from(user()), &mariadb.0).await;
    assert_eq!((cause, text.contains("error 1129")), ("rejected", true), "{text}");
}
