//! Who wins: the fittest, then whoever advertises most often, then the lower address.

use std::net::IpAddr;
use std::time::Duration;

use super::config::period;
use super::{CarpHost, Demotion};
use crate::wire::CarpAdvertisement;

impl CarpHost {
    /// Their demotion beside ours, if anybody says it.
    fn demotions(&self, said: &CarpAdvertisement) -> (u8, u8) {
        match self.config.demotion {
            Demotion::AddedToSkew => (0, 0),
            Demotion::Said => (said.demotion, self.demotion()),
        }
    }

    pub(super) fn is_outranked_by(&self, source: IpAddr, said: &CarpAdvertisement) -> bool {
        if said.gives_up() {
            return false;
        }
        let (theirs, ours) = self.demotions(said);
        (theirs, said.period(), source) < (ours, self.period(), self.config.source)
    }

    /// Whether such a master is as good as none.
    pub(super) fn takes_over_from(&self, said: &CarpAdvertisement) -> bool {
        let (theirs, ours) = self.demotions(said);
        let may_preempt = self.config.preempt && !self.stands_back;
        let preempts = may_preempt && theirs >= ours && self.period() < said.period();
        let is_less_fit = theirs > ours && !self.stands_back;
        said.gives_up() || preempts || is_less_fit || self.master_down() < said.period()
    }
}

impl CarpAdvertisement {
    /// Whether the sender gives up.
    pub const fn gives_up(&self) -> bool {
        self.base == u8::MAX && self.skew == u8::MAX
    }

    fn period(&self) -> Duration {
        period(self.base.into(), self.skew)
    }
}
