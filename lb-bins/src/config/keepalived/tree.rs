//! Lines become blocks, as the [words](super::words) say which there are.

use std::collections::HashMap;
use std::iter::Peekable;
use std::vec::IntoIter;

use super::lexer::{Word, escaped_words};
use super::preprocess::Line;
use super::problem::Problem;
use super::text::Text;
use super::words::{self, Keyword, ROOT, Role, Shape, Words};
use crate::config::mistakes::Mistakes;
use crate::config::source::Span;

/// After so many unknown words it is no matter of a typing mistake.
const MOST_UNKNOWN: usize = 100;

/// A word with what follows it.
#[derive(Debug)]
pub(super) struct Statement {
    pub(super) keyword: &'static Keyword,
    /// Where the word is.
    pub(super) span: Span,
    /// What follows it on its line.
    pub(super) arguments: Vec<Word>,
    /// The line, as it was before it was split.
    text: Text,
    pub(super) body: Body,
}

/// What is between the braces behind a word.
#[derive(Debug)]
pub(super) enum Body {
    /// There is none.
    None,
    /// Lines without words of their own.
    Rows(Vec<Vec<Word>>),
    /// Lines with words.
    Block(Vec<Statement>),
}

impl Statement {
    /// What it means, whichever way it is spelled.
    pub(super) const fn word(&self) -> &'static str {
        self.keyword.means
    }

    /// The arguments, split as a line with a script is.
    pub(super) fn escaped_arguments(&self) -> Vec<Word> {
        let mut words = escaped_words(&self.text);
        words.drain(..words.len().min(1));
        words
    }

    /// The statements in its block.
    pub(super) fn block(&self) -> &[Self] {
        match &self.body {
            Body::Block(statements) => statements,
            Body::None | Body::Rows(_) => &[],
        }
    }

    /// The lines in its block.
    pub(super) fn rows(&self) -> &[Vec<Word>] {
        match &self.body {
            Body::Rows(rows) => rows,
            Body::None | Body::Block(_) => &[],
        }
    }

    /// The last statement with this word in its block: it is the one that counts.
    pub(super) fn last(&self, word: &str) -> Option<&Self> {
        self.each(word).next_back()
    }

    /// Every statement with this word in its block.
    pub(super) fn each(&self, word: &str) -> impl DoubleEndedIterator<Item = &Self> {
        self.block().iter().filter(move |statement| statement.word() == word)
    }
}

/// Puts lines into blocks. What cannot be is reported, and so is what has no effect.
pub(super) fn tree(lines: Vec<Line>, mistakes: &mut Mistakes) -> Vec<Statement> {
    let mut parser = Parser { lines: lines.into_iter().peekable(), mistakes, unknown: 0 };
    parser.block(ROOT, None, false)
}

struct Parser<'m> {
    lines: Peekable<IntoIter<Line>>,
    mistakes: &'m mut Mistakes,
    /// How many unknown words were reported.
    unknown: usize,
}

/// Where a block begins.
#[derive(Clone, Copy)]
struct Opened {
    block: &'static str,
    brace: Span,
}

impl Parser<'_> {
    /// The statements up to the brace that closes the block. Blocks are as deep as the tables of
    /// words, so this does not go deep.
    fn block(&mut self, words: Words, opened: Option<Opened>, unused: bool) -> Vec<Statement> {
        let mut statements: Vec<Statement> = Vec::new();
        let mut first: HashMap<&str, Span> = HashMap::new();
        // Braces without a word in front of them.
        let mut stray = 0_usize;
        loop {
            match self.lines.next() {
                None => {
                    self.end_of_text(opened);
                    return statements;
                }
                Some(Line::Open(brace)) => {
                    stray += 1;
                    self.mistakes.warning(brace, Problem::StrayOpen.into());
                }
                Some(Line::Close(_)) if stray > 0 => stray -= 1,
                Some(Line::Close(brace)) => match opened {
                    Some(_) => return statements,
                    None => self.mistakes.warning(brace, Problem::StrayClose.into()),
                },
                Some(Line::Words(line, text)) => {
                    let block = opened.map(|opened| opened.block);
                    let statement = self.statement(words, line, text, block, unused);
                    if let Some(statement) = statement {
                        self.report_repeated(&statement, &mut first);
                        statements.push(statement);
                    }
                }
            }
        }
    }

    fn end_of_text(&mut self, opened: Option<Opened>) {
        if let Some(Opened { block, brace }) = opened {
            self.mistakes.error(brace, Problem::Unclosed { block }.into());
        }
    }

    fn report_repeated(&mut self, statement: &Statement, first: &mut HashMap<&str, Span>) {
        if !matches!(statement.keyword.role, Role::Once) {
            return;
        }
        let word = statement.word();
        match first.get(word) {
            None => {
                first.insert(word, statement.span);
            }
            Some(&first) => {
                let word = statement.keyword.name;
                self.mistakes.warned_before(statement.span, first, Problem::Again { word }.into());
            }
        }
    }

    fn statement(
        &mut self,
        words: Words,
        mut line: Vec<Word>,
        text: Text,
        block: Option<&'static str>,
        unused: bool,
    ) -> Option<Statement> {
        if line.is_empty() {
            return None;
        }
        let arguments = line.split_off(1);
        let Word { text: name, span } = line.swap_remove(0);
        let Some(keyword) = words::find(words, &name) else {
            self.unknown(name, span, block, words);
            self.skip_block();
            return None;
        };
        if let Role::Unused(why) = keyword.role
            && !unused
        {
            self.mistakes.warning(span, Problem::Unused { word: keyword.name, why }.into());
        }
        let unused = unused || matches!(keyword.role, Role::Unused(_));
        let body = match keyword.shape {
            Shape::Line => Body::None,
            Shape::Rows => {
                let opened = self.open(keyword, span);
                Body::Rows(self.rows(opened))
            }
            Shape::Block(inner) => {
                let opened = self.open(keyword, span);
                Body::Block(self.block(inner, Some(opened), unused))
            }
        };
        Some(Statement { keyword, span, arguments, text, body })
    }

    fn unknown(&mut self, name: String, span: Span, block: Option<&'static str>, words: Words) {
        self.unknown += 1;
        let problem = match self.unknown {
            0..=MOST_UNKNOWN => Problem::unknown(name, block, words),
            _ if self.unknown == MOST_UNKNOWN + 1 => Problem::MoreUnknown,
            _ => return,
        };
        self.mistakes.error(span, problem.into());
    }

    /// The brace that must follow; if it does not, what follows is read as if it did, as in
    /// keepalived: it is the brace that is missing, not the block.
    fn open(&mut self, keyword: &'static Keyword, span: Span) -> Opened {
        let block = keyword.name;
        match self.lines.peek() {
            Some(&Line::Open(brace)) => {
                self.lines.next();
                Opened { block, brace }
            }
            _ => {
                self.mistakes.error(span, Problem::NotOpened { block }.into());
                Opened { block, brace: span }
            }
        }
    }

    fn rows(&mut self, opened: Opened) -> Vec<Vec<Word>> {
        let mut rows = Vec::new();
        loop {
            match self.lines.peek() {
                None => {
                    self.end_of_text(Some(opened));
                    return rows;
                }
                Some(Line::Close(_)) => {
                    self.lines.next();
                    return rows;
                }
                Some(&Line::Open(brace)) => {
                    let problem = Problem::NoBlock { word: opened.block };
                    self.mistakes.error(brace, problem.into());
                    self.skip_block();
                }
                Some(Line::Words(..)) => {
                    if let Some(Line::Words(row, _)) = self.lines.next()
                        && !row.is_empty()
                    {
                        rows.push(row);
                    }
                }
            }
        }
    }

    /// Leaves out a block, if there is one, with all that is in it.
    fn skip_block(&mut self) {
        let mut depth = 0_usize;
        while let Some(line) = self.lines.peek() {
            match line {
                Line::Open(_) => depth += 1,
                Line::Close(_) if depth == 1 => {
                    self.lines.next();
                    return;
                }
                Line::Close(_) => depth = depth.saturating_sub(1),
                Line::Words(..) => {}
            }
            if depth == 0 {
                return;
            }
            self.lines.next();
        }
    }
}
