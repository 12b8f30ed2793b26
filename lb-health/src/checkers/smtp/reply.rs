//! Replies of SMTP (RFC 5321, section 4.2).

/// What a server sent is no reply.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("a line that does not begin with a code: {0:?}")]
    Code(String),
    #[error("a reply of code {first} goes on with {then}")]
    Codes { first: u16, then: u16 },
    #[error("a line longer than {} bytes", Reply::LONGEST_LINE)]
    Line,
    #[error("a reply of more than {} lines", Reply::MOST_LINES)]
    Lines,
}

/// A reply, of one line or several.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Reply {
    pub(super) code: u16,
    /// The text of each line.
    pub(super) lines: Vec<String>,
}

impl Reply {
    /// RFC 5321 has 512 (section 4.5.3.1.5), but not every server has heard of it.
    const LONGEST_LINE: usize = 4096;
    const MOST_LINES: usize = 200;

    /// The reply at the beginning of `bytes`, once it is all there, and its length.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, Malformed> {
        let mut reply: Option<Self> = None;
        let mut used = 0;
        loop {
            let Some((line, length)) = line(&bytes[used..])? else { return Ok(None) };
            used += length;
            let (code, last, text) = Self::parse_line(line)?;
            let reply = reply.get_or_insert(Self { code, lines: Vec::new() });
            if reply.code != code {
                return Err(Malformed::Codes { first: reply.code, then: code });
            }
            if reply.lines.len() == Self::MOST_LINES {
                return Err(Malformed::Lines);
            }
            reply.lines.push(String::from_utf8_lossy(text).into_owned());
            if last {
                return Ok(Some((reply.clone(), used)));
            }
        }
    }

    /// The code of a line, whether it is the last one, and its text.
    fn parse_line(line: &[u8]) -> Result<(u16, bool, &[u8]), Malformed> {
        let shown = || Malformed::Code(String::from_utf8_lossy(&line[..line.len().min(40)]).into());
        let (digits, rest) = line.split_first_chunk::<3>().ok_or_else(shown)?;
        let [b'2'..=b'5', b'0'..=b'9', b'0'..=b'9'] = digits else { return Err(shown()) };
        let code = digits.iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
        match rest {
            [] => Ok((code, true, rest)),
            [b' ', text @ ..] => Ok((code, true, text)),
            [b'-', text @ ..] => Ok((code, false, text)),
            _ => Err(shown()),
        }
    }

    /// Whether a line of it, after the first, begins with this keyword (section 4.1.1.1).
    pub(super) fn offers(&self, keyword: &str) -> bool {
        let mut words = self.lines.iter().skip(1).map(|line| line.split(' ').next());
        words.any(|word| word.is_some_and(|word| word.eq_ignore_ascii_case(keyword)))
    }
}

/// The first line of `bytes` without its end, and its length with it. A mere `\n` will do.
fn line(bytes: &[u8]) -> Result<Option<(&[u8], usize)>, Malformed> {
    let within = &bytes[..bytes.len().min(Reply::LONGEST_LINE)];
    match within.iter().position(|&byte| byte == b'\n') {
        Some(end) => Ok(Some((bytes[..end].strip_suffix(b"\r").unwrap_or(&bytes[..end]), end + 1))),
        None if within.len() < Reply::LONGEST_LINE => Ok(None),
        None => Err(Malformed::Line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of Postfix 3.7, to EHLO.
    const EHLO: &[u8] =
        b"250-mail.example.org\r\n250-PIPELINING\r\n250-SIZE 10240000\r\n250-VRFY\r\n\
        250-ETRN\r\n250-STARTTLS\r\n250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-DSN\r\n\
        250-SMTPUTF8\r\n250 CHUNKING\r\n";

    #[test]
    fn a_reply_is_read_once_it_is_all_there() {
        let (reply, used) = Reply::parse(EHLO).unwrap().unwrap();
        assert_eq!((reply.code, reply.lines.len(), used), (250, 11, EHLO.len()));
        assert!(reply.offers("STARTTLS") && reply.offers("size") && reply.offers("CHUNKING"));
        assert!(!reply.offers("mail.example.org") && !reply.offers("START"));
        for count in 0..EHLO.len() {
            assert_eq!(Reply::parse(&EHLO[..count]), Ok(None));
        }
    }

    #[test]
    fn what_is_no_reply_is_refused() {
        let text = |text: &str| Reply::parse(text.as_bytes());
        let one = |code, line: &str| Reply { code, lines: vec![line.to_owned()] };
        assert_eq!(text("220\r\n"), Ok(Some((one(220, ""), 5))));
        assert_eq!(text("354 go\n250 "), Ok(Some((one(354, "go"), 7))));
        for broken in ["\r\n", "22\r\n", "2200 x\r\n", "600 x\r\n", "hello\r\n", "120 x\r\n"] {
            assert!(matches!(text(broken), Err(Malformed::Code(_))), "{broken:?}");
        }
        assert_eq!(text("250-a\r\n251 b\r\n"), Err(Malformed::Codes { first: 250, then: 251 }));
        assert_eq!(text(&"2".repeat(4096)), Err(Malformed::Line));
        assert_eq!(text(&"250-\r\n".repeat(201)), Err(Malformed::Lines));
    }
}
