//! Processes: that one has ended is known at once; that one has started as well, or within a second where
//! the kernel does not tell.

use std::fs;
use std::future::pending;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use futures::future::select_all;
use lb_vrrp::Signal;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::{sleep, sleep_until};
use tracing::{debug, info, warn};

use super::Reporter;
use super::births::Births;
use super::lasting::Lasting;
use crate::config::{ParameterMatch, VrrpTrackProcess};

/// How often new ones are looked for.
const LOOK: Duration = Duration::from_secs(1);
/// The same where the kernel tells of them.
const SELDOM: Duration = Duration::from_secs(60);
/// The kernel keeps no more of a program's name (`TASK_COMM_LEN`).
const COMM: usize = 15;

/// Watches the processes until this is dropped, and reports when there are enough, or not any more.
pub(super) async fn watch(watched: VrrpTrackProcess, reporter: Reporter) {
    let mut lasting = Lasting::default();
    // Before the first look, so that nothing happens in between.
    let births = Births::listen();
    if let Err(error) = &births {
        debug!(process = watched.name, %error, "tracked process is looked for every second");
    }
    loop {
        let found = look(&watched).await;
        if let Some(signal) = lasting.look(&watched, Instant::now(), &found) {
            let process = &*watched.name;
            let reason = (signal != Signal::Up).then(|| shortfall(&watched, found.len()));
            match &reason {
                Some(error) => warn!(process, up = false, error, "tracked process"),
                None => info!(process, up = true, "tracked process"),
            }
            reporter.report_health(reason).await;
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
                Ok(births) => birth(births, &watched).await,
                Err(_) => pending().await,
            }
        };
        let longest = if births.is_ok() { SELDOM } else { LOOK };
        let lasted = async {
            match lasting.due(&watched) {
                Some(due) => sleep_until(due.into()).await,
                None => pending().await,
            }
        };
        // Whatever it is, all are looked for again.
        tokio::select! {
            () = ended => {}
            () = begun => {}
            () = lasted => {}
            () = sleep(longest) => {}
        }
    }
}

/// Resolves when a process that may be wanted has begun.
async fn birth(births: &Births, wanted: &VrrpTrackProcess) {
    loop {
        let Ok(pid) = births.next().await else {
            // Some were lost; if it is worse than that, this is as good as looking every second.
            return sleep(LOOK).await;
        };
        let wanted = wanted.clone();
        // A process that exits may hold up whoever looks at it.
        if tokio::task::spawn_blocking(move || runs(pid, &wanted)).await.unwrap_or(true) {
            return;
        }
    }
}

async fn look(watched: &VrrpTrackProcess) -> Vec<Pid> {
    let wanted = watched.clone();
    tokio::task::spawn_blocking(move || find(&wanted)).await.unwrap_or_default()
}

/// What there is now.
pub(super) fn signal(watched: &VrrpTrackProcess) -> Signal {
    judge(watched, find(watched).len())
}

pub(super) fn judge(watched: &VrrpTrackProcess, count: usize) -> Signal {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    let is_right = count >= watched.quorum && watched.quorum_max.is_none_or(|most| count <= most);
    if is_right { Signal::Up } else { Signal::Down }
}

/// Why so many are not right.
fn shortfall(watched: &VrrpTrackProcess, count: usize) -> String {
    let least = watched.quorum;
    match watched.quorum_max {
        Some(most) => format!("{count} run, and {least} to {most} should"),
        None => format!("{count} run, and {least} should"),
    }
}

/// All processes that run this program, but not those that have ended and wait to be reaped.
fn find(wanted: &VrrpTrackProcess) -> Vec<Pid> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &i32| runs(*pid, wanted)).filter_map(Pid::from_raw).collect()
}

fn runs(pid: i32, wanted: &VrrpTrackProcess) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    // Threads of the kernel and zombies have none.
    let mut words = line.strip_suffix(b"\0").unwrap_or(&line).split(|octet| *octet == 0);
    let Some(first) = words.next().filter(|first| !first.is_empty()) else { return false };
    let program = wanted.process.as_str();
    let first = String::from_utf8_lossy(first);
    if !has_parameters(&words.collect::<Vec<_>>(), wanted) {
        return false;
    }
    if program.contains('/') {
        return first == program;
    }
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let short = program.get(..COMM).unwrap_or(program);
    first.rsplit('/').next() == Some(program) || name.trim_end() == short
}

/// Whether the words behind a program are those that are wanted.
fn has_parameters(found: &[&[u8]], wanted: &VrrpTrackProcess) -> bool {
    let Some(parameters) = &wanted.parameters else { return true };
    let wanted_ones: Vec<&[u8]> = parameters.iter().map(String::as_bytes).collect();
    match (wanted.parameter_match, wanted_ones.split_last()) {
        (ParameterMatch::Partial, _) => found.starts_with(&wanted_ones),
        (ParameterMatch::Initial, Some((last, others))) => {
            let at = found.get(others.len());
            found.starts_with(others) && at.is_some_and(|found| found.starts_with(last))
        }
        // Nothing is what is wanted, whichever way it is compared.
        _ => found == wanted_ones,
    }
}

/// Readable when the process has ended (`pidfd_open(2)`).
#[allow(deprecated, reason = "the successor is unsafe, for what cannot happen to an `OwnedFd`")]
fn end_of(pid: Pid) -> std::io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(pidfd_open(pid, PidfdFlags::empty())?, Interest::READABLE)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use tokio::sync::mpsc;
    use tokio::time::timeout;

    use super::*;
    use crate::vip::watch::{Sighting, Thing};

    /// One process of this program, without a delay.
    fn any_of(program: &Path) -> VrrpTrackProcess {
        VrrpTrackProcess {
            name: "it".into(),
            process: program.display().to_string(),
            parameters: None,
            parameter_match: ParameterMatch::Exact,
            quorum: 1,
            quorum_max: None,
            up_delay: Duration::ZERO,
            down_delay: Duration::ZERO,
            weight: 0,
        }
    }

    /// `up_delay` holds up the one, `down_delay` the other.
    #[tokio::test]
    async fn each_way_has_a_delay_of_its_own() {
        const NEVER: Duration = Duration::from_secs(3600);
        const SHORT: Duration = Duration::from_millis(300);
        let program = std::env::temp_dir().join(format!("delayed-{}", std::process::id()));
        std::os::unix::fs::symlink("/bin/sleep", &program).unwrap();
        let start = || Command::new(&program).arg("99").spawn().unwrap();
        for (up_delay, down_delay) in
            [(Duration::ZERO, SHORT), (SHORT, Duration::ZERO), (NEVER, Duration::ZERO)]
        {
            let watched = VrrpTrackProcess { up_delay, down_delay, ..any_of(&program) };
            let (sender, mut seen) = mpsc::channel(1);
            let mut child = start();
            let reporter = Reporter { thing: Thing::Process("it".into()), sender };
            let watch = tokio::spawn(watch(watched, reporter));
            let mut next = async || {
                timeout(Duration::from_secs(20), seen.recv()).await.unwrap().unwrap().signal
            };
            // What is there at first is no change.
            assert_eq!(next().await, Signal::Up);
            let begun = std::time::Instant::now();
            child.kill().unwrap();
            child.wait().unwrap();
            assert_eq!(next().await, Signal::Down);
            assert!(begun.elapsed() >= down_delay);
            let begun = std::time::Instant::now();
            let mut child = start();
            if up_delay < NEVER {
                assert_eq!(next().await, Signal::Up);
                assert!(begun.elapsed() >= up_delay);
            }
            child.kill().unwrap();
            child.wait().unwrap();
            watch.abort();
        }
        std::fs::remove_file(&program).unwrap();
    }

    /// Within a second where the kernel tells nothing, and at once where it does.
    #[tokio::test]
    async fn what_begins_and_what_ends_is_seen() {
        let program = std::env::temp_dir().join(format!("tracked-{}", std::process::id()));
        // No copy: another test that forks meanwhile would keep it open for writing (`ETXTBSY`).
        std::os::unix::fs::symlink("/bin/sleep", &program).unwrap();
        let watched = any_of(&program);
        let (sender, mut seen) = mpsc::channel(1);
        let reporter = Reporter { thing: Thing::Process("it".into()), sender };
        let is_told = Births::listen().is_ok();
        let watch = tokio::spawn(watch(watched, reporter));
        let limit = Duration::from_secs(10);
        let next = async |seen: &mut mpsc::Receiver<Sighting>| {
            timeout(limit, seen.recv()).await.unwrap().unwrap().signal
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

    #[test]
    fn parameters_are_compared_as_keepalived_does() {
        use ParameterMatch::{Exact, Initial, Partial};
        let found: [&[u8]; 2] = [b"-f", b"/etc/proxy.cfg"];
        for (parameters, how, fits) in [
            (None, Exact, true),
            (Some(vec!["-f", "/etc/proxy.cfg"]), Exact, true),
            (Some(vec!["-f"]), Exact, false),
            (Some(vec![]), Exact, false),
            (Some(vec!["-f"]), Partial, true),
            (Some(vec!["-"]), Partial, false),
            (Some(vec!["-f", "/etc"]), Partial, false),
            (Some(vec!["-f", "/etc"]), Initial, true),
            (Some(vec!["-f", "/usr"]), Initial, false),
            (Some(vec!["-f", "/etc/proxy.cfg", ""]), Initial, false),
            (Some(vec![]), Initial, false),
        ] {
            let to_owned = |all: Vec<&str>| all.into_iter().map(str::to_owned).collect();
            let watched = VrrpTrackProcess {
                name: "proxy".into(),
                process: "proxy".into(),
                parameters: parameters.clone().map(to_owned),
                parameter_match: how,
                quorum: 1,
                quorum_max: None,
                up_delay: Duration::ZERO,
                down_delay: Duration::ZERO,
                weight: 0,
            };
            assert_eq!(has_parameters(&found, &watched), fits, "{parameters:?} {how:?}");
        }
    }
}
