//! What schedulers that hash look at.

use lb_core::Algorithm;

/// What a scheduler that hashes the source looks at.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum HashKey {
    /// The client's address, or of IPv6 its network of 64 bits; or the network that
    /// [another granularity](super::VirtualServer::hash_granularity) says.
    #[default]
    Source,
    /// The same and the client's port: the connections of one client spread.
    SourcePort,
}

/// Whether `scheduler` looks at where a client connects to, instead of where it comes from.
pub const fn is_keyed_by_destination(scheduler: Algorithm) -> bool {
    matches!(scheduler, Algorithm::Dh | Algorithm::Lblc | Algorithm::Lblcr)
}

/// Whether `scheduler` looks at where a client comes from, so that a [`HashKey`] matters.
pub(in crate::config) fn hashes_the_source(scheduler: Algorithm) -> bool {
    !is_keyed_by_destination(scheduler) && scheduler.scheduler().is_keyed()
}
