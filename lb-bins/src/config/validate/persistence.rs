//! Rules for how long clients belong to their backends.

use std::net::SocketAddr;

use super::values::{duration, duration_or_zero, integer};
use crate::config::defaults;
use crate::config::draft;
use crate::config::mistakes::Mistakes;
use crate::config::model::Persistence;
use crate::config::problem::Problem;

pub(super) fn persistence(
    draft: &draft::Persistence,
    listen: SocketAddr,
    mistakes: &mut Mistakes,
) -> Persistence {
    const MOST_CLIENTS: u32 = 1 << 24;
    let (default, whole) = (defaults::granularity(listen.ip()), defaults::whole(listen.ip()));
    let timeout = duration("timeout", &draft.timeout, defaults::PERSISTENCE_TIMEOUT, mistakes);
    let min_age =
        duration_or_zero("min_age", &draft.min_age, defaults::PERSISTENCE_MIN_AGE, mistakes);
    if let Some(given) = draft.min_age.given()
        && min_age > timeout
        && !draft.timeout.is_refused()
    {
        mistakes.warning(given.span, Problem::MinAgeBeyondTimeout);
    }
    Persistence {
        timeout,
        while_open: draft.while_open.or(defaults::PERSISTENCE_WHILE_OPEN),
        granularity: integer("granularity", &draft.granularity, 1..=whole, default, mistakes),
        capacity: integer(
            "capacity",
            &draft.capacity,
            1..=MOST_CLIENTS,
            defaults::PERSISTENCE_CAPACITY,
            mistakes,
        ),
        min_age,
        when_full: draft.when_full.or(defaults::PERSISTENCE_WHEN_FULL),
        when_down: draft.when_down.or(defaults::PERSISTENCE_WHEN_DOWN),
    }
}
