//! Servers that play their part of a talk, and those that do not.

use std::net::SocketAddr;

use lb_health::Checker;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{TIMEOUT, accepting, cause, check};

/// What a server waits to be told, and what it says then.
pub(crate) type Lines = Vec<(Vec<u8>, Vec<u8>)>;

pub(crate) fn lines<A: AsRef<[u8]>, B: AsRef<[u8]>>(steps: &[(A, B)]) -> Lines {
    steps.iter().map(|(ask, say)| (ask.as_ref().to_vec(), say.as_ref().to_vec())).collect()
}

/// What a server does once it has said all that it has to say.
#[derive(Clone, Copy)]
pub(crate) enum Then {
    Close,
    Hold,
}

/// A server that plays its part of a talk.
pub(crate) async fn playing(lines: Lines, then: Then) -> SocketAddr {
    accepting(move |mut stream| {
        let lines = lines.clone();
        async move {
            if !play(&mut stream, lines).await {
                return;
            }
            if matches!(then, Then::Close) {
                let _ = stream.shutdown().await;
            }
            // Whoever resets first loses what is on the way.
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
        }
    })
    .await
}

/// Says all lines; false if the client has gone before.
async fn play<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, lines: Lines) -> bool {
    for (ask, say) in lines {
        let heard = hear(stream, &ask).await;
        if !heard || stream.write_all(&say).await.is_err() || stream.flush().await.is_err() {
            return false;
        }
    }
    true
}

/// Reads until it has heard `wanted`; false at the end of the stream.
async fn hear<S: AsyncRead + Unpin>(stream: &mut S, wanted: &[u8]) -> bool {
    let mut heard = Vec::new();
    while !wanted.is_empty() && !heard.windows(wanted.len()).any(|window| window == wanted) {
        match stream.read_u8().await {
            Ok(byte) => heard.push(byte),
            Err(_) => return false,
        }
    }
    true
}

/// A server that says the same again and again.
async fn repeating(bytes: &'static [u8]) -> SocketAddr {
    accepting(move |mut stream| async move { while stream.write_all(bytes).await.is_ok() {} }).await
}

/// A server that says what it should, but a byte now and then: all of it takes twice as long as a run
/// may, and no single byte does.
async fn dripping(bytes: Vec<u8>) -> SocketAddr {
    assert!(bytes.len() > 4, "there is too little to drip");
    let pause = TIMEOUT * 2 / bytes.len() as u32;
    accepting(move |mut stream| {
        let bytes = bytes.clone();
        async move {
            for byte in bytes {
                if stream.write_all(&[byte]).await.is_err() {
                    return;
                }
                tokio::time::sleep(pause).await;
            }
        }
    })
    .await
}

/// What comes of a run against a server that plays its part of `talk` and hangs up: what was received
/// last, or the cause of the failure and its words.
pub(crate) async fn at<C, A, B>(checker: C, talk: &[(A, B)]) -> String
where
    C: Checker,
    A: AsRef<[u8]>,
    B: AsRef<[u8]>,
{
    match check(checker, playing(lines(talk), Then::Close).await).await {
        Ok(report) => report.trace.evidence().received.as_str().to_owned(),
        Err(failure) => format!("{}: {failure}", failure.cause()),
    }
}

/// What [`misbehaving`] comes to with a checker of a protocol.
pub(crate) const MISBEHAVIOUR: [&str; 7] =
    ["refused", "timeout-response", "closed", "reset", "timeout-response", "protocol", "protocol"];

/// What a checker makes of servers that misbehave, in this order: one that is not there, one that
/// accepts and never speaks, one that hangs up, one that resets, one that says `answer`, as it should,
/// but a byte now and then, one that never ends its line, one that says what no protocol has.
pub(crate) async fn misbehaving<C: Checker>(
    checker: C,
    answer: impl AsRef<[u8]>,
) -> [&'static str; 7] {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let silent = playing(vec![], Then::Hold);
    let closing = playing(vec![], Then::Close);
    let resetting = accepting(|stream| async move { stream.set_zero_linger().unwrap() });
    let dripping = dripping(answer.as_ref().to_vec());
    let endless = repeating(&[b'2'; 4096]);
    let garbage = playing(lines(&[("", &[b"\xff\x00\x80\r\n".repeat(40)].concat())]), Then::Close);
    [
        cause(checker.clone(), gone).await,
        cause(checker.clone(), silent.await).await,
        cause(checker.clone(), closing.await).await,
        cause(checker.clone(), resetting.await).await,
        cause(checker.clone(), dripping.await).await,
        cause(checker.clone(), endless.await).await,
        cause(checker, garbage.await).await,
    ]
}

/// A server that plays its part in clear, and then another over TLS; with the authority that
/// vouches for it as localhost.
#[cfg(feature = "tls")]
pub(crate) async fn securing(
    clear: Lines,
    secured: Lines,
) -> (SocketAddr, lb_health::checkers::Tls) {
    let authority = super::tls::Authority::new();
    let acceptor = super::tls::acceptor(authority.vouch("localhost", 2090), &[]);
    let address = accepting(move |mut stream| {
        let (clear, secured, acceptor) = (clear.clone(), secured.clone(), acceptor.clone());
        async move {
            if !play(&mut stream, clear).await {
                return;
            }
            if let Ok(mut stream) = acceptor.accept(stream).await {
                play(&mut stream, secured).await;
                let _ = stream.read_to_end(&mut Vec::new()).await;
            }
        }
    });
    let tls = lb_health::checkers::Tls::trusting(authority.pem.as_bytes()).unwrap();
    (address.await, tls.with_name("localhost").unwrap())
}
