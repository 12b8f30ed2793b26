//! A pair of directors: each keeps an address, balances on it, and gives it up when it has nobody to
//! send clients to.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::daemon::{Daemon, run_ours};
use crate::lab::{Host, Lab, MS, fetch, is_possible, status};

const SECOND: Duration = Duration::from_secs(1);

fn config(priority: u8, more: &str) -> String {
    format!(
        r#"
admin = "127.0.0.1:9900"

[[vrrp_instance]]
name = "web"
interface = "eth0"
virtual_router_id = 51
priority = {priority}
advert_interval = "100ms"
addresses = ["10.99.0.200/24"]
track_quorums = ["web"]

[[virtual_server]]
name = "web"
listen = "10.99.0.200:80"
check = {{ type = "tcp", interval = "100ms", rise = 1, fall = 1 }}
[[virtual_server.backend]]
address = "127.0.0.1:9001"

[[virtual_server]]
name = "own"
listen = "127.0.0.1:81"
[[virtual_server.backend]]
address = "127.0.0.1:9001"
{more}"#
    )
}

/// Says its name to everybody, and waits for the end.
struct Server {
    is_over: Arc<AtomicBool>,
    address: SocketAddr,
    space: String,
}

impl Server {
    fn start(space: &str, name: &'static str) -> Self {
        let address: SocketAddr = "127.0.0.1:9001".parse().unwrap();
        let listener = Lab::inside(space, || TcpListener::bind(address).unwrap());
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                thread::spawn(move || {
                    let _ = (&stream).write_all(format!("{name}\n").as_bytes());
                    let _ = (&stream).read_to_end(&mut Vec::new());
                });
            }
        });
        Self { is_over, address, space: space.to_owned() }
    }

    /// Nobody listens any more when this returns.
    fn stop(self) {
        self.is_over.store(true, Ordering::Relaxed);
        Lab::inside(&self.space, || {
            while TcpStream::connect(self.address).is_ok() {
                thread::sleep(MS);
            }
        });
    }
}

/// Who answers, and the connection.
fn ask(space: &str, address: &str) -> Option<(String, TcpStream)> {
    let address = address.parse().unwrap();
    let stream = Lab::inside(space, || TcpStream::connect_timeout(&address, SECOND)).ok()?;
    stream.set_read_timeout(Some(SECOND)).unwrap();
    let mut line = String::new();
    BufReader::new(&stream).read_line(&mut line).ok()?;
    Some((line.trim_end().to_owned(), stream))
}

fn answers(lab: &Lab, who: &str) -> bool {
    ask(&lab.client(), "10.99.0.200:80").is_some_and(|(name, _)| name == who)
}

#[test]
#[ignore = "needs root"]
fn the_address_is_where_clients_are_served() {
    if !is_possible() {
        return;
    }
    let lab = Lab::new();
    let (a_space, b_space) = (lab.space(Host::A), lab.space(Host::B));
    let (in_a, _in_b) = (Server::start(&a_space, "a"), Server::start(&b_space, "b"));
    let a = run_ours(&lab, Host::A, &config(200, ""));
    let b = run_ours(&lab, Host::B, &config(100, ""));
    lab.until(8 * SECOND, "A serves", || answers(&lab, "a"));
    lab.until(SECOND, "B listens, though the address is elsewhere", || {
        status(&b_space)["virtual_servers"][0]["quorum"]["up"] == true
    });

    // One place for both halves.
    let everything = status(&a_space);
    assert_eq!(everything["vrrp_instances"][0]["state"], "MASTER", "{everything}");
    assert_eq!(everything["virtual_servers"][0]["name"], "web", "{everything}");
    assert_eq!(everything["tracked"][0]["type"], "quorum", "{everything}");
    assert_eq!(everything["tracked"][0]["state"], "up", "{everything}");
    let get = |path: &str| fetch(&a_space, &[&format!("http://127.0.0.1:9900/{path}")]);
    let metrics = get("metrics");
    for line in ["lb_vrrp_instance_priority{", "lb_virtual_server_quorum_up{"] {
        assert!(metrics.contains(line), "{metrics}");
    }
    assert_eq!(metrics.matches("# EOF").count(), 1, "{metrics}");
    assert!(get("explain/web/127.0.0.1:9001").contains("All of its checks pass."));
    let order = |what: &str| {
        let path = "http://127.0.0.1:9900/virtual_servers/web/backends/127.0.0.1:9001";
        fetch(&a_space, &["-X", "POST", &format!("{path}/{what}")])
    };
    assert_eq!(order("enable"), "done\n");
    assert!(get("").contains("switchover") && get("").contains("drain"));

    // What hurries does not hurry the others.
    let niceness = |thread: &std::path::Path| {
        let stat = std::fs::read_to_string(thread.join("stat")).unwrap();
        let name = std::fs::read_to_string(thread.join("comm")).unwrap();
        let nice = stat.rsplit(") ").next().unwrap().split(' ').nth(16).unwrap().to_owned();
        (name.trim_end().to_owned(), nice)
    };
    let threads = std::fs::read_dir(a.path("task")).unwrap().flatten();
    let threads: Vec<_> = threads.map(|thread| niceness(&thread.path())).collect();
    let is_so = |name: &str, nice: &str| {
        let mut named = threads.iter().filter(|(known, _)| known.starts_with(name)).peekable();
        named.peek().is_some() && named.all(|(_, known)| known == nice)
    };
    assert!(is_so("vip-keeper", "-20"), "{threads:?}");
    assert!(is_so("worker-", "0") && is_so("beside", "0"), "{threads:?}");
    let kept = (1 << 10) | (1 << 12) | (1 << 13);
    assert!(a.proc("status").contains(&format!("CapPrm:\t{kept:016x}")), "{}", a.proc("status"));

    // Whoever wants the same does not get half of it.
    let clash = Command::new("ip")
        .args(["netns", "exec", &a_space, env!("CARGO_BIN_EXE_tcp-lb"), "--config"])
        .arg(lab.files.join("a.toml"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&clash.stderr).into_owned();
    assert_eq!(clash.status.code(), Some(2), "{said}");
    assert!(said.contains("another program listens there already"), "{said}");

    // The address follows those who serve.
    in_a.stop();
    lab.until(5 * SECOND, "B serves", || answers(&lab, "b"));
    assert_eq!(status(&a_space)["vrrp_instances"][0]["state"], "FAULT");
    let in_a = Server::start(&a_space, "a");
    lab.until(5 * SECOND, "A serves again", || answers(&lab, "a"));

    one_reload_is_for_both_halves(&lab, &a, &a_space);

    // Clients find B, those of A may end what they began.
    let (_, connection) = ask(&a_space, "127.0.0.1:81").unwrap();
    a.tell_to_stop();
    lab.until(2 * SECOND, "B serves after A", || answers(&lab, "b"));
    lab.until(2 * SECOND, "A takes nobody any more", || ask(&a_space, "127.0.0.1:81").is_none());
    assert!(a.is_running(), "there is a connection");
    drop(connection);
    // Not before `drain_timeout`, if it had taken a client in the last moment, whose end went to B.
    lab.until(40 * SECOND, "A ends", || !a.is_running());
    in_a.stop();
    b.tell_to_stop();
    b.wait();
}

fn one_reload_is_for_both_halves(lab: &Lab, a: &Daemon, space: &str) {
    let priority = || status(space)["vrrp_instances"][0]["base_priority"].clone();
    let servers = || status(space)["virtual_servers"].as_array().map(Vec::len);
    let another = |listen: &str| {
        format!(
            "\n[[virtual_server]]\nlisten = \"{listen}\"\n[[virtual_server.backend]]\n\
             address = \"127.0.0.1:9001\"\n"
        )
    };
    let log = || std::fs::read_to_string(lab.files.join("a.log")).unwrap();
    let refused = || log().matches("the configuration stays as it was").count();
    // The balancer cannot: nor does the keeper.
    a.reload_text(&config(190, &another("127.0.0.1:9001")));
    lab.until(2 * SECOND, "a port is in use", || refused() == 1);
    assert_eq!((priority(), servers()), (200.into(), Some(2)));
    // The keeper cannot: nor does the balancer.
    let nowhere = "\nnotify_fifo = \"/proc/nowhere\"\n";
    a.reload_text(&format!("{nowhere}{}", config(190, &another("127.0.0.1:82"))));
    lab.until(2 * SECOND, "there can be no pipe", || refused() == 2);
    assert_eq!((priority(), servers()), (200.into(), Some(2)));
    assert!(ask(space, "127.0.0.1:82").is_none());
    a.reload_text(&config(190, &another("127.0.0.1:82")));
    lab.until(2 * SECOND, "both change", || (priority(), servers()) == (190.into(), Some(3)));
    lab.until(2 * SECOND, "it accepts", || ask(space, "127.0.0.1:82").is_some());
    // The last virtual server but one that was added goes again, and no client of others notices.
    a.reload_text(&config(190, ""));
    lab.until(2 * SECOND, "it is gone", || ask(space, "127.0.0.1:82").is_none());
    assert!(answers(lab, "a"));
}

/// A reload brings virtual servers to a process that had none, and takes them away again.
#[test]
#[ignore = "needs root"]
fn virtual_servers_come_and_go_with_reloads() {
    if !is_possible() {
        return;
    }
    let lab = Lab::new();
    let space = lab.space(Host::A);
    let _in_a = Server::start(&space, "a");
    let both = config(255, "");
    let alone = both.split("[[virtual_server]]").next().unwrap().replace("track_quorums", "#");
    let a = run_ours(&lab, Host::A, &alone);
    lab.until(5 * SECOND, "an owner", || lab.holds(Host::A, "10.99.0.200"));
    let order = "http://127.0.0.1:9900/virtual_servers/web/backends/127.0.0.1:9001/drain";
    assert_eq!(fetch(&space, &["-X", "POST", order]), "there is no virtual server\n");
    let count = || status(&space)["virtual_servers"].as_array().map(Vec::len);
    assert_eq!(count(), Some(0));
    let became = || status(&space)["vrrp_instances"][0]["counters"]["became_master"].clone();

    // Without the quorum it has no address, and with it the address again.
    a.reload_text(&both.replace(":80\"", ":8080\"").replace(":81\"", ":8081\""));
    lab.until(2 * SECOND, "they are there", || count() == Some(2));
    let at = |port: u16| ask(&lab.client(), &format!("10.99.0.200:{port}")).is_some();
    lab.until(5 * SECOND, "the address serves", || at(8080));
    // It was started without the right to a low port.
    let log = || std::fs::read_to_string(lab.files.join("a.log")).unwrap();
    a.reload_text(&both);
    let why = "ports below 1024 need root or CAP_NET_BIND_SERVICE";
    lab.until(2 * SECOND, "it says why not", || log().contains(why));
    assert!(at(8080));
    let before = became();
    a.reload_text(&alone);
    lab.until(2 * SECOND, "they are gone", || count() == Some(0) && !at(8080));
    assert_eq!(became(), before);
    assert!(lab.holds(Host::A, "10.99.0.200"));
    a.tell_to_stop();
    a.wait();
}

/// An API of a cloud that has an address given back to it, and answers that when it is told to.
struct SlowApi {
    is_asked: Arc<AtomicBool>,
    may_answer: Arc<AtomicBool>,
}

impl SlowApi {
    fn start(lab: &Lab) -> Self {
        let listener = Lab::inside(&lab.client(), || TcpListener::bind("10.99.0.3:8080").unwrap());
        let (is_asked, may_answer) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let api = Self { is_asked: Arc::clone(&is_asked), may_answer: Arc::clone(&may_answer) };
        thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let mut line = String::new();
                BufReader::new(&stream).read_line(&mut line).unwrap();
                if line.starts_with("POST /release ") {
                    is_asked.store(true, Ordering::Relaxed);
                    while !may_answer.load(Ordering::Relaxed) {
                        thread::sleep(MS);
                    }
                }
                let answer = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\nConnection: close\r\n\r\n";
                let _ = stream.write_all(format!("{answer}{{\"id\":1}}").as_bytes());
            }
        });
        api
    }
}

/// A reload for which somebody has to leave first is no break for those who are served.
#[test]
#[ignore = "needs root"]
fn the_balancer_decides_while_a_reload_takes_its_time() {
    if !is_possible() {
        return;
    }
    let lab = Lab::new();
    let space = lab.space(Host::A);
    let in_a = Server::start(&space, "a");
    let api = SlowApi::start(&lab);
    let floating = r#"
[[vrrp_instance]]
name = "floating"
interface = "eth0"
virtual_router_id = 52
priority = 255
addresses = ["10.99.0.201/24"]

[vrrp_instance.claim]
timeout = "60s"

[vrrp_instance.claim.http]
url = "http://10.99.0.3:8080/claim"
holder = { url = "http://10.99.0.3:8080/holder", pointer = "/id", value = "1" }
release = { url = "http://10.99.0.3:8080/release" }
"#;
    let a = run_ours(&lab, Host::A, &config(255, floating));
    let get = |path: &str| fetch(&space, &["-m", "2", &format!("http://127.0.0.1:9900/{path}")]);
    lab.until(8 * SECOND, "it is claimed", || get("status").contains("\"claimed\":true"));
    lab.until(8 * SECOND, "A serves", || answers(&lab, "a"));
    let log = || std::fs::read_to_string(lab.files.join("a.log")).unwrap();

    a.reload_text(&config(255, ""));
    lab.until(8 * SECOND, "it is given back", || api.is_asked.load(Ordering::Relaxed));
    in_a.stop();
    let state = || status(&space)["virtual_servers"][0]["backends"][0]["state"].clone();
    lab.until(8 * SECOND, "the backend is down", || state() == "down");
    assert_eq!(get("healthz"), "ok\n");
    assert!(lab.holds(Host::A, "10.99.0.201"), "it has left too early");
    assert!(!log().contains("configuration taken over"), "{}", log());
    api.may_answer.store(true, Ordering::Relaxed);
    lab.until(8 * SECOND, "it is taken over", || log().contains("configuration taken over"));
    lab.until(8 * SECOND, "it has left", || !lab.holds(Host::A, "10.99.0.201"));

    // Nobody leaves for what is refused.
    api.is_asked.store(false, Ordering::Relaxed);
    a.reload_text(&config(255, floating));
    lab.until(8 * SECOND, "it is claimed again", || get("status").contains("\"claimed\":true"));
    let in_use = "[[virtual_server]]\nlisten = \"10.99.0.3:80\"\n[[virtual_server.backend]]\n\
        address = \"127.0.0.1:9001\"\n";
    a.reload_text(&config(255, in_use));
    lab.until(8 * SECOND, "it is refused", || log().contains("stays as it was"));
    assert!(!api.is_asked.load(Ordering::Relaxed), "it has left for nothing");
    assert!(get("status").contains("\"claimed\":true"));
}

/// Scripts of checks run no more at once here than they may in a balancer alone.
#[test]
#[ignore = "needs root"]
fn scripts_of_checks_wait_for_their_turn() {
    if !is_possible() {
        return;
    }
    let lab = Lab::new();
    let files = lab.files.display();
    // Whoever finds a directory there is not alone.
    let line = format!(
        "mkdir {files}/turn || touch {files}/crowd; sleep 0.05; rmdir {files}/turn; echo >> {files}/runs"
    );
    let check = format!(
        "check = {{ type = \"script\", command = [\"/bin/sh\", \"-c\", \"{line}\"], interval = \"50ms\" }}\n"
    );
    let backends: String = (1..=4)
        .map(|port| format!("[[virtual_server.backend]]\naddress = \"127.0.0.1:{port}\"\n{check}"))
        .collect();
    let instance = config(255, "");
    let instance = instance.split("[[virtual_server]]").next().unwrap();
    let instance = instance.replace("track_quorums", "#");
    let server = format!("[[virtual_server]]\nlisten = \"127.0.0.1:82\"\n{backends}");
    let _a = run_ours(&lab, Host::A, &format!("max_scripts = 1\n{instance}{server}"));
    let runs = || std::fs::read_to_string(lab.files.join("runs")).unwrap_or_default().len();
    lab.until(20 * SECOND, "each has run several times", || runs() >= 20);
    assert!(!lab.files.join("crowd").exists(), "two ran at once");
}
