//! Processes: that one has ended is known at once; that one has started as well, or within a second where
//! the kernel does not tell.

use std::fs;
use std::future::pending;
use std::os::fd::OwnedFd;
use std::time::Duration;

use futures::future::select_all;
use lb_vrrp::Signal;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::sleep;
use tracing::{debug, info};

use super::Reporter;
use super::births::Births;
use crate::config::VrrpTrackProcess;

/// How often new ones are looked for.
const LOOK: Duration = Duration::from_secs(1);
/// The same where the kernel tells of them.
const SELDOM: Duration = Duration::from_secs(60);
/// The kernel keeps no more of a program's name (`TASK_COMM_LEN`).
const COMM: usize = 15;

/// Watches the processes until this is dropped, and reports when there are enough, or not any more.
pub(super) async fn watch(watched: VrrpTrackProcess, reporter: Reporter) {
    let mut known = None;
    // Before the first look, so that nothing happens in between.
    let births = Births::listen();
    if let Err(error) = &births {
        debug!(process = watched.name, %error, "tracked process is looked for every second");
    }
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
        let ended = async {
            match ends.is_empty() {
                true => pending().await,
                false => drop(select_all(ends.iter().map(|end| Box::pin(end.readable()))).await),
            }
        };
        let begun = async {
            match &births {
                Ok(births) => birth(births, &watched.process).await,
                Err(_) => pending().await,
            }
        };
        let longest = if births.is_ok() { SELDOM } else { LOOK };
        // Whatever it is, all are looked for again.
        tokio::select! {
            () = ended => {}
            () = begun => {}
            () = sleep(longest) => {}
        }
    }
}

/// Resolves when a process that may be wanted has begun.
async fn birth(births: &Births, wanted: &str) {
    loop {
        let Ok(pid) = births.next().await else {
            // Some were lost; if it is worse than that, this is as good as looking every second.
            return sleep(LOOK).await;
        };
        let wanted = wanted.to_owned();
        // A process that exits may hold up whoever looks at it.
        if tokio::task::spawn_blocking(move || runs(pid, &wanted)).await.unwrap_or(true) {
            return;
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

#[cfg(test)]
mod tests {
    use std::process::Command;

    use tokio::sync::mpsc;
    use tokio::time::timeout;

    use super::*;
    use crate::vip::watch::Thing;

    /// Within a second where the kernel tells nothing, and at once where it does.
    #[tokio::test]
    async fn what_begins_and_what_ends_is_seen() {
        let program = std::env::temp_dir().join(format!("tracked-{}", std::process::id()));
        std::fs::copy("/bin/sleep", &program).unwrap();
        let watched = VrrpTrackProcess {
            name: "it".into(),
            process: program.display().to_string(),
            quorum: 1,
            delay: Duration::ZERO,
            weight: 0,
        };
        let (sender, mut seen) = mpsc::channel(1);
        let reporter = Reporter { thing: Thing::Process("it".into()), sender };
        let is_told = Births::listen().is_ok();
        let watch = tokio::spawn(watch(watched, reporter));
        let limit = Duration::from_secs(10);
        let next = async |seen: &mut mpsc::Receiver<(Thing, Signal)>| {
            timeout(limit, seen.recv()).await.unwrap().unwrap().1
        };
        assert_eq!(next(&mut seen).await, Signal::Down);
        let mut child = Command::new(&program).arg("99").spawn().unwrap();
        // Less than `SELDOM` proves that it was told.
        assert!(!is_told || limit < SELDOM);
        assert_eq!(next(&mut seen).await, Signal::Up);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(next(&mut seen).await, Signal::Down);
        watch.abort();
        std::fs::remove_file(&program).unwrap();
    }
}
