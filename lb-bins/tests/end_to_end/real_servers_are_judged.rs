//! The daemon's checks against the servers that they are for, as Debian has them: up, with what was seen;
//! down with a cause of its own where something else is expected; down with the right one when the server
//! has stopped. Ignored, because they must be installed.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process_group};

use crate::harness::*;

/// A server, and what its checks are to make of it.
struct Case {
    name: &'static str,
    server: RealServer,
    /// The keys of a check that passes.
    good: String,
    /// What is seen of it.
    evidence: &'static str,
    /// The keys of checks that do not pass, each with its cause and a word of why.
    wrong: Vec<(String, &'static str, &'static str)>,
    /// The cause once it has stopped.
    stopped: &'static str,
}

/// A server with a folder and a port of its own, in a process group of its own.
struct RealServer {
    port: Port,
    folder: Folder,
    /// Whom it runs as, if this is run by root and the server would not.
    user: Option<(u32, u32)>,
    /// What ends it without waiting for anybody.
    farewell: Signal,
    child: Option<Child>,
}

impl RealServer {
    fn prepare(user: &str) -> Self {
        let (port, folder) = (Port::free(), Folder::new());
        let user = is_root().then(|| lookup(user)).flatten();
        if let Some((uid, gid)) = user {
            chown(folder.path(), Some(uid), Some(gid)).unwrap();
        }
        Self { port, folder, user, farewell: Signal::TERM, child: None }
    }

    fn number(&self) -> u16 {
        self.port.address().port()
    }

    fn file(&self, name: &str) -> String {
        self.folder.file(name).display().to_string()
    }

    /// A file that nobody else may read.
    fn write(&self, name: &str, text: &str) -> String {
        let path = self.folder.write(name, text);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        self.give(&path);
        path.display().to_string()
    }

    fn directory(&self, name: &str) -> String {
        let path = self.folder.file(name);
        fs::create_dir(&path).unwrap();
        self.give(&path);
        path.display().to_string()
    }

    fn give(&self, path: &Path) {
        if let Some((uid, gid)) = self.user {
            chown(path, Some(uid), Some(gid)).unwrap();
        }
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Runs `program` to its end, which must be a good one.
    fn run(&self, program: &str, arguments: &[&str]) {
        let output = self.command(program).args(arguments).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {arguments:?}: {errors}");
    }

    /// Starts it, and waits until it listens.
    fn start(&mut self, program: &str, arguments: &[&str]) {
        let log = fs::File::create(self.folder.file("log")).unwrap();
        let mut command = self.command(program);
        command.args(arguments).process_group(0).stdout(log.try_clone().unwrap()).stderr(log);
        let child = self.child.insert(command.spawn().unwrap());
        let address = self.port.address();
        let log = self.folder.file("log");
        until(&format!("{program} listens"), || {
            let said = || fs::read_to_string(&log).unwrap_or_default();
            assert!(child.try_wait().unwrap().is_none(), "{program} has ended: {}", said());
            connect(address).is_ok()
        });
    }

    /// When this returns, nobody listens.
    fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let group = Pid::from_child(&child);
        let _ = kill_process_group(group, self.farewell);
        let deadline = Instant::now() + PATIENCE / 6;
        while matches!(child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(LOOK_AGAIN);
        }
        let _ = kill_process_group(group, Signal::KILL);
        let _ = child.wait();
    }
}

impl Drop for RealServer {
    fn drop(&mut self) {
        self.stop();
        if std::thread::panicking() {
            eprintln!("{}", fs::read_to_string(self.folder.file("log")).unwrap_or_default());
        }
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// The numbers of a user and its group.
fn lookup(user: &str) -> Option<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let line = users.lines().find(|line| line.split(':').next() == Some(user))?;
    let mut fields = line.split(':').skip(2).map(|field| field.parse().unwrap());
    fields.next().zip(fields.next())
}

/// Whether all of `programs` are there. Where everything is expected to be, they must be.
fn are_installed(programs: &[&str]) -> bool {
    programs.iter().all(|program| {
        let is_there = Path::new(program).exists();
        if !is_there {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{program} is missing");
            eprintln!("skipped: {program} is missing");
        }
        is_there
    })
}

/// A certificate for `localhost` that vouches for itself, and another that knows nothing of it.
struct Trust {
    certificate: String,
    key: String,
    stranger: String,
}

impl Trust {
    fn new() -> Self {
        let made = || rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (own, stranger) = (made(), made());
        let (certificate, key) = (own.cert.pem(), own.signing_key.serialize_pem());
        Self { certificate, key, stranger: stranger.cert.pem() }
    }

    /// Files of the certificate and its key, and the keys of TLS by which a check believes it, takes it for
    /// somebody else's, or believes another.
    fn put(&self, server: &RealServer) -> (String, String, [String; 3]) {
        let certificate = server.write("certificate.pem", &self.certificate);
        let key = server.write("key.pem", &self.key);
        let stranger = server.write("stranger.pem", &self.stranger);
        let keys = [
            format!(r#"sni = "localhost", ca = "{certificate}""#),
            format!(r#"sni = "example.org", ca = "{certificate}""#),
            format!(r#"sni = "localhost", ca = "{stranger}""#),
        ];
        (certificate, key, keys)
    }
}

const NGINX: &str = "/usr/sbin/nginx";

/// An nginx with one page, which listens as `how` says.
fn start_nginx(server: &mut RealServer, how: &str) {
    let (folder, address) = (server.folder.path().display().to_string(), &server.port);
    let config = format!(
        r#"
        daemon off;
        master_process off;
        pid {folder}/nginx.pid;
        error_log {folder}/error.log;
        events {{ worker_connections 64; }}
        http {{
            access_log off;
            client_body_temp_path {folder};
            proxy_temp_path {folder};
            fastcgi_temp_path {folder};
            uwsgi_temp_path {folder};
            scgi_temp_path {folder};
            server {{ listen {address} {how} location = /alive {{ return 200 "alive\n"; }} }}
        }}
        "#
    );
    let config = server.write("nginx.conf", &config);
    server.start(NGINX, &["-c", &config, "-e", &server.file("error.log")]);
}

fn nginx() -> Case {
    let mut server = RealServer::prepare("www-data");
    start_nginx(&mut server, ";");
    let page = |rest: &str| format!(r#"type = "http", path = "/alive", {rest}"#);
    let header = r#"expect_headers = [{ name = "Server", value = "Apache" }]"#;
    Case {
        name: "nginx",
        server,
        // The digest of "alive\n".
        good: page(r#"md5 = "4e5dc3caa06fa07c79bc3ba5e62ff86b""#),
        evidence: r#"received    "alive""#,
        wrong: vec![
            (page("status = [204]"), "status", "status 200"),
            (page(r#"md5 = "00000000000000000000000000000000""#), "digest", "4e5dc3ca"),
            (page(r#"body = "dead""#), "body", "dead"),
            (page(header), "header", "server"),
            (page(r#"body = "a", body_limit = 3"#), "body-too-large", "3 bytes"),
            (r#"type = "tls", verify = false"#.to_owned(), "tls-handshake", ""),
        ],
        stopped: "refused",
    }
}

fn nginx_secured(trust: &Trust) -> Case {
    let mut server = RealServer::prepare("www-data");
    let (certificate, key, [ours, elsewhere, strange]) = trust.put(&server);
    let how = format!("ssl; ssl_certificate {certificate}; ssl_certificate_key {key};");
    start_nginx(&mut server, &how);
    let page = |tls: &str| format!(r#"type = "https", path = "/alive", {tls}"#);
    Case {
        name: "nginx-tls",
        server,
        good: page(&ours),
        evidence: "certificate",
        wrong: vec![
            (page(&elsewhere), "tls-name", "example.org"),
            (page(&strange), "tls-untrusted", ""),
            (r#"type = "http", path = "/alive""#.to_owned(), "status", "status 400"),
        ],
        stopped: "refused",
    }
}

const S_SERVER: &str = "/usr/bin/openssl";

fn openssl(trust: &Trust) -> Case {
    let mut server = RealServer::prepare("root");
    let (certificate, key, [ours, elsewhere, strange]) = trust.put(&server);
    let address = server.port.to_string();
    let whose = ["-cert", &certificate, "-key", &key];
    server.start(S_SERVER, &[&["s_server", "-rev", "-accept", &address], &whose[..]].concat());
    let handshake = |tls: &str| format!(r#"type = "tls", {tls}"#);
    // It says every line backwards, but for the one that ends it; and has one guest at a time.
    let talk = |steps: &str| format!(r#"type = "tcp", tls = true, {ours}, steps = [{steps}]"#);
    let by_the_book = r#"{ send = "stop\n" }, { expect = "pots" }, { send = "CLOSE\n" }"#;
    Case {
        name: "openssl",
        server,
        good: talk(by_the_book),
        evidence: r#"received    "pots""#,
        wrong: vec![
            (talk(r#"{ send = "CLOSE\n" }, { expect = "pots" }"#), "closed", ""),
            (handshake(&elsewhere), "tls-name", "example.org"),
            (handshake(&strange), "tls-untrusted", ""),
        ],
        stopped: "refused",
    }
}

const POSTFIX: &str = "/usr/sbin/postfix";
const POSTFIX_MASTER: &str = "/usr/lib/postfix/sbin/master";

fn postfix(trust: &Trust) -> Case {
    let mut server = RealServer::prepare("root");
    let (certificate, key, [ours, elsewhere, strange]) = trust.put(&server);
    let (queue, data) = (server.directory("queue"), server.directory("data"));
    let (postfix, group) = lookup("postfix").unwrap();
    chown(&data, Some(postfix), Some(group)).unwrap();
    // Its servers come here as somebody else.
    let open = fs::Permissions::from_mode(0o755);
    fs::set_permissions(server.folder.path(), open).unwrap();
    server.write(
        "main.cf",
        &format!(
            "compatibility_level = 3.6\nmyhostname = mail.example.org\n\
             queue_directory = {queue}\ndata_directory = {data}\n\
             inet_interfaces = 127.0.0.1\nmaillog_file = /dev/stdout\n\
             smtpd_tls_security_level = may\nsmtpd_helo_required = yes\n\
             smtpd_tls_cert_file = {certificate}\nsmtpd_tls_key_file = {key}\n"
        ),
    );
    server.write(
        "master.cf",
        &format!(
            "127.0.0.1:{} inet n - n - - smtpd\n\
             anvil unix - - n - 1 anvil\n\
             cleanup unix n - n - 0 cleanup\n\
             postlog unix-dgram n - n - 1 postlogd\n\
             proxymap unix - - n - - proxymap\n\
             rewrite unix - - n - - trivial-rewrite\n\
             tlsmgr unix - - n 1000? 1 tlsmgr\n",
            server.number(),
        ),
    );
    for file in ["main.cf", "master.cf"] {
        fs::set_permissions(server.folder.file(file), fs::Permissions::from_mode(0o644)).unwrap();
    }
    let folder = server.file("");
    server.run(POSTFIX, &["-c", &folder, "check"]);
    // Not by `postfix start`, which would leave its servers to themselves.
    server.start(POSTFIX_MASTER, &["-c", &folder, "-d"]);
    let greet = |rest: &str| format!(r#"type = "smtp", helo = "lb.example.org", {rest}"#);
    let secured = |tls: &str| greet(&format!("starttls = true, {tls}"));
    Case {
        name: "postfix",
        server,
        good: secured(&ours),
        evidence: "mail.example.org",
        wrong: vec![
            (secured(&elsewhere), "tls-name", "example.org"),
            (secured(&strange), "tls-untrusted", ""),
            // It speaks in clear first.
            (greet(&format!("tls = true, {ours}")), "tls-handshake", ""),
        ],
        stopped: "refused",
    }
}

const UNBOUND: &str = "/usr/sbin/unbound";

fn unbound() -> Case {
    let mut server = RealServer::prepare("unbound");
    let folder = server.folder.path().display().to_string();
    let config = format!(
        r#"
        server:
            interface: 127.0.0.1@{}
            do-ip6: no
            do-daemonize: no
            chroot: ""
            username: ""
            directory: "{folder}"
            pidfile: "{folder}/unbound.pid"
            use-syslog: no
            logfile: "{folder}/unbound.log"
            access-control: 127.0.0.0/8 allow
            local-zone: "example.org." static
            local-data: "www.example.org. 60 IN A 192.0.2.1"
        remote-control:
            control-enable: no
        "#,
        server.number()
    );
    let config = server.write("unbound.conf", &config);
    server.start(UNBOUND, &["-d", "-c", &config]);
    let ask = |rest: &str| format!(r#"type = "dns", {rest}"#);
    Case {
        name: "unbound",
        server,
        good: ask(r#"name = "www.example.org", record = "A", answer = ["192.0.2.1"]"#),
        evidence: "192.0.2.1",
        wrong: vec![
            (
                ask(r#"name = "www.example.org", record = "A", answer = ["192.0.2.2"]"#),
                "rejected",
                "192.0.2.2",
            ),
            (
                ask(r#"name = "www.example.org", record = "MX", require_answer = true"#),
                "rejected",
                "MX",
            ),
            (ask(r#"name = "missing.example.org", record = "A""#), "rejected", "NXDOMAIN"),
        ],
        stopped: "refused",
    }
}

/// Where the programs of the newest PostgreSQL are: Debian can have several.
fn postgres_programs() -> PathBuf {
    const VERSIONS: &str = "/usr/lib/postgresql";
    let versions = fs::read_dir(VERSIONS).into_iter().flatten();
    let number = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = versions.map(|version| version.unwrap().path()).max_by_key(number);
    newest.unwrap_or(VERSIONS.into()).join("bin")
}

fn postgres(trust: &Trust) -> Case {
    let program = |name: &str| postgres_programs().join(name).display().to_string();
    let mut server = RealServer::prepare("postgres");
    // What it is told to do by SIGTERM is to wait for its clients.
    server.farewell = Signal::INT;
    let (certificate, key, [ours, elsewhere, strange]) = trust.put(&server);
    let (data, folder) = (server.file("data"), server.file(""));
    server.run(&program("initdb"), &["-D", &data, "-U", "admin", "-A", "trust", "--no-sync"]);
    let rules = "local all admin trust\nhost all check 127.0.0.1/32 scram-sha-256\n";
    server.write("data/pg_hba.conf", rules);
    let (port, tls) = (server.number().to_string(), ["ssl_cert_file", "ssl_key_file"]);
    let [certificate, key] =
        [(tls[0], certificate), (tls[1], key)].map(|(name, file)| format!("{name}={file}"));
    server.start(
        &program("postgres"),
        &[
            &["-D", &data, "-k", &folder, "-p", &port, "-h", "127.0.0.1", "-F", "-c", "ssl=on"],
            &["-c", &certificate, "-c", &key][..],
        ]
        .concat(),
    );
    let make = r#"CREATE USER "check" PASSWORD 'secret'"#;
    let say = ["-h", &folder, "-p", &port, "-U", "admin", "-d", "postgres", "-c", make];
    until("PostgreSQL is ready", || {
        server.command(&program("psql")).args(say).output().unwrap().status.success()
    });
    let password = server.folder.write("password", "secret\n");
    let log_in = |rest: &str| {
        format!(
            r#"type = "postgres", user = "check", password_file = "{}", database = "postgres", {rest}"#,
            password.display()
        )
    };
    let secured = |tls: &str| log_in(&format!("tls = true, {tls}"));
    Case {
        name: "postgres",
        server,
        good: secured(&format!(r#"writable = true, query = "SELECT 1", {ours}"#)),
        evidence: "PostgreSQL 1",
        wrong: vec![
            (log_in(r#"query = "SELECT * FROM goods""#), "rejected", "42P01"),
            (
                r#"type = "postgres", user = "check", password = "guess", database = "postgres""#
                    .to_owned(),
                "rejected",
                "28P01",
            ),
            (secured(&elsewhere), "tls-name", "example.org"),
            (secured(&strange), "tls-untrusted", ""),
        ],
        stopped: "refused",
    }
}

const REDIS: &str = "/usr/bin/redis-server";

fn redis() -> Case {
    let mut server = RealServer::prepare("redis");
    let (port, folder) = (server.number().to_string(), server.file(""));
    let own = ["--port", &port, "--dir", &folder, "--bind", "127.0.0.1", "--save", ""];
    server.start(REDIS, &[&own[..], &["--requirepass", "word"]].concat());
    Case {
        name: "redis",
        server,
        good: r#"type = "redis", password = "word", role = "master""#.to_owned(),
        evidence: "master",
        wrong: vec![
            (r#"type = "redis", password = "guess""#.to_owned(), "rejected", "WRONGPASS"),
            (r#"type = "redis""#.to_owned(), "rejected", "NOAUTH"),
            (
                r#"type = "redis", password = "word", role = "replica""#.to_owned(),
                "rejected",
                "no replica",
            ),
            // It takes HTTP for an attack on it.
            (r#"type = "http""#.to_owned(), "closed", ""),
        ],
        stopped: "refused",
    }
}

const SLAPD: &str = "/usr/sbin/slapd";
const SLAPADD: &str = "/usr/sbin/slapadd";

fn slapd() -> Case {
    let mut server = RealServer::prepare("openldap");
    let data = server.directory("data");
    let base = "dc=example,dc=org";
    let configuration = server.write(
        "slapd.conf",
        &format!(
            "include /etc/ldap/schema/core.schema\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\n\
             pidfile {}\ndatabase mdb\nsuffix \"{base}\"\ndirectory {data}\n\
             rootdn \"cn=admin,{base}\"\nrootpw secret\n",
            server.file("pid"),
        ),
    );
    let entries = server.write(
        "entries.ldif",
        &format!(
            "dn: {base}\nobjectClass: organization\nobjectClass: dcObject\ndc: example\no: E\n"
        ),
    );
    server.run(SLAPADD, &["-f", &configuration, "-l", &entries]);
    let url = format!("ldap://127.0.0.1:{}", server.number());
    server.start(SLAPD, &["-d", "256", "-f", &configuration, "-h", &url]);
    let bind = |password: &str, rest: &str| {
        format!(r#"type = "ldap", bind_dn = "cn=admin,{base}", password = "{password}", {rest}"#)
    };
    Case {
        name: "slapd",
        server,
        good: bind("secret", &format!(r#"base = "{base}", filter = "(dc=*)""#)),
        evidence: base,
        wrong: vec![
            (bind("guess", r#"base = """#), "rejected", "invalidCredentials (49)"),
            (
                bind("secret", &format!(r#"base = "{base}", filter = "(telephoneNumber=*)""#)),
                "rejected",
                "there is no",
            ),
        ],
        stopped: "refused",
    }
}

/// Those that are installed, each with its server.
fn cases() -> Vec<Case> {
    let trust = Trust::new();
    let postgres_program = |name: &str| postgres_programs().join(name).display().to_string();
    let [initdb, server, psql] = ["initdb", "postgres", "psql"].map(postgres_program);
    let mut cases = Vec::new();
    if are_installed(&[NGINX]) {
        cases.extend([nginx(), nginx_secured(&trust)]);
    }
    if are_installed(&[S_SERVER]) {
        cases.push(openssl(&trust));
    }
    // It is nobody's but root's.
    if are_installed(&[POSTFIX, POSTFIX_MASTER]) && is_root() {
        cases.push(postfix(&trust));
    }
    if are_installed(&[UNBOUND]) {
        cases.push(unbound());
    }
    if are_installed(&[&initdb, &server, &psql]) {
        cases.push(postgres(&trust));
    }
    if are_installed(&[REDIS]) {
        cases.push(redis());
    }
    if are_installed(&[SLAPD, SLAPADD]) {
        cases.push(slapd());
    }
    cases
}

/// What is said of a backend of a virtual server.
fn explained(balancer: &Balancer, name: &str, case: &Case) -> String {
    get(balancer.admin(), &format!("/explain/{name}/{}", case.server.port)).unwrap().body
}

#[test]
#[ignore = "needs nginx, openssl, postfix as root, unbound, postgresql, redis-server and slapd"]
fn each_type_of_check_judges_the_server_that_it_is_for() {
    let mut cases = cases();
    let (mut config, mut ports) = (String::new(), Vec::new());
    let mut add = |name: &str, case: &Case, keys: &str| {
        let web = Port::free();
        let check = format!(
            "check = {{ interval = \"500ms\", timeout = \"5s\", rise = 1, fall = 1, {keys} }}"
        );
        let list = format!("backend = [{{ address = \"{}\" }}]", case.server.port);
        config += &server(name, &web, &[&check, &list]);
        ports.push(web);
    };
    for case in &cases {
        add(case.name, case, &case.good);
        for (number, (keys, ..)) in case.wrong.iter().enumerate() {
            add(&format!("{}-{number}", case.name), case, keys);
        }
    }
    let balancer = Balancer::start(&config);
    let state = |name: &str, case: &Case| {
        let report = balancer.backend(name, case.server.port.address());
        (report["state"].clone(), report["last_check"]["cause"].clone())
    };
    for case in &cases {
        let name = case.name;
        until(&format!("{name} is up"), || {
            let (state, cause) = state(name, case);
            assert_ne!(state, "down", "{name}: {cause}\n{}", explained(&balancer, name, case));
            state == "up"
        });
        let said = explained(&balancer, name, case);
        assert!(said.contains(case.evidence), "{name}: no {:?} in {said}", case.evidence);
        for (number, (keys, cause, why)) in case.wrong.iter().enumerate() {
            let name = format!("{name}-{number}");
            until(&format!("{name} is down: {keys}"), || state(&name, case).0 == "down");
            let said = explained(&balancer, &name, case);
            assert_eq!(state(&name, case).1, *cause, "{keys}: {said}");
            assert!(said.contains(why), "{keys}: no {why:?} in {said}");
        }
    }
    for number in 0..cases.len() {
        cases[number].server.stop();
        let case = &cases[number];
        // A run that was going has another end; the next one tells.
        until(&format!("{} is down: {}", case.name, case.stopped), || {
            let (state, cause) = state(case.name, case);
            state == "down" && cause == case.stopped
        });
        // The others do not notice.
        for other in &cases[number + 1..] {
            assert_eq!(state(other.name, other).0, "up", "{}", other.name);
        }
    }
}
