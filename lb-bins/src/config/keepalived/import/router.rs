//! Virtual routers: `vrrp_instance`.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use lb_vrrp::{ChecksumPolicy, Family, Start};

use super::addresses::{self, Row};
use super::authentication::authentication;
use super::family::{family, fitting, network_fits};
use super::garp::garp;
use super::notify::notify;
use super::tracking::{Described, each_once, if_any, name, rows};
use super::values::{Values, given, list};
use super::vmac::vmac;
use super::{reach, routes};
use crate::config::draft::vrrp::{Tracks, VirtualAddress, VrrpInstance};
use crate::config::draft::{Field, List};
use crate::config::keepalived::problem::Problem;
use crate::config::keepalived::tree::Statement;
use crate::config::source::Spanned;

/// The priority of who has the addresses for its own.
const OWNER: i64 = 255;

/// An instance, and what `global_defs` says of all of them.
pub(super) struct Router<'s> {
    pub(super) statement: &'s Statement,
    pub(super) globals: &'s [&'s Statement],
}

impl Router<'_> {
    /// The word of the instance, or the one of `global_defs` that says it for all.
    pub(super) fn last(&self, word: &str, global: &str) -> Option<&Statement> {
        self.statement.last(word).or_else(|| self.global(global))
    }

    pub(super) fn global(&self, word: &str) -> Option<&Statement> {
        self.globals.iter().rev().find_map(|block| block.last(word))
    }

    pub(super) fn draft(&self, tracked: &Described<'_>, values: &mut Values<'_>) -> VrrpInstance {
        let statement = self.statement;
        let family = family(statement);
        let version = self.version(family, values);
        let strict = values.switch(self.last("strict_mode", "vrrp_strict")).or(false);
        let mut addresses = virtual_addresses(statement, "virtual_ipaddress", Some(family), values);
        let unicast_peers = reach::unicast_peers(self, family, values);
        let has_peers = !matches!(unicast_peers, Field::Absent);
        let source = statement.last("unicast_src_ip").or_else(|| statement.last("mcast_src_ip"));
        let source = fitting(values.host_of(source), family, values);
        let (multicast_source, unicast_source) =
            if has_peers { (Field::Absent, source) } else { (source, Field::Absent) };
        let (use_vmac, vmac_interface) = vmac(statement, values);
        let interface = self.interface(has_peers, &addresses, values);
        let mut excluded = virtual_addresses(statement, "virtual_ipaddress_excluded", None, values);
        if use_vmac.or(false) {
            for address in addresses.iter_mut().chain(&mut excluded) {
                leave_to_vmac(&mut address.value, &interface, values);
            }
        }
        let state = self.state(values);
        let priority = self.priority(&state, values);
        let state = if strict { strict_state(state, &priority, statement, values) } else { state };
        VrrpInstance {
            name: name(statement, values),
            interface,
            virtual_router_id: values.number(statement.last("virtual_router_id"), 1..=255),
            advert_interval: self.interval(&version, values),
            down_timer_adverts: values
                .number(self.last("down_timer_adverts", "vrrp_down_timer_adverts"), 1..=100),
            preempt: self.preempt(&state, values),
            preempt_delay: self.preempt_delay(&state, strict, values),
            accept: accept(statement, strict, &priority, &version, values),
            startup_delay: values.timer_or_zero(self.global("vrrp_startup_delay")),
            delay_after_boot: values.timer_or_zero(self.global("vrrp_delay_after_boot")),
            parting_advert: self.parting_advert(strict, values),
            checksum: match values.switch(self.last("v3_checksum_as_v2", "v3_checksum_as_v2")) {
                Field::Given(Spanned { value: true, span }) => given(ChecksumPolicy::Rfc9568, span),
                _ => Field::Absent,
            },
            multicast_source,
            multicast_group: match has_peers {
                true => Field::Absent,
                false => reach::multicast_group(self, family, values),
            },
            unicast_source,
            check_unicast_source: match has_peers {
                true => values.switch(self.last("check_unicast_src", "vrrp_check_unicast_src")),
                false => Field::Absent,
            },
            unicast_peers,
            authentication: authentication(statement, &version, strict, values),
            addresses: self.at_least_one(addresses, &version, values),
            version,
            state,
            priority,
            excluded_addresses: if_any(excluded),
            routes: if_any(rows(statement, "virtual_routes", routes::route, values)),
            rules: if_any(rows(statement, "virtual_rules", routes::rule, values)),
            use_vmac,
            vmac_interface,
            vmac_xmit_base: self.vmac_xmit_base(strict, values),
            garp: garp(self, strict, values),
            track_primary: match statement.last("dont_track_primary") {
                Some(word) => given(false, word.span),
                None => Field::Absent,
            },
            track_interfaces: if_any(tracked.tracks(statement, "track_interface", values)),
            tracks: Tracks {
                scripts: if_any(tracked.tracks(statement, "track_script", values)),
                files: if_any(tracked.tracks(statement, "track_file", values)),
                processes: if_any(tracked.tracks(statement, "track_process", values)),
                // keepalived has no words for the others.
                ..Tracks::default()
            },
            notify: notify(statement, self.globals, values),
            notify_master_rx_lower_pri: values
                .command_of(statement.last("notify_master_rx_lower_pri"))
                .0,
            // What keepalived has no word for.
            ..VrrpInstance::default()
        }
    }

    /// 2 unless something else is said; but that is for IPv4 alone.
    fn version(&self, family: Family, values: &mut Values<'_>) -> Field<i64> {
        match values.number(self.last("version", "vrrp_version"), 2..=3) {
            Field::Refused => Field::Refused,
            field if family == Family::V6 => given(3, field.span().unwrap_or(self.statement.span)),
            Field::Absent => given(2, self.statement.span),
            field => field,
        }
    }

    /// Who speaks to peers needs none in keepalived: routes lead there. Here it is that of the
    /// addresses.
    fn interface(
        &self,
        has_peers: bool,
        addresses: &[Spanned<VirtualAddress>],
        values: &mut Values<'_>,
    ) -> Field<String> {
        let statement = self.statement;
        if let Some(interface) = statement.last("interface") {
            return values.text(Some(interface));
        }
        if !has_peers {
            return Field::Absent;
        }
        let of_address = addresses.iter().find_map(|address| address.value.dev.given()).cloned();
        // The default one is in the default VRF, as a rule.
        if let (None, Some(vrf)) = (&of_address, statement.last("vrf")) {
            values.error(vrf.span, Problem::VrfWithoutInterface);
            return Field::Refused;
        }
        let chosen = match of_address {
            Some(dev) => dev,
            None => default_interface(self.globals, statement.span, values),
        };
        let interface = chosen.value.clone();
        values.warning(statement.span, Problem::WithoutInterface { interface });
        Field::Given(chosen)
    }

    /// What a version cannot say is rounded, as in keepalived (`vrrp_complete_instance`).
    fn interval(&self, version: &Field<i64>, values: &mut Values<'_>) -> Field<Duration> {
        const LEAST: Duration = Duration::from_millis(10);
        const MOST: Duration = Duration::from_secs(255);
        const MOST_OF_VERSION_3: Duration = Duration::from_millis(40_950);
        let field = values.timer(self.statement.last("advert_int"));
        let Some(&Spanned { value, span }) = field.given() else { return field };
        if !(LEAST..=MOST).contains(&value) {
            return field;
        }
        let (version, step) = match version.or(2) {
            2 => (2, Duration::from_secs(1)),
            _ => (3, LEAST),
        };
        let steps = (value + step / 2).as_millis() / step.as_millis();
        let mut rounded = step * u32::try_from(steps.max(1)).unwrap_or(1);
        if version == 3 {
            rounded = rounded.min(MOST_OF_VERSION_3);
        }
        if rounded != value {
            values.warning(span, Problem::IntervalRounded { version, rounded });
        }
        given(rounded, span)
    }

    /// None at all is strange, and in version 3 has to be said.
    fn at_least_one(
        &self,
        addresses: Vec<Spanned<VirtualAddress>>,
        version: &Field<i64>,
        values: &mut Values<'_>,
    ) -> Field<List<VirtualAddress>> {
        let span = self.statement.span;
        if addresses.is_empty() && self.statement.last("no_virtual_ipaddress").is_none() {
            match version.or(2) {
                2 => values.warning(span, Problem::WithoutAddresses),
                _ => values.error(span, Problem::WithoutAddresses),
            }
        }
        list(addresses, span)
    }

    /// As keepalived, lets a master from the start wait for nobody.
    fn preempt_delay(
        &self,
        state: &Field<Start>,
        strict: bool,
        values: &mut Values<'_>,
    ) -> Field<Duration> {
        match values.timer_or_zero(self.statement.last("preempt_delay")) {
            Field::Given(Spanned { span, .. }) if strict => {
                values.warning(span, Problem::NotStrict { word: "preempt_delay" });
                Field::Absent
            }
            Field::Given(Spanned { value, span })
                if !value.is_zero()
                    && state.given().is_some_and(|it| it.value == Start::Master) =>
            {
                values.warning(span, Problem::PreemptDelayOfMaster);
                Field::Absent
            }
            field => field,
        }
    }

    /// A last word harms nobody and spares clients a gap: it is said unless that is forbidden.
    fn parting_advert(&self, strict: bool, values: &mut Values<'_>) -> Field<bool> {
        let field =
            values.switch(self.last("higher_prio_send_advert", "vrrp_higher_prio_send_advert"));
        match field {
            Field::Given(Spanned { value: true, span }) if strict => {
                values.warning(span, Problem::NotStrict { word: "higher_prio_send_advert" });
                given(false, span)
            }
            Field::Absent if strict => given(false, self.statement.span),
            field => field,
        }
    }

    /// What is strict speaks by the virtual MAC address.
    fn vmac_xmit_base(&self, strict: bool, values: &mut Values<'_>) -> Field<bool> {
        let statement = self.statement.last("vmac_xmit_base");
        let statement = statement.filter(|_| self.statement.last("use_vmac").is_some());
        match values.switch(statement) {
            Field::Given(Spanned { value: true, span }) if strict => {
                values.warning(span, Problem::NotStrict { word: "vmac_xmit_base" });
                Field::Absent
            }
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
}

/// `default_interface`, or the one that keepalived takes.
pub(super) fn default_interface(
    globals: &[&Statement],
    span: crate::config::source::Span,
    values: &mut Values<'_>,
) -> Spanned<String> {
    let said = globals.iter().rev().find_map(|block| block.last("default_interface"));
    match values.text(said) {
        Field::Given(interface) => interface,
        Field::Absent | Field::Refused => Spanned { value: "eth0".to_owned(), span },
    }
}

/// Those that are of the `family`, if there is one that they must be of.
fn virtual_addresses(
    statement: &Statement,
    word: &str,
    family: Option<Family>,
    values: &mut Values<'_>,
) -> Vec<Spanned<VirtualAddress>> {
    let read = |row: Row<'_>, values: &mut Values<'_>| {
        let address = addresses::address(row, values)?;
        let fits = family.is_none_or(|family| network_fits(&address.address, family, values));
        fits.then_some(address)
    };
    let mut addresses = rows(statement, word, read, values);
    let mut first: HashMap<IpAddr, Option<String>> = HashMap::new();
    addresses.retain(|Spanned { value, span }| {
        let Some(network) = value.address.given() else { return true };
        let (address, dev) =
            (network.value.address, value.dev.given().map(|dev| dev.value.clone()));
        let is_elsewhere = first.get(&address).is_some_and(|known| *known != dev);
        if is_elsewhere {
            values.warning(*span, Problem::OnTwoInterfaces { address });
        }
        first.entry(address).or_insert(dev);
        !is_elsewhere
    });
    each_once(addresses, |address| Some(address.address.given()?.value.address), values)
}

/// With a virtual MAC address, `dev` with the interface of the instance says nothing, as in keepalived:
/// clients are to see that MAC address, and not the interface's.
fn leave_to_vmac(address: &mut VirtualAddress, interface: &Field<String>, values: &mut Values<'_>) {
    let Some(own) = interface.given().map(|interface| interface.value.as_str()) else { return };
    if address.dev.given().is_some_and(|dev| dev.value == own) {
        address.dev = Field::Absent;
    }
    // `ip` shows labels only if they begin with the interface that the address is on.
    if let (Field::Absent, Some(label)) = (&address.dev, address.label.given())
        && let Some(rest) = label.value.strip_prefix(own)
        && (rest.is_empty() || rest.starts_with(':'))
    {
        let (label, span) = (label.value.clone(), label.span);
        values.warning(span, Problem::LabelOfVmac { label });
        address.label = Field::Absent;
    }
}

/// Who is strict is a master from the start if and only if the addresses are its own.
fn strict_state(
    state: Field<Start>,
    priority: &Field<i64>,
    instance: &Statement,
    values: &mut Values<'_>,
) -> Field<Start> {
    let wanted = match priority.or(0) {
        OWNER => Start::Master,
        _ => Start::Backup,
    };
    if state.or(Start::Backup) == wanted {
        return state;
    }
    let Some(span) = state.span() else { return given(wanted, instance.span) };
    values.warning(span, Problem::NotStrict { word: "state" });
    given(wanted, span)
}

/// Unless it is said, and that is strict, only an owner takes packets for the addresses.
fn accept(
    statement: &Statement,
    strict: bool,
    priority: &Field<i64>,
    version: &Field<i64>,
    values: &mut Values<'_>,
) -> Field<bool> {
    let mut words = statement.block().iter();
    let owned = priority.or(0) == OWNER;
    match words.rfind(|word| matches!(word.word(), "accept" | "no_accept")) {
        Some(word) if strict && version.or(2) == 2 && word.word() == "accept" => {
            values.warning(word.span, Problem::NotStrict { word: "accept" });
            given(owned, word.span)
        }
        Some(word) => given(word.word() == "accept", word.span),
        None if strict => given(owned, statement.span),
        None => Field::Absent,
    }
}
