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
use crate::config::{ParameterMatch, VrrpTrackProcess};

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
    let wanted = watched.clone();
    let found = tokio::task::spawn_blocking(move || find(&wanted)).await.unwrap_or_default();
    (judge(watched, found.len()), found)
}

/// What there is now.
pub(super) fn signal(watched: &VrrpTrackProcess) -> Signal {
    judge(watched, find(watched).len())
}

fn judge(watched: &VrrpTrackProcess, count: usize) -> Signal {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    let is_right = count >= watched.quorum && watched.quorum_max.is_none_or(|most| count <= most);
    if is_right { Signal::Up } else { Signal::Down }
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
    use std::time::Duration;

    use super::has_parameters;
    use crate::config::{ParameterMatch, VrrpTrackProcess};

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
                delay: Duration::ZERO,
                weight: 0,
            };
            assert_eq!(has_parameters(&found, &watched), fits, "{parameters:?} {how:?}");
        }
    }
}
