//! In a process of its own, where nobody else opens anything.
#![cfg(all(feature = "script", target_os = "linux"))]
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

mod support;

use std::time::Duration;

use lb_health::Target;
use lb_health::checkers::{Script, ScriptSlots};
use tower::ServiceExt;

use self::support::eventually;

/// The descriptors of this process.
fn open() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[tokio::test]
async fn no_descriptor_is_left() {
    let run = async |script: &str, millis| {
        let target = Target::new(([192, 0, 2, 1], 80).into(), Duration::from_millis(millis));
        let script = Script::new("/bin/sh", ["-c", script], ScriptSlots::default());
        script.oneshot(target).await.map_or_else(|error| error.cause(), |_| "ok")
    };
    // What the runtime needs for all of them, it opens for the first.
    assert_eq!(run("exit 0", 60_000).await, "ok");
    let before = open();
    for (script, millis, wanted) in [
        ("exit 0", 60_000, "ok"),
        ("echo x; exit 1", 60_000, "script-exit"),
        ("kill -9 $$", 60_000, "script-killed"),
        ("sleep 100", 50, "timeout-script"),
    ] {
        for _ in 0..20 {
            assert_eq!(run(script, millis).await, wanted);
        }
        eventually("all descriptors are closed", || open() == before).await;
    }
}
