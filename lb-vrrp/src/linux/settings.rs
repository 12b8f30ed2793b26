//! What a virtual router brings to its host.

use std::net::IpAddr;

use super::routing::{Route, Rule, whole};
use crate::tracking::TrackerId;

/// What a router has on this host, beside its channel.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Settings {
    /// The interface that it speaks on.
    pub interface: String,
    /// How its addresses are added. Those of the channel that are not among them are added as
    /// [`VirtualAddress::new`] has them; those that are not of the channel come and go with them, but
    /// are not advertised.
    pub addresses: Vec<VirtualAddress>,
    /// Routes that come after the addresses, and go before them.
    pub routes: Vec<Route>,
    /// Rules that come after the routes, and go before them.
    pub rules: Vec<Rule>,
    /// The name of an interface with the virtual router's MAC address
    /// ([`MacAddr::of_virtual_router`]), which is made on top of the other one and has the
    /// addresses. Default: none, they are on the interface itself.
    ///
    /// [`MacAddr::of_virtual_router`]: crate::MacAddr::of_virtual_router
    pub virtual_mac: Option<String>,
    /// Whether advertisements to a group come from that MAC address, so that switches learn where it is
    /// (RFC 9568 7.3), and not from the interface's own. Default: they do. Who listens on the interface
    /// under its own one, as keepalived with `vmac_xmit_base`, hears nothing that has its virtual MAC address.
    pub speaks_by_virtual_mac: bool,
    /// Whether packets for the addresses are taken when they are here: [`Config::accepts`], which a
    /// driver does not act on. Default: they are. If not, they are dropped by rules of `nft`, a program
    /// that must be there.
    ///
    /// [`Config::accepts`]: crate::Config::accepts
    pub accept: bool,
    /// Whether its own interface without a carrier is a fault. Default: yes.
    pub tracks_interface: bool,
    /// Other interfaces that it tracks: up as long as they have a carrier.
    pub tracked: Vec<(String, TrackerId)>,
}

impl Settings {
    /// One on this interface, with the addresses of its channel and nothing else.
    pub fn new(interface: impl Into<String>) -> Self {
        Self {
            interface: interface.into(),
            addresses: Vec::new(),
            routes: Vec::new(),
            rules: Vec::new(),
            virtual_mac: None,
            speaks_by_virtual_mac: true,
            tracks_interface: true,
            accept: true,
            tracked: Vec::new(),
        }
    }

    /// With an address that is added in another way, or not advertised.
    #[must_use]
    pub fn address(mut self, address: VirtualAddress) -> Self {
        self.addresses.push(address);
        self
    }
}

/// How far an address or a route is good for (`rt_scope`).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Scope {
    /// Anywhere. The default.
    #[default]
    Global,
    /// On the link alone.
    Link,
    /// On this host alone.
    Host,
}

/// How a virtual address is added to the interface.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct VirtualAddress {
    /// The address.
    pub address: IpAddr,
    /// The length of its prefix. Default: that of the address, 32 or 128.
    pub prefix: u8,
    /// The interface that it is added to. Default: that of the virtual router.
    pub dev: Option<String>,
    /// What `ip address` calls it: the interface's name, a colon and more. IPv4 only. Default: the
    /// interface's name.
    pub label: Option<String>,
    /// How far it is good for. Default: anywhere.
    pub scope: Scope,
    /// Whether nothing is sent from it unless it is asked for (`deprecated`, RFC 4862 5.5.4). IPv6 only.
    /// Default: if it is alone in its prefix, as with keepalived.
    pub deprecated: Option<bool>,
}

impl VirtualAddress {
    /// One that is alone in its prefix.
    pub const fn new(address: IpAddr) -> Self {
        let prefix = whole(&address);
        Self { address, prefix, dev: None, label: None, scope: Scope::Global, deprecated: None }
    }

    /// With others in its prefix.
    #[must_use]
    pub fn prefix(self, prefix: u8) -> Self {
        Self { prefix, ..self }
    }

    /// On another interface.
    #[must_use]
    pub fn dev(self, dev: impl Into<String>) -> Self {
        Self { dev: Some(dev.into()), ..self }
    }

    /// With a label.
    #[must_use]
    pub fn label(self, label: impl Into<String>) -> Self {
        Self { label: Some(label.into()), ..self }
    }

    /// Not to be sent from, or to be.
    #[must_use]
    pub fn deprecated(self, deprecated: bool) -> Self {
        Self { deprecated: Some(deprecated), ..self }
    }

    pub(super) fn is_deprecated(&self) -> bool {
        let is_alone = self.prefix == whole(&self.address);
        self.address.is_ipv6() && self.deprecated.unwrap_or(is_alone)
    }

    /// With another scope.
    #[must_use]
    pub fn scope(self, scope: Scope) -> Self {
        Self { scope, ..self }
    }
}
