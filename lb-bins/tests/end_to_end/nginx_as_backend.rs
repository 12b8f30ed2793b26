//! A real web server behind the balancer. Ignored, because it must be installed.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::*;

const PROGRAM: &str = "/usr/sbin/nginx";

/// Whether nginx is there. Where everything is expected to be, it must be.
pub(crate) fn is_installed() -> bool {
    let installed = Path::new(PROGRAM).exists();
    if !installed {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{PROGRAM} is missing");
        eprintln!("skipped: {PROGRAM} is missing");
    }
    installed
}

/// An nginx of the test's own, with a page `/alive` and one with its name.
pub(crate) struct Nginx {
    child: Option<Child>,
    folder: Folder,
    port: Port,
    /// What else there is in its `http`.
    beside: String,
}

impl Nginx {
    pub(crate) fn start() -> Self {
        Self::start_with(String::new())
    }

    /// With this in its `http` as well.
    pub(crate) fn start_with(beside: String) -> Self {
        let mut nginx = Self { child: None, folder: Folder::new(), port: Port::free(), beside };
        nginx.revive();
        nginx
    }

    pub(crate) const fn port(&self) -> &Port {
        &self.port
    }

    fn configure(&self, generation: u32) {
        let (folder, port, beside) = (self.folder.path().display(), &self.port, &self.beside);
        self.folder.write(
            "nginx.conf",
            &format!(
                r#"
                daemon off;
                worker_processes 2;
                pid {folder}/nginx.pid;
                error_log {folder}/error.log;
                events {{ worker_connections 512; }}
                http {{
                    access_log off;
                    client_body_temp_path {folder};
                    proxy_temp_path {folder};
                    fastcgi_temp_path {folder};
                    uwsgi_temp_path {folder};
                    scgi_temp_path {folder};
                    server {{
                        listen {port};
                        location = /alive {{ return 200 "alive\n"; }}
                        location / {{ return 200 "{port} {generation}\n"; }}
                    }}
                    {beside}
                }}
                "#
            ),
        );
    }

    fn revive(&mut self) {
        self.configure(1);
        let child = Command::new(PROGRAM)
            .arg("-c")
            .arg(self.folder.file("nginx.conf"))
            .arg("-e")
            .arg(self.folder.file("error.log"))
            .stdin(Stdio::null())
            .spawn();
        self.child = Some(child.unwrap());
        until("nginx answers", || get(self.port.address(), "/alive").is_ok());
    }

    /// Replaces its workers while they serve.
    fn reload(&self, generation: u32) {
        self.configure(generation);
        self.signal(Signal::HUP);
        until("nginx has reloaded", || {
            get(self.port.address(), "/").is_ok_and(|page| page.body == self.page(generation))
        });
    }

    fn page(&self, generation: u32) -> String {
        format!("{} {generation}\n", self.port)
    }

    /// Like a power cut: the master first, so that it revives no worker.
    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let of_it =
                Command::new("/usr/bin/pgrep").arg("-P").arg(child.id().to_string()).output();
            let workers = of_it.map(|output| String::from_utf8(output.stdout).unwrap());
            child.kill().unwrap();
            child.wait().unwrap();
            for worker in workers.unwrap_or_default().lines() {
                let worker = worker.parse().ok().and_then(Pid::from_raw);
                let _ = worker.map(|worker| kill_process(worker, Signal::KILL));
            }
        }
    }

    fn signal(&self, signal: Signal) {
        let id = self.child.as_ref().unwrap().id();
        kill_process(Pid::from_raw(id.try_into().unwrap()).unwrap(), signal).unwrap();
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.kill();
    }
}

#[test]
#[ignore = "needs nginx"]
fn nginx_is_checked_reloaded_killed_and_revived_under_load() {
    if !is_installed() {
        return;
    }
    let (web, mut first, second) = (Port::free(), Nginx::start(), Nginx::start());
    // The digest of "alive\n".
    let check = r#"check = { type = "http", path = "/alive", md5 = "4e5dc3caa06fa07c79bc3ba5e62ff86b", interval = "100ms", timeout = "10s", rise = 1, fall = 2 }"#;
    let list = format!(
        r#"backend = [{{ address = "{}" }}, {{ address = "{}" }}]"#,
        first.port, second.port
    );
    let balancer = Balancer::start(&server("web", &web, &[r#"scheduler = "rr""#, check, &list]));
    balancer.until_all_up();
    let load = Load::start_with(web.address(), |to| {
        let answer = get(to, "/")?;
        if answer.status == 200 { Ok(()) } else { Err(std::io::Error::other(answer.body)) }
    });
    load.serve(100);
    for generation in 2..5 {
        first.reload(generation);
        load.serve(100);
    }
    let state = |nginx: &Nginx| balancer.backend("web", nginx.port.address())["state"].clone();
    assert!(balancer.lines_with("up → down").is_empty(), "a reload is no death");

    first.kill();
    until("it is down", || state(&first) == "down");
    // Requests that it had accepted died with it.
    load.forgive();
    load.serve(100);
    first.revive();
    until("it is up", || state(&first) == "up");
    load.serve(100);
    until("it serves again", || get(web.address(), "/").unwrap().body == first.page(1));
    load.stop();
    assert_eq!(state(&second), "up");
}
