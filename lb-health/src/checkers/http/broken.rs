//! What the errors of the protocol libraries stand for.

use std::error::Error;
use std::io;

use super::session::HEADER_LIMIT;
use crate::CheckError;
use crate::trace::Phase;

/// A request or an answer that was cut short.
#[derive(Debug)]
pub(super) enum Broken {
    Http1(hyper::Error),
    Http2(h2::Error),
}

impl Broken {
    /// Whether the server says that it has not looked at the request (RFC 9113, 8.7).
    pub(super) fn is_refused(&self) -> bool {
        match self {
            Self::Http1(error) => error.is_canceled(),
            Self::Http2(error) => {
                let graceful = error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR);
                error.is_remote()
                    && (graceful || error.reason() == Some(h2::Reason::REFUSED_STREAM))
            }
        }
    }

    /// The cause, if this happened after `received` bytes of an answer but before the end of its
    /// header.
    pub(super) fn in_head(self, received: usize) -> CheckError {
        match self.system(Phase::Response) {
            // A server that closes knows no HTTP/2, or will have none of it.
            Some(CheckError::Reset { .. }) if received == 0 && self.is_end() => CheckError::Closed,
            Some(cause) => cause,
            None => match self {
                Self::Http1(error) if error.is_parse() && received >= HEADER_LIMIT => {
                    CheckError::HeaderTooLarge { limit: HEADER_LIMIT }
                }
                Self::Http1(_) if received == 0 => CheckError::Closed,
                Self::Http1(error) => CheckError::protocol(error),
                Self::Http2(error) => CheckError::protocol(error),
            },
        }
    }

    /// The cause, if this happened after `received` bytes of a body.
    pub(super) fn in_body(self, received: usize) -> CheckError {
        match (self.system(Phase::Body), self) {
            (Some(CheckError::Closed), _) => CheckError::BodyTruncated { received },
            (Some(cause), Self::Http2(_)) if !matches!(cause, CheckError::Local { .. }) => cause,
            (Some(cause @ CheckError::TlsHandshake { .. }), _) => cause,
            (_, Self::Http1(error)) if error.is_incomplete_message() => {
                CheckError::BodyTruncated { received }
            }
            (Some(cause), Self::Http1(error)) => match io_error(&error) {
                Some(broken) if broken.raw_os_error().is_some() => cause,
                // hyper words bad chunk framing as an I/O error of its own.
                _ => CheckError::protocol(error),
            },
            (None, Self::Http1(error)) => CheckError::protocol(error),
            (_, Self::Http2(error)) => CheckError::protocol(error),
        }
    }

    /// The cause, if the system or TLS is where it comes from.
    fn system(&self, phase: Phase) -> Option<CheckError> {
        let error = match self {
            Self::Http1(error) => io_error(error)?,
            Self::Http2(error) => error.get_io()?,
        };
        #[cfg(feature = "tls")]
        if let Some(cause) = crate::checkers::connection::tls::cause(error) {
            return Some(cause);
        }
        Some(CheckError::from_network(
            phase,
            match error.raw_os_error() {
                Some(code) => io::Error::from_raw_os_error(code),
                None => error.kind().into(),
            },
        ))
    }

    /// Whether the library made this error of the end of the stream.
    fn is_end(&self) -> bool {
        match self {
            Self::Http1(_) => false,
            Self::Http2(error) => error.get_io().is_some_and(|io| io.raw_os_error().is_none()),
        }
    }
}

/// The I/O error that `error` comes from, if it does.
fn io_error(error: &hyper::Error) -> Option<&io::Error> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io);
        }
        cause = error.source();
    }
    None
}
