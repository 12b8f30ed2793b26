//! Text on its way from a file to words, which still knows where each part of it was written.

use std::ops::Range;

use crate::config::source::Span;

/// A piece of text, put together from pieces of files.
///
/// What a variable stood for keeps the place where it was defined: that is where a mistake in it
/// has to be mended.
#[derive(Clone, Debug, Default)]
pub(super) struct Text {
    content: String,
    parts: Vec<Part>,
}

/// A run of text from one place.
#[derive(Clone, Copy, Debug)]
struct Part {
    /// Where it ends in the text.
    end: usize,
    /// Where it was written.
    origin: Span,
    /// The line of that place: parts of one line are shown as one.
    line: usize,
    /// Whether each byte is where it was written. What was made up, such as the numbers of a
    /// sequence, has a place only as a whole.
    exact: bool,
}

impl Text {
    /// A line of a file, from byte `start` of it.
    pub(super) fn line(content: &str, source: usize, start: usize, line: usize) -> Self {
        let origin = Span { source, start, end: start + content.len() };
        Self {
            content: content.to_owned(),
            parts: vec![Part { end: content.len(), origin, line, exact: true }],
        }
    }

    /// Text that stands nowhere. It gets a place where it is [put](Self::made).
    pub(super) fn nowhere(content: impl Into<String>) -> Self {
        Self { content: content.into(), parts: Vec::new() }
    }

    /// Text that is put in place of `cause`.
    pub(super) fn made(content: String, cause: &Self) -> Self {
        let line = cause.parts.first().map_or(0, |part| part.line);
        let part = Part { end: content.len(), origin: cause.span(), line, exact: false };
        Self { content, parts: vec![part] }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.content
    }

    pub(super) const fn len(&self) -> usize {
        self.content.len()
    }

    /// Whether none of it was written anywhere.
    pub(super) const fn is_nowhere(&self) -> bool {
        self.parts.is_empty()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.content.is_empty()
    }

    /// The part of it in `range`, which must not cut a character.
    pub(super) fn slice(&self, range: Range<usize>) -> Self {
        let mut slice = Self { content: self.content[range.clone()].to_owned(), parts: Vec::new() };
        let mut begin = 0;
        for part in &self.parts {
            let (from, to) = (range.start.max(begin), range.end.min(part.end));
            if from < to {
                let mut origin = part.origin;
                if part.exact {
                    origin.start += from - begin;
                    origin.end = origin.start + (to - from);
                }
                slice.parts.push(Part { end: to - range.start, origin, ..*part });
            }
            begin = part.end;
        }
        slice
    }

    /// The rest of it from `start` on.
    pub(super) fn rest(&self, start: usize) -> Self {
        self.slice(start..self.len())
    }

    /// Adds `other` at the end.
    pub(super) fn push(&mut self, other: &Self) {
        let begin = self.content.len();
        self.content.push_str(&other.content);
        self.parts.extend(other.parts.iter().map(|part| Part { end: begin + part.end, ..*part }));
    }

    /// Without white space at both ends.
    pub(super) fn trim(&self) -> Self {
        let start = self.len() - self.content.trim_start().len();
        let end = start + self.content.trim().len();
        if start == 0 && end == self.len() { self.clone() } else { self.slice(start..end) }
    }

    /// Where it was written. If parts of it come from elsewhere, from the first on as far as the
    /// line goes.
    pub(super) fn span(&self) -> Span {
        let mut parts = self.parts.iter();
        let Some(first) = parts.next() else { return Span::default() };
        parts.fold(first.origin, |span, part| {
            let follows = part.origin.source == span.source && part.origin.start >= span.end;
            if follows && part.line == first.line {
                Span { end: part.origin.end, ..span }
            } else {
                span
            }
        })
    }
}
