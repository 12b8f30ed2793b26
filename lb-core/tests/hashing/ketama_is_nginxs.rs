//! `ketama` sends every key to whom nginx sends it, and on to whom nginx sends it next: against a
//! running nginx, and against what one answered.
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::support;

use std::fmt::Write as _;
use std::io::{self, Read, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use std::{env, fs, process, thread};

use lb_core::backend::BackendId;
use lb_core::scheduler::{Ketama, ketama_hash};
use lb_core::{Backend, Flow, Pool, Weight};
use support::{Zeros, start};

/// Nobody listens there, so that nginx goes through all of them.
const SERVERS: [(&str, u16); 6] = [
    ("127.0.0.1:1", 1),
    ("127.0.0.2:1", 3),
    ("127.0.0.1:2", 2),
    ("127.0.0.3:65535", 1),
    ("[::1]:3", 2),
    ("127.0.0.4:4", 1),
];

fn pool() -> Pool<()> {
    let members = SERVERS.iter().zip(0..).map(|(&(name, weight), id)| {
        (Arc::new(Backend::new(BackendId::new(id), name, ())), Weight::new(weight))
    });
    Pool::new(members.collect::<Vec<_>>(), &Ketama::new())
}

/// Of those that are asked for `key`, one after the other, the first `count`.
fn asked(pool: &Pool<()>, key: &str, count: usize) -> Vec<String> {
    let (mut names, mut tried) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let flow = Flow::new(ketama_hash(key.as_bytes())).retried(&tried);
        let chosen = pool.pick(&flow, &mut Zeros).unwrap();
        names.push(chosen.name().to_owned());
        tried.push(chosen.id());
    }
    names
}

/// What nginx 1.22.1 answered for the keys `/0`, `/1` and so on: the place in the list of whom it asked
/// first and second.
const ANSWERS: &str = "\
    41 21 12 24 42 51 40 13 21 30 41 32 13 42 34 30 \
    02 32 42 14 41 13 12 10 52 12 14 30 34 23 42 14 \
    01 51 02 52 04 34 34 14 41 04 13 54 40 42 51 21 \
    42 23 21 50 25 41 24 14 53 04 43 45 54 13 15 01";

#[test]
fn it_is_what_nginx_answered() {
    let pool = pool();
    let place = |name: &String| SERVERS.iter().position(|(server, _)| server == name).unwrap();
    let mut answers = String::new();
    for number in 0..64 {
        let asked = asked(&pool, &format!("/{number}"), 2);
        write!(answers, "{}{} ", place(&asked[0]), place(&asked[1])).unwrap();
    }
    assert_eq!(answers.trim_end(), ANSWERS);
}

/// What pingora-ketama is held to as well: a thousand answers that Cloudflare has recorded of nginx.
const TRACE: &str = include_str!("../data/sample-nginx-upstream.csv");

#[test]
fn it_is_what_the_published_trace_says() {
    let members = (1..10).map(|number| {
        let name = format!("10.0.0.{number}:443");
        (Arc::new(Backend::new(BackendId::new(number), name, ())), Weight::new(100))
    });
    let pool = Pool::new(members, &Ketama::new());
    let answers = TRACE.lines().filter_map(|line| line.split_once(','));
    for (key, server) in answers.clone() {
        assert_eq!(asked(&pool, key, 1), [server], "{key}");
    }
    assert_eq!(answers.count(), 1001);
}

/// A child, in a folder of its own; both go when it is dropped.
struct Nginx {
    child: Child,
    folder: PathBuf,
    address: SocketAddr,
}

impl Nginx {
    fn run() -> io::Result<Self> {
        let folder = env::temp_dir().join(format!("ketama-is-nginxs-{}", process::id()));
        fs::create_dir_all(&folder)?;
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let mut servers = String::new();
        for (name, weight) in SERVERS {
            writeln!(servers, "server {name} weight={weight} max_fails=0;").unwrap();
        }
        let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {kind};\n"))
            .concat();
        let configuration = format!(
            "daemon off; master_process off; pid pid; error_log stderr crit;
            events {{}}
            http {{
                access_log off;
                {paths}
                upstream servers {{ hash $arg_key consistent; {servers} }}
                server {{
                    listen {address};
                    location / {{
                        proxy_pass http://servers;
                        add_header X-Asked $upstream_addr always;
                    }}
                }}
            }}"
        );
        fs::write(folder.join("nginx.conf"), configuration)?;
        let child = Command::new("nginx")
            .arg("-p")
            .arg(&folder)
            .args(["-e", "stderr", "-c", "nginx.conf"])
            .stdin(Stdio::null())
            .spawn()?;
        Ok(Self { child, folder, address })
    }

    /// Until it listens.
    #[expect(clippy::disallowed_methods, reason = "another process takes its time to start")]
    fn connect(&mut self) -> TcpStream {
        let started = start();
        loop {
            match TcpStream::connect(self.address) {
                Ok(stream) => return stream,
                Err(error) => {
                    let ended = self.child.try_wait().unwrap();
                    assert!(ended.is_none(), "nginx ended: {ended:?}");
                    assert!(started.elapsed() < Duration::from_secs(10), "{error}");
                    thread::sleep(Duration::from_millis(10));
                }
            }
        }
    }

    /// The servers that it asks for `key`.
    fn asked(&mut self, key: &str) -> Vec<String> {
        let mut stream = self.connect();
        write!(stream, "GET /?key={key} HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let line = answer.lines().find_map(|line| line.strip_prefix("X-Asked: "));
        line.unwrap_or_else(|| panic!("{answer}")).split(", ").map(str::to_owned).collect()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // It may have ended by itself; and what is left behind is in a folder for such things.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[test]
#[ignore = "needs nginx"]
fn it_is_what_nginx_answers() {
    let (pool, mut nginx) = (pool(), Nginx::run().unwrap());
    let (mut keys, mut redispatched) = (0, 0);
    let numbers = (0..700).map(|number| format!("/{number}"));
    let words = (0..100_u64).map(|number| format!("k{:x}", number.pow(5) * 7919));
    for key in numbers.chain(words).chain(["a".repeat(300)]) {
        let asked_by_nginx = nginx.asked(&key);
        // When it has looked at 20 points it takes turns instead: not before the third server, as
        // the first two own less than half of the points.
        let sure = asked_by_nginx.len().min(3);
        assert_eq!(asked(&pool, &key, sure), asked_by_nginx[..sure], "{key}");
        keys += 1;
        redispatched += sure - 1;
    }
    assert!(keys > 800 && redispatched > 800, "{keys} keys, {redispatched} more tries");
}
