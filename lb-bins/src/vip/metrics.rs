//! The status as Prometheus metrics.

use std::fmt;

use lb_vrrp::Role;
use prometheus_client::encoding::text::encode as encode_text;
use prometheus_client::registry::Registry;

use super::bgp::AnnouncementStatus;
use super::status::{CarpInstanceStatus, CountersReport, InstanceStatus, Status};
use crate::admin::metrics::{Labels, counter, gauge, register};

type Gauge = (&'static str, &'static str, fn(&InstanceStatus) -> u64);
type OfAnnouncement = (&'static str, &'static str, fn(&AnnouncementStatus) -> u64);
type Count = (&'static str, &'static str, fn(&CountersReport) -> u64);

const GAUGES: [Gauge; 6] = [
    ("base_priority", "The configured priority", |one| one.base_priority.into()),
    ("fault", "Whether it is not fit to be a master", |one| (!one.faults.is_empty()).into()),
    ("holds_addresses", "Whether this host has the addresses", |one| one.holds_addresses.into()),
    ("lonely", "Whether nobody else was ever heard", |one| one.lonely.into()),
    ("priority", "The priority that it has now", |one| one.priority.into()),
    ("state_seconds", "For how long it has been what it is", |one| one.state_seconds),
];

const OF_ANNOUNCEMENTS: [OfAnnouncement; 3] = [
    ("announced", "Whether the speaker says that it announces it", |one| {
        (one.state == "ANNOUNCED").into()
    }),
    ("unknown", "Whether the speaker does not do what it is told", |one| {
        (one.state == "UNKNOWN").into()
    }),
    ("wanted", "Whether it should be announced", |one| one.wanted.into()),
];

const COUNTERS: [Count; 11] = [
    ("address_list_differs", "Adverts received that list other addresses", |one| {
        one.address_list_differs
    }),
    ("adverts_discarded", "Adverts received that changed nothing", |one| one.adverts_discarded),
    ("adverts_not_sent", "Adverts that could not be sent", |one| one.adverts_not_sent),
    ("adverts_received", "Adverts received that were what they should be", |one| {
        one.adverts_received
    }),
    ("adverts_sent", "Adverts sent, one for each peer", |one| one.adverts_sent),
    ("announcements_sent", "Gratuitous ARPs and neighbour advertisements", |one| {
        one.announcements_sent
    }),
    ("became_master", "How often it became master", |one| one.became_master),
    ("interval_differs", "Adverts received with another interval", |one| one.interval_differs),
    ("priority_zero_received", "How often another one gave the addresses up", |one| {
        one.priority_zero_received
    }),
    ("priority_zero_sent", "How often it gave its addresses up", |one| one.priority_zero_sent),
    ("released_master", "How often it was master no more", |one| one.released_master),
];

const LAST_HEARD: (&str, &str) = ("last_heard_seconds", "How long ago another one was heard");

/// The text of a scrape.
///
/// # Errors
/// None in practice: a string takes everything.
pub(super) fn encode(status: &Status) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("lb");
    let routers = registry.sub_registry_with_prefix("vrrp_instance");
    let instances = || status.vrrp_instances.iter();
    for (name, help, value) in GAUGES {
        gauge(routers, name, help, instances().map(|one| (labels(one), value(one))));
    }
    let heard = instances().filter_map(|one| Some((labels(one), one.last_heard_seconds?)));
    gauge(routers, LAST_HEARD.0, LAST_HEARD.1, heard);
    let counted = || instances().map(|one| (labels(one), &one.counters));
    count(routers, counted);
    states(routers, instances().map(|one| (labels(one), one.state)));

    let hosts = registry.sub_registry_with_prefix("carp_instance");
    let instances = || status.carp_instances.iter();
    let holds = instances().map(|one| (carp_labels(one), one.holds_addresses.into()));
    gauge(hosts, "holds_addresses", "Whether this host has the addresses", holds);
    let demotion = instances().map(|one| (carp_labels(one), one.demotion.into()));
    gauge(hosts, "demotion", "How far what it tracks demotes it", demotion);
    let lonely = instances().map(|one| (carp_labels(one), one.lonely.into()));
    gauge(hosts, "lonely", "Whether nobody else was ever heard", lonely);
    let heard = instances().filter_map(|one| Some((carp_labels(one), one.last_heard_seconds?)));
    gauge(hosts, LAST_HEARD.0, LAST_HEARD.1, heard);
    count(hosts, || instances().map(|one| (carp_labels(one), &one.counters)));
    states(hosts, instances().map(|one| (carp_labels(one), one.state)));

    let announcements = registry.sub_registry_with_prefix("bgp_announcement");
    for (name, help, value) in OF_ANNOUNCEMENTS {
        let each = status.bgp_announcements.iter();
        gauge(
            announcements,
            name,
            help,
            each.map(|one| (vec![("announcement", one.name.clone())], value(one))),
        );
    }
    let each = status.bgp_announcements.iter();
    let failures = each.map(|one| (vec![("announcement", one.name.clone())], one.failures_total));
    counter(
        announcements,
        "failures",
        "How often the speaker did not do what it was told",
        failures,
    );

    let tracked = registry.sub_registry_with_prefix("tracked");
    let seen = status.tracked.iter().filter_map(|one| {
        let labels = vec![("type", one.kind.to_owned()), ("name", one.name.clone())];
        Some((labels, (one.state? == "up").into()))
    });
    gauge(tracked, "up", "Whether what instances depend on is up; of files nobody can say", seen);

    let (virtual_servers, notify) = (status.virtual_servers.clone(), status.notify.clone());
    let balancer = crate::status::Status { virtual_servers, checks: status.checks, notify };
    register(&mut registry, &balancer);
    let mut text = String::new();
    encode_text(&mut text, &registry)?;
    Ok(text)
}

/// What was counted for each instance.
fn count<'a, I>(registry: &mut Registry, instances: impl Fn() -> I)
where
    I: Iterator<Item = (Labels, &'a CountersReport)>,
{
    for (name, help, value) in COUNTERS {
        counter(registry, name, help, instances().map(|(labels, one)| (labels, value(one))));
    }
    let checksums = instances().flat_map(|(labels, one)| {
        one.checksums.iter().map(move |(form, count)| {
            let mut labels = labels.clone();
            labels.push(("form", (*form).to_owned()));
            (labels, *count)
        })
    });
    counter(registry, "checksums", "Adverts received, by the form of their checksum", checksums);
    let refused = instances().flat_map(|(labels, one)| {
        one.refused.iter().map(move |(reason, count)| {
            let mut labels = labels.clone();
            labels.push(("reason", (*reason).to_owned()));
            (labels, *count)
        })
    });
    counter(registry, "refused", "Packets refused", refused);
}

/// One series per state, so that a graph can add them up.
fn states(registry: &mut Registry, states: impl Iterator<Item = (Labels, &'static str)>) {
    let all = states.flat_map(|(labels, state)| {
        [Role::Backup, Role::Fault, Role::Initialize, Role::Master].map(|role| {
            let mut labels = labels.clone();
            labels.push(("state", role.name().to_owned()));
            (labels, u64::from(state == role.name()))
        })
    });
    gauge(registry, "state", "1 for the state that it is in", all);
}

fn labels(instance: &InstanceStatus) -> Labels {
    vec![
        ("instance", instance.name.clone()),
        ("interface", instance.interface.clone()),
        ("virtual_router_id", instance.virtual_router_id.to_string()),
    ]
}

fn carp_labels(instance: &CarpInstanceStatus) -> Labels {
    vec![
        ("instance", instance.name.clone()),
        ("interface", instance.interface.clone()),
        ("vhid", instance.vhid.to_string()),
    ]
}
