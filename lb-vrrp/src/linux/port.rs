//! What one router has on this host.

use std::net::IpAddr;

use super::claims::Claim;
use super::routes::RouteKey;
use super::{Route, RouteKind, Rule, Settings, VirtualAddress};
use crate::addresses::Family;
use crate::announce::MacAddr;
use crate::channel::{ChannelConfig, Reach};
use crate::wire::{AuthType, PROTOCOL, ah};

/// One router's part of the network.
#[derive(Debug)]
pub(super) struct Port {
    pub(super) channel: ChannelConfig,
    pub(super) settings: Settings,
    /// Whether the routes and rules are there, as far as was asked for.
    pub(super) has_routes: bool,
    /// The rules that are there: the kernel would take one twice, with other priorities.
    pub(super) rules: Vec<Rule>,
    /// That no other process speaks for it, as far as that can be told.
    pub(super) claim: Option<Claim>,
}

impl Port {
    pub(super) const fn new(channel: ChannelConfig, settings: Settings) -> Self {
        Self { channel, settings, has_routes: false, rules: Vec::new(), claim: None }
    }

    pub(super) fn family(&self) -> Family {
        self.channel.addresses.family()
    }

    pub(super) fn protocol(&self) -> u8 {
        match self.channel.authentication.auth_type() {
            AuthType::Ah => ah::PROTOCOL,
            _ => PROTOCOL,
        }
    }

    pub(super) fn group(&self) -> Option<IpAddr> {
        match self.channel.reach {
            Reach::Multicast { group } => Some(group),
            Reach::Unicast { .. } => None,
        }
    }

    /// How an address is added.
    pub(super) fn setting(&self, address: IpAddr) -> VirtualAddress {
        let known = self.settings.addresses.iter().find(|setting| setting.address == address);
        known.cloned().unwrap_or_else(|| VirtualAddress::new(address))
    }

    /// The interface that an address is on.
    pub(super) fn home<'a>(&'a self, address: &'a VirtualAddress) -> &'a str {
        address.dev.as_deref().unwrap_or_else(|| self.own_home())
    }

    /// The interface that addresses are on unless they say otherwise.
    pub(super) fn own_home(&self) -> &str {
        self.settings.virtual_mac.as_deref().unwrap_or(&self.settings.interface)
    }

    /// All addresses that it may hold.
    pub(super) fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.channel.addresses.iter().chain(self.excluded())
    }

    pub(super) fn excluded(&self) -> impl Iterator<Item = IpAddr> {
        let settings = self.settings.addresses.iter().map(|setting| setting.address);
        settings.filter(|address| !self.channel.addresses.iter().any(|known| known == *address))
    }

    pub(super) fn is_virtual(&self, address: IpAddr) -> bool {
        self.addresses().any(|known| known == address)
    }

    /// The interface that a route leaves by: its own, unless it says so or has a router to go to.
    pub(super) fn way<'a>(&'a self, route: &'a Route) -> Option<&'a str> {
        match (&route.dev, route.via) {
            _ if route.kind != RouteKind::Unicast || !route.next_hops.is_empty() => None,
            (Some(dev), _) => Some(dev),
            (None, Some(_)) => None,
            (None, None) => Some(self.own_home()),
        }
    }

    /// Where advertisements come from if there is a virtual MAC address to speak by, and they go to a
    /// group: switches learn from that where it is (RFC 9568 7.3).
    pub(super) fn voice(&self, destination: IpAddr) -> Option<MacAddr> {
        let Settings { virtual_mac, speaks_by_virtual_mac, .. } = &self.settings;
        let is_virtual = virtual_mac.is_some() && *speaks_by_virtual_mac;
        (is_virtual && destination.is_multicast()).then(|| self.mac())
    }

    /// The MAC address of its virtual router.
    pub(super) fn mac(&self) -> MacAddr {
        MacAddr::of_virtual_router(self.family(), self.channel.vrid)
    }

    /// Whether it has that on this interface.
    pub(super) fn has_mac(&self, interface: &str) -> bool {
        self.settings.virtual_mac.as_deref() == Some(interface)
    }

    /// Whether it has a route to there on this host now.
    pub(super) fn leads_to(&self, key: RouteKey) -> bool {
        let mut routes = self.settings.routes.iter();
        self.has_routes && routes.any(|route| RouteKey::of_setting(route) == key)
    }

    /// Whether it has this route on this host now, by the same way.
    pub(super) fn holds_route(&self, route: &Route, way: Option<&str>) -> bool {
        self.has_routes && self.settings.routes.contains(route) && self.way(route) == way
    }

    /// Whether it has a route that may have gone with this interface, or may come with it: of those over
    /// IPv4 the kernel does not tell that they went (`fib_sync_down_dev`). By which interface a route leaves
    /// that names a router alone only the kernel knows.
    pub(super) fn may_lose_routes(&self, interface: &str) -> bool {
        let may_go = |route: &Route| match self.way(route) {
            Some(way) => way == interface,
            None => route.kind == RouteKind::Unicast,
        };
        self.has_routes && self.settings.routes.iter().any(may_go)
    }

    /// The interfaces that matter to it.
    pub(super) fn interfaces(&self) -> impl Iterator<Item = &str> {
        let addresses = self.settings.addresses.iter().filter_map(|setting| setting.dev.as_deref());
        let routes = self.settings.routes.iter().filter_map(|route| route.dev.as_deref());
        let own = [Some(self.settings.interface.as_str()), self.settings.virtual_mac.as_deref()];
        let tracked = self.settings.tracked.iter().map(|(name, _)| name.as_str());
        own.into_iter().flatten().chain(addresses).chain(routes).chain(tracked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addresses::AddressList;
    use crate::values::Vrid;

    /// keepalived with `vmac_xmit_base` listens on the interface, where the kernel shows it nothing from
    /// its own macvlan's address (`macvlan_handle_frame`).
    #[test]
    fn it_speaks_by_the_virtual_mac_address_unless_told_not_to() {
        let address = "192.0.2.1".parse::<IpAddr>().unwrap();
        let addresses = AddressList::new([address]).unwrap();
        let channel = ChannelConfig::new(Vrid::new(51).unwrap(), address, addresses).unwrap();
        let group = "224.0.0.18".parse::<IpAddr>().unwrap();
        let voice = |change: fn(&mut Settings), destination| {
            let mut settings = Settings::new("eth0");
            change(&mut settings);
            Port::new(channel.clone(), settings).voice(destination)
        };
        let with = |settings: &mut Settings| settings.virtual_mac = Some("vip0".to_owned());
        let base = |settings: &mut Settings| {
            settings.virtual_mac = Some("vip0".to_owned());
            settings.speaks_by_virtual_mac = false;
        };
        assert!(voice(with, group).is_some());
        assert_eq!(voice(with, address), None, "unicast");
        assert_eq!(voice(base, group), None);
        assert_eq!(voice(|_| {}, group), None);
    }
}
