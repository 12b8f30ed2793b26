//! Steps of sending and expecting, over whatever pieces the answers come in.
#![cfg(feature = "send-expect")]
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::support;

use std::time::Duration;

use lb_health::CheckError;
use lb_health::checkers::{Pattern, SendExpect};
use lb_health::trace::Phase;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use self::support::talk::{Then, lines, misbehaving, playing};
use self::support::{accepting, cause, check};

fn greeted() -> SendExpect {
    SendExpect::new().with_expect(Pattern::regex(r"^220 .*\r\n").unwrap())
}

#[tokio::test]
async fn answers_are_taken_in_order() {
    let asks = greeted()
        .with_send("PING\r\n")
        .with_expect(Pattern::text("PONG").unwrap())
        .with_send([0, 255])
        .with_expect(Pattern::text([255, 0]).unwrap());
    let by_the_book =
        [("", &b"220 hello\r\n"[..]), ("PING\r\n", b"PONG\r\n"), ("\0", &[7, 255, 0])];
    let address = playing(lines(&by_the_book), Then::Hold).await;
    assert_eq!(cause(asks.clone(), address).await, "ok");

    // All at once, and before they were asked for.
    let early = playing(lines(&[("", b"220 hi\r\nPONG\xff\0")]), Then::Close).await;
    assert_eq!(cause(asks.clone(), early).await, "ok");

    // What was taken once is not there any more.
    let twice = SendExpect::new()
        .with_expect(Pattern::text("a").unwrap())
        .with_expect(Pattern::text("a").unwrap());
    let once = playing(lines(&[("", "a")]), Then::Close).await;
    assert_eq!(cause(twice.clone(), once).await, "closed");
    let enough = playing(lines(&[("", "ba a")]), Then::Close).await;
    assert_eq!(cause(twice, enough).await, "ok");

    // In the order that was asked for, not in any.
    let reversed = SendExpect::new()
        .with_expect(Pattern::text("b").unwrap())
        .with_expect(Pattern::text("a").unwrap());
    let address = playing(lines(&[("", "ab")]), Then::Close).await;
    assert_eq!(cause(reversed, address).await, "closed");
}

#[tokio::test]
async fn an_answer_may_come_byte_by_byte() {
    let address = accepting(|mut stream| async move {
        for byte in b"noise 220 hello" {
            stream.write_all(&[*byte]).await.unwrap();
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let _ = stream.read_u8().await;
    })
    .await;
    let whole = SendExpect::new().with_expect(Pattern::text("220 hello").unwrap());
    let report = check(whole, address).await.unwrap();
    assert_eq!(report.trace.evidence().received.as_str(), "noise 220 hello");
}

#[tokio::test]
async fn what_was_received_and_what_was_wanted_is_told() {
    let address = playing(lines(&[("", "554 no service\r\n")]), Then::Close).await;
    let failure = check(greeted(), address).await.unwrap_err();
    assert_eq!(failure.to_string(), r#"the answer has no /^220 .*\r\n/: "554 no service""#);
    assert_eq!(failure.trace.evidence().received.as_str(), "554 no service");

    // The same server, but it holds the line.
    let address = playing(lines(&[("", "554 no service\r\n")]), Then::Hold).await;
    let failure = check(greeted(), address).await.unwrap_err();
    assert!(matches!(failure.error, CheckError::Timeout { phase: Phase::Response }));
    assert_eq!(failure.trace.evidence().received.as_str(), "554 no service");
    assert_eq!(failure.trace.evidence().wanted.as_str(), r"/^220 .*\r\n/");

    // Of several answers, the one that was wrong.
    let asks = greeted().with_send("PING\r\n").with_expect(Pattern::text("PONG").unwrap());
    let script = [("", "220 hello\r\n"), ("PING\r\n", "OUCH\r\n")];
    let failure = check(asks, playing(lines(&script), Then::Close).await).await.unwrap_err();
    assert_eq!(failure.trace.evidence().received.as_str(), "OUCH");
}

/// What is refused counts up to the end of the next match: not what comes after it, nor what was there
/// before the match that it follows, however the answers are cut into pieces.
#[tokio::test]
async fn what_is_refused_must_not_come_before_the_next_match() {
    let text = |text: &str| Pattern::text(text).unwrap();
    let asks = greeted()
        .with_send("STATE\r\n")
        .with_refusal(text("ERR"))
        .with_refusal(Pattern::regex("(?m)^lag [1-9]").unwrap())
        .with_refusal(Pattern::text([0, 255]).unwrap())
        .with_expect(text("END"))
        .with_expect(text("bye"));
    for (answer, outcome) in [
        (&b"lag 0\r\nEND\r\nbye"[..], "ok"),
        (b"END ERR\r\nlag 7 \0\xff bye", "ok"),
        (b"ERR END bye", "rejected"),
        (b"so\r\nlag 7\r\nEND bye", "rejected"),
        (b"lag 0 \0\xff END bye", "rejected"),
        (b"lag 0 \0\xfe END bye", "ok"),
        // What was refused is part of what is expected.
        (b"lag 0\r\nERRENDERR", "rejected"),
    ] {
        let shown = String::from_utf8_lossy(answer);
        let whole = [("", &b"220 ERR of before\r\n"[..]), ("STATE", answer)];
        let address = playing(lines(&whole), Then::Close).await;
        assert_eq!(cause(asks.clone(), address).await, outcome, "{shown:?}");
        let mut pieces = vec![whole[0], ("STATE", &b""[..])];
        pieces.extend(answer.chunks(1).map(|byte| ("", byte)));
        let address = playing(lines(&pieces), Then::Close).await;
        assert_eq!(cause(asks.clone(), address).await, outcome, "{shown:?} in pieces");
    }
}

#[tokio::test]
async fn what_is_refused_fails_at_once_and_is_told() {
    let asks = greeted().with_refusal(Pattern::text("down").unwrap());
    let asks = asks.with_expect(Pattern::text("END").unwrap());
    // It would have waited for an end that does not come.
    let held = playing(lines(&[("", "220 hello\r\nlink:down\r\n")]), Then::Hold).await;
    let failure = check(asks, held).await.unwrap_err();
    assert_eq!(failure.to_string(), r#"the answer has "down": "link:down""#);
    assert_eq!(failure.trace.evidence().wanted.as_str(), "");

    // It may be that nothing but the end of the text makes it what is refused.
    let ends = SendExpect::new().with_refusal(Pattern::regex("no$").unwrap());
    let ends = ends.with_expect(Pattern::text("no").unwrap());
    let address = playing(lines(&[("", "no, thanks")]), Then::Close).await;
    assert_eq!(cause(ends, address).await, "rejected");
}

/// With no match after it, an answer ends when the server hangs up.
#[tokio::test]
async fn what_is_refused_at_last_must_not_come_before_the_server_hangs_up() {
    let asks = |refused| greeted().with_refusal(Pattern::regex(refused).unwrap());
    let answers = |said| playing(lines(&[("", "220 hello\r\n"), ("", said)]), Then::Close);
    assert_eq!(cause(asks("ERR"), answers("fine").await).await, "ok");
    assert_eq!(cause(asks("ERR"), answers("fine, but ERR").await).await, "rejected");
    assert_eq!(cause(asks("fine$"), answers("fine").await).await, "rejected");
    assert_eq!(cause(asks("ERR"), answers("").await).await, "closed", "no answer is none");
    let held = playing(lines(&[("", "220 hello\r\nfine")]), Then::Hold).await;
    assert_eq!(cause(asks("ERR"), held).await, "timeout-response");
    // A farewell is then no end, but asks for one.
    let leaves = [("", "220 hello\r\n"), ("QUIT", "bye")];
    let address = playing(lines(&leaves), Then::Close).await;
    assert_eq!(cause(asks("ERR").with_send("QUIT\r\n"), address).await, "ok");
    let leaves = [("", "220 hello\r\n"), ("QUIT", "ERR")];
    let address = playing(lines(&leaves), Then::Close).await;
    assert_eq!(cause(asks("ERR").with_send("QUIT\r\n"), address).await, "rejected");
}

#[tokio::test]
async fn a_farewell_arrives_before_the_end() {
    let (heard, mut told) = mpsc::unbounded_channel();
    let address = accepting(move |mut stream| {
        let heard = heard.clone();
        async move {
            stream.write_all(b"220 hello\r\n").await.unwrap();
            let mut farewell = [0; 6];
            let end = stream.read_exact(&mut farewell).await;
            // Who is told farewell hangs up first, and nobody is in its way.
            let hung_up = stream.shutdown().await.is_ok();
            heard.send((farewell, end.is_ok() && hung_up)).unwrap();
        }
    })
    .await;
    assert_eq!(cause(greeted().with_send("QUIT\r\n"), address).await, "ok");
    assert_eq!(told.recv().await.unwrap(), (*b"QUIT\r\n", true));
    assert_eq!(cause(greeted(), address).await, "ok");
    assert!(!told.recv().await.unwrap().1, "without one the connection is reset");
}

/// Any protocol of lines can be spoken in secret: from the beginning, as IMAPS, or after a STARTTLS.
#[cfg(feature = "tls")]
#[tokio::test]
async fn a_talk_may_go_on_over_tls() {
    use self::support::talk::securing;

    let greeted = |talk: SendExpect| talk.with_expect(Pattern::regex(r"^\* OK.*\r\n").unwrap());
    let leaving = |talk: SendExpect| {
        talk.with_send("a LOGOUT\r\n").with_expect(Pattern::text("a OK").unwrap())
    };
    let (greeting, logout) = (("", "* OK IMAP\r\n"), ("a LOGOUT\r\n", "* BYE\r\na OK\r\n"));

    let (address, tls) = securing(vec![], lines(&[greeting, logout])).await;
    let report = check(leaving(greeted(SendExpect::new().with_tls(tls))), address).await.unwrap();
    assert_eq!(report.trace.evidence().received.as_str(), "* BYE\r\na OK");
    assert_eq!(report.trace.evidence().certificate.as_ref().unwrap().names, ["localhost"]);
    // Who speaks in clear to it does not pass, nor does who believes another.
    assert_ne!(cause(greeted(SendExpect::new()), address).await, "ok");
    let (_, stranger) = securing(vec![], vec![]).await;
    let mistrusting = greeted(SendExpect::new().with_tls(stranger));
    assert_eq!(cause(mistrusting, address).await, "tls-untrusted");

    let starttls = ("s STARTTLS\r\n", "s OK go on\r\n");
    let (address, tls) = securing(lines(&[greeting, starttls]), lines(&[logout])).await;
    let secured = greeted(SendExpect::new())
        .with_send("s STARTTLS\r\n")
        .with_expect(Pattern::regex(r"^s OK.*\r\n").unwrap())
        .with_tls(tls);
    assert_eq!(cause(leaving(secured.clone()), address).await, "ok");
    // Somebody in the middle would have it taken for the server's secured words.
    let smuggling = [greeting, ("s STARTTLS\r\n", "s OK go on\r\na OK\r\n")];
    let address = playing(lines(&smuggling), Then::Hold).await;
    assert_eq!(cause(leaving(secured), address).await, "protocol");
}

#[tokio::test]
async fn misbehaviour_has_a_cause_each() {
    let causes = [
        "refused",
        "timeout-response",
        "closed",
        "reset",
        "timeout-response",
        "protocol",
        "rejected",
    ];
    assert_eq!(misbehaving(greeted(), "220 hello\r\n").await, causes);
}
