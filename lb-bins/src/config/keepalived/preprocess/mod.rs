//! Files become lines: `include`, `@conditions`, `$VARIABLES`, `~SEQ(…)` and `~LST(…)`.
//!
//! In keepalived's order: a comment is taken away; a line for another host is left out; a definition
//! is kept; a sequence repeats what follows it; variables are replaced, and what comes of that is
//! looked at again; braces become lines of their own, and what follows one is a line again.
//!
//! A file may be hostile: how much comes of it is bounded, and so is how deep it goes.

mod files;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::definitions::{Definitions, Replaced, definition};
use super::include::Strictness;
use super::lexer::{Bare, Word, bare, brace, words};
use super::problem::Problem;
use super::text::Text;
use super::{Surroundings, sequence};
use crate::config::mistakes::Mistakes;
use crate::config::source::{Source, Span};

/// More lines than this are an accident: it is a thousand virtual servers of two hundred lines.
const MOST_LINES: usize = 200_000;
/// How many bytes may be read, copied and replaced in all.
const MOST_BYTES: usize = 32 * 1024 * 1024;
/// What a line costs however short it is, in bytes.
const LINE_COST: usize = 64;
/// Longer lines are not read. keepalived cuts them at 1 KiB.
const LONGEST_LINE: usize = 16 * 1024;
/// How often what was replaced may be replaced again, in one line.
const MOST_ROUNDS: usize = 64;
/// How deep sequences, definitions of several lines and files may be in each other.
const DEEPEST: usize = 32;

/// A line that is left, in pieces.
#[derive(Debug)]
pub(super) enum Line {
    /// An opening brace.
    Open(Span),
    /// A closing brace.
    Close(Span),
    /// At least one word, and the text that they were split from.
    Words(Vec<Word>, Text),
}

pub(super) struct Preprocessor<'a> {
    surroundings: &'a Surroundings<'a>,
    sources: &'a mut Vec<Source>,
    mistakes: &'a mut Mistakes,
    definitions: Definitions<'a>,
    strictness: Strictness,
    lines: Vec<Line>,
    /// The files that were read, and which source each is.
    known: HashMap<PathBuf, usize>,
    /// The sources that are being read: each includes the next.
    open: Vec<usize>,
    bytes: usize,
    exhausted: bool,
}

/// Reads the first of the `sources` and whatever it includes, which is added to them.
pub(super) fn lines(
    surroundings: &Surroundings<'_>,
    sources: &mut Vec<Source>,
    mistakes: &mut Mistakes,
) -> Vec<Line> {
    let Surroundings { config_id, environment, seed, .. } = *surroundings;
    let definitions = Definitions::new(config_id, environment, seed);
    let mut preprocessor = Preprocessor {
        surroundings,
        sources,
        mistakes,
        definitions,
        strictness: Strictness::default(),
        lines: Vec::new(),
        known: HashMap::new(),
        open: Vec::new(),
        bytes: 0,
        exhausted: false,
    };
    let directory = surroundings.path.map(|path| path.parent().unwrap_or(Path::new("")));
    if let Some(path) = surroundings.path.and_then(|path| path.canonicalize().ok()) {
        preprocessor.known.insert(path, 0);
    }
    preprocessor.file(0, directory, 0);
    preprocessor.lines
}

impl Preprocessor<'_> {
    fn file(&mut self, index: usize, directory: Option<&Path>, depth: usize) {
        let text = std::mem::take(&mut self.sources[index].text);
        // How strict includes are ends with the file that says it.
        let strictness = self.strictness;
        self.set_directory(directory);
        self.open.push(index);
        // A definition of several lines, while it goes on.
        let mut open: Option<(String, Vec<Text>)> = None;
        let mut start = 0;
        for (number, line) in text.split('\n').enumerate() {
            let written = line.trim_end_matches('\r');
            let line_start = start;
            start += line.len() + 1;
            if written.len() > LONGEST_LINE {
                let span = Span { source: index, start: line_start, end: line_start + 1 };
                self.mistakes.error(span, Problem::LongLine { most: LONGEST_LINE }.into());
                continue;
            }
            let line = Text::line(written, index, line_start, number + 1);
            if !self.spend(&line) {
                break;
            }
            let Bare { text, goes_on, open_quote } = bare(&line);
            if let Some(quote) = open_quote {
                self.mistakes.error(quote, Problem::OpenQuote.into());
            }
            if let Some((name, mut value)) = open.take() {
                if !text.is_empty() {
                    value.push(text);
                }
                match goes_on && !written.is_empty() {
                    true => open = Some((name, value)),
                    false => self.definitions.set(name, value),
                }
                continue;
            }
            let Some(text) = self.condition(text) else { continue };
            match definition(&text) {
                Some((name, value)) if goes_on => {
                    let value = if value.is_empty() { Vec::new() } else { vec![value] };
                    open = Some((name, value));
                }
                _ => {
                    if goes_on && !text.is_empty() {
                        self.mistakes.error(text.span(), Problem::GoesOn.into());
                    }
                    self.line(text, directory, depth);
                }
            }
        }
        if let Some((name, value)) = open {
            self.definitions.set(name, value);
        }
        self.open.pop();
        self.strictness = strictness;
        self.sources[index].text = text;
    }

    /// `_PWD` is the directory of the file that is read; as in keepalived the whole path, whichever
    /// directory the daemon is in later.
    fn set_directory(&mut self, directory: Option<&Path>) {
        let directory = directory.filter(|directory| *directory != Path::new(""));
        let directory = directory.unwrap_or(Path::new("."));
        let whole = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
        self.definitions.set("_PWD".to_owned(), vec![Text::nowhere(whole.display().to_string())]);
    }

    /// The line without its condition; `None` if it is for another host.
    fn condition(&self, line: Text) -> Option<Text> {
        let Some(condition) = line.as_str().strip_prefix('@') else { return Some(line) };
        let (reversed, condition) = match condition.strip_prefix('^') {
            Some(condition) => (true, condition),
            None => (false, condition),
        };
        let (id, rest) = condition.split_once([' ', '\t'])?;
        if (id == self.surroundings.config_id) == reversed {
            return None;
        }
        Some(line.rest(line.len() - rest.len()).trim())
    }

    /// Counts what is done. When it is too much, says so once, and nothing more is done.
    fn spend(&mut self, text: &Text) -> bool {
        self.bytes += text.len() + LINE_COST;
        if self.bytes > MOST_BYTES || self.lines.len() > MOST_LINES {
            if !self.exhausted {
                self.mistakes.error(text.span(), Problem::TooMuch { lines: MOST_LINES }.into());
            }
            self.exhausted = true;
        }
        !self.exhausted
    }

    fn line(&mut self, line: Text, directory: Option<&Path>, depth: usize) {
        let mut rest = Some(line);
        while let Some(line) = rest.take().filter(|line| !line.is_empty()) {
            let Some(line) = self.expanded(line, directory, depth) else { return };
            let Some(line) = self.included(line, directory, depth) else { return };
            rest = self.emit(&line);
        }
    }

    /// The line when nothing in it is left to replace; `None` if nothing is left of it.
    fn expanded(&mut self, line: Text, directory: Option<&Path>, depth: usize) -> Option<Text> {
        let mut line = line;
        for _ in 0..MOST_ROUNDS {
            if !self.spend(&line) {
                return None;
            }
            line = self.condition(line)?;
            if let Some((name, value)) = definition(&line) {
                self.definitions.set(name, vec![value]);
                return None;
            }
            if let Some(split) = sequence::split(&line) {
                self.sequence(split, &line, directory, depth);
                return None;
            }
            match self.definitions.replace(&line) {
                Replaced::Nothing => return Some(line),
                Replaced::Lines(lines) if lines.len() > 1 => {
                    self.deeper(&line, depth, |this, depth| {
                        for line in lines {
                            this.line(line, directory, depth);
                        }
                    });
                    return None;
                }
                Replaced::Lines(mut lines) => {
                    let replaced = lines.pop()?.trim();
                    if replaced.len() > LONGEST_LINE {
                        let problem = Problem::LongLine { most: LONGEST_LINE };
                        self.mistakes.error(line.span(), problem.into());
                        return None;
                    }
                    line = replaced;
                }
            }
        }
        self.mistakes.error(line.span(), Problem::EndlessReplacement.into());
        None
    }

    fn sequence(
        &mut self,
        split: Result<(Text, Text), sequence::SequenceError>,
        line: &Text,
        directory: Option<&Path>,
        depth: usize,
    ) {
        let parsed = split.and_then(|(head, rest)| {
            let head = match self.definitions.replace(&head) {
                Replaced::Lines(mut lines) if lines.len() == 1 => lines.pop().unwrap_or(head),
                _ => head,
            };
            Ok((sequence::parse(&head)?, rest))
        });
        let (sequence, rest) = match parsed {
            Ok(parsed) => parsed,
            Err(reason) => {
                let written = line.as_str().chars().take(4).collect();
                return self
                    .mistakes
                    .error(line.span(), Problem::Sequence { written, reason }.into());
            }
        };
        self.deeper(line, depth, |this, depth| {
            let variables = sequence.variables.clone();
            for values in sequence {
                if !this.spend(&rest) {
                    return;
                }
                for (name, value) in variables.iter().zip(values) {
                    this.definitions.set(name.clone(), vec![value]);
                }
                this.line(rest.clone(), directory, depth);
            }
        });
    }

    fn deeper(&mut self, line: &Text, depth: usize, body: impl FnOnce(&mut Self, usize)) {
        if depth >= DEEPEST {
            let problem = Problem::TooDeep { most: DEEPEST };
            self.mistakes.error(line.span(), problem.into());
            self.exhausted = true;
            return;
        }
        body(self, depth + 1);
    }

    /// Emits what stands before the first brace and the brace; what is behind it is a line again.
    fn emit(&mut self, line: &Text) -> Option<Text> {
        let at = brace(line.as_str());
        let before = line.slice(0..at.unwrap_or(line.len())).trim();
        if !before.is_empty() {
            // The brace may be its own, which nobody takes for that any more.
            for undefined in self.definitions.undefined(line, at.unwrap_or(line.len())) {
                let name = undefined.as_str().to_owned();
                self.mistakes.warning(undefined.span(), Problem::Undefined { name }.into());
            }
            let words = words(&before);
            // It holds from where it stands, so it cannot wait for the blocks.
            match words.first().map(|first| first.text.as_str()) {
                Some("include_check") => self.strictness.set(&words[1..]),
                Some("random_seed") => {
                    if let Some(Ok(seed)) = words.get(1).map(|seed| seed.text.parse()) {
                        self.definitions.reseed(seed);
                    }
                }
                _ => {}
            }
            self.lines.push(Line::Words(words, before));
        }
        let at = at?;
        let brace = line.slice(at..at + 1);
        self.lines.push(match brace.as_str() {
            "{" => Line::Open(brace.span()),
            _ => Line::Close(brace.span()),
        });
        Some(line.rest(at + 1).trim())
    }
}
