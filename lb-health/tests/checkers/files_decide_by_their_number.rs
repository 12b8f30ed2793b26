//! The file checker over files that are there, are not, and hold no number.
#![cfg(all(feature = "file", unix))]
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::support;

use std::path::{Path, PathBuf};
use std::process::Command;

use lb_core::Weight;
use lb_health::CheckError;
use lb_health::checkers::File;

use self::support::{cause, check};

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
    let report = check(file.clone(), "192.0.2.1:1".parse().unwrap()).await.unwrap();
    assert_eq!(report.trace.evidence().received.as_str(), "no such file, which counts as 0");
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

/// Nobody may write to it for a year: it is not waited for.
#[tokio::test]
async fn what_is_no_regular_file_is_not_read() {
    let path = path("pipe");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    for no_file in [path.as_path(), Path::new("/dev/zero"), Path::new("/tmp")] {
        let failure = check(File::new(no_file), "192.0.2.1:1".parse().unwrap()).await.unwrap_err();
        let CheckError::Local { source, .. } = &failure.error else { panic!("{failure}") };
        assert_eq!(source.to_string(), "not a regular file", "{no_file:?}");
    }
    std::fs::remove_file(path).unwrap();
}

#[cfg(all(feature = "driver", target_os = "linux"))]
mod changes {
    use std::time::Duration;

    use lb_core::Health;
    use lb_core::backend::BackendId;
    use lb_health::checkers::FileChanges;
    use lb_health::{CheckSpec, Driver, Event};
    use rand::SeedableRng;
    use rand::rngs::SmallRng;
    use tokio::time::timeout;

    use super::*;

    /// Nothing here takes so long, unless a change is seen in the next run only.
    const LONG: Duration = Duration::from_secs(60);
    const HOUR: Duration = Duration::from_secs(3600);

    fn spec() -> CheckSpec {
        let spec = CheckSpec::default().with_interval(HOUR).unwrap();
        let spec = spec.with_fast_interval(Duration::from_millis(1)).unwrap();
        spec.with_fall(1).unwrap().with_rise(1).unwrap()
    }

    async fn verdict(driver: &mut Driver) -> Health {
        let event = timeout(LONG, driver.next()).await.expect("it is told at once");
        let Event::Verdict(verdict) = event else { panic!("{event:?}") };
        verdict.health
    }

    #[tokio::test]
    async fn a_change_is_seen_at_once_however_it_is_made() {
        let directory = path("changes");
        std::fs::create_dir(&directory).unwrap();
        let (file, draft) = (directory.join("load"), directory.join("draft"));
        let changes = FileChanges::new().unwrap();
        let mut driver = Driver::new(SmallRng::seed_from_u64(7));
        let address = "192.0.2.1:1".parse().unwrap();
        let check = driver.watch(BackendId::new(0), address, File::new(&file), spec());
        let hurry = driver.hurry(check);
        let watch = changes.watch(&file, move || hurry.now()).unwrap();
        assert_eq!(verdict(&mut driver).await, Health::UP, "no file is a zero");
        std::fs::write(&file, "1").unwrap();
        assert_eq!(verdict(&mut driver).await, Health::Down);
        std::fs::write(&draft, "0").unwrap();
        std::fs::rename(&draft, &file).unwrap();
        assert_eq!(verdict(&mut driver).await, Health::UP);
        std::fs::write(&file, "2").unwrap();
        assert_eq!(verdict(&mut driver).await, Health::Down);
        std::fs::remove_file(&file).unwrap();
        assert_eq!(verdict(&mut driver).await, Health::UP);

        // Another file of the same directory is another file.
        let runs = driver.monitor().runs();
        std::fs::write(&draft, "1").unwrap();
        assert!(timeout(Duration::from_millis(300), driver.next()).await.is_err());
        assert_eq!(driver.monitor().runs(), runs);
        drop(watch);
        std::fs::write(&file, "1").unwrap();
        assert!(timeout(Duration::from_millis(300), driver.next()).await.is_err());
        assert_eq!(driver.monitor().runs(), runs);
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[tokio::test]
    async fn a_file_of_no_directory_cannot_be_watched() {
        let changes = FileChanges::new().unwrap();
        assert!(changes.watch(Path::new("/does/not/exist/load"), || {}).is_err());
        assert!(changes.watch(Path::new("/"), || {}).is_err());
    }
}
