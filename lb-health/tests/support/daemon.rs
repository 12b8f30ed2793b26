//! Real servers, which must be installed.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::port;

/// Whether it is there. Where everything is expected to be, it must be.
pub(crate) fn is_installed(program: &str) -> bool {
    let installed = Path::new(program).exists();
    if !installed {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{program} is missing");
        eprintln!("skipped: {program} is missing");
    }
    installed
}

/// An address on loopback that nobody listens at.
pub(crate) fn free_address() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port::free_port()).into()
}

/// A directory that is gone with this.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let (process, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(format!("lb-health-{name}-{process}-{count}"));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn write(&self, file: &str, text: &str) -> PathBuf {
        let path = self.0.join(file);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A server that ends with this.
pub(crate) struct Daemon(Child);

impl Daemon {
    /// Starts it, and waits until it listens at `address`.
    #[expect(clippy::disallowed_methods, reason = "waits for another process")]
    pub(crate) fn start(command: &mut Command, address: SocketAddr) -> Self {
        let daemon = Self(command.stdin(Stdio::null()).spawn().unwrap());
        for _ in 0..500 {
            if TcpStream::connect(address).is_ok() {
                return daemon;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("{command:?} does not listen at {address}");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
