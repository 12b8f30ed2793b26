//! The PostgreSQL checker against servers by the book, and others.
#![cfg(feature = "postgres")]
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::support;

use lb_health::checkers::Postgres;

use self::support::talk::{MISBEHAVIOUR, Then, at, misbehaving, playing};
use self::support::{accepting, cause};

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32 + 4).to_be_bytes();
    [&[tag], &length[..], body].concat()
}

fn authentication(kind: u32, data: &[u8]) -> Vec<u8> {
    message(b'R', &[&kind.to_be_bytes(), data].concat())
}

/// What a server says once it has let somebody in.
fn welcome() -> Vec<u8> {
    let version = message(b'S', b"server_version\x0015.8\0");
    [authentication(0, b""), version, message(b'K', &[0; 8]), ready()].concat()
}

fn ready() -> Vec<u8> {
    message(b'Z', b"I")
}

fn error(code: &str, text: &str) -> Vec<u8> {
    message(b'E', format!("SERROR\0C{code}\0M{text}\0\0").as_bytes())
}

fn row(values: &[&str]) -> Vec<u8> {
    let mut body = (values.len() as u16).to_be_bytes().to_vec();
    for value in values {
        body.extend((value.len() as u32).to_be_bytes());
        body.extend(value.as_bytes());
    }
    [message(b'D', &body), message(b'C', b"SELECT 1\0"), ready()].concat()
}

fn user() -> Postgres {
    Postgres::new("check").with_password("secret")
}

#[tokio::test]
async fn who_lets_the_user_in_passes() {
    let trust = [("user\0check\0database\0check\0", welcome())];
    assert_eq!(at(Postgres::new("check"), &trust).await, "PostgreSQL 15.8");
    // md5(md5("secretcheck") ‖ "salt"), by Python's hashlib.
    let proof = "md52feac0f59361f1dd61985ddb89c11074";
    let md5 = [("check", authentication(5, b"salt")), (proof, welcome())];
    assert_eq!(at(user(), &md5).await, "PostgreSQL 15.8");
    let told = at(Postgres::new("check"), &md5).await;
    assert_eq!(told, "rejected: the server wants a password, and none is set");
}

#[tokio::test]
async fn the_password_itself_is_sent_over_tls_only() {
    let clear = [("check", authentication(3, b""))];
    let told = "rejected: the server wants the password in clear, which takes TLS";
    assert_eq!(at(user(), &clear).await, told);
    #[cfg(feature = "tls")]
    {
        use self::support::check;
        use self::support::talk::{lines, securing};

        let request = lines(&[(&b"\x04\xd2\x16\x2f"[..], b"S")]);
        let secured = lines(&[("check", authentication(3, b"")), ("secret\0", welcome())]);
        let (address, tls) = securing(request, secured).await;
        check(user().with_tls(tls.clone()), address).await.unwrap();
        let elsewhere = tls.clone().with_name("example.org").unwrap();
        assert_eq!(cause(user().with_tls(elsewhere), address).await, "tls-name");
        let unable = [("", b"N".to_vec())];
        let told = "rejected: the server offers no TLS";
        assert_eq!(at(user().with_tls(tls.clone()), &unable).await, told);
        // CVE-2021-23222: somebody in the middle goes on in clear.
        let smuggled = [("", [b"S".to_vec(), welcome()].concat())];
        let told = at(user().with_tls(tls), &smuggled).await;
        assert!(told.contains("went on in clear"), "{told}");
    }
}

#[tokio::test]
async fn a_server_that_knows_no_password_is_found_out() {
    let offer = authentication(10, b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0");
    // It lets everybody in, but it cannot make up the nonce that it was sent.
    let pretender = [("check", offer), ("r=", authentication(11, b"r=abc,s=c2FsdA==,i=4096"))];
    assert!(at(user(), &pretender).await.starts_with("protocol: "));
    let unknown = [("check", authentication(10, b"SCRAM-SHA-512\0\0"))];
    assert_eq!(at(user(), &unknown).await, "rejected: the server knows no SCRAM-SHA-256");
    let kerberos = [("check", authentication(7, b""))];
    assert!(at(user(), &kerberos).await.starts_with("rejected: "));
}

#[tokio::test]
async fn a_standby_is_told_from_a_primary() {
    for (values, told) in [
        (["f", "off"], "PostgreSQL 15.8"),
        (["t", "on"], "rejected: the server is not writable: it is in recovery"),
        (["f", "on"], "rejected: the server is not writable: transaction_read_only is on"),
    ] {
        let talk = [("check", welcome()), ("pg_is_in_recovery", row(&values))];
        assert_eq!(at(user().with_writable(), &talk).await, told);
    }
    let dumb = [("check", welcome()), ("pg_is_in_recovery", row(&["f"]))];
    assert!(at(user().with_writable(), &dumb).await.starts_with("protocol: "));
}

#[tokio::test]
async fn refusals_are_told_in_the_servers_words() {
    let starting = [("check", error("57P03", "the database system is starting up"))];
    let told = r#"rejected: error 57P03: "the database system is starting up""#;
    assert_eq!(at(user(), &starting).await, told);
    let failing =
        [("check", welcome()), ("SELECT", [error("42P01", "no relation"), ready()].concat())];
    let told = r#"rejected: error 42P01: "no relation""#;
    assert_eq!(at(user().with_query("SELECT x"), &failing).await, told);
}

#[tokio::test]
async fn what_is_cut_off_out_of_place_or_endless_is_no_answer() {
    let cut = [("check", welcome()[..7].to_vec())];
    assert!(at(user(), &cut).await.starts_with("truncated: "));
    let displaced = [("check", row(&["f"]))];
    assert!(at(user(), &displaced).await.starts_with("protocol: "));
    let endless = [("check", authentication(0, b"").repeat(200))];
    assert!(at(user(), &endless).await.contains("the login has no end"));
    let rows = [("check", welcome()), ("SELECT", message(b'D', b"\0\0").repeat(1200))];
    assert!(at(user().with_query("SELECT"), &rows).await.contains("1000 messages"));
    let odd = Postgres::new("a\0b");
    assert_eq!(cause(odd, playing(vec![], Then::Hold).await).await, "protocol");
}

#[tokio::test]
async fn misbehaviour_has_a_cause_each() {
    assert_eq!(misbehaving(user(), welcome()).await, MISBEHAVIOUR);
}

/// A server may ask for a proof that takes long: whoever checks has other things to do meanwhile.
#[tokio::test]
async fn a_long_proof_holds_up_nobody() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use lb_health::Target;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tower::ServiceExt;

    let turns = Arc::new(AtomicUsize::new(0));
    let counting = tokio::spawn({
        let turns = Arc::clone(&turns);
        async move {
            loop {
                turns.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        }
    });
    let meanwhile = Arc::new(AtomicUsize::new(0));
    let address = accepting({
        let meanwhile = Arc::clone(&meanwhile);
        move |mut stream| {
            let (turns, meanwhile) = (Arc::clone(&turns), Arc::clone(&meanwhile));
            async move {
                let mut heard = vec![0; 1024];
                let _ = stream.read(&mut heard).await;
                let _ = stream.write_all(&authentication(10, b"SCRAM-SHA-256\0\0")).await;
                let count = stream.read(&mut heard).await.unwrap();
                let text = String::from_utf8_lossy(&heard[..count]).into_owned();
                let challenge =
                    format!("r={}x,s=c2FsdA==,i=2048", text.rsplit("r=").next().unwrap());
                let before = turns.load(Ordering::Relaxed);
                let _ = stream.write_all(&authentication(11, challenge.as_bytes())).await;
                let _ = stream.read(&mut heard).await;
                meanwhile.store(turns.load(Ordering::Relaxed) - before, Ordering::Relaxed);
            }
        }
    });
    // A test is built to run slowly.
    let target = Target::new(address.await, Duration::from_secs(60));
    assert_eq!(user().oneshot(target).await.unwrap_err().cause(), "closed");
    counting.abort();
    // On this thread it would be a hundred or so: of the way there and back.
    let meanwhile = meanwhile.load(Ordering::Relaxed);
    assert!(meanwhile > 300, "{meanwhile} turns of another task");
}
