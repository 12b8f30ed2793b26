//! Who is told what happened: scripts, as keepalived calls them, and a FIFO.

use crate::config::{Command, Notify};
use crate::notify::{Job, News, Notifier, Scripts};

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

    fn news(&self, notify: &Notify) -> News {
        let Self { subject, name, state, priority } = self;
        let mut what = format!("{} {name} is {state}", subject.word());
        if *priority > 0 {
            what += &format!(" with priority {priority}");
        }
        let mailed = notify.smtp_alert && self.is_change();
        News { line: Some(self.line()), what, why: None, mailed }
    }

    /// Whether it is another state.
    fn is_change(&self) -> bool {
        matches!(self.state, "MASTER" | "BACKUP" | "FAULT" | "STOP")
    }

    fn line(&self) -> String {
        let Self { subject, name, state, priority } = self;
        format!("{} \"{name}\" {state} {priority}", subject.word())
    }
}

/// The scripts of one instance or group: one at a time, in order.
#[derive(Debug, Default)]
pub(super) struct Teller(Option<Scripts>);

impl Teller {
    pub(super) fn tell(&mut self, notice: Notice<'_>, notify: &Notify, notifier: &mut Notifier) {
        for command in notice.commands(notify) {
            let scripts = self.0.get_or_insert_with(Scripts::start);
            scripts.run(Job { command, variables: Vec::new() });
        }
        let is_of_priority = notice.state.ends_with("_PRIORITY");
        if !is_of_priority || notify.priority_changes {
            notifier.tell(notice.news(notify));
        }
    }

    /// Resolves when every script has ended.
    pub(super) async fn finish(self) {
        if let Some(scripts) = self.0 {
            scripts.finish().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_called_as_keepalived_calls_them() {
        let command = |program: &str| Command::new(program, vec![]);
        let notify = Notify {
            any: Some(Command::new("/any", vec!["first".into()])),
            master: Some(command("/master")),
            master_rx_lower_pri: Some(command("/lower")),
            ..Notify::default()
        };
        let notice =
            Notice { subject: Subject::Instance, name: "web", state: "MASTER", priority: 7 };
        let called: Vec<_> = notice.commands(&notify).collect();
        assert_eq!(called[0], command("/master"));
        assert_eq!(called[1].arguments, ["first", "INSTANCE", "web", "MASTER", "7"]);
        assert_eq!(notice.line(), "INSTANCE \"web\" MASTER 7");
        let lower = Notice { state: "MASTER_RX_LOWER_PRI", ..notice };
        assert_eq!(lower.commands(&notify).collect::<Vec<_>>(), [command("/lower")]);
        let group = Notice { subject: Subject::Group, state: "FAULT", priority: 0, ..notice };
        assert_eq!(group.commands(&notify).count(), 1);
        assert_eq!(group.line(), "GROUP \"web\" FAULT 0");
    }
}
