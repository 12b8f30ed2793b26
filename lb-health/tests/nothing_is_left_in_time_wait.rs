//! E18: whoever hangs up first holds the connection in `TIME_WAIT` for a minute. That is never the
//! checker, and it leaves the target none either.
#![cfg(all(
    target_os = "linux",
    feature = "ldap",
    feature = "mysql",
    feature = "postgres",
    feature = "send-expect",
    feature = "smtp",
    feature = "tls"
))]
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use lb_health::checkers::{Ldap, Mysql, Pattern, Postgres, SendExpect, Smtp, Tcp};
use lb_health::{Checker, Target};
use tower::ServiceExt;

use self::support::talk::{Lines, Then, lines, playing, securing};
use self::support::{cause, eventually};

const RUNS: usize = 20;

/// How many connections of this host to or from the port of `address` are in `TIME_WAIT`, once none is
/// under way any more.
async fn waiting(address: SocketAddr) -> usize {
    const LISTEN: &str = "0A";
    const TIME_WAIT: &str = "06";
    let port = format!(":{:04X}", address.port());
    let states = || {
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let fields = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let ours = fields.filter(|fields| fields[1].ends_with(&port) || fields[2].ends_with(&port));
        ours.map(|fields| fields[3].to_owned()).collect::<Vec<_>>()
    };
    let is_over = |state: &String| state == LISTEN || state == TIME_WAIT;
    eventually("every connection is over", || states().iter().all(is_over)).await;
    assert!(states().iter().any(|state| state == LISTEN), "the server still listens");
    states().iter().filter(|state| *state == TIME_WAIT).count()
}

/// Runs the check against a server that hangs up at the end, and one that does not.
async fn left<C: Checker>(checker: C, talk: Lines) -> usize {
    let mut left = 0;
    for then in [Then::Close, Then::Hold] {
        let address = playing(talk.clone(), then).await;
        for _ in 0..RUNS {
            assert_eq!(cause(checker.clone(), address).await, "ok");
        }
        left += waiting(address).await;
    }
    left
}

#[tokio::test]
async fn tcp_leaves_none() {
    assert_eq!(left(Tcp::new(), lines::<&str, &str>(&[])).await, 0);
}

#[tokio::test]
async fn a_last_send_leaves_none() {
    let checker =
        SendExpect::new().with_expect(Pattern::text("hello").unwrap()).with_send("quit\r\n");
    assert_eq!(left(checker, lines(&[("", "hello\r\n"), ("quit", "bye\r\n")])).await, 0);
}

#[tokio::test]
async fn smtp_leaves_none() {
    let talk = [("", "220 hi\r\n"), ("EHLO", "250 hi\r\n"), ("QUIT", "221 bye\r\n")];
    assert_eq!(left(Smtp::new(), lines(&talk)).await, 0);
}

#[tokio::test]
async fn ldap_leaves_none() {
    // BindResponse with success; the unbind has operation 0x42.
    let bound = b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00";
    let talk: [(&[u8], &[u8]); 2] = [(b"\x60", bound), (b"\x42", b"")];
    assert_eq!(left(Ldap::new(), lines(&talk)).await, 0);
}

#[tokio::test]
async fn postgres_leaves_none() {
    let welcome = b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I";
    let talk: [(&[u8], &[u8]); 2] = [(b"check", welcome), (b"X", b"")];
    assert_eq!(left(Postgres::new("check"), lines(&talk)).await, 0);
}

#[tokio::test]
async fn mysql_leaves_none() {
    let packet =
        |sequence: u8, payload: &[u8]| [&[payload.len() as u8, 0, 0, sequence], payload].concat();
    let greeting = [
        b"\x0a10.11.6-MariaDB\0\x01\0\0\0salt-of-\0".as_slice(),
        // Capabilities, character set, status, capabilities, the length of the salt.
        b"\x00\x82\x2d\x02\0\x08\0\x15",
        &[0; 10],
        b"twenty-bytes\0mysql_native_password\0",
    ]
    .concat();
    let ok = b"\0\0\0\x02\0\0\0";
    let talk = [
        (b"".to_vec(), packet(0, &greeting)),
        (b"check".to_vec(), packet(2, ok)),
        (b"\x0e".to_vec(), packet(1, ok)),
        (b"\x01\0\0\0\x01".to_vec(), Vec::new()),
    ];
    assert_eq!(left(Mysql::new().with_user("check", ""), lines(&talk)).await, 0);
}

#[tokio::test]
async fn what_is_secured_leaves_none() {
    let clear = lines(&[
        ("", "220 hi\r\n"),
        ("EHLO", "250-hi\r\n250 STARTTLS\r\n"),
        ("STARTTLS\r\n", "220 go\r\n"),
    ]);
    let secured = lines(&[("EHLO", "250 hi\r\n"), ("QUIT", "221 bye\r\n")]);
    let (address, tls) = securing(clear, secured).await;
    let checker = Smtp::new().with_starttls(tls);
    for _ in 0..RUNS {
        let target = Target::new(address, Duration::from_secs(10));
        checker.clone().oneshot(target).await.unwrap();
    }
    assert_eq!(waiting(address).await, 0);
}
