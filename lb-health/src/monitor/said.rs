//! What the runs of a check have said of its backends, but for whether they are well.

use lb_core::Weight;
use lb_core::health::{ReportedLimit, ReportedWeight};

use crate::Report;

/// What holds of all that was reported: what a report that [amends](Report::amends) does not say is as
/// it was.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Said {
    asked: Asked,
    limit: ReportedLimit,
    drains: bool,
    /// Whether a check said it whose place this one has taken: it holds until this one reports.
    is_former: bool,
}

/// What is asked for of the weight. As an enum it takes six bytes, as two options eight.
#[derive(Clone, Copy, Debug, Default)]
enum Asked {
    #[default]
    Nothing,
    Weight(Weight),
    /// A share of the weight, in percent.
    Share(u16),
    Both(Weight, u16),
}

impl Said {
    /// Takes the report of a run that passed.
    pub(crate) fn take(&mut self, report: &Report) {
        let before = if report.amends && !self.is_former { *self } else { Self::default() };
        let advice = report.advice;
        *self = Self {
            // Two ways to say one thing: the last one counts.
            asked: match (report.weight, advice.percent) {
                (None, None) => before.asked,
                (Some(weight), None) => Asked::Weight(weight),
                (None, Some(share)) => Asked::Share(share),
                (Some(weight), Some(share)) => Asked::Both(weight, share),
            },
            limit: advice
                .max_connections
                .map_or(before.limit, |most| ReportedLimit::NONE.and(most)),
            drains: advice.admin.map_or(before.drains, |_| advice.drains()),
            is_former: false,
        };
    }

    /// The same, said by a check whose place another takes.
    pub(crate) const fn of_former(self) -> Self {
        Self { is_former: true, ..self }
    }

    /// The weight that is asked for, with what others ask for.
    pub(crate) fn weight(&self, others: ReportedWeight) -> ReportedWeight {
        if self.drains {
            return others.and(Weight::ZERO);
        }
        match self.asked {
            Asked::Nothing => others,
            Asked::Weight(weight) => others.and(weight),
            Asked::Share(share) => others.and_percent(share),
            Asked::Both(weight, share) => others.and(weight).and_percent(share),
        }
    }

    /// How many connections there are to be.
    pub(crate) const fn limit(&self) -> ReportedLimit {
        self.limit
    }
}
