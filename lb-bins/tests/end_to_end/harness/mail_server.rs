//! A mail server of the tests' own.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio_rustls::TlsAcceptor;

use super::Backend;

type Taken = Arc<Mutex<Vec<Letter>>>;

/// A mail that was taken.
#[derive(Clone, Debug, Default)]
pub(crate) struct Letter {
    pub(crate) helo: String,
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    pub(crate) text: String,
    /// Whether it came over TLS.
    pub(crate) is_secured: bool,
    /// Whether its sender had logged in.
    pub(crate) is_known: bool,
}

/// Takes mail, except from the first connections, with which it does something else; and except
/// for who does not exist.
pub(crate) struct MailServer {
    server: Backend,
    taken: Taken,
    visits: Arc<AtomicUsize>,
    /// Who vouches for it, as PEM, if it speaks TLS.
    pub(crate) authority: String,
}

/// What becomes of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mood {
    /// It gets no word.
    Hang,
    /// It is told to come back.
    Busy,
}

/// When TLS begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Safety {
    Starttls,
    Implicit,
}

/// What it takes to send by a server that speaks TLS: `lb@example.org` with the password `secret`, as SASL's
/// PLAIN has it.
const CREDENTIALS: &str = "AGxiQGV4YW1wbGUub3JnAHNlY3JldA==";

impl MailServer {
    pub(crate) fn friendly() -> Self {
        Self::moody(&[])
    }

    /// One that receives its first guests like this.
    pub(crate) fn moody(moods: &'static [Mood]) -> Self {
        let visits = Arc::<AtomicUsize>::default();
        let number = Arc::clone(&visits);
        let server = Self::begin(move |mut stream, letters| {
            let mood = moods.get(number.fetch_add(1, Ordering::SeqCst)).copied();
            async move {
                match mood {
                    Some(Mood::Hang) => std::future::pending().await,
                    Some(Mood::Busy) => _ = stream.write_all(b"421 come back later\r\n").await,
                    None => _ = receive(stream, Manner::OPEN, letters).await,
                }
            }
        });
        Self { visits, ..server }
    }

    /// One that takes nothing in clear, and nothing from strangers; its certificate is for `localhost`.
    pub(crate) fn secured(safety: Safety) -> Self {
        Self::encrypted(safety, None)
    }

    /// The same; and nobody gets a word in who does not present a certificate that `authority` vouches for.
    pub(crate) fn suspicious(safety: Safety, authority: &CertificateDer<'static>) -> Self {
        Self::encrypted(safety, Some(authority.clone()))
    }

    fn encrypted(safety: Safety, authority: Option<CertificateDer<'static>>) -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let guests = match authority {
            None => WebPkiClientVerifier::no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority).unwrap();
                let guests =
                    WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
                guests.build().unwrap()
            }
        };
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(guests)
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let server = Self::begin(move |stream, letters| {
            let acceptor = acceptor.clone();
            async move {
                let (stream, manner) = match safety {
                    Safety::Implicit => (stream, Manner { greets: true, ..Manner::SECURED }),
                    Safety::Starttls => {
                        let letters = Arc::clone(&letters);
                        match receive(stream, Manner::CAREFUL, letters).await {
                            Ok(Some(stream)) => (stream, Manner::SECURED),
                            _ => return,
                        }
                    }
                };
                if let Ok(stream) = acceptor.accept(stream).await {
                    let _ = receive(stream, manner, letters).await;
                }
            }
        });
        Self { authority: made.cert.pem(), ..server }
    }

    fn begin<F>(serve: impl Fn(tokio::net::TcpStream, Taken) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let taken = Taken::default();
        let letters = Arc::clone(&taken);
        let server = Backend::serving(move |stream| serve(stream, Arc::clone(&letters)));
        Self { server, taken, visits: Arc::default(), authority: String::new() }
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.server.address()
    }

    pub(crate) fn server(&mut self) -> &mut Backend {
        &mut self.server
    }

    pub(crate) fn visits(&self) -> usize {
        self.visits.load(Ordering::SeqCst)
    }

    pub(crate) fn letters(&self) -> Vec<Letter> {
        self.taken.lock().unwrap().clone()
    }
}

/// How a connection is treated.
#[derive(Clone, Copy)]
struct Manner {
    greets: bool,
    /// Whether nothing goes before STARTTLS.
    offers_tls: bool,
    /// Whether TLS is spoken already, so that a login is asked for.
    is_secured: bool,
}

impl Manner {
    const OPEN: Self = Self { greets: true, offers_tls: false, is_secured: false };
    const CAREFUL: Self = Self { offers_tls: true, ..Self::OPEN };
    const SECURED: Self = Self { greets: false, offers_tls: false, is_secured: true };
}

/// RFC 5321, as far as it goes, with RFC 3207 and RFC 4954. What is left of the connection, if TLS is to
/// begin.
async fn receive<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    manner: Manner,
    letters: Taken,
) -> std::io::Result<Option<S>> {
    let mut stream = BufReader::new(stream);
    if manner.greets {
        stream.write_all(b"220 test ESMTP\r\n").await?;
    }
    let mut letter = Letter { is_secured: manner.is_secured, ..Letter::default() };
    while let Some(line) = next_line(&mut stream).await? {
        let (verb, rest) = line.split_once([' ', ':']).unwrap_or((&line, ""));
        let answer = match verb {
            "EHLO" => {
                letter.helo = rest.to_owned();
                match manner {
                    Manner { offers_tls: true, .. } => "250-test\r\n250 STARTTLS",
                    Manner { is_secured: true, .. } => "250-test\r\n250 AUTH PLAIN",
                    _ => "250 test",
                }
            }
            "STARTTLS" if manner.offers_tls => {
                stream.write_all(b"220 go on\r\n").await?;
                return Ok(Some(stream.into_inner()));
            }
            "AUTH" if rest == format!("PLAIN {CREDENTIALS}") => {
                letter.is_known = true;
                "235 welcome"
            }
            "AUTH" => "535 who are you?",
            "QUIT" => "221 bye",
            _ if manner.offers_tls || manner.is_secured && !letter.is_known => "530 not like that",
            "MAIL" => {
                letter.from = rest.to_owned();
                "250 go on"
            }
            "RCPT" if rest.contains("nobody@") => "550 there is no such user",
            "RCPT" => {
                letter.to.push(rest.to_owned());
                "250 go on"
            }
            "DATA" => {
                stream.write_all(b"354 go on\r\n").await?;
                while let Some(line) = next_line(&mut stream).await?.filter(|line| line != ".") {
                    letter.text += &line;
                    letter.text += "\n";
                }
                letters.lock().unwrap().push(letter.clone());
                "250 taken"
            }
            _ => "500 what?",
        };
        stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
        stream.flush().await?;
    }
    Ok(None)
}

async fn next_line<S: AsyncRead + Unpin>(
    stream: &mut BufReader<S>,
) -> std::io::Result<Option<String>> {
    let mut line = String::new();
    let length = stream.read_line(&mut line).await?;
    Ok((length > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned()))
}
