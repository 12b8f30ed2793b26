//! What of root's power is kept: as much as it takes to speak VRRP and to move addresses.

use rustix::io::Errno;
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};

use crate::config::Config;

/// Why this process cannot do its work.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PrivilegeError {
    /// It has too little.
    #[error("it takes CAP_NET_ADMIN and CAP_NET_RAW: run it as root, or as a user that has both")]
    Missing,
    /// It has more, and cannot give it up.
    #[error("cannot drop privileges: {0}")]
    Kept(Errno),
}

/// Keeps `CAP_NET_ADMIN` and `CAP_NET_RAW`, for virtual servers `CAP_NET_BIND_SERVICE` as well, and drops
/// the rest, for this thread and all that it starts later: so it comes first. What root's scripts may do is not changed.
///
/// # Errors
/// [`PrivilegeError`].
pub fn drop_privileges(config: &Config) -> Result<(), PrivilegeError> {
    let needed = CapabilitySet::NET_ADMIN | CapabilitySet::NET_RAW;
    let now = capabilities(None).map_err(PrivilegeError::Kept)?;
    if !now.permitted.contains(needed) {
        return Err(PrivilegeError::Missing);
    }
    let kept = match config.virtual_servers.is_empty() {
        true => needed,
        // If it has it: there are ports that take nothing.
        false => needed | (now.permitted & CapabilitySet::NET_BIND_SERVICE),
    };
    let inheritable = now.inheritable & kept;
    let kept = CapabilitySets { effective: kept, permitted: kept, inheritable };
    set_capabilities(None, kept).map_err(PrivilegeError::Kept)
}
