//! The Redis checker against servers by the book, and others.
#![cfg(feature = "redis")]
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::support;

use lb_health::checkers::{Redis, RedisRole};

use self::support::talk::{MISBEHAVIOUR, at, misbehaving};

const PONG: (&str, &str) = ("PING\r\n", "+PONG\r\n");

#[tokio::test]
async fn who_answers_passes() {
    assert_eq!(at(Redis::new(), &[PONG]).await, "+PONG");
    let old = [("*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n", "+OK\r\n"), PONG];
    assert_eq!(at(Redis::new().with_password("secret"), &old).await, "+PONG");
    let new = [("*3\r\n$4\r\nAUTH\r\n$5\r\ncheck\r\n$6\r\nsecret\r\n", "+OK\r\n"), PONG];
    assert_eq!(at(Redis::new().with_user("check", "secret"), &new).await, "+PONG");
    assert!(!format!("{:?}", Redis::new().with_user("check", "secret")).contains("secret\""));
}

#[tokio::test]
async fn the_role_must_be_the_right_one() {
    let master = [PONG, ("ROLE\r\n", "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n")];
    let replica = |state: &'static str| {
        let link = format!("${}\r\n{state}\r\n", state.len());
        format!("*5\r\n$5\r\nslave\r\n$9\r\n127.0.0.1\r\n:6379\r\n{link}:14\r\n")
    };
    let (linked, unlinked) = (replica("connected"), replica("connect"));
    let (linked, unlinked) = ([PONG, ("ROLE\r\n", &*linked)], [PONG, ("ROLE\r\n", &*unlinked)]);
    let (a_master, a_replica) =
        (Redis::new().with_role(RedisRole::Master), Redis::new().with_role(RedisRole::Replica));
    assert!(at(a_master.clone(), &master).await.starts_with("*3"));
    assert!(at(a_replica.clone(), &linked).await.starts_with("*5"));
    let told = r#"rejected: the server is no master, but "slave""#;
    assert_eq!(at(a_master.clone(), &linked).await, told);
    let told = r#"rejected: the server is no replica, but "master""#;
    assert_eq!(at(a_replica.clone(), &master).await, told);
    let told = r#"rejected: the link to the master: "connect""#;
    assert_eq!(at(a_replica, &unlinked).await, told);
    let nonsense = at(a_master, &[PONG, ("ROLE", ":1\r\n")]).await;
    assert_eq!(nonsense, "protocol: not a valid answer: ROLE was answered by the number 1");
}

#[tokio::test]
async fn refusals_are_told_in_the_servers_words() {
    let loading = [("PING", "-LOADING Redis is loading the dataset in memory\r\n")];
    let told = r#"rejected: PING was refused: "LOADING Redis is loading the dataset in memory""#;
    assert_eq!(at(Redis::new(), &loading).await, told);
    let denied = [("AUTH", "-WRONGPASS invalid username-password pair\r\n")];
    let told = at(Redis::new().with_password("x"), &denied).await;
    assert!(told.starts_with("rejected: AUTH was refused"), "{told}");
    let other = at(Redis::new(), &[("PING", "+PONK\r\n")]).await;
    assert_eq!(other, r#"protocol: not a valid answer: PING was answered by "PONK""#);
    let list = at(Redis::new(), &[("PING", "*2\r\n$-1\r\n:7\r\n")]).await;
    assert_eq!(list, "protocol: not a valid answer: PING was answered by a list of 2");
    assert!(at(Redis::new(), &[("PING", "+PO")]).await.starts_with("truncated: "));
    assert!(at(Redis::new(), &[("PING", "")]).await.starts_with("closed: "));
}

#[tokio::test]
async fn misbehaviour_has_a_cause_each() {
    assert_eq!(misbehaving(Redis::new(), "+PONG and so on\r\n").await, MISBEHAVIOUR);
}
