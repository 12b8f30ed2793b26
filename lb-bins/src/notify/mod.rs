//! Who outside is told of changes: scripts, whoever reads a pipe, people by mail.
//!
//! Nobody here is ever waited for: what they cannot take now they get later, or not at all, and
//! then it is counted and logged. Any daemon can use it: what is told is text.

mod backlog;
mod execution;
mod fifo;
mod mail;
mod observer;
mod reader;
mod scripts;
mod submission;

pub use backlog::{Backlog, Undone};
pub(crate) use execution::{Dying, Ended, execute};
pub use fifo::{Fifo, FifoError, FifoStatus};
pub use mail::{Letter, MailError, MailStatus, Mailer};
pub use observer::{Observer, Quorums, Shortfall};
pub use scripts::{Job, Scripts};

use reader::Reader;

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::config::Config;
use crate::process::Unhurried;

/// A change worth telling.
#[derive(Clone, Debug)]
pub struct News {
    /// As the pipe tells it; `None` if it does not.
    pub line: Option<String>,
    /// What it is about: what is told later of the same is so in its place.
    pub about: String,
    /// How bad it is.
    pub gravity: Gravity,
    /// In a few words, for people.
    pub what: String,
    /// What led to it, if that is known.
    pub why: Option<String>,
    /// Whether it is told by mail.
    pub mailed: bool,
}

/// How bad a change is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Gravity {
    /// All is well, or serves at least.
    Well,
    /// Something is missing, which others stand in for.
    Impaired,
    /// Too little is left.
    Grave,
}

/// The pipe and the mail of a daemon, as far as there are any.
#[derive(Debug, Default)]
pub struct Notifier {
    fifo: Option<Fifo>,
    /// Of the pipe, if one is started.
    reader: Option<Reader>,
    mailer: Option<Mailer>,
    /// Somebody in this process who has them.
    relay: Option<Observer>,
    /// How long a script may run that is told of something; `None`: for ever.
    script_limit: Option<Duration>,
}

/// What became of the news.
#[derive(Clone, Debug, Serialize)]
pub struct NotifierStatus {
    /// The pipe, if there is one.
    pub fifo: Option<FifoStatus>,
    /// The mail, if there is any.
    pub mail: Option<MailStatus>,
}

/// What a configuration needs to tell of changes.
#[derive(Debug)]
pub struct Preparation {
    fifo: Option<Unhurried<Fifo>>,
    letter: Option<Arc<Letter>>,
}

impl Preparation {
    /// Opens the pipe, and reads the files of the mail: waits for the file systems that they are on, which
    /// may hang.
    ///
    /// # Errors
    /// [`NotifyError`], if any of it cannot be as it is configured.
    pub fn of(config: &Config) -> Result<Self, NotifyError> {
        let letter = Letter::of(config)?;
        let fifo = config.notify_fifo.as_deref().map(Fifo::open).transpose()?;
        Ok(Self { fifo: fifo.map(Unhurried::new), letter })
    }
}

/// A configuration whose changes cannot be told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotifyError {
    /// By the pipe.
    #[error(transparent)]
    Fifo(#[from] FifoError),
    /// By mail.
    #[error(transparent)]
    Mail(#[from] MailError),
}

impl Notifier {
    /// One that has nothing itself, and hands on all that it is told.
    pub(crate) fn relaying(relay: Observer) -> Self {
        Self { relay: Some(relay), ..Self::default() }
    }

    /// Whether [`Preparation::of`] may succeed, as far as can be seen without doing anything.
    ///
    /// # Errors
    /// [`NotifyError`], as of that.
    pub fn rehearse(config: &Config) -> Result<(), NotifyError> {
        config.notify_fifo.as_deref().map_or(Ok(()), Fifo::rehearse)?;
        Letter::of(config)?;
        Ok(())
    }

    /// Tells by what `config` has from now on. So goes mail that has not been sent yet; if there is none
    /// any more, it goes its way as before. Waits for nothing. Must be called within a runtime.
    pub fn take_over(&mut self, config: &Config, preparation: Preparation) {
        let Preparation { fifo, letter } = preparation;
        self.script_limit = config.notify_timeout;
        let is_new = |fifo: &Fifo| self.fifo.as_ref().is_none_or(|known| !known.is_same(fifo));
        let fifo = fifo.and_then(Unhurried::into_inner).filter(is_new);
        let script = config.notify_fifo_script.as_ref();
        if fifo.is_some() || self.reader.as_ref().map(Reader::command) != script {
            self.reader = None;
        }
        if fifo.is_some() || config.notify_fifo.is_none() {
            drop(std::mem::replace(&mut self.fifo, fifo).map(Unhurried::new));
        }
        if let (None, Some(path), Some(script)) = (&self.reader, &config.notify_fifo, script) {
            self.reader = Some(Reader::start(script, path));
        }
        match (&self.mailer, letter) {
            (Some(mailer), Some(letter)) => mailer.change(letter),
            (_, letter) => self.mailer = letter.map(Mailer::start),
        }
    }

    /// How long a script may run that is told of something; `None`: for ever.
    pub(crate) const fn script_limit(&self) -> Option<Duration> {
        self.script_limit
    }

    /// Tells everybody. Never waits.
    pub fn tell(&mut self, news: News) {
        if let Some(relay) = &self.relay {
            relay.tell(news);
            return;
        }
        if let (Some(fifo), Some(line)) = (&mut self.fifo, &news.line) {
            fifo.tell(line);
        }
        if let Some(mailer) = self.mailer.as_ref().filter(|_| news.mailed) {
            mailer.tell(news);
        }
    }

    /// What became of what was told.
    pub fn status(&self) -> NotifierStatus {
        NotifierStatus {
            fifo: self.fifo.as_ref().map(Fifo::status),
            mail: self.mailer.as_ref().map(Mailer::status),
        }
    }

    /// How many changes are in no mail yet that should be, now and later.
    pub(crate) fn unsent(&self) -> impl Fn() -> u64 + use<> {
        let unsent = self.mailer.as_ref().map(Mailer::unsent);
        move || unsent.as_ref().map_or(0, |unsent| unsent())
    }

    /// Resolves when the reader of the pipe has ended and the last mail has been sent or given up.
    pub async fn finish(self) {
        // It reads what there is, and then the end.
        drop(self.fifo);
        if let Some(reader) = self.reader {
            reader.finish().await;
        }
        if let Some(mailer) = self.mailer {
            mailer.finish().await;
        }
    }
}
