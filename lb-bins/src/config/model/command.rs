//! Programs that are run.

use super::Account;

/// A program to run, without a shell in between.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Command {
    /// An absolute path.
    pub program: String,
    /// What it is given.
    pub arguments: Vec<String>,
    /// Whom it runs as; default: as the daemon does.
    pub user: Option<Account>,
}

impl Command {
    /// A program, run as the daemon is.
    pub fn new(program: impl Into<String>, arguments: Vec<String>) -> Self {
        Self { program: program.into(), arguments, user: None }
    }
}
