//! Who moves with whom.

use std::time::Instant;

use super::unit::{Machine, Unit};
use super::{Driver, Network, RouterId, now};
use crate::sync_group::GroupError;

impl<N: Network> Driver<N> {
    /// Has these move together, and all others alone. Groups that are as they were are not touched;
    /// the members of others are taken as they are.
    ///
    /// # Errors
    /// [`GroupError`], its place among those that are known; then the groups before that one are
    /// formed, and its members are alone.
    pub fn set_groups(&mut self, groups: &[Vec<RouterId>]) -> Result<(), GroupError> {
        let now = now();
        let known = |ids: &Vec<RouterId>| {
            ids.iter().copied().filter(|id| self.find(*id).is_some()).collect::<Vec<_>>()
        };
        let groups: Vec<_> = groups.iter().map(known).collect();
        let is_wanted = |unit: &Unit| {
            !matches!(unit.machine, Machine::Group(_)) || groups.contains(&unit.ids())
        };
        for at in 0..self.units.len() {
            let Some(unit) = self.units[at].take_if(|unit| !is_wanted(unit)) else { continue };
            self.deadlines.retain(|(_, other)| *other != at);
            for (router, member) in unit.machine.dissolve(now).into_iter().zip(unit.members) {
                let machine = Machine::Alone(Box::new(router));
                let at = self.place(Unit::new(machine, vec![member]));
                self.settle(now, at);
            }
        }
        groups.iter().try_for_each(|group| self.form(now, group))
    }

    fn form(&mut self, now: Instant, ids: &[RouterId]) -> Result<(), GroupError> {
        let (mut places, mut routers) = (Vec::new(), Vec::new());
        for (member, id) in ids.iter().enumerate() {
            let Some((at, _)) = self.find(*id) else { continue };
            match self.unit(at) {
                Some(Unit { machine: Machine::Alone(router), .. }) if !places.contains(&at) => {
                    places.push(at);
                    routers.push(router.as_ref().clone());
                }
                Some(unit @ Unit { machine: Machine::Group(_), .. }) if unit.ids() == ids => {
                    return Ok(());
                }
                Some(Unit { machine: Machine::Carp(_), .. }) => {
                    return Err(GroupError::Carp { member });
                }
                _ => return Err(GroupError::Shared { member }),
            }
        }
        let machine = Machine::group(routers)?;
        let mut members = Vec::new();
        for at in places {
            members.extend(self.units[at].take().map(|unit| unit.members).into_iter().flatten());
            self.deadlines.retain(|(_, other)| *other != at);
        }
        let at = self.place(Unit::new(machine, members));
        self.change(at, now, 0, |_| ());
        Ok(())
    }
}
