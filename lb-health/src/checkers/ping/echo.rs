//! The messages of ping (RFC 792, RFC 4443 4).

/// An echo message of ICMP: a request, or the reply that repeats it.
///
/// ```
/// use lb_health::checkers::{Echo, EchoFamily};
///
/// let request = Echo { is_reply: false, id: 1, sequence: 2, payload: b"hello".to_vec() };
/// let bytes = request.emit(EchoFamily::V4);
/// assert_eq!(Echo::parse(EchoFamily::V4, &bytes), Ok(request));
/// assert!(Echo::parse(EchoFamily::V4, &bytes[..7]).is_err());
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Echo {
    /// Whether this is the reply.
    pub is_reply: bool,
    /// Tells the sockets of a host apart.
    pub id: u16,
    /// Tells the requests of a socket apart.
    pub sequence: u16,
    /// Anything.
    pub payload: Vec<u8>,
}

/// Which ICMP.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EchoFamily {
    /// ICMP (RFC 792).
    V4,
    /// ICMPv6 (RFC 4443).
    V6,
}

impl EchoFamily {
    /// The types of a request and of a reply.
    const fn types(self) -> [u8; 2] {
        match self {
            Self::V4 => [8, 0],
            Self::V6 => [128, 129],
        }
    }
}

impl Echo {
    const HEADER: usize = 8;

    /// Reads a message, which begins after the header of IP.
    ///
    /// The checksum of ICMPv6 covers the addresses, so that only the system can verify it, and does
    /// (RFC 3542, 3.1).
    ///
    /// # Errors
    /// If it is no echo message, or is damaged.
    pub fn parse(family: EchoFamily, bytes: &[u8]) -> Result<Self, EchoError> {
        let (header, payload) = bytes
            .split_at_checked(Self::HEADER)
            .ok_or(EchoError::Truncated { got: bytes.len() })?;
        let [request, reply] = family.types();
        let is_reply = match (header[0], header[1]) {
            (kind, 0) if kind == request => false,
            (kind, 0) if kind == reply => true,
            (kind, code) => return Err(EchoError::NotEcho { kind, code }),
        };
        if family == EchoFamily::V4 && checksum(bytes) != 0 {
            return Err(EchoError::Checksum);
        }
        Ok(Self {
            is_reply,
            id: u16::from_be_bytes([header[4], header[5]]),
            sequence: u16::from_be_bytes([header[6], header[7]]),
            payload: payload.to_vec(),
        })
    }

    /// Writes a message; the checksum of ICMPv6 is left to the system.
    pub fn emit(&self, family: EchoFamily) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::HEADER + self.payload.len());
        bytes.extend([family.types()[usize::from(self.is_reply)], 0, 0, 0]);
        bytes.extend(self.id.to_be_bytes());
        bytes.extend(self.sequence.to_be_bytes());
        bytes.extend(&self.payload);
        if family == EchoFamily::V4 {
            let sum = checksum(&bytes);
            bytes[2..4].copy_from_slice(&sum.to_be_bytes());
        }
        bytes
    }
}

/// The Internet checksum (RFC 1071); zero over bytes that contain their own.
fn checksum(bytes: &[u8]) -> u16 {
    let sum: u64 = bytes
        .chunks(2)
        .map(|pair| u64::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)])))
        .sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !(((folded & 0xffff) + (folded >> 16)) as u16)
}

/// What follows the header of IPv4, which raw sockets show (RFC 791, 3.1).
pub(super) fn after_header(packet: &[u8]) -> Option<&[u8]> {
    let length = usize::from(packet.first()? & 0xf) * 4;
    packet.get(length..)
}

/// This is no echo message.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EchoError {
    /// Damaged on the way.
    #[error("the checksum is wrong")]
    Checksum,
    /// Another message of ICMP.
    #[error("a message of type {kind} and code {code}")]
    NotEcho {
        /// The type.
        kind: u8,
        /// The code.
        code: u8,
    },
    /// Too short.
    #[error("{got} bytes are too few")]
    Truncated {
        /// What there was.
        got: usize,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_request_is_laid_out_as_in_rfc_792() {
        let bytes = [8, 0, 0x32, 0xa7, 0x00, 0x91, 0x00, 0x01, b'a', b'b', b'c', b'd'];
        let echo = Echo { is_reply: false, id: 0x91, sequence: 1, payload: b"abcd".to_vec() };
        assert_eq!(Echo::parse(EchoFamily::V4, &bytes), Ok(echo.clone()));
        assert_eq!(echo.emit(EchoFamily::V4), bytes);
    }

    #[test]
    fn what_is_none_is_refused_for_its_reason() {
        let unreachable = [3, 1, 0, 0, 0, 0, 0, 0];
        let refused = Echo::parse(EchoFamily::V4, &unreachable);
        assert_eq!(refused, Err(EchoError::NotEcho { kind: 3, code: 1 }));
        assert_eq!(Echo::parse(EchoFamily::V6, &[]), Err(EchoError::Truncated { got: 0 }));
        let damaged = [0, 0, 1, 2, 3, 4, 5, 6];
        assert_eq!(Echo::parse(EchoFamily::V4, &damaged), Err(EchoError::Checksum));
    }

    proptest! {
        #[test]
        fn what_is_emitted_is_parsed(is_reply: bool, id: u16, sequence: u16, payload: Vec<u8>) {
            let echo = Echo { is_reply, id, sequence, payload };
            for family in [EchoFamily::V4, EchoFamily::V6] {
                let parsed = Echo::parse(family, &echo.emit(family));
                prop_assert_eq!(parsed.as_ref(), Ok(&echo));
            }
        }
    }
}
