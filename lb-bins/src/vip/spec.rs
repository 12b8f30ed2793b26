//! An instance of either protocol, as the configuration has it.

use std::net::IpAddr;

use crate::config::{CarpInstance, Config, Notify, VrrpInstance};

/// One instance.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Spec {
    Carp(Box<CarpInstance>),
    Vrrp(Box<VrrpInstance>),
}

impl Spec {
    /// All of a configuration.
    pub(super) fn all(config: &Config) -> impl Iterator<Item = Self> {
        let routers = config.vrrp_instances.iter().cloned();
        let hosts = config.carp_instances.iter().cloned();
        routers
            .map(|one| Self::Vrrp(Box::new(one)))
            .chain(hosts.map(|one| Self::Carp(Box::new(one))))
    }

    pub(super) fn name(&self) -> &str {
        match self {
            Self::Carp(instance) => &instance.name,
            Self::Vrrp(instance) => &instance.name,
        }
    }

    pub(super) fn interface(&self) -> &str {
        match self {
            Self::Carp(instance) => &instance.interface,
            Self::Vrrp(instance) => &instance.interface,
        }
    }

    pub(super) fn notify(&self) -> &Notify {
        match self {
            Self::Carp(instance) => &instance.notify,
            Self::Vrrp(instance) => &instance.notify,
        }
    }

    /// All addresses that come and go with it.
    pub(super) fn addresses(&self) -> Vec<IpAddr> {
        let (own, excluded) = match self {
            Self::Carp(instance) => (&instance.addresses[..], &[][..]),
            Self::Vrrp(instance) => (&instance.addresses[..], &instance.excluded_addresses[..]),
        };
        own.iter().chain(excluded).map(|one| one.address).collect()
    }

    /// Whether it can become another one in its state. Another interface, identifier or family is
    /// another virtual router; CARP has no way to.
    pub(super) fn can_become(&self, other: &Self) -> bool {
        let (Self::Vrrp(old), Self::Vrrp(new)) = (self, other) else { return false };
        old.interface == new.interface
            && old.virtual_router_id == new.virtual_router_id
            && old.family() == new.family()
    }
}
