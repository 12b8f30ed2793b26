//! The Redis serialization protocol, version 2 (redis.io, "RESP protocol description").

use std::fmt;

/// What a server sent is not of the protocol.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("values within values within values")]
    Deep,
    #[error("a value longer than {} bytes", Value::LONGEST)]
    Long,
    #[error("{0:?} where a number was due")]
    Number(char),
    #[error("a value of the kind {0:#04x}")]
    Kind(u8),
    #[error("a line or a value that does not end where it should")]
    Unended,
}

/// What a server says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Value {
    Array(Vec<Self>),
    Bulk(Vec<u8>),
    Error(String),
    Integer(i64),
    Null,
    Simple(String),
}

impl Value {
    /// More than any answer to a check has, in bytes or in values.
    const LONGEST: usize = 32 * 1024;
    /// `ROLE` has an array within an array within an array.
    const DEEPEST: usize = 4;

    /// The value at the beginning of `bytes`, once it is all there, and its length.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, Malformed> {
        let mut reader = Reader { bytes, used: 0 };
        Ok(reader.value(0)?.map(|value| (value, reader.used)))
    }

    /// The text of a string of either kind; empty for anything else that is no string.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Bulk(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Self::Simple(text) => text.clone(),
            _ => String::new(),
        }
    }
}

impl fmt::Display for Value {
    /// In words, and not at length: for whoever reads why a check failed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |text: &str| text.chars().take(100).collect::<String>();
        match self {
            Self::Array(values) => write!(f, "a list of {}", values.len()),
            Self::Bulk(_) | Self::Simple(_) => write!(f, "{:?}", quoted(&self.text())),
            Self::Error(text) => write!(f, "the error {:?}", quoted(text)),
            Self::Integer(number) => write!(f, "the number {number}"),
            Self::Null => f.write_str("nothing"),
        }
    }
}

/// A command: an array of bulk strings.
pub(super) fn command(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len());
    for word in words {
        bytes.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    bytes.into_bytes()
}

struct Reader<'a> {
    bytes: &'a [u8],
    used: usize,
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Result<Option<Value>, Malformed> {
        if depth == Value::DEEPEST {
            return Err(Malformed::Deep);
        }
        // Not to wait for the end of a line that is none of this protocol.
        match self.bytes.get(self.used) {
            None | Some(b'+' | b'-' | b':' | b'$' | b'*') => {}
            Some(&other) => return Err(Malformed::Kind(other)),
        }
        let Some((kind, line)) = self.line()? else { return Ok(None) };
        Ok(Some(match kind {
            b'+' => Value::Simple(text(line)),
            b'-' => Value::Error(text(line)),
            b':' => Value::Integer(number(line)?),
            b'$' => match length(line)? {
                None => Value::Null,
                Some(length) => match self.bulk(length)? {
                    Some(bytes) => Value::Bulk(bytes.to_vec()),
                    None => return Ok(None),
                },
            },
            _ => match length(line)? {
                None => Value::Null,
                Some(length) => {
                    let mut values = Vec::new();
                    for _ in 0..length {
                        let Some(value) = self.value(depth + 1)? else { return Ok(None) };
                        values.push(value);
                    }
                    Value::Array(values)
                }
            },
        }))
    }

    /// The kind of a value, and the rest of its first line.
    fn line(&mut self) -> Result<Option<(u8, &'a [u8])>, Malformed> {
        let rest = &self.bytes[self.used..];
        let within = &rest[..rest.len().min(Value::LONGEST)];
        match within.iter().position(|&byte| byte == b'\n') {
            Some(end) => {
                self.used += end + 1;
                let line = rest[..end].strip_suffix(b"\r").ok_or(Malformed::Unended)?;
                line.split_first().map(|(&kind, line)| Some((kind, line))).ok_or(Malformed::Unended)
            }
            None if within.len() == Value::LONGEST => Err(Malformed::Long),
            None => Ok(None),
        }
    }

    fn bulk(&mut self, length: usize) -> Result<Option<&'a [u8]>, Malformed> {
        let rest = &self.bytes[self.used..];
        let Some(end) = rest.get(length..length + 2) else { return Ok(None) };
        if end != b"\r\n" {
            return Err(Malformed::Unended);
        }
        self.used += length + 2;
        Ok(Some(&rest[..length]))
    }
}

fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line).into_owned()
}

fn number(line: &[u8]) -> Result<i64, Malformed> {
    let wrong = || Malformed::Number(line.first().copied().unwrap_or(b'\r').into());
    std::str::from_utf8(line).ok().and_then(|line| line.parse().ok()).ok_or_else(wrong)
}

/// A length; `None` for that of null.
fn length(line: &[u8]) -> Result<Option<usize>, Malformed> {
    match number(line)? {
        -1 => Ok(None),
        length => match usize::try_from(length) {
            Ok(length) if length <= Value::LONGEST => Ok(Some(length)),
            _ => Err(Malformed::Long),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer of a Redis 7.0 with one replica to `ROLE`.
    const ROLE: &[u8] =
        b"*3\r\n$6\r\nmaster\r\n:0\r\n*1\r\n*3\r\n$9\r\n127.0.0.1\r\n$5\r\n33355\r\n\
        $1\r\n0\r\n";

    #[test]
    fn a_value_is_read_once_it_is_all_there() {
        let (value, used) = Value::parse(ROLE).unwrap().unwrap();
        assert_eq!(used, ROLE.len());
        let Value::Array(parts) = value else { panic!("{value:?}") };
        assert_eq!((parts[0].text().as_str(), &parts[1]), ("master", &Value::Integer(0)));
        for count in 0..ROLE.len() {
            assert_eq!(Value::parse(&ROLE[..count]), Ok(None), "{count}");
        }
        for (bytes, value) in [
            ("+PONG\r\n", Value::Simple("PONG".into())),
            ("-LOADING x\r\n", Value::Error("LOADING x".into())),
            ("$-1\r\n", Value::Null),
            ("*-1\r\n", Value::Null),
            ("$0\r\n\r\n", Value::Bulk(vec![])),
            ("*0\r\n", Value::Array(vec![])),
        ] {
            assert_eq!(Value::parse(bytes.as_bytes()), Ok(Some((value, bytes.len()))));
        }
    }

    #[test]
    fn what_is_no_value_is_refused() {
        for (bytes, error) in [
            ("220 mail\r\n", Malformed::Kind(b'2')),
            ("+PONG\n", Malformed::Unended),
            (":x\r\n", Malformed::Number('x')),
            (":\r\n", Malformed::Number('\r')),
            ("$-2\r\n", Malformed::Long),
            ("$99999\r\n", Malformed::Long),
            ("*9999999999999999999\r\n", Malformed::Number('9')),
            ("$1\r\nabc", Malformed::Unended),
            ("*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n", Malformed::Deep),
        ] {
            assert_eq!(Value::parse(bytes.as_bytes()), Err(error), "{bytes:?}");
        }
        assert_eq!(Value::parse(&[b'+'; 40_000]), Err(Malformed::Long));
    }

    #[test]
    fn a_command_is_what_a_server_would_read() {
        assert_eq!(command(&["AUTH", "sé"]), "*2\r\n$4\r\nAUTH\r\n$3\r\nsé\r\n".as_bytes());
        let (read, _) = Value::parse(&command(&["a b", "\r\n"])).unwrap().unwrap();
        assert_eq!(
            read,
            Value::Array(vec![Value::Bulk(b"a b".into()), Value::Bulk(b"\r\n".into())])
        );
    }
}
