//! What the service manager is told (`sd_notify(3)`): that the daemon is ready, reloads or stops, and as
//! often as it wants to hear it, that it lives.
//!
//! It may have no time to hear that, and whoever tells it something is kept until it has: so a thread of its
//! own does.

use std::sync::OnceLock;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use crate::process::{Governed, stop_hurrying};

/// For so long it is waited for a service manager to hear something, before what it is told of goes on.
const PATIENCE: Duration = Duration::from_millis(100);
/// What the service manager has not heard yet; more is not kept.
const WAITING: usize = 16;

/// Clients are served; also when a reload is over, whatever came of it.
pub(crate) async fn tell_ready() {
    tell_in_time(vec![NotifyState::Ready]).await;
}

/// Another configuration is read.
pub(crate) async fn tell_reloading() {
    // Without the time, systemd takes no `notify-reload` for what its own signal has led to.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell_in_time(vec![NotifyState::Reloading, now]).await,
        Err(error) => debug!(%error, "the service manager is not told of a reload"),
    }
}

/// It is about to end.
pub(crate) async fn tell_stopping() {
    tell_in_time(vec![NotifyState::Stopping]).await;
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
            // However long that takes: signs of life that wait are of no use when they are heard.
            let _ = tell(vec![NotifyState::Watchdog]).await;
        } else if was_well {
            warn!("nothing is checked any more: the service manager is not told that this lives");
        }
        was_well = is_well;
        sleep(pause).await;
    }
}

type States = Vec<NotifyState<'static>>;
/// What is to be told, and who waits until it was heard.
type Words = (States, oneshot::Sender<()>);

async fn tell_in_time(states: States) {
    // It is heard later, then.
    let _ = timeout(PATIENCE, tell(states)).await;
}

/// One after the other; resolves when it was heard, or will not be.
fn tell(states: States) -> oneshot::Receiver<()> {
    static TELLER: OnceLock<Option<SyncSender<Words>>> = OnceLock::new();
    let (done, told) = oneshot::channel();
    if let Some(teller) = TELLER.get_or_init(teller)
        && let Err(error) = teller.try_send((states, done))
    {
        debug!(%error, "the service manager is not told");
    }
    told
}

/// A thread that tells the service manager; without one, none.
fn teller() -> Option<SyncSender<Words>> {
    std::env::var_os("NOTIFY_SOCKET")?;
    let (teller, words) = sync_channel::<Words>(WAITING);
    let started = thread::Builder::new().name("sd_notify".to_owned()).spawn(move || {
        stop_hurrying();
        for (states, done) in words {
            if let Err(error) = sd_notify::notify(&states) {
                debug!(%error, "the service manager is not told");
            }
            // Whoever does not wait any more does not need it.
            let _ = done.send(());
        }
    });
    match started {
        Ok(_) => Some(teller),
        Err(error) => {
            warn!(%error, "the service manager is told nothing");
            None
        }
    }
}
