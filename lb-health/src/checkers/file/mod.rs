//! Passes by the number in a file.

#[cfg(target_os = "linux")]
mod changes;

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lb_core::Weight;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

#[cfg(target_os = "linux")]
pub use self::changes::{FileChanges, FileWatch};
use super::connection::attempt::Attempt;
use super::service::checker;
use crate::trace::Phase;
use crate::{CheckError, Failure, Report, Target};

/// Passes by the number in a file on this host, whatever the target: keepalived's `FILE_CHECK`.
///
/// | | without [weight](Self::with_weight) | with it |
/// |---|---|---|
/// | 0, or no such file | up | up, at the configured weight |
/// | another number | down | up, at the configured weight and number × factor |
/// | number × factor ≤ −2³¹ | | down |
/// | no number, or not to be read | the fault is this host's | the same |
///
/// [Reversed](Self::reversed), 0 is down and all others are up, and the product is subtracted.
///
/// The file is read in each run; on Linux, `FileChanges` tells when a run is due because the file has
/// changed. Who changes a file should move a new one over it, so that it is never found half written.
/// Only a regular file is read. A file system that hangs (a dead NFS server) holds one thread for each
/// check, and sixteen in all: beyond that, runs end for a [reason on this host](CheckError::Local).
///
/// ```
/// use std::time::Duration;
/// use lb_core::Weight;
/// use lb_health::{Target, checkers::File};
/// use tower::ServiceExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let path = std::env::temp_dir().join(format!("load-{}", std::process::id()));
/// std::fs::write(&path, "-3\n")?;
/// let target = Target::new("192.0.2.1:80".parse()?, Duration::from_secs(1));
/// let checker = File::new(&path).with_weight(10, Weight::new(100));
/// assert_eq!(checker.oneshot(target).await?.weight, Some(Weight::new(70)));
/// assert_eq!(File::new(&path).oneshot(target).await.unwrap_err().cause(), "rejected");
/// # std::fs::remove_file(&path)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct File {
    path: Arc<Path>,
    /// The factor, and what the product is added to.
    weight: Option<(i32, Weight)>,
    is_reversed: bool,
    /// Whether a thread is reading it.
    busy: Arc<AtomicBool>,
}

impl File {
    /// Of so many bytes a file holds more than a number.
    const LIMIT: u64 = 64;
    /// The threads that may be reading at once.
    const READERS: usize = 16;

    /// A checker that passes while there is no number but 0 in the file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let path: PathBuf = path.into();
        Self { path: path.into(), weight: None, is_reversed: false, busy: Arc::default() }
    }

    /// The number, times `factor`, is added to the `configured` weight of the backend. A factor of 0
    /// is none.
    #[must_use]
    pub fn with_weight(self, factor: i32, configured: Weight) -> Self {
        Self { weight: (factor != 0).then_some((factor, configured)), ..self }
    }

    /// The number counts the other way round.
    #[must_use]
    pub fn reversed(self) -> Self {
        Self { is_reversed: true, ..self }
    }

    async fn run(self, target: Target) -> Result<Report, Failure> {
        let mut attempt = Attempt::begin(target);
        let number = match attempt.step(Phase::Response, self.read()).await {
            Ok(number) => number,
            // It says nothing of the target that our own disk is slow.
            Err(CheckError::Timeout { .. }) => {
                return attempt.finish(Err(local(io::ErrorKind::TimedOut.into())));
            }
            Err(error) => return attempt.finish(Err(error)),
        };
        let evidence = attempt.trace.evidence_mut();
        match number {
            Some(number) => evidence.received(number.to_string()),
            None => evidence.received("no such file, which counts as 0"),
        }
        match self.judge(number.unwrap_or(0)) {
            Ok(weight) => attempt.finish(Ok(())).map(|report| Report { weight, ..report }),
            Err(error) => attempt.finish(Err(error)),
        }
    }

    async fn read(&self) -> Result<Option<i64>, CheckError> {
        // A file system that hangs holds one thread, not one more for each run.
        if self.busy.swap(true, Ordering::Acquire) {
            return Err(local(io::ErrorKind::ResourceBusy.into()));
        }
        let (path, busy) = (Arc::clone(&self.path), Release(Arc::clone(&self.busy)));
        static READERS: Semaphore = Semaphore::const_new(File::READERS);
        // It is never closed.
        let reader = READERS.acquire().await.map_err(|error| local(io::Error::other(error)))?;
        let reading = spawn_blocking(move || {
            let _held = (reader, busy);
            number_in(&path)
        });
        reading.await.map_err(|error| local(error.into()))?.map_err(local)
    }

    fn judge(&self, number: i64) -> Result<Option<Weight>, CheckError> {
        let Some((factor, configured)) = self.weight else {
            return match (number == 0) != self.is_reversed {
                true => Ok(None),
                false => Err(CheckError::rejected(format!("the number in the file is {number}"))),
            };
        };
        let factor = if self.is_reversed { -i64::from(factor) } else { factor.into() };
        let product = number.saturating_mul(factor);
        if product <= i32::MIN.into() {
            let what = format!("{number} × {factor} takes all weight");
            return Err(CheckError::rejected(what));
        }
        let weight = product.saturating_add(configured.value().into());
        let weight = weight.clamp(0, Weight::MAX.value().into());
        Ok(Some(Weight::new(weight as u16)))
    }
}

checker!(File);

/// Lets the next run read.
struct Release(Arc<AtomicBool>);

impl Drop for Release {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// The number in a file, if that is there.
fn number_in(path: &Path) -> io::Result<Option<i64>> {
    let mut options = OpenOptions::new();
    options.read(true);
    // To open a pipe that nobody writes to would wait for whoever does.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        &mut options,
        rustix::fs::OFlags::NONBLOCK.bits().cast_signed(),
    );
    let file = match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let mut text = String::new();
    if file.take(File::LIMIT).read_to_string(&mut text)? as u64 == File::LIMIT {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let number = text.trim().parse();
    number.map(Some).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

fn local(error: io::Error) -> CheckError {
    CheckError::Local { operation: "read a number from the file", source: Arc::new(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_decide_as_in_keepalived() {
        let file = || File::new("/nowhere");
        let weighing = |factor| file().with_weight(factor, Weight::new(100));
        let down = None;
        let weight = |value| Some(Some(Weight::new(value)));
        for (checker, number, wanted) in [
            (file(), 0, Some(None)),
            (file(), 1, down),
            (file(), -1, down),
            (file().reversed(), 0, down),
            (file().reversed(), 5, Some(None)),
            (weighing(0), 0, Some(None)),
            (weighing(0), 1, down),
            (weighing(1), 0, weight(100)),
            (weighing(3), 7, weight(121)),
            (weighing(3), -7, weight(79)),
            (weighing(3).reversed(), 7, weight(79)),
            (weighing(1), -100, weight(0)),
            (weighing(1), -101, weight(0)),
            (weighing(1), i64::from(i32::MIN) + 1, weight(0)),
            (weighing(1), i32::MIN.into(), down),
            (weighing(2), -(1 << 30), down),
            (weighing(-1), 1 << 31, down),
            (weighing(1), 1 << 40, weight(u16::MAX)),
            (weighing(i32::MAX), i64::MAX, weight(u16::MAX)),
            (weighing(i32::MIN), i64::MAX, down),
            (weighing(i32::MIN).reversed(), i64::MIN, down),
        ] {
            assert_eq!(checker.judge(number).ok(), wanted, "{checker:?} with {number}");
        }
    }
}
