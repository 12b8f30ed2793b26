//! Servers that live as long as the test that started them.
#![allow(dead_code, reason = "each feature uses its own part")]

use std::fs::Permissions;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lb_health::{Checker, Failure, Report, Target};
use tower::ServiceExt;

use crate::support::port::free_port;

/// Whether all of `programs` are there. Where everything is expected to be, they must be.
pub(crate) fn are_installed(programs: &[&str]) -> bool {
    for program in programs {
        if !Path::new(program).exists() {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{program} is missing");
            eprintln!("skipped: {program} is missing");
            return false;
        }
    }
    true
}

/// An address on loopback that nobody listens at.
pub(crate) fn free_address() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, free_port()).into()
}

/// A server, or what it takes to start one: as whom, where it keeps its data, and at which port.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    folder: PathBuf,
    /// Whom it runs as, if this is run by root and the server would not.
    user: Option<(u32, u32)>,
    child: Option<Child>,
}

impl Server {
    /// A folder and a port for a server that runs as `user`, if this is run by root.
    pub(crate) fn prepare(name: &str, user: &str) -> Self {
        // Long names do not fit into the address of a Unix socket.
        let port = free_port();
        let folder = std::env::temp_dir().join(format!("{name}-{port}"));
        std::fs::create_dir(&folder).unwrap();
        let user = is_root().then(|| lookup(user)).flatten();
        if let Some((uid, gid)) = user {
            std::os::unix::fs::chown(&folder, Some(uid), Some(gid)).unwrap();
        }
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self { address, folder, user, child: None }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// The path of a file in its folder.
    pub(crate) fn file(&self, name: &str) -> String {
        self.folder.join(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let path = self.file(name);
        std::fs::write(&path, text).unwrap();
        if let Some((uid, gid)) = self.user {
            std::os::unix::fs::chown(&path, Some(uid), Some(gid)).unwrap();
        }
        path
    }

    /// The path of a directory in its folder, which belongs to `user`.
    pub(crate) fn directory(&self, name: &str, user: &str) -> String {
        let path = self.file(name);
        std::fs::create_dir(&path).unwrap();
        if let Some((uid, gid)) = is_root().then(|| lookup(user)).flatten() {
            std::os::unix::fs::chown(&path, Some(uid), Some(gid)).unwrap();
        }
        path
    }

    /// As [`Self::write`], for the server's eyes only.
    pub(crate) fn write_secret(&self, name: &str, text: &str) -> String {
        let path = self.write(name, text);
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// A command that runs as the server does.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        // Two that install a database at once would meet in the common folder for what is temporary.
        command.current_dir(&self.folder).env("TMPDIR", &self.folder).stdin(Stdio::null());
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Runs `program` to its end, which must be a good one; answers what it says.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> String {
        let output = self.command(program).args(arguments).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {arguments:?}: {errors}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Starts it, and waits until it listens.
    pub(crate) fn start(&mut self, program: &str, arguments: &[&str]) {
        let mut command = self.command(program);
        let log = std::fs::File::create(self.folder.join("log")).unwrap();
        command.args(arguments).stdout(log.try_clone().unwrap()).stderr(log);
        let child = self.child.insert(command.spawn().unwrap());
        until(&format!("{program} listens"), || {
            assert!(child.try_wait().unwrap().is_none(), "{program} has ended");
            TcpStream::connect(self.address).is_ok()
        });
    }

    /// Sends it a signal, as `kill` has it.
    pub(crate) fn signal(&self, signal: &str) {
        let id = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    /// What it has written.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Some have children, who would outlive a SIGKILL.
            let _ = Command::new("kill").arg(child.id().to_string()).status();
            let gone = (0..100).any(|_| {
                pause();
                child.try_wait().is_ok_and(|status| status.is_some())
            });
            if !gone {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[expect(clippy::disallowed_methods, reason = "other processes are in real time")]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < Duration::from_secs(60), "in vain until {what}");
        pause();
    }
}

#[expect(clippy::disallowed_methods, reason = "other processes are in real time")]
pub(crate) fn pause() {
    std::thread::sleep(Duration::from_millis(50));
}

pub(crate) async fn check<C: Checker>(checker: C, server: &Server) -> Result<Report, Failure> {
    let target = Target::new(server.address, Duration::from_secs(5));
    checker.oneshot(target).await.map_err(Into::into)
}

/// The cause of a failure, and what it says.
pub(crate) async fn failure<C: Checker>(checker: C, server: &Server) -> (&'static str, String) {
    match check(checker, server).await {
        Ok(report) => panic!("it passed: {report:?}"),
        Err(failure) => (failure.cause(), failure.to_string()),
    }
}

pub(crate) fn is_root() -> bool {
    std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap()) == 0
}

/// The numbers of a user and its group.
fn lookup(user: &str) -> Option<(u32, u32)> {
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let line = users.lines().find(|line| line.split(':').next() == Some(user))?;
    let mut fields = line.split(':').skip(2).map(|field| field.parse().unwrap());
    fields.next().zip(fields.next())
}

/// A certificate for localhost, and its key, both PEM.
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Identity {
    /// With an RSA key, since OpenSMTPD cannot sign with another.
    pub(crate) fn new() -> Self {
        let files = Server::prepare("identity", "root");
        let (key, certificate) = (files.file("key.pem"), files.file("certificate.pem"));
        let what = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"];
        let whose = [
            "-subj=/CN=localhost",
            "-addext=subjectAltName=DNS:localhost,IP:127.0.0.1",
            "-addext=basicConstraints=critical,CA:FALSE",
        ];
        let whose = whose.iter().flat_map(|option| option.split_once('=')).flat_map(<[_; 2]>::from);
        let files_of = ["-keyout", &key, "-out", &certificate];
        let arguments: Vec<_> = what.into_iter().chain(whose).chain(files_of).collect();
        files.run("/usr/bin/openssl", &arguments);
        let read = |path| std::fs::read_to_string(path).unwrap();
        Self { certificate: read(certificate), key: read(key) }
    }
}
