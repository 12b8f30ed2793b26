//! Passes when a TLS session can be made.

use super::connection::conversation::Conversation;
use super::service::checker;
use super::{Tcp, Tls};
use crate::{Failure, Report, Target};

/// Passes when a TLS session can be made with a server whose certificate is [in order](Tls); sends
/// nothing in it. HAProxy's `check-ssl` on a plain `tcp` check.
///
/// ```no_run
/// use std::time::Duration;
/// use lb_health::{Target, checkers::{Handshake, Tls}};
/// use tower::ServiceExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let checker = Handshake::new(Tls::new()?.with_name("www.example.org")?);
/// let report = checker.oneshot(Target::new("192.0.2.1:443".parse()?, Duration::from_secs(1))).await?;
/// let certificate = report.trace.evidence().certificate.clone().ok_or("nothing was presented")?;
/// println!("{} until {:?}", certificate.subject, certificate.expires);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Handshake {
    connector: Tcp,
    tls: Tls,
}

impl Handshake {
    /// A checker that talks TLS like this.
    pub const fn new(tls: Tls) -> Self {
        Self { connector: Tcp::new(), tls }
    }

    /// This checker, connecting by `connector`.
    #[must_use]
    pub fn with_connector(self, connector: Tcp) -> Self {
        Self { connector, ..self }
    }

    async fn run(self, target: Target) -> Result<Report, Failure> {
        let Self { connector, tls } = self;
        let talk = async |talk: &mut Conversation| talk.encrypt(&tls, target).await;
        Conversation::hold(&connector, target, talk).await
    }
}

checker!(Handshake);
