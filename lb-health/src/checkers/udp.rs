//! Passes when a datagram is answered.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::sync::Arc;

use super::Origin;
use super::connection::attempt::Attempt;
use super::connection::datagram;
use super::service::checker;
use crate::trace::Phase;
use crate::{CheckError, Failure, Report, Target};

/// Passes when a datagram is answered, by a reply that is as expected.
///
/// An ICMP error is a failure at once. What keepalived's `UDP_CHECK` does otherwise: there, silence
/// passes unless `require_reply` is set, though a host that is gone and one that limits its ICMP
/// errors are silent too; and an empty reply matches every pattern.
///
/// ```
/// use lb_health::checkers::Udp;
///
/// // The first 4 bytes of an NTP request, and of a reply to it from any server in order.
/// let ntp = Udp::new()
///     .with_payload([&[0x23][..], &[0; 47]].concat())
///     .expecting("24".parse()?)
///     .with_reply_length(48..=68);
/// let syslog = Udp::new().with_payload("<46>probe").tolerating_silence();
/// # Ok::<(), lb_health::checkers::ParseNibblesError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Udp {
    payload: Arc<[u8]>,
    expected: Option<Nibbles>,
    length: RangeInclusive<usize>,
    needs_reply: bool,
    origin: Origin,
}

impl Udp {
    /// The most bytes that a datagram carries (RFC 768, over IPv4).
    pub const LONGEST: usize = 65_507;

    /// A checker that sends an empty datagram, and passes with any reply.
    pub fn new() -> Self {
        Self {
            payload: Arc::new([]),
            expected: None,
            length: 0..=Self::LONGEST,
            needs_reply: true,
            origin: Origin::new(),
        }
    }

    /// What is sent.
    #[must_use]
    pub fn with_payload(self, payload: impl AsRef<[u8]>) -> Self {
        Self { payload: payload.as_ref().into(), ..self }
    }

    /// What the reply must begin with.
    #[must_use]
    pub fn expecting(self, expected: Nibbles) -> Self {
        Self { expected: Some(expected), ..self }
    }

    /// How many bytes a reply must have. Default: any number.
    #[must_use]
    pub fn with_reply_length(self, length: RangeInclusive<usize>) -> Self {
        Self { length, ..self }
    }

    /// Silence passes, once the run's time is over. Default: it fails.
    #[must_use]
    pub fn tolerating_silence(self) -> Self {
        Self { needs_reply: false, ..self }
    }

    /// Where to send from; an address of this host may stand for an [`Origin`].
    #[must_use]
    pub fn with_origin(self, origin: impl Into<Origin>) -> Self {
        Self { origin: origin.into(), ..self }
    }

    async fn run(self, target: Target) -> Result<Report, Failure> {
        let mut attempt = Attempt::begin(target);
        let result = self.ask(&mut attempt, target).await;
        attempt.finish(result)
    }

    async fn ask(&self, attempt: &mut Attempt, target: Target) -> Result<(), CheckError> {
        let socket = datagram::connected(target.address, &self.origin)?;
        datagram::send(attempt, &socket, &self.payload).await?;
        // One byte more than is allowed shows that there are too many.
        let mut reply = Vec::with_capacity(self.length.end().min(&Self::LONGEST) + 1);
        match attempt.step(Phase::Response, socket.recv_buf(&mut reply)).await {
            Ok(_) => {}
            Err(CheckError::Timeout { .. }) if !self.needs_reply => return Ok(()),
            Err(error) => return Err(error),
        }
        attempt.trace.evidence_mut().received(&reply);
        if !self.length.contains(&reply.len()) {
            let (got, least, most) = (reply.len(), self.length.start(), self.length.end());
            let more = if got > *most { " or more" } else { "" };
            let what = format!("the reply has {got} bytes{more}, not {least} to {most}");
            return Err(CheckError::rejected(what));
        }
        match &self.expected {
            Some(expected) if !expected.begins(&reply) => {
                Err(CheckError::rejected(format!("the reply does not begin with {expected}")))
            }
            _ => Ok(()),
        }
    }
}

impl Default for Udp {
    fn default() -> Self {
        Self::new()
    }
}

checker!(Udp);

/// Bytes of which halves may be open, as keepalived writes them: two digits a byte, `x` for any.
///
/// ```
/// use lb_health::checkers::Nibbles;
///
/// let pattern: Nibbles = "80x1".parse()?;
/// assert!(pattern.begins(&[0x80, 0xf1, 7]) && !pattern.begins(&[0x80, 0x12]));
/// assert!(!pattern.begins(&[0x80])); // too short
/// assert_eq!(Nibbles::exactly(b"\x80\x01").to_string(), "8001");
/// # Ok::<(), lb_health::checkers::ParseNibblesError>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Nibbles(Arc<[(u8, u8)]>);

impl Nibbles {
    /// Exactly these bytes.
    pub fn exactly(bytes: impl AsRef<[u8]>) -> Self {
        Self(bytes.as_ref().iter().map(|&byte| (byte, 0xff)).collect())
    }

    /// Those bits of `bytes` that are set in `mask`; where that is too short, all.
    pub fn masked(bytes: impl AsRef<[u8]>, mask: impl AsRef<[u8]>) -> Self {
        let mask = mask.as_ref().iter().copied().chain(std::iter::repeat(0xff));
        Self(bytes.as_ref().iter().zip(mask).map(|(byte, mask)| (byte & mask, mask)).collect())
    }

    /// Whether `reply` begins with these.
    pub fn begins(&self, reply: &[u8]) -> bool {
        let mut compared = self.0.iter().zip(reply);
        reply.len() >= self.0.len() && compared.all(|((byte, mask), reply)| reply & mask == *byte)
    }
}

impl fmt::Display for Nibbles {
    /// The digits. A half that is open in part shows as open.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut half = |value: u8, mask: u8| match mask {
            0xf => write!(f, "{value:x}"),
            _ => f.write_str("x"),
        };
        self.0.iter().try_for_each(|(byte, mask)| {
            half(byte >> 4, mask >> 4)?;
            half(byte & 0xf, mask & 0xf)
        })
    }
}

impl FromStr for Nibbles {
    type Err = ParseNibblesError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let half = |digit: u8| match digit {
            b'x' | b'X' => Some((0, 0)),
            digit => char::from(digit).to_digit(16).map(|value| (value as u8, 0xf)),
        };
        let pairs = text.as_bytes().chunks(2).map(|pair| {
            let &[high, low] = pair else { return None };
            let ((high, high_mask), (low, low_mask)) = (half(high)?, half(low)?);
            Some((high << 4 | low, high_mask << 4 | low_mask))
        });
        let pairs = pairs.collect::<Option<_>>();
        pairs.map(Self).ok_or_else(|| ParseNibblesError { text: text.into() })
    }
}

/// A text is not a pattern of bytes.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{text:?} is not two hexadecimal digits, or x, for each byte")]
pub struct ParseNibblesError {
    text: String,
}
