//! `include`: how strict it is, and which files it reads.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::lexer::Word;
use crate::config::mistakes::Mistake;
use crate::config::source::Source;

/// What makes a missing file an error: keepalived's `include_check` and the letters behind
/// `include`.
#[derive(Clone, Copy, Default)]
pub(super) struct Strictness {
    pub(super) readable: bool,
    pub(super) matched: bool,
    pub(super) wildcard: bool,
    pub(super) brace: bool,
}

impl Strictness {
    const ALL: Self = Self { readable: true, matched: true, wildcard: true, brace: true };

    /// What a line that starts with `include` demands, and the name behind it; `None` if it is no
    /// such line.
    pub(super) fn of_include(line: &str) -> Option<(Self, &str)> {
        let after = line.strip_prefix("include")?;
        let (letter, name) = after.split_once([' ', '\t']).unwrap_or((after, ""));
        let readable = Self { readable: true, ..Self::default() };
        let strictness = match letter {
            "" => Self::default(),
            "r" => readable,
            "m" => Self { matched: true, ..readable },
            "w" => Self { wildcard: true, ..readable },
            "b" => Self { brace: true, ..readable },
            "a" => Self::ALL,
            _ => return None,
        };
        Some((strictness, name))
    }

    /// As strict as both.
    pub(super) const fn and(self, other: Self) -> Self {
        Self {
            readable: self.readable || other.readable,
            matched: self.matched || other.matched,
            wildcard: self.wildcard || other.wildcard,
            brace: self.brace || other.brace,
        }
    }

    /// Does as the options of `include_check` say: alone they replace what held, behind `+` and `-`
    /// they change it, and without any everything is demanded.
    pub(super) fn set(&mut self, options: &[Word]) {
        if options.is_empty() {
            *self = Self::ALL;
            return;
        }
        if !options.iter().any(|word| word.text.starts_with(['+', '-'])) {
            *self = Self::default();
        }
        let mut demanded = true;
        for option in options {
            let name = match option.text.strip_prefix(['+', '-']) {
                Some(name) => {
                    demanded = option.text.starts_with('+');
                    name
                }
                None => &option.text,
            };
            match name {
                "readable" => self.readable = demanded,
                "match" => self.matched = demanded,
                "wildcard_match" => self.wildcard = demanded,
                "brace_match" => self.brace = demanded,
                _ => {}
            }
        }
    }
}

/// The file, `None` if there is none, or why it is not one to be read.
pub(super) fn readable(path: &Path) -> Result<Option<Source>, String> {
    let Ok(metadata) = fs::metadata(path) else { return Ok(None) };
    if !metadata.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    if metadata.permissions().mode() & 0o111 != 0 {
        return Err("it is executable".to_owned());
    }
    Source::read(path)
        .map(Some)
        .map_err(|errors| errors.mistakes().first().map_or_else(String::new, Mistake::message))
}
