//! Passes when a server says what it should, step by step.

use std::mem;
use std::sync::Arc;

#[cfg(feature = "tls")]
use super::Tls;
use super::connection::conversation::Conversation;
use super::connection::transport::{Transport, conversing};
use super::pattern::{Pattern, Search};
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
/// What is [refused](Self::with_refusal) must not be there up to the end of the next match, or, if there is
/// none, until the server hangs up: so can an answer be told from one that a match alone would find in it,
/// and an error from silence.
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
/// assert_eq!(failure.trace.evidence().received.as_str(), "* BYE too many connections\r\n");
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
    Refuse(Pattern),
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

    /// This checker, not to hear `refused` in what comes between the match before and the next one, the
    /// text of that one included: the `tcp-check expect !` of HAProxy. The run fails as soon as it is
    /// there and something follows it, without waiting for its time to be over.
    ///
    /// Without a match after it, all must be heard that the server says until it hangs up, and something
    /// must be (as in HAProxy: `tcpcheck.c: tcpcheck_eval_expect`); from a server that does not hang up
    /// the run fails when its time is over. Several may be refused at once.
    ///
    /// ```
    /// use lb_health::checkers::{Pattern, SendExpect};
    ///
    /// let replica = SendExpect::new()
    ///     .with_send("INFO replication\r\n")
    ///     .with_refusal(Pattern::text("master_link_status:down")?)
    ///     .with_expect(Pattern::text("master_repl_offset:")?);
    /// # Ok::<(), lb_health::checkers::PatternError>(())
    /// ```
    #[must_use]
    pub fn with_refusal(self, refused: Pattern) -> Self {
        self.then(Step::Refuse(refused))
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
        let mut refused = Refused::default();
        for (index, step) in self.steps.iter().enumerate() {
            let is_last = index + 1 == self.steps.len();
            match step {
                Step::Expect(expect) => await_match(talk, expect, mem::take(&mut refused)).await?,
                Step::Refuse(pattern) => refused.0.push(pattern.search()),
                Step::Send(bytes) if is_last && refused.0.is_empty() => talk.close(bytes).await,
                Step::Send(bytes) => talk.send(bytes).await?,
                #[cfg(feature = "tls")]
                Step::Secure(tls) => talk.encrypt(tls, target).await?,
            }
        }
        if refused.0.is_empty() { Ok(()) } else { await_end(talk, refused).await }
    }
}

conversing!(SendExpect);

/// What must not be heard.
#[derive(Debug, Default)]
struct Refused(Vec<Search>);

impl Refused {
    /// Looks at what was heard next, of `heard` in all; nothing comes after it if it is `complete`.
    fn look(&mut self, next: &[u8], heard: &[u8], complete: bool) -> Result<(), CheckError> {
        let found = |search: &mut Search| {
            search.go_on(next).is_some() || complete && search.would_end_found()
        };
        match self.0.iter_mut().find_map(|search| found(search).then_some(search.pattern())) {
            Some(pattern) => {
                let received = Excerpt::new(heard);
                Err(CheckError::rejected(format!("the answer has {pattern}{received}")))
            }
            None => Ok(()),
        }
    }
}

/// Receives until `expect` is found, and takes all up to the end of it.
async fn await_match(
    talk: &mut Conversation,
    expect: &Pattern,
    mut refused: Refused,
) -> Result<(), CheckError> {
    let (mut search, mut searched) = (expect.search(), 0);
    loop {
        // It begins as it did the last time.
        let heard = talk.received();
        let next = heard.get(searched..).unwrap_or_default();
        let end = search.go_on(next).map(|end| searched + end);
        let ends = |found: bool| found.then_some(heard.len());
        let end = end.or_else(|| ends(!heard.is_empty() && search.would_end_found()));
        let looked_at = &heard[..end.unwrap_or(heard.len())];
        refused.look(looked_at.get(searched..).unwrap_or_default(), looked_at, end.is_some())?;
        searched = heard.len();
        if let Some(end) = end {
            talk.take(end);
            return Ok(());
        }
        let Err(error) = talk.receive().await.map(drop) else { continue };
        // What came last may be it: whether it is there an expression tells by what follows.
        refused.look(&[], talk.received(), true)?;
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

/// Receives until the target hangs up.
async fn await_end(talk: &mut Conversation, mut refused: Refused) -> Result<(), CheckError> {
    let mut searched = 0;
    loop {
        let heard = talk.received();
        refused.look(&heard[searched..], heard, false)?;
        searched = heard.len();
        match talk.receive().await.map(drop) {
            Ok(()) => {}
            // So its answers end, and there was one.
            Err(CheckError::Truncated { .. }) => return refused.look(&[], talk.received(), true),
            Err(error) => return Err(error),
        }
    }
}
