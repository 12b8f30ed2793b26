//! The two messages of `grpc.health.v1.Health/Check`, framed as gRPC frames them.
//!
//! Two fields in all: a generator for protocol buffers, and what it generates, would be more to read
//! than this, and more to build.

use std::fmt;

/// What a gRPC server says of a service (`grpc.health.v1.HealthCheckResponse.ServingStatus`).
///
/// ```
/// use lb_health::checkers::ServingStatus;
///
/// let frame = [0, 0, 0, 0, 2, 0x08, 1];
/// assert_eq!(ServingStatus::parse(&frame), Ok(ServingStatus::Serving));
/// assert_eq!(ServingStatus::Serving.emit(), frame);
/// assert!(ServingStatus::parse(&frame[..6]).is_err());
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ServingStatus {
    /// It says nothing.
    Unknown,
    /// It serves.
    Serving,
    /// It does not serve.
    NotServing,
    /// There is no such service. It is for `Watch`; `Check` has a status code for that.
    ServiceUnknown,
    /// A value that the protocol does not have yet.
    Other(u64),
}

impl ServingStatus {
    /// Reads an answer, with its frame: the one message of it, not compressed.
    ///
    /// # Errors
    /// If it is anything else.
    pub fn parse(frame: &[u8]) -> Result<Self, HealthFrameError> {
        let mut message = match frame {
            [] => return Err(HealthFrameError::Empty),
            [0, a, b, c, d, message @ ..] => {
                let announced = u32::from_be_bytes([*a, *b, *c, *d]);
                if usize::try_from(announced) != Ok(message.len()) {
                    return Err(HealthFrameError::Length { announced, received: message.len() });
                }
                message
            }
            [0, ..] => return Err(HealthFrameError::Truncated),
            [..] => return Err(HealthFrameError::Compressed),
        };
        // A field that is zero is not sent. Of one that is sent twice, the last counts.
        let mut status = 0;
        while !message.is_empty() {
            let key = varint(&mut message)?;
            match (key >> 3, key & 7) {
                (0, _) => return Err(HealthFrameError::Field),
                (1, 0) => status = varint(&mut message)?,
                (_, kind) => skip(&mut message, kind)?,
            }
        }
        Ok(status.into())
    }

    /// Writes an answer, with its frame.
    pub fn emit(self) -> Vec<u8> {
        let mut message = Vec::new();
        let mut value = u64::from(self);
        if value != 0 {
            message.push(1 << 3);
            while value >= 0x80 {
                message.push(value as u8 | 0x80);
                value >>= 7;
            }
            message.push(value as u8);
        }
        framed(&message)
    }
}

/// Asks about `service`, with its frame.
pub(super) fn request(service: &str) -> Vec<u8> {
    let mut message = Vec::new();
    if !service.is_empty() {
        message.push(1 << 3 | 2);
        let mut length = service.len();
        while length >= 0x80 {
            message.push(length as u8 | 0x80);
            length >>= 7;
        }
        message.push(length as u8);
        message.extend_from_slice(service.as_bytes());
    }
    framed(&message)
}

fn framed(message: &[u8]) -> Vec<u8> {
    let length = (message.len() as u32).to_be_bytes();
    [&[0][..], &length, message].concat()
}

/// Takes a number of seven bits a byte, the lowest first.
fn varint(message: &mut &[u8]) -> Result<u64, HealthFrameError> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = message.split_first().ok_or(HealthFrameError::Truncated)?;
        *message = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(HealthFrameError::Field)
}

/// Passes over a field that this version does not know.
fn skip(message: &mut &[u8], kind: u64) -> Result<(), HealthFrameError> {
    let length = match kind {
        0 => return varint(message).map(drop),
        1 => 8,
        2 => varint(message)?,
        5 => 4,
        _ => return Err(HealthFrameError::Field),
    };
    let length = usize::try_from(length).map_err(|_| HealthFrameError::Truncated)?;
    *message = message.get(length..).ok_or(HealthFrameError::Truncated)?;
    Ok(())
}

impl From<u64> for ServingStatus {
    fn from(value: u64) -> Self {
        match value {
            0 => Self::Unknown,
            1 => Self::Serving,
            2 => Self::NotServing,
            3 => Self::ServiceUnknown,
            other => Self::Other(other),
        }
    }
}

impl From<ServingStatus> for u64 {
    fn from(status: ServingStatus) -> Self {
        match status {
            ServingStatus::Unknown => 0,
            ServingStatus::Serving => 1,
            ServingStatus::NotServing => 2,
            ServingStatus::ServiceUnknown => 3,
            ServingStatus::Other(other) => other,
        }
    }
}

impl fmt::Display for ServingStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("UNKNOWN"),
            Self::Serving => f.write_str("SERVING"),
            Self::NotServing => f.write_str("NOT_SERVING"),
            Self::ServiceUnknown => f.write_str("SERVICE_UNKNOWN"),
            Self::Other(other) => write!(f, "serving status {other}"),
        }
    }
}

/// This is no answer of the health protocol.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HealthFrameError {
    /// It is compressed, which was not asked for.
    #[error("the message is compressed")]
    Compressed,
    /// There is nothing.
    #[error("there is no message")]
    Empty,
    /// A field that no message can have.
    #[error("the message is no protocol buffer")]
    Field,
    /// Not the length that is announced, or more than one message.
    #[error("the message has {received} bytes, not {announced}")]
    Length {
        /// The length before the message.
        announced: u32,
        /// The bytes that followed.
        received: usize,
    },
    /// It ends in the middle.
    #[error("the message is cut off")]
    Truncated,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fields_of_later_versions_are_passed_over() {
        for (message, status) in [
            (&[][..], ServingStatus::Unknown),
            (&[0x08, 1], ServingStatus::Serving),
            (&[0x08, 2], ServingStatus::NotServing),
            (&[0x08, 1, 0x08, 3], ServingStatus::ServiceUnknown),
            (&[0x12, 2, b'h', b'i', 0x08, 1, 0x18, 0x80, 1], ServingStatus::Serving),
            (&[0x21, 0, 0, 0, 0, 0, 0, 0, 0, 0x2d, 0, 0, 0, 0, 0x08, 1], ServingStatus::Serving),
            // As a number of 32 bits below zero is sent.
            (
                &[0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1],
                ServingStatus::Other(u64::MAX),
            ),
        ] {
            assert_eq!(ServingStatus::parse(&framed(message)), Ok(status), "{message:?}");
        }
    }

    #[test]
    fn what_is_no_answer_is_refused_for_its_reason() {
        for (frame, error) in [
            (&[][..], HealthFrameError::Empty),
            (&[0, 0, 0], HealthFrameError::Truncated),
            (&[1, 0, 0, 0, 0], HealthFrameError::Compressed),
            (&[0, 0, 0, 0, 3, 8, 1], HealthFrameError::Length { announced: 3, received: 2 }),
            (&[0, 0, 0, 0, 0, 8, 1], HealthFrameError::Length { announced: 0, received: 2 }),
            (
                &[0, 255, 255, 255, 255],
                HealthFrameError::Length { announced: u32::MAX, received: 0 },
            ),
            (&[0, 0, 0, 0, 1, 8], HealthFrameError::Truncated),
            (&[0, 0, 0, 0, 2, 0x12, 5], HealthFrameError::Truncated),
            (&[0, 0, 0, 0, 2, 0x0b, 0], HealthFrameError::Field),
            (&[0, 0, 0, 0, 1, 0], HealthFrameError::Field),
        ] {
            assert_eq!(ServingStatus::parse(frame), Err(error), "{frame:?}");
        }
    }

    #[test]
    fn services_are_asked_for_by_name() {
        assert_eq!(request(""), [0, 0, 0, 0, 0]);
        assert_eq!(request("a.B"), [0, 0, 0, 0, 5, 0x0a, 3, b'a', b'.', b'B']);
        let long = request(&"x".repeat(300));
        assert_eq!(long[..8], [0, 0, 0, 1, 47, 0x0a, 0xac, 2]);
    }

    proptest! {
        #[test]
        fn what_is_emitted_is_parsed(status: u64) {
            let status = ServingStatus::from(status);
            prop_assert_eq!(ServingStatus::parse(&status.emit()), Ok(status));
        }
    }
}
