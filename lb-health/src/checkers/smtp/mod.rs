//! Passes when a mail server would take mail.

mod reply;

use std::net::IpAddr;
use std::sync::Arc;

use self::reply::Reply;
use super::connection::conversation::Conversation;
use super::connection::transport::{Transport, conversing};
use crate::trace::Excerpt;
use crate::{CheckError, Target};

/// Passes when a mail server greets and says hello: `220`, `EHLO`, `250` (RFC 5321). It then takes
/// its leave by `QUIT`, whose answer is not awaited. keepalived's `SMTP_CHECK`, HAProxy's `smtpchk`.
///
/// A server that does not know `EHLO` is asked by `HELO`.
///
/// ```no_run
/// use std::time::Duration;
/// use lb_health::{Target, checkers::{Smtp, Tls}};
/// use tower::ServiceExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let checker = Smtp::new().with_name("director.example.org")?;
/// # #[cfg(feature = "tls")]
/// let checker = checker.with_starttls(Tls::new()?.with_name("mail.example.org")?);
/// checker.oneshot(Target::new("192.0.2.1:25".parse()?, Duration::from_secs(5))).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Smtp {
    transport: Transport,
    /// Whether TLS is asked for by a command, not spoken at once.
    starttls: bool,
    name: Option<Arc<str>>,
    /// Whether HELO is all that is said.
    helo: bool,
}

impl Smtp {
    /// A checker that presents itself by its address (RFC 5321, section 4.1.3).
    pub fn new() -> Self {
        Self::default()
    }

    /// This checker, presenting itself as `name`.
    ///
    /// # Errors
    /// If it is not of printable ASCII without a space, or longer than 255 bytes.
    pub fn with_name(mut self, name: &str) -> Result<Self, SmtpNameError> {
        if !(1..=255).contains(&name.len()) || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(SmtpNameError { name: name.to_owned() });
        }
        self.name = Some(name.into());
        Ok(self)
    }

    /// This checker, saying `HELO` and never `EHLO`.
    #[must_use]
    pub fn with_helo(mut self) -> Self {
        self.helo = true;
        self
    }

    /// This checker, turning to TLS by `STARTTLS` (RFC 3207). A server that does not offer it fails,
    /// as does one that does not say hello again, in secret.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn with_starttls(mut self, tls: super::Tls) -> Self {
        self.transport.tls = Some(tls);
        self.starttls = true;
        self
    }

    /// This checker, talking TLS from the beginning, as on port 465 (RFC 8314).
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn with_tls(mut self, tls: super::Tls) -> Self {
        self.transport.tls = Some(tls);
        self.starttls = false;
        self
    }

    async fn talk(&self, talk: &mut Conversation, target: Target) -> Result<(), CheckError> {
        let result = self.greet(talk, target).await;
        // Who is turned away says goodbye as well (RFC 5321, section 3.1).
        if matches!(result, Ok(()) | Err(CheckError::Rejected { .. })) {
            talk.close(b"QUIT\r\n").await;
        }
        result
    }

    async fn greet(&self, talk: &mut Conversation, target: Target) -> Result<(), CheckError> {
        if !self.starttls {
            self.transport.secure(talk, target).await?;
        }
        accepted("the greeting", 220, talk.message(Reply::parse).await?)?;
        let hello = self.say_hello(talk).await?;
        if self.starttls {
            if !hello.offers("STARTTLS") {
                return Err(CheckError::rejected("the server offers no STARTTLS"));
            }
            accepted("STARTTLS", 220, ask(talk, "STARTTLS").await?)?;
            self.transport.secure(talk, target).await?;
            // What was said before may have been said by anybody (RFC 3207, section 4.2).
            self.say_hello(talk).await?;
        }
        Ok(())
    }

    async fn say_hello(&self, talk: &mut Conversation) -> Result<Reply, CheckError> {
        let name = match &self.name {
            Some(name) => String::from(&**name),
            None => literal(talk.source()?),
        };
        if !self.helo {
            let reply = ask(talk, &format!("EHLO {name}")).await?;
            // RFC 5321, section 4.1.1.1: it does not know the command.
            if !matches!(reply.code, 500 | 502) {
                return accepted("EHLO", 250, reply);
            }
        }
        accepted("HELO", 250, ask(talk, &format!("HELO {name}")).await?)
    }
}

conversing!(Smtp);

/// This is no name to present oneself by.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{name:?} is not a host name or an address literal")]
#[non_exhaustive]
pub struct SmtpNameError {
    /// What was given.
    pub name: String,
}

async fn ask(talk: &mut Conversation, command: &str) -> Result<Reply, CheckError> {
    talk.send(format!("{command}\r\n").as_bytes()).await?;
    talk.message(Reply::parse).await
}

fn accepted(what: &str, wanted: u16, reply: Reply) -> Result<Reply, CheckError> {
    if reply.code == wanted {
        return Ok(reply);
    }
    let text = Excerpt::new(reply.lines.join(" ").as_bytes());
    Err(CheckError::rejected(format!("{what} was answered by {}, not {wanted}{text}", reply.code)))
}

/// An address in place of a name (RFC 5321, section 4.1.3).
fn literal(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(ip) => format!("[{ip}]"),
        IpAddr::V6(ip) => format!("[IPv6:{ip}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_as_a_literal() {
        for (ip, written) in [
            ("192.0.2.7", "[192.0.2.7]"),
            ("::ffff:192.0.2.7", "[192.0.2.7]"),
            ("2001:db8::7", "[IPv6:2001:db8::7]"),
        ] {
            assert_eq!(literal(ip.parse().unwrap()), written);
        }
    }

    #[test]
    fn a_name_cannot_smuggle_commands() {
        for name in ["", "a b", "a\r\nDATA", "é", &"a".repeat(256)] {
            assert!(Smtp::new().with_name(name).is_err(), "{name:?}");
        }
        assert!(Smtp::new().with_name("[IPv6:::1]").is_ok());
    }
}
