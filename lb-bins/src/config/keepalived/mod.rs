//! The front end for keepalived.conf: an importer, so that `--check` migrates.
//!
//! ```text
//!  files ─▶ preprocess ─▶ lines of words ─▶ tree ─▶ import ─▶ draft
//!           include         lexer           words   virtual servers,
//!           @ $ ~SEQ                        (all    virtual routers
//!                                         known)
//! ```
//!
//! What keepalived does with a text is followed step by step (`lib/parser.c`); what its words mean
//! is in its manual page. Leniencies of keepalived are accepted with a warning, as it does; words
//! that it knows but that have no effect here are named; words that it does not know are mistakes.

mod definitions;
mod import;
mod include;
mod lexer;
mod pattern;
mod preprocess;
mod problem;
mod sequence;
mod text;
mod tree;
mod words;

use std::path::Path;

pub(super) use self::problem::Problem;

use self::definitions::Environment;

use super::draft::Draft;
use super::interfaces::HasInterface;
use super::mistakes::Mistakes;
use super::source::Source;

/// What a file does not say itself.
pub(super) struct Surroundings<'a> {
    /// The name by which lines that start with `@` know this host.
    pub(super) config_id: &'a str,
    /// What `${_ENV NAME}` stands for.
    pub(super) environment: &'a Environment<'a>,
    /// Which interfaces it has.
    pub(super) has_interface: HasInterface<'a>,
    /// Where the first source is, so that it can include others; without it nothing is included.
    pub(super) path: Option<&'a Path>,
    /// What `${_RANDOM}` starts from.
    pub(super) seed: u64,
}

/// Reads the first of the `sources` and whatever it includes, which is added to them.
pub(super) fn read(
    surroundings: &Surroundings<'_>,
    sources: &mut Vec<Source>,
    mistakes: &mut Mistakes,
) -> Draft {
    let lines = preprocess::lines(surroundings, sources, mistakes);
    let statements = tree::tree(lines, mistakes);
    import::draft(&statements, mistakes)
}
