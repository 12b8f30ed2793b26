//! The daemon under test.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{Answer, Backend, Folder, LOOK_AGAIN, PATIENCE, Port, eventually, get, post, until};

/// The program.
pub(crate) fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tcp-lb"));
    command.env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

/// What the program says to these arguments, if it ends by itself.
pub(crate) fn arguments(arguments: &[&str]) -> Output {
    let mut child =
        binary().args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + PATIENCE;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("{arguments:?} does not end: {:?}", child.wait_with_output());
        }
        thread::sleep(LOOK_AGAIN);
    }
    child.wait_with_output().unwrap()
}

/// The exit code of a run on a configuration that is refused, and what it says on stderr.
pub(crate) fn first_words(config: &str) -> (Option<i32>, String) {
    let folder = Folder::new();
    let path = folder.write("lb.toml", config);
    let output = arguments(&["--config", path.to_str().unwrap()]);
    assert!(output.stdout.is_empty(), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), said.replace(&format!("{}/", folder.path().display()), ""))
}

/// A running daemon; killed when this is dropped.
pub(crate) struct Balancer {
    child: Child,
    folder: Folder,
    admin: Port,
    log: Arc<Mutex<Vec<String>>>,
}

impl Balancer {
    /// Starts it, with an admin address, and waits until that answers.
    pub(crate) fn start(config: &str) -> Self {
        Self::start_with(config, |_, path| {
            let mut command = binary();
            command.arg("--config").arg(path);
            command
        })
    }

    /// As [`start`](Self::start), with arguments more.
    pub(crate) fn start_and(config: &str, arguments: &[&str]) -> Self {
        Self::start_with(config, |_, path| {
            let mut command = binary();
            command.arg("--config").arg(path).args(arguments);
            command
        })
    }

    /// As [`start`](Self::start), with a command that is made of the configuration's path.
    pub(crate) fn start_with(
        config: &str,
        command: impl FnOnce(&Folder, &Path) -> Command,
    ) -> Self {
        let (folder, admin) = (Folder::new(), Port::free());
        let path = folder.write("lb.toml", &format!("admin = \"{admin}\"\n{config}"));
        let mut child = command(&folder, &path).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::<Mutex<Vec<String>>>::default();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        // Ends with the last one that has the other end, which may be a script that outlives the daemon.
        thread::spawn({
            let log = Arc::clone(&log);
            move || {
                for line in stderr.lines().map_while(Result::ok) {
                    log.lock().unwrap().push(line);
                }
            }
        });
        let mut balancer = Self { child, folder, admin, log };
        eventually("the daemon answers", || {
            if let Some(status) = balancer.child.try_wait().unwrap() {
                panic!("the daemon has ended, {status}:\n{}", balancer.said());
            }
            get(balancer.admin(), "/healthz").ok().filter(|answer| answer.status == 200)
        });
        balancer
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) const fn admin(&self) -> SocketAddr {
        self.admin.address()
    }

    pub(crate) fn folder(&self) -> &Folder {
        &self.folder
    }

    pub(crate) fn config_path(&self) -> PathBuf {
        self.folder.file("lb.toml")
    }

    /// `/status`.
    pub(crate) fn status(&self) -> Value {
        let answer = get(self.admin(), "/status").unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        serde_json::from_str(&answer.body).unwrap()
    }

    /// The part of the status on a virtual server, `null` if there is none of that name.
    pub(crate) fn server(&self, name: &str) -> Value {
        let status = self.status();
        let mut servers = status["virtual_servers"].as_array().unwrap().iter();
        servers.find(|server| server["name"] == name).cloned().unwrap_or_default()
    }

    /// The part of the status on a backend of a virtual server, `null` if there is none.
    pub(crate) fn backend(&self, server: &str, address: SocketAddr) -> Value {
        let server = self.server(server);
        let backends = server["backends"].as_array().cloned().unwrap_or_default();
        let address = address.to_string();
        backends.into_iter().find(|one| one["address"] == *address).unwrap_or_default()
    }

    /// The state of a backend.
    pub(crate) fn state(&self, server: &str, backend: &Backend) -> String {
        let report = self.backend(server, backend.address());
        report["state"].as_str().unwrap_or("absent").to_owned()
    }

    /// Waits until a backend is in a state.
    pub(crate) fn until_state(&self, server: &str, backend: &Backend, state: &str) {
        until(&format!("{} is {state}", backend.name()), || self.state(server, backend) == state);
    }

    /// Waits until every backend of every virtual server is up.
    pub(crate) fn until_all_up(&self) {
        until("all backends are up", || {
            let status = self.status();
            let servers = status["virtual_servers"].as_array().unwrap();
            let mut backends = servers.iter().flat_map(|one| one["backends"].as_array().unwrap());
            backends.all(|backend| backend["state"] == "up")
        });
    }

    /// Waits until nobody is connected to a virtual server.
    pub(crate) fn until_idle(&self, server: &str) {
        until("no connection is open", || self.server(server)["open_connections"] == 0);
    }

    /// How many connections each of these was ever assigned.
    pub(crate) fn totals<const N: usize>(&self, server: &str, backends: [&Backend; N]) -> [u64; N] {
        backends.map(|backend| {
            self.backend(server, backend.address())["connections_total"].as_u64().unwrap()
        })
    }

    /// Waits until exactly so many bytes were counted: they are passed on first, then counted.
    pub(crate) fn until_bytes(&self, server: &str, backend: &Backend, to: usize, from: usize) {
        until(&format!("{to} bytes to and {from} from {}", backend.name()), || {
            let report = self.backend(server, backend.address());
            report["bytes_in"] == to && report["bytes_out"] == from
        });
    }

    /// An order to a backend.
    pub(crate) fn order(&self, server: &str, backend: &Backend, what: &str, body: &str) -> Answer {
        let address = backend.address();
        let path = format!("/virtual_servers/{server}/backends/{address}/{what}");
        post(self.admin(), &path, body).unwrap()
    }

    /// Replaces the configuration and waits until it is taken over.
    pub(crate) fn reload(&self, config: &str) {
        let before = self.lines_with("configuration taken over").len();
        self.offer(config);
        until("the configuration is taken over", || {
            assert!(self.lines_with("the configuration stays").is_empty(), "{}", self.said());
            self.lines_with("configuration taken over").len() > before
        });
    }

    /// Replaces the configuration and waits until it is refused; what is said about it.
    pub(crate) fn reload_in_vain(&self, config: &str) -> String {
        let before = self.log().len();
        self.offer(config);
        eventually("the configuration is refused", || {
            let log = self.log();
            let at = log[before..].iter().position(|line| line.contains("configuration stays"))?;
            Some(log[before + at..].join("\n"))
        })
    }

    /// Replaces the configuration and tells the daemon.
    pub(crate) fn offer(&self, config: &str) {
        self.folder.write("lb.toml", &format!("admin = \"{}\"\n{config}", self.admin));
        self.signal(Signal::HUP);
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        kill_process(id, signal).unwrap();
    }

    /// Waits until it has ended by itself.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        eventually("the daemon ends", || self.child.try_wait().unwrap())
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Every line of its log so far.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    pub(crate) fn said(&self) -> String {
        self.log().join("\n")
    }

    /// The lines of the log that contain a text.
    pub(crate) fn lines_with(&self, text: &str) -> Vec<String> {
        self.log().into_iter().filter(|line| line.contains(text)).collect()
    }

    /// Waits for a line of the log that contains all of these.
    pub(crate) fn until_logged(&self, texts: &[&str]) -> String {
        eventually(&format!("{texts:?} in the log"), || {
            self.log().into_iter().find(|line| texts.iter().all(|text| line.contains(text)))
        })
    }

    /// Its resident memory in kilobytes.
    pub(crate) fn resident_kilobytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// The processor time that it has used, in clock ticks, 100 per second.
    pub(crate) fn processor_ticks(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id())).unwrap();
        // Behind the name, which may contain anything: fields 14 and 15 of `proc(5)`.
        let fields: Vec<_> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }

    /// How many descriptors it has open.
    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.id())).unwrap().count()
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("--- the daemon said:\n{}\n---", self.said());
        }
    }
}
