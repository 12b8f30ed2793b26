//! What is known of each check, as Prometheus metrics.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::metrics::{Labels, backend_labels, counter, gauge};
use crate::status::{CheckReport, RunReport, Status};

/// How a run may have ended.
const OUTCOMES: [&str; 3] = ["passed", "failed", "local"];

/// All that there is to say of checks.
pub(super) fn register(registry: &mut Registry, status: &Status) {
    let all = registry.sub_registry_with_prefix("checks");
    let totals = &status.checks;
    let one = |count: u64| [(Labels::new(), count)].into_iter();
    counter(all, "runs", "Runs of checks", one(totals.runs_total));
    let seconds = |millis: u64| [(Labels::new(), millis as f64 / 1000.0)].into_iter();
    let overdue = "How long the check has been due that is due for longest and did not begin";
    fraction(all, "overdue_seconds", overdue, seconds(totals.overdue_ms));
    let late = "How late that run began which began latest, of the last of each check";
    fraction(all, "late_seconds", late, seconds(totals.late_ms));
    let check = registry.sub_registry_with_prefix("check");
    let outcomes = last_runs(status).flat_map(|(labels, run)| {
        OUTCOMES
            .map(|outcome| (with(&labels, "outcome", outcome), u64::from(run.outcome == outcome)))
    });
    gauge(check, "outcome", "1 for how the last run ended: local is this host's fault", outcomes);
    let causes =
        last_runs(status).filter_map(|(labels, run)| Some((with(&labels, "cause", run.cause?), 1)));
    gauge(check, "cause", "1 for why the last run did not pass", causes);
    let phases = last_runs(status).flat_map(|(labels, run)| {
        let phases = run.phases_ms.iter().map(|(phase, millis)| (phase.to_owned(), millis));
        let whole = [("whole".to_owned(), run.took_ms)];
        let all: Vec<_> = phases.chain(whole).collect();
        all.into_iter()
            .map(move |(phase, millis)| (with(&labels, "phase", &phase), millis / 1000.0))
    });
    fraction(check, "duration_seconds", "How long the last run took, by phase", phases);
    let days = last_runs(status).filter_map(|(labels, run)| {
        let certificate = run.evidence.as_ref()?.certificate.as_ref()?;
        Some((labels, certificate.days_left as f64))
    });
    fraction(check, "certificate_days", "Days until the certificate expires", days);
    let errors = each(status).map(|(labels, check)| (labels, u64::from(check.local_errors)));
    gauge(check, "local_errors", "Runs in a row that could not be run here", errors);
    let obstructed = each(status).map(|(labels, check)| (labels, u64::from(check.obstructed)));
    gauge(check, "obstructed", "Whether it could not be run for some time", obstructed);
    let up = each(status).map(|(labels, check)| (labels, u64::from(check.state == "up")));
    gauge(check, "up", "Whether it finds its target alive", up);
}

/// Every check, of sorry servers as well; its place in the list of its backend tells it from others of its
/// type.
fn each(status: &Status) -> impl Iterator<Item = (Labels, &CheckReport)> {
    status.virtual_servers.iter().flat_map(|server| {
        let backends = server.backends.iter().map(|one| (&one.address, &one.checks));
        let sorry = server.sorry_server.iter().map(|one| (&one.address, &one.checks));
        backends.chain(sorry).flat_map(move |(address, checks)| {
            (0..).zip(checks).map(move |(place, check): (u32, _)| {
                let mut labels = backend_labels(server, address);
                labels.push(("check", place.to_string()));
                labels.push(("type", check.kind.to_owned()));
                (labels, check)
            })
        })
    })
}

fn last_runs(status: &Status) -> impl Iterator<Item = (Labels, &RunReport)> {
    each(status).filter_map(|(labels, check)| Some((labels, &check.runs.first()?.run)))
}

fn with(labels: &Labels, name: &'static str, value: &str) -> Labels {
    let mut labels = labels.clone();
    labels.push((name, value.to_owned()));
    labels
}

fn fraction(
    registry: &mut Registry,
    name: &str,
    help: &str,
    rows: impl Iterator<Item = (Labels, f64)>,
) {
    let family = Family::<Labels, Gauge<f64, AtomicU64>>::default();
    for (labels, value) in rows {
        family.get_or_create(&labels).set(value);
    }
    registry.register(name, help, family);
}
