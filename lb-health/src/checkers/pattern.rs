//! What must be found in an answer, or must not.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use regex_automata::hybrid::LazyStateID;
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson;
use regex_automata::util::{start, syntax};
use regex_automata::{Anchored, MatchKind};

use crate::digest::hex;

/// Something to look for in a text that arrives in pieces.
///
/// A lazily built automaton: each byte is looked at once and none is kept, so that neither a long
/// text nor a hostile one costs memory, and a match may begin in one piece and end in another
/// however far apart (keepalived finds none that is longer than its buffer of 4 KiB).
///
/// ```
/// use lb_health::checkers::Pattern;
///
/// assert!(Pattern::text("alive")?.is_found_in("still alive!"));
/// assert!(!Pattern::exactly("alive")?.is_found_in("still alive!"));
/// assert!(Pattern::regex(r"(?i)\bALIVE\b")?.is_found_in("still alive!"));
/// assert!(Pattern::regex("(").is_err());
/// assert_eq!(Pattern::text([0x0a, 0xff])?.to_string(), "0x0aff"); // not text
/// # Ok::<(), lb_health::checkers::PatternError>(())
/// ```
#[derive(Clone)]
pub struct Pattern(Arc<Automaton>);

struct Automaton {
    shown: String,
    dfa: DFA,
    /// The states that the last search has built, for the next one.
    cache: Mutex<Option<Cache>>,
}

impl Pattern {
    /// The memory that an expression may take, compiled: a mistyped repetition must not eat it all.
    const SIZE_LIMIT: usize = 1 << 20;

    /// This text, anywhere.
    ///
    /// # Errors
    /// If it is too long, some ten thousand bytes.
    pub fn text(text: impl AsRef<[u8]>) -> Result<Self, PatternError> {
        let text = text.as_ref();
        Self::build(shown(text), &escaped(text))
    }

    /// This text, and nothing else.
    ///
    /// # Errors
    /// As [`Self::text`].
    pub fn exactly(text: impl AsRef<[u8]>) -> Result<Self, PatternError> {
        let text = text.as_ref();
        Self::build(format!("exactly {}", shown(text)), &format!(r"\A{}\z", escaped(text)))
    }

    /// A regular expression in the syntax of the `regex` crate, over bytes: `.` is any but `\n`, and
    /// `\d`, `\w` and `\b` are ASCII.
    ///
    /// # Errors
    /// If it is none, or takes more than a megabyte.
    pub fn regex(pattern: &str) -> Result<Self, PatternError> {
        Self::build(format!("/{pattern}/"), pattern)
    }

    /// Whether it is in `text`.
    pub fn is_found_in(&self, text: impl AsRef<[u8]>) -> bool {
        let mut search = self.search();
        search.go_on(text.as_ref());
        search.ends_found()
    }

    /// Begins to look for it.
    pub(super) fn search(&self) -> Search {
        let kept = self.cache().take();
        let mut cache = kept.unwrap_or_else(|| self.0.dfa.create_cache());
        let config = start::Config::new().anchored(Anchored::No);
        let state = self.0.dfa.start_state(&mut cache, &config).ok();
        Search { pattern: self.clone(), cache: Some(cache), state, found: false }
    }

    fn build(shown: String, pattern: &str) -> Result<Self, PatternError> {
        let dfa = DFA::builder()
            .syntax(syntax::Config::new().unicode(false).utf8(false))
            .thompson(thompson::Config::new().utf8(false).nfa_size_limit(Some(Self::SIZE_LIMIT)))
            // Whether there is a match matters, not which.
            .configure(DFA::config().match_kind(MatchKind::All).skip_cache_capacity_check(true))
            .build(pattern)
            .map_err(|error| PatternError { pattern: shown.clone(), source: Arc::new(error) })?;
        Ok(Self(Arc::new(Automaton { shown, dfa, cache: Mutex::new(None) })))
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, Option<Cache>> {
        self.0.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({self})")
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.shown)
    }
}

/// This is no regular expression, or it is too large.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{pattern} is not a pattern")]
pub struct PatternError {
    pattern: String,
    source: Arc<regex_automata::hybrid::BuildError>,
}

/// A search in a text that is not complete.
#[derive(Debug)]
pub(super) struct Search {
    pattern: Pattern,
    /// There until this is dropped.
    cache: Option<Cache>,
    /// `None` once nothing that follows can change the outcome.
    state: Option<LazyStateID>,
    found: bool,
}

impl Search {
    /// What is looked for.
    pub(super) const fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// Looks at the next piece; answers where in it a match ends, once there is one: the first that does.
    pub(super) fn go_on(&mut self, piece: &[u8]) -> Option<usize> {
        let (cache, mut state) = (self.cache.as_mut()?, self.state?);
        for (at, &byte) in piece.iter().enumerate() {
            state = match self.pattern.0.dfa.next_state(cache, state, byte) {
                // The automaton tells of a match when it sees the byte behind it.
                Ok(next) if next.is_match() => {
                    self.found = true;
                    self.state = None;
                    return Some(at);
                }
                Ok(next) if !next.is_dead() && !next.is_quit() => next,
                // It never gives up: no limit is set that would make it.
                _ => {
                    self.state = None;
                    return None;
                }
            };
        }
        self.state = Some(state);
        None
    }

    /// Whether it was found in the text, which is complete now.
    pub(super) fn ends_found(mut self) -> bool {
        self.would_end_found()
    }

    /// Whether it was found in the text, if that is all of it.
    pub(super) fn would_end_found(&mut self) -> bool {
        let (Some(cache), Some(state)) = (&mut self.cache, self.state) else { return self.found };
        let end = self.pattern.0.dfa.next_eoi_state(cache, state);
        end.is_ok_and(|state| state.is_match())
    }
}

impl Drop for Search {
    fn drop(&mut self) {
        *self.pattern.cache() = self.cache.take();
    }
}

/// Bytes for people: as text if they are some, else as digits.
fn shown(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => format!("{text:?}"),
        Err(_) => format!("0x{}", hex(bytes)),
    }
}

/// An expression for exactly these bytes.
fn escaped(text: &[u8]) -> String {
    use fmt::Write;
    text.iter().fold(String::with_capacity(text.len() * 4), |mut escaped, byte| {
        let _ = write!(escaped, r"\x{byte:02x}");
        escaped
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_are_found_as_they_stand() {
        for (pattern, text, found) in [
            (Pattern::text("b.c"), "ab.cd", true),
            (Pattern::text("b.c"), "abxcd", false),
            (Pattern::text(""), "", true),
            (Pattern::text("ü"), "für", true),
            (Pattern::exactly("a"), "a", true),
            (Pattern::exactly("a"), "a\n", false),
            (Pattern::exactly("a"), "aa", false),
            (Pattern::exactly(""), "", true),
            (Pattern::exactly(""), "x", false),
            (Pattern::regex("^a.c$"), "abc", true),
            (Pattern::regex("^a.c$"), "xabc", false),
            (Pattern::regex("(?m)^b$"), "a\nb\nc", true),
            (Pattern::regex(r"\bb\b"), "a b c", true),
            (Pattern::regex(r"\bb\b"), "abc", false),
        ] {
            let pattern = pattern.unwrap();
            assert_eq!(pattern.is_found_in(text), found, "{pattern} in {text:?}");
        }
    }

    /// Where the first match to end does so, in a text that arrives in these pieces.
    fn end_in<'a>(pattern: &Pattern, pieces: impl IntoIterator<Item = &'a [u8]>) -> Option<usize> {
        let (mut search, mut before) = (pattern.search(), 0);
        for piece in pieces {
            if let Some(end) = search.go_on(piece) {
                return Some(before + end);
            }
            before += piece.len();
        }
        search.would_end_found().then_some(before)
    }

    #[test]
    fn the_first_match_to_end_counts() {
        for (pattern, text, end) in [
            (Pattern::text("b"), &b"abab"[..], Some(2)),
            (Pattern::text("ba"), b"abab", Some(3)),
            (Pattern::text("c"), b"abab", None),
            (Pattern::text("ababa"), b"abab", None),
            (Pattern::text([0, 255]), &[1, 0, 255, 7], Some(3)),
            (Pattern::text(""), b"xyz", Some(0)),
            (Pattern::regex("b+"), b"abba", Some(2)),
            (Pattern::regex("^b"), b"ab", None),
            (Pattern::regex("^220 .*\r\n"), b"220 a\r\n220 b\r\n", Some(7)),
            (Pattern::regex(r"(?s-u)\xff."), &[1, 255, 10], Some(3)),
            (Pattern::regex(r"\d\r\n"), "٣\r\n3\r\n".as_bytes(), Some(7)),
            (Pattern::regex("a$"), b"aa", Some(2)),
        ] {
            let pattern = pattern.unwrap();
            assert_eq!(end_in(&pattern, [text]), end, "{pattern} in {text:?}");
            assert_eq!(end_in(&pattern, text.chunks(1)), end, "{pattern} in {text:?}, in pieces");
        }
    }

    #[test]
    fn what_takes_too_much_memory_is_refused() {
        assert!(Pattern::regex(r"((((\w{99}){99}){99}){99})").is_err());
    }

    #[test]
    fn a_long_text_does_not_grow_the_search() {
        let pattern = Pattern::regex("a[ab]{30}c").unwrap();
        let mut search = pattern.search();
        let mut random: u32 = 1;
        let letters = std::iter::repeat_with(|| {
            random = random.wrapping_mul(1_103_515_245).wrapping_add(12345);
            b'a' + (random >> 16 & 1) as u8
        });
        let text: Vec<u8> = letters.take(200 * 64).collect();
        assert!(text.chunks(64).all(|piece| search.go_on(piece).is_none()));
        let memory = search.cache.as_ref().map(Cache::memory_usage).unwrap();
        assert!(memory < 4 << 20, "{memory}");
        // Nothing is forgotten for that. There is one place for the letter to be at.
        let is_there = |text: &[u8]| text[text.len() - 31] == b'a';
        search.go_on(b"c");
        assert_eq!(search.ends_found(), is_there(&text));
        for count in text.len() - 8..text.len() {
            let text = &text[..count];
            let found = pattern.is_found_in([text, b"c"].concat());
            assert_eq!(found, is_there(text), "after {count} letters");
        }
    }

    proptest! {
        /// It is found whether the text arrives at once or byte by byte, as a plain search finds it.
        #[test]
        fn pieces_do_not_matter(
            text in proptest::collection::vec(0u8..3, 0..40),
            wanted in proptest::collection::vec(0u8..3, 1..4),
        ) {
            let pattern = Pattern::text(&wanted).unwrap();
            let mut search = pattern.search();
            for byte in &text {
                search.go_on(&[*byte]);
            }
            let found = search.ends_found();
            prop_assert_eq!(found, text.windows(wanted.len()).any(|window| window == wanted));
            prop_assert_eq!(found, pattern.is_found_in(&text));
            let end = text.windows(wanted.len()).position(|window| window == wanted);
            let end = end.map(|at| at + wanted.len());
            prop_assert_eq!(end_in(&pattern, [&text[..]]), end);
            prop_assert_eq!(end_in(&pattern, text.chunks(1)), end);
        }

        /// A match ends where the text could have ended as well.
        #[test]
        fn a_match_ends_with_the_shortest_text_that_has_one(
            text in "[ab\r\n]{0,20}",
            which in 0..6_usize,
        ) {
            let pattern = ["b+", "^b", r"(?m)^a\r?\n", r"a.*b\r\n", "a??b", "(a|ab)(b|\r)"];
            let pattern = Pattern::regex(pattern[which]).unwrap();
            let text = text.as_bytes();
            let shortest = (0..=text.len()).find(|&count| pattern.is_found_in(&text[..count]));
            prop_assert_eq!(end_in(&pattern, [text]), shortest, "{} in {:?}", pattern, text);
            prop_assert_eq!(end_in(&pattern, text.chunks(1)), shortest, "{} in {:?}", pattern, text);
        }
    }
}
