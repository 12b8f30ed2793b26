//! The status as Prometheus metrics.
//!
//! The counters already live where traffic is counted, so a scrape copies them into a registry of
//! its own instead of everything being counted twice.

use std::fmt;

use prometheus_client::encoding::text::encode as encode_text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::check_metrics;
use crate::config::Address;
use crate::status::{BackendReport, Status, VirtualServerStatus};

/// The OpenMetrics text format, which Prometheus reads.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(crate) type Labels = Vec<(&'static str, String)>;
type ServerCount = (&'static str, &'static str, fn(&VirtualServerStatus) -> u64);
type BackendCount = (&'static str, &'static str, fn(&BackendReport) -> u64);

const SERVER_GAUGES: [ServerCount; 9] = [
    ("live_weight", "Sum of the weights of the live backends", |one| one.quorum.live_weight),
    ("open_connections", "Connections open now", |one| one.open_connections),
    ("panic", "Whether checks are not believed because so few live", |one| one.panic.into()),
    ("persisted_clients", "Clients that are remembered", |one| one.persisted_clients as u64),
    ("queue_length", "Clients that wait because every backend is full", |one| {
        one.queue.map_or(0, |queue| queue.length as u64)
    }),
    ("queue_limit", "Clients that may wait", |one| one.queue.map_or(0, |queue| queue.limit as u64)),
    ("quorum_required", "What it takes to change the quorum", |one| one.quorum.required),
    ("quorum_up", "Whether enough backends live", |one| one.quorum.up.into()),
    ("sorry", "Whether clients are sent to the sorry server", |one| one.sorry.into()),
];

const SERVER_COUNTERS: [ServerCount; 3] = [
    ("abandoned_connections", "Connections that clients reset before a backend had them", |one| {
        one.abandoned_total
    }),
    ("accept_rests", "Times that accepting rested for want of resources", |one| {
        one.accept_rests_total
    }),
    ("accepted_connections", "Connections that clients opened", |one| one.accepted_total),
];

const BACKEND_GAUGES: [BackendCount; 7] = [
    ("active_connections", "Connections open now", |one| one.active_connections.into()),
    ("full", "Whether there is no room for more connections", |one| one.full.into()),
    ("max_connections", "Connections that there may be, 0 for any number", |one| {
        one.max_connections.unwrap_or(0).into()
    }),
    ("priority", "The group of the backend, 0 is tried first", |one| one.priority.into()),
    (
        "slow_start_percent",
        "How much of its weight the backend has, less than 100 at first",
        |one| one.slow_start_percent.unwrap_or(100).into(),
    ),
    ("up", "Whether the backend takes new clients, as far as it has room", |one| {
        (one.state == "up").into()
    }),
    ("weight", "The effective weight", |one| one.weight.into()),
];

const BACKEND_COUNTERS: [BackendCount; 5] = [
    ("connections", "Connections ever assigned", |one| one.connections_total),
    ("ejections", "Times that it was out for what clients see of it", |one| one.ejections_total),
    ("failures", "Connections not taken, or ended before a word was said", |one| {
        one.failures_total
    }),
    ("received_bytes", "Bytes that clients sent to the backend", |one| one.bytes_in),
    ("sent_bytes", "Bytes that the backend sent to clients", |one| one.bytes_out),
];

/// The text of a scrape.
///
/// # Errors
/// None in practice: a string takes everything.
pub(super) fn encode(status: &Status) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("lb");
    register(&mut registry, status);
    let mut text = String::new();
    encode_text(&mut text, &registry)?;
    Ok(text)
}

/// All that there is to say of a balancer.
pub(crate) fn register(registry: &mut Registry, status: &Status) {
    let servers = registry.sub_registry_with_prefix("virtual_server");
    for (name, help, value) in SERVER_GAUGES {
        gauge(servers, name, help, each_server(status, value));
    }
    for (name, help, value) in SERVER_COUNTERS {
        counter(servers, name, help, each_server(status, value));
    }
    let refused = status.virtual_servers.iter().flat_map(|server| {
        let reasons = server.refused.iter();
        reasons.map(|(&reason, &count)| {
            let mut labels = server_labels(server);
            labels.push(("reason", reason.to_owned()));
            (labels, count)
        })
    });
    let help = "Connections reset because no backend took them";
    counter(servers, "refused_connections", help, refused);
    let sorry = status.virtual_servers.iter().filter_map(|server| {
        Some((server_labels(server), u64::from(server.sorry_server.as_ref()?.down)))
    });
    gauge(servers, "sorry_server_down", "Whether the checks of the sorry server fail", sorry);
    let backends = registry.sub_registry_with_prefix("backend");
    for (name, help, value) in BACKEND_GAUGES {
        gauge(backends, name, help, each_backend(status, value));
    }
    for (name, help, value) in BACKEND_COUNTERS {
        counter(backends, name, help, each_backend(status, value));
    }
    let checked = |(labels, backend): (Labels, &BackendReport)| {
        let check = backend.last_check.as_ref()?;
        Some((labels, u64::from(check.outcome == "passed")))
    };
    let passed = each_backend(status, |backend| backend).filter_map(checked);
    gauge(backends, "check_passed", "Whether the last check passed", passed);
    let zones = each_backend(status, |backend| backend.zone.as_ref());
    let zones = zones.filter_map(|(mut labels, zone)| {
        labels.push(("zone", zone?.clone()));
        Some((labels, 1))
    });
    gauge(backends, "zone", "1 for the zone that the backend is in", zones);
    // One series per state, so that a graph can add them up.
    let states = status.virtual_servers.iter().flat_map(|server| {
        server.backends.iter().flat_map(move |backend| {
            STATES.into_iter().map(move |state| {
                let mut labels = backend_labels(server, &backend.address);
                labels.push(("state", state.to_owned()));
                (labels, u64::from(backend.state == state))
            })
        })
    });
    gauge(backends, "state", "1 for the state that the backend is in", states);
    check_metrics::register(registry, status);
    let notify = registry.sub_registry_with_prefix("notify");
    let fifo = status.notify.fifo.iter().flat_map(|fifo| {
        [
            ("fifo_lines", "Lines written to the pipe", fifo.lines_total),
            ("fifo_lost_lines", "Lines lost because nobody read the pipe", fifo.lost_total),
        ]
    });
    let mail = status.notify.mail.iter().flat_map(|mail| {
        [
            ("abandoned_mails", "Mails refused for good, or given up", mail.abandoned_total),
            ("lost_mail_changes", "Changes that were in no mail", mail.lost_total),
            ("mail_failures", "Attempts to send a mail that failed", mail.failures_total),
            ("mails", "Mails sent", mail.sent_total),
        ]
    });
    for (name, help, count) in fifo.chain(mail) {
        let counter = Counter::<u64>::default();
        counter.inc_by(count);
        notify.register(name, help, counter);
    }
}

const STATES: [&str; 6] = ["warming", "up", "down", "ejected", "drain", "maintenance"];

fn each_server(
    status: &Status,
    value: fn(&VirtualServerStatus) -> u64,
) -> impl Iterator<Item = (Labels, u64)> {
    status.virtual_servers.iter().map(move |server| (server_labels(server), value(server)))
}

fn server_labels(server: &VirtualServerStatus) -> Labels {
    vec![("virtual_server", server.name.clone())]
}

fn each_backend<'a, T>(
    status: &'a Status,
    value: fn(&'a BackendReport) -> T,
) -> impl Iterator<Item = (Labels, T)> {
    status.virtual_servers.iter().flat_map(move |server| {
        let backends = server.backends.iter();
        backends.map(move |backend| (backend_labels(server, &backend.address), value(backend)))
    })
}

pub(super) fn backend_labels(server: &VirtualServerStatus, address: &Address) -> Labels {
    let mut labels = server_labels(server);
    labels.push(("backend", address.to_string()));
    labels
}

pub(crate) fn gauge(
    registry: &mut Registry,
    name: &str,
    help: &str,
    rows: impl Iterator<Item = (Labels, u64)>,
) {
    let family = Family::<Labels, Gauge>::default();
    for (labels, value) in rows {
        family.get_or_create(&labels).set(value.try_into().unwrap_or(i64::MAX));
    }
    registry.register(name, help, family);
}

pub(crate) fn counter(
    registry: &mut Registry,
    name: &str,
    help: &str,
    rows: impl Iterator<Item = (Labels, u64)>,
) {
    let family = Family::<Labels, Counter>::default();
    for (labels, value) in rows {
        family.get_or_create(&labels).inc_by(value);
    }
    registry.register(name, help, family);
}
