//! Whether enough lives behind a virtual server in this process.

use lb_vrrp::Signal;
use tokio::sync::watch;
use tracing::info;

use super::Reporter;
use crate::notify::Quorums;

/// Watches the quorum of a virtual server until this is dropped, and reports when it is gained or lost.
pub(super) async fn watch(name: String, mut quorums: watch::Receiver<Quorums>, reporter: Reporter) {
    let mut known = None;
    loop {
        let now = quorums.borrow_and_update().get(&name).copied();
        if let Some(is_up) = now
            && known.replace(is_up) != Some(is_up)
        {
            info!(virtual_server = name, up = is_up, "tracked quorum");
            reporter.report(if is_up { Signal::Up } else { Signal::Down }).await;
        }
        if quorums.changed().await.is_err() {
            return;
        }
    }
}
