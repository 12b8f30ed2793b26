//! Processes: that one has ended is known at once, that one has started within a second.

use std::fs;
use std::os::fd::OwnedFd;
use std::time::Duration;

use futures::future::select_all;
use lb_vrrp::Signal;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::{sleep, timeout};
use tracing::info;

use super::Reporter;
use crate::config::VrrpTrackProcess;

/// How often new ones are looked for.
const LOOK: Duration = Duration::from_secs(1);
/// The kernel keeps no more of a program's name (`TASK_COMM_LEN`).
const COMM: usize = 15;

/// Watches the processes until this is dropped, and reports when there are enough, or not any more.
pub(super) async fn watch(watched: VrrpTrackProcess, reporter: Reporter) {
    let mut known = None;
    loop {
        let (signal, found) = look(&watched).await;
        if known != Some(signal) {
            if known.is_some() && !watched.delay.is_zero() {
                sleep(watched.delay).await;
                if look(&watched).await.0 != signal {
                    continue;
                }
            }
            known = Some(signal);
            info!(process = watched.name, up = signal == Signal::Up, "tracked process");
            reporter.report(signal).await;
        }
        let ends = found.into_iter().filter_map(|pid| end_of(pid).ok());
        let ends: Vec<_> = ends.collect();
        if ends.is_empty() {
            sleep(LOOK).await;
        } else {
            let any = select_all(ends.iter().map(|end| Box::pin(end.readable())));
            // Whichever it is, all are looked for again.
            let _ = timeout(LOOK, any).await.map(drop);
        }
    }
}

async fn look(watched: &VrrpTrackProcess) -> (Signal, Vec<Pid>) {
    let wanted = watched.process.clone();
    let found = tokio::task::spawn_blocking(move || find(&wanted)).await.unwrap_or_default();
    (judge(watched, found.len()), found)
}

/// What there is now.
pub(super) fn signal(watched: &VrrpTrackProcess) -> Signal {
    judge(watched, find(&watched.process).len())
}

fn judge(watched: &VrrpTrackProcess, count: usize) -> Signal {
    let is_enough = u32::try_from(count).unwrap_or(u32::MAX) >= watched.quorum;
    if is_enough { Signal::Up } else { Signal::Down }
}

/// All processes that run this program, but not those that have ended and wait to be reaped.
fn find(wanted: &str) -> Vec<Pid> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &i32| runs(*pid, wanted)).filter_map(Pid::from_raw).collect()
}

fn runs(pid: i32, wanted: &str) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    // Threads of the kernel and zombies have none.
    let Some(first) = line.split(|octet| *octet == 0).next().filter(|first| !first.is_empty())
    else {
        return false;
    };
    let first = String::from_utf8_lossy(first);
    if wanted.contains('/') {
        return first == wanted;
    }
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let short = wanted.get(..COMM).unwrap_or(wanted);
    first.rsplit('/').next() == Some(wanted) || name.trim_end() == short
}

/// Readable when the process has ended (`pidfd_open(2)`).
#[allow(deprecated, reason = "the successor is unsafe, for what cannot happen to an `OwnedFd`")]
fn end_of(pid: Pid) -> std::io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(pidfd_open(pid, PidfdFlags::empty())?, Interest::READABLE)
}
