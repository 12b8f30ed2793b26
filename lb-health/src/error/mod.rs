//! Why a run of a check did not pass: exactly one cause each.

mod reported;

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::digest::Digest;
use crate::status_ranges::StatusRanges;
use crate::trace::{Excerpt, Phase};

/// Why a run of a check did not pass.
///
/// ```
/// use std::io;
/// use lb_health::trace::Phase;
/// use lb_health::CheckError;
///
/// let refused = CheckError::from_io(Phase::Connect, io::ErrorKind::ConnectionRefused.into());
/// assert_eq!((refused.cause(), refused.is_local()), ("refused", false));
///
/// // Nothing is known of a target that was never spoken to.
/// let full = CheckError::from_io(Phase::Connect, io::ErrorKind::AddrInUse.into());
/// assert_eq!((full.cause(), full.is_local()), ("local", true));
/// ```
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// An agent beside the target was of no help. It says nothing of the target.
    #[error("the agent: {source}")]
    Agent {
        /// Why it was of none; its cause counts.
        source: Arc<Self>,
    },
    /// The body is complete but does not say what is expected.
    #[error("the body {what}")]
    Body {
        /// What is wrong with it: "does not contain …".
        what: Arc<str>,
    },
    /// The body is longer than the checker reads.
    #[error("the body is longer than {limit} bytes (`body_limit`)")]
    BodyTooLarge {
        /// The longest body that is read, in bytes.
        limit: usize,
    },
    /// The body ended before its announced length, or in the middle of a chunk.
    #[error("the body was cut off after {received} bytes")]
    BodyTruncated {
        /// The bytes of the body that did arrive.
        received: usize,
    },
    /// The connection was closed before the first byte of an answer.
    #[error("the connection was closed without an answer")]
    Closed,
    /// A cause of one checker alone: of your own, or a status code that only its protocol knows.
    #[error("{cause}: {source}")]
    Custom {
        /// A short, stable label, as [`CheckError::cause`] gives it.
        cause: &'static str,
        /// What happened.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The certificate's time is over.
    #[error("the certificate has expired")]
    CertificateExpired,
    /// The certificate is for other names.
    #[error("the certificate is not for {name}")]
    CertificateName {
        /// The name it should be for.
        name: Arc<str>,
    },
    /// The certificate's time has not come: or a clock is wrong, this host's or the authority's.
    #[error("the certificate is not valid yet")]
    CertificateNotYetValid,
    /// Nobody who is trusted vouches for the certificate, or it is broken.
    #[error("the certificate is not trusted: {source}")]
    CertificateUntrusted {
        /// What the verifier said.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The body is complete but is not the expected one.
    #[error("the body's digest is {got}, not {wanted}")]
    Digest {
        /// The digest of the body.
        got: Arc<Digest>,
        /// The digest that was expected.
        wanted: Arc<Digest>,
    },
    /// The name of the target stands for no address: it is not known, or nobody could say.
    ///
    /// The target's failure, since nothing can be sent there. Checkers are given an address and
    /// resolve nothing: this is for whoever resolves names around them. What a name stood for is best
    /// kept for as long as nobody says otherwise; while it never stood for anything, this serves as
    /// the checker, to be [replaced](crate::Monitor::replace) by the real one, or that by one for
    /// another address:
    ///
    /// ```
    /// use lb_health::{CheckError, Report, Target};
    ///
    /// let unknown = CheckError::dns("db.example.org", "no such name");
    /// assert_eq!(unknown.to_string(), "cannot resolve db.example.org: no such name");
    /// assert_eq!((unknown.cause(), unknown.is_local()), ("dns", false));
    ///
    /// let unresolved = move |_: Target| std::future::ready(Err::<Report, _>(unknown.clone()));
    /// fn is_checker(_: impl lb_health::Checker) {}
    /// is_checker(tower::service_fn(unresolved));
    /// ```
    #[error("cannot resolve {name}: {source}")]
    Dns {
        /// The name.
        name: Arc<str>,
        /// What the resolver said.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The header of the answer does not say what is expected.
    #[error("the header {what}")]
    Header {
        /// What is wrong with it: "has no …".
        what: Arc<str>,
    },
    /// The header of the answer is longer than the checker reads.
    #[error("the header is longer than {limit} bytes")]
    HeaderTooLarge {
        /// The longest header that is read, in bytes.
        limit: usize,
    },
    /// This host could not run the check: out of descriptors, no such source address. It says
    /// nothing of the target.
    #[error("cannot {operation} here")]
    Local {
        /// What was tried.
        operation: &'static str,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// The run waited in vain for its checker to take it: so many others are going that there is no turn
    /// for it, such as slots of scripts. It says nothing of the target.
    #[error("no turn within {waited:?}: as many as may run at once have not ended")]
    NoTurn {
        /// How long it waited.
        waited: Duration,
    },
    /// The driver itself was late, so that the run's timeout proves nothing. It says nothing of the
    /// target.
    #[error("this host is overloaded: {lag:?} late")]
    Overloaded {
        /// How late the driver woke.
        lag: Duration,
    },
    /// The checker panicked. That is a bug in it, and no proof that the target lives.
    #[error("the checker panicked: {message}")]
    Panicked {
        /// The panic message.
        message: Arc<str>,
    },
    /// The answer is not of the protocol.
    #[error("not a valid answer: {source}")]
    Protocol {
        /// What the parser said.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// Nothing listens at the address.
    #[error("connection refused")]
    Refused,
    /// The target answered as its protocol has it, but that it is not well: a refusal, a code that
    /// is not the expected one, text that does not match, a server in another role.
    #[error("{what}")]
    Rejected {
        /// What it said, and what was wanted.
        what: Arc<str>,
    },
    /// The connection broke.
    #[error("connection reset ({phase} phase)")]
    Reset {
        /// When it broke.
        phase: Phase,
    },
    /// The script ended with a code that means failure.
    #[error("the script exited with {code}{output}")]
    ScriptExit {
        /// The exit code, 1 to 255.
        code: u8,
        /// How its output begins.
        output: Excerpt,
    },
    /// The script was ended by a signal that the checker did not send.
    #[error("the script was killed by signal {signal}{output}")]
    ScriptKilled {
        /// The number of the signal.
        signal: i32,
        /// How its output begins.
        output: Excerpt,
    },
    /// The script does not exist or cannot be executed. It says nothing of the target.
    #[error("cannot execute {}", program.display())]
    ScriptNotFound {
        /// The program.
        program: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// The answer's status is not accepted.
    #[error("status {got}, not one of {wanted}")]
    Status {
        /// The status of the answer.
        got: u16,
        /// Those that pass.
        wanted: StatusRanges,
    },
    /// No TLS session could be agreed upon.
    #[error("TLS: {source}")]
    TlsHandshake {
        /// What the TLS library said.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The run's time was over.
    #[error("timed out ({phase} phase)")]
    Timeout {
        /// What it was waiting for.
        phase: Phase,
    },
    /// The connection was closed in the middle of an answer.
    #[error("the connection was closed in the middle of an answer, after {received} bytes of it")]
    Truncated {
        /// The bytes of that answer that did arrive.
        received: usize,
    },
    /// The network knows no way to the target.
    #[error("unreachable")]
    Unreachable {
        /// What the network said.
        source: Arc<io::Error>,
    },
}

impl CheckError {
    /// A cause of your own, with a short, stable label for [`Self::cause`].
    pub fn custom(cause: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Custom { cause, source: Arc::from(source.into()) }
    }

    /// [`Self::Dns`]: `source` says why `name` stands for no address.
    pub fn dns(name: impl Into<Arc<str>>, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Dns { name: name.into(), source: Arc::from(source.into()) }
    }

    /// [`Self::Rejected`], in words.
    pub fn rejected(what: impl Into<Arc<str>>) -> Self {
        Self::Rejected { what: what.into() }
    }

    /// [`Self::Protocol`]: `source` says what is wrong with the answer.
    pub fn protocol(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Protocol { source: Arc::from(source.into()) }
    }

    /// The cause of a failed system call on the way to or in talk with a target.
    ///
    /// What only the network or the target can cause is the target's failure (refused, unreachable,
    /// reset, timed out), as in keepalived (`tcp_socket_state`); every other error is
    /// [`CheckError::Local`]. (What a socket reports later, when nothing of this host can be the cause, tells
    /// more: [`Self::from_network`].) A network that this host has no way to is unreachable as well: a director that
    /// has lost its side of a network has nobody there to send clients to, however that came about.
    pub fn from_io(phase: Phase, error: io::Error) -> Self {
        use io::ErrorKind as Kind;
        match error.kind() {
            Kind::ConnectionRefused => Self::Refused,
            Kind::TimedOut => Self::Timeout { phase },
            Kind::HostUnreachable | Kind::NetworkDown | Kind::NetworkUnreachable => {
                Self::Unreachable { source: Arc::new(error) }
            }
            Kind::UnexpectedEof => Self::Closed,
            Kind::BrokenPipe
            | Kind::ConnectionAborted
            | Kind::ConnectionReset
            | Kind::NotConnected => Self::Reset { phase },
            _ => Self::Local { operation: phase.operation(), source: Arc::new(error) },
        }
    }

    /// A short, stable label for metrics and status pages, such as `refused` or `timeout-connect`.
    pub fn cause(&self) -> &'static str {
        match self {
            Self::Agent { source } => Self::cause(source),
            Self::Body { .. } => "body",
            Self::BodyTooLarge { .. } => "body-too-large",
            Self::BodyTruncated { .. } => "body-truncated",
            Self::CertificateExpired => "tls-expired",
            Self::CertificateName { .. } => "tls-name",
            Self::CertificateNotYetValid => "tls-not-yet-valid",
            Self::CertificateUntrusted { .. } => "tls-untrusted",
            Self::Closed => "closed",
            Self::Custom { cause, .. } => cause,
            Self::Digest { .. } => "digest",
            Self::Dns { .. } => "dns",
            Self::Header { .. } => "header",
            Self::HeaderTooLarge { .. } => "header-too-large",
            Self::Local { .. } => "local",
            Self::NoTurn { .. } => "no-turn",
            Self::Overloaded { .. } => "overloaded",
            Self::Panicked { .. } => "panicked",
            Self::Protocol { .. } => "protocol",
            Self::Refused => "refused",
            Self::Rejected { .. } => "rejected",
            Self::Reset { .. } => "reset",
            Self::ScriptExit { .. } => "script-exit",
            Self::ScriptKilled { .. } => "script-killed",
            Self::ScriptNotFound { .. } => "script-not-found",
            Self::Status { .. } => "status",
            Self::Timeout { phase } => match phase {
                Phase::Body => "timeout-body",
                Phase::Connect => "timeout-connect",
                Phase::Dns => "timeout-dns",
                Phase::Response => "timeout-response",
                Phase::Script => "timeout-script",
                Phase::Tls => "timeout-tls",
                Phase::Whole => "timeout",
                Phase::Write => "timeout-write",
            },
            Self::TlsHandshake { .. } => "tls-handshake",
            Self::Truncated { .. } => "truncated",
            Self::Unreachable { .. } => "unreachable",
        }
    }

    /// Whether `other` says the same: the same cause, and the same of what tells one such failure from
    /// another. Numbers that only tell how far a run got do not.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Agent { source: one }, Self::Agent { source: other }) => one.is_like(other),
            (Self::Body { what: one }, Self::Body { what: other })
            | (Self::CertificateName { name: one }, Self::CertificateName { name: other })
            | (Self::Header { what: one }, Self::Header { what: other })
            | (Self::Panicked { message: one }, Self::Panicked { message: other })
            | (Self::Rejected { what: one }, Self::Rejected { what: other })
            | (Self::Dns { name: one, .. }, Self::Dns { name: other, .. }) => one == other,
            (Self::Digest { got: one, .. }, Self::Digest { got: other, .. }) => one == other,
            (
                Self::Local { operation: one, source: why },
                Self::Local { operation: other, source: because },
            ) => one == other && why.kind() == because.kind(),
            (
                Self::ScriptExit { code: one, output: said },
                Self::ScriptExit { code: other, output: says },
            ) => one == other && said == says,
            (Self::ScriptKilled { signal: one, .. }, Self::ScriptKilled { signal: other, .. }) => {
                one == other
            }
            (Self::Status { got: one, .. }, Self::Status { got: other, .. }) => one == other,
            _ => self.cause() == other.cause(),
        }
    }

    /// Whether the fault lies with this host, or with an agent, so that the run says nothing of the
    /// target.
    pub fn is_local(&self) -> bool {
        matches!(
            self,
            Self::Agent { .. }
                | Self::Local { .. }
                | Self::NoTurn { .. }
                | Self::Overloaded { .. }
                | Self::ScriptNotFound { .. }
        )
    }
}
