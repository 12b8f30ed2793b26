//! The texts of configuration files, and places in them.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::mistakes::{ConfigErrors, Mistakes};
use super::problem::Problem;
use crate::privileges::own_name;

/// Larger files are refused before they are read: a mistyped path must not eat the memory.
const LARGEST_FILE: u64 = 16 * 1024 * 1024;

/// The text of a configuration and the name it goes by in messages.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Source {
    /// What messages call it: the path of the file.
    pub name: String,
    /// The text itself.
    pub text: String,
}

impl Source {
    /// A source that is no file.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into() }
    }

    /// Where `word` is written first, outside of comments, if it is: for what is only found out when nothing is
    /// known any more of places. Linear in the text.
    pub(super) fn find(&self, word: &str) -> Option<Span> {
        let goes_on = |character: char| character.is_alphanumeric() || "/._-".contains(character);
        let is_meant = |&start: &usize| {
            let (before, rest) = self.text.split_at(start);
            let line = before.rsplit('\n').next().unwrap_or(before);
            let is_comment = line.trim_start().starts_with(['#', '!']);
            !is_comment && !line.ends_with(goes_on) && !rest[word.len()..].starts_with(goes_on)
        };
        let mut starts = self.text.match_indices(word).map(|(start, _)| start);
        let start = starts.find(is_meant).filter(|_| !word.is_empty())?;
        Some(Span::from(start..start + word.len()))
    }

    /// The text of the file at `path`, which must be UTF-8 of at most 16 MiB.
    ///
    /// # Errors
    ///
    /// One mistake: the file cannot be read, is too large, or is not UTF-8 (with the place).
    pub fn read(path: &Path) -> Result<Self, ConfigErrors> {
        let name = path.display().to_string();
        let refuse = |text: String, place: Option<Span>, problem: Problem| {
            let mut mistakes = Mistakes::default();
            mistakes.error(place, problem);
            mistakes.into_errors(&[Self::new(name.clone(), text)])
        };
        let bytes = read_bounded(path).map_err(|error| {
            let problem = match error.kind() {
                io::ErrorKind::FileTooLarge => Problem::TooLarge { most: LARGEST_FILE },
                io::ErrorKind::PermissionDenied => {
                    Problem::Unreadable { reason: format!("{error}, as user `{}`", own_name()) }
                }
                _ => Problem::Unreadable { reason: error.to_string() },
            };
            refuse(String::new(), None, problem)
        })?;
        String::from_utf8(bytes).map(|text| Self::new(name.clone(), text)).map_err(|error| {
            // Up to the first wrong byte the lossy text is the text, so the place holds in it.
            let place = Span::at(error.utf8_error().valid_up_to());
            refuse(
                String::from_utf8_lossy(error.as_bytes()).into_owned(),
                Some(place),
                Problem::NotUtf8,
            )
        })
    }
}

/// What is in a file, if that is not too much. A length asked for beforehand would be no bound for pipes and
/// files that grow.
///
/// # Errors
/// As of the system; [`io::ErrorKind::FileTooLarge`] if it is longer.
pub(crate) fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST_FILE {
        let most = LARGEST_FILE >> 20;
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it is longer than {most} MiB"),
        ));
    }
    Ok(bytes)
}

/// A range of bytes in the text of a [`Source`]; the order is that of reading.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct Span {
    /// Which source, of those that were read for one configuration; a front end without `include`
    /// has only the first.
    pub(super) source: usize,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Span {
    /// The single place `offset` of the first source.
    pub(super) const fn at(offset: usize) -> Self {
        Self { source: 0, start: offset, end: offset }
    }
}

/// A range of the first source.
impl From<std::ops::Range<usize>> for Span {
    fn from(range: std::ops::Range<usize>) -> Self {
        Self { source: 0, start: range.start, end: range.end }
    }
}

/// A value and where it was written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spanned<T> {
    pub(super) value: T,
    pub(super) span: Span,
}
