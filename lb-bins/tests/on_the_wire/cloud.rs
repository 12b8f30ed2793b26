//! Floating addresses, claimed by HTTP calls of a cloud that behaves like DigitalOcean: what it is asked
//! to do it does later, it does one thing at a time, and it does not want to be asked too often.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::daemon::{Daemon, run_ours};
use crate::lab::{Host, Lab, MS, fetch, has, is_possible};
use crate::probe::Sniffer;

const ADDRESS: &str = "10.99.0.200";
const TOKEN: &str = "t0ken";
const PATIENCE: Duration = Duration::from_secs(60);
/// What it takes to move an address.
const MOVING: Duration = Duration::from_millis(700);

/// A call, and what was answered.
#[derive(Clone, Debug)]
struct Called {
    at: Instant,
    method: String,
    by: Option<u64>,
    status: u16,
}

#[derive(Debug, Default)]
struct Cloud {
    holder: Option<u64>,
    /// What is under way: from when on who has it.
    action: Option<(Instant, Option<u64>)>,
    newest: u64,
    calls: Vec<Called>,
    /// This many calls fail.
    broken: usize,
    /// Until then nobody is to ask.
    limited: Option<Instant>,
    /// Calls for this droplet are late.
    late: Option<(u64, Duration)>,
}

impl Cloud {
    fn settle(&mut self) {
        if let Some((at, holder)) = self.action
            && at <= Instant::now()
        {
            (self.action, self.holder) = (None, holder);
        }
    }

    fn answer(&mut self, request: &Request) -> (u16, String) {
        self.settle();
        if request.headers.get("authorization") != Some(&format!("Bearer {TOKEN}")) {
            return (401, r#"{"id":"unauthorized"}"#.to_owned());
        }
        if self.broken > 0 {
            self.broken -= 1;
            return (500, r#"{"id":"server_error"}"#.to_owned());
        }
        if self.limited.is_some_and(|until| Instant::now() < until) {
            return (429, r#"{"id":"too_many_requests"}"#.to_owned());
        }
        let path = format!("/v2/reserved_ips/{ADDRESS}");
        if (request.method.as_str(), &request.path) == ("GET", &path) {
            let droplet = self.holder.map_or("null".to_owned(), |id| format!("{{\"id\":{id}}}"));
            let locked = self.action.is_some();
            let ip = format!("{{\"ip\":\"{ADDRESS}\",\"droplet\":{droplet},\"locked\":{locked}}}");
            return (200, format!("{{\"reserved_ip\":{ip}}}"));
        }
        assert_eq!((request.method.as_str(), &request.path), ("POST", &format!("{path}/actions")));
        let generation = request.headers["x-generation"].parse().unwrap();
        if generation < self.newest {
            return (409, r#"{"id":"conflict"}"#.to_owned());
        }
        if self.action.is_some() {
            return (422, r#"{"id":"unprocessable_entity"}"#.to_owned());
        }
        self.newest = generation;
        let holder = match request.body["type"].as_str() {
            Some("assign") => request.body["droplet_id"].as_u64(),
            Some("unassign") => None,
            other => panic!("{other:?}"),
        };
        self.action = Some((Instant::now() + MOVING, holder));
        (202, r#"{"action":{"id":1,"status":"in-progress"}}"#.to_owned())
    }
}

struct Request {
    method: String,
    path: String,
    headers: HashMap<String, String>,
    body: serde_json::Value,
}

impl Request {
    fn read(stream: &TcpStream) -> Option<Self> {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let mut words = line.split(' ').map(str::to_owned);
        let (method, path) = (words.next()?, words.next()?);
        let mut headers = HashMap::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let body = serde_json::from_slice(&body).unwrap_or_default();
        Some(Self { method, path, headers, body })
    }
}

/// Runs it where the client is.
fn open(lab: &Lab) -> Arc<Mutex<Cloud>> {
    let cloud = Arc::new(Mutex::new(Cloud::default()));
    let listener = Lab::inside(&lab.client(), || TcpListener::bind("10.99.0.3:8080").unwrap());
    let all = Arc::clone(&cloud);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let cloud = Arc::clone(&all);
            thread::spawn(move || serve(&cloud, &mut stream.unwrap()));
        }
    });
    cloud
}

fn serve(cloud: &Mutex<Cloud>, stream: &mut TcpStream) {
    let Some(request) = Request::read(stream) else { return };
    let by = request.body["droplet_id"].as_u64();
    let late = cloud.lock().unwrap().late;
    if let Some((droplet, delay)) = late
        && by == Some(droplet)
    {
        thread::sleep(delay);
    }
    let mut cloud = cloud.lock().unwrap();
    let (status, body) = cloud.answer(&request);
    let method = request.method;
    cloud.calls.push(Called { at: Instant::now(), method, by, status });
    let retry = if status == 429 { "Retry-After: 2\r\n" } else { "" };
    let length = body.len();
    let answer =
        format!("HTTP/1.1 {status} It is so\r\n{retry}Content-Length: {length}\r\n\r\n{body}");
    // Who is master no more does not wait for it.
    let _ = stream.write_all(answer.as_bytes());
}

/// As the manual has it, with another host and a generation.
fn config(lab: &Lab, host: Host, priority: u8, interval: &str) -> String {
    let (droplet, token) = (host.number(), lab.files.join("token"));
    std::fs::write(&token, format!("{TOKEN}\n")).unwrap();
    format!(
        "admin = \"127.0.0.1:9900\"\n[[vrrp_instance]]\nname = \"f\"\ninterface = \"eth0\"\n\
         virtual_router_id = 51\npriority = {priority}\nadvert_interval = \"100ms\"\n\
         addresses = [\"{ADDRESS}/24\"]\n[vrrp_instance.claim]\ninterval = \"{interval}\"\n\
         [vrrp_instance.claim.http]\n\
         url = \"http://10.99.0.3:8080/v2/reserved_ips/{{address}}/actions\"\n\
         headers = {{ Content-Type = \"application/json\", X-Generation = \"{{generation}}\" }}\n\
         body = '{{\"type\":\"assign\",\"droplet_id\":{droplet}}}'\ntoken_file = {token:?}\n\
         holder = {{ url = \"http://10.99.0.3:8080/v2/reserved_ips/{{address}}\", \
         pointer = \"/reserved_ip/droplet/id\", value = \"{droplet}\" }}\n\
         release = {{ url = \"http://10.99.0.3:8080/v2/reserved_ips/{{address}}/actions\", \
         body = '{{\"type\":\"unassign\"}}' }}\n"
    )
}

fn says_claimed(lab: &Lab, host: Host) -> bool {
    let status = fetch(&lab.space(host), &["http://127.0.0.1:9900/status"]);
    status.contains("\"claimed\":true")
}

#[test]
#[ignore = "needs root"]
fn a_cloud_is_asked_as_it_wants_to_be_asked() {
    if !is_possible() {
        return;
    }
    let lab = Lab::new();
    let cloud = open(&lab);
    let now = || {
        let mut cloud = cloud.lock().unwrap();
        cloud.settle();
        cloud
    };
    let calls = |since: Instant| -> Vec<Called> {
        now().calls.iter().filter(|call| call.at >= since).cloned().collect()
    };
    now().broken = 3;
    let start = Instant::now();
    let a = run_ours(&lab, Host::A, &config(&lab, Host::A, 200, "3s"));
    lab.until(PATIENCE, "it is claimed", || says_claimed(&lab, Host::A));
    assert_eq!(now().holder, Some(1), "it was said too early");
    // Longer and longer pauses, and nothing that the cloud had to refuse but what it was busy with.
    let first = calls(start);
    let failed: Vec<_> = first.iter().filter(|call| call.status == 500).collect();
    let pauses: Vec<_> = failed.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
    assert!(pauses[0] >= 490 * MS && pauses[1] >= 990 * MS, "{pauses:?}");
    let posted: Vec<_> =
        first.iter().filter(|call| call.method == "POST").map(|call| call.status).collect();
    assert_eq!(posted[0], 202, "{first:?}");
    assert!(posted[1..].iter().all(|status| *status == 422), "{first:?}");

    // What it has it does not ask for.
    let since = Instant::now();
    thread::sleep(3500 * MS);
    let again = calls(since);
    assert!(!again.is_empty(), "it is looked at again");
    assert!(again.iter().all(|call| call.method == "GET" && call.status == 200), "{again:?}");

    // What somebody took is claimed again, but not as long as the cloud has had enough.
    now().holder = Some(99);
    let until = Instant::now() + 3500 * MS;
    now().limited = Some(until);
    let since = Instant::now();
    lab.until(PATIENCE, "it is back", || now().holder == Some(1));
    let limited: Vec<_> = calls(since).into_iter().filter(|call| call.status == 429).collect();
    let pauses = limited.windows(2).map(|pair| pair[1].at - pair[0].at);
    assert!(!limited.is_empty() && pauses.min().is_none_or(|least| least >= 1990 * MS));
    a.tell_to_stop();
    a.wait();
    let cloud = now();
    assert_eq!(cloud.action.map_or(cloud.holder, |(_, holder)| holder), None, "it is not back");
}

#[test]
#[ignore = "needs root"]
fn who_is_master_has_the_floating_address_and_who_is_late_has_not() {
    if !is_possible() {
        return;
    }
    let lab = Lab::new();
    let cloud = open(&lab);
    let holder = || {
        let mut cloud = cloud.lock().unwrap();
        cloud.settle();
        cloud.holder
    };
    let sniffer = Sniffer::start(&lab.space(Host::B));
    let start = |host: Host, priority: u8| -> Daemon {
        // Nothing of what follows is because an interval is over.
        run_ours(&lab, host, &config(&lab, host, priority, "1h"))
    };
    let a = start(Host::A, 200);
    lab.until(PATIENCE, "the only one has it", || holder() == Some(1));
    let b = start(Host::B, 100);
    thread::sleep(500 * MS);
    assert_eq!(holder(), Some(1), "a backup claims nothing");

    // Both are masters: the one that can be reached has it, until they hear each other.
    lab.connect(Host::A, false);
    lab.until(PATIENCE, "B has it", || holder() == Some(2));
    lab.connect(Host::A, true);
    lab.until(PATIENCE, "A has it back", || holder() == Some(1));

    // The same with a B whose calls are late: it is master no more when they come.
    lab.until(PATIENCE, "A says so", || says_claimed(&lab, Host::A));
    let since = Instant::now();
    cloud.lock().unwrap().late = Some((2, Duration::from_secs(8)));
    lab.connect(Host::A, false);
    lab.until(PATIENCE, "B is master", || lab.holds(Host::B, ADDRESS));
    thread::sleep(300 * MS);
    // Somebody else has it, so that A has something to do when it is back.
    cloud.lock().unwrap().holder = None;
    lab.connect(Host::A, true);
    lab.until(Duration::from_secs(7), "A has it", || holder() == Some(1));
    let of_b = || {
        let cloud = cloud.lock().unwrap();
        let calls = cloud.calls.iter().filter(|call| call.at >= since && call.by == Some(2));
        calls.map(|call| call.status).collect::<Vec<_>>()
    };
    lab.until(PATIENCE, "the call of B came", || !of_b().is_empty());
    thread::sleep(1200 * MS);
    assert_eq!(of_b(), [409], "it was refused, and B stopped asking");
    assert_eq!(holder(), Some(1));
    cloud.lock().unwrap().late = None;

    // On purpose it is given back first, and then there is somebody else to claim it.
    lab.until(PATIENCE, "A says so", || says_claimed(&lab, Host::A));
    let since = Instant::now();
    a.tell_to_stop();
    lab.until(PATIENCE, "B has it", || holder() == Some(2));
    a.wait();
    let released = cloud
        .lock()
        .unwrap()
        .calls
        .iter()
        .find(|call| call.at >= since && call.method == "POST" && call.by.is_none())
        .map(|call| call.at);
    let given_up = sniffer.said(Host::A, since).into_iter().find(|one| one.priority == 0);
    let (released, given_up) = (released.unwrap(), given_up.unwrap().at);
    assert!(released < given_up, "it was given back {:?} too late", released - given_up);
    b.tell_to_stop();
    b.wait();
}

/// A name that the system resolves, and an authority of its own.
#[test]
#[ignore = "needs root and openssl"]
fn an_api_is_believed_if_its_authority_is() {
    if !is_possible() || !has("openssl", "version") {
        eprintln!("skipped: there is no openssl");
        return;
    }
    let lab = Lab::new();
    let (ca, other) = (lab.files.join("ca.pem"), lab.files.join("other.pem"));
    authority(&ca);
    authority(&other);
    let (certificate, key) = certificate(&lab.files, &ca);
    let mut server = Command::new("ip");
    server.args(["netns", "exec", &lab.space(Host::A), "openssl", "s_server", "-www", "-quiet"]);
    server.args(["-accept", "8443", "-cert"]).arg(certificate).arg("-key").arg(key);
    let mut server =
        server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let config = |ca: &Path| {
        format!(
            "admin = \"127.0.0.1:9900\"\n[[vrrp_instance]]\nname = \"f\"\ninterface = \"eth0\"\n\
             virtual_router_id = 51\npriority = 255\naddresses = [\"{ADDRESS}/24\"]\n\
             claim = {{ http = {{ method = \"GET\", url = \"https://localhost:8443/{{address}}\", \
             ca = {ca:?} }} }}\n"
        )
    };
    let a = run_ours(&lab, Host::A, &config(&other));
    let log = || std::fs::read_to_string(lab.files.join("a.log")).unwrap();
    lab.until(PATIENCE, "it is not believed", || log().contains("no TLS with localhost"));
    assert!(!says_claimed(&lab, Host::A));
    a.reload_text(&config(&ca));
    lab.until(PATIENCE, "it is believed", || says_claimed(&lab, Host::A));
    let _ = server.kill();
    let _ = server.wait();
}

fn openssl(arguments: &[&str]) {
    let output = Command::new("openssl").args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A certificate at `path`, with its key beside it.
fn authority(path: &Path) {
    let key = path.with_extension("key");
    let [path, key] = [path, &key].map(|path| path.to_str().unwrap());
    openssl(&[
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=authority",
        "-keyout",
        key,
        "-out",
        path,
    ]);
}

/// One for `localhost`, and its key.
fn certificate(files: &Path, ca: &Path) -> (std::path::PathBuf, std::path::PathBuf) {
    let [certificate, key, request, extensions] =
        ["server.pem", "server.key", "server.csr", "server.ext"].map(|name| files.join(name));
    std::fs::write(&extensions, "subjectAltName=DNS:localhost\n").unwrap();
    let ca_key = ca.with_extension("key");
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    openssl(&[
        "req",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        "/CN=localhost",
        "-keyout",
        &text(&key),
        "-out",
        &text(&request),
    ]);
    openssl(&[
        "x509",
        "-req",
        "-days",
        "2",
        "-in",
        &text(&request),
        "-CA",
        &text(ca),
        "-CAkey",
        &text(&ca_key),
        "-CAcreateserial",
        "-extfile",
        &text(&extensions),
        "-out",
        &text(&certificate),
    ]);
    (certificate, key)
}
