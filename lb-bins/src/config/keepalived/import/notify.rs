//! Who is told of changes: the commands that an instance or a group runs, and whom they run as.

use super::values::{Values, given};
use crate::config::draft::Field;
use crate::config::draft::vrrp::{Deleted, Notify};
use crate::config::keepalived::lexer::Word;
use crate::config::keepalived::problem::Problem;
use crate::config::keepalived::tree::Statement;
use crate::config::model::Account;
use crate::config::source::{Span, Spanned};

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
    let mut users = Vec::new();
    let mut command = |word: &str, values: &mut Values<'_>| {
        let Some(statement) = statement.last(word) else { return Field::Absent };
        let (command, account) = values.command_of(Some(statement));
        users.push((account, statement.span));
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
    // Of instances alone; what it runs is read there.
    if let Some(lower) = statement.last("notify_master_rx_lower_pri") {
        let words = lower.escaped_arguments();
        users.push((account(words.get(1..).unwrap_or_default(), values), lower.span));
    }
    let user = common_user(users, values);
    let priority_changes = values.switch(changes);
    let smtp_alert = values.switch(alert);
    // Of groups there is mail about faults in any case, as in keepalived.
    let of_faults = global(globals, "no_email_faults")
        .filter(|_| statement.keyword.name == "vrrp_instance" && smtp_alert.or(false));
    let smtp_alert_faults = of_faults.map_or(Field::Absent, |word| given(false, word.span));
    Notify {
        any,
        master,
        backup,
        fault,
        stop,
        deleted,
        priority_changes,
        smtp_alert,
        smtp_alert_faults,
        user,
    }
}

/// All commands of an instance run as one user here: if they should not, as the first that is not root, so
/// that none can do more than it could.
fn common_user(users: Vec<(Field<Account>, Span)>, values: &mut Values<'_>) -> Field<Account> {
    if users.iter().all(|(named, _)| named.given().is_none()) {
        return Field::Absent;
    }
    let default = values.script_user.clone().or_else(|| Account::parse("root"));
    let each = users.into_iter().filter_map(|(named, span)| match named {
        Field::Given(named) => Some(named),
        Field::Absent => Some(Spanned { value: default.clone()?, span }),
        Field::Refused => None,
    });
    let each: Vec<_> = each.collect();
    let is_root = |account: &Account| matches!(account.user.as_str(), "root" | "0");
    let Some(chosen) = each.iter().find(|one| !is_root(&one.value)).or(each.first()) else {
        return Field::Absent;
    };
    for other in each.iter().filter(|other| other.value != chosen.value) {
        let (named, user) = (other.value.to_string(), chosen.value.to_string());
        values.warning(other.span, Problem::OtherUser { named, user });
    }
    Field::Given(chosen.clone())
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
