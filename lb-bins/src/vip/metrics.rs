//! The status as Prometheus metrics.

use std::fmt;

use lb_vrrp::Role;
use prometheus_client::encoding::text::encode as encode_text;
use prometheus_client::registry::Registry;

use super::status::{InstanceStatus, Status};
use crate::admin::metrics::{Labels, counter, gauge};

type Count = (&'static str, &'static str, fn(&InstanceStatus) -> u64);

const GAUGES: [Count; 6] = [
    ("base_priority", "The configured priority", |one| one.base_priority.into()),
    ("fault", "Whether it is not fit to be a master", |one| (!one.faults.is_empty()).into()),
    ("holds_addresses", "Whether this host has the addresses", |one| one.holds_addresses.into()),
    ("lonely", "Whether nobody else was ever heard", |one| one.lonely.into()),
    ("priority", "The priority that it has now", |one| one.priority.into()),
    ("state_seconds", "For how long it has been what it is", |one| one.state_seconds),
];

const COUNTERS: [Count; 8] = [
    ("address_list_differs", "Adverts received that list other addresses", |one| {
        one.counters.address_list_differs
    }),
    ("adverts_discarded", "Adverts received that changed nothing", |one| {
        one.counters.adverts_discarded
    }),
    ("adverts_not_sent", "Adverts that could not be sent", |one| one.counters.adverts_not_sent),
    ("adverts_received", "Adverts received that were what they should be", |one| {
        one.counters.adverts_received
    }),
    ("adverts_sent", "Adverts sent, one for each peer", |one| one.counters.adverts_sent),
    ("announcements_sent", "Gratuitous ARPs and neighbour advertisements", |one| {
        one.counters.announcements_sent
    }),
    ("became_master", "How often it became master", |one| one.counters.became_master),
    ("priority_zero_sent", "How often it gave its addresses up", |one| {
        one.counters.priority_zero_sent
    }),
];

/// The text of a scrape.
///
/// # Errors
/// None in practice: a string takes everything.
pub(super) fn encode(status: &Status) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("lb_vrrp_instance");
    let instances = || status.vrrp_instances.iter();
    for (name, help, value) in GAUGES {
        gauge(&mut registry, name, help, instances().map(|one| (labels(one), value(one))));
    }
    for (name, help, value) in COUNTERS {
        counter(&mut registry, name, help, instances().map(|one| (labels(one), value(one))));
    }
    let refused = instances().flat_map(|one| {
        one.counters.refused.iter().map(|(reason, count)| {
            let mut labels = labels(one);
            labels.push(("reason", (*reason).to_owned()));
            (labels, *count)
        })
    });
    counter(&mut registry, "refused", "Packets refused", refused);
    // One series per state, so that a graph can add them up.
    let states = instances().flat_map(|one| {
        [Role::Backup, Role::Fault, Role::Initialize, Role::Master].map(|role| {
            let mut labels = labels(one);
            labels.push(("state", role.name().to_owned()));
            (labels, u64::from(one.state == role.name()))
        })
    });
    gauge(&mut registry, "state", "1 for the state that it is in", states);
    let mut text = String::new();
    encode_text(&mut text, &registry)?;
    Ok(text)
}

fn labels(instance: &InstanceStatus) -> Labels {
    vec![
        ("instance", instance.name.clone()),
        ("interface", instance.interface.clone()),
        ("virtual_router_id", instance.virtual_router_id.to_string()),
    ]
}
