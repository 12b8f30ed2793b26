//! Sync groups, as one configuration after the other has them.

use lb_vrrp::Role;
use lb_vrrp::driver::RouterId;
use tracing::info;

use super::instance::Group;
use super::keeper::Keeper;
use super::notices::{Happening, Notice, Subject, Teller};
use crate::config::{Config, VrrpSyncGroup};

impl Keeper {
    /// The members of groups, as far as they are there.
    pub(super) fn ids_of_groups<'a>(
        &self,
        groups: impl IntoIterator<Item = &'a VrrpSyncGroup>,
    ) -> Vec<Vec<RouterId>> {
        let id = |name: &String| self.instances.get(name).map(|instance| instance.id);
        groups.into_iter().map(|group| group.members.iter().filter_map(id).collect()).collect()
    }

    pub(super) fn regroup(&mut self, config: &Config) {
        let mut before = std::mem::take(&mut self.groups);
        for group in &config.vrrp_sync_groups {
            let known = before.iter().position(|known| known.config.name == group.name);
            let known = known.map(|at| before.swap_remove(at));
            let (role, teller) =
                known.map_or((Role::Initialize, Teller::default()), |g| (g.role, g.teller));
            self.groups.push(Group { config: group.clone(), role, teller });
        }
        for mut gone in before {
            // Of a group that never was anything, nobody was told.
            if gone.role != Role::Initialize {
                let (name, notify) = (gone.config.name.as_str(), &gone.config.notify);
                let happening = Happening::gone(true, notify);
                info!(group = name, to = happening.word(), "removed");
                let notice = Notice { subject: Subject::Group, name, happening, priority: 0 };
                gone.teller.tell(notice, notify, &mut self.notifier);
            }
            tokio::spawn(gone.teller.finish());
        }
    }
}
