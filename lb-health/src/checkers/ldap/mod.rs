//! Passes when a directory lets a user in, and has an entry.

mod message;

use std::sync::Arc;

use self::message::{Message, Outcome, tag};
use super::connection::conversation::Conversation;
use super::connection::secret::Secret;
use super::connection::transport::{Transport, conversing, securing};
use crate::trace::Excerpt;
use crate::{CheckError, Target};

/// Passes when an LDAP directory lets a user in, or nobody in particular, and has the
/// [entry](Self::with_entry) that it should have (RFC 4511, version 3). HAProxy's `ldap-check`.
///
/// Every run that was answered takes its leave by an unbind.
///
/// ```no_run
/// use std::time::Duration;
/// use lb_health::{Target, checkers::Ldap};
/// use tower::ServiceExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let checker = Ldap::new()
///     .with_user("cn=check,dc=example,dc=org", "secret")
///     .with_entry("dc=example,dc=org", "objectClass");
/// checker.oneshot(Target::new("192.0.2.1:389".parse()?, Duration::from_secs(1))).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Ldap {
    transport: Transport,
    user: Option<(Arc<str>, Secret)>,
    entry: Option<(Arc<str>, Arc<str>)>,
}

impl Ldap {
    /// A checker that binds anonymously.
    pub fn new() -> Self {
        Self::default()
    }

    /// This checker, binding as `name`, a distinguished one, with `password`.
    ///
    /// With an empty password that proves nothing: a server takes it for an anonymous bind, or
    /// refuses it (RFC 4513, section 5.1.2).
    #[must_use]
    pub fn with_user(mut self, name: &str, password: &str) -> Self {
        self.user = Some((name.into(), password.into()));
        self
    }

    /// This checker, then looking for the entry `name`, which must be there for the user to see and
    /// have `attribute`; each has an `objectClass`. The directory's own entry has the empty name.
    #[must_use]
    pub fn with_entry(mut self, name: &str, attribute: &str) -> Self {
        self.entry = Some((name.into(), attribute.into()));
        self
    }

    async fn talk(&self, talk: &mut Conversation, target: Target) -> Result<(), CheckError> {
        self.transport.secure(talk, target).await?;
        let result = self.ask(talk).await;
        if matches!(result, Ok(()) | Err(CheckError::Rejected { .. })) {
            talk.close(&message::unbind(3)).await;
        }
        result
    }

    async fn ask(&self, talk: &mut Conversation) -> Result<(), CheckError> {
        let (name, password) = match &self.user {
            Some((name, password)) => (&**name, password.expose()),
            None => ("", ""),
        };
        talk.send(&message::bind(1, name, password)).await?;
        let answer = receive(talk, 1).await?;
        if answer.operation != tag::BIND_RESPONSE {
            return Err(unexpected(&answer));
        }
        succeeded(talk, "bind", &answer)?;
        let Some((name, attribute)) = &self.entry else { return Ok(()) };
        talk.send(&message::search(2, name, attribute)).await?;
        let mut found = None;
        // One entry was asked for; there may be a reference to another directory, and the end.
        for _ in 0..3 {
            let answer = receive(talk, 2).await?;
            match answer.operation {
                tag::SEARCH_ENTRY => found = Some(answer.entry().map_err(CheckError::protocol)?),
                tag::SEARCH_REFERENCE => {}
                tag::SEARCH_DONE => {
                    succeeded(talk, "search", &answer)?;
                    let Some(found) = found else {
                        let text = format!("there is no {name:?} with {attribute:?} to be seen");
                        return Err(CheckError::rejected(text));
                    };
                    // That of the server itself (RFC 4512, 5.1) has none.
                    let shown = if found.is_empty() { "the entry without a name" } else { &*found };
                    talk.attempt().trace.evidence_mut().received = Excerpt::new(shown.as_bytes());
                    return Ok(());
                }
                _ => return Err(unexpected(&answer)),
            }
        }
        Err(CheckError::protocol("more than was asked for"))
    }
}

conversing!(Ldap);
securing!(Ldap, " from the beginning, as on port 636");

/// The answer to request `id`.
async fn receive(talk: &mut Conversation, id: u32) -> Result<Message, CheckError> {
    let answer = talk.message(Message::parse).await?;
    match answer.id {
        0 if answer.operation == tag::EXTENDED_RESPONSE => {
            Err(succeeded(talk, "connection", &answer).err().unwrap_or(CheckError::Closed))
        }
        got if got == id => Ok(answer),
        got => Err(CheckError::protocol(format!("message {got} where {id} was due"))),
    }
}

/// What the server tells of its own work, which is evidence.
fn succeeded(talk: &mut Conversation, what: &str, answer: &Message) -> Result<(), CheckError> {
    let outcome = answer.outcome().map_err(CheckError::protocol)?;
    let said = Excerpt::new(outcome.text.as_bytes());
    let name = outcome.name();
    let text = format!("{what}: {name}{said}");
    talk.attempt().trace.evidence_mut().received = Excerpt::new(text.as_bytes());
    match outcome.code {
        Outcome::SUCCESS => Ok(()),
        code => Err(CheckError::rejected(format!("{what}: {name} ({code}){said}"))),
    }
}

fn unexpected(answer: &Message) -> CheckError {
    CheckError::protocol(format!("operation {:#04x} has no place there", answer.operation))
}
