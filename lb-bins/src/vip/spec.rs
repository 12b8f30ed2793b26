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
        let interface = self.interface().to_owned();
        match self {
            Self::Carp(host) => {
                let (id, family) = (host.vhid, host.family());
                Identity { speaks_carp: true, interface, id, family }
            }
            Self::Vrrp(router) => {
                let (id, family) = (router.virtual_router_id, router.family());
                Identity { speaks_carp: false, interface, id, family }
            }
        }
    }
}

/// Who an instance is on the link.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Identity {
    speaks_carp: bool,
    interface: String,
    id: Vrid,
    family: Family,
}
