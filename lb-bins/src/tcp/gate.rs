//! Where clients wait while it is not known yet who lives.

use tokio::sync::watch;

/// The gate of one virtual server. Closed at a start, and when a new configuration has replaced
/// everybody who was known to live: soon somebody may be there.
#[derive(Debug)]
pub struct Gate(watch::Sender<bool>);

impl Gate {
    /// A closed one.
    pub fn new() -> Self {
        Self(watch::Sender::new(true))
    }

    /// Lets clients wait for whom there is no backend.
    pub fn close(&self) {
        self.0.send_replace(true);
    }

    /// Lets all of them go on.
    pub fn open(&self) {
        self.0.send_replace(false);
    }

    pub(super) fn is_closed(&self) -> bool {
        *self.0.borrow()
    }

    /// Resolves once it is open.
    pub(super) async fn opened(&self) {
        // The sender is here: it cannot be gone.
        let _ = self.0.subscribe().wait_for(|closed| !closed).await;
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}
