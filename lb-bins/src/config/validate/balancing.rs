//! Rules for who gets a connection: schedulers and what goes around them, limits, the queue.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use lb_core::Algorithm;
use lb_core::virtual_server::{DrainingClients, WhenFull};

use super::elements;
use super::values::{duration, integer};
use crate::config::defaults;
use crate::config::draft::{self, Field, Hundredths};
use crate::config::mistakes::Mistakes;
use crate::config::model::{
    Backend, Forwarding, HashKey, Queue, hashes_the_source, is_keyed_by_destination,
};
use crate::config::problem::Problem;
use crate::config::source::{Span, Spanned};

/// The most connections that a limit may allow; more is none.
const MOST_CONNECTIONS: u32 = 1_000_000_000;
/// The loosest bound, in hundredths; more is none.
const LOOSEST_BOUND: u32 = 10_000;

/// How connections come to the backends; so far, whatever it says, they are proxied.
pub(super) fn forwarding(field: &Field<Forwarding>, mistakes: &mut Mistakes) -> Forwarding {
    let forwarding = field.or(defaults::FORWARDING);
    if let Some(given) = field.given()
        && forwarding != Forwarding::Proxy
    {
        mistakes.warning(given.span, Problem::NotForwarded { forwarding });
    }
    forwarding
}

/// The scheduler; `None` if there is none of that name.
pub(super) fn scheduler(field: &Field<String>, mistakes: &mut Mistakes) -> Option<Algorithm> {
    let Spanned { value: word, span } = match field {
        Field::Absent => return Some(defaults::SCHEDULER),
        Field::Refused => return None,
        Field::Given(word) => word,
    };
    let known = word.parse().ok();
    if known.is_none() {
        let (word, known) = (word.clone(), Algorithm::ALL.map(Algorithm::name).to_vec());
        mistakes.error(*span, Problem::UnknownWord { key: "scheduler", word, known });
    }
    known
}

/// What is hashed. Without a known scheduler it cannot be told whether that matters.
pub(super) fn hash_key(
    field: &Field<HashKey>,
    scheduler: Option<Algorithm>,
    mistakes: &mut Mistakes,
) -> HashKey {
    warn_unless_hashed("hash_key", field.span(), scheduler, mistakes);
    field.or(defaults::HASH_KEY)
}

/// How much is hashed of the address of whoever comes to `listen`.
pub(super) fn hash_granularity(
    field: &Field<i64>,
    scheduler: Option<Algorithm>,
    listen: SocketAddr,
    mistakes: &mut Mistakes,
) -> Option<u8> {
    const KEY: &str = "hash_granularity";
    field.given()?;
    warn_unless_hashed(KEY, field.span(), scheduler, mistakes);
    let (default, whole) = (defaults::granularity(listen.ip()), defaults::whole(listen.ip()));
    Some(integer(KEY, field, 1..=whole, default, mistakes))
}

/// Warns of a `key` that says something of the source, where nobody looks at it.
fn warn_unless_hashed(
    key: &'static str,
    span: Option<Span>,
    scheduler: Option<Algorithm>,
    mistakes: &mut Mistakes,
) {
    if let (Some(span), Some(algorithm)) = (span, scheduler)
        && !hashes_the_source(algorithm)
    {
        let (scheduler, by_destination) = (algorithm.name(), is_keyed_by_destination(algorithm));
        let known = names(hashes_the_source);
        mistakes.warning(span, Problem::HashKeyUnused { key, scheduler, by_destination, known });
    }
}

/// What hashes are keyed with.
pub(super) fn hash_seed(
    field: &Field<String>,
    scheduler: Option<Algorithm>,
    mistakes: &mut Mistakes,
) -> Option<String> {
    let seed = field.given()?;
    if seed.value.is_empty() {
        mistakes.error(seed.span, Problem::Empty { key: "hash_seed" });
    }
    if let Some(algorithm) = scheduler
        && !can_be_bounded(algorithm)
    {
        let (scheduler, known) = (algorithm.name(), names(can_be_bounded));
        mistakes.warning(seed.span, Problem::HashSeedUnused { scheduler, known });
    }
    Some(seed.value.clone())
}

/// The bound on loads, in hundredths.
pub(super) fn bounded(
    field: &Field<Hundredths>,
    scheduler: Option<Algorithm>,
    mistakes: &mut Mistakes,
) -> Option<u32> {
    let &Spanned { value: Hundredths(hundredths), span } = field.given()?;
    if let Some(algorithm) = scheduler
        && !can_be_bounded(algorithm)
    {
        let (scheduler, known) = (algorithm.name(), names(can_be_bounded));
        mistakes.error(span, Problem::BoundedWithoutHash { scheduler, known });
    }
    let factor = u32::try_from(hundredths).ok();
    let factor = factor.filter(|factor| (101..=LOOSEST_BOUND).contains(factor));
    if factor.is_none() {
        let most = i64::from(LOOSEST_BOUND / 100);
        mistakes.error(span, Problem::FactorOutOfRange { hundredths, most });
    }
    factor
}

/// Whether it hashes, and keeps to that.
fn can_be_bounded(algorithm: Algorithm) -> bool {
    algorithm.bounded(Default::default()).is_some()
}

fn names(which: impl Fn(Algorithm) -> bool) -> Vec<&'static str> {
    let all = Algorithm::ALL.into_iter();
    all.filter(|&algorithm| which(algorithm)).map(Algorithm::name).collect()
}

/// A zone's name.
pub(super) fn zone(field: &Field<String>, mistakes: &mut Mistakes) -> Option<String> {
    let zone = field.given()?;
    if zone.value.is_empty() {
        mistakes.error(zone.span, Problem::Empty { key: "zone" });
    }
    Some(zone.value.clone())
}

/// A share in percent.
pub(super) fn percent(key: &'static str, field: &Field<i64>, mistakes: &mut Mistakes) -> u8 {
    integer(key, field, 0..=100, defaults::NEVER, mistakes)
}

/// How long it takes to take on a share. One that has everything, or nothing, has no parts of it.
pub(super) fn slow_start(
    field: &Field<Duration>,
    scheduler: Option<Algorithm>,
    mistakes: &mut Mistakes,
) -> Option<Duration> {
    let given = field.given()?;
    if let Some(algorithm @ (Algorithm::First | Algorithm::Fo)) = scheduler {
        let scheduler = algorithm.name();
        mistakes.warning(given.span, Problem::SlowStartUnused { scheduler });
    }
    Some(duration("slow_start", field, given.value, mistakes))
}

/// The line of those who wait.
pub(super) fn queue(field: &Field<draft::Queue>, mistakes: &mut Mistakes) -> Option<Queue> {
    const MOST_WAITING: u32 = 1_000_000;
    let draft::Queue { length, timeout } = &field.given()?.value;
    Some(Queue {
        length: integer("length", length, 1..=MOST_WAITING, defaults::QUEUE_LENGTH, mistakes),
        timeout: duration("timeout", timeout, defaults::QUEUE_TIMEOUT, mistakes),
    })
}

/// How many connections a backend takes.
pub(super) struct Limits {
    pub(super) max_connections: Option<NonZeroU32>,
    pub(super) u_threshold: Option<NonZeroU32>,
    pub(super) l_threshold: Option<NonZeroU32>,
}

/// The limits of a backend: thresholds in their order, and both or the upper one.
pub(super) fn limits(draft: &draft::Backend, mistakes: &mut Mistakes) -> Limits {
    let max_connections = limit("max_connections", &draft.max_connections, mistakes);
    let u_threshold = limit("u_threshold", &draft.u_threshold, mistakes);
    let l_threshold = limit("l_threshold", &draft.l_threshold, mistakes);
    if let (Field::Absent, Some(lower)) = (&draft.u_threshold, draft.l_threshold.given()) {
        mistakes.error(lower.span, Problem::LowerWithoutUpper);
    }
    if let (Some(upper), Some(lower), Some(place)) =
        (u_threshold, l_threshold, draft.l_threshold.span())
        && lower > upper
    {
        let (lower, upper) = (lower.get(), upper.get());
        mistakes.error(place, Problem::LowerAboveUpper { lower, upper });
    }
    if let (Some(most), Some(upper), Some(place)) =
        (max_connections, u_threshold, draft.u_threshold.span())
        && upper > most
    {
        let (upper, most) = (upper.get(), most.get());
        mistakes.warning(place, Problem::ThresholdBeyondMaximum { upper, most });
    }
    Limits { max_connections, u_threshold, l_threshold }
}

/// A limit; `None` if there is none, or it was refused.
fn limit(key: &'static str, field: &Field<i64>, mistakes: &mut Mistakes) -> Option<NonZeroU32> {
    field.given()?;
    NonZeroU32::new(integer(key, field, 1..=MOST_CONNECTIONS, 0, mistakes))
}

/// Warns of what the backends make pointless.
pub(super) fn warn_of_no_effect(
    draft: &draft::VirtualServer,
    scheduler: Option<Algorithm>,
    backends: &[Backend],
    mistakes: &mut Mistakes,
) {
    let drafts = elements(&draft.backends);
    let complete = draft.backends.given().is_some_and(|list| list.value.complete);
    let each = |known: fn(&draft::Backend) -> bool| {
        complete && !drafts.is_empty() && drafts.iter().all(|one| known(&one.value))
    };
    let percent =
        |field: &Field<i64>| field.given().copied().filter(|one| (1..=100).contains(&one.value));

    let unlimited = |one: &draft::Backend| {
        let limits = [&one.max_connections, &one.u_threshold];
        limits.iter().all(|limit| matches!(limit, Field::Absent))
    };
    let reports_limit = |one: &Backend| one.checks.iter().any(|check| check.kind.reports_limit());
    let checks_known = !draft.checks.is_refused() && each(|backend| !backend.checks.is_refused());
    let never_full = each(unlimited) && checks_known && !backends.iter().any(reports_limit);
    // By its weights, `ovf` has limits of its own.
    let refuses = scheduler.is_none_or(|scheduler| scheduler == Algorithm::Ovf);
    if let Some(queue) = draft.queue.given()
        && !refuses
        && never_full
    {
        mistakes.warning(queue.span, Problem::QueueWithoutLimits);
    }
    if let Some(persistence) = draft.persistence.given()
        && let Some(word) = persistence.value.when_full.given()
        && word.value == WhenFull::Wait
    {
        if matches!(draft.queue, Field::Absent) {
            mistakes.warning(word.span, Problem::WaitWithoutQueue);
        } else if never_full {
            // Those that `ovf` has are for new clients.
            mistakes.warning(word.span, Problem::WaitWithoutLimits);
        }
    }
    if let Some(given) = percent(&draft.panic_below)
        && checks_known
        && backends.iter().all(|backend| backend.checks.is_empty())
    {
        mistakes.warning(given.span, Problem::PanicWithoutChecks);
    }
    if let Some(given) = percent(&draft.spill_below)
        && each(|backend| !backend.priority.is_refused())
        && backends.iter().all(|backend| backend.priority == backends[0].priority)
    {
        mistakes.warning(given.span, Problem::SpillWithoutPriorities);
    }
    if let (Some(word), Field::Absent) = (draft.draining_clients.given(), &draft.persistence)
        && word.value == DrainingClients::Move
    {
        mistakes.warning(word.span, Problem::MoveWithoutPersistence);
    }
    match &draft.zone {
        Field::Given(Spanned { value: zone, span }) => {
            let near = |backend: &Backend| backend.zone.as_ref() == Some(zone);
            if !zone.is_empty()
                && each(|backend| !backend.zone.is_refused())
                && !backends.iter().any(near)
            {
                mistakes.warning(*span, Problem::NobodyInZone { zone: zone.clone() });
            }
        }
        Field::Absent => {
            let zones = drafts.iter().filter_map(|backend| backend.value.zone.given());
            for zone in zones.filter(|zone| !zone.value.is_empty()) {
                mistakes.warning(zone.span, Problem::ZoneOfBackendAlone);
            }
        }
        Field::Refused => {}
    }
}
