//! `--demo`, the first command of the README.

use std::process::Stdio;

use crate::harness::*;

#[test]
fn the_demo_shows_three_backends_and_ends_by_itself() {
    let demo = binary()
        .args(["--demo", "--demo-seconds", "3"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let output = demo.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.lines().count() >= 2, "{shown}");
    let last = shown.lines().last().unwrap();
    assert!(last.contains("curl http://127.0.0.1:"), "{last}");
    for backend in ["a: up, ", "b: up, ", "c: up, "] {
        assert!(last.contains(backend), "{last}");
    }
    assert!(last.contains("failed 0"), "{last}");
    assert!(!shown.contains('\x1b'), "no terminal, no colours: {shown}");
}

#[test]
#[ignore = "slow: the demo kills its first backend after six seconds"]
fn visitors_of_the_demo_survive_a_death() {
    let output = binary().args(["--demo", "--demo-seconds", "14"]).output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.contains("a: down, "), "{shown}");
    let last = shown.lines().last().unwrap();
    assert!(last.contains("a: up, ") && last.contains("alive again"), "{shown}");
    // Those whose request was with the backend when it died, at most.
    let failed = last.split("failed ").nth(1).unwrap().split(' ').next().unwrap();
    assert!(failed.parse::<u64>().unwrap() <= 2, "{shown}");
}
