//! The file checker over files that are there, are not, and hold no number.
#![cfg(all(feature = "file", unix))]
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

mod servers;

use std::path::PathBuf;
use std::process::Command;

use lb_core::Weight;
use lb_health::checkers::File;

use self::servers::{cause, check};

fn path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("lb-health-{name}-{}", std::process::id()))
}

async fn said(file: File) -> &'static str {
    // There is no target to speak of.
    cause(file, "192.0.2.1:1".parse().unwrap()).await
}

#[tokio::test]
async fn what_is_written_decides_the_next_run() {
    let path = path("number");
    let file = File::new(&path);
    assert_eq!(said(file.clone()).await, "ok", "no file is a zero");
    for (text, wanted) in [
        ("0", "ok"),
        (" 0\n", "ok"),
        ("1\n", "rejected"),
        ("-1", "rejected"),
        ("+0", "ok"),
        ("", "local"),
        ("one", "local"),
        ("1 2", "local"),
        ("99999999999999999999", "local"),
        (&"0".repeat(1 << 20), "local"),
    ] {
        std::fs::write(&path, text).unwrap();
        assert_eq!(said(file.clone()).await, wanted, "{:?}", &text[..text.len().min(30)]);
    }
    std::fs::write(&path, [0xff, 0xfe]).unwrap();
    assert_eq!(said(file.clone()).await, "local");
    std::fs::write(&path, "-30").unwrap();
    let weighing = file.with_weight(2, Weight::new(100));
    let report = check(weighing, "192.0.2.1:1".parse().unwrap()).await.unwrap();
    assert_eq!(report.weight, Some(Weight::new(40)));
    assert_eq!(report.trace.evidence().received.as_str(), "-30");
    std::fs::remove_file(path).unwrap();
}

#[tokio::test]
async fn what_cannot_be_read_is_no_failure_of_the_target() {
    assert_eq!(said(File::new("/")).await, "local", "a directory");
    assert_eq!(said(File::new("/dev/null/number")).await, "local", "no way there");
}

#[test]
fn a_file_that_hangs_holds_one_thread() {
    // Nobody writes to it.
    let path = path("pipe");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let file = File::new(&path);
    runtime.block_on(async {
        for _ in 0..3 {
            assert_eq!(said(file.clone()).await, "local");
        }
        // Whoever opens it for both lets the reader go on, to the end of the file.
        let both = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
        tokio::time::sleep(servers::TIMEOUT / 10).await;
        drop(both);
        tokio::time::sleep(servers::TIMEOUT / 10).await;
        std::fs::remove_file(&path).unwrap();
        assert_eq!(said(file).await, "ok", "it can be read again");
    });
}
