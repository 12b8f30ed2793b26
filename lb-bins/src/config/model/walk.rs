//! All that a configuration has, wherever it is.

use std::net::IpAddr;

use super::check::Check;
use super::{Account, Command, Config, Notify, Tracks, VirtualServer};

impl Config {
    /// Whether a virtual router brings this address to this host, and takes it away.
    pub fn is_virtual(&self, address: IpAddr) -> bool {
        let routers = self.vrrp_instances.iter();
        let routers = routers.flat_map(|one| one.addresses.iter().chain(&one.excluded_addresses));
        let hosts = self.carp_instances.iter().flat_map(|one| &one.addresses);
        routers.chain(hosts).any(|one| one.address == address)
    }

    /// What each instance, and each announcement, depends on beside interfaces.
    pub fn tracks(&self) -> impl Iterator<Item = &Tracks> {
        let routers = self.vrrp_instances.iter().map(|one| &one.tracks);
        let hosts = self.carp_instances.iter().map(|one| &one.tracks);
        let announcements = self.bgp_announcements.iter().map(|one| &one.tracks);
        routers.chain(hosts).chain(announcements)
    }

    /// Every check, of backends, sorry servers and what virtual routers depend on.
    pub fn checks(&self) -> impl Iterator<Item = &Check> {
        let servers = self.virtual_servers.iter().flat_map(VirtualServer::checks);
        servers.chain(self.vrrp_checks.iter().flat_map(|check| &check.checks))
    }

    /// Every program that may be run.
    pub fn commands(&self) -> impl Iterator<Item = &Command> {
        let checks = self.checks().filter_map(Check::command);
        let scripts = self.vrrp_scripts.iter().map(|script| &script.command);
        let claims = self.vrrp_instances.iter().filter_map(|one| one.claim.as_ref()?.command());
        let readers = self.notify_fifo_script.iter();
        readers
            .chain(checks)
            .chain(self.hooks_of_servers())
            .chain(scripts)
            .chain(claims)
            .chain(self.hooks_of_routers())
    }

    /// Every program that is run to be told of something.
    pub fn hooks(&self) -> impl Iterator<Item = &Command> {
        self.hooks_of_servers().chain(self.hooks_of_routers())
    }

    fn hooks_of_servers(&self) -> impl Iterator<Item = &Command> {
        let servers = self.virtual_servers.iter();
        let servers = servers.flat_map(|one| [&one.on_quorum_up, &one.on_quorum_down]).flatten();
        let backends = self.virtual_servers.iter().flat_map(|server| &server.backends);
        servers.chain(backends.flat_map(|one| [&one.on_up, &one.on_down]).flatten())
    }

    fn hooks_of_routers(&self) -> impl Iterator<Item = &Command> {
        let instances = self.vrrp_instances.iter().map(|one| &one.notify);
        let hosts = self.carp_instances.iter().map(|one| &one.notify);
        let groups = self.vrrp_sync_groups.iter().map(|one| &one.notify);
        instances.chain(hosts).chain(groups).flat_map(Notify::commands)
    }

    /// Has everything that is run run as `user`, unless it is said of itself whose it is; what reads the
    /// pipe is the daemon's, as the pipe is.
    pub(in crate::config) fn run_as(&mut self, user: &Account) {
        let set = |command: &mut Command| {
            command.user.get_or_insert_with(|| user.clone());
        };
        for server in &mut self.virtual_servers {
            let hooks = [&mut server.on_quorum_up, &mut server.on_quorum_down];
            hooks.into_iter().flatten().for_each(set);
            let hooks =
                server.backends.iter_mut().flat_map(|one| [&mut one.on_up, &mut one.on_down]);
            hooks.flatten().for_each(set);
            let backends = server.backends.iter_mut().flat_map(|backend| &mut backend.checks);
            let checks = backends.chain(&mut server.sorry_checks);
            checks.filter_map(Check::command_mut).for_each(set);
        }
        let checks = self.vrrp_checks.iter_mut().flat_map(|check| &mut check.checks);
        checks.filter_map(Check::command_mut).for_each(set);
        self.vrrp_scripts.iter_mut().for_each(|script| set(&mut script.command));
        self.vrrp_instances.iter_mut().filter_map(|one| one.claim.as_mut()).for_each(|claim| {
            claim.command_mut().into_iter().for_each(set);
        });
        let instances = self.vrrp_instances.iter_mut().map(|one| &mut one.notify);
        let hosts = self.carp_instances.iter_mut().map(|one| &mut one.notify);
        let groups = self.vrrp_sync_groups.iter_mut().map(|one| &mut one.notify);
        for notify in instances.chain(hosts).chain(groups) {
            notify.run_as(user);
        }
    }
}

impl VirtualServer {
    /// Every check, of its backends and of its sorry server.
    pub fn checks(&self) -> impl Iterator<Item = &Check> {
        let backends = self.backends.iter().flat_map(|backend| &backend.checks);
        backends.chain(&self.sorry_checks)
    }
}

impl Notify {
    fn commands(&self) -> impl Iterator<Item = &Command> {
        let Self { any, master, backup, fault, stop, deleted, master_rx_lower_pri, .. } = self;
        let own = [any, master, backup, fault, stop, master_rx_lower_pri];
        own.into_iter().filter_map(Option::as_deref).chain(deleted.command())
    }

    /// Has everything run as `user`, unless it is said whose it is.
    pub(in crate::config) fn run_as(&mut self, user: &Account) {
        let user = self.user.get_or_insert_with(|| user.clone());
        let Self { any, master, backup, fault, stop, deleted, master_rx_lower_pri: lower, .. } =
            self;
        let own = [any, master, backup, fault, stop, lower];
        let own = own.into_iter().filter_map(Option::as_deref_mut);
        for command in own.chain(deleted.command_mut()) {
            command.user.get_or_insert_with(|| user.clone());
        }
    }
}
