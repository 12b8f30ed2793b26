//! What a new configuration makes of what is there.

use std::sync::Arc;

use super::former::Former;
use super::slot::{Slot, Terms};
use super::sorry::Sorry;
use super::{BackendConfig, Due, Policy, SorryServer, VirtualServer, VirtualServerConfig};
use crate::backend::{Backend, BackendId, Limits};
use crate::pool::Census;

impl<E> VirtualServer<E> {
    /// The same for a configuration that contradicts nothing but, where backends are still to be found,
    /// a quorum that these cannot reach; at the time that was told last. O(n): everybody is looked up
    /// by name or by identity.
    pub(crate) fn take_over(&mut self, config: VirtualServerConfig<E>) {
        let configured = config.backends.iter().map(|backend| (backend.weight, backend.priority));
        self.census = Census::of(configured);
        let former_sorry = self.sorry.take();
        let departed = std::mem::take(&mut self.departed);
        let others = departed.into_iter().chain(former_sorry.iter().map(Sorry::shared));
        let mut former = Former::of(self.slots.drain(..), others);
        // Whoever is there from the beginning is not new to its share.
        let later = self.published.generation() > 0;
        for backend in config.backends {
            let (name, endpoint, terms) = Terms::split(backend);
            let slot = match former.take_slot(&name) {
                Some(slot) => slot.reconfigured(endpoint, &terms),
                None => {
                    let backend = self.known_or_new(former.backend(&name), &name, endpoint);
                    Slot::new(backend, &terms, later)
                }
            };
            slot.hold_to_limits();
            self.slots.push(slot);
        }
        if let Some(SorryServer { backend: BackendConfig { name, endpoint, .. }, mode }) =
            config.sorry
        {
            // A sorry server that is also a backend is one and the same.
            let twin = self.slots.iter().find(|slot| slot.backend.name() == &*name);
            let backend = match twin {
                Some(twin) => Arc::clone(&twin.backend),
                None => {
                    // Whatever it was held to before, here it has to take them all.
                    let sorry = self.known_or_new(former.backend(&name), &name, endpoint);
                    sorry.set_limits(Limits::NONE);
                    Arc::new(sorry)
                }
            };
            // Of whoever was not the sorry server before nothing is known.
            let same = former_sorry.filter(|former| former.backend.id() == backend.id());
            let is_down = same.is_some_and(|former| former.is_down);
            self.sorry = Some(Sorry { backend, mode, is_down });
        }
        let ids = self.slots.iter().map(|slot| slot.backend.id());
        self.positions = ids.zip(0..).collect();
        self.departed = former.departed(|id| self.is_configured(id)).collect();
        self.quorum.set_rule(config.quorum);
        self.slots.iter_mut().for_each(|slot| slot.last(config.slow_start));
        self.policy = Policy {
            slow_start: config.slow_start,
            panic_below: config.panic_below,
            draining_clients: config.draining_clients,
            drain_timeout: config.drain_timeout,
            when_full: config.when_full,
            when_down: config.when_down,
        };
        self.due = Due::Publishing;
    }

    /// Whether it is a backend, or the sorry server. O(1).
    fn is_configured(&self, id: BackendId) -> bool {
        self.positions.contains_key(&id) || self.sorry().is_some_and(|sorry| sorry.id() == id)
    }

    /// The backend that was there before, with its endpoint replaced, or a new one.
    fn known_or_new(
        &mut self,
        former: Option<&Arc<Backend<E>>>,
        name: &Arc<str>,
        endpoint: E,
    ) -> Backend<E> {
        match former {
            Some(former) => former.with_endpoint(endpoint),
            None => {
                let id = BackendId::new(self.next_id);
                self.next_id += 1;
                Backend::new(id, Arc::clone(name), endpoint)
            }
        }
    }
}
