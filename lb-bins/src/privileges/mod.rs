//! Who this process is, and what it may do: no more than its work takes.

mod account;

use std::ffi::CString;
use std::io;
use std::sync::OnceLock;

use nix::unistd::{Gid, Uid, initgroups, setgroups, setresgid, setresuid};
use rustix::io::Errno;
use rustix::process::getuid;
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, configure_capability_in_ambient_set,
    remove_capability_from_bounding_set, set_capabilities, set_keep_capabilities, set_no_new_privs,
};

use tracing::warn;

use crate::config::check::CheckKind;
use crate::config::{Account, Check, Config, Daemon};

pub(crate) use account::own_name;
pub use account::{AccountError, Identity};

/// Why this process cannot do its work, or does too much.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrivilegeError {
    /// It should be somebody who is not there.
    #[error("user: {0}")]
    Account(#[from] AccountError),
    /// It has more, and cannot give it up.
    #[error("cannot drop privileges: {0}")]
    Kept(Errno),
    /// It has too little.
    #[error("it takes CAP_NET_ADMIN and CAP_NET_RAW: run it as root, or as a user that has both")]
    Missing,
    /// It should be somebody else, and cannot be.
    #[error("cannot become user `{account}`: {source}")]
    Stays {
        /// Whom it should be.
        account: Account,
        /// What the system says.
        #[source]
        source: nix::Error,
    },
}

impl From<Errno> for PrivilegeError {
    fn from(errno: Errno) -> Self {
        Self::Kept(errno)
    }
}

/// Becomes the `user` of the configuration, if there is one, and drops every capability but these, for
/// this thread and all that it starts later: so it comes first.
///
/// | | vip-keeper | tcp-lb with a `user` |
/// |---|---|---|
/// | `CAP_NET_ADMIN`, `CAP_NET_RAW` | needed | for pings and marks the latter, if it has it |
/// | `CAP_NET_BIND_SERVICE` | with virtual servers, if it has it | if it has it |
/// | `CAP_SETUID`, `CAP_SETGID`, `CAP_KILL` | for scripts of other users, if it is root | - |
///
/// tcp-lb without a `user` stays as it is. Where nothing is ever run, nothing can be gained by that either:
/// the bounding set is cut, and `no_new_privs` set. Scripts of root, and those that use `sudo(8)`, are
/// what they always were.
///
/// # Errors
/// [`PrivilegeError`].
pub fn drop_privileges(daemon: Daemon, config: &Config) -> Result<(), PrivilegeError> {
    let needed = match daemon {
        Daemon::TcpLb if config.user.is_none() => {
            let _ = START.set(Start { user: None, is_closed: false });
            return Ok(());
        }
        Daemon::TcpLb => CapabilitySet::empty(),
        Daemon::VipKeeper => CapabilitySet::NET_ADMIN | CapabilitySet::NET_RAW,
    };
    let now = capabilities(None)?;
    if !now.permitted.contains(needed) {
        return Err(PrivilegeError::Missing);
    }
    let kept = needed | (now.permitted & useful(config));
    let is_closed = config.commands().next().is_none();
    if is_closed {
        close_the_door(now, kept)?;
    }
    let _ = START.set(Start { user: config.user.clone(), is_closed });
    if let Some(account) = &config.user {
        become_user(account)?;
    }
    // Whoever is root has these on exec anyway, whoever is not has none without.
    let handed_on = match (daemon, getuid().is_root()) {
        (Daemon::VipKeeper, false) => CapabilitySet::NET_ADMIN,
        _ => CapabilitySet::empty(),
    };
    let inheritable = (now.inheritable & kept) | handed_on;
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable };
    set_capabilities(None, sets)?;
    if !handed_on.is_empty() && !is_ambient(handed_on) {
        // For programs of the system that set up the network, such as nft.
        configure_capability_in_ambient_set(handed_on, true)?;
        let _ = AMBIENT.set(handed_on);
    }
    Ok(())
}

/// What the start decided for good.
static START: OnceLock<Start> = OnceLock::new();

#[derive(Debug)]
struct Start {
    user: Option<Account>,
    is_closed: bool,
}

/// Warns of what another configuration asks for in vain.
pub(crate) fn warn_of_start(config: &Config) {
    let Some(Start { user, is_closed }) = START.get() else { return };
    if *user != config.user {
        warn!("another `user` takes a restart");
    }
    if *is_closed && config.commands().next().is_some() {
        warn!("what is run may do no more than this process, until a restart");
    }
}

/// What this configuration can use beyond what is needed.
fn useful(config: &Config) -> CapabilitySet {
    let mut useful = CapabilitySet::empty();
    if !config.virtual_servers.is_empty() {
        useful |= CapabilitySet::NET_BIND_SERVICE;
    }
    // Since Linux 5.17 it is enough to set a mark as well (`sk_setsockopt`).
    let is_raw = |check: &Check| matches!(check.kind, CheckKind::Ping(_)) || check.mark.is_some();
    if config.checks().any(is_raw) {
        useful |= CapabilitySet::NET_RAW;
    }
    if config.user.is_none()
        && getuid().is_root()
        && config.commands().any(|command| command.user.is_some())
    {
        useful |= CapabilitySet::SETUID | CapabilitySet::SETGID | CapabilitySet::KILL;
    }
    useful
}

/// Nothing that is run from now on has more than what is `kept`.
fn close_the_door(now: CapabilitySets, kept: CapabilitySet) -> Result<(), Errno> {
    if now.effective.contains(CapabilitySet::SETPCAP) {
        let others = CapabilitySet::all().difference(kept);
        for capability in others.iter() {
            match remove_capability_from_bounding_set(capability) {
                // Of a newer kernel than this one.
                Ok(()) | Err(Errno::INVAL) => {}
                Err(error) => return Err(error),
            }
        }
    }
    set_no_new_privs(true)
}

fn become_user(account: &Account) -> Result<(), PrivilegeError> {
    let Identity { uid, gid, name } = Identity::of(account)?;
    if Uid::current().as_raw() == uid && Gid::current().as_raw() == gid {
        return Ok(());
    }
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    let groups = || match name.and_then(|name| CString::new(name).ok()) {
        Some(name) => initgroups(&name, gid),
        None => setgroups(&[gid]),
    };
    set_keep_capabilities(true)?;
    groups()
        .and_then(|()| setresgid(gid, gid, gid))
        .and_then(|()| setresuid(uid, uid, uid))
        .map_err(|source| PrivilegeError::Stays { account: account.clone(), source })
}

/// What to say beside a failure, if root is not what it was: it has given up the right to do everything
/// everywhere (`CAP_DAC_OVERRIDE`).
pub(crate) fn hint(error: &io::Error) -> &'static str {
    let is_root = error.kind() == io::ErrorKind::PermissionDenied && getuid().is_root();
    let has = |sets: CapabilitySets| sets.effective.contains(CapabilitySet::DAC_OVERRIDE);
    if is_root && !capabilities(None).is_ok_and(has) {
        "; this process has given up root's right to directories of others: set `user` to whose it is, or \
         take one of root's"
    } else {
        ""
    }
}

/// What was handed on by [`drop_privileges`], and not by whoever started this process.
static AMBIENT: OnceLock<CapabilitySet> = OnceLock::new();

fn is_ambient(capability: CapabilitySet) -> bool {
    rustix::thread::capability_is_in_ambient_set(capability).unwrap_or(false)
}

/// Has the calling thread, and all that it starts, hand on nothing: programs of the system that need
/// more than others are started elsewhere.
pub(crate) fn hand_on_nothing() {
    if let Some(capability) = AMBIENT.get() {
        // Nobody is refused to give up what is handed on.
        let _ = configure_capability_in_ambient_set(*capability, false);
    }
}
