//! The end: nothing is left on this host, and whoever is still to be told has a little time.

use std::time::Duration;

use tokio::time::timeout;
use tracing::warn;

use super::keeper::Keeper;
use super::notices::Teller;
use crate::notify::{Backlog, Undone};

/// Scripts that are still running when all else is over have this long.
const PARTING: Duration = Duration::from_secs(10);

/// Of so many scripts it is said what becomes of them.
const NAMED: usize = 16;

impl Keeper {
    /// Takes everything back, and waits for scripts and mail, but not for ever. A script that runs on is left
    /// to itself, as keepalived leaves it: the promotion of a database must not end half-way.
    pub(super) async fn end(self) {
        let Self { mut driver, instances, leaving, groups, notifier, .. } = self;
        let (speakers, mut statics) = (self.speakers, self.statics);
        statics.clear();
        let instances = instances.into_values().chain(leaving);
        let mut tellers: Vec<_> = groups.into_iter().map(|group| group.teller).collect();
        for instance in instances {
            if let Err(error) = driver.network_mut().close(instance.id) {
                warn!(instance = instance.spec.name(), %error, "something is left on this host");
            }
            tellers.push(instance.teller);
        }
        // Nothing is left of it, unless nobody had the time to wait.
        speakers.finish().await;
        let backlogs: Vec<_> = tellers.iter().filter_map(Teller::backlog).collect();
        let unsent = notifier.unsent();
        let all = async {
            for teller in tellers {
                teller.finish().await;
            }
        };
        // A script that hangs holds up no mail.
        let all = async { tokio::join!(all, notifier.finish()) };
        if timeout(PARTING, all).await.is_err() {
            let undone = backlogs.iter().flat_map(Backlog::undone);
            tell_undone(&undone.collect::<Vec<_>>(), unsent());
        }
    }
}

/// Says which scripts run on, what nobody was told, and how many changes are in no mail.
fn tell_undone(undone: &[Undone], unsent: u64) {
    let seconds = PARTING.as_secs();
    let those = |are_running| {
        let those = undone.iter().filter(move |one| one.is_running == are_running);
        listed(those.map(|one| format!("{} ({})", one.script, one.told)))
    };
    if let Some(running) = those(true) {
        warn!(running, "scripts still run after {seconds} s, and are left to themselves");
    }
    if let Some(untold) = those(false) {
        warn!(untold, "scripts that waited for others are not run any more");
    }
    if unsent > 0 {
        warn!(changes = unsent, "mail is not sent within {seconds} s: these changes are in none");
    }
}

/// All of them, or the first and how many more there are; `None` if there is none.
fn listed(all: impl Iterator<Item = String>) -> Option<String> {
    let all: Vec<_> = all.collect();
    let more = all.len().saturating_sub(NAMED);
    let named = all.get(..NAMED).unwrap_or(&all).join(", ");
    match more {
        0 if named.is_empty() => None,
        0 => Some(named),
        _ => Some(format!("{named} and {more} more")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_are_named_and_many_are_counted() {
        let all = |count: usize| listed((1..=count).map(|number| number.to_string()));
        assert_eq!(all(0), None);
        assert_eq!(all(2).as_deref(), Some("1, 2"));
        assert!(all(NAMED).unwrap().ends_with(", 16"));
        assert!(all(NAMED + 2).unwrap().ends_with(", 16 and 2 more"));
    }
}
