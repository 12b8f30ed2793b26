//! What a CARP host asks for, and what it tells.

use std::net::IpAddr;

use crate::router::Role;
use crate::wire::CarpAdvertisement;

/// What the owner of a [`CarpHost`](crate::carp::CarpHost) is to do, in this order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum CarpAction {
    /// Add every virtual address. Alternates with [`Self::RemoveAddresses`].
    AddAddresses,
    /// Send this.
    Advertise(CarpAdvertisement),
    /// Tell the link where the addresses are, this often for each.
    Announce {
        /// How many, for each address.
        times: u8,
    },
    /// Tell whoever watches that the role changed.
    Notify {
        /// What it was.
        from: Role,
        /// What it is.
        to: Role,
    },
    /// Remove this one address, which the kernel has and this host does not hold.
    RemoveAddress(IpAddr),
    /// Remove every virtual address.
    RemoveAddresses,
    /// Add this one address again, which somebody took away.
    RestoreAddress(IpAddr),
}
