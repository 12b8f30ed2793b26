//! Virtual routers: `vrrp_instance`.

use std::time::Duration;

use lb_vrrp::{ChecksumPolicy, Start};

use super::addresses::{self, Row};
use super::tracking::{Reversed, each_once, if_any, name};
use super::values::{Values, given};
use crate::config::draft::vrrp::{
    Authentication, AuthenticationType, Garp, Notify, Peer, VirtualAddress, VrrpInstance,
};
use crate::config::draft::{Field, List};
use crate::config::keepalived::lexer::Word;
use crate::config::keepalived::problem::Problem;
use crate::config::keepalived::tree::Statement;
use crate::config::source::Spanned;

/// An instance, and what `global_defs` says of all of them.
pub(super) struct Router<'s> {
    pub(super) statement: &'s Statement,
    pub(super) globals: &'s [&'s Statement],
}

impl Router<'_> {
    /// The word of the instance, or the one of `global_defs` that says it for all.
    fn last(&self, word: &str, global: &str) -> Option<&Statement> {
        self.statement.last(word).or_else(|| self.global(global))
    }

    fn global(&self, word: &str) -> Option<&Statement> {
        self.globals.iter().rev().find_map(|block| block.last(word))
    }

    pub(super) fn draft(&self, tracked: &Reversed<'_>, values: &mut Values<'_>) -> VrrpInstance {
        let statement = self.statement;
        let addresses = virtual_addresses(statement, "virtual_ipaddress", values);
        let version = self.version(&addresses, values);
        let unicast = unicast_peers(statement, values);
        let has_peers = !matches!(unicast, Field::Absent);
        let source = statement.last("unicast_src_ip").or_else(|| statement.last("mcast_src_ip"));
        let source = values.ip_of(source);
        let (multicast_source, unicast_source) =
            if has_peers { (Field::Absent, source) } else { (source, Field::Absent) };
        let is_v6 = is_v6(&addresses);
        let group = if is_v6 { "vrrp_mcast_group6" } else { "vrrp_mcast_group4" };
        let (use_vmac, vmac_interface) = vmac(statement, values);
        let state = self.state(values);
        VrrpInstance {
            name: name(statement, values),
            interface: values.text(statement.last("interface")),
            virtual_router_id: values.number(statement.last("virtual_router_id"), 1..=255),
            priority: self.priority(&state, values),
            advert_interval: values.timer(statement.last("advert_int")),
            down_timer_adverts: values
                .number(self.last("down_timer_adverts", "vrrp_down_timer_adverts"), 1..=100),
            preempt: self.preempt(&state, values),
            preempt_delay: values.timer_or_zero(statement.last("preempt_delay")),
            accept: accept(statement),
            startup_delay: values.timer_or_zero(self.global("vrrp_startup_delay")),
            parting_advert: self.switch_or(
                "higher_prio_send_advert",
                "vrrp_higher_prio_send_advert",
                false,
                values,
            ),
            checksum: match values.switch(self.last("v3_checksum_as_v2", "v3_checksum_as_v2")) {
                Field::Given(Spanned { value: true, span }) => given(ChecksumPolicy::Rfc9568, span),
                _ => Field::Absent,
            },
            multicast_source,
            multicast_group: match has_peers {
                true => Field::Absent,
                false => values.ip_of(self.last("mcast_dst_ip", group)),
            },
            unicast_source,
            check_unicast_source: match has_peers {
                true => self.check_source(&unicast, values),
                false => Field::Absent,
            },
            unicast_peers: unicast,
            authentication: authentication(statement, &version, values),
            version,
            state,
            addresses: if_any(addresses),
            excluded_addresses: if_any(virtual_addresses(
                statement,
                "virtual_ipaddress_excluded",
                values,
            )),
            routes: if_any(rows(statement, "virtual_routes", addresses::route, values)),
            rules: if_any(rows(statement, "virtual_rules", addresses::rule, values)),
            use_vmac,
            vmac_interface,
            garp: self.garp(values),
            track_interfaces: if_any(tracked.tracks(statement, "track_interface", values)),
            track_scripts: if_any(tracked.tracks(statement, "track_script", values)),
            track_files: if_any(tracked.tracks(statement, "track_file", values)),
            track_processes: if_any(tracked.tracks(statement, "track_process", values)),
            notify: notify(statement, self.global("vrrp_notify_priority_changes"), values),
            notify_master_rx_lower_pri: values
                .command(statement.last("notify_master_rx_lower_pri")),
            // What keepalived has no word for.
            ..VrrpInstance::default()
        }
    }

    /// 2 unless something else is said; but that is for IPv4 alone.
    fn version(
        &self,
        addresses: &[Spanned<VirtualAddress>],
        values: &mut Values<'_>,
    ) -> Field<i64> {
        match values.number(self.last("version", "vrrp_version"), 2..=3) {
            Field::Refused => Field::Refused,
            field if is_v6(addresses) => given(3, field.span().unwrap_or(self.statement.span)),
            Field::Absent => given(2, self.statement.span),
            field => field,
        }
    }

    /// As keepalived, takes any other word for BACKUP.
    fn state(&self, values: &mut Values<'_>) -> Field<Start> {
        let Some(state) = self.statement.last("state") else { return Field::Absent };
        let Some(word) = values.argument(state) else { return Field::Refused };
        let start = match word.text.as_str() {
            "MASTER" => Start::Master,
            "BACKUP" => Start::Backup,
            _ => {
                let text = word.text.clone();
                values.warning(word.span, Problem::OtherState { text });
                Start::Backup
            }
        };
        given(start, word.span)
    }

    /// Who is a master from the start and has no priority is the owner of the addresses.
    fn priority(&self, state: &Field<Start>, values: &mut Values<'_>) -> Field<i64> {
        const OWNER: i64 = 255;
        match values.number(self.statement.last("priority"), 1..=OWNER) {
            Field::Absent => match state.given() {
                Some(state) if state.value == Start::Master => given(OWNER, state.span),
                _ => Field::Absent,
            },
            field => field,
        }
    }

    /// As keepalived, does not let a master from the start wait for a dead one.
    fn preempt(&self, state: &Field<Start>, values: &mut Values<'_>) -> Field<bool> {
        let mut words = self.statement.block().iter();
        let last = words.rfind(|word| matches!(word.word(), "preempt" | "nopreempt"));
        let Some(word) = last.filter(|word| word.word() == "nopreempt") else {
            return Field::Absent;
        };
        if state.given().is_some_and(|state| state.value == Start::Master) {
            values.warning(word.span, Problem::NoPreemptOfMaster);
            return Field::Absent;
        }
        given(false, word.span)
    }

    fn switch_or(
        &self,
        word: &str,
        global: &str,
        default: bool,
        values: &mut Values<'_>,
    ) -> Field<bool> {
        match values.switch(self.last(word, global)) {
            Field::Absent => given(default, self.statement.span),
            field => field,
        }
    }

    /// Whether packets from others than the peers are dropped; keepalived does not do so unless it
    /// is told to, or has to know peers by their TTL.
    fn check_source(&self, peers: &Field<List<Peer>>, values: &mut Values<'_>) -> Field<bool> {
        let bounds = |peer: &Spanned<Peer>| {
            [&peer.value.min_ttl, &peer.value.max_ttl].iter().any(|ttl| ttl.given().is_some())
        };
        let bounded = peers.given().is_some_and(|list| list.value.elements.iter().any(bounds));
        self.switch_or("check_unicast_src", "vrrp_check_unicast_src", bounded, values)
    }

    fn garp(&self, values: &mut Values<'_>) -> Field<Garp> {
        let span = self.statement.span;
        let minimal = values.switch(self.global("vrrp_min_garp")).or(false);
        let (first, second) = if minimal { (1, 0) } else { (5, 5) };
        let or = |field: Field<i64>, default| match field {
            Field::Absent => given(default, span),
            field => field,
        };
        let repeat =
            values.number(self.last("garp_master_repeat", "vrrp_garp_master_repeat"), 0..=255);
        let repeat = or(repeat, first);
        let lower = self.last("garp_lower_prio_repeat", "vrrp_garp_lower_prio_repeat");
        let lower = or(values.number(lower, 0..=255), repeat.or(first));
        let delay = self.last("garp_master_delay", "vrrp_garp_master_delay");
        let refresh = self.last("garp_master_refresh", "vrrp_garp_master_refresh");
        let seconds = |field: Field<Duration>, default| match field {
            Field::Absent => given(Duration::from_secs(default), span),
            field => field,
        };
        let garp = Garp {
            delay: seconds(values.timer_or_zero(delay), second),
            refresh: seconds(values.timer_or_zero(refresh), 0),
            lower_prio_repeat: lower,
            repeat,
        };
        given(garp, span)
    }
}

fn is_v6(addresses: &[Spanned<VirtualAddress>]) -> bool {
    let mut known = addresses.iter().filter_map(|address| address.value.address.given());
    known.next().is_some_and(|network| network.value.address.is_ipv6())
}

fn virtual_addresses(
    statement: &Statement,
    word: &str,
    values: &mut Values<'_>,
) -> Vec<Spanned<VirtualAddress>> {
    let addresses = rows(statement, word, addresses::address, values);
    each_once(addresses, |address| Some(address.address.given()?.value.address), values)
}

/// What is read from each line of each block `word`.
fn rows<T>(
    statement: &Statement,
    word: &str,
    read: impl Fn(Row<'_>, &mut Values<'_>) -> Option<T>,
    values: &mut Values<'_>,
) -> Vec<Spanned<T>> {
    let mut found = Vec::new();
    for block in statement.each(word) {
        for words in block.rows() {
            let span = words.first().map_or(block.span, |first| first.span);
            let value = read(Row::new(block, words), values);
            found.extend(value.map(|value| Spanned { value, span }));
        }
    }
    found
}

fn unicast_peers(statement: &Statement, values: &mut Values<'_>) -> Field<List<Peer>> {
    let peer = |mut row: Row<'_>, values: &mut Values<'_>| {
        let mut peer = Peer { address: values.ip("unicast_peer", row.next()?), ..Peer::default() };
        while let Some(option) = row.next() {
            let ttl = |word: Option<&Word>, values: &mut Values<'_>| match word {
                Some(word) => values.number_of("unicast_peer", word, 0..=255),
                None => Field::Refused,
            };
            match option.text.as_str() {
                "min_ttl" => peer.min_ttl = ttl(row.value(option, values), values),
                "max_ttl" => peer.max_ttl = ttl(row.value(option, values), values),
                _ => {
                    row.unknown(option, values);
                }
            }
        }
        Some(peer)
    };
    if_any(rows(statement, "unicast_peer", peer, values))
}

fn accept(statement: &Statement) -> Field<bool> {
    let mut words = statement.block().iter();
    match words.rfind(|word| matches!(word.word(), "accept" | "no_accept")) {
        Some(word) => given(word.word() == "accept", word.span),
        None => Field::Absent,
    }
}

/// `use_vmac [INTERFACE] [MAC]`
fn vmac(statement: &Statement, values: &mut Values<'_>) -> (Field<bool>, Field<String>) {
    let Some(vmac) = statement.last("use_vmac") else { return (Field::Absent, Field::Absent) };
    let (macs, names): (Vec<_>, Vec<_>) =
        vmac.arguments.iter().partition(|word| word.text.contains(':'));
    if let Some(mac) = macs.first() {
        let why = "the virtual MAC address is that of RFC 9568";
        values.unused(mac.span, "use_vmac", why);
    }
    values.nothing_more("use_vmac", names.get(1).copied());
    let name = names.first().map_or(Field::Absent, |name| given(name.text.clone(), name.span));
    (given(true, vmac.span), name)
}

fn authentication(
    statement: &Statement,
    version: &Field<i64>,
    values: &mut Values<'_>,
) -> Field<Authentication> {
    let Some(block) = statement.last("authentication") else { return Field::Absent };
    if version.or(2) == 3 {
        values.warning(block.span, Problem::AuthenticationOfVersion3);
        return Field::Absent;
    }
    let kind = match block.last("auth_type") {
        None => Field::Absent,
        Some(kind) => {
            const TYPES: &[(&str, AuthenticationType)] =
                &[("PASS", AuthenticationType::Pass), ("AH", AuthenticationType::Ah)];
            let word = values.argument(kind);
            let chosen = word
                .and_then(|word| Some(given(values.choice("auth_type", word, TYPES)?, word.span)));
            chosen.unwrap_or(Field::Refused)
        }
    };
    let password = values.text(block.last("auth_pass"));
    given(Authentication { kind, password, ..Authentication::default() }, block.span)
}

/// The commands that an instance or a group runs.
pub(super) fn notify(
    statement: &Statement,
    priority_changes: Option<&Statement>,
    values: &mut Values<'_>,
) -> Notify {
    let changes = statement.last("notify_priority_changes").or(priority_changes);
    Notify {
        any: values.command(statement.last("notify")),
        master: values.command(statement.last("notify_master")),
        backup: values.command(statement.last("notify_backup")),
        fault: values.command(statement.last("notify_fault")),
        stop: values.command(statement.last("notify_stop")),
        priority_changes: values.switch(changes),
        ..Notify::default()
    }
}
