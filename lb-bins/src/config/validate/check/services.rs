//! Rules for checks that speak the protocol of a service.

use super::http::host;
use super::tls::{if_switched_on, if_switched_on_for};
use crate::config::defaults;
use crate::config::draft::{self, Field};
use crate::config::mistakes::Mistakes;
use crate::config::model::check::{Database, Grpc, Ldap, Redis, Secret};
use crate::config::problem::Problem;
use crate::config::source::Span;
use crate::config::validate::values::{content, file, needs, text};

pub(super) fn database(
    draft: &draft::check::Database,
    span: Span,
    mistakes: &mut Mistakes,
) -> Database {
    let login = &draft.login;
    let dependants = [
        ("password", login.password.span()),
        ("password_file", login.password_file.span()),
        ("database", draft.database.span()),
        ("query", draft.query.span()),
        ("writable", draft.writable.span().filter(|_| draft.writable.or(false))),
    ];
    needs(&login.user, "`user`", dependants, mistakes);
    Database {
        user: text("user", &login.user, mistakes),
        password: secret(&login.password, &login.password_file, mistakes),
        database: text("database", &draft.database, mistakes),
        query: text("query", &draft.query, mistakes),
        writable: draft.writable.or(defaults::WRITABLE),
        tls: if_switched_on(&draft.tls, "`tls = true`", &draft.options, span, mistakes),
    }
}

/// A PostgreSQL server says nothing before it knows who asks.
pub(super) fn postgres(
    draft: &draft::check::Database,
    span: Span,
    mistakes: &mut Mistakes,
) -> Database {
    if draft.login.user.is_absent() {
        mistakes.error(span, Problem::Missing { key: "user", sample: r#"user = "check""# });
    }
    database(draft, span, mistakes)
}

pub(super) fn redis(draft: &draft::check::Redis, span: Span, mistakes: &mut Mistakes) -> Redis {
    let login = &draft.login;
    if let (Some(user), Field::Absent, Field::Absent) =
        (login.user.given(), &login.password, &login.password_file)
    {
        let needs = "`password` or `password_file`";
        mistakes.error(user.span, Problem::Without { key: "user", needs });
    }
    Redis {
        user: text("user", &login.user, mistakes),
        password: secret(&login.password, &login.password_file, mistakes),
        role: draft.role.given().map(|role| role.value),
        tls: if_switched_on(&draft.tls, "`tls = true`", &draft.options, span, mistakes),
    }
}

pub(super) fn ldap(draft: &draft::check::Ldap, span: Span, mistakes: &mut Mistakes) -> Ldap {
    let passwords =
        [("password", draft.password.span()), ("password_file", draft.password_file.span())];
    needs(&draft.bind_dn, "`bind_dn`", passwords, mistakes);
    // A name without a password is anonymous all the same (RFC 4513, 5.1.2): it would prove nothing.
    if let (Some(bind_dn), Field::Absent, Field::Absent) =
        (draft.bind_dn.given(), &draft.password, &draft.password_file)
    {
        let needs = "`password` or `password_file`";
        mistakes.error(bind_dn.span, Problem::Without { key: "bind_dn", needs });
    }
    needs(&draft.base, "`base`", [("filter", draft.filter.span())], mistakes);
    if let Some(filter) = draft.filter.given()
        && !asks_for_presence(&filter.value)
    {
        mistakes.error(filter.span, Problem::NotAFilter { text: filter.value.clone() });
    }
    let filter = text("filter", &draft.filter, mistakes);
    Ldap {
        bind_dn: text("bind_dn", &draft.bind_dn, mistakes),
        password: secret(&draft.password, &draft.password_file, mistakes),
        base: draft.base.given().map(|base| base.value.clone()),
        filter: filter.unwrap_or_else(|| defaults::LDAP_FILTER.to_owned()),
        tls: if_switched_on(&draft.tls, "`tls = true`", &draft.options, span, mistakes),
    }
}

/// Whether a filter is `(attribute=*)` (RFC 4515).
fn asks_for_presence(filter: &str) -> bool {
    let attribute = filter.strip_prefix('(').and_then(|rest| rest.strip_suffix("=*)"));
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || "-;.".contains(letter);
    attribute.is_some_and(|name| !name.is_empty() && name.chars().all(is_letter))
}

pub(super) fn grpc(draft: &draft::check::Grpc, span: Span, mistakes: &mut Mistakes) -> Grpc {
    let host = host(&draft.host, mistakes);
    let switch = "`tls = true`";
    Grpc {
        service: draft.service.given().map(|name| name.value.clone()).unwrap_or_default(),
        keep_alive: draft.keep_alive.or(defaults::KEEP_ALIVE),
        tls: if_switched_on_for(
            &draft.tls,
            switch,
            &draft.options,
            host.as_deref(),
            span,
            mistakes,
        ),
        host,
    }
}

fn secret(
    password: &Field<String>,
    password_file: &Field<String>,
    mistakes: &mut Mistakes,
) -> Option<Secret> {
    if let (Some(_), Some(file)) = (password.given(), password_file.given()) {
        let (key, other) = ("password_file", "password");
        mistakes.error(file.span, Problem::Exclusive { key, other });
    }
    let path = file("password_file", password_file, mistakes);
    content("password", password, mistakes).map(Secret::Text).or(path.map(Secret::File))
}
