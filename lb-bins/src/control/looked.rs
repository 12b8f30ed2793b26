//! What is in the files of a configuration, for a control that does not wait for them.

use std::sync::Arc;

use crate::checkers::Files;
use crate::config::Config;
use crate::notify::{Letter, MailError};
use crate::process::aside;

/// What is in the files that checks need, and the mail as its files have it.
#[derive(Debug)]
pub(super) struct Looked {
    pub(super) files: Files,
    pub(super) letter: Option<Arc<Letter>>,
}

impl Looked {
    /// Reads the files: waits for the file system that they are on, which may hang.
    ///
    /// # Errors
    /// [`MailError`], if the mail cannot be as it is configured.
    pub(super) fn at(config: &Config) -> Result<Self, MailError> {
        Ok(Self { files: Files::of_all(config), letter: Letter::of(config)? })
    }

    /// The same on a thread of its own, for which only the caller waits.
    ///
    /// # Errors
    /// [`MailError`], as above.
    pub(super) async fn aside(config: &Config) -> Result<Self, MailError> {
        let theirs = config.clone();
        // Where there is no thread to be had, there is nothing for it but to look here.
        aside(move || Self::at(&theirs)).await.unwrap_or_else(|_| Self::at(config))
    }
}
