//! Whether enough lives behind a virtual server in this process.

use tokio::sync::watch;
use tracing::{info, warn};

use super::Reporter;
use crate::notify::{Quorums, Shortfall};

/// Watches the quorum of a virtual server until this is dropped, and reports when it is gained or lost,
/// and how many live as long as it is lost.
pub(super) async fn watch(name: String, mut quorums: watch::Receiver<Quorums>, reporter: Reporter) {
    let mut known = None;
    loop {
        let now = quorums.borrow_and_update().get(&name).copied();
        if let Some(now) = now
            && let before = known.replace(now)
            && before != Some(now)
        {
            let is_news = before.is_none_or(|before| before.is_none() != now.is_none());
            let reason = now.map(|Shortfall { alive, configured }| {
                format!("{alive} of {configured} backends live")
            });
            match &reason {
                Some(reason) if is_news => {
                    warn!(virtual_server = name, up = false, error = reason, "tracked quorum");
                }
                None => info!(virtual_server = name, up = true, "tracked quorum"),
                Some(_) => {}
            }
            reporter.report_health(reason).await;
        }
        if quorums.changed().await.is_err() {
            return;
        }
    }
}
