//! Rules for one virtual router.

use std::net::IpAddr;
use std::time::Duration;

use lb_vrrp::{Announcements, Family, Interval, Peer, Preempt, Priority, Reach, Version, Vrid};

use super::addresses::{self, Home};
use super::authentication::authentication;
use super::claim::claim;
use super::routes;
use super::tracking::{Described, interfaces};
use super::{interface, name, notify, optional_interface};
use crate::config::defaults;
use crate::config::draft::vrrp as draft;
use crate::config::draft::{Field, List};
use crate::config::mistakes::Mistakes;
use crate::config::model::{Delays, VrrpInstance};
use crate::config::problem::{Problem, VrrpProblem};
use crate::config::source::{Span, Spanned};
use crate::config::validate::values::{duration_or_zero, integer};
use crate::config::validate::{elements, is_empty};

/// So long an announcement holds at least: each is a broadcast for every address, which every host of the
/// link has to look at. keepalived takes whole seconds.
const LEAST_REFRESH: Duration = Duration::from_millis(100);

pub(super) fn instance(
    Spanned { value: draft, span }: &Spanned<draft::VrrpInstance>,
    described: &Described,
    mistakes: &mut Mistakes,
) -> VrrpInstance {
    let version = version(&draft.version, mistakes);
    let interface = own_interface(&draft.interface, *span, mistakes);
    let mut placed = |key, field| addresses::addresses(key, field, &interface, mistakes);
    let addresses = placed("addresses", &draft.addresses);
    let excluded_addresses = placed("excluded_addresses", &draft.excluded_addresses);
    let family = family(draft);
    judge_family(draft, *span, version, family, mistakes);
    let homes = [&draft.addresses, &draft.excluded_addresses];
    addresses::report_repeated(&homes, mistakes);
    let given = &draft.virtual_router_id;
    let virtual_router_id =
        vrid("virtual_router_id", "virtual_router_id = 51", given, *span, mistakes);
    let default_mac = match family {
        Family::V4 => format!("vrrp.{virtual_router_id}"),
        Family::V6 => format!("vrrp6.{virtual_router_id}"),
    };
    let home = Home { family, interface: &interface };
    let (source, reach) = reach(draft, family, mistakes);
    let advert_interval = interval(&draft.advert_interval, version, mistakes);
    let (adverts, default) = (&draft.down_timer_adverts, defaults::DOWN_TIMER_ADVERTS);
    let down_timer_adverts = integer("down_timer_adverts", adverts, 1..=100, default, mistakes);
    let silence = advert_interval.as_duration() * u32::from(down_timer_adverts.saturating_sub(1));
    let default = defaults::VRRP_PRIORITY.get();
    let priority = integer("priority", &draft.priority, 1..=u8::MAX, default, mistakes);
    VrrpInstance {
        name: name(&draft.name, *span, r#"name = "web""#, mistakes),
        virtual_router_id,
        version,
        state: draft.state.or(defaults::VRRP_STATE),
        priority: Priority::new(priority),
        advert_interval,
        down_timer_adverts,
        preempt: preempt(draft, mistakes),
        accept: draft.accept.or(defaults::ACCEPT),
        delays: delays(draft, silence, mistakes),
        parting_advert: draft.parting_advert.or(defaults::PARTING_ADVERT),
        checksum: draft.checksum.or(defaults::CHECKSUM),
        source,
        reach,
        authentication: authentication(&draft.authentication, version, mistakes),
        addresses,
        excluded_addresses,
        routes: routes::routes(&draft.routes, home, mistakes),
        rules: routes::rules(&draft.rules, home, mistakes),
        virtual_mac: virtual_mac(&draft.use_vmac, &draft.vmac_interface, default_mac, mistakes),
        vmac_xmit_base: vmac_xmit_base(draft, mistakes),
        garp: garp(&draft.garp, mistakes),
        track_primary: draft.track_primary.or(defaults::TRACK_PRIMARY),
        track_interfaces: interfaces(&draft.track_interfaces, mistakes),
        tracks: described.tracks(&draft.tracks, mistakes),
        claim: claim(&draft.claim, !homes.iter().all(|field| is_empty(field)), mistakes)
            .map(Box::new),
        notify: notify(&draft.notify, Some(&draft.notify_master_rx_lower_pri), mistakes),
        interface,
    }
}

/// Its addresses are there, unless it does without, and all of its `family`, which its version speaks.
fn judge_family(
    draft: &draft::VrrpInstance,
    span: Span,
    version: Version,
    family: Family,
    mistakes: &mut Mistakes,
) {
    let does_without = !is_empty(&draft.excluded_addresses) || !draft.claim.is_absent();
    if draft.addresses.is_absent() && !does_without {
        let (what, key) = ("virtual routers", "addresses");
        let sample = r#"addresses = ["10.0.0.200/24"]"#;
        mistakes.error(span, VrrpProblem::Nothing { what, key, sample }.into());
    }
    if version == Version::V2 && family == Family::V6 {
        let at = draft.version.span().unwrap_or(span);
        mistakes.error(at, VrrpProblem::V2IsIpv4.into());
    }
    for address in elements(&draft.addresses) {
        if let Some(network) = address.value.address.given() {
            same_family("addresses", network.value.address, family, network.span, mistakes);
        }
    }
}

/// That of the addresses; without any, that of those who speak.
fn family(draft: &draft::VrrpInstance) -> Family {
    let addresses = elements(&draft.addresses).iter();
    let virtual_ones = addresses.filter_map(|one| Some(one.value.address.given()?.value.address));
    let peers = elements(&draft.unicast_peers).iter();
    let peers = peers.filter_map(|peer| Some(peer.value.address.given()?.value));
    let own = match draft.unicast_peers {
        Field::Absent => [&draft.multicast_source, &draft.multicast_group],
        _ => [&draft.unicast_source, &Field::Absent],
    };
    let own = own.into_iter().filter_map(|field| Some(field.given()?.value));
    let mut all = virtual_ones.chain(own).chain(peers);
    all.next().map_or(Family::V4, |first| Family::of(&first))
}

pub(super) fn own_interface(field: &Field<String>, span: Span, mistakes: &mut Mistakes) -> String {
    match field {
        Field::Given(given) => {
            interface("interface", given, mistakes);
            return given.value.clone();
        }
        Field::Absent => {
            let sample = r#"interface = "eth0""#;
            mistakes.error(span, Problem::Missing { key: "interface", sample });
        }
        Field::Refused => {}
    }
    String::new()
}

fn version(field: &Field<i64>, mistakes: &mut Mistakes) -> Version {
    match integer("version", field, 2..=3_u8, 3, mistakes) {
        2 => Version::V2,
        _ if field.given().is_none() => defaults::VRRP_VERSION,
        _ => Version::V3,
    }
}

pub(super) fn vrid(
    key: &'static str,
    sample: &'static str,
    field: &Field<i64>,
    span: Span,
    mistakes: &mut Mistakes,
) -> Vrid {
    if matches!(field, Field::Absent) {
        mistakes.error(span, Problem::Missing { key, sample });
    }
    let number = integer(key, field, 1..=u8::MAX, 1, mistakes);
    Vrid::new(number).unwrap_or_else(|_| unreachable!("0 is out of range"))
}

fn interval(field: &Field<Duration>, version: Version, mistakes: &mut Mistakes) -> Interval {
    let Some(&Spanned { value, span }) = field.given() else { return defaults::ADVERT_INTERVAL };
    let mut report = |problem: VrrpProblem| {
        mistakes.error(span, problem.into());
        defaults::ADVERT_INTERVAL
    };
    let millis = value.as_millis();
    if !millis.is_multiple_of(10) {
        return report(VrrpProblem::IntervalSteps { millis });
    }
    let interval = u16::try_from(millis / 10).ok().map(Interval::from_centis);
    let Some(Ok(interval)) = interval else { return report(VrrpProblem::IntervalRange) };
    if !interval.fits(version) {
        return report(VrrpProblem::IntervalForVersion { version, interval });
    }
    interval
}

fn preempt(draft: &draft::VrrpInstance, mistakes: &mut Mistakes) -> Preempt {
    let delay = duration_or_zero("preempt_delay", &draft.preempt_delay, Duration::ZERO, mistakes);
    if draft.preempt.or(defaults::PREEMPT) {
        return if delay.is_zero() { Preempt::Immediately } else { Preempt::After(delay) };
    }
    if let Some(given) = draft.preempt_delay.given().filter(|given| !given.value.is_zero()) {
        let (key, with) = ("preempt_delay", "preempt = false");
        mistakes.warning(given.span, VrrpProblem::NoEffectWith { key, with }.into());
    }
    Preempt::Never
}

/// Whose interface is down for longer than others are patient, the length of a `silence`, finds another
/// master in any case.
fn delays(draft: &draft::VrrpInstance, silence: Duration, mistakes: &mut Mistakes) -> Delays {
    let key = "interface_down_delay";
    let (down, up) = (&draft.interface_down_delay, &draft.interface_up_delay);
    let interface_down = duration_or_zero(key, down, defaults::INTERFACE_DELAY, mistakes);
    if let Some(given) = down.given().filter(|_| !interface_down.is_zero())
        && interface_down >= silence
    {
        mistakes.warning(given.span, VrrpProblem::DelayBeyondSilence { key, silence }.into());
    }
    // Until it counts as up again it is at fault, and others have taken over: that may be for long.
    let interface_up =
        duration_or_zero("interface_up_delay", up, defaults::INTERFACE_DELAY, mistakes);
    let (startup, after_boot) = (&draft.startup_delay, &draft.delay_after_boot);
    Delays {
        startup: duration_or_zero("startup_delay", startup, defaults::STARTUP_DELAY, mistakes),
        after_boot: duration_or_zero(
            "delay_after_boot",
            after_boot,
            defaults::DELAY_AFTER_BOOT,
            mistakes,
        ),
        interface_down,
        interface_up,
    }
}

/// Where it speaks from, and to whom.
fn reach(
    draft: &draft::VrrpInstance,
    family: Family,
    mistakes: &mut Mistakes,
) -> (Option<IpAddr>, Reach) {
    let sources =
        [("multicast_source", &draft.multicast_source), ("unicast_source", &draft.unicast_source)];
    for (key, source) in sources {
        if let Some(source) = source.given() {
            same_family(key, source.value, family, source.span, mistakes);
        }
    }
    let mut no_effect = |span: Option<Span>, problem: VrrpProblem| {
        if let Some(span) = span {
            mistakes.warning(span, problem.into());
        }
    };
    if matches!(draft.unicast_peers, Field::Absent) {
        let without = "unicast_peers";
        for (key, span) in [
            ("unicast_source", draft.unicast_source.span()),
            ("check_unicast_source", draft.check_unicast_source.span()),
        ] {
            no_effect(span, VrrpProblem::NoEffectWithout { key, without });
        }
        let group = draft.multicast_group.given();
        if let Some(group) = group {
            same_family("multicast_group", group.value, family, group.span, mistakes);
            if !group.value.is_multicast() {
                let problem = VrrpProblem::NotMulticast { group: group.value };
                mistakes.error(group.span, problem.into());
            }
        }
        let source = draft.multicast_source.given().map(|source| source.value);
        let group = group.map_or(family.group(), |group| group.value);
        return (source, Reach::Multicast { group });
    }
    let with = "unicast_peers";
    for (key, span) in [
        ("multicast_source", draft.multicast_source.span()),
        ("multicast_group", draft.multicast_group.span()),
    ] {
        no_effect(span, VrrpProblem::NoEffectWith { key, with });
    }
    if let Some(given) = draft.unicast_peers.given()
        && given.value.is_empty()
    {
        mistakes.error(given.span, Problem::Empty { key: "unicast_peers" });
    }
    let source = draft.unicast_source.given().map(|source| source.value);
    let peers = peers(&draft.unicast_peers, family, source, mistakes);
    let check_source = draft.check_unicast_source.or(defaults::CHECK_UNICAST_SOURCE);
    (source, Reach::Unicast { peers, check_source })
}

fn peers(
    field: &Field<List<draft::Peer>>,
    family: Family,
    source: Option<IpAddr>,
    mistakes: &mut Mistakes,
) -> Vec<Peer> {
    let drafts = elements(field);
    super::super::report_repeated(
        drafts.iter().filter_map(|peer| peer.value.address.given().copied()),
        |address| VrrpProblem::AddressTwice { address }.into(),
        mistakes,
    );
    let peer = |Spanned { value: peer, span }: &Spanned<draft::Peer>| {
        let min = integer("min_ttl", &peer.min_ttl, 0..=u8::MAX, 0, mistakes);
        let max = integer("max_ttl", &peer.max_ttl, 0..=u8::MAX, u8::MAX, mistakes);
        if min > max {
            mistakes.error(*span, VrrpProblem::TtlReversed { min, max }.into());
        }
        let Some(address) = peer.address.given() else {
            if !peer.address.is_refused() {
                let sample = r#"address = "10.0.0.12""#;
                mistakes.error(*span, Problem::Missing { key: "address", sample });
            }
            return None;
        };
        same_family("unicast_peers", address.value, family, address.span, mistakes);
        addresses::host("unicast_peers", address.value, address.span, mistakes);
        if Some(address.value) == source {
            let problem = VrrpProblem::PeerIsSource { address: address.value };
            mistakes.error(address.span, problem.into());
        }
        Some(Peer::new(address.value).hop_limits(min..=max))
    };
    drafts.iter().filter_map(peer).collect()
}

pub(super) fn same_family(
    key: &'static str,
    address: IpAddr,
    expected: Family,
    span: Span,
    mistakes: &mut Mistakes,
) {
    if Family::of(&address) != expected {
        mistakes.error(span, VrrpProblem::OtherFamily { key, address, expected }.into());
    }
}

/// The interface of the virtual MAC address: by default called as keepalived calls it.
pub(super) fn virtual_mac(
    use_vmac: &Field<bool>,
    vmac_interface: &Field<String>,
    default: String,
    mistakes: &mut Mistakes,
) -> Option<String> {
    let name = optional_interface("vmac_interface", vmac_interface, mistakes);
    if !use_vmac.or(false) {
        if let Some(span) = vmac_interface.span().filter(|_| !use_vmac.is_refused()) {
            let (key, without) = ("vmac_interface", "use_vmac");
            mistakes.warning(span, VrrpProblem::NoEffectWithout { key, without }.into());
        }
        return None;
    }
    Some(name.unwrap_or(default))
}

fn vmac_xmit_base(draft: &draft::VrrpInstance, mistakes: &mut Mistakes) -> bool {
    let key = "vmac_xmit_base";
    let has_vmac = draft.use_vmac.is_refused() || draft.use_vmac.or(false);
    if let Some(span) = draft.vmac_xmit_base.span().filter(|_| !has_vmac) {
        let without = "use_vmac";
        mistakes.warning(span, VrrpProblem::NoEffectWithout { key, without }.into());
    }
    draft.vmac_xmit_base.or(defaults::VMAC_XMIT_BASE)
}

pub(super) fn garp(field: &Field<draft::Garp>, mistakes: &mut Mistakes) -> Announcements {
    let mut garp = Announcements::default();
    if let Some(Spanned { value: draft, .. }) = field.given() {
        if let Some(&Spanned { value: refresh, span }) = draft.refresh.given()
            && !refresh.is_zero()
            && refresh < LEAST_REFRESH
        {
            mistakes.error(span, VrrpProblem::RefreshedTooOften { least: LEAST_REFRESH }.into());
        }
        garp.first = integer("repeat", &draft.repeat, 0..=u8::MAX, garp.first, mistakes);
        garp.second_after = duration_or_zero("delay", &draft.delay, garp.second_after, mistakes);
        garp.reaction = integer(
            "lower_prio_repeat",
            &draft.lower_prio_repeat,
            0..=u8::MAX,
            garp.reaction,
            mistakes,
        );
        garp.refresh = duration_or_zero("refresh", &draft.refresh, garp.refresh, mistakes);
        garp.spacing = duration_or_zero("interval", &draft.interval, garp.spacing, mistakes);
    }
    garp
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    /// Who is down is patient with nobody: only who must be believed to be up has to hurry.
    #[test]
    fn a_link_that_is_back_may_have_to_last_for_long() {
        let warnings = |delay: &str| {
            let text = format!(
                "[[vrrp_instance]]\nname = \"web\"\ninterface = \"eth0\"\nvirtual_router_id = 51\n\
                 addresses = [\"192.0.2.200\"]\n{delay} = \"60s\"\n"
            );
            Config::parse("vip.toml", &text).unwrap().warnings.len()
        };
        assert_eq!(warnings("interface_down_delay"), 1);
        assert_eq!(warnings("interface_up_delay"), 0);
    }
}
