//! Files with a number.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use lb_vrrp::Signal;
use rustix::fs::OFlags;
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::timeout;
use tracing::{info, warn};

use super::Reporter;
use crate::config::VrrpTrackFile;

/// Numbers are short; nobody has to write an endless file.
const LONGEST: u64 = 64;
/// Some file systems tell nothing, and a directory may be exchanged.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Watches the file until this is dropped, and reports when its number changes.
pub(super) async fn watch(watched: VrrpTrackFile, reporter: Reporter) {
    let mut known = None;
    let mut could_watch = true;
    loop {
        // First, so that nothing happens between looking and watching.
        let changes = changes(&watched.file);
        if let Err(error) = &changes
            && std::mem::replace(&mut could_watch, false)
        {
            let file = watched.file.display().to_string();
            warn!(file, %error, "tracked file is looked at now and then, and not watched");
        }
        let path = watched.file.clone();
        let number = tokio::task::spawn_blocking(move || read(&path)).await.unwrap_or_default();
        if known.replace(number) != Some(number) {
            info!(file = watched.name, number, "tracked file");
            reporter.report(Signal::Value(number)).await;
        }
        let wait = async {
            match &changes {
                // Whatever it is: what the file has now is looked at anyway.
                Ok(changes) => drop(changes.readable().await),
                Err(_) => std::future::pending().await,
            }
        };
        let _ = timeout(LONGEST_WAIT, wait).await;
    }
}

/// A file that is not there, or has no number, has 0.
pub(super) fn read(path: &Path) -> i32 {
    let mut text = String::new();
    let read = open(path).and_then(|file| file.take(LONGEST).read_to_string(&mut text));
    read.ok().and_then(|_| text.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

/// Waits for nobody: a pipe that nobody writes into would be opened for as long.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK.bits().try_into().unwrap_or_default();
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

/// Readable as soon as something happens to a file of this name.
#[allow(deprecated, reason = "the successor is unsafe, for what cannot happen to an `OwnedFd`")]
fn changes(path: &Path) -> io::Result<AsyncFd<OwnedFd>> {
    // Its directory: a file that is exchanged is another one.
    let directory = path.parent().unwrap_or(Path::new("/"));
    let changes = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
    let what = WatchFlags::CLOSE_WRITE | WatchFlags::MOVE | WatchFlags::DELETE | WatchFlags::CREATE;
    inotify::add_watch(&changes, directory, what)?;
    AsyncFd::with_interest(changes, Interest::READABLE)
}

#[cfg(test)]
mod tests {
    use rustix::fs::{CWD, Mode, mkfifoat};

    use super::*;

    #[test]
    fn what_is_no_file_with_a_number_has_none() {
        let folder = std::env::temp_dir().join(format!("lb-number-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let path = |name: &str| folder.join(name);
        std::fs::write(path("number"), " -12 or so\n").unwrap();
        std::fs::write(path("word"), "twelve").unwrap();
        std::fs::write(path("large"), "99999999999").unwrap();
        mkfifoat(CWD, path("pipe"), Mode::RUSR | Mode::WUSR).unwrap();
        assert_eq!(read(&path("number")), -12);
        for none in ["word", "large", "pipe", "gone", "."] {
            assert_eq!(read(&path(none)), 0, "{none}");
        }
        assert_eq!(read(Path::new("/dev/zero")), 0);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
