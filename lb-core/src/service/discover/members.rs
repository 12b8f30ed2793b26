//! Who is there, by the discovery's keys and by our names.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::Arc;

use crate::virtual_server::{BackendConfig, ConfigError, VirtualServerConfig};

/// Who is there: keys are the discovery's identities, names are ours.
pub(super) struct Members<Key, E> {
    names: HashMap<Key, Arc<str>>,
    /// By name, so that the order does not depend on who was found first.
    backends: BTreeMap<Arc<str>, BackendConfig<E>>,
}

impl<Key: Eq + Hash, E> Members<Key, E> {
    /// Adds a backend, or replaces what was found under the same key.
    pub(super) fn insert(
        &mut self,
        key: Key,
        backend: BackendConfig<E>,
    ) -> Result<(), ConfigError> {
        let name = Arc::clone(&backend.name);
        if self.names.get(&key) != Some(&name) {
            if self.backends.contains_key(&name) {
                return Err(ConfigError::DuplicateBackend { name: name.to_string() });
            }
            if let Some(former) = self.names.insert(key, Arc::clone(&name)) {
                self.backends.remove(&former);
            }
        }
        self.backends.insert(name, backend);
        Ok(())
    }

    /// Whether there was one.
    pub(super) fn remove(&mut self, key: &Key) -> bool {
        self.names.remove(key).and_then(|name| self.backends.remove(&name)).is_some()
    }

    /// The template with these backends.
    pub(super) fn config(&self, template: &VirtualServerConfig<E>) -> VirtualServerConfig<E>
    where
        E: Clone,
    {
        VirtualServerConfig {
            backends: self.backends.values().cloned().collect(),
            ..template.clone()
        }
    }
}

// Derived, it would ask both parameters for defaults.
impl<Key, E> Default for Members<Key, E> {
    fn default() -> Self {
        Self { names: HashMap::new(), backends: BTreeMap::new() }
    }
}
