//! PostgreSQL: who is let in, primary and standby.

use std::path::{Path, PathBuf};

use lb_health::checkers::{Postgres, Tls};

use crate::harness::{Identity, Server, are_installed, check, failure, until};

/// Where the programs of the newest PostgreSQL are. Debian can have several.
fn programs() -> Option<PathBuf> {
    const VERSIONS: &str = "/usr/lib/postgresql";
    let versions = std::fs::read_dir(VERSIONS).into_iter().flatten();
    let number = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = versions.map(|version| version.unwrap().path()).max_by_key(number);
    let programs = newest.unwrap_or(VERSIONS.into()).join("bin");
    let needed = ["initdb", "pg_basebackup", "postgres", "psql"].map(|name| programs.join(name));
    are_installed(&needed.each_ref().map(|path| path.to_str().unwrap())).then_some(programs)
}

fn program(programs: &Path, name: &str) -> String {
    programs.join(name).to_str().unwrap().to_owned()
}

/// A server with a user for each way to authenticate.
fn start(programs: &Path, identity: &Identity) -> Server {
    let mut server = Server::prepare("postgres", "postgres");
    let data = server.file("data");
    let trust = ["-D", &data, "-U", "admin", "-A", "trust", "--no-sync"];
    server.run(&program(programs, "initdb"), &trust);
    server.write(
        "data/pg_hba.conf",
        "local all,replication admin trust\nhost replication admin 127.0.0.1/32 trust\n\
         host all trusted 127.0.0.1/32 trust\nhost all plain 127.0.0.1/32 password\n\
         host all hashed 127.0.0.1/32 md5\nhost all proven 127.0.0.1/32 scram-sha-256\n",
    );
    server.write("data/server.crt", &identity.certificate);
    server.write_secret("data/server.key", &identity.key);
    run(&mut server, programs, &["-c", "ssl=on"]);
    until("the server is ready", || server.log().contains("ready to accept connections"));
    for statement in [
        "CREATE USER trusted",
        "CREATE USER plain PASSWORD 'secret'",
        "CREATE USER proven PASSWORD 'secret'",
        "SET password_encryption = md5; CREATE USER hashed PASSWORD 'secret'",
    ] {
        execute(&server, programs, statement);
    }
    server
}

fn run(server: &mut Server, programs: &Path, options: &[&str]) {
    let (data, folder, port) = (server.file("data"), server.file(""), server.port().to_string());
    let own = ["-D", &data, "-k", &folder, "-p", &port, "-h", "127.0.0.1", "-F"];
    server.start(&program(programs, "postgres"), &[&own[..], options].concat());
}

fn execute(server: &Server, programs: &Path, statement: &str) {
    let (folder, port) = (server.file(""), server.port().to_string());
    let arguments = ["-h", &folder, "-p", &port, "-U", "admin", "-d", "postgres", "-c", statement];
    let psql = program(programs, "psql");
    until("the server is ready", || {
        server.command(&psql).args(arguments).output().unwrap().status.success()
    });
}

fn user(name: &str) -> Postgres {
    Postgres::new(name).with_password("secret").with_database("postgres")
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn postgres_lets_in_who_knows_the_password() {
    let Some(programs) = programs() else { return };
    let identity = Identity::new();
    let server = start(&programs, &identity);
    for name in ["trusted", "hashed", "proven"] {
        let report = check(user(name).with_query("SELECT 1"), &server).await.unwrap();
        let version = report.trace.evidence().received.as_str();
        assert!(version.starts_with("PostgreSQL 1"), "{version}");
    }
    for name in ["hashed", "proven"] {
        let (cause, text) = failure(user(name).with_password("wrong"), &server).await;
        assert_eq!((cause, text.contains("28P01")), ("rejected", true), "{text}");
    }
    let (cause, text) = failure(user("plain"), &server).await;
    assert_eq!((cause, text.contains("takes TLS")), ("rejected", true), "{text}");
    let (cause, text) = failure(user("proven").with_database("none"), &server).await;
    assert_eq!((cause, text.contains("3D000")), ("rejected", true), "{text}");
    let (cause, text) = failure(user("proven").with_query("SELECT * FROM none"), &server).await;
    assert_eq!((cause, text.contains("42P01")), ("rejected", true), "{text}");

    let tls =
        Tls::trusting(identity.certificate.as_bytes()).unwrap().with_name("localhost").unwrap();
    for name in ["plain", "proven"] {
        check(user(name).with_tls(tls.clone()), &server).await.unwrap();
    }
    let elsewhere = tls.with_name("example.org").unwrap();
    assert_eq!(failure(user("proven").with_tls(elsewhere), &server).await.0, "tls-name");
    assert!(!server.log().contains("connection to client lost"), "who was let in took its leave");
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn postgres_tells_a_primary_from_a_standby() {
    let Some(programs) = programs() else { return };
    let primary = start(&programs, &Identity::new());
    let writable = || user("proven").with_writable();
    check(writable(), &primary).await.unwrap();

    let mut standby = Server::prepare("standby", "postgres");
    let (data, port) = (standby.file("data"), primary.port().to_string());
    let from = ["-h", "127.0.0.1", "-p", &port, "-U", "admin", "-D", &data, "-R", "-c", "fast"];
    standby.run(&program(&programs, "pg_basebackup"), &from);
    run(&mut standby, &programs, &["-c", "ssl=on"]);
    until("the standby is ready", || standby.log().contains("ready to accept read-only"));
    check(user("proven"), &standby).await.unwrap();
    let (cause, text) = failure(writable(), &standby).await;
    assert_eq!((cause, &*text), ("rejected", "the server is not writable: it is in recovery"));

    execute(&primary, &programs, "ALTER USER proven SET default_transaction_read_only = on");
    let (cause, text) = failure(writable(), &primary).await;
    let why = "the server is not writable: transaction_read_only is on";
    assert_eq!((cause, &*text), ("rejected", why));
    check(user("proven"), &primary).await.unwrap();
}
