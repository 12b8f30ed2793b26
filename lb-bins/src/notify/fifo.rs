//! A named pipe with a line for every change, as keepalived's `notify_fifo`.

use std::fs::{File, symlink_metadata};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, mkfifoat};
use rustix::io::Errno;
use serde::Serialize;
use tracing::{info, warn};

/// What is no longer than that is written whole or not at all (`PIPE_BUF`, pipe(7)).
const LONGEST_LINE: usize = 4096;

/// A named pipe. What its reader does, or that there is none, never holds up anything: the pipe
/// itself is the queue, with the room that the kernel gives it, and what finds none is lost.
#[derive(Debug)]
pub struct Fifo {
    path: PathBuf,
    pipe: File,
    /// The file system that it is on, and its number there.
    identity: (u64, u64),
    /// Then it is removed with this.
    made: bool,
    lines: u64,
    lost: u64,
    /// Lines lost since the last one that found room.
    in_a_row: u64,
}

/// A pipe that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FifoError {
    /// There is something else.
    #[error("notify_fifo: {} is there, but is no named pipe", path.display())]
    NotAPipe {
        /// Where.
        path: PathBuf,
    },
    /// The system does not let us.
    #[error("notify_fifo: {} cannot be used: {source}", path.display())]
    Open {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// What became of the lines.
#[derive(Clone, Debug, Serialize)]
pub struct FifoStatus {
    /// Where the pipe is.
    pub path: PathBuf,
    /// Lines written.
    pub lines_total: u64,
    /// Lines lost because the pipe was full: nobody reads, or not fast enough.
    pub lost_total: u64,
}

impl Fifo {
    /// Opens the pipe; makes it, for its owner alone, if there is none.
    ///
    /// # Errors
    /// [`FifoError`], if there is something else, or the system does not let us.
    pub fn open(path: &Path) -> Result<Self, FifoError> {
        let failed = |error: Errno| FifoError::Open { path: path.into(), source: error.into() };
        let made = match mkfifoat(CWD, path, Mode::RUSR | Mode::WUSR) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(error) => return Err(failed(error)),
        };
        // For reading as well, so that opening does not wait for a reader and lines do not break
        // when there is none any more. No link is followed: somebody else may have put it there.
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let pipe: File = match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(pipe) => pipe.into(),
            Err(Errno::LOOP) => return Err(FifoError::NotAPipe { path: path.into() }),
            Err(error) => return Err(failed(error)),
        };
        let there = pipe.metadata().ok().filter(|it| it.file_type().is_fifo());
        let there = there.ok_or_else(|| FifoError::NotAPipe { path: path.into() })?;
        let identity = (there.dev(), there.ino());
        Ok(Self { path: path.into(), pipe, identity, made, lines: 0, lost: 0, in_a_row: 0 })
    }

    /// Whether [`open`](Self::open) may succeed, as far as can be seen without making anything.
    ///
    /// # Errors
    /// [`FifoError`], as of `open`.
    pub fn rehearse(path: &Path) -> Result<(), FifoError> {
        let failed = |source| FifoError::Open { path: path.into(), source };
        match symlink_metadata(path) {
            Ok(there) if there.file_type().is_fifo() => Ok(()),
            Ok(_) => Err(FifoError::NotAPipe { path: path.into() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                path.parent().map_or(Ok(()), |folder| match folder.metadata() {
                    Ok(folder) if folder.is_dir() => Ok(()),
                    Ok(_) => Err(failed(io::ErrorKind::NotADirectory.into())),
                    Err(error) => Err(failed(error)),
                })
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Whether the path leads to this pipe still: not if it was removed meanwhile.
    fn is_there(&self) -> bool {
        symlink_metadata(&self.path).is_ok_and(|it| (it.dev(), it.ino()) == self.identity)
    }

    /// Whether both are one pipe. No file system is asked.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        (&self.path, self.identity) == (&other.path, other.identity)
    }

    /// Tells a line, or loses it. Never waits.
    pub fn tell(&mut self, line: &str) {
        let line = format!("{line}\n");
        let told = match line.len() <= LONGEST_LINE {
            true => self.pipe.write_all(line.as_bytes()),
            false => Err(io::ErrorKind::FileTooLarge.into()),
        };
        let path = self.path.display();
        match told {
            Ok(()) => {
                if self.in_a_row > 0 {
                    info!(%path, "the pipe is read again: {} lines were lost", self.in_a_row);
                }
                self.in_a_row = 0;
                self.lines += 1;
            }
            Err(error) => {
                if self.in_a_row == 0 {
                    let full = error.kind() == io::ErrorKind::WouldBlock;
                    let why = if full { "nobody reads it".to_owned() } else { error.to_string() };
                    warn!(%path, "lines are lost in the pipe: {why}");
                }
                self.in_a_row += 1;
                self.lost += 1;
            }
        }
    }

    /// What became of the lines.
    pub fn status(&self) -> FifoStatus {
        FifoStatus { path: self.path.clone(), lines_total: self.lines, lost_total: self.lost }
    }
}

impl Drop for Fifo {
    fn drop(&mut self) {
        // Another may be at its place by now, which is somebody else's.
        if self.made && self.is_there() {
            // Whoever was faster has done it.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn place(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("tcp-lb-fifo-{}-{name}", std::process::id()))
    }

    #[test]
    fn what_finds_no_room_is_lost_whole() {
        let path = place("full");
        let mut fifo = Fifo::open(&path).unwrap();
        let line = "x".repeat(99);
        while fifo.lost < 10 {
            fifo.tell(&line);
        }
        let FifoStatus { lines_total, .. } = fifo.status();
        assert!(lines_total >= 4096 / 100);
        fifo.tell(&"y".repeat(LONGEST_LINE));
        assert_eq!(fifo.lost, 11);
        // Whoever comes late reads whole lines only.
        let mut kept = vec![0; lines_total as usize * 100];
        File::open(&path).unwrap().read_exact(&mut kept).unwrap();
        assert!(kept.chunks(100).all(|chunk| chunk == format!("{line}\n").as_bytes()));
        fifo.tell("again");
        assert_eq!((fifo.in_a_row, fifo.lost), (0, 11));
    }

    #[test]
    fn only_our_own_is_removed() {
        let path = place("removed");
        drop(Fifo::open(&path).unwrap());
        assert!(!path.exists());

        mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
        drop(Fifo::open(&path).unwrap());
        assert!(path.exists(), "it was there before");
        std::fs::remove_file(&path).unwrap();

        let ours = Fifo::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(!ours.is_there());
        std::fs::write(&path, "another's").unwrap();
        drop(ours);
        assert!(path.exists(), "it is no longer ours");
        assert!(matches!(Fifo::open(&path), Err(FifoError::NotAPipe { .. })));
        assert!(matches!(Fifo::rehearse(&path), Err(FifoError::NotAPipe { .. })));
        std::fs::remove_file(&path).unwrap();
        assert!(Fifo::rehearse(&path).is_ok());
    }
}
