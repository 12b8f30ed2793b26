//! Rules for the quorum: that it can be gained at all, above all.
//!
//! keepalived silently lowers a quorum above the total weight and a hysteresis that is not below
//! the quorum, and accepts a sum of both that is above the total weight: two servers of weight 1
//! with quorum 2 and hysteresis 1 never come up. All three are mistakes here.

use crate::config::defaults;
use crate::config::draft::{self, Field, Threshold};
use crate::config::mistakes::Mistakes;
use crate::config::model::Quorum;
use crate::config::problem::Problem;
use crate::config::source::{Span, Spanned};

/// What the backends of a virtual server weigh together.
#[derive(Clone, Copy)]
pub(super) struct TotalWeight {
    /// The sum of the configured weights.
    pub(super) weight: u64,
    /// How many backends there are.
    pub(super) backends: usize,
    /// How many of them have a weight above 0: only those count as alive.
    pub(super) serving: usize,
    /// Whether scripts may report other weights.
    pub(super) reported: bool,
}

const DEFAULT: Quorum =
    Quorum::Weight { quorum: defaults::QUORUM, hysteresis: defaults::HYSTERESIS };

/// The quorum of a virtual server. Without a total weight its reach cannot be judged.
pub(super) fn quorum(
    draft: &draft::VirtualServer,
    total: Option<TotalWeight>,
    mistakes: &mut Mistakes,
) -> Quorum {
    match &draft.quorum {
        Field::Refused => DEFAULT,
        Field::Absent => by_weight(None, &draft.hysteresis, total, mistakes),
        Field::Given(Spanned { value: draft::Quorum::Weight(quorum), span }) => {
            let quorum = Spanned { value: *quorum, span: *span };
            by_weight(Some(quorum), &draft.hysteresis, total, mistakes)
        }
        Field::Given(Spanned { value: draft::Quorum::Thresholds { up_at, down_at }, span }) => {
            if let Some(hysteresis) = draft.hysteresis.given() {
                mistakes.error(hysteresis.span, Problem::HysteresisWithThresholds);
            }
            by_thresholds(up_at, down_at, *span, total, mistakes)
        }
    }
}

fn by_weight(
    quorum: Option<Spanned<i64>>,
    hysteresis: &Field<i64>,
    total: Option<TotalWeight>,
    mistakes: &mut Mistakes,
) -> Quorum {
    let weight = quorum.map_or(Some(defaults::QUORUM), |quorum| {
        at_least("quorum", quorum.value, 1, quorum.span, mistakes)
    });
    let distance = match hysteresis {
        Field::Absent => Some(defaults::HYSTERESIS),
        Field::Refused => None,
        Field::Given(Spanned { value, span }) => at_least("hysteresis", *value, 0, *span, mistakes),
    };
    let (Some(weight), Some(distance)) = (weight, distance) else { return DEFAULT };

    if let Some(hysteresis) = hysteresis.given()
        && distance >= weight
    {
        let problem = Problem::HysteresisNotBelowQuorum { quorum: weight, hysteresis: distance };
        mistakes.error(hysteresis.span, problem);
    } else if let Some(quorum) = quorum {
        reachable(weight, distance, quorum.span, total, mistakes);
    }
    Quorum::Weight { quorum: weight, hysteresis: distance }
}

fn by_thresholds(
    up_at: &Field<Threshold>,
    down_at: &Field<Threshold>,
    span: Span,
    total: Option<TotalWeight>,
    mistakes: &mut Mistakes,
) -> Quorum {
    for (key, field, sample) in [("up_at", up_at, "up_at = 2"), ("down_at", down_at, "down_at = 1")]
    {
        if matches!(field, Field::Absent) {
            mistakes.error(span, Problem::Missing { key, sample });
        }
    }
    let up = up_at.given().and_then(|up_at| threshold("up_at", *up_at, mistakes));
    let down = down_at.given().and_then(|down_at| threshold("down_at", *down_at, mistakes));
    let up_span = up_at.given().map_or(span, |up_at| up_at.span);
    let down_span = down_at.given().map_or(span, |down_at| down_at.span);

    match up {
        Some(Limit::Weight(up_at)) => reachable(up_at, 0, up_span, total, mistakes),
        Some(Limit::Percent(up_at)) => share_reachable(up_at, up_span, total, mistakes),
        None => {}
    }
    let (quorum, reversed) = match (up, down) {
        (Some(Limit::Weight(up_at)), Some(Limit::Weight(down_at))) => {
            (Quorum::Thresholds { up_at, down_at }, down_at > up_at)
        }
        (Some(Limit::Percent(up_at)), Some(Limit::Percent(down_at))) => {
            (Quorum::Shares { up_at, down_at }, down_at > up_at)
        }
        (Some(_), Some(_)) => {
            mistakes.error(span, Problem::MixedThresholds);
            return DEFAULT;
        }
        (None, _) | (_, None) => return DEFAULT,
    };
    if reversed {
        let (up_at, down_at) = match quorum {
            Quorum::Shares { up_at, down_at } => (format!("{up_at}%"), format!("{down_at}%")),
            Quorum::Thresholds { up_at, down_at } => (up_at.to_string(), down_at.to_string()),
            Quorum::Weight { .. } => return quorum,
        };
        mistakes.error(down_span, Problem::DownAboveUp { up_at, down_at });
    }
    quorum
}

/// A threshold within its bounds.
#[derive(Clone, Copy)]
enum Limit {
    Percent(u8),
    Weight(u64),
}

fn threshold(
    key: &'static str,
    Spanned { value, span }: Spanned<Threshold>,
    mistakes: &mut Mistakes,
) -> Option<Limit> {
    match value {
        Threshold::Weight(weight) => at_least(key, weight, 1, span, mistakes).map(Limit::Weight),
        Threshold::Percent(percent) => {
            let share = u8::try_from(percent).ok().filter(|share| (1..=100).contains(share));
            if share.is_none() {
                let problem = Problem::OutOfRange { key, value: percent, least: 1, most: 100 };
                mistakes.error(span, problem);
            }
            share.map(Limit::Percent)
        }
    }
}

fn at_least(
    key: &'static str,
    value: i64,
    least: i64,
    span: Span,
    mistakes: &mut Mistakes,
) -> Option<u64> {
    if value < least {
        mistakes.error(span, Problem::TooSmall { key, value, least });
        return None;
    }
    u64::try_from(value).ok()
}

/// Reports a quorum that all backends together would not reach. One of which every backend is
/// drained is no such mistake: that is how a virtual server is taken out of service.
fn reachable(
    quorum: u64,
    hysteresis: u64,
    span: Span,
    total: Option<TotalWeight>,
    mistakes: &mut Mistakes,
) {
    let Some(TotalWeight { weight: total, reported, .. }) = total else { return };
    let needed = quorum.saturating_add(hysteresis);
    if total == 0 || needed <= total {
        return;
    }
    if reported {
        mistakes.warning(span, Problem::UnreachableUnreported { needed, total });
    } else {
        mistakes.error(span, Problem::Unreachable { needed, total, hysteresis });
    }
}

/// As [`reachable`], for a share of the backends.
fn share_reachable(up_at: u8, span: Span, total: Option<TotalWeight>, mistakes: &mut Mistakes) {
    let Some(TotalWeight { backends, serving, reported, .. }) = total else { return };
    if serving > 0 && !reported && serving * 100 < usize::from(up_at) * backends {
        mistakes.error(span, Problem::ShareUnreachable { up_at, backends, serving });
    }
}
