//! The script checker with real processes.
#![cfg(all(feature = "script", target_os = "linux"))]
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

mod support;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use lb_core::Weight;
use lb_health::checkers::{Script, ScriptSlots};
use lb_health::{CheckError, Report, Target};
use tokio::time::sleep;
use tower::{Service, ServiceExt};

use self::support::eventually;

fn target(millis: u64) -> Target {
    Target::new("[2001:db8::1]:8080".parse().unwrap(), Duration::from_millis(millis))
}

fn shell(script: &str) -> Script {
    Script::new("/bin/sh", ["-c", script], ScriptSlots::default())
}

async fn run(script: &str) -> Result<Report, CheckError> {
    shell(script).oneshot(target(5_000)).await
}

/// A file that is in nobody's way.
fn scratch() -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("lb-health-{}-{number}", std::process::id()))
}

/// The process ids a script has written to `file`, once there are `count`.
async fn ids(file: &PathBuf, count: usize) -> Vec<String> {
    let text = || std::fs::read_to_string(file).unwrap_or_default();
    let all = || text().ends_with('\n') && text().lines().count() == count;
    eventually("the script has written its process ids", all).await;
    text().lines().map(String::from).collect()
}

/// Whether no process of `ids` is there any more, not even as a zombie of ours. (An orphan is its
/// new parent's to reap.)
fn gone(ids: &[String]) -> bool {
    ids.iter().all(|id| match std::fs::read_to_string(format!("/proc/{id}/stat")) {
        Err(_) => true,
        Ok(stat) => {
            let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
            fields[0] == "Z" && fields[1] != std::process::id().to_string()
        }
    })
}

async fn assert_gone(ids: &[String]) {
    eventually("all of it is gone", || gone(ids)).await;
}

#[tokio::test]
async fn exit_codes_mean_what_keepalived_says() {
    assert_eq!(run("exit 0").await.unwrap().weight, None);
    let codes = [(1, None), (2, Some(0)), (42, Some(40)), (255, Some(253))];
    for (code, weight) in codes {
        let script = format!("exit {code}");
        let error = run(&script).await.unwrap_err();
        assert!(matches!(error, CheckError::ScriptExit { code: c, .. } if c == code), "{error}");

        let dynamic = shell(&script).with_dynamic_weight().oneshot(target(5_000)).await;
        assert_eq!(dynamic.ok().and_then(|report| report.weight), weight.map(Weight::new));
    }
    let zero = shell("exit 0").with_dynamic_weight().oneshot(target(5_000)).await;
    assert_eq!(zero.unwrap().weight, None);
}

#[tokio::test]
async fn a_signal_is_its_own_cause() {
    let error = run("kill -SEGV $$").await.unwrap_err();
    assert!(matches!(error, CheckError::ScriptKilled { signal: 11, .. }), "{error}");
}

#[tokio::test]
async fn what_cannot_be_executed_is_our_own_fault() {
    let plain = scratch();
    std::fs::write(&plain, "not a program").unwrap();
    for program in [PathBuf::from("/does/not/exist"), PathBuf::from("/"), plain.clone()] {
        let script = Script::new(&program, [""; 0], ScriptSlots::default());
        let error = script.oneshot(target(5_000)).await.unwrap_err();
        assert_eq!((error.cause(), error.is_local()), ("script-not-found", true), "{program:?}");
    }
    std::fs::remove_file(plain).unwrap();
}

#[tokio::test]
async fn the_environment_names_the_backend_and_there_is_no_input() {
    let script = "read line && exit 9; test $BACKEND_ADDRESS/$BACKEND_PORT = 2001:db8::1/8080";
    assert!(run(script).await.is_ok());
}

#[tokio::test]
async fn arguments_are_not_read_by_a_shell() {
    let script = "test \"$0\" = 'a b; exit 9'";
    let script = Script::new("/bin/sh", ["-c", script, "a b; exit 9"], ScriptSlots::default());
    assert!(script.oneshot(target(5_000)).await.is_ok());
}

#[tokio::test]
async fn the_error_shows_how_the_output_begins() {
    let error = run("echo out; echo why >&2; exit 3").await.unwrap_err();
    assert_eq!(error.to_string(), "the script exited with 3: \"why\"");
    let error = run("echo out; exit 3").await.unwrap_err();
    assert_eq!(error.to_string(), "the script exited with 3: \"out\"");
    assert_eq!(run("exit 3").await.unwrap_err().to_string(), "the script exited with 3");
}

#[tokio::test]
async fn a_flood_of_output_neither_blocks_nor_fills_memory() {
    for stream in [1, 2] {
        let error = run(&format!("yes flood | head -c 20000000 >&{stream}; exit 3")).await;
        let Err(CheckError::ScriptExit { code: 3, output }) = error else { panic!("{error:?}") };
        assert!(output.as_str().len() <= 200 && output.as_str().starts_with("flood"));
    }
}

#[tokio::test]
async fn a_script_that_floods_for_ever_is_ended() {
    let file = scratch();
    let script = format!("echo $$ > {}; exec yes flood", file.display());
    let error = shell(&script).oneshot(target(500)).await.unwrap_err();
    assert_eq!(error.cause(), "timeout-script");
    assert_gone(&ids(&file, 1).await).await;
    std::fs::remove_file(file).unwrap();
}

/// A child that makes a session of its own is out of reach: it holds neither the run nor its slot.
#[tokio::test]
async fn a_child_that_has_left_the_group_holds_nobody() {
    let file = scratch();
    // It inherits the pipes.
    let leave = format!("setsid sh -c 'echo $$ > {}; exec sleep 600' &", file.display());
    let slots = ScriptSlots::new(NonZeroUsize::MIN);
    for (then, cause) in [("exit 3", "script-exit"), ("wait", "timeout-script")] {
        let script = format!("{leave} while ! test -s {}; do :; done; {then}", file.display());
        let checker = Script::new("/bin/sh", ["-c", &script], slots.clone());
        let error = checker.oneshot(target(5_000)).await.unwrap_err();
        assert_eq!(error.cause(), cause);
        eventually("the slot is given back", || slots.free() == 1).await;
        let escaped = ids(&file, 1).await;
        assert!(!gone(&escaped));
        let killed = std::process::Command::new("kill").arg("-9").args(&escaped).status();
        assert!(killed.unwrap().success());
        std::fs::remove_file(&file).unwrap();
    }
}

#[tokio::test]
async fn a_hanging_script_and_its_child_are_ended() {
    let file = scratch();
    let script = format!("echo $$ > {0}; sleep 100 & echo $! >> {0}; wait", file.display());
    let error = shell(&script).oneshot(target(1_000)).await.unwrap_err();
    assert_eq!(error.cause(), "timeout-script");
    assert_gone(&ids(&file, 2).await).await;
    std::fs::remove_file(file).unwrap();
}

#[tokio::test]
async fn a_script_that_ignores_sigterm_is_killed() {
    let file = scratch();
    let script = format!("trap '' TERM; echo $$ > {}; while :; do sleep 0.1; done", file.display());
    let slots = ScriptSlots::new(NonZeroUsize::MIN);
    let checker = Script::new("/bin/sh", ["-c", &script], slots.clone());
    let error = checker.oneshot(target(1_000)).await.unwrap_err();
    assert_eq!(error.cause(), "timeout-script");
    let ids = ids(&file, 1).await;
    assert!(!gone(&ids), "the answer does not wait for the end");
    assert_eq!(slots.free(), 0, "it still counts");
    assert_gone(&ids).await;
    eventually("the slot is given back", || slots.free() == 1).await;
    std::fs::remove_file(file).unwrap();
}

#[tokio::test]
async fn a_run_that_is_dropped_ends_its_script() {
    let file = scratch();
    let script = format!("echo $$ > {0}; sleep 100 & echo $! >> {0}; wait", file.display());
    let going = tokio::spawn(shell(&script).oneshot(target(60_000)));
    let ids = ids(&file, 2).await;
    going.abort();
    assert_gone(&ids).await;
    std::fs::remove_file(file).unwrap();
}

#[test]
fn a_runtime_that_shuts_down_ends_its_scripts() {
    let file = scratch();
    let script = format!("echo $$ > {0}; sleep 100 & echo $! >> {0}; wait", file.display());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.spawn(shell(&script).oneshot(target(60_000)));
    let left = runtime.block_on(ids(&file, 2));
    drop(runtime);
    let waiting = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // Dead at once; the leader is reaped when a process driver runs again.
    waiting.block_on(async {
        let _ = run("exit 0").await;
        assert_gone(&left).await;
    });
    std::fs::remove_file(file).unwrap();
}

#[tokio::test]
async fn what_a_script_leaves_in_its_group_is_killed() {
    let file = scratch();
    let script = format!("sleep 100 & echo $! > {}; exit 0", file.display());
    assert!(run(&script).await.is_ok(), "an open pipe must not hold the run");
    assert_gone(&ids(&file, 1).await).await;
    std::fs::remove_file(file).unwrap();
}

#[tokio::test]
async fn no_more_run_at_once_than_there_are_slots() {
    const BRIEF: u64 = 1_000;
    let (file, end) = (scratch(), scratch());
    let script = format!(
        "echo + >> {0}; until test -e {1}; do sleep 0.01; done; echo - >> {0}",
        file.display(),
        end.display()
    );
    let slots = ScriptSlots::new(NonZeroUsize::new(2).unwrap());
    let start = |port, millis| {
        let script = Script::new("/bin/sh", ["-c", &script], slots.clone());
        let mut target = target(millis);
        target.address.set_port(port);
        tokio::spawn(script.oneshot(target))
    };
    let mut tasks = vec![start(0, 60_000), start(1, 60_000)];
    let lines = || std::fs::read_to_string(&file).unwrap_or_default().lines().count();
    eventually("two are running", || lines() == 2).await;
    assert_eq!(slots.free(), 0);
    // They wait for longer than they may take: that does not count.
    tasks.extend((2..6).map(|port| start(port, BRIEF)));
    sleep(Duration::from_millis(BRIEF * 5 / 4)).await;
    std::fs::write(&end, "").unwrap();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let mut running = 0;
    for line in std::fs::read_to_string(&file).unwrap().lines() {
        running += if line == "+" { 1 } else { -1 };
        assert!(running <= 2, "more than two at once");
    }
    assert_eq!((running, lines()), (0, 12));
    [file, end].iter().for_each(|file| std::fs::remove_file(file).unwrap());
}

#[tokio::test]
async fn one_address_has_one_run_even_while_the_last_is_dying() {
    let file = scratch();
    // Fails if another is there; takes its time to die.
    let script = format!(
        "test -e {0} && exit 7; touch {0}; trap 'sleep 0.3; rm {0}; exit' TERM; sleep 5 & wait",
        file.display()
    );
    let mut checker = shell(&script);
    let first = checker.ready().await.unwrap().call(target(600)).await;
    assert_eq!(first.unwrap_err().cause(), "timeout-script");
    let second = checker.clone().oneshot(target(1_200)).await;
    assert_eq!(second.unwrap_err().cause(), "timeout-script");
    eventually("the last one has tidied up", || !file.exists()).await;
}
