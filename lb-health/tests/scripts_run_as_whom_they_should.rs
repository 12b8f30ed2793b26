//! Whom programs of checks run as; and that who may not change that blames no target.
#![cfg(all(feature = "script", feature = "worker"))]
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use std::time::Duration;

use lb_health::checkers::{Credentials, Script, ScriptSlots, Workers};
use lb_health::{CheckError, Checker, Failure, Report, Target};
use rustix::process::{getgid, getuid};
use tower::ServiceExt;

const NOBODY: Credentials = Credentials { uid: 65534, gid: 65533 };
/// Tells who it is by failing.
const WHO: &str = "echo $(id -u) $(id -g) $(id -G); exit 1";

fn script(credentials: Credentials) -> Script {
    Script::new("/bin/sh", ["-c", WHO], ScriptSlots::default()).with_credentials(credentials)
}

async fn run<C: Checker>(checker: C) -> Result<Report, Failure> {
    let target = Target::new("192.0.2.1:80".parse().unwrap(), Duration::from_secs(10));
    checker.oneshot(target).await.map_err(Into::into)
}

#[tokio::test]
async fn a_script_is_somebody_else_or_is_not_run() {
    let failure = run(script(NOBODY)).await.unwrap_err();
    if !getuid().is_root() {
        assert!(failure.is_local(), "{failure}");
        return assert_eq!(failure.to_string(), "cannot become the user of the script here");
    }
    let CheckError::ScriptExit { code: 1, output } = &failure.error else { panic!("{failure}") };
    assert_eq!(output.as_str(), "65534 65533 65533");
}

/// Whoever is that already needs no privilege for it.
#[tokio::test]
async fn anybody_may_be_who_they_are() {
    let own = Credentials { uid: getuid().as_raw(), gid: getgid().as_raw() };
    let failure = run(script(own)).await.unwrap_err();
    let CheckError::ScriptExit { code: 1, output } = &failure.error else { panic!("{failure}") };
    let told = format!("{} {} ", own.uid, own.gid);
    assert!(output.as_str().starts_with(&told), "{failure}");
}

/// One command as two users is two programs.
#[tokio::test]
async fn a_worker_is_somebody_else_or_is_not_run() {
    let workers = Workers::default();
    let who = r#"while read tag rest; do echo "$tag down $(id -u) $(id -g) $(id -G)"; done"#;
    let theirs = workers.worker_as(NOBODY, "/bin/sh", ["-c", who]);
    let ours = workers.worker("/bin/sh", ["-c", who]);
    assert!(!theirs.is_same(&ours));
    assert!(theirs.is_same(&workers.worker_as(NOBODY, "/bin/sh", ["-c", who])));
    let failure = run(theirs).await.unwrap_err();
    if getuid().is_root() {
        assert!(failure.to_string().ends_with(r#""65534 65533 65533""#), "{failure}");
    } else {
        assert_eq!(failure.to_string(), "cannot become the user of the script here");
    }
    let failure = run(ours).await.unwrap_err();
    let told = format!("{} {} ", getuid().as_raw(), getgid().as_raw());
    assert!(failure.to_string().contains(&told), "{failure}");
}
