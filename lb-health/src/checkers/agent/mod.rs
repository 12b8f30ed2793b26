//! Asks an agent beside a backend what is to be done with it.

mod line;

use std::sync::Arc;

use self::line::Line;
use super::connection::conversation::Conversation;
use super::connection::transport::{Transport, conversing, securing};
use crate::advice::Advice;
use crate::trace::Excerpt;
use crate::{CheckError, Failure, Report, Target};

/// Asks an agent beside a backend what is to be done with it: HAProxy's `agent-check`, so that its
/// agents can stay.
///
/// An agent is whatever answers a connection by a line of words, in any case, separated by spaces,
/// tabs or commas. Of words of one kind the last counts:
///
/// | word | means |
/// |---|---|
/// | `up` | passes |
/// | `down`, `fail`, `stopped` | fails, [`CheckError::Rejected`] |
/// | `N%`, `weight:N%` | [`Advice::percent`] |
/// | `weight:N` | [`Report::weight`] |
/// | `maxconn:N` | [`Advice::max_connections`], 0 for as many as come |
/// | `ready`, `drain`, `maint` | [`Advice::admin`] |
/// | `#`… | text to the end of the line: evidence |
///
/// Other words count for nothing beside these.
///
/// **An agent that cannot be reached, or says nothing of this, is neutral**: it is
/// [`CheckError::Agent`], which is a [local](CheckError::is_local) error and leaves the backend as it
/// is, and as the other checks say while the agent has said nothing yet: the check that finds out
/// whether the backend lives is another. A backend without another is up until its agent says that it
/// is not.
///
/// **What a line does not say is as it was**: a share or a weight, a `maxconn`, and `drain` or `maint`,
/// which only `ready` ends. So it is in HAProxy, whose agents may tell the load alone, or be three
/// buttons of an administrator (its configuration manual under `agent-check`, and `check.c`,
/// `tcpcheck_agent_expect_reply`: each of the four kinds of words is acted upon only if there is one).
/// [`Report::amends`] says so to the monitor. What a former check said, before its configuration changed,
/// holds only until the first line.
///
/// Not as there: a line that says neither up nor down passes. In HAProxy it leaves that as it is, too, so
/// that an agent has to say `up` after it said `down`. Here traffic can take a backend down as well, and an
/// agent that only ever tells the load would never bring it up again. A line that says down says nothing
/// else. A line needs no end, where HAProxy ignores one without: the end of the connection will do.
///
/// ```no_run
/// use std::time::Duration;
/// use lb_health::{Target, checkers::Agent};
/// use tower::ServiceExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let agent = Agent::new().with_send("backend-3\n");
/// let report = agent.oneshot(Target::new("192.0.2.1:9777".parse()?, Duration::from_secs(1))).await?;
/// println!("{:?} percent", report.advice.percent);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Agent {
    transport: Transport,
    send: Option<Arc<[u8]>>,
}

impl Agent {
    /// A checker that says nothing to the agent.
    pub fn new() -> Self {
        Self::default()
    }

    /// This checker, sending `bytes` first: HAProxy's `agent-send`.
    #[must_use]
    pub fn with_send(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.send = Some(bytes.as_ref().into());
        self
    }

    async fn ask(&self, talk: &mut Conversation, target: Target) -> Result<Line, CheckError> {
        self.transport.secure(talk, target).await?;
        if let Some(bytes) = &self.send {
            talk.send(bytes).await?;
        }
        match talk.message(Line::parse).await {
            // The end of the connection is the end of the line, too.
            Err(CheckError::Truncated { .. }) => {
                Line::parse_all(talk.received()).map_err(CheckError::protocol)
            }
            result => result,
        }
    }

    async fn run(self, target: Target) -> Result<Report, Failure> {
        let mut line = Line::default();
        let connector = &self.transport.connector;
        let asking = Conversation::hold(connector, target, async |talk| {
            line = self.ask(talk, target).await?;
            Ok(())
        });
        let report = asking.await.map_err(|Failure { error, trace }| {
            // What is wrong on this host stays that.
            let local = error.is_local();
            let error = if local { error } else { CheckError::Agent { source: Arc::new(error) } };
            Failure::new(error, trace)
        })?;
        let Line { up, admin, max_connections, percent, weight, text } = line;
        if up == Some(false) {
            let said = Excerpt::new(text.as_bytes());
            let error = CheckError::rejected(format!("the agent says that it is down{said}"));
            return Err(Failure::new(error, report.trace));
        }
        let advice = Advice { admin, max_connections, percent };
        Ok(Report { weight, advice, amends: true, ..report })
    }
}

conversing!(Agent, run);
securing!(Agent, "");
