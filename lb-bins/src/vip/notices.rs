//! Who is told what happened: scripts, as keepalived calls them, and a FIFO.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, mkfifoat};
use rustix::io::Errno;
use tracing::warn;

use crate::config::{Command, Notify};
use crate::notify::{Job, Scripts};

/// Whether one instance is meant, or a whole group.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Subject {
    Group,
    Instance,
}

impl Subject {
    const fn word(self) -> &'static str {
        match self {
            Self::Group => "GROUP",
            Self::Instance => "INSTANCE",
        }
    }
}

/// Something that happened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Notice<'a> {
    pub(super) subject: Subject,
    pub(super) name: &'a str,
    /// `MASTER`, `BACKUP`, `FAULT` or `STOP`; or what happened without a change of those.
    pub(super) state: &'static str,
    /// Groups have 0.
    pub(super) priority: u8,
}

impl Notice<'_> {
    /// The scripts for it, in keepalived's order.
    fn commands<'a>(&self, notify: &'a Notify) -> impl Iterator<Item = Command> + use<'a> {
        let (one, is_change) = match self.state {
            "MASTER" => (&notify.master, true),
            "BACKUP" => (&notify.backup, true),
            "FAULT" => (&notify.fault, true),
            "STOP" => (&notify.stop, true),
            "MASTER_RX_LOWER_PRI" => (&notify.master_rx_lower_pri, false),
            _ => (&None, false),
        };
        let told = [self.subject.word(), self.name, self.state].map(str::to_owned);
        let priority = self.priority.to_string();
        let any = notify.any.clone().filter(|_| is_change).map(|mut any| {
            any.arguments.extend(told);
            any.arguments.push(priority);
            any
        });
        one.clone().into_iter().chain(any)
    }

    fn line(&self) -> String {
        let Self { subject, name, state, priority } = self;
        format!("{} \"{name}\" {state} {priority}\n", subject.word())
    }
}

/// The scripts of one instance or group: one at a time, in order.
#[derive(Debug, Default)]
pub(super) struct Teller(Option<Scripts>);

impl Teller {
    pub(super) fn tell(&mut self, notice: Notice<'_>, notify: &Notify, fifo: &mut Fifo) {
        for command in notice.commands(notify) {
            let scripts = self.0.get_or_insert_with(Scripts::start);
            scripts.run(Job { command, variables: Vec::new() });
        }
        let is_of_priority = notice.state.ends_with("_PRIORITY");
        if !is_of_priority || notify.priority_changes {
            fifo.tell(notice);
        }
    }

    /// Resolves when every script has ended.
    pub(super) async fn finish(self) {
        if let Some(scripts) = self.0 {
            scripts.finish().await;
        }
    }
}

/// A named pipe that has a line for everything. What nobody reads is lost when it is full.
#[derive(Debug, Default)]
pub(super) struct Fifo {
    pipe: Option<(PathBuf, File)>,
    /// Whether it was said that lines are lost.
    is_full: bool,
}

impl Fifo {
    /// Makes the pipe unless it is there.
    ///
    /// # Errors
    /// It cannot be made or opened, or is something else.
    pub(super) fn open(path: Option<&Path>) -> io::Result<Self> {
        let Some(path) = path else { return Ok(Self::default()) };
        match mkfifoat(CWD, path, Mode::RUSR | Mode::WUSR) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let flags = OFlags::NONBLOCK | OFlags::CLOEXEC;
        let flags = i32::try_from(flags.bits()).unwrap_or_default();
        // For reading as well: then it can be opened before anybody reads, and what is written
        // waits for who comes.
        let pipe = OpenOptions::new().read(true).write(true).custom_flags(flags).open(path)?;
        let kind = rustix::fs::fstat(&pipe)?.st_mode;
        if !rustix::fs::FileType::from_raw_mode(kind).is_fifo() {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "it is no named pipe"));
        }
        Ok(Self { pipe: Some((path.to_owned(), pipe)), is_full: false })
    }

    /// Whether it is the one that is wanted.
    pub(super) fn is_at(&self, path: Option<&Path>) -> bool {
        self.pipe.as_ref().map(|(at, _)| at.as_path()) == path
    }

    fn tell(&mut self, notice: Notice<'_>) {
        let Some((path, pipe)) = &mut self.pipe else { return };
        // Shorter than PIPE_BUF: all of it or nothing.
        let written = pipe.write_all(notice.line().as_bytes());
        let was_full = std::mem::replace(&mut self.is_full, written.is_err());
        if let Err(error) = written
            && !was_full
        {
            warn!(path = %path.display(), %error, "nobody reads the FIFO: lines are lost");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_called_as_keepalived_calls_them() {
        let command = |program: &str| Command { program: program.to_owned(), arguments: vec![] };
        let notify = Notify {
            any: Some(Command { program: "/any".into(), arguments: vec!["first".into()] }),
            master: Some(command("/master")),
            master_rx_lower_pri: Some(command("/lower")),
            ..Notify::default()
        };
        let notice =
            Notice { subject: Subject::Instance, name: "web", state: "MASTER", priority: 7 };
        let called: Vec<_> = notice.commands(&notify).collect();
        assert_eq!(called[0], command("/master"));
        assert_eq!(called[1].arguments, ["first", "INSTANCE", "web", "MASTER", "7"]);
        assert_eq!(notice.line(), "INSTANCE \"web\" MASTER 7\n");
        let lower = Notice { state: "MASTER_RX_LOWER_PRI", ..notice };
        assert_eq!(lower.commands(&notify).collect::<Vec<_>>(), [command("/lower")]);
        let group = Notice { subject: Subject::Group, state: "FAULT", priority: 0, ..notice };
        assert_eq!(group.commands(&notify).count(), 1);
        assert_eq!(group.line(), "GROUP \"web\" FAULT 0\n");
    }
}
