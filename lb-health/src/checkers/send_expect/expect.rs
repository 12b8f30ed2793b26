//! What an answer has to hold, and where in it.

use std::fmt;
use std::sync::Arc;

use regex::bytes::{Regex, RegexBuilder};

use crate::checkers::pattern::{self, Search};

/// What is looked for in a stream of bytes.
///
/// ```
/// use lb_health::checkers::Expect;
///
/// let greeting = Expect::regex(r"^220[ -].*\r\n")?;
/// assert_eq!(greeting.to_string(), r"/^220[ -].*\r\n/");
/// assert_eq!(Expect::bytes("+PONG\r\n").to_string(), r#""+PONG\r\n""#);
/// assert_eq!(Expect::bytes([0x0a, 0xff]).to_string(), "0x0aff"); // not text
/// assert!(Expect::regex("(").is_err());
/// # Ok::<(), lb_health::checkers::ExpectError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Expect(Pattern);

#[derive(Clone, Debug)]
enum Pattern {
    Bytes(Arc<[u8]>),
    Regex {
        regex: Regex,
        /// Tells of a text that arrives in pieces whether there is a match at all, looking at each
        /// byte once. None if the expression asks of Unicode what an automaton cannot tell.
        automaton: Option<pattern::Pattern>,
    },
}

impl Expect {
    /// The memory that a compiled expression may take.
    const SIZE_LIMIT: usize = 1 << 20;

    /// These bytes, text or not. No bytes at all stand for any answer.
    pub fn bytes(bytes: impl AsRef<[u8]>) -> Self {
        Self(Pattern::Bytes(bytes.as_ref().into()))
    }

    /// A regular expression in the syntax of the `regex` crate, over bytes: `.` is any but `\n`, `\d`
    /// is ASCII, `(?s-u)\xff` is that byte.
    ///
    /// It is asked whenever more has arrived, so what is there so far counts as the text: `$` may
    /// hold in the middle of a line that is still on its way, but `\r\n` does not. It never takes
    /// more than linear time, whatever the pattern and the text.
    ///
    /// # Errors
    /// If it is none, or takes more than a megabyte.
    pub fn regex(pattern: &str) -> Result<Self, ExpectError> {
        let regex = RegexBuilder::new(pattern)
            .unicode(false)
            .size_limit(Self::SIZE_LIMIT)
            .dfa_size_limit(Self::SIZE_LIMIT)
            .build();
        let regex = regex.map_err(ExpectError)?;
        let automaton = pattern::Pattern::regex(pattern).ok();
        Ok(Self(Pattern::Regex { regex, automaton }))
    }

    /// Begins to look for it.
    pub(super) fn hunt(&self) -> Hunt<'_> {
        let search = match &self.0 {
            Pattern::Regex { automaton: Some(automaton), .. } => Some(automaton.search()),
            _ => None,
        };
        Hunt { expect: self, search, searched: 0 }
    }
}

/// A search in a text that grows.
pub(super) struct Hunt<'a> {
    expect: &'a Expect,
    search: Option<Search>,
    /// So much of the text has no match in it, if that was all.
    searched: usize,
}

impl Hunt<'_> {
    /// Where in `text` the first match ends. It begins as it did when this was asked before.
    pub(super) fn end_in(&mut self, text: &[u8]) -> Option<usize> {
        let searched = std::mem::replace(&mut self.searched, text.len());
        match &self.expect.0 {
            Pattern::Bytes(bytes) if bytes.is_empty() => (!text.is_empty()).then_some(text.len()),
            Pattern::Bytes(bytes) => {
                // A match may have begun in what was searched.
                let from = (searched + 1).saturating_sub(bytes.len()).min(text.len());
                let mut windows = text[from..].windows(bytes.len());
                Some(windows.position(|window| window == &**bytes)? + from + bytes.len())
            }
            Pattern::Regex { .. } if text.is_empty() => None,
            Pattern::Regex { regex, .. } => {
                if let Some(search) = &mut self.search {
                    search.go_on(text.get(searched..)?);
                    if !search.would_end_found() {
                        return None;
                    }
                }
                regex.find(text).map(|found| found.end())
            }
        }
    }
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Pattern::Bytes(bytes) if bytes.is_empty() => f.write_str("anything"),
            Pattern::Bytes(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => write!(f, "{text:?}"),
                Err(_) => {
                    f.write_str("0x")?;
                    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
                }
            },
            Pattern::Regex { regex, .. } => write!(f, "/{regex}/"),
        }
    }
}

/// This is no regular expression, or too large a one.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct ExpectError(#[source] regex::Error);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_match_counts_and_ends_where_it_ends() {
        for (expect, text, end) in [
            (Expect::bytes("b"), &b"abab"[..], Some(2)),
            (Expect::bytes("ba"), b"abab", Some(3)),
            (Expect::bytes("c"), b"abab", None),
            (Expect::bytes("ababa"), b"abab", None),
            (Expect::bytes(""), b"", None),
            (Expect::bytes(""), b"xyz", Some(3)),
            (Expect::bytes([0, 255]), &[1, 0, 255, 7], Some(3)),
            (Expect::regex("b+").unwrap(), b"abba", Some(3)),
            (Expect::regex("^b").unwrap(), b"ab", None),
            (Expect::regex("").unwrap(), b"", None),
            (Expect::regex("x*").unwrap(), b"yx", Some(0)),
            (Expect::regex(r"(?s-u)\xff.").unwrap(), &[1, 255, 10], Some(3)),
            (Expect::regex(r"\d\r\n").unwrap(), "٣\r\n3\r\n".as_bytes(), Some(7)),
        ] {
            assert_eq!(expect.hunt().end_in(text), end, "{expect} in {text:?}");
        }
    }

    #[test]
    fn what_takes_too_much_memory_is_refused() {
        assert!(Expect::regex(r"((((\w{99}){99}){99}){99})").is_err());
    }

    /// To look at all of it each time would be to look at two thousand million bytes.
    #[test]
    fn a_text_that_drips_is_looked_at_once() {
        let text = "a".repeat(64 * 1024) + "1";
        for expect in [Expect::regex("[a-z]+[0-9]").unwrap(), Expect::bytes("a1")] {
            let mut hunt = expect.hunt();
            let end = (0..=text.len()).find_map(|count| hunt.end_in(&text.as_bytes()[..count]));
            assert_eq!(end, Some(text.len()));
        }
    }

    proptest! {
        /// It is found in the same place whether it arrives at once or byte by byte.
        #[test]
        fn pieces_do_not_matter(
            text in proptest::collection::vec(0u8..3, 0..40),
            bytes in proptest::collection::vec(0u8..3, 1..4),
        ) {
            let expect = Expect::bytes(&bytes);
            let mut hunt = expect.hunt();
            let piecemeal = (0..=text.len()).find_map(|count| hunt.end_in(&text[..count]));
            prop_assert_eq!(piecemeal, expect.hunt().end_in(&text));
            let whole = text.windows(bytes.len()).position(|window| window == bytes);
            prop_assert_eq!(whole.map(|at| at + bytes.len()), expect.hunt().end_in(&text));
        }

        /// An expression is found as soon as it would be in all that has arrived.
        #[test]
        fn an_expression_is_found_when_the_text_so_far_has_it(
            pieces in proptest::collection::vec("[ab\r\n]{0,4}", 0..10),
            which in 0..8_usize,
        ) {
            let pattern = ["b+", "^b", "a$", r"(?m)^a\r?$", r"a.*b\r\n", r"\bab\b", "a??", "(?u:ü|b)"];
            let expect = Expect::regex(pattern[which]).unwrap();
            let Pattern::Regex { regex, .. } = &expect.0 else { unreachable!() };
            let (mut hunt, mut text) = (expect.hunt(), String::new());
            for piece in pieces {
                text.push_str(&piece);
                let found = (!text.is_empty()).then(|| regex.find(text.as_bytes())).flatten();
                let end = hunt.end_in(text.as_bytes());
                prop_assert_eq!(end, found.map(|found| found.end()), "{} in {:?}", expect, text);
                if end.is_some() {
                    break;
                }
            }
        }
    }
}
