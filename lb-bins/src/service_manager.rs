//! What the service manager is told (`sd_notify(3)`): that the daemon is ready, reloads or stops, and as
//! often as it wants to hear it, that it lives.

use sd_notify::NotifyState;
use tokio::time::sleep;
use tracing::{debug, warn};

use crate::process::Governed;

/// Clients are served; also when a reload is over, whatever came of it.
pub(crate) fn tell_ready() {
    tell(&[NotifyState::Ready]);
}

/// Another configuration is read.
pub(crate) fn tell_reloading() {
    // Without the time, systemd takes no `notify-reload` for what its own signal has led to.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => debug!(%error, "the service manager is not told of a reload"),
    }
}

/// It is about to end.
pub(crate) fn tell_stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Says again and again that `governed` does what it is there for, as long as that is so, if the service
/// manager starts anew what it does not hear of (`WatchdogSec`): until the task is aborted.
pub(crate) async fn reassure<G: Governed>(governed: G) {
    let Some(within) = sd_notify::watchdog_enabled() else { return };
    // Half of the time would do; one that is late does no harm.
    let pause = within / 3;
    let mut was_well = true;
    loop {
        let is_well = governed.is_well().await;
        if is_well {
            tell(&[NotifyState::Watchdog]);
        } else if was_well {
            warn!("nothing is checked any more: the service manager is not told that this lives");
        }
        was_well = is_well;
        sleep(pause).await;
    }
}

/// Without a service manager, nobody.
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        debug!(%error, "the service manager is not told");
    }
}
