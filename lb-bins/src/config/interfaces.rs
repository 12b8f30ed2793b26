//! Which interfaces that a configuration names are on this host.

use std::collections::HashSet;

use rustix::io::Errno;
use rustix::net::netdevice::name_to_index;
use rustix::net::{AddressFamily, SocketType, socket};

use super::draft::Draft;
use super::mistakes::Mistakes;
use super::model::Config;
use super::problem::VrrpProblem;
use super::source::Spanned;
use super::validate::elements;

/// Whether there is an interface of that name.
pub(super) type HasInterface<'h> = &'h dyn Fn(&str) -> bool;

/// Whether this host has an interface of that name, now. What cannot be asked is taken to be there.
pub(crate) fn has_interface(name: &str) -> bool {
    let Ok(any) = socket(AddressFamily::UNIX, SocketType::DGRAM, None) else { return true };
    !matches!(name_to_index(any, name), Err(Errno::NODEV))
}

/// Warns of interfaces of virtual routers that are not there, once of each: it may come later, or be that of
/// another host.
pub(super) fn judge(
    draft: &Draft,
    config: &Config,
    has_interface: HasInterface<'_>,
    mistakes: &mut Mistakes,
) {
    if mistakes.has_errors() {
        return;
    }
    // Virtual routers bring those.
    let routers = config.vrrp_instances.iter().filter_map(|one| one.virtual_mac.as_deref());
    let hosts = config.carp_instances.iter().filter_map(|one| one.virtual_mac.as_deref());
    let mut seen: HashSet<_> = routers.chain(hosts).collect();
    let routers = elements(&draft.vrrp_instances).iter();
    let routers = routers.map(|one| (&one.value.interface, &one.value.track_interfaces));
    let hosts = elements(&draft.carp_instances).iter();
    let hosts = hosts.map(|one| (&one.value.interface, &one.value.track_interfaces));
    let named = routers.chain(hosts).flat_map(|(own, tracked)| {
        let tracked = elements(tracked).iter().map(|track| &track.value.name);
        let tracked = tracked.map(|name| ("track_interfaces", name));
        std::iter::once(("interface", own)).chain(tracked)
    });
    for (key, Spanned { value, span }) in named.filter_map(|(key, one)| Some((key, one.given()?))) {
        if seen.insert(value) && !has_interface(value) {
            let problem = VrrpProblem::NoInterface { key, interface: value.clone() };
            mistakes.warning(*span, problem.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_host_has_its_loopback_and_not_every_name() {
        assert!(has_interface("lo"));
        assert!(!has_interface("no-such-one") && !has_interface("too-long-for-an-interface"));
    }
}
