//! Who holds which address here, since none takes away what another one holds; and what is there
//! though nobody holds it like that.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::driver::RouterId;

/// Which routers were asked to add which addresses, and where. Two of them may have the same one for
/// a while: the old and the new router of a configuration that changed.
#[derive(Debug, Default)]
pub(super) struct Holders(HashMap<IpAddr, Vec<Holder>>);

#[derive(Debug)]
struct Holder {
    id: RouterId,
    interface: Box<str>,
}

impl Holders {
    /// It holds the address on this interface.
    pub(super) fn hold(&mut self, id: RouterId, address: IpAddr, interface: &str) {
        let holders = self.0.entry(address).or_default();
        if !holders.iter().any(|one| one.id == id && *one.interface == *interface) {
            holders.push(Holder { id, interface: interface.into() });
        }
    }

    /// It does not, or no more.
    pub(super) fn release(&mut self, id: RouterId, address: IpAddr, interface: &str) {
        if let Some(holders) = self.0.get_mut(&address) {
            holders.retain(|one| one.id != id || *one.interface != *interface);
            if holders.is_empty() {
                self.0.remove(&address);
            }
        }
    }

    /// It is gone.
    pub(super) fn forget(&mut self, id: RouterId) {
        self.0.retain(|_, holders| {
            holders.retain(|one| one.id != id);
            !holders.is_empty()
        });
    }

    /// Everybody who holds the address on this interface.
    pub(super) fn of<'a>(
        &'a self,
        address: IpAddr,
        interface: &'a str,
    ) -> impl Iterator<Item = RouterId> + 'a {
        let holders = self.0.get(&address).into_iter().flatten();
        holders.filter(move |one| *one.interface == *interface).map(|one| one.id)
    }
}

/// The prefixes of virtual addresses that are there in another way than a router has them, by the index
/// of the interface and the address.
#[derive(Debug, Default)]
pub(super) struct Strays(HashMap<(u32, IpAddr), Vec<u8>>);

impl Strays {
    pub(super) fn add(&mut self, index: u32, address: IpAddr, prefix: u8) {
        let prefixes = self.0.entry((index, address)).or_default();
        if !prefixes.contains(&prefix) {
            prefixes.push(prefix);
        }
    }

    pub(super) fn remove(&mut self, index: u32, address: IpAddr, prefix: u8) {
        if let Some(prefixes) = self.0.get_mut(&(index, address)) {
            prefixes.retain(|known| *known != prefix);
            if prefixes.is_empty() {
                self.0.remove(&(index, address));
            }
        }
    }

    /// Whether an address is there in any other way.
    pub(super) fn has(&self, index: u32, address: IpAddr) -> bool {
        self.0.contains_key(&(index, address))
    }

    /// Those that an address is there by, which are forgotten.
    pub(super) fn take(&mut self, index: u32, address: IpAddr) -> Vec<u8> {
        self.0.remove(&(index, address)).unwrap_or_default()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: RouterId = RouterId::new(1);
    const NEW: RouterId = RouterId::new(2);

    fn of(holders: &Holders, interface: &str) -> Vec<RouterId> {
        holders.of(address(), interface).collect()
    }

    fn address() -> IpAddr {
        [10, 0, 0, 1].into()
    }

    #[test]
    fn an_address_is_held_until_the_last_one_releases_it() {
        let mut holders = Holders::default();
        holders.hold(OLD, address(), "eth0");
        holders.hold(OLD, address(), "eth0");
        holders.hold(NEW, address(), "eth0");
        assert_eq!(of(&holders, "eth0"), [OLD, NEW]);
        holders.release(OLD, address(), "eth0");
        assert_eq!(of(&holders, "eth0"), [NEW]);
        holders.release(OLD, address(), "eth0");
        holders.release(NEW, address(), "eth0");
        assert!(of(&holders, "eth0").is_empty() && holders.0.is_empty());
    }

    /// Link-local addresses may be the same on every link.
    #[test]
    fn another_interface_is_another_place() {
        let mut holders = Holders::default();
        holders.hold(OLD, address(), "eth0");
        holders.hold(OLD, address(), "eth1");
        holders.release(OLD, address(), "eth0");
        assert_eq!(of(&holders, "eth1"), [OLD]);
        holders.forget(OLD);
        assert!(of(&holders, "eth1").is_empty());
    }
}
