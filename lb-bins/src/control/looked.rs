//! What is in the files of a configuration, for a control that does not wait for them.

use crate::checkers::Files;
use crate::config::Config;
use crate::notify::{NotifyError, Preparation};
use crate::process::aside;

/// What is in the files that checks need, and what changes are told by.
#[derive(Debug)]
pub(super) struct Looked {
    pub(super) files: Files,
    pub(super) telling: Preparation,
}

impl Looked {
    /// Reads the files, and opens the pipe: waits for the file system that they are on, which may hang.
    ///
    /// # Errors
    /// [`NotifyError`], if the pipe or the mail cannot be as it is configured.
    pub(super) fn at(config: &Config) -> Result<Self, NotifyError> {
        Ok(Self { files: Files::of_all(config), telling: Preparation::of(config)? })
    }

    /// The same on a thread of its own, for which only the caller waits.
    ///
    /// # Errors
    /// [`NotifyError`], as above.
    pub(super) async fn aside(config: &Config) -> Result<Self, NotifyError> {
        let theirs = config.clone();
        // Where there is no thread to be had, there is nothing for it but to look here.
        aside(move || Self::at(&theirs)).await.unwrap_or_else(|_| Self::at(config))
    }
}
