//! The MySQL checker against servers by the book, and others.
#![cfg(feature = "mysql")]
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::support;

use lb_health::checkers::Mysql;

use self::support::talk::{Lines, MISBEHAVIOUR, at, lines, misbehaving};

const OK: &[u8] = b"\0\0\0\x02\0\0\0";
const EOF: &[u8] = b"\xfe\0\0\x02\0";
/// What is received of a server that passes.
const VERSION: &str = "8.0.36";
const NATIVE: &str = "mysql_native_password";
const CACHING: &str = "caching_sha2_password";

fn packet(sequence: u8, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_le_bytes();
    [&length[..3], &[sequence], payload].concat()
}

fn greeting(plugin: &str) -> Vec<u8> {
    let before =
        b"\x0a8.0.36\0\x07\0\0\0RB3vz&Gr\0\xff\xff\xff\x02\0\xff\xff\x15\0\0\0\0\0\0\0\0\0\0";
    packet(0, &[&before[..], b"+yD&/ZZ305ZG\0", plugin.as_bytes(), b"\0"].concat())
}

/// What a server says at the login, and after each of the commands that follow.
fn talk(plugin: &str, login: &[&[u8]], rest: &[(&str, Vec<u8>)]) -> Lines {
    let login = login.iter().zip(2..).map(|(payload, sequence)| packet(sequence, payload));
    let login: Vec<u8> = login.flatten().collect();
    let first = [(String::new(), greeting(plugin)), (plugin.to_owned(), login)];
    let rest = rest.iter().map(|(ask, say)| ((*ask).to_owned(), say.clone()));
    lines(&first.into_iter().chain(rest).collect::<Vec<_>>())
}

fn user() -> Mysql {
    Mysql::new().with_user("check", "secret")
}

/// The answer to `SHOW VARIABLES`.
fn variables(rows: &[(&str, &str)]) -> Vec<u8> {
    let value = |text: &str| [&[text.len() as u8], text.as_bytes()].concat();
    let columns = [&b"\x02"[..], b"\x03def", b"\x03def", EOF].map(<[u8]>::to_vec);
    let rows = rows.iter().map(|(name, state)| [value(name), value(state)].concat());
    let all = columns.into_iter().chain(rows).chain([EOF.to_vec()]);
    all.zip(1..).flat_map(|(payload, sequence)| packet(sequence, &payload)).collect()
}

#[tokio::test]
async fn the_password_is_proved_in_every_way() {
    let ping = [("\x0e", packet(1, OK))];
    assert_eq!(at(user(), &talk(NATIVE, &[OK], &ping)).await, VERSION);
    // It was seen before, so the proof suffices.
    assert_eq!(at(user(), &talk(CACHING, &[b"\x01\x03", OK], &ping)).await, VERSION);
    // It was not, and without TLS everybody would see it.
    let full = at(user(), &talk(CACHING, &[b"\x01\x04"], &[])).await;
    assert_eq!(full, "rejected: the server wants the password in clear, which takes TLS");
    // The user's plugin is not the server's.
    let switch = [&[0xfe], CACHING.as_bytes(), b"\x0001234567890123456789\0"].concat();
    let then = [("", packet(4, b"\x01\x03")), ("", packet(5, OK)), ("\x0e", packet(1, OK))];
    assert_eq!(at(user(), &talk(NATIVE, &[&switch], &then)).await, VERSION);
    let strange = [&[0xfe], &b"client_ed25519"[..], b"\0salt\0"].concat();
    let told = at(user(), &talk(NATIVE, &[&strange], &[])).await;
    assert_eq!(told, r#"rejected: the user is to authenticate by "client_ed25519""#);
    let more = talk(NATIVE, &[b"\x01\x04"], &[]);
    let told = at(user(), &more).await;
    let wanted = "protocol: not a valid answer: a step of authentication where it has no place";
    assert_eq!(told, wanted);
    let endless = talk(CACHING, &[&b"\x01\x03"[..]; 5], &[]);
    assert!(at(user(), &endless).await.contains("the authentication has no end"));
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn the_password_itself_is_sent_over_tls_only() {
    use self::support::talk::securing;
    use self::support::{cause, check};

    let clear = lines(&[(vec![], greeting(CACHING)), (b"\x20\0\0\x01".to_vec(), vec![])]);
    // The request is 32 bytes of payload, of which 28 are still to come.
    let clear = [clear, lines(&[(vec![0; 23], vec![])])].concat();
    let secured = lines(&[
        (CACHING.as_bytes(), packet(3, b"\x01\x04")),
        (b"\x04secret\0", packet(5, OK)),
        (b"\x0e", packet(1, OK)),
    ]);
    let (address, tls) = securing(clear, secured).await;
    check(user().with_tls(tls.clone()), address).await.unwrap();
    let elsewhere = tls.with_name("example.org").unwrap();
    assert_eq!(cause(user().with_tls(elsewhere), address).await, "tls-name");

    let mut without = greeting(NATIVE);
    without[4 + 8 + 4 + 8 + 1 + 1] &= !0x08;
    let (_, tls) = securing(vec![], vec![]).await;
    let told = at(user().with_tls(tls), &[(vec![], without)]).await;
    assert_eq!(told, "rejected: the server offers no TLS");
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn who_logs_in_as_nobody_sees_the_certificate_all_the_same() {
    use self::support::talk::securing;
    use self::support::{cause, check};

    let request = [(b"\x20\0\0\x01".to_vec(), vec![]), (vec![0; 23], vec![])];
    let clear = [lines(&[(vec![], greeting(CACHING))]), lines(&request)].concat();
    let (address, tls) = securing(clear, vec![]).await;
    let report = check(Mysql::new().with_tls(tls.clone()), address).await.unwrap();
    assert!(report.trace.evidence().certificate.is_some());
    let elsewhere = tls.clone().with_name("example.org").unwrap();
    assert_eq!(cause(Mysql::new().with_tls(elsewhere), address).await, "tls-name");

    let mut without = greeting(NATIVE);
    without[4 + 8 + 4 + 8 + 1 + 1] &= !0x08;
    let told = at(Mysql::new().with_tls(tls), &[(vec![], without)]).await;
    assert_eq!(told, "rejected: the server offers no TLS");
}

#[tokio::test]
async fn a_replica_is_told_from_a_primary() {
    for (rows, wanted) in [
        (
            &[("innodb_read_only", "OFF"), ("read_only", "OFF"), ("super_read_only", "OFF")][..],
            VERSION,
        ),
        (
            &[("read_only", "OFF"), ("innodb_read_only", "ON")],
            r#"rejected: the server is not writable: "innodb_read_only is ON""#,
        ),
        (
            &[("read_only", "NO_LOCK")],
            r#"rejected: the server is not writable: "read_only is NO_LOCK""#,
        ),
        (&[], "protocol: not a valid answer: the server does not tell whether it is read-only"),
    ] {
        let talk = talk(NATIVE, &[OK], &[("read_only", variables(rows))]);
        assert_eq!(at(user().with_writable(), &talk).await, wanted);
    }
}

#[tokio::test]
async fn a_node_of_a_cluster_must_be_ready() {
    const PROVIDER: (&str, &str) = ("wsrep_provider", "/usr/lib/galera/libgalera_smm.so");
    let writable = ("read_only", "OFF");
    let mariadb = [writable, ("wsrep_on", "ON"), PROVIDER];
    // Percona XtraDB Cluster 8.0, where each session has a `wsrep_on` of its own.
    let percona = [writable, PROVIDER];
    for node in [&mariadb[..], &percona] {
        for (ready, wanted) in [
            (&[("wsrep_ready", "ON")][..], VERSION),
            (
                &[("wsrep_ready", "OFF")],
                r#"rejected: the node is not ready in its cluster: "wsrep_ready is OFF""#,
            ),
            // A server that knows of no such thing.
            (&[], VERSION),
        ] {
            let asked = [("'wsrep_provider'", variables(node)), ("wsrep_ready", variables(ready))];
            assert_eq!(at(user().with_writable(), &talk(NATIVE, &[OK], &asked)).await, wanted);
        }
    }
    // Without a cluster MariaDB has all of it, and is ready for none. It is not asked.
    for alone in [
        &[writable, ("wsrep_on", "OFF"), ("wsrep_provider", "none")][..],
        &[writable, ("wsrep_on", "OFF"), PROVIDER],
        &[writable, ("wsrep_on", "ON"), ("wsrep_provider", "none")],
        &[writable, ("wsrep_provider", "")],
        &[writable, ("wsrep_on", "ON")],
    ] {
        let asked = [("wsrep_on", variables(alone))];
        assert_eq!(at(user().with_writable(), &talk(NATIVE, &[OK], &asked)).await, VERSION);
    }
    // That it is read-only comes first.
    let replica = [("wsrep_on", variables(&[("wsrep_on", "ON"), ("read_only", "ON")]))];
    let told = at(user().with_writable(), &talk(NATIVE, &[OK], &replica)).await;
    assert_eq!(told, r#"rejected: the server is not writable: "read_only is ON""#);
}

#[tokio::test]
async fn refusals_are_told_in_the_servers_words() {
    let full = packet(0, b"\xff\x10\x04Too many connections");
    let told = at(user(), &[("", full)]).await;
    assert_eq!(told, r#"rejected: error 1040: "Too many connections""#);
    let denied = talk(NATIVE, &[b"\xff\x15\x04#28000Access denied"], &[]);
    assert_eq!(at(user(), &denied).await, r#"rejected: error 1045: "Access denied""#);
    let failing = [("SELECT 1", packet(1, b"\xff\x7a\x04#42S02No such table"))];
    let told = at(user().with_query("SELECT 1"), &talk(NATIVE, &[OK], &failing)).await;
    assert_eq!(told, r#"rejected: error 1146: "No such table""#);
}

#[tokio::test]
async fn what_is_cut_off_out_of_order_or_too_long_is_no_answer() {
    assert_eq!(at(Mysql::new(), &[("", greeting(NATIVE))]).await, VERSION);
    let cut = lines(&[("", &greeting(NATIVE)[..20])]);
    assert!(at(Mysql::new(), &cut).await.starts_with("truncated: "));
    let hung_up = talk(NATIVE, &[OK], &[]);
    assert!(at(user(), &hung_up).await.starts_with("closed: "));
    let disordered = talk(NATIVE, &[OK], &[("\x0e", packet(7, OK))]);
    let told = at(user(), &disordered).await;
    assert_eq!(told, "protocol: not a valid answer: packet number 7 where 1 was due");
    let old = lines(&[("", packet(0, b"\x09ancient\0"))]);
    let told = at(Mysql::new(), &old).await;
    assert_eq!(told, "protocol: not a valid answer: version 9 of the protocol");
    let huge = lines(&[("", b"\xff\xff\xff\0")]);
    assert!(at(Mysql::new(), &huge).await.contains("16777215 bytes"));
}

#[tokio::test]
async fn misbehaviour_has_a_cause_each() {
    assert_eq!(misbehaving(user(), greeting(NATIVE)).await, MISBEHAVIOUR);
}
