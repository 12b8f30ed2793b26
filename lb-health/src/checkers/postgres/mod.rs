//! Passes when a PostgreSQL server lets a user in, and answers.

mod login;
mod message;

use std::io;
use std::sync::Arc;

use bytes::BytesMut;
use postgres_protocol::message::backend::{ErrorFields, Message};
use postgres_protocol::message::frontend;

use self::login::Login;
use super::connection::conversation::Conversation;
use super::connection::secret::Secret;
use super::connection::transport::{Transport, conversing, securing};
use super::database::{Request, requesting};
use crate::trace::Excerpt;
use crate::{CheckError, Target};

/// Passes when a PostgreSQL server lets a user in, and answers: a [query](Self::with_query), or that
/// it is [writable](Self::with_writable).
///
/// The user needs no privilege but to connect. It is authenticated by SCRAM-SHA-256 (RFC 7677), by
/// MD5, or not at all; by the password itself only [over TLS](Self::with_tls). Every run that was
/// let in takes its leave, so that the server logs no connection that was lost.
///
/// The proof by SCRAM takes the time that it is made to take: about a millisecond at PostgreSQL's
/// default of 4096 iterations. It is made on one of the runtime's threads for what blocks, so that a
/// server which asks for more holds up nobody else. More than 100 000 fail.
///
/// ```no_run
/// use std::time::Duration;
/// use lb_health::{Target, checkers::Postgres};
/// use tower::ServiceExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let primary = Postgres::new("check").with_password("secret").with_writable();
/// let report = primary.oneshot(Target::new("192.0.2.1:5432".parse()?, Duration::from_secs(1))).await?;
/// println!("{}", report.trace.evidence().received.as_str()); // PostgreSQL 15.8
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Postgres {
    transport: Transport,
    user: Arc<str>,
    password: Option<Secret>,
    request: Request,
}

impl Postgres {
    /// The most messages of one answer.
    const MOST_MESSAGES: usize = 1000;
    /// A standby is in recovery; a primary may be set to read-only all the same.
    const WRITABLE: &str = "SELECT pg_is_in_recovery(), current_setting('transaction_read_only')";

    /// A checker that logs in as `user`, without a password.
    pub fn new(user: &str) -> Self {
        Self {
            transport: Transport::default(),
            user: user.into(),
            password: None,
            request: Request::default(),
        }
    }

    /// This checker, giving `password` if it is asked for.
    #[must_use]
    pub fn with_password(mut self, password: &str) -> Self {
        self.password = Some(password.into());
        self
    }

    async fn talk(&self, talk: &mut Conversation, target: Target) -> Result<(), CheckError> {
        if self.transport.is_secured() {
            send(talk, |buffer| {
                frontend::ssl_request(buffer);
                Ok(())
            })
            .await?;
            match talk.message(|bytes| Ok::<_, io::Error>(bytes.first().map(|&b| (b, 1)))).await? {
                b'S' => self.transport.secure(talk, target).await?,
                b'N' => return Err(CheckError::rejected("the server offers no TLS")),
                other => {
                    let text = format!("{:?} in answer to the request for TLS", char::from(other));
                    return Err(CheckError::protocol(text));
                }
            }
        }
        Login::new(self, talk).run().await?;
        let result = self.ask(talk).await;
        let mut farewell = BytesMut::new();
        frontend::terminate(&mut farewell);
        talk.close(&farewell).await;
        result
    }

    async fn ask(&self, talk: &mut Conversation) -> Result<(), CheckError> {
        if let Some(query) = &self.request.query {
            run(talk, query).await?;
        }
        if self.request.writable {
            let rows = run(talk, Self::WRITABLE).await?;
            let Some([recovery, read_only]) = rows.first().map(Vec::as_slice) else {
                return Err(CheckError::protocol(
                    "the server does not tell whether it is read-only",
                ));
            };
            let why = match (recovery.as_str(), read_only.as_str()) {
                ("f", "off") => return Ok(()),
                ("t", _) => "it is in recovery",
                _ => "transaction_read_only is on",
            };
            talk.attempt().trace.evidence_mut().received = Excerpt::new(why.as_bytes());
            return Err(CheckError::rejected(format!("the server is not writable: {why}")));
        }
        Ok(())
    }
}

conversing!(Postgres);
securing!(Postgres, "; a server that does not offer it fails");
requesting!(
    Postgres,
    ", which otherwise has the name of the user",
    "less than a thousand rows",
    "it is not in recovery, so no standby, and `transaction_read_only` is off"
);

/// Runs a query by the simple protocol; answers the rows.
async fn run(talk: &mut Conversation, query: &str) -> Result<Vec<Vec<String>>, CheckError> {
    send(talk, |buffer| frontend::query(query, buffer)).await?;
    let mut rows = Vec::new();
    let mut error = None;
    for _ in 0..Postgres::MOST_MESSAGES {
        match talk.message(message::parse).await? {
            Message::DataRow(body) => {
                rows.push(message::row(&body).map_err(CheckError::protocol)?);
            }
            // After an error the server is ready again, and can be told farewell.
            Message::ErrorResponse(body) => error = Some(refused(talk, body.fields())),
            Message::ReadyForQuery(_) => return error.map_or(Ok(rows), Err),
            Message::CommandComplete(_)
            | Message::EmptyQueryResponse
            | Message::NoticeResponse(_)
            | Message::NotificationResponse(_)
            | Message::ParameterStatus(_)
            | Message::RowDescription(_) => {}
            _ => return Err(unexpected()),
        }
    }
    let most = Postgres::MOST_MESSAGES;
    Err(CheckError::protocol(format!("the result has {most} messages and more")))
}

async fn send(
    talk: &mut Conversation,
    emit: impl FnOnce(&mut BytesMut) -> io::Result<()>,
) -> Result<(), CheckError> {
    let mut buffer = BytesMut::new();
    // It fails for text with a zero in it, which the protocol cannot carry.
    emit(&mut buffer).map_err(CheckError::protocol)?;
    talk.send(&buffer).await
}

/// The server's word against itself, which is evidence.
fn refused(talk: &mut Conversation, fields: ErrorFields<'_>) -> CheckError {
    let (code, text) = message::error(fields);
    let said = Excerpt::new(text.as_bytes());
    talk.attempt().trace.evidence_mut().received = said.clone();
    CheckError::rejected(format!("error {code}{said}"))
}

fn unexpected() -> CheckError {
    CheckError::protocol("a message that has no place there")
}
