//! Passes when a name server answers.

mod message;

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub use self::message::DnsReply;
use self::message::Question;
use super::connection::attempt::Attempt;
use super::connection::datagram;
use super::service::checker;
use super::tcp::First;
use super::{Origin, Tcp};
use crate::trace::Phase;
use crate::{CheckError, Failure, Report, Target};

/// Passes when a name server answers a question without an error and, if asked for, as expected.
///
/// Asks over UDP, and again over TCP if the answer is truncated. As keepalived's `DNS_CHECK` an
/// answer of `NOERROR` passes, an empty one too. What that does otherwise: there, neither the
/// question that is echoed nor the answers are looked at, truncated answers pass, and the number
/// is not random.
///
/// ```
/// use lb_health::checkers::Dns;
///
/// let alive = Dns::default(); // the SOA of the root, as keepalived asks
/// let mail = Dns::new("example.org", "MX")?.expecting("10 mail.example.org")?;
/// let any = Dns::new("www.example.org", "AAAA")?.requiring_answer();
/// assert!(Dns::new("www..example.org", "A").is_err());
/// assert!(Dns::new("www.example.org", "A")?.expecting("www").is_err()); // no address
/// # Ok::<(), lb_health::checkers::DnsError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Dns {
    question: Arc<Question>,
    origin: Origin,
}

impl Dns {
    /// The most bytes of an answer over UDP: without EDNS no server sends more than 512.
    const DATAGRAM: usize = 4096;

    /// A checker that asks for the records of a type, such as `AAAA`, that `name` has.
    ///
    /// # Errors
    /// If it is no name or no type of record.
    pub fn new(name: &str, record: &str) -> Result<Self, DnsError> {
        Ok(Self { question: Arc::new(Question::new(name, record)?), origin: Origin::new() })
    }

    /// This must be among the answers, as it would stand in a zone file: `192.0.2.1`,
    /// `10 mail.example.org`, `"v=spf1 -all"`. Every name is a full one. Of a TXT record, the text will do as
    /// it is, without quotes, however many strings it is in.
    ///
    /// # Errors
    /// If it is not the data of a record of the type that is asked for.
    pub fn expecting(mut self, answer: &str) -> Result<Self, DnsError> {
        Arc::make_mut(&mut self.question).expect(answer)?;
        Ok(self)
    }

    /// There must be a record of the type that is asked for. Default: none passes too.
    #[must_use]
    pub fn requiring_answer(mut self) -> Self {
        Arc::make_mut(&mut self.question).needs_answer = true;
        self
    }

    /// Where to ask from; an address of this host may stand for an [`Origin`].
    #[must_use]
    pub fn with_origin(self, origin: impl Into<Origin>) -> Self {
        Self { origin: origin.into(), ..self }
    }

    async fn run(self, target: Target) -> Result<Report, Failure> {
        let mut attempt = Attempt::begin(target);
        let result = self.ask(&mut attempt, target).await;
        attempt.finish(result)
    }

    async fn ask(&self, attempt: &mut Attempt, target: Target) -> Result<(), CheckError> {
        let id = draw();
        let query = self.query(id);
        let socket = datagram::connected(target.address, &self.origin)?;
        datagram::send(attempt, &socket, &query).await?;
        let mut buffer = vec![0; Self::DATAGRAM];
        loop {
            let length = attempt.step(Phase::Response, socket.recv(&mut buffer)).await?;
            let reply = self.heard(attempt, id, &buffer[..length])?;
            match reply {
                DnsReply::Answered => return Ok(()),
                DnsReply::NotOurs => {}
                DnsReply::Truncated => return self.ask_again(attempt, target, id, &query).await,
            }
        }
    }

    /// Asks over TCP, where two bytes of length come first (RFC 1035, 4.2.2).
    async fn ask_again(
        &self,
        attempt: &mut Attempt,
        target: Target,
        id: u16,
        query: &[u8],
    ) -> Result<(), CheckError> {
        let connector = Tcp::new().with_origin(self.origin.clone());
        let mut stream = connector.connect(attempt, target.address, First::We).await?;
        // In one write: a server may take what comes first for all of it (RFC 7766, 8).
        let framed = [&(query.len() as u16).to_be_bytes(), query].concat();
        attempt.step(Phase::Write, stream.write_all(&framed)).await?;
        let length = attempt.step(Phase::Response, stream.read_u16()).await?;
        let mut buffer = vec![0; length.into()];
        attempt.step(Phase::Body, stream.read_exact(&mut buffer)).await.map_err(
            |error| match error {
                CheckError::Closed => CheckError::protocol("the answer is shorter than announced"),
                error => error,
            },
        )?;
        match self.heard(attempt, id, &buffer)? {
            DnsReply::Answered => Ok(()),
            DnsReply::NotOurs => Err(CheckError::protocol("an answer of another number")),
            DnsReply::Truncated => Err(CheckError::protocol("truncated even over TCP")),
        }
    }

    fn heard(&self, attempt: &mut Attempt, id: u16, reply: &[u8]) -> Result<DnsReply, CheckError> {
        self.judge(id, reply, attempt.trace.evidence_mut())
    }
}

impl Default for Dns {
    /// Asks for the SOA of the root.
    fn default() -> Self {
        Self { question: Arc::new(Question::root()), origin: Origin::new() }
    }
}

checker!(Dns);

/// A question cannot be asked like this.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DnsError {
    /// Not what a record of this type holds.
    #[error("{answer:?} is not the data of a record of type {record}")]
    Answer {
        /// What was given.
        answer: String,
        /// The type that is asked for.
        record: String,
    },
    /// Not a name.
    #[error("{name:?} is not a domain name")]
    Name {
        /// What was given.
        name: String,
    },
    /// Not a type.
    #[error("{record:?} is not a type of record")]
    Record {
        /// What was given.
        record: String,
    },
}

/// A number that nobody guesses (RFC 5452, 9.2).
#[expect(clippy::disallowed_methods, reason = "a checker is a driver of its own")]
fn draw() -> u16 {
    rand::random()
}
