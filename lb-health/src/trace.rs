//! What a run saw on its way, whatever came of it: how long each phase took, and the evidence.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// A part of a run, in the order of this list: what an error happened in, what time was spent on.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Phase {
    /// Before the name of the target was an address.
    Dns,
    /// Before the connection stood.
    Connect,
    /// Before the TLS session stood.
    Tls,
    /// Before the request was out.
    Write,
    /// Before the answer, or the header of it, was complete.
    Response,
    /// Between the header of the answer and its last byte.
    Body,
    /// While the script ran.
    Script,
    /// Any part: the checker did not keep its own time.
    Whole,
}

impl Phase {
    /// Every phase that can be timed, in order.
    pub const TIMED: [Self; 7] = [
        Self::Dns,
        Self::Connect,
        Self::Tls,
        Self::Write,
        Self::Response,
        Self::Body,
        Self::Script,
    ];

    pub(crate) const fn operation(self) -> &'static str {
        match self {
            Self::Body | Self::Response => "read",
            Self::Connect => "connect",
            Self::Dns => "resolve the name",
            Self::Script => "run the script",
            Self::Tls => "talk TLS",
            Self::Whole => "run the check",
            Self::Write => "write",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Body => "body",
            Self::Connect => "connect",
            Self::Dns => "dns",
            Self::Response => "response",
            Self::Script => "script",
            Self::Tls => "tls",
            Self::Whole => "whole",
            Self::Write => "write",
        })
    }
}

/// What a run saw on its way: part of every [`Report`](crate::Report) and every
/// [`Failure`](crate::Failure).
///
/// ```
/// use std::time::Duration;
/// use lb_health::trace::{Evidence, Phase, Trace};
///
/// let mut trace = Trace::EMPTY;
/// trace.spend(Phase::Connect, Duration::from_millis(3));
/// trace.evidence_mut().received("220 mail.example.org ESMTP");
/// assert_eq!(trace.spent(Phase::Connect), Some(Duration::from_millis(3)));
/// assert_eq!(trace.spent(Phase::Tls), None); // there was none
/// assert_eq!(trace.evidence().received.as_str(), "220 mail.example.org ESMTP");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// For each of [`Phase::TIMED`] the microseconds and one; zero where there was no such phase.
    spent: [u32; Phase::TIMED.len()],
    evidence: Option<Arc<Evidence>>,
}

impl Trace {
    /// Nothing was seen.
    pub const EMPTY: Self = Self { spent: [0; Phase::TIMED.len()], evidence: None };

    /// Adds to the time that `phase` took. [`Phase::Whole`] is not kept. Exact to a microsecond, and
    /// up to 71 minutes.
    pub fn spend(&mut self, phase: Phase, time: Duration) {
        if let Some(spent) = self.spent.get_mut(phase as usize) {
            let micros = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
            *spent = (*spent).max(1).saturating_add(micros);
        }
    }

    /// How long `phase` took, up to its end or the failure in it; `None` if the run did not get
    /// there, or the checker does not measure it.
    pub fn spent(&self, phase: Phase) -> Option<Duration> {
        let micros = self.spent.get(phase as usize)?.checked_sub(1)?;
        Some(Duration::from_micros(micros.into()))
    }

    /// What the target showed of itself; empty if nothing was kept.
    pub fn evidence(&self) -> &Evidence {
        const NOTHING: &Evidence = &Evidence::NOTHING;
        self.evidence.as_deref().unwrap_or(NOTHING)
    }

    /// The evidence, to add to. Allocates the first time.
    pub fn evidence_mut(&mut self) -> &mut Evidence {
        Arc::make_mut(self.evidence.get_or_insert_default())
    }
}

/// What a target showed of itself.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Evidence {
    /// What it was asked for last, by a run that asks for several things.
    pub asked: Excerpt,
    /// The status of its answer, as HTTP has it.
    pub status: Option<u16>,
    /// How what it sent begins.
    pub received: Excerpt,
    /// What it was waited for to send, and did not.
    pub wanted: Excerpt,
    /// The certificate that it presented, trusted or not.
    pub certificate: Option<Certificate>,
}

impl Evidence {
    const NOTHING: Self = Self {
        asked: Excerpt::EMPTY,
        status: None,
        received: Excerpt::EMPTY,
        wanted: Excerpt::EMPTY,
        certificate: None,
    };

    /// Keeps the beginning of `bytes`, unless something was kept already.
    pub fn received(&mut self, bytes: impl AsRef<[u8]>) {
        if self.received.as_str().is_empty() {
            self.received = Excerpt::new(bytes.as_ref());
        }
    }
}

/// What matters of a certificate (RFC 5280).
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Certificate {
    /// Whom it is for, as a distinguished name.
    pub subject: String,
    /// Who vouches for that.
    pub issuer: String,
    /// The names that it is valid for.
    pub names: Vec<String>,
    /// The end of its time.
    pub expires: SystemTime,
}

impl Certificate {
    /// The days that are left at `now`, rounded down; negative once it has expired.
    pub fn days_left(&self, now: SystemTime) -> i64 {
        const DAY: u64 = 24 * 60 * 60;
        match self.expires.duration_since(now) {
            Ok(left) => (left.as_secs() / DAY) as i64,
            Err(over) => -(over.duration().as_secs().div_ceil(DAY) as i64),
        }
    }
}

/// How some output begins: at most [`Excerpt::LIMIT`] bytes, as text.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Excerpt(Option<Arc<str>>);

impl Excerpt {
    /// The bytes of output that are kept.
    pub const LIMIT: usize = 200;
    /// The excerpt of nothing.
    pub const EMPTY: Self = Self(None);

    /// The beginning of `output`, with what is not UTF-8 replaced and space around it removed.
    pub fn new(output: &[u8]) -> Self {
        let kept = &output[..output.len().min(Self::LIMIT)];
        let text = String::from_utf8_lossy(kept);
        let text = text.trim();
        Self((!text.is_empty()).then(|| text.into()))
    }

    /// The beginning of `output` with the space around it, where that may be what matters: a line end that an
    /// expression does not expect.
    pub fn exactly(output: &[u8]) -> Self {
        let kept = &output[..output.len().min(Self::LIMIT)];
        Self((!kept.is_empty()).then(|| String::from_utf8_lossy(kept).into()))
    }

    /// The text; empty if there was none.
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }
}

impl fmt::Display for Excerpt {
    /// `: "the text"`, to follow what it is evidence of; nothing if it is empty.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |text| write!(f, ": {text:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_reached_took_no_time_at_all() {
        let mut trace = Trace::EMPTY;
        for phase in Phase::TIMED {
            assert_eq!(trace.spent(phase), None);
            trace.spend(phase, Duration::ZERO);
            assert_eq!(trace.spent(phase), Some(Duration::ZERO));
            trace.spend(phase, Duration::from_micros(7));
            trace.spend(phase, Duration::from_micros(5));
            assert_eq!(trace.spent(phase), Some(Duration::from_micros(12)));
        }
        trace.spend(Phase::Whole, Duration::from_secs(1));
        assert_eq!(trace.spent(Phase::Whole), None);
        let mut order = Phase::TIMED;
        order.sort();
        assert_eq!(order, Phase::TIMED, "the order of time");
        trace.spend(Phase::Body, Duration::MAX);
        assert!(trace.spent(Phase::Body).unwrap() > Duration::from_secs(71 * 60));
    }

    #[test]
    fn days_are_whole_ones() {
        let day = Duration::from_secs(24 * 60 * 60);
        let expires = SystemTime::UNIX_EPOCH + 100 * day;
        let certificate =
            Certificate { subject: String::new(), issuer: String::new(), names: vec![], expires };
        assert_eq!(certificate.days_left(expires - 2 * day), 2);
        assert_eq!(certificate.days_left(expires - Duration::from_secs(1)), 0);
        assert_eq!(certificate.days_left(expires + Duration::from_secs(1)), -1);
    }
}
