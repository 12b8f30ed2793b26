//! The messages of PostgreSQL's protocol, version 3 ("Message Formats" in its documentation), as the
//! crate `postgres-protocol` reads them: but no longer ones than a check has use for.

use std::io;

use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use postgres_protocol::message::backend::{DataRowBody, ErrorFields, Header, Message};

/// What a server sent is not of the protocol.
#[derive(Debug, thiserror::Error)]
pub(super) enum Malformed {
    #[error("a message of {length} bytes, more than {LONGEST}")]
    Long { length: usize },
    #[error("a message {tag:?} that is broken or unknown")]
    Message { tag: char, source: io::Error },
}

/// The longest message that is read: a check is not for reading tables.
const LONGEST: usize = 32 * 1024;

/// The message at the beginning of `bytes`, once it is all there, and its length.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Message, usize)>, Malformed> {
    let tag = bytes.first().copied().unwrap_or_default().into();
    let broken = |source| Malformed::Message { tag, source };
    let Some(header) = Header::parse(bytes).map_err(broken)? else { return Ok(None) };
    // The tag is not counted.
    let length = usize::try_from(header.len()).unwrap_or(usize::MAX).saturating_add(1);
    if length > LONGEST {
        return Err(Malformed::Long { length });
    }
    let Some(bytes) = bytes.get(..length) else { return Ok(None) };
    let message = Message::parse(&mut BytesMut::from(bytes)).map_err(broken)?;
    Ok(message.map(|message| (message, length)))
}

/// The code (SQLSTATE) of an error, and what it says.
pub(super) fn error(mut fields: ErrorFields<'_>) -> (String, String) {
    let (mut code, mut message) = (String::new(), String::new());
    while let Ok(Some(field)) = fields.next() {
        let value = || String::from_utf8_lossy(field.value_bytes()).into_owned();
        match field.type_() {
            b'C' => code = value(),
            b'M' => message = value(),
            _ => {}
        }
    }
    (code, message)
}

/// The values of a row as text; NULL is empty.
pub(super) fn row(body: &DataRowBody) -> io::Result<Vec<String>> {
    let buffer = body.buffer();
    let text = |range| buffer.get(range).map(String::from_utf8_lossy).unwrap_or_default();
    body.ranges().map(|range| Ok(range.map(text).unwrap_or_default().into_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of PostgreSQL 15, to a wrong password.
    const DENIED: &[u8] =
        b"E\0\0\0\x66SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed for \
        user \"hashed\"\0Fauth.c\0L334\0Rauth_failed\0\0";

    #[test]
    fn a_message_is_read_once_it_is_all_there() {
        let (message, used) = parse(DENIED).unwrap().unwrap();
        assert_eq!(used, DENIED.len());
        let Message::ErrorResponse(body) = message else { panic!("another message") };
        let told = r#"password authentication failed for user "hashed""#;
        assert_eq!(error(body.fields()), ("28P01".to_owned(), told.to_owned()));
        for count in 0..DENIED.len() {
            assert!(matches!(parse(&DENIED[..count]), Ok(None)), "{count}");
        }
    }

    #[test]
    fn rows_are_read() {
        let bytes = b"D\0\0\0\x16\0\x03\0\0\0\x01f\xff\xff\xff\xff\0\0\0\x03off";
        let (message, _) = parse(bytes).unwrap().unwrap();
        let Message::DataRow(body) = message else { panic!("another message") };
        assert_eq!(row(&body).unwrap(), ["f", "", "off"]);
    }

    #[test]
    fn what_is_no_message_is_refused() {
        assert!(matches!(parse(b"E\0\x01\0\0"), Err(Malformed::Long { length: 65537 })));
        assert!(matches!(parse(b"E\0\0\0\x03"), Err(Malformed::Message { tag: 'E', .. })));
        assert!(matches!(parse(b"\x01\0\0\0\x04"), Err(Malformed::Message { tag: '\x01', .. })));
        assert!(parse(b"220 mail.example.org\r\n").is_err());
    }
}
