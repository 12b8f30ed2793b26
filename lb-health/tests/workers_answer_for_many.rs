//! One process for many checks: what it says, what it leaves unsaid, and how it dies.
#![cfg(feature = "worker")]
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use lb_core::Weight;
use lb_health::checkers::{Worker, Workers};
use lb_health::{CheckError, Failure, Report, Target};
use tower::ServiceExt;

use self::support::eventually;

const TIMEOUT: Duration = Duration::from_secs(5);

fn target(port: u16, timeout: Duration) -> Target {
    Target::new(SocketAddr::from(([192, 0, 2, 1], port)), timeout)
}

fn shell(program: &str) -> Worker {
    Worker::new("/bin/sh", ["-c", program])
}

async fn check(worker: &Worker, port: u16) -> Result<Report, Failure> {
    worker.clone().oneshot(target(port, TIMEOUT)).await
}

async fn told(worker: &Worker, port: u16) -> String {
    check(worker, port).await.map_or_else(|error| error.to_string(), |_| "ok".to_owned())
}

#[tokio::test]
async fn one_process_answers_all() {
    let worker = shell(
        r#"while read tag address port millis; do
            case $port in
                1) echo "$tag up" ;;
                2) echo "$tag up $(($$ % 1000))" ;;
                3) echo "$tag down $address has $millis" ;;
                4) echo "$tag perhaps" ;;
            esac
        done"#,
    );
    assert_eq!(told(&worker, 1).await, "ok");
    let process = check(&worker, 2).await.unwrap().weight;
    assert_eq!(check(&worker, 2).await.unwrap().weight, process, "it is the same");
    let down = check(&worker, 3).await.unwrap_err();
    assert_eq!((down.cause(), down.is_local()), ("rejected", false));
    assert_eq!(down.to_string(), r#"the worker says that it is down: "192.0.2.1 has 5000""#);
    let neither = check(&worker, 4).await.unwrap_err();
    assert!(neither.is_local(), "{neither}");
}

/// Checks are built one by one, for each backend, and anew at a reload.
#[tokio::test]
async fn all_checks_of_one_command_share_its_process() {
    let workers = Workers::default();
    let program = r#"while read tag rest; do echo "$tag up $(($$ % 60000))"; done"#;
    let process = async |name: &str| {
        let worker = workers.worker("/bin/sh", ["-c", program, name]);
        (check(&worker, 1).await.unwrap().weight, worker)
    };
    let (first, kept) = process("a").await;
    let (second, _) = process("a").await;
    assert_eq!(first, second, "one process");
    let (other, _) = process("b").await;
    assert_ne!(first, other, "another command");
    // It lives as long as one of those that use it.
    drop(kept);
    let (next, _) = process("a").await;
    assert_ne!(first, next, "nobody had it any more");
}

#[tokio::test]
async fn answers_may_come_in_any_order() {
    let worker = shell(
        r#"read first rest; read second rest; echo "$second up 2"; echo "$first up 1"; sleep 60"#,
    );
    let (first, second) = tokio::join!(check(&worker, 1), check(&worker, 2));
    assert_eq!(first.unwrap().weight, Some(Weight::new(1)));
    assert_eq!(second.unwrap().weight, Some(Weight::new(2)));
}

#[tokio::test]
async fn who_is_not_answered_while_others_are_is_down() {
    let worker =
        shell(r#"while read tag address port rest; do [ "$port" = 1 ] || echo "$tag up"; done"#);
    let brief = Duration::from_millis(500);
    // In this order, so that the one is asked for before the other is answered.
    let unanswered = worker.clone().oneshot(target(1, brief));
    let (unanswered, answered) = tokio::join!(unanswered, check(&worker, 2));
    answered.unwrap();
    assert_eq!(unanswered.unwrap_err().cause(), "timeout-script");
    // That nobody is answered is no word on anybody.
    let error = worker.clone().oneshot(target(1, brief)).await.unwrap_err();
    assert!(error.is_local(), "{error}");
    // An answer that comes too late does not go to somebody else.
    let late = shell(r#"read a rest; sleep 1; read b rest; echo "$a down"; echo "$b up"; sleep 9"#);
    assert!(late.clone().oneshot(target(1, brief)).await.is_err());
    check(&late, 2).await.unwrap();
}

#[tokio::test]
async fn a_worker_that_dies_is_started_again() {
    let worker =
        shell(r#"read tag rest; echo "$tag up"; read tag rest; echo "no disk" >&2; exit 3"#);
    for _ in 0..2 {
        // Not at once: whoever comes meanwhile is told why.
        while let Err(failure) = check(&worker, 1).await {
            assert!(failure.is_local(), "{failure}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let failure = check(&worker, 1).await.unwrap_err();
        let CheckError::Local { source, .. } = &failure.error else { panic!("{failure}") };
        assert_eq!(source.to_string(), r#"it ended, exit status: 3: "no disk""#);
    }
}

#[tokio::test]
async fn a_worker_that_cannot_run_says_nothing_of_its_targets() {
    for worker in [
        Worker::new("/nonexistent", ["x"; 0]),
        Worker::new("/etc/passwd", ["x"; 0]),
        shell("exit 1"),
        shell("exec </dev/null; sleep 60"),
        shell(r#"while :; do printf xxxxxxxxxxxxxxxxxxxxxxxx; done"#),
    ] {
        let result = worker.clone().oneshot(target(1, Duration::from_secs(1))).await;
        assert!(result.as_ref().is_err_and(Failure::is_local), "{worker:?}: {result:?}");
    }
}

#[tokio::test]
async fn a_worker_ends_with_the_last_clone() {
    let file = std::env::temp_dir().join(format!("worker-{}", std::process::id()));
    let mark = file.to_str().unwrap();
    let program = r#"while read tag rest; do echo "$tag up"; done; touch "$1""#;
    let worker = Worker::new("/bin/sh", ["-c", program, "sh", mark]);
    let clone = worker.clone();
    check(&worker, 1).await.unwrap();
    drop(worker);
    check(&clone, 1).await.unwrap();
    drop(clone);
    eventually("it is told of its end", || std::fs::remove_file(&file).is_ok()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_are_answered_at_once() {
    let worker = shell(r#"while read tag rest; do echo "$tag up"; done"#);
    let tasks = (0..200).map(|_| {
        let worker = worker.clone();
        tokio::spawn(async move {
            for _ in 0..10 {
                check(&worker, 1).await.unwrap();
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
}
