//! Rules for backends, one by one and together.

use std::net::SocketAddr;

use lb_core::Weight;

use super::balancing::{self, Limits};
use super::notify::{self, Hooks};
use super::quorum::TotalWeight;
use super::values::{destination, integer};
use super::{check, elements, is_empty, report_repeated};
use crate::config::defaults;
use crate::config::draft::{self, Field};
use crate::config::mistakes::Mistakes;
use crate::config::model::Backend;
use crate::config::model::check::Check;
use crate::config::problem::Problem;
use crate::config::source::{Span, Spanned};

/// The backends of a virtual server that listens on `listen`.
pub(super) fn backends(
    draft: &draft::VirtualServer,
    span: Span,
    listen: SocketAddr,
    shared_checks: &[Check],
    shared_hooks: &Hooks,
    mistakes: &mut Mistakes,
) -> Vec<Backend> {
    let drafts = elements(&draft.backends);
    if is_empty(&draft.backends) {
        mistakes.error(span, Problem::NoBackends);
    }
    report_repeated(
        drafts.iter().filter_map(|backend| backend.value.address.given().cloned()),
        |address| Problem::BackendTwice { address },
        mistakes,
    );
    let backend = |Spanned { value: draft, span }: &Spanned<draft::Backend>| {
        if matches!(draft.address, Field::Absent) {
            let sample = r#"address = "127.0.0.1:9001""#;
            mistakes.error(*span, Problem::Missing { key: "address", sample });
        }
        let weight = integer(
            "weight",
            &draft.weight,
            0..=Weight::MAX.value(),
            defaults::WEIGHT.value(),
            mistakes,
        );
        let priority =
            integer("priority", &draft.priority, 0..=u8::MAX, defaults::PRIORITY, mistakes);
        let Limits { max_connections, u_threshold, l_threshold } =
            balancing::limits(draft, mistakes);
        let own = notify::hooks(&draft.on_failure, &draft.on_up, &draft.on_down, mistakes);
        let checks = match draft.checks {
            Field::Absent => shared_checks.to_vec(),
            _ => {
                let is_named = draft.address.given().is_some_and(|at| check::is_name(&at.value));
                check::checks(&draft.checks, is_named, mistakes)
            }
        };
        if let Some(address) = draft.address.given() {
            check::suit(address, &checks, mistakes);
        }
        Backend {
            address: destination("address", &draft.address, listen, mistakes)
                .unwrap_or_else(|| listen.into()),
            weight: Weight::new(weight),
            priority,
            zone: balancing::zone(&draft.zone, mistakes),
            max_connections,
            u_threshold,
            l_threshold,
            on_failure: draft.on_failure.or(shared_hooks.on_failure),
            on_up: own.on_up.or_else(|| shared_hooks.on_up.clone()),
            on_down: own.on_down.or_else(|| shared_hooks.on_down.clone()),
            checks,
        }
    };
    drafts.iter().map(backend).collect()
}

/// What all backends weigh together, unless one of the weights was refused.
pub(super) fn total_weight(
    draft: &draft::VirtualServer,
    backends: &[Backend],
) -> Option<TotalWeight> {
    let weight_known = |backend: &Spanned<draft::Backend>| match &backend.value.weight {
        Field::Absent => true,
        Field::Refused => false,
        Field::Given(weight) => u16::try_from(weight.value).is_ok(),
    };
    let complete = draft.backends.given().is_some_and(|backends| backends.value.complete);
    if !complete || !elements(&draft.backends).iter().all(weight_known) {
        return None;
    }
    let reports =
        |backend: &Backend| backend.checks.iter().any(|check| check.kind.reports_weight());
    Some(TotalWeight {
        backends: backends.len(),
        serving: backends.iter().filter(|backend| !backend.weight.is_zero()).count(),
        weight: backends.iter().map(|backend| u64::from(backend.weight)).sum(),
        reported: backends.iter().any(reports),
    })
}
