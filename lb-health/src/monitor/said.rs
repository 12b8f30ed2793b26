//! What the runs of a check have said of its backends, but for whether they are well.

use lb_core::Weight;
use lb_core::health::{ReportedLimit, ReportedWeight};

use crate::Report;

/// What holds of all that was reported: what a report that [amends](Report::amends) does not say is as
/// it was.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Said {
    weight: Option<Weight>,
    /// A share of the weight, in percent.
    percent: Option<u16>,
    limit: ReportedLimit,
    drains: bool,
    /// Whether a check said it whose place this one has taken: it holds until this one reports.
    is_former: bool,
}

impl Said {
    /// Takes the report of a run that passed.
    pub(crate) fn take(&mut self, report: &Report) {
        let before = if report.amends && !self.is_former { *self } else { Self::default() };
        let Report { weight, advice, .. } = report;
        let (weight, percent) = match (weight, advice.percent) {
            // Two ways to say one thing: the last one counts.
            (None, None) => (before.weight, before.percent),
            said => (*said.0, said.1),
        };
        *self = Self {
            weight,
            percent,
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
        let sum = self.weight.map_or(others, |weight| others.and(weight));
        self.percent.map_or(sum, |percent| sum.and_percent(percent))
    }

    /// How many connections there are to be.
    pub(crate) const fn limit(&self) -> ReportedLimit {
        self.limit
    }
}
