//! Whoever was there before a new configuration.

use std::collections::HashMap;
use std::sync::Arc;

use super::slot::Slot;
use crate::backend::{Backend, BackendId};

/// Whoever was there before, by name: a name has one identity for as long as it is known.
pub(super) struct Former<E> {
    slots: HashMap<String, Slot<E>>,
    /// The sorry server, and whoever was removed while flows were there.
    others: HashMap<String, Arc<Backend<E>>>,
}

impl<E> Former<E> {
    pub(super) fn of(
        slots: impl IntoIterator<Item = Slot<E>>,
        others: impl IntoIterator<Item = Arc<Backend<E>>>,
    ) -> Self {
        let slots = slots.into_iter().map(|slot| (slot.backend.name().to_owned(), slot));
        Self { slots: slots.collect(), others: others.into_iter().map(named).collect() }
    }

    /// What was said of the backend of this name, which is configured again. O(1).
    pub(super) fn take_slot(&mut self, name: &str) -> Option<Slot<E>> {
        self.slots.remove(name)
    }

    /// Whoever has this name, besides those that are configured again. O(1).
    pub(super) fn backend(&self, name: &str) -> Option<&Arc<Backend<E>>> {
        self.slots.get(name).map(|slot| &slot.backend).or_else(|| self.others.get(name))
    }

    /// Those that are not here any more, and still have flows: whoever comes back under the name is
    /// the same, with the same limits to keep. O(n).
    pub(super) fn departed(
        self,
        is_here: impl Fn(BackendId) -> bool,
    ) -> impl Iterator<Item = Arc<Backend<E>>> {
        let Self { slots, mut others } = self;
        others.extend(slots.into_values().map(|slot| named(slot.backend)));
        let gone = others.into_values();
        gone.filter(move |gone| gone.load().active() > 0 && !is_here(gone.id()))
    }
}

fn named<E>(backend: Arc<Backend<E>>) -> (String, Arc<Backend<E>>) {
    (backend.name().to_owned(), backend)
}
