//! Passes when a Redis server answers, in the role that it should have.

mod resp;

use std::sync::Arc;

use self::resp::{Value, command};
use super::connection::conversation::Conversation;
use super::connection::secret::Secret;
use super::connection::transport::{Transport, conversing, securing};
use crate::trace::Excerpt;
use crate::{CheckError, Target};

/// Passes when a Redis server answers `PING`, and has the [role](Self::with_role) that it should
/// have. So do servers of its kind: Valkey, KeyDB. HAProxy's `redis-check`.
///
/// A server that answers by an error is [`Rejected`](CheckError::Rejected) in its words: that it
/// wants a password (`NOAUTH`), that it still loads its data (`LOADING`), that it is a replica
/// without its master (`MASTERDOWN`).
///
/// ```no_run
/// use std::time::Duration;
/// use lb_health::{Target, checkers::{Redis, RedisRole}};
/// use tower::ServiceExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let master = Redis::new().with_user("check", "secret").with_role(RedisRole::Master);
/// master.oneshot(Target::new("192.0.2.1:6379".parse()?, Duration::from_secs(1))).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Redis {
    transport: Transport,
    user: Option<Arc<str>>,
    password: Option<Secret>,
    role: Option<RedisRole>,
}

/// What a Redis server is to others.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum RedisRole {
    /// It takes writes.
    Master,
    /// It follows a master, and the link to that one is up.
    Replica,
}

impl Redis {
    /// A checker that does not authenticate itself.
    pub fn new() -> Self {
        Self::default()
    }

    /// This checker, authenticating itself by `password`, as Redis had it before version 6.
    #[must_use]
    pub fn with_password(mut self, password: &str) -> Self {
        (self.user, self.password) = (None, Some(password.into()));
        self
    }

    /// This checker, authenticating itself as `user`, who may run `PING`, and `ROLE` if it is asked
    /// for (`ACL SETUSER check on >secret +ping +role`).
    #[must_use]
    pub fn with_user(mut self, user: &str, password: &str) -> Self {
        (self.user, self.password) = (Some(user.into()), Some(password.into()));
        self
    }

    /// This checker, passing a server in `role` only.
    #[must_use]
    pub fn with_role(mut self, role: RedisRole) -> Self {
        self.role = Some(role);
        self
    }

    async fn talk(&self, talk: &mut Conversation, target: Target) -> Result<(), CheckError> {
        self.transport.secure(talk, target).await?;
        if let Some(password) = &self.password {
            let mut words = vec!["AUTH"];
            words.extend(self.user.as_deref());
            words.push(password.expose());
            expect(talk, &words, "OK").await?;
        }
        expect(talk, &["PING"], "PONG").await?;
        match self.role {
            Some(wanted) => wanted.judge(&ask(talk, &["ROLE"]).await?),
            None => Ok(()),
        }
    }
}

conversing!(Redis);
securing!(Redis, "");

impl RedisRole {
    /// Whether the answer to `ROLE` says this.
    fn judge(self, answer: &Value) -> Result<(), CheckError> {
        let Value::Array(parts) = answer else { return Err(unexpected("ROLE", answer)) };
        let text = |index: usize| parts.get(index).map(Value::text).unwrap_or_default();
        match (self, text(0).as_str()) {
            (Self::Master, "master") => Ok(()),
            // connect, connecting, handshake and sync are on the way there.
            (Self::Replica, "slave") => match text(3).as_str() {
                "connected" => Ok(()),
                link => Err(CheckError::rejected(format!("the link to the master: {link:?}"))),
            },
            (Self::Master, other) => {
                Err(CheckError::rejected(format!("the server is no master, but {other:?}")))
            }
            (Self::Replica, other) => {
                Err(CheckError::rejected(format!("the server is no replica, but {other:?}")))
            }
        }
    }
}

async fn ask(talk: &mut Conversation, words: &[&str]) -> Result<Value, CheckError> {
    talk.send(&command(words)).await?;
    match talk.message(Value::parse).await? {
        Value::Error(text) => {
            let said = Excerpt::new(text.as_bytes());
            Err(CheckError::rejected(format!("{} was refused{said}", words[0])))
        }
        value => Ok(value),
    }
}

async fn expect(talk: &mut Conversation, words: &[&str], wanted: &str) -> Result<(), CheckError> {
    let answer = ask(talk, words).await?;
    if answer.text() == wanted { Ok(()) } else { Err(unexpected(words[0], &answer)) }
}

fn unexpected(command: &str, answer: &Value) -> CheckError {
    CheckError::protocol(format!("{command} was answered by {answer}"))
}
