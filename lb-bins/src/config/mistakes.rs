//! What is wrong with a configuration, and where: collected while reading, shown with the source.

use std::collections::HashSet;
use std::error::Error;
use std::fmt;

use super::problem::Problem;
use super::source::{Source, Span};

/// How many characters of a source line are shown on either side of a mistake.
const CONTEXT: usize = 60;

/// Whether a mistake keeps the configuration from being used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Severity {
    /// The configuration is refused.
    Error,
    /// The configuration is used as it stands, though it is probably not what was meant.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// One thing that is wrong, shown as a compiler would:
///
/// ```text
/// lb.toml:3:13: error: `scheduler` is "wlcc", which is not known
///   3 | scheduler = "wlcc"
///     |             ^^^^^^
/// help: did you mean "wlc"?
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mistake {
    file: String,
    place: Option<Place>,
    severity: Severity,
    problem: Problem,
    first: Option<String>,
    syntax: Syntax,
}

impl Mistake {
    /// The name of the source it is in.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Line and column, both from 1, columns in characters; `None` when all of the file is meant.
    pub fn position(&self) -> Option<(usize, usize)> {
        self.place.as_ref().map(|place| (place.line, place.column))
    }

    /// Whether it keeps the configuration from being used.
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// What is wrong, in one line.
    pub fn message(&self) -> String {
        self.problem.message_in(self.syntax)
    }

    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        // Names that are known here may be of the file, and so anything.
        let printable =
            |character| if character == '\n' { character } else { printable(character) };
        self.problem.help_in(self.syntax).map(|help| help.chars().map(printable).collect())
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, place, severity, first, .. } = self;
        let message = self.message();
        match place {
            None => writeln!(f, "{file}: {severity}: {message}")?,
            Some(Place { line, column, excerpt, underline }) => {
                writeln!(f, "{file}:{line}:{column}: {severity}: {message}")?;
                writeln!(f, "{line:>5} | {excerpt}")?;
                writeln!(f, "      | {underline}")?;
            }
        }
        if let Some(first) = first {
            writeln!(f, "note: first used in {first}")?;
        }
        if let Some(help) = self.help() {
            writeln!(f, "help: {help}")?;
        }
        Ok(())
    }
}

/// Why a configuration was refused: every mistake in it, in the order of the text.
///
/// Shown as one block per mistake with an empty line between. At least one mistake is an
/// [error](Severity::Error); warnings found on the way are listed too.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConfigErrors {
    mistakes: Vec<Mistake>,
}

impl ConfigErrors {
    /// All mistakes, in the order of the text.
    pub fn mistakes(&self) -> &[Mistake] {
        &self.mistakes
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.mistakes.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{mistake}")?;
        }
        Ok(())
    }
}

impl Error for ConfigErrors {}

/// In which way a configuration is written, and so are its remedies.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Syntax {
    Keepalived,
    #[default]
    Toml,
}

/// The collector that reading and validation share.
#[derive(Debug, Default)]
pub(super) struct Mistakes {
    found: Vec<Found>,
    syntax: Syntax,
}

/// A mistake before its place is turned into line, column and excerpt.
#[derive(Debug)]
struct Found {
    span: Option<Span>,
    first: Option<Span>,
    severity: Severity,
    problem: Problem,
}

impl Mistakes {
    /// Those of a text in that syntax; by default it is TOML.
    pub(super) const fn of(syntax: Syntax) -> Self {
        Self { found: Vec::new(), syntax }
    }

    /// Adds what makes the configuration unusable.
    pub(super) fn error(&mut self, span: impl Into<Option<Span>>, problem: Problem) {
        let (span, severity) = (span.into(), Severity::Error);
        self.found.push(Found { span, first: None, severity, problem });
    }

    /// Adds an error at `span` about something that `first` has already.
    pub(super) fn repeated(&mut self, span: Span, first: Span, problem: Problem) {
        let severity = Severity::Error;
        self.found.push(Found { span: Some(span), first: Some(first), severity, problem });
    }

    /// Adds what is probably not meant, as `first` has said it already.
    pub(super) fn warned_before(&mut self, span: Span, first: Span, problem: Problem) {
        let severity = Severity::Warning;
        self.found.push(Found { span: Some(span), first: Some(first), severity, problem });
    }

    /// Adds what is probably not meant.
    pub(super) fn warning(&mut self, span: impl Into<Option<Span>>, problem: Problem) {
        let (span, severity) = (span.into(), Severity::Warning);
        self.found.push(Found { span, first: None, severity, problem });
    }

    /// How many were found up to now.
    pub(super) fn count(&self) -> usize {
        self.found.len()
    }

    /// Takes back such warnings that were found after the first `count` mistakes.
    pub(super) fn take_back(&mut self, count: usize, problem: &Problem) {
        let mut index = 0;
        self.found.retain(|found| {
            index += 1;
            index <= count || found.problem != *problem
        });
    }

    /// Whether the configuration is unusable.
    pub(super) fn has_errors(&self) -> bool {
        self.found.iter().any(|found| found.severity == Severity::Error)
    }

    /// The mistakes as an error, which they must be.
    pub(super) fn into_errors(self, sources: &[Source]) -> ConfigErrors {
        ConfigErrors { mistakes: self.locate(sources) }
    }

    /// The mistakes in the order of the texts, each with its place in one of the `sources`; what is
    /// said twice of one place is shown once.
    pub(super) fn locate(mut self, sources: &[Source]) -> Vec<Mistake> {
        self.found.sort_by_key(|found| found.span.map(|span| (span.source, span.start)));
        let mut shown: HashSet<(Option<Span>, String)> = HashSet::new();
        let mut lines: Vec<Option<Lines<'_>>> = sources.iter().map(|_| None).collect();
        let mut locate = |span: Span| {
            let source = sources.get(span.source)?;
            let lines = lines[span.source].get_or_insert_with(|| Lines::of(&source.text));
            Some((source.name.as_str(), lines.place(span)))
        };
        let first_name = sources.first().map_or("", |source| &source.name);
        let syntax = self.syntax;
        self.found
            .into_iter()
            .filter(|Found { span, problem, .. }| shown.insert((*span, problem.to_string())))
            .map(|Found { span, first, severity, problem }| {
                let located = span.and_then(&mut locate);
                let file = located.as_ref().map_or(first_name, |(name, _)| name).to_owned();
                let first = first.and_then(&mut locate).map(|(name, Place { line, .. })| {
                    if name == file { format!("line {line}") } else { format!("{name}:{line}") }
                });
                let place = located.map(|(_, place)| place);
                Mistake { file, place, severity, problem, first, syntax }
            })
            .collect()
    }
}

/// Where a mistake is, ready to be shown without the source.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Place {
    line: usize,
    column: usize,
    excerpt: String,
    underline: String,
}

/// A text with the starts of its lines.
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        let newlines = text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n');
        let starts = std::iter::once(0).chain(newlines.map(|(index, _)| index + 1)).collect();
        Self { text, starts }
    }

    /// The number, from 1, of the line with the byte at `offset`.
    fn number(&self, offset: usize) -> usize {
        self.starts.partition_point(|&start| start <= offset)
    }

    fn place(&self, span: Span) -> Place {
        let start = self.boundary(span.start);
        let line = self.number(start);
        let line_start = self.starts[line - 1];
        let rest = &self.text[line_start..];
        let content = rest.split('\n').next().unwrap_or(rest).trim_end_matches('\r');
        let line_end = line_start + content.len();

        let before = &self.text[line_start..start.max(line_start)];
        // A span may go on over several lines; only its first line is shown.
        let end = self.boundary(span.end).clamp(start, line_end.max(start));
        let marked = &self.text[start..end];
        let after = &self.text[end..line_end.max(end)];
        let (excerpt, underline) = excerpt(before, marked, after);
        Place { line, column: before.chars().count() + 1, excerpt, underline }
    }

    /// The nearest place at or before `offset` that does not cut a character.
    fn boundary(&self, offset: usize) -> usize {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        offset
    }
}

/// One source line with the marked part underlined, cut to what fits a screen.
fn excerpt(before: &str, marked: &str, after: &str) -> (String, String) {
    let skipped = before.chars().count().saturating_sub(CONTEXT);
    let (mut line, mut underline) = (String::new(), String::new());
    if skipped > 0 {
        line.push('…');
        underline.push(' ');
    }
    for character in before.chars().skip(skipped) {
        line.push(printable(character));
        // A tab is as wide below as it is above only if it is a tab.
        underline.push(if character == '\t' { '\t' } else { ' ' });
    }
    for character in marked.chars().take(CONTEXT) {
        line.push(printable(character));
        underline.push('^');
    }
    if marked.is_empty() {
        underline.push('^');
    }
    let mut rest = marked.chars().skip(CONTEXT).chain(after.chars());
    line.extend(rest.by_ref().take(CONTEXT).map(printable));
    if rest.next().is_some() {
        line.push('…');
    }
    (line.trim_end().to_owned(), underline)
}

/// The character, unless it would move the cursor or switch the colours of a terminal.
fn printable(character: char) -> char {
    if character.is_control() && character != '\t' {
        char::REPLACEMENT_CHARACTER
    } else {
        character
    }
}
