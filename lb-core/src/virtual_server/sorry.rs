//! The sorry server, and whether it is its turn.

use std::sync::Arc;

use super::SorryMode;
use crate::backend::Backend;
use crate::quorum::{Quorum, Strength};

/// The sorry server that is configured.
pub(super) struct Sorry<E> {
    pub(super) backend: Arc<Backend<E>>,
    pub(super) mode: SorryMode,
    /// Whether its checks fail, if it has any.
    pub(super) is_down: bool,
}

impl<E> Sorry<E> {
    pub(super) fn shared(&self) -> Arc<Backend<E>> {
        Arc::clone(&self.backend)
    }

    /// Whether it takes over from backends of this strength, by which the quorum was judged.
    pub(super) fn takes_over(&self, strength: Strength, quorum: &Quorum) -> bool {
        let is_asked = match self.mode {
            SorryMode::NoneAlive => strength.weight == 0,
            SorryMode::QuorumLost => !quorum.is_up(),
        };
        is_asked && !self.is_down
    }
}
