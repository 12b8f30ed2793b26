//! Who is told of changes: the commands that an instance or a group runs, and whom they run as.

use super::values::{Values, given};
use crate::config::draft::Field;
use crate::config::draft::vrrp::{Deleted, Notify};
use crate::config::keepalived::lexer::Word;
use crate::config::keepalived::problem::Problem;
use crate::config::keepalived::tree::Statement;
use crate::config::model::Account;

/// What `global_defs` says last.
fn global<'s>(globals: &[&'s Statement], word: &str) -> Option<&'s Statement> {
    globals.iter().rev().find_map(|block| block.last(word))
}

pub(super) fn notify(
    statement: &Statement,
    globals: &[&Statement],
    values: &mut Values<'_>,
) -> Notify {
    let changes = statement
        .last("notify_priority_changes")
        .or_else(|| global(globals, "vrrp_notify_priority_changes"));
    // The nearest of the three that says something, as in keepalived.
    let alert = statement
        .last("smtp_alert")
        .or_else(|| global(globals, "smtp_alert_vrrp"))
        .or_else(|| global(globals, "smtp_alert"));
    let mut user = Field::Absent;
    let mut command = |word: &str, values: &mut Values<'_>| {
        let (command, account) = values.command_of(statement.last(word));
        agree(&mut user, account, values);
        command
    };
    let (any, master) = (command("notify", values), command("notify_master", values));
    let (backup, fault) = (command("notify_backup", values), command("notify_fault", values));
    let stop = command("notify_stop", values);
    let deleted = statement.last("notify_deleted").map(|word| {
        // Without one it is only another word for the others.
        let command = match word.arguments.is_empty() {
            true => Field::Absent,
            false => command("notify_deleted", values),
        };
        given(Deleted { is_told: true, command }, word.span)
    });
    let deleted = deleted.unwrap_or_default();
    let priority_changes = values.switch(changes);
    let smtp_alert = values.switch(alert);
    Notify { any, master, backup, fault, stop, deleted, priority_changes, smtp_alert, user }
}

/// All commands of an instance run as one user here: as the first that is named.
fn agree(user: &mut Field<Account>, other: Field<Account>, values: &mut Values<'_>) {
    match (user.given(), other.given()) {
        (None, Some(_)) => *user = other,
        (Some(user), Some(other)) if user.value != other.value => {
            let (named, user) = (other.value.to_string(), user.value.to_string());
            values.warning(other.span, Problem::OtherUser { named, user });
        }
        _ => {}
    }
}

/// `USER [[:]GROUP]`. That `:` asks for the other groups of the user: those a command has anyway.
pub(super) fn account(words: &[Word], values: &mut Values<'_>) -> Field<Account> {
    let [user, rest @ ..] = words else { return Field::Absent };
    let group = rest.first().map(|group| group.text.trim_start_matches(':'));
    let text = match group.filter(|group| !group.is_empty()) {
        Some(group) => format!("{}:{group}", user.text),
        None => user.text.clone(),
    };
    values.nothing_more("user", rest.get(1));
    match Account::parse(&text) {
        Some(account) => given(account, user.span),
        None => {
            values.error(user.span, Problem::NotAnAccount { text });
            Field::Refused
        }
    }
}

/// The account that is all that a word says.
pub(super) fn account_of(statement: Option<&Statement>, values: &mut Values<'_>) -> Field<Account> {
    let Some(statement) = statement else { return Field::Absent };
    if statement.arguments.is_empty() {
        values.error(statement.span, Problem::WithoutValue { word: statement.keyword.name });
        return Field::Refused;
    }
    account(&statement.arguments, values)
}
