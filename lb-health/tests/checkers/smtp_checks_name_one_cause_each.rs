//! The SMTP checker against mail servers by the book, and others.
#![cfg(feature = "smtp")]
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::support;

use lb_health::checkers::Smtp;

use self::support::talk::{MISBEHAVIOUR, at, misbehaving};

const GREETING: (&str, &str) = ("", "220-mail.example.org\r\n220 ESMTP\r\n");
const HELLO: (&str, &str) = ("EHLO [127.0.0.1]\r\n", "250-mail.example.org\r\n250 STARTTLS\r\n");
const QUIT: (&str, &str) = ("QUIT\r\n", "221 bye\r\n");

#[tokio::test]
async fn who_greets_and_says_hello_passes() {
    let hello = "250-mail.example.org\r\n250 STARTTLS";
    assert_eq!(at(Smtp::new(), &[GREETING, HELLO, QUIT]).await, hello);
    let old =
        [GREETING, ("EHLO director\r\n", "500 what?\r\n"), ("HELO director\r\n", "250 well\r\n")];
    assert_eq!(at(Smtp::new().with_name("director").unwrap(), &old).await, "250 well");
    let helo = [GREETING, ("HELO [127.0.0.1]\r\n", "250 well\r\n")];
    assert_eq!(at(Smtp::new().with_helo(), &helo).await, "250 well");
}

#[tokio::test]
async fn who_says_no_is_rejected_in_its_words() {
    let full = [("", "421 4.3.2 too busy\r\n"), QUIT];
    let told = r#"rejected: the greeting was answered by 421, not 220: "4.3.2 too busy""#;
    assert_eq!(at(Smtp::new(), &full).await, told);
    let no = [GREETING, ("EHLO", "550-go\r\n550 away\r\n"), QUIT];
    let told = r#"rejected: EHLO was answered by 550, not 250: "go away""#;
    assert_eq!(at(Smtp::new(), &no).await, told);
    let neither = [GREETING, ("EHLO", "502 no\r\n"), ("HELO", "502 no\r\n"), QUIT];
    assert!(at(Smtp::new(), &neither).await.starts_with("rejected: HELO was answered by 502"));
}

#[tokio::test]
async fn who_breaks_off_is_no_mail_server() {
    assert!(at(Smtp::new(), &[("", "220-mail\r\n22")]).await.starts_with("truncated: "));
    assert!(at(Smtp::new(), &[GREETING]).await.starts_with("closed: "));
    let two = [("", "220-mail\r\n221 mail\r\n")];
    let told = "protocol: not a valid answer: a reply of code 220 goes on with 221";
    assert_eq!(at(Smtp::new(), &two).await, told);
    assert!(at(Smtp::new(), &[("", "SSH-2.0-OpenSSH\r\n")]).await.starts_with("protocol: "));
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn starttls_is_insisted_upon() {
    use self::support::check;
    use self::support::talk::{lines, securing};

    let clear = [GREETING, HELLO, ("STARTTLS\r\n", "220 go ahead\r\n")];
    let again = [("EHLO", "250 in secret\r\n")];
    let (address, tls) = securing(lines(&clear), lines(&again)).await;
    let checker = Smtp::new().with_starttls(tls.clone());
    let report = check(checker.clone(), address).await.unwrap();
    assert_eq!(report.trace.evidence().received.as_str(), "250 in secret");
    let certificate = report.trace.evidence().certificate.as_ref().unwrap();
    assert_eq!(certificate.names, ["localhost"]);
    let elsewhere = Smtp::new().with_starttls(tls.clone().with_name("example.org").unwrap());
    assert_eq!(check(elsewhere, address).await.unwrap_err().cause(), "tls-name");

    let without = [GREETING, ("EHLO", "250 no extensions\r\n"), QUIT];
    let told = "rejected: the server offers no STARTTLS";
    assert_eq!(at(checker.clone(), &without).await, told);
    let unable = [GREETING, HELLO, ("STARTTLS", "454 no key\r\n"), QUIT];
    assert!(at(checker.clone(), &unable).await.starts_with("rejected: STARTTLS was answered"));
    // Somebody in the middle would have these taken for the server's secured words.
    let smuggled = [GREETING, HELLO, ("STARTTLS", "220 go ahead\r\n250 in secret\r\n")];
    assert!(at(checker, &smuggled).await.contains("went on in clear after STARTTLS"));

    let (address, tls) = securing(vec![], lines(&[GREETING, HELLO])).await;
    check(Smtp::new().with_tls(tls), address).await.unwrap();
}

#[tokio::test]
async fn misbehaviour_has_a_cause_each() {
    assert_eq!(misbehaving(Smtp::new(), GREETING.1).await, MISBEHAVIOUR);
}
