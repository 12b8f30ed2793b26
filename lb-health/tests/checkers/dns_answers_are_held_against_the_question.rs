//! The DNS checker against name servers that answer well and badly.
#![cfg(feature = "dns")]
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::support;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use lb_health::checkers::Dns;
use lb_health::trace::{Evidence, Phase};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

use self::support::{TIMEOUT, cause, check};

const ADDRESS: [u8; 4] = [192, 0, 2, 1];

/// A name server that sends what this makes of each question.
async fn server(answer: impl Fn(Vec<u8>) -> Vec<Vec<u8>> + Send + 'static) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            for reply in answer(buffer[..length].to_vec()) {
                let _ = socket.send_to(&reply, from).await;
            }
        }
    });
    address
}

/// The answer to `query` with these addresses.
fn answer(mut query: Vec<u8>, addresses: &[[u8; 4]]) -> Vec<u8> {
    query[2] |= 0x80;
    query[7] = addresses.len() as u8;
    for address in addresses {
        query.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        query.extend(address);
    }
    query
}

fn www() -> Dns {
    Dns::new("www.example.org", "A").unwrap()
}

#[tokio::test]
async fn expected_answers_must_be_there() {
    let address = server(|query| vec![answer(query, &[ADDRESS, [192, 0, 2, 2]])]).await;
    for (checker, wanted) in [
        (www(), "ok"),
        (www().requiring_answer(), "ok"),
        (www().expecting("192.0.2.2").unwrap(), "ok"),
        (www().expecting("192.0.2.2").unwrap().expecting("192.0.2.1").unwrap(), "ok"),
        (www().expecting("192.0.2.2").unwrap().expecting("192.0.2.3").unwrap(), "rejected"),
    ] {
        assert_eq!(cause(checker.clone(), address).await, wanted, "{checker:?}");
    }
    let report = check(www(), address).await.unwrap();
    assert_eq!(report.trace.evidence().received.as_str(), "NOERROR 192.0.2.1 192.0.2.2");
    assert!(report.trace.spent(Phase::Response).is_some());
}

#[tokio::test]
async fn texts_are_compared_as_they_are() {
    // In two strings, as what is longer than 255 bytes must be.
    let address = server(|mut query| {
        query[2] |= 0x80;
        query[7] = 1;
        query.extend([0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 60, 0, 13]);
        query.extend(b"\x06hello \x05world");
        vec![query]
    });
    let (address, text) = (address.await, || Dns::new("www.example.org", "TXT").unwrap());
    for (answer, wanted) in [
        ("hello world", "ok"),
        (r#""hello " world"#, "ok"),
        (r#""hello " "world""#, "ok"),
        (r#""hello world""#, "rejected"),
        ("hello  world", "rejected"),
        ("hello", "rejected"),
    ] {
        assert_eq!(cause(text().expecting(answer).unwrap(), address).await, wanted, "{answer}");
    }
}

#[tokio::test]
async fn an_empty_answer_passes_unless_one_is_required() {
    let address = server(|query| vec![answer(query, &[])]).await;
    assert_eq!(cause(Dns::default(), address).await, "ok");
    assert_eq!(cause(www(), address).await, "ok");
    assert_eq!(cause(www().requiring_answer(), address).await, "rejected");
    assert_eq!(cause(www().expecting("192.0.2.1").unwrap(), address).await, "rejected");
}

#[tokio::test]
async fn every_error_is_told_by_its_name() {
    for (rcode, name) in [(2, "SERVFAIL"), (3, "NXDOMAIN"), (5, "REFUSED")] {
        for names_question in [true, false] {
            let address = server(move |mut query| {
                query[3] |= rcode;
                if !names_question {
                    query[5] = 0;
                    query.truncate(12);
                }
                vec![answer(query, &[])]
            });
            let failure = check(www(), address.await).await.unwrap_err();
            assert_eq!(
                (failure.cause(), failure.to_string()),
                ("rejected", format!("the answer is {name}"))
            );
        }
    }
}

#[tokio::test]
async fn what_answers_another_question_does_not_pass() {
    type Change = fn(&mut Vec<u8>);
    let changes: [(Change, &str); 9] = [
        (|reply| reply[2] &= !0x80, "protocol"),  // a question
        (|reply| reply[13] ^= 1, "protocol"),     // another name
        (|reply| reply[30] = 28, "protocol"),     // another type
        (|reply| reply[32] = 3, "protocol"),      // another class
        (|reply| reply[5] = 0, "protocol"),       // no question
        (|reply| reply.truncate(11), "protocol"), // no header
        (|reply| reply.truncate(reply.len() - 1), "protocol"), // half an answer
        (|reply| reply[7] = 9, "protocol"),       // fewer answers than announced
        (|reply| reply[1] ^= 1, "timeout-response"), // another number
    ];
    for (index, (change, wanted)) in changes.into_iter().enumerate() {
        let address = server(move |query| {
            let mut reply = answer(query, &[ADDRESS]);
            change(&mut reply);
            vec![reply]
        });
        assert_eq!(cause(www(), address.await).await, wanted, "change {index}");
    }
    let upper_case = server(|query| {
        let mut reply = answer(query, &[ADDRESS]);
        reply[12..28].make_ascii_uppercase();
        vec![reply]
    });
    assert_eq!(cause(www(), upper_case.await).await, "ok", "names know no case (RFC 4343)");
}

#[tokio::test]
async fn what_bears_another_number_is_waited_through() {
    let address = server(|query| {
        let right = answer(query, &[ADDRESS]);
        let mut wrong = right.clone();
        wrong[0] ^= 0xff;
        vec![wrong.clone(), wrong, right]
    });
    assert_eq!(cause(www(), address.await).await, "ok");
}

#[tokio::test]
async fn garbage_and_silence_have_causes_of_their_own() {
    let garbage = server(|_| vec![b"hello".to_vec()]).await;
    assert_eq!(cause(www(), garbage).await, "protocol");
    let nothing = server(|_| vec![vec![]]).await;
    assert_eq!(cause(www(), nothing).await, "protocol");
    let mute = server(|_| vec![]).await;
    assert_eq!(cause(www(), mute).await, "timeout-response");
    let closed = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    assert_eq!(cause(www(), closed).await, "refused");
    let elsewhere = www().with_origin(IpAddr::from([192, 0, 2, 77]));
    assert_eq!(cause(elsewhere, closed).await, "local");
}

/// A name server whose answers over UDP are truncated, and over TCP what `answer` makes of them.
async fn truncating(answer: impl Fn(Vec<u8>) -> Vec<u8> + Send + Sync + 'static) -> SocketAddr {
    let (listener, socket) = loop {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        if let Ok(socket) = UdpSocket::bind(listener.local_addr().unwrap()).await {
            break (listener, socket);
        }
    };
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            buffer[2] |= 0x82;
            let _ = socket.send_to(&buffer[..length], from).await;
        }
    });
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = Arc::clone(&answer);
            tokio::spawn(async move {
                let mut query = vec![0; stream.read_u16().await.unwrap().into()];
                stream.read_exact(&mut query).await.unwrap();
                let _ = stream.write_all(&answer(query)).await;
                let _ = stream.shutdown().await;
                let _ = stream.read_u8().await;
            });
        }
    });
    address
}

fn framed(message: Vec<u8>) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes(), &*message].concat()
}

#[tokio::test]
async fn what_is_truncated_is_asked_again_over_tcp() {
    let many = [ADDRESS; 100];
    let checker = || www().expecting("192.0.2.1").unwrap();
    let address = truncating(move |query| framed(answer(query, &many))).await;
    check(checker(), address).await.unwrap();
    for (answer, wanted) in [
        (Box::new(|_| vec![]) as Box<dyn Fn(Vec<u8>) -> Vec<u8> + Send + Sync>, "closed"),
        (Box::new(|query| framed(query)[..9].to_vec()), "protocol"),
        (
            Box::new(|mut query| {
                query[0] ^= 1;
                framed(answer(query, &[ADDRESS]))
            }),
            "protocol",
        ),
        (
            Box::new(|mut query| {
                query[2] |= 2;
                framed(answer(query, &[ADDRESS]))
            }),
            "protocol",
        ),
        (Box::new(|query| framed(answer(query, &[]))), "rejected"),
    ] {
        assert_eq!(cause(checker(), truncating(answer).await).await, wanted);
    }
    // Nobody listens for TCP.
    let address = server(|mut query| {
        query[2] |= 0x82;
        vec![query]
    });
    assert_eq!(cause(checker(), address.await).await, "refused");
}

#[tokio::test]
async fn a_dripping_answer_does_not_outlast_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let socket = UdpSocket::bind(listener.local_addr().unwrap()).await.unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
        buffer[2] |= 0x82;
        let _ = socket.send_to(&buffer[..length], from).await;
    });
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.write_all(&[255, 255]).await;
        while stream.write_all(&[0]).await.is_ok() {
            tokio::time::sleep(TIMEOUT / 50).await;
        }
    });
    assert_eq!(cause(www(), address).await, "timeout-body");
}

#[test]
fn impossible_questions_are_refused_at_once() {
    for (record, answer) in [
        ("A", "192.0.2"),
        ("A", "192.0.2.1 192.0.2.2"),
        ("AAAA", "192.0.2.1"),
        ("MX", "mail.example.org"),
        ("SOA", ""),
        ("TXT", ""),
    ] {
        assert!(Dns::new(".", record).unwrap().expecting(answer).is_err(), "{record} {answer:?}");
    }
    assert!(Dns::new(".", "NONSENSE").is_err() && Dns::new("a..b", "A").is_err());
    assert!(Dns::new(&"a.".repeat(130), "A").is_err());
}

#[test]
fn evidence_is_bounded() {
    let mut evidence = Evidence::default();
    let reply = answer(www().query(1), &[ADDRESS; 250]);
    www().judge(1, &reply, &mut evidence).unwrap();
    assert!(evidence.received.as_str().len() <= 200);
}
