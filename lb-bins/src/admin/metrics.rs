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

use crate::status::{BackendReport, Status, VirtualServerStatus};

/// The OpenMetrics text format, which Prometheus reads.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labels = Vec<(&'static str, String)>;
type ServerCount = (&'static str, &'static str, fn(&VirtualServerStatus) -> u64);
type BackendCount = (&'static str, &'static str, fn(&BackendReport) -> u64);

const SERVER_GAUGES: [ServerCount; 6] = [
    ("live_weight", "Sum of the weights of the live backends", |one| one.quorum.live_weight),
    ("open_connections", "Connections open now", |one| one.open_connections),
    ("persisted_clients", "Clients that are remembered", |one| one.persisted_clients as u64),
    ("quorum_required", "What it takes to change the quorum", |one| one.quorum.required),
    ("quorum_up", "Whether enough backends live", |one| one.quorum.up.into()),
    ("sorry", "Whether clients are sent to the sorry server", |one| one.sorry.into()),
];

const SERVER_COUNTERS: [ServerCount; 3] = [
    ("accept_rests", "Times that accepting rested for want of resources", |one| {
        one.accept_rests_total
    }),
    ("accepted_connections", "Connections that clients opened", |one| one.accepted_total),
    ("refused_connections", "Connections reset because no backend took them", |one| {
        one.refused_total
    }),
];

const BACKEND_GAUGES: [BackendCount; 3] = [
    ("active_connections", "Connections open now", |one| one.active_connections.into()),
    ("up", "Whether the backend takes new clients", |one| (one.state == "up").into()),
    ("weight", "The effective weight", |one| one.weight.into()),
];

const BACKEND_COUNTERS: [BackendCount; 3] = [
    ("connections", "Connections ever assigned", |one| one.connections_total),
    ("received_bytes", "Bytes that clients sent to the backend", |one| one.bytes_in),
    ("sent_bytes", "Bytes that the backend sent to clients", |one| one.bytes_out),
];

/// The text of a scrape.
///
/// # Errors
/// None in practice: a string takes everything.
pub(super) fn encode(status: &Status) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("lb");
    let servers = registry.sub_registry_with_prefix("virtual_server");
    for (name, help, value) in SERVER_GAUGES {
        gauge(servers, name, help, each_server(status, value));
    }
    for (name, help, value) in SERVER_COUNTERS {
        counter(servers, name, help, each_server(status, value));
    }
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
    // One series per state, so that a graph can add them up.
    let states = status.virtual_servers.iter().flat_map(|server| {
        server.backends.iter().flat_map(move |backend| {
            STATES.into_iter().map(move |state| {
                let mut labels = backend_labels(server, backend);
                labels.push(("state", state.to_owned()));
                (labels, u64::from(backend.state == state))
            })
        })
    });
    gauge(backends, "state", "1 for the state that the backend is in", states);
    let mut text = String::new();
    encode_text(&mut text, &registry)?;
    Ok(text)
}

const STATES: [&str; 5] = ["warming", "up", "down", "drain", "maintenance"];

fn each_server(
    status: &Status,
    value: fn(&VirtualServerStatus) -> u64,
) -> impl Iterator<Item = (Labels, u64)> {
    let labels = |server: &VirtualServerStatus| vec![("virtual_server", server.name.clone())];
    status.virtual_servers.iter().map(move |server| (labels(server), value(server)))
}

fn each_backend<'a, T>(
    status: &'a Status,
    value: fn(&'a BackendReport) -> T,
) -> impl Iterator<Item = (Labels, T)> {
    status.virtual_servers.iter().flat_map(move |server| {
        let backends = server.backends.iter();
        backends.map(move |backend| (backend_labels(server, backend), value(backend)))
    })
}

fn backend_labels(server: &VirtualServerStatus, backend: &BackendReport) -> Labels {
    vec![("virtual_server", server.name.clone()), ("backend", backend.address.to_string())]
}

fn gauge(
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

fn counter(
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
