//! Servers that answer by the book or misbehave, for checkers to be tried on.
#![allow(dead_code, reason = "each test uses its own part")]
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use lb_health::{Checker, Failure, Report, Target};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

pub(crate) const TIMEOUT: Duration = Duration::from_millis(500);

/// A server that does as it is told on each connection.
pub(crate) async fn server<F, R>(behave: F) -> SocketAddr
where
    F: Fn(TcpStream) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(behave(stream));
        }
    });
    address
}

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
    server(move |mut stream| {
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
pub(crate) async fn repeating(bytes: &'static [u8], pause: Duration) -> SocketAddr {
    server(move |mut stream| async move {
        while stream.write_all(bytes).await.is_ok() {
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
        }
    })
    .await
}

/// A server that says what it should, but a byte now and then.
pub(crate) async fn dripping(bytes: Vec<u8>) -> SocketAddr {
    server(move |mut stream| {
        let bytes = bytes.clone();
        async move {
            for byte in bytes {
                if stream.write_all(&[byte]).await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    })
    .await
}

/// Runs a check, which must keep its time.
#[expect(clippy::disallowed_methods, reason = "measures real sockets")]
pub(crate) async fn check<C: Checker>(checker: C, address: SocketAddr) -> Result<Report, Failure> {
    let begin = Instant::now();
    let result = checker.oneshot(Target::new(address, TIMEOUT)).await;
    assert!(begin.elapsed() < TIMEOUT * 2, "one deadline over the whole run");
    result.map_err(Into::into)
}

/// The cause of a failure.
pub(crate) async fn cause<C: Checker>(checker: C, address: SocketAddr) -> &'static str {
    check(checker, address).await.map_or_else(|failure| failure.cause(), |_| "ok")
}

/// What a checker makes of servers that speak no protocol at all, in this order: one that is not
/// there, one that accepts and never speaks, one that hangs up, one that resets, one that says a
/// byte now and then, one that never ends its line, one that says what no protocol has.
pub(crate) async fn misbehaving<C: Checker>(checker: C) -> [&'static str; 7] {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let silent = server(|stream| async move {
        tokio::time::sleep(Duration::from_secs(60)).await;
        drop(stream);
    });
    let closing = playing(vec![], Then::Close);
    let resetting = server(|stream| async move { stream.set_zero_linger().unwrap() });
    let dripping = repeating(b"2", Duration::from_millis(20));
    let endless = repeating(&[b'2'; 4096], Duration::ZERO);
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
    use std::sync::Arc;

    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::ServerConfig;
    use tokio_rustls::rustls::pki_types::PrivateKeyDer;

    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let address = server(move |mut stream| {
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
    let tls = lb_health::checkers::Tls::trusting(made.cert.pem().as_bytes()).unwrap();
    (address.await, tls.with_name("localhost").unwrap())
}
