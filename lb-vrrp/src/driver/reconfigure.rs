//! Another configuration for who is there already: in place, without a flap.

use super::member::Done;
use super::unit::{Happening, Machine, Unit};
use super::voice::Voice;
use super::{Driver, Network, RouterId, now};
use crate::carp::{CarpChannel, CarpConfig};
use crate::channel::ChannelConfig;
use crate::config::Config;
use crate::sync_group::{GroupError, SyncGroup};
use crate::tracking::FaultCause;

impl<N: Network> Driver<N> {
    /// Takes another configuration without leaving its state. Of the addresses, only those that came
    /// or went are touched. An unspecified source stays what it was. Of a CARP host see
    /// [`Self::reconfigure_carp`].
    ///
    /// # Errors
    /// [`GroupError::Weighted`] of a member of a group; then nothing has changed.
    pub fn reconfigure(
        &mut self,
        id: RouterId,
        mut router: Config,
        mut channel: ChannelConfig,
        settings: N::Settings,
    ) -> Result<(), GroupError> {
        let Some((at, place)) = self.find(id) else { return Ok(()) };
        let Some(Unit { machine, members, .. }) = &mut self.units[at] else { return Ok(()) };
        if let Machine::Group(_) = machine {
            SyncGroup::check(place, &router)?;
        }
        let (now, member) = (now(), &mut members[place]);
        let before = member.addresses(&self.network);
        let Voice::Vrrp(voice) = &mut member.voice else { return Ok(()) };
        let source = voice.config().source;
        if channel.source.is_unspecified() && channel.source(source).is_ok() {
            router.source = source;
        }
        member.debouncer.keep(|id| router.trackers.contains(id));
        let reconfigured = self.network.reconfigure(id, &channel, settings);
        voice.reconfigure(channel);
        let holds = machine.holds_addresses(place);
        let done = member.take_over(now, &before, reconfigured, holds, &mut self.network);
        self.change(at, now, place, |machine| {
            machine.reconfigure(now, router);
            if done == Done::NotAdded {
                machine.handle_fault(now, FaultCause::Addresses, true);
            }
        });
        Ok(())
    }

    /// The same for a CARP host, that the network knows by `channel`.
    pub fn reconfigure_carp(
        &mut self,
        id: RouterId,
        mut host: CarpConfig,
        carp: CarpChannel,
        channel: &ChannelConfig,
        settings: N::Settings,
    ) {
        let Some((at, place)) = self.find(id) else { return };
        let Some(Unit { machine, members, .. }) = &mut self.units[at] else { return };
        let Machine::Carp(machine) = machine else { return };
        let (now, member) = (now(), &mut members[place]);
        let before = member.addresses(&self.network);
        member.debouncer.keep(|id| host.trackers.contains(id));
        let reconfigured = self.network.reconfigure(id, channel, settings);
        member.voice.reconfigure_carp(carp, channel.addresses().clone());
        let holds = machine.holds_addresses();
        let done = member.take_over(now, &before, reconfigured, holds, &mut self.network);
        host.set_source(member.voice.source());
        machine.reconfigure(now, host);
        if done == Done::NotAdded {
            self.happen(id, Happening::Fault(FaultCause::Addresses, true));
        }
        self.settle(now, at);
    }
}
