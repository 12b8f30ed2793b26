//! Whether a backend may go down for what clients alone say of it.

use lb_core::backend::BackendId;
use lb_core::virtual_server::BackendState;
use lb_health::outliers::can_spare;

use super::service::Service;

impl Service {
    /// Takes note whether `backend` went down for what clients met with there, and not for a check of it.
    pub(super) fn note_word_of_clients(&mut self, backend: BackendId, is_down_for_it: bool) {
        if is_down_for_it {
            self.down_by_clients.insert(backend);
        } else {
            self.down_by_clients.remove(&backend);
        }
    }

    /// Whether the others can do without `backend`, which clients fail at. A sorry server has no others. O(n).
    pub(super) fn can_spare(&self, backend: BackendId) -> bool {
        match self.state(backend) {
            Some((BackendState::Up, _)) => {}
            // Who takes no clients is missed by none.
            Some(_) => return true,
            None => return false,
        }
        // Some may have been removed since then.
        let is_down = |id: &&BackendId| matches!(self.state(**id), Some((BackendState::Down, _)));
        let out = self.down_by_clients.iter().filter(is_down).count();
        can_spare(self.machine.strength(), out)
    }
}
