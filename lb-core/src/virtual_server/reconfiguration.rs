//! What a new configuration makes of what is there.

use std::collections::HashMap;
use std::sync::Arc;

use super::slot::{Slot, Terms};
use super::{BackendConfig, Policy, SorryServer, VirtualServer, VirtualServerConfig};
use crate::backend::{Backend, BackendId, Limits};
use crate::pool::Census;

impl<E> VirtualServer<E> {
    /// The same for a configuration that contradicts nothing but, where backends are still to be found,
    /// a quorum that these cannot reach; at the time that was told last.
    pub(crate) fn take_over(&mut self, config: VirtualServerConfig<E>) {
        let configured = config.backends.iter().map(|backend| (backend.weight, backend.priority));
        self.census = Census::of(configured);
        let mut known: HashMap<String, Slot<E>> =
            self.slots.drain(..).map(|slot| (slot.backend.name().to_owned(), slot)).collect();
        let former_sorry = self.sorry.take().map(|(backend, _)| backend);
        let departed = std::mem::take(&mut self.departed);
        let gone_named = |name: &str| {
            let mut gone = former_sorry.iter().chain(&departed);
            gone.find(|backend| backend.name() == name)
        };
        // Whoever is there from the beginning is not new to its share.
        let later = self.published.generation() > 0;
        for backend in config.backends {
            let (name, endpoint, terms) = Terms::split(backend);
            let slot = match known.remove(&*name) {
                Some(slot) => slot.reconfigured(endpoint, &terms),
                None => {
                    let backend = self.known_or_new(gone_named(&name), &name, endpoint);
                    Slot::new(backend, &terms, later)
                }
            };
            self.slots.push(slot);
        }
        if let Some(SorryServer { backend: BackendConfig { name, endpoint, .. }, mode }) =
            config.sorry
        {
            // A sorry server that is also a backend is one and the same.
            let twin = self.slots.iter().find(|slot| slot.backend.name() == &*name);
            let former = || known.get(&*name).map(|slot| &slot.backend).or(gone_named(&name));
            let sorry = match twin {
                Some(twin) => Arc::clone(&twin.backend),
                None => {
                    // Whatever it was held to before, here it has to take them all.
                    let sorry = self.known_or_new(former(), &name, endpoint);
                    sorry.set_limits(Limits::NONE);
                    Arc::new(sorry)
                }
            };
            // Of whoever was not the sorry server before nothing is known.
            let stays = former_sorry.as_ref().is_some_and(|former| former.id() == sorry.id());
            self.sorry_is_down &= stays;
            self.sorry = Some((sorry, mode));
        }
        let removed = known.into_values().map(|slot| slot.backend);
        let gone = removed.chain(former_sorry).chain(departed);
        let stays = |id| self.backend_ids().any(|stays| stays == id);
        self.departed = gone.filter(|gone| gone.load().active() > 0 && !stays(gone.id())).collect();
        let ids = self.slots.iter().map(|slot| slot.backend.id());
        self.places = ids.zip(0..).collect();
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
        self.unsettled = true;
        self.replaced = true;
    }

    /// Everybody who is configured, the sorry server included.
    fn backend_ids(&self) -> impl Iterator<Item = BackendId> {
        let sorry = self.sorry.iter().map(|(sorry, _)| sorry);
        self.slots.iter().map(|slot| &slot.backend).chain(sorry).map(|backend| backend.id())
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
