//! Who is told what happened: scripts, as keepalived calls them, and a FIFO.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use lb_vrrp::Role;

use crate::config::{Command, Deleted, Notify};
use crate::notify::{Backlog, Gravity, Job, News, Notifier, Scripts};

/// How often at most it is told that a lower one was heard. Everybody on the link can say so.
const LOWER: Duration = Duration::from_secs(1);

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

/// What can happen to it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Happening {
    /// It is something else now, or is called otherwise.
    Became(Role),
    /// A reload has removed it.
    Deleted,
    /// It is master, and heard a lower one.
    HeardLower,
    /// It is a backup of another priority.
    PriorityOfBackup,
    /// It is a master of another priority.
    PriorityOfMaster,
    /// It does not take part any more.
    Stopped,
}

impl Happening {
    /// As keepalived's scripts and pipes are told it (keepalived.conf(5), `notify` and `notify_deleted`).
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Became(role) => role.name(),
            Self::Deleted => "DELETED",
            Self::HeardLower => "MASTER_RX_LOWER_PRI",
            Self::PriorityOfBackup => "BACKUP_PRIORITY",
            Self::PriorityOfMaster => "MASTER_PRIORITY",
            Self::Stopped => "STOP",
        }
    }

    /// That it is gone: only those who want to know hear why.
    pub(super) const fn gone(is_deleted: bool, notify: &Notify) -> Self {
        match notify.deleted {
            Deleted::Told(_) if is_deleted => Self::Deleted,
            _ => Self::Stopped,
        }
    }

    /// What runs for this alone.
    fn command(self, notify: &Notify) -> Option<&Command> {
        match self {
            Self::Became(Role::Master) => notify.master.as_deref(),
            Self::Became(Role::Backup) => notify.backup.as_deref(),
            Self::Became(Role::Fault) => notify.fault.as_deref(),
            Self::Deleted => notify.deleted.command(),
            Self::HeardLower => notify.master_rx_lower_pri.as_deref(),
            Self::Stopped => notify.stop.as_deref(),
            Self::Became(_) | Self::PriorityOfBackup | Self::PriorityOfMaster => None,
        }
    }

    /// Whether it is in another state now: then the command for every change runs, and there is mail.
    const fn is_change(self) -> bool {
        match self {
            Self::Became(role) => matches!(role, Role::Master | Role::Backup | Role::Fault),
            Self::Deleted | Self::Stopped => true,
            Self::HeardLower | Self::PriorityOfBackup | Self::PriorityOfMaster => false,
        }
    }

    /// How bad it is for who reads of it.
    const fn gravity(self) -> Gravity {
        match self {
            Self::Became(Role::Fault) => Gravity::Grave,
            Self::Deleted | Self::Stopped => Gravity::Impaired,
            Self::Became(_)
            | Self::HeardLower
            | Self::PriorityOfBackup
            | Self::PriorityOfMaster => Gravity::Well,
        }
    }

    const fn is_of_priority(self) -> bool {
        matches!(self, Self::PriorityOfBackup | Self::PriorityOfMaster)
    }
}

/// Something that happened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Notice<'a> {
    pub(super) subject: Subject,
    pub(super) name: &'a str,
    pub(super) happening: Happening,
    /// Groups have 0.
    pub(super) priority: u8,
}

impl Notice<'_> {
    /// The scripts for it, in keepalived's order.
    fn commands<'a>(&self, notify: &'a Notify) -> impl Iterator<Item = Command> + use<'a> {
        let Self { subject, name, happening, priority } = self;
        let any = notify.any.as_deref().filter(|_| happening.is_change());
        let any = any.cloned().map(|mut any| {
            let told = [subject.word(), name, happening.word()].map(str::to_owned);
            any.arguments.extend(told);
            any.arguments.push(priority.to_string());
            any
        });
        happening.command(notify).cloned().into_iter().chain(any)
    }

    fn about(&self) -> String {
        let Self { subject, name, happening, .. } = self;
        format!("{} {name} {}", subject.word(), happening.word())
    }

    fn news(&self, notify: &Notify) -> News {
        let Self { subject, name, happening, priority } = self;
        let mut what = format!("{} {name} is {}", subject.word(), happening.word());
        if *priority > 0 {
            what += &format!(" with priority {priority}");
        }
        let is_fault = *happening == Happening::Became(Role::Fault);
        let mailed =
            notify.smtp_alert && happening.is_change() && (notify.smtp_alert_faults || !is_fault);
        let about = format!("{} {name}", subject.word());
        let gravity = happening.gravity();
        News { line: Some(self.line()), about, gravity, what, why: None, mailed }
    }

    fn line(&self) -> String {
        let Self { subject, name, happening, priority } = self;
        format!("{} \"{name}\" {} {priority}", subject.word(), happening.word())
    }
}

/// The scripts of one instance or group: one at a time, in order.
#[derive(Debug, Default)]
pub(super) struct Teller {
    scripts: Option<Scripts>,
    /// When it was told last that a lower one was heard.
    lower_at: Option<Instant>,
    /// Whether a script waits for its turn, or runs, that was to be told that.
    lower: Weak<()>,
}

impl Teller {
    pub(super) fn tell(&mut self, notice: Notice<'_>, notify: &Notify, notifier: &mut Notifier) {
        self.tell_at(Instant::now(), notice, notify, notifier);
    }

    /// That lower ones are heard keeps nobody from hearing of anything else: as long as a script has not
    /// done with it, there is no other one.
    fn tell_at(
        &mut self,
        now: Instant,
        notice: Notice<'_>,
        notify: &Notify,
        notifier: &mut Notifier,
    ) {
        let is_lower = notice.happening == Happening::HeardLower;
        if is_lower {
            let before = self.lower_at.filter(|at| now.saturating_duration_since(*at) < LOWER);
            self.lower_at = before.or(Some(now));
            if before.is_some() {
                return;
            }
        }
        if !is_lower || self.lower.strong_count() == 0 {
            let held = is_lower.then(|| Arc::new(()));
            if let Some(held) = &held {
                self.lower = Arc::downgrade(held);
            }
            for command in notice.commands(notify) {
                let scripts = self.scripts.get_or_insert_with(Scripts::start);
                let (whose, variables) = (notice.name.to_owned(), Vec::new());
                let (told, limit) = (notice.about(), notifier.script_limit());
                let held = held.clone();
                scripts.run(Job { whose, told, command, variables, limit, held });
            }
        }
        if !notice.happening.is_of_priority() || notify.priority_changes {
            notifier.tell(notice.news(notify));
        }
    }

    /// Which of its scripts have not ended, if it has any.
    pub(super) fn backlog(&self) -> Option<Backlog> {
        self.scripts.as_ref().map(Scripts::backlog)
    }

    /// Resolves when every script has ended.
    pub(super) async fn finish(self) {
        if let Some(scripts) = self.scripts {
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
            any: Some(Command::new("/any", vec!["first".into()]).into()),
            master: Some(command("/master").into()),
            master_rx_lower_pri: Some(command("/lower").into()),
            ..Notify::default()
        };
        let happening = Happening::Became(Role::Master);
        let notice = Notice { subject: Subject::Instance, name: "web", happening, priority: 7 };
        let called: Vec<_> = notice.commands(&notify).collect();
        assert_eq!(called[0], command("/master"));
        assert_eq!(called[1].arguments, ["first", "INSTANCE", "web", "MASTER", "7"]);
        assert_eq!(notice.line(), "INSTANCE \"web\" MASTER 7");
        let lower = Notice { happening: Happening::HeardLower, ..notice };
        assert_eq!(lower.commands(&notify).collect::<Vec<_>>(), [command("/lower")]);
        let happening = Happening::Became(Role::Fault);
        let group = Notice { subject: Subject::Group, happening, priority: 0, ..notice };
        assert_eq!(group.commands(&notify).count(), 1);
        assert_eq!(group.line(), "GROUP \"web\" FAULT 0");
    }

    #[tokio::test]
    async fn a_flood_of_lower_ones_keeps_nobody_from_hearing_of_the_rest() {
        let slow = Box::new(Command::new("/bin/sleep", vec!["0.2".into()]));
        let master_rx_lower_pri = Some(slow.clone());
        let notify = Notify { master_rx_lower_pri, backup: Some(slow), ..Notify::default() };
        let of =
            |happening| Notice { subject: Subject::Instance, name: "web", happening, priority: 7 };
        let (mut teller, mut notifier) = (Teller::default(), Notifier::default());
        let now = Instant::now();
        let mut lower = |teller: &mut Teller, after: Duration| {
            teller.tell_at(now + after, of(Happening::HeardLower), &notify, &mut notifier);
            (teller.lower_at.unwrap() - now, teller.lower.clone())
        };
        let (at, first) = lower(&mut teller, Duration::ZERO);
        assert_eq!((at, first.strong_count()), (Duration::ZERO, 1), "it waits");
        for step in 1..1000 {
            let (at, script) = lower(&mut teller, Duration::from_millis(10) * step);
            assert_eq!(at.as_millis(), u128::from(step / 100 * 1000), "once a second");
            assert!(script.ptr_eq(&first), "one script is enough");
        }
        teller.tell(of(Happening::Became(Role::Backup)), &notify, &mut notifier);
        let begun = Instant::now();
        teller.finish().await;
        assert!(begun.elapsed() < Duration::from_secs(5), "two scripts, and not hundreds");
        assert_eq!(first.strong_count(), 0, "it has run");
    }

    #[test]
    fn only_who_asks_for_it_is_told_why_it_is_gone() {
        let command = |program: &str| Command::new(program, vec![]);
        let stop = Notify { stop: Some(command("/stop").into()), ..Notify::default() };
        let deleted = |command| Notify { deleted: Deleted::Told(command), ..stop.clone() };
        let (both, word_alone) = (deleted(Some(command("/deleted").into())), deleted(None));
        for (is_deleted, notify, word, program) in [
            (true, &both, "DELETED", Some("/deleted")),
            (true, &word_alone, "DELETED", None),
            (false, &both, "STOP", Some("/stop")),
            (true, &stop, "STOP", Some("/stop")),
        ] {
            let happening = Happening::gone(is_deleted, notify);
            assert_eq!(happening.word(), word);
            assert_eq!(happening.command(notify), program.map(command).as_ref());
        }
    }
}
