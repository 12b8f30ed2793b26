//! Passes when a server says what it should, step by step.

use std::sync::Arc;

#[cfg(feature = "tls")]
use super::Tls;
use super::connection::conversation::Conversation;
use super::connection::transport::{Transport, conversing};
use super::pattern::Pattern;
use crate::trace::Excerpt;
use crate::{CheckError, Target};

/// Passes when a server says what it should: sends and expects, one after the other. HAProxy's
/// `tcp-check`, nginx's `match`.
///
/// Each [`Pattern`] is looked for in what was received since the match before it, and what is before
/// a match is passed over: answers may come in any pieces, early, or several at once. The first match
/// to end counts, so that an expression should end with what ends an answer, such as `\r\n`; what is
/// there so far counts as the text: `$` may hold in the middle of a line that is still on its way. The
/// connection
/// is then reset; only if the sequence ends with a send, which may be a farewell, the server gets a
/// tenth of a second to hang up before that. An answer is at most 64 KiB long.
///
/// What failed is in the [`Evidence`](crate::trace::Evidence): what was received, and what was wanted.
///
/// ```
/// use std::time::Duration;
/// use lb_health::{Target, checkers::{Pattern, SendExpect}};
/// # use tokio::io::AsyncWriteExt;
/// use tower::ServiceExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let imap = SendExpect::new()
///     .with_expect(Pattern::regex(r"^\* (OK|PREAUTH)")?)
///     .with_send("a LOGOUT\r\n")
///     .with_expect(Pattern::text("a OK")?);
/// # let server = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// # let address = server.local_addr()?;
/// # let serve = async {
/// #     let (mut client, _) = server.accept().await?;
/// #     client.write_all(b"* BYE too many connections\r\n").await?;
/// #     client.shutdown().await
/// # };
/// # let run = imap.oneshot(Target::new(address, Duration::from_secs(1)));
/// # let (served, run) = tokio::join!(serve, run);
/// # served?;
/// let failure = run.unwrap_err(); // of a server that is full
/// assert_eq!(failure.cause(), "rejected");
/// assert_eq!(failure.trace.evidence().wanted.as_str(), r"/^\* (OK|PREAUTH)/");
/// assert_eq!(failure.trace.evidence().received.as_str(), "* BYE too many connections");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct SendExpect {
    transport: Transport,
    steps: Arc<[Step]>,
}

#[derive(Clone, Debug)]
enum Step {
    Expect(Pattern),
    Send(Arc<[u8]>),
    #[cfg(feature = "tls")]
    Secure(Tls),
}

impl SendExpect {
    /// A checker that only connects.
    pub fn new() -> Self {
        Self::default()
    }

    /// This checker, then waiting for `expect`.
    #[must_use]
    pub fn with_expect(self, expect: Pattern) -> Self {
        self.then(Step::Expect(expect))
    }

    /// This checker, then sending `bytes`, text or not.
    #[must_use]
    pub fn with_send(self, bytes: impl AsRef<[u8]>) -> Self {
        self.then(Step::Send(bytes.as_ref().into()))
    }

    /// This checker, then going on over TLS: at once if it is the first step, else after what the
    /// protocol has for a STARTTLS. The match before it must reach to the end of the answer: what is
    /// left of it would be taken for words that TLS protects, and fails the run.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn with_tls(self, tls: Tls) -> Self {
        self.then(Step::Secure(tls))
    }

    fn then(self, step: Step) -> Self {
        let steps = self.steps.iter().cloned().chain([step]).collect();
        Self { steps, ..self }
    }

    async fn talk(&self, talk: &mut Conversation, target: Target) -> Result<(), CheckError> {
        // Without TLS nothing needs it.
        let _ = target;
        for (index, step) in self.steps.iter().enumerate() {
            match step {
                Step::Expect(expect) => await_match(talk, expect).await?,
                Step::Send(bytes) if index + 1 == self.steps.len() => talk.close(bytes).await,
                Step::Send(bytes) => talk.send(bytes).await?,
                #[cfg(feature = "tls")]
                Step::Secure(tls) => talk.encrypt(tls, target).await?,
            }
        }
        Ok(())
    }
}

conversing!(SendExpect);

/// Receives until `expect` is found, and takes all up to the end of it.
async fn await_match(talk: &mut Conversation, expect: &Pattern) -> Result<(), CheckError> {
    let (mut search, mut searched) = (expect.search(), 0);
    loop {
        // It begins as it did the last time.
        let heard = talk.received();
        let end = search.go_on(heard.get(searched..).unwrap_or_default());
        let end = end.map(|end| searched + end);
        searched = heard.len();
        let ends = |found: bool| found.then_some(searched);
        if let Some(end) = end.or_else(|| ends(searched > 0 && search.would_end_found())) {
            talk.take(end);
            return Ok(());
        }
        let Err(error) = talk.receive().await.map(drop) else { continue };
        let received = Excerpt::exactly(talk.received());
        let evidence = talk.attempt().trace.evidence_mut();
        evidence.wanted = Excerpt::new(expect.to_string().as_bytes());
        evidence.received = received.clone();
        return Err(match error {
            // It has said all that it has to say, and that was not it.
            CheckError::Truncated { .. } => {
                CheckError::rejected(format!("the answer has no {expect}{received}"))
            }
            error => error,
        });
    }
}
