//! The messages of LDAP that a check needs (RFC 4511), in the subset of BER that LDAP allows
//! (section 5.1): lengths are definite, and no tag is longer than a byte.

/// What a server sent is not of the protocol.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("an element ends in the middle of its {0}")]
    CutOff(&'static str),
    #[error("an element of more than {LONGEST} bytes")]
    Long,
    #[error("an integer of {0} bytes")]
    Integer(usize),
    #[error("a length of indefinite form")]
    Indefinite,
    #[error("the tag {got:#04x} where {wanted:#04x} was due")]
    Tag { got: u8, wanted: u8 },
}

/// The longest message that is read: a check is not for reading directories.
const LONGEST: usize = 32 * 1024;

/// The tags of what is used here: universal, and those of LDAP's operations.
pub(super) mod tag {
    pub(super) const BOOLEAN: u8 = 0x01;
    pub(super) const INTEGER: u8 = 0x02;
    pub(super) const OCTET_STRING: u8 = 0x04;
    pub(super) const ENUMERATED: u8 = 0x0a;
    pub(super) const SEQUENCE: u8 = 0x30;
    pub(super) const BIND_REQUEST: u8 = 0x60;
    pub(in super::super) const BIND_RESPONSE: u8 = 0x61;
    pub(super) const UNBIND_REQUEST: u8 = 0x42;
    pub(super) const SEARCH_REQUEST: u8 = 0x63;
    pub(in super::super) const SEARCH_ENTRY: u8 = 0x64;
    pub(in super::super) const SEARCH_DONE: u8 = 0x65;
    pub(in super::super) const SEARCH_REFERENCE: u8 = 0x73;
    /// With the id 0: the server is about to hang up (section 4.4.1).
    pub(in super::super) const EXTENDED_RESPONSE: u8 = 0x78;
    /// The password, among the ways to authenticate.
    pub(super) const SIMPLE: u8 = 0x80;
    /// That an attribute is there, among the filters.
    pub(super) const PRESENT: u8 = 0x87;
}

/// A message of a server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Message {
    /// That of the request it answers.
    pub(super) id: u32,
    /// The tag of its operation.
    pub(super) operation: u8,
    content: Vec<u8>,
}

impl Message {
    /// The message at the beginning of `bytes`, once it is all there, and its length.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, Malformed> {
        let mut reader = Reader(bytes);
        match bytes.first() {
            None => return Ok(None),
            Some(&tag::SEQUENCE) => {}
            Some(&got) => return Err(Malformed::Tag { got, wanted: tag::SEQUENCE }),
        }
        let message = match reader.element("message") {
            Ok((_, message)) => message,
            Err(Malformed::CutOff(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let used = bytes.len() - reader.0.len();
        let mut reader = Reader(message);
        let id = reader.integer(tag::INTEGER)?;
        let (operation, content) = reader.element("operation")?;
        Ok(Some((Self { id, operation, content: content.to_vec() }, used)))
    }

    /// The outcome that it tells.
    pub(super) fn outcome(&self) -> Result<Outcome, Malformed> {
        let mut reader = Reader(&self.content);
        let code = reader.integer(tag::ENUMERATED)?;
        reader.expect(tag::OCTET_STRING)?;
        let text = String::from_utf8_lossy(reader.expect(tag::OCTET_STRING)?).into_owned();
        Ok(Outcome { code, text })
    }

    /// The name of the entry that it is.
    pub(super) fn entry(&self) -> Result<String, Malformed> {
        let name = Reader(&self.content).expect(tag::OCTET_STRING)?;
        Ok(String::from_utf8_lossy(name).into_owned())
    }
}

/// How an operation ended (section 4.1.9).
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Outcome {
    pub(super) code: u32,
    /// What the server has to say on it.
    pub(super) text: String,
}

impl Outcome {
    pub(super) const SUCCESS: u32 = 0;

    /// The name of the code, for those that a check may meet.
    pub(super) const fn name(&self) -> &'static str {
        match self.code {
            0 => "success",
            1 => "operationsError",
            2 => "protocolError",
            3 => "timeLimitExceeded",
            8 => "strongerAuthRequired",
            10 => "referral",
            13 => "confidentialityRequired",
            32 => "noSuchObject",
            34 => "invalidDNSyntax",
            48 => "inappropriateAuthentication",
            49 => "invalidCredentials",
            50 => "insufficientAccessRights",
            51 => "busy",
            52 => "unavailable",
            53 => "unwillingToPerform",
            80 => "other",
            _ => "another error",
        }
    }
}

/// The request to be let in as `name`, or as nobody if both are empty (section 4.2).
pub(super) fn bind(id: u32, name: &str, password: &str) -> Vec<u8> {
    let version = element(tag::INTEGER, &[3]);
    let name = element(tag::OCTET_STRING, name.as_bytes());
    let password = element(tag::SIMPLE, password.as_bytes());
    message(id, tag::BIND_REQUEST, &[version, name, password].concat())
}

/// The request for the entry at `base`, if it has `attribute` (section 4.5.1).
pub(super) fn search(id: u32, base: &str, attribute: &str) -> Vec<u8> {
    // "1.1" is the name of no attribute (section 4.5.1.8).
    let attributes = element(tag::OCTET_STRING, b"1.1");
    let parts = [
        element(tag::OCTET_STRING, base.as_bytes()),
        element(tag::ENUMERATED, &[0]), // scope: the base itself
        element(tag::ENUMERATED, &[0]), // aliases: not followed
        element(tag::INTEGER, &[1]),    // entries
        element(tag::INTEGER, &[0]),    // seconds: the deadline is the client's
        element(tag::BOOLEAN, &[0]),    // only types
        element(tag::PRESENT, attribute.as_bytes()),
        element(tag::SEQUENCE, &attributes),
    ];
    message(id, tag::SEARCH_REQUEST, &parts.concat())
}

/// The farewell (section 4.3).
pub(super) fn unbind(id: u32) -> Vec<u8> {
    message(id, tag::UNBIND_REQUEST, &[])
}

fn message(id: u32, operation: u8, content: &[u8]) -> Vec<u8> {
    // The first bit is the sign, so there may have to be a zero before it.
    let bytes = u64::from(id).to_be_bytes();
    let zeros = (id.leading_zeros() as usize + 32 - 1) / 8;
    let id = element(tag::INTEGER, &bytes[zeros.min(7)..]);
    element(tag::SEQUENCE, &[id, element(operation, content)].concat())
}

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let head = match u8::try_from(length) {
        Ok(short @ ..0x80) => vec![tag, short],
        _ => [&[tag, 0x84][..], &(length as u32).to_be_bytes()].concat(),
    };
    [&head, content].concat()
}

/// What is not read yet of some elements.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize, what: &'static str) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Malformed::CutOff(what))?;
        self.0 = rest;
        Ok(taken)
    }

    /// The next element: its tag and its content.
    fn element(&mut self, what: &'static str) -> Result<(u8, &'a [u8]), Malformed> {
        let tag = self.take(1, what)?[0];
        let length = match self.take(1, what)?[0] {
            short @ ..0x80 => usize::from(short),
            0x80 => return Err(Malformed::Indefinite),
            wide @ 0x81..=0x84 => {
                let bytes = self.take(usize::from(wide & 0x7f), what)?;
                bytes.iter().fold(0, |length, &byte| length << 8 | usize::from(byte))
            }
            0x85.. => return Err(Malformed::Long),
        };
        if length > LONGEST {
            return Err(Malformed::Long);
        }
        Ok((tag, self.take(length, what)?))
    }

    /// The content of the next element, which is of this tag.
    fn expect(&mut self, wanted: u8) -> Result<&'a [u8], Malformed> {
        match self.element("content")? {
            (got, content) if got == wanted => Ok(content),
            (got, _) => Err(Malformed::Tag { got, wanted }),
        }
    }

    /// The next element as a number, which is not negative.
    fn integer(&mut self, tag: u8) -> Result<u32, Malformed> {
        let bytes = self.expect(tag)?;
        match bytes {
            [] | [0x80..=0xff, ..] | [_, _, _, _, _, ..] => Err(Malformed::Integer(bytes.len())),
            _ => Ok(bytes.iter().fold(0, |number, &byte| number << 8 | u32::from(byte))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of OpenLDAP 2.5, to a wrong password.
    const DENIED: &[u8] = b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x31\x04\0\x04\0";
    /// Of OpenLDAP 2.5: the entry asked for, without attributes.
    const ENTRY: &[u8] = b"\x30\x1a\x02\x01\x02\x64\x15\x04\x11dc=example,dc=org\x30\0";

    #[test]
    fn a_message_is_read_once_it_is_all_there() {
        let (message, used) = Message::parse(DENIED).unwrap().unwrap();
        assert_eq!((message.id, message.operation, used), (1, tag::BIND_RESPONSE, DENIED.len()));
        let outcome = message.outcome().unwrap();
        assert_eq!((outcome.code, outcome.name()), (49, "invalidCredentials"));
        let (message, used) = Message::parse(ENTRY).unwrap().unwrap();
        assert_eq!((message.operation, used), (tag::SEARCH_ENTRY, ENTRY.len()));
        assert_eq!(message.entry().unwrap(), "dc=example,dc=org");
        for count in 0..ENTRY.len() {
            assert_eq!(Message::parse(&ENTRY[..count]), Ok(None), "{count}");
        }
    }

    #[test]
    fn requests_are_as_openldaps_client_sends_them() {
        // ldapsearch -x -D cn=a -w b
        assert_eq!(
            bind(1, "cn=a", "b"),
            b"\x30\x11\x02\x01\x01\x60\x0c\x02\x01\x03\x04\x04cn=a\x80\x01b"
        );
        assert_eq!(unbind(3), b"\x30\x05\x02\x01\x03\x42\0");
        // ldapsearch -x -b dc=a -s base -z 1 1.1
        assert_eq!(
            search(2, "dc=a", "objectClass"),
            b"\x30\x2e\x02\x01\x02\x63\x29\x04\x04dc=a\x0a\x01\0\x0a\x01\0\x02\x01\x01\x02\x01\0\
              \x01\x01\0\x87\x0bobjectClass\x30\x05\x04\x031.1"
        );
    }

    #[test]
    fn numbers_and_lengths_are_read_as_they_are_written() {
        for id in [0, 1, 127, 128, 255, 256, 65_535, 1 << 24, 0x7fff_ffff] {
            let (read, _) = Message::parse(&unbind(id)).unwrap().unwrap();
            assert_eq!(read.id, id);
        }
        let name = "x".repeat(1000);
        let bytes = bind(1, &name, "");
        assert_eq!(Message::parse(&bytes).unwrap().unwrap().1, bytes.len());
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for (bytes, error) in [
            (&b"220 mail\r\n"[..], Malformed::Tag { got: b'2', wanted: 0x30 }),
            (b"\x30\x80", Malformed::Indefinite),
            (b"\x30\x84\xff\xff\xff\xff", Malformed::Long),
            (b"\x30\x85\0\0\0\0\0", Malformed::Long),
            (b"\x30\0", Malformed::CutOff("content")),
            (b"\x30\x02\x02\0", Malformed::Integer(0)),
            (b"\x30\x03\x02\x01\x80", Malformed::Integer(1)),
            (b"\x30\x07\x02\x05\x01\0\0\0\0", Malformed::Integer(5)),
            (b"\x30\x03\x02\x01\x01", Malformed::CutOff("operation")),
            (b"\x30\x05\x02\x01\x01\x61\x01", Malformed::CutOff("operation")),
        ] {
            assert_eq!(Message::parse(bytes), Err(error), "{bytes:?}");
        }
        let (empty, _) = Message::parse(b"\x30\x05\x02\x01\x01\x61\0").unwrap().unwrap();
        assert_eq!(empty.outcome(), Err(Malformed::CutOff("content")));
        assert_eq!(empty.entry(), Err(Malformed::CutOff("content")));
    }
}
