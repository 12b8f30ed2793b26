//! Rules for ejecting backends that clients fail at.

use super::values::{duration, integer};
use crate::config::defaults;
use crate::config::draft::{self, Field, Hundredths};
use crate::config::duration::format;
use crate::config::mistakes::Mistakes;
use crate::config::model::Passive;
use crate::config::problem::Problem;
use crate::config::source::Spanned;

pub(super) fn passive(
    Spanned { value: draft, span }: &Spanned<draft::Passive>,
    mistakes: &mut Mistakes,
) -> Passive {
    /// More is a mistyped number.
    const MOST: u32 = 1_000_000;
    let eject = duration("eject", &draft.eject, defaults::EJECT, mistakes);
    let longest_default = eject.max(defaults::LONGEST_EJECTION);
    let longest = duration("longest", &draft.longest, longest_default, mistakes);
    if let Some(given) = draft.longest.given()
        && longest < eject
        && !draft.eject.is_refused()
    {
        let (least, most) = (format(eject), format(longest));
        let (key, other) = ("eject", "longest");
        mistakes.error(given.span, Problem::LeastAboveMost { key, least, other, most });
    }
    let consecutive =
        integer("consecutive", &draft.consecutive, 0..=MOST, defaults::CONSECUTIVE, mistakes);
    let failure_percent = integer(
        "failure_percent",
        &draft.failure_percent,
        0..=100,
        defaults::FAILURE_PERCENT,
        mistakes,
    );
    let deviations = deviations(&draft.deviations, mistakes);
    if consecutive == 0 && failure_percent == 0 && deviations == 0 {
        mistakes.warning(*span, Problem::NobodyEjected);
    }
    Passive {
        consecutive,
        failure_percent,
        minimum: integer("minimum", &draft.minimum, 1..=MOST, defaults::MINIMUM, mistakes),
        interval: duration("interval", &draft.interval, defaults::PASSIVE_INTERVAL, mistakes),
        eject,
        longest,
        max_ejected: integer(
            "max_ejected",
            &draft.max_ejected,
            1..=100,
            defaults::MAX_EJECTED,
            mistakes,
        ),
        deviations,
        back_on_check: draft.back_on_check.or(defaults::BACK_ON_CHECK),
    }
}

fn deviations(field: &Field<Hundredths>, mistakes: &mut Mistakes) -> u32 {
    /// More never happens: of n backends none is further off than the root of n - 1.
    const MOST: u32 = 1000;
    let Some(&Spanned { value: Hundredths(hundredths), span }) = field.given() else {
        return defaults::DEVIATIONS;
    };
    let deviations = u32::try_from(hundredths).ok().filter(|&deviations| deviations <= MOST);
    deviations.unwrap_or_else(|| {
        mistakes.error(span, Problem::DeviationsOutOfRange { hundredths, most: MOST.into() });
        defaults::DEVIATIONS
    })
}
