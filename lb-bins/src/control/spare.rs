//! Whether a backend may go down for what clients alone say of it.

use lb_core::backend::BackendId;
use lb_core::virtual_server::BackendState;
use lb_health::outliers::can_spare;

use super::service::Service;

impl Service {
    /// Whether the others can do without `backend`, which clients fail at. A sorry server has no others. Who of them is
    /// out on the word of clients alone is `is_overruled`. O(n).
    pub(super) fn can_spare(
        &self,
        backend: BackendId,
        is_overruled: impl Fn(BackendId) -> bool,
    ) -> bool {
        match self.state(backend) {
            Some((BackendState::Up, _)) => {}
            // Who takes no clients is missed by none.
            Some(_) => return true,
            None => return false,
        }
        // Who is out by an order is not out for them.
        let is_out = |id: &BackendId| {
            matches!(self.state(*id), Some((BackendState::Down, _))) && is_overruled(*id)
        };
        let out = self.machine.backends().map(|one| one.id).filter(is_out).count();
        can_spare(self.machine.strength(), out)
    }
}
