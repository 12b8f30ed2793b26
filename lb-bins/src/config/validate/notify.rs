//! Rules for who is told of changes.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::check::{SMTP_SWITCH, smtp_security};
use super::values::{command, duration_or_zero, file, needs, server, text, word};
use super::{elements, is_empty};
use crate::config::defaults;
use crate::config::draft::{self, Field, List};
use crate::config::mistakes::Mistakes;
use crate::config::model::{Address, Command, Login, Mail, OnFailure};
use crate::config::problem::{Problem, VrrpProblem};
use crate::config::source::Spanned;

/// What happens when a backend changes.
pub(super) struct Hooks {
    pub(super) on_failure: OnFailure,
    pub(super) on_up: Option<Command>,
    pub(super) on_down: Option<Command>,
}

pub(super) fn hooks(
    on_failure: &Field<OnFailure>,
    on_up: &Field<List<String>>,
    on_down: &Field<List<String>>,
    mistakes: &mut Mistakes,
) -> Hooks {
    Hooks {
        on_failure: on_failure.or(defaults::ON_FAILURE),
        on_up: command("on_up", on_up, mistakes),
        on_down: command("on_down", on_down, mistakes),
    }
}

/// The pipe that is told of changes.
pub(super) fn fifo(draft: &draft::Draft, mistakes: &mut Mistakes) -> Option<PathBuf> {
    file("notify_fifo", &draft.notify_fifo, mistakes)
}

/// What reads it.
pub(super) fn fifo_script(draft: &draft::Draft, mistakes: &mut Mistakes) -> Option<Command> {
    let span = draft.notify_fifo_script.span()?;
    if draft.notify_fifo.is_absent() {
        let (key, without) = ("notify_fifo_script", "notify_fifo");
        mistakes.error(span, VrrpProblem::NoEffectWithout { key, without }.into());
    }
    command("notify_fifo_script", &draft.notify_fifo_script, mistakes)
}

/// How long a command may run that is told of something; zero is for ever.
pub(super) fn timeout(draft: &draft::Draft, mistakes: &mut Mistakes) -> Option<Duration> {
    let (field, default) = (&draft.notify_timeout, defaults::NOTIFY_TIMEOUT);
    let limit = duration_or_zero("notify_timeout", field, default, mistakes);
    (!limit.is_zero()).then_some(limit)
}

/// Mail about changes: those of virtual servers, and of those virtual routers that want it.
pub(super) fn mail(draft: &draft::Draft, mistakes: &mut Mistakes) -> Option<Mail> {
    let notify = elements(&draft.vrrp_instances).iter().map(|one| &one.value.notify);
    let notify = notify.chain(elements(&draft.carp_instances).iter().map(|one| &one.value.notify));
    let groups = elements(&draft.vrrp_sync_groups).iter().map(|one| &one.value.notify);
    let alerts: Vec<_> = notify.chain(groups).map(|notify| &notify.smtp_alert).collect();
    let wanted = || alerts.iter().filter_map(|alert| alert.given()).find(|alert| alert.value);
    let Some(mail) = draft.smtp.given() else {
        if let Some(alert) = wanted().filter(|_| draft.smtp.is_absent()) {
            let (key, without) = ("smtp_alert", "smtp");
            mistakes.warning(alert.span, VrrpProblem::NoEffectWithout { key, without }.into());
        }
        return None;
    };
    let is_refused = alerts.iter().any(|alert| alert.is_refused());
    if is_empty(&draft.virtual_servers) && wanted().is_none() && !is_refused {
        let (key, without) = ("smtp", "smtp_alert = true");
        mistakes.warning(mail.span, VrrpProblem::NoEffectWithout { key, without }.into());
    }
    Some(letter(mail, mistakes))
}

fn letter(Spanned { value: draft, span }: &Spanned<draft::Mail>, mistakes: &mut Mistakes) -> Mail {
    let missing = [
        ("server", matches!(draft.server, Field::Absent), r#"server = "127.0.0.1:25""#),
        ("from", matches!(draft.from, Field::Absent), r#"from = "lb@example.org""#),
        ("to", matches!(draft.to, Field::Absent), r#"to = ["ops@example.org"]"#),
    ];
    for (key, absent, sample) in missing {
        if absent {
            mistakes.error(*span, Problem::Missing { key, sample });
        }
    }
    if let Some(to) = draft.to.given()
        && to.value.is_empty()
    {
        mistakes.error(to.span, Problem::Empty { key: "to" });
    }
    let server = server("server", &draft.server, mistakes);
    let host = server.as_ref().and_then(Address::host).cloned();
    let switches = [&draft.starttls, &draft.tls];
    let security = smtp_security(switches, &draft.options, host.as_deref(), *span, mistakes);
    if let Some(name) = draft.options.sni.given().filter(|name| name.value.is_empty()) {
        mistakes.error(name.span, Problem::Empty { key: "sni" });
    }
    // Whether there is TLS is not known if a switch was refused.
    if let (Some(user), None) = (draft.user.given(), &security)
        && !switches.iter().any(|switch| switch.is_refused())
    {
        mistakes.error(user.span, Problem::Without { key: "user", needs: SMTP_SWITCH });
    }
    let from = draft.from.given().map(|from| mailbox("from", from, mistakes));
    Mail {
        server: server.unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)).into()),
        from: from.unwrap_or_default(),
        to: elements(&draft.to).iter().map(|to| mailbox("to", to, mistakes)).collect(),
        helo: word("helo", &draft.helo, mistakes),
        security,
        login: login(&draft.user, &draft.password_file, mistakes),
    }
}

/// Both or neither.
fn login(
    user: &Field<String>,
    password_file: &Field<String>,
    mistakes: &mut Mistakes,
) -> Option<Login> {
    needs(password_file, "`password_file`", [("user", user.span())], mistakes);
    needs(user, "`user`", [("password_file", password_file.span())], mistakes);
    let (user, file) =
        (text("user", user, mistakes), file("password_file", password_file, mistakes));
    Some(Login { user: user?, password_file: file? })
}

/// One address of RFC 5321, without a name or brackets around it; what it is in detail only its
/// server can judge.
fn mailbox(key: &'static str, text: &Spanned<String>, mistakes: &mut Mistakes) -> String {
    let inside = |character: char| {
        !character.is_whitespace() && !character.is_control() && !"<>,;".contains(character)
    };
    let parts = text.value.rsplit_once('@');
    let whole = parts.is_some_and(|(user, host)| !user.is_empty() && !host.is_empty());
    if !whole || !text.value.chars().all(inside) {
        mistakes.error(text.span, Problem::NotAMailbox { key, text: text.value.clone() });
    }
    text.value.clone()
}
