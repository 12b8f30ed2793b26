//! Tells at once that a file was changed, where the system can tell.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::JoinHandle;

/// Watches any number of files by one inotify descriptor, of which a user has few. Clones are the same.
///
/// The directory of a file is watched, since a file that is moved over another one is a new file.
/// What is not told: changes that other hosts make on a network's file system, what is behind a
/// symbolic link in another directory, and, once the directory itself is gone, everything. So whoever
/// is told looks at the file now and then all the same, as a check does in each run.
///
/// ```
/// use lb_health::{CheckSpec, Driver};
/// use lb_health::checkers::{File, FileChanges};
/// use rand::{SeedableRng, rngs::SmallRng};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// # #[cfg(feature = "driver")] {
/// let changes = FileChanges::new()?; // one for the whole process
/// let mut driver = Driver::new(SmallRng::seed_from_u64(1)); // a real one is seeded by the system
/// let path = std::env::temp_dir().join("load");
/// let address = "192.0.2.1:80".parse().unwrap();
/// let check = driver.watch("web-1", address, File::new(&path), CheckSpec::default());
///
/// let hurry = driver.hurry(check);
/// let watch = changes.watch(&path, move || hurry.now())?; // for as long as this is kept
/// # drop(watch);
/// # }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct FileChanges(Arc<Watcher>);

#[derive(Debug)]
struct Watcher {
    watches: Arc<Watches>,
    task: JoinHandle<()>,
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Debug)]
struct Watches {
    inotify: OwnedFd,
    watched: Mutex<Watched>,
}

#[derive(Debug, Default)]
struct Watched {
    /// The files of each directory, by the number that inotify has for it.
    directories: HashMap<i32, Vec<Entry>>,
    next: u64,
}

struct Entry {
    number: u64,
    name: OsString,
    told: Arc<dyn Fn() + Send + Sync>,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)
    }
}

impl FileChanges {
    /// Whatever is done with what a directory holds, once it is done: a file that is being written is
    /// none yet.
    const WHAT: WatchFlags =
        WatchFlags::CLOSE_WRITE.union(WatchFlags::MOVE).union(WatchFlags::DELETE);

    /// Needs a tokio runtime with I/O, on which a task listens until the last clone and the last
    /// watch are gone.
    ///
    /// # Errors
    /// If the system gives no descriptor: `fs.inotify.max_user_instances`.
    pub fn new() -> io::Result<Self> {
        let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        let watches = Arc::new(Watches { inotify, watched: Mutex::default() });
        let task = tokio::spawn(listen(readable(&watches)?, Arc::clone(&watches)));
        Ok(Self(Arc::new(Watcher { watches, task })))
    }

    /// Calls `told` whenever the file at `path` has been written, moved, exchanged or removed, until
    /// what this answers is dropped. It must not block.
    ///
    /// # Errors
    /// If there is no such directory, or the system watches as many as it will:
    /// `fs.inotify.max_user_watches`.
    pub fn watch(
        &self,
        path: &Path,
        told: impl Fn() + Send + Sync + 'static,
    ) -> io::Result<FileWatch> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?.to_owned();
        let directory = match path.parent() {
            Some(directory) if directory != Path::new("") => directory,
            _ => Path::new("."),
        };
        let watches = &self.0.watches;
        // Under the lock, or the last watch of the same directory might be taken back meanwhile.
        let mut watched = watches.lock();
        let directory = inotify::add_watch(&watches.inotify, directory, Self::WHAT)?;
        let number = watched.next;
        watched.next += 1;
        let entry = Entry { number, name, told: Arc::new(told) };
        watched.directories.entry(directory).or_default().push(entry);
        Ok(FileWatch { watcher: Arc::clone(&self.0), directory, number })
    }
}

/// A file is watched for as long as this is kept.
#[derive(Debug)]
#[must_use = "nothing is told once it is dropped"]
pub struct FileWatch {
    watcher: Arc<Watcher>,
    directory: i32,
    number: u64,
}

impl Drop for FileWatch {
    fn drop(&mut self) {
        let watches = &self.watcher.watches;
        let mut watched = watches.lock();
        let Some(entries) = watched.directories.get_mut(&self.directory) else { return };
        entries.retain(|entry| entry.number != self.number);
        if entries.is_empty() {
            watched.directories.remove(&self.directory);
            // It fails if the directory is gone, and the watch with it.
            let _ = inotify::remove_watch(&watches.inotify, self.directory);
        }
    }
}

impl Watches {
    fn lock(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of all that has happened.
    fn tell(&self) -> io::Result<()> {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(&self.inotify, &mut buffer);
        loop {
            let event = events.next()?;
            let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
            let told: Vec<_> = if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
                let watched = self.lock();
                watched.directories.values().flatten().map(|entry| entry.told.clone()).collect()
            } else {
                let mut watched = self.lock();
                let entries = watched.directories.get(&event.wd()).into_iter().flatten();
                // What happens to the directory itself has no name.
                let these = entries.filter(|entry| name.is_none_or(|name| name == entry.name));
                let told = these.map(|entry| entry.told.clone()).collect();
                if event.events().contains(ReadFlags::IGNORED) {
                    watched.directories.remove(&event.wd());
                }
                told
            };
            // Whoever is told may want to watch another file.
            told.iter().for_each(|told| told());
        }
    }
}

#[allow(deprecated, reason = "the successor is unsafe, for what cannot happen to an `OwnedFd`")]
fn readable(watches: &Watches) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(watches.inotify.try_clone()?, Interest::READABLE)
}

async fn listen(readable: AsyncFd<OwnedFd>, watches: Arc<Watches>) {
    while let Ok(mut guard) = readable.readable().await {
        match watches.tell() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => guard.clear_ready(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Nothing else can come from a descriptor that is held; runs look at the file anyway.
            _ => return,
        }
    }
}
