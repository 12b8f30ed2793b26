//! Blocks become a draft: what each word means, and what holds without it.

mod addresses;
mod authentication;
mod checker;
mod delays;
mod family;
mod garp;
mod group;
mod groups;
mod mail;
mod notify;
mod pages;
mod protocols;
mod reach;
mod real_server;
mod router;
mod routes;
mod rules;
mod statics;
mod tracking;
mod turns;
mod values;
mod virtual_server;
mod vmac;

use std::collections::HashSet;
use std::time::Duration;

use self::router::Router;
use self::tracking::{Described, if_any};
use self::values::Values;
use super::tree::Statement;
use crate::config::draft::vrrp::VrrpInstance;
use crate::config::draft::{Draft, Field, List};
use crate::config::mistakes::Mistakes;
use crate::config::source::Spanned;

/// The draft that the blocks of a whole configuration describe.
pub(super) fn draft(statements: &[Statement], mistakes: &mut Mistakes) -> Draft {
    let mut values = Values { mistakes, script_user: None };
    let each = |word: &'static str| statements.iter().filter(move |block| block.word() == word);
    let globals: Vec<&Statement> = each("global_defs").collect();
    let last = |word| globals.iter().rev().find_map(|block| block.last(word));
    let script_user = notify::account_of(last("script_user"), &mut values);
    values.script_user = script_user.given().map(|user| user.value.clone());

    let mut tracked = Described::default();
    let scripts = if_any(all(each("vrrp_script"), |block| tracked.script(block, &mut values)));
    let checked = checked_files(statements);
    let files = each("track_file").filter(|block| {
        let name = block.arguments.first().map(|name| name.text.as_str());
        name.is_none_or(|name| !checked.contains(name))
    });
    let files = if_any(all(files, |block| tracked.file(block, &mut values)));
    let processes =
        if_any(all(each("vrrp_track_process"), |block| tracked.process(block, &mut values)));

    let mut instances: Vec<Spanned<VrrpInstance>> = all(each("vrrp_instance"), |statement| {
        Router { statement, globals: &globals }.draft(&tracked, &mut values)
    });
    let routers: Vec<_> = each("vrrp_instance").collect();
    delays::apply(statements, &mut instances, &mut values);
    vmac::name_each(&routers, last("vmac_prefix"), &mut instances, &mut values);
    let groups = all(each("vrrp_sync_group"), |block| groups::draft(block, &globals, &mut values));
    let with_drafts: Vec<_> =
        each("vrrp_sync_group").zip(groups.iter().map(|group| &group.value)).collect();
    groups::apply(&with_drafts, &mut instances, &tracked, &mut values);

    let mut static_rules: Vec<_> =
        each("static_rules").map(|block| statics::rules(block, &mut values)).collect();
    rules::number(statements, &mut instances, &mut static_rules, &mut values);
    let virtual_servers = virtual_server::virtual_servers(statements, &mut values);
    Draft {
        script_user,
        script_security: values.switch(last("enable_script_security")),
        notify_fifo_script: fifo_script(&globals, &mut values),
        notify_fifo: fifo(&globals, &mut values),
        // keepalived ends none of them.
        notify_timeout: match statements.first() {
            Some(first) => values::given(Duration::ZERO, first.span),
            None => Field::Absent,
        },
        smtp: mail::draft(&globals, &mut values),
        max_scripts: turns::for_scripts(&virtual_servers),
        virtual_servers: if_any(virtual_servers),
        vrrp_instances: if_any(instances),
        vrrp_sync_groups: if_any(groups),
        vrrp_scripts: scripts,
        vrrp_track_files: files,
        vrrp_track_processes: processes,
        static_addresses: statics::addresses(statements, &globals, &mut values),
        static_routes: statics::routes(statements, &mut values),
        static_rules: if_any(static_rules.into_iter().flatten().collect()),
        ..Draft::default()
    }
}

/// The names of the files that servers are checked by, and that no virtual router tracks.
fn checked_files(statements: &[Statement]) -> HashSet<&str> {
    let reals = statements.iter().flat_map(|server| server.each("real_server"));
    let checkers = reals.flat_map(|real| real.each("FILE_CHECK"));
    let mut names: HashSet<&str> = checkers
        .filter_map(|checker| Some(checker.last("track_file")?.arguments.first()?.text.as_str()))
        .collect();
    let routers = statements.iter().filter(|block| block.word().starts_with("vrrp_"));
    for row in routers.flat_map(|router| router.each("track_file")).flat_map(Statement::rows) {
        if let Some(name) = row.first() {
            names.remove(name.text.as_str());
        }
    }
    names
}

/// A draft of each block, where the block is.
fn all<'s, T>(
    blocks: impl Iterator<Item = &'s Statement>,
    mut draft: impl FnMut(&'s Statement) -> T,
) -> Vec<Spanned<T>> {
    blocks.map(|block| Spanned { value: draft(block), span: block.span }).collect()
}

/// `FIFO [USER [GROUP]]`: one for everything, or else the one for virtual routers.
fn fifo(globals: &[&Statement], values: &mut Values<'_>) -> Field<String> {
    let find = |word| globals.iter().rev().find_map(|block| block.last(word));
    let (both, routers) = (find("notify_fifo"), find("vrrp_notify_fifo"));
    if let (Some(_), Some(routers)) = (both, routers) {
        let why = "`notify_fifo` tells of virtual routers as well";
        values.unused(routers.span, "vrrp_notify_fifo", why);
    }
    let Some(fifo) = both.or(routers) else { return Field::Absent };
    let Some(path) = fifo.arguments.first() else { return values.text(Some(fifo)) };
    if let Some(user) = fifo.arguments.get(1) {
        values.unused(
            user.span,
            fifo.keyword.name,
            "the FIFO belongs to the user that the daemon runs as",
        );
    }
    values::given(path.text.clone(), path.span)
}

/// What reads that FIFO.
fn fifo_script(globals: &[&Statement], values: &mut Values<'_>) -> Field<List<String>> {
    let find = |word| globals.iter().rev().find_map(|block| block.last(word));
    let routers = find("vrrp_notify_fifo_script");
    if find("notify_fifo").is_none() {
        return values.command(routers);
    }
    if let Some(routers) = routers {
        let why = "`notify_fifo_script` is told of virtual routers as well";
        values.unused(routers.span, "vrrp_notify_fifo_script", why);
    }
    values.command(find("notify_fifo_script"))
}
