//! The LDAP checker against directories by the book, and others.
#![cfg(feature = "ldap")]
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::support;

use lb_health::checkers::Ldap;

use self::support::talk::{MISBEHAVIOUR, at, misbehaving};

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    [&[tag, content.len() as u8], content].concat()
}

fn message(id: u8, operation: u8, content: &[u8]) -> Vec<u8> {
    element(0x30, &[element(0x02, &[id]), element(operation, content)].concat())
}

/// How an operation ended.
fn outcome(id: u8, operation: u8, code: u8, text: &str) -> Vec<u8> {
    let parts = [element(0x0a, &[code]), element(0x04, b""), element(0x04, text.as_bytes())];
    message(id, operation, &parts.concat())
}

fn entry(name: &str) -> Vec<u8> {
    message(2, 0x64, &[element(0x04, name.as_bytes()), element(0x30, b"")].concat())
}

fn bound() -> Vec<u8> {
    outcome(1, 0x61, 0, "")
}

fn seeking() -> Ldap {
    Ldap::new().with_user("cn=check", "secret").with_entry("dc=org", "objectClass")
}

#[tokio::test]
async fn who_binds_and_has_the_entry_passes() {
    let nobody = [("\x60\x07\x02\x01\x03\x04\0", bound())];
    assert_eq!(at(Ldap::new(), &nobody).await, "bind: success");
    let found = [entry("dc=org"), outcome(2, 0x65, 0, "")].concat();
    assert_eq!(at(seeking(), &[("cn=check", bound()), ("1.1", found)]).await, "dc=org");
}

#[tokio::test]
async fn refusals_are_told_in_the_servers_words() {
    let denied = [("secret", outcome(1, 0x61, 49, "no such user"))];
    let told = r#"rejected: bind: invalidCredentials (49): "no such user""#;
    assert_eq!(at(seeking(), &denied).await, told);
    let busy = [("secret", bound()), ("1.1", outcome(2, 0x65, 51, ""))];
    assert_eq!(at(seeking(), &busy).await, "rejected: search: busy (51)");
    let empty = [("secret", bound()), ("1.1", outcome(2, 0x65, 0, ""))];
    let told = r#"rejected: there is no "dc=org" with "objectClass" to be seen"#;
    assert_eq!(at(seeking(), &empty).await, told);
    let leaving = [("secret", outcome(0, 0x78, 52, "shutting down"))];
    let told = r#"rejected: connection: unavailable (52): "shutting down""#;
    assert_eq!(at(seeking(), &leaving).await, told);
}

#[tokio::test]
async fn what_is_cut_off_out_of_place_or_too_much_is_no_answer() {
    let cut = [("secret", bound()[..5].to_vec())];
    assert!(at(seeking(), &cut).await.starts_with("truncated: "));
    let other = [("secret", outcome(7, 0x61, 0, ""))];
    let told = "protocol: not a valid answer: message 7 where 1 was due";
    assert_eq!(at(seeking(), &other).await, told);
    let early = [("secret", outcome(1, 0x65, 0, ""))];
    assert!(at(seeking(), &early).await.contains("0x65 has no place there"));
    let many = [("secret", bound()), ("1.1", entry("dc=org").repeat(5))];
    assert!(at(seeking(), &many).await.contains("more than was asked for"));
    let broken = [("secret", message(1, 0x61, b"\x0a\x01"))];
    assert!(at(seeking(), &broken).await.starts_with("protocol: "));
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn over_tls_nothing_is_said_in_clear() {
    use self::support::check;
    use self::support::talk::{lines, securing};

    let secured = lines(&[("secret", bound())]);
    let (address, tls) = securing(vec![], secured).await;
    let checker = Ldap::new().with_user("cn=check", "secret");
    check(checker.clone().with_tls(tls.clone()), address).await.unwrap();
    let elsewhere = checker.with_tls(tls.with_name("example.org").unwrap());
    assert_eq!(check(elsewhere, address).await.unwrap_err().cause(), "tls-name");
}

#[tokio::test]
async fn misbehaviour_has_a_cause_each() {
    assert_eq!(misbehaving(Ldap::new(), bound()).await, MISBEHAVIOUR);
}
