//! An instance of either protocol, as the configuration has it.

use std::net::IpAddr;

use lb_vrrp::{Family, Vrid};

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

    /// Who it is on the link, whatever it is called: with the same it can become another one in its
    /// state.
    pub(super) fn identity(&self) -> Identity {
        match self {
            Self::Carp(host) => (true, host.interface.clone(), host.vhid, host.family()),
            Self::Vrrp(router) => {
                let vrid = router.virtual_router_id;
                (false, router.interface.clone(), vrid, router.family())
            }
        }
    }
}

/// Whether it speaks CARP, where, as which virtual router, and of which family.
pub(super) type Identity = (bool, String, Vrid, Family);
