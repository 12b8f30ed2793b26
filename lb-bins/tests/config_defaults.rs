//! What holds for keys that are not given, and how the sample is understood.

use std::time::Duration;

use lb_bins::config::check::{
    Agent, BodyRule, Database, Digest, Dns, File, Grpc, Http, HttpVersion, Initial, Ldap, Nibbles,
    Page, Ping, Record, Redis, Script, Smtp, StatusRange, Step, Tcp, Text, Tls, Udp, Words, Worker,
};
use lb_bins::config::{
    Check, CheckKind, Command, Config, Forwarding, HashKey, OnFailure, Passive, Queue, Quorum,
    SorryMode,
};
use lb_core::Weight;
use lb_core::virtual_server::{DrainingClients, WhenDown, WhenFull};

fn parse(text: &str) -> Config {
    match Config::parse("test.toml", text) {
        Ok(config) => config,
        Err(errors) => panic!("{errors}"),
    }
}

#[test]
fn the_least_configuration() {
    let config = parse(
        r#"
        [[virtual_server]]
        listen = "[::1]:8000"
        persistence = {}
        [[virtual_server.backend]]
        address = "[::1]:9001"
        "#,
    );
    assert_eq!((&config.admin, config.admin_allow_remote), (&None, false));
    assert!(config.warnings.is_empty());
    assert_eq!((&config.notify_fifo, &config.smtp), (&None, &None));
    let [server] = config.virtual_servers.as_slice() else { panic!("{config}") };
    assert_eq!(server.name, "[::1]:8000");
    assert_eq!(server.forwarding, Forwarding::Proxy);
    assert_eq!(server.scheduler.name(), "wlc");
    assert_eq!((server.hash_key, server.bounded, &server.zone), (HashKey::Source, None, &None));
    assert_eq!((server.hash_granularity, &server.hash_seed), (None, &None));
    assert_eq!((server.spill_below, server.panic_below, server.slow_start), (0, 0, None));
    assert_eq!((server.queue, server.draining_clients), (None, DrainingClients::Keep));
    assert_eq!(server.quorum, Quorum::Weight { quorum: 1, hysteresis: 0 });
    assert_eq!((server.sorry_server.as_ref(), server.sorry_mode), (None, SorryMode::Quorum));
    let persistence = server.persistence.unwrap();
    assert_eq!(persistence.timeout, Duration::from_secs(360));
    assert_eq!((persistence.granularity, persistence.capacity), (64, 65_536));
    assert_eq!((persistence.min_age, persistence.while_open), (Duration::ZERO, false));
    assert_eq!((persistence.when_full, persistence.when_down), (WhenFull::Move, WhenDown::Move));
    assert_eq!((&server.on_quorum_up, &server.on_quorum_down), (&None, &None));
    assert!(!server.down_when_stopped);
    assert_eq!(server.connect_timeout, Duration::from_secs(5));
    assert_eq!(server.drain_timeout, Duration::from_secs(30));
    assert_eq!(server.retries, 3);
    assert_eq!(server.passive, None);
    let [backend] = server.backends.as_slice() else { panic!("{config}") };
    assert_eq!(
        (backend.on_failure, &backend.on_up, &backend.on_down),
        (OnFailure::Remove, &None, &None)
    );
    assert_eq!((backend.weight, backend.priority, &backend.zone), (Weight::ONE, 0, &None));
    assert_eq!(
        (backend.max_connections, backend.u_threshold, backend.l_threshold),
        (None, None, None)
    );
    assert!(backend.checks.is_empty());
    assert!(config.to_string().contains("check = \"none\" # always up\n"));
}

#[test]
fn the_least_queue() {
    let config = parse(
        r#"
        [[virtual_server]]
        listen = "127.0.0.1:8000"
        queue = {}
        backend = [{ address = "127.0.0.1:9001", max_connections = 1 }]
        "#,
    );
    let expected = Queue { length: 100, timeout: Duration::from_secs(5) };
    assert_eq!(config.virtual_servers[0].queue, Some(expected));
}

#[test]
fn a_factor_is_what_was_written() {
    for (written, hundredths) in [("1.01", 101), ("1.5", 150), ("2", 200), ("1_0.25", 1025)] {
        let config = parse(&format!(
            r#"
            [[virtual_server]]
            listen = "127.0.0.1:8000"
            scheduler = "mh"
            bounded = {written}
            backend = [{{ address = "127.0.0.1:9001" }}]
            "#
        ));
        assert_eq!(config.virtual_servers[0].bounded, Some(hundredths), "{written}");
    }
}

#[test]
fn the_least_check() {
    let config = parse(
        r#"
        [[virtual_server]]
        listen = "127.0.0.1:8000"
        check = {}
        backend = [{ address = "127.0.0.1:9001" }]
        "#,
    );
    let expected = Check {
        kind: CheckKind::Tcp(Tcp::default()),
        port: None,
        address: None,
        source: None,
        source_port: None,
        interface: None,
        mark: None,
        interval: Duration::from_secs(2),
        timeout: Duration::from_secs(1),
        rise: 2,
        fall: 3,
        fast_interval: Duration::from_millis(500),
        down_interval: Duration::from_secs(2),
        warmup: None,
        jitter: 10,
        initial: Initial::Down,
        first_decisive: true,
        local_limit: None,
    };
    assert_eq!(config.virtual_servers[0].backends[0].checks, [expected]);
}

/// The only check of the only backend, of which `keys` are given.
fn only_check(keys: &str) -> CheckKind {
    let config = parse(&format!(
        r#"
        [[virtual_server]]
        listen = "127.0.0.1:8000"
        backend = [{{ address = "127.0.0.1:9001", check = {{ {keys} }} }}]
        "#
    ));
    config.virtual_servers[0].backends[0].checks[0].kind.clone()
}

const TLS: Tls = Tls { sni: None, verify: true, ca: None, identity: None };

#[test]
fn the_least_check_of_each_kind() {
    let command = Command::new("/bin/check", Vec::new());
    let script = Script { command: command.clone(), dynamic_weight: false };
    let udp = Udp {
        send: Vec::new(),
        expect: None,
        require_reply: true,
        min_reply: 0,
        max_reply: 65_507,
    };
    let ldap = Ldap {
        bind_dn: None,
        password: None,
        base: None,
        filter: "(objectClass=*)".into(),
        tls: None,
    };
    let postgres = Database { user: Some("a".into()), ..Database::default() };
    let least = [
        (r#"type = "tcp""#, CheckKind::Tcp(Tcp { steps: Vec::new(), tls: None })),
        (r#"type = "tcp", tls = true"#, CheckKind::Tcp(Tcp { steps: Vec::new(), tls: Some(TLS) })),
        (
            r#"type = "tcp", steps = [{ expect = "a" }]"#,
            CheckKind::Tcp(Tcp { steps: vec![Step::Expect(Words::Are(b"a".to_vec()))], tls: None }),
        ),
        (r#"type = "tls""#, CheckKind::Tls(TLS)),
        (r#"type = "smtp""#, CheckKind::Smtp(Smtp { helo: "localhost".into(), security: None })),
        (
            r#"type = "dns""#,
            CheckKind::Dns(Dns {
                name: ".".into(),
                record: Record::Soa,
                answer: Vec::new(),
                require_answer: false,
            }),
        ),
        (r#"type = "udp""#, CheckKind::Udp(udp)),
        (r#"type = "ping""#, CheckKind::Ping(Ping { size: 56 })),
        (r#"type = "mysql""#, CheckKind::Mysql(Database::default())),
        (r#"type = "postgres", user = "a""#, CheckKind::Postgres(postgres)),
        (r#"type = "redis""#, CheckKind::Redis(Redis::default())),
        (r#"type = "ldap""#, CheckKind::Ldap(ldap)),
        (r#"type = "grpc""#, CheckKind::Grpc(Grpc::default())),
        (r#"type = "script", command = ["/bin/check"]"#, CheckKind::Script(script)),
        (r#"type = "worker", command = ["/bin/check"]"#, CheckKind::Worker(Worker { command })),
        (r#"type = "agent", port = 9100"#, CheckKind::Agent(Agent::default())),
        (
            r#"type = "file", path = "/run/weight""#,
            CheckKind::File(File { path: "/run/weight".into(), weight: 0, reverse: false }),
        ),
    ];
    for (keys, expected) in least {
        assert_eq!(only_check(keys), expected, "{keys}");
        assert!(keys.contains(&format!("{:?}", expected.name())), "{keys}");
    }
}

/// What an agent says is a statement and no probe: HAProxy takes it at its first word, too.
#[test]
fn one_word_of_an_agent_will_do() {
    let runs = |keys: &str| {
        let check = &parse(&format!(
            "[[virtual_server]]\nlisten = \"127.0.0.1:8000\"\ncheck = {{ {keys} }}\n\
             backend = [{{ address = \"127.0.0.1:9001\" }}]\n"
        ))
        .virtual_servers[0]
            .backends[0]
            .checks[0];
        (check.rise, check.fall)
    };
    assert_eq!(runs(r#"type = "agent", port = 9100"#), (1, 1));
    assert_eq!(runs(r#"type = "agent", port = 9100, fall = 2"#), (1, 2));
    assert_eq!(runs(r#"type = "tcp""#), (2, 3));
}

fn https(keys: &str) -> Http {
    match only_check(&format!(r#"type = "https", {keys}"#)) {
        CheckKind::Http(http) => *http,
        other => panic!("{other:?}"),
    }
}

#[test]
fn tls_asks_for_the_name_of_the_host() {
    for (keys, sni) in [
        (r#"host = "www.example.org""#, Some("www.example.org")),
        (r#"host = "www.example.org:8443""#, Some("www.example.org")),
        (r#"host = "www.example.org", sni = "example.net""#, Some("example.net")),
        (r#"host = "192.0.2.1:8443""#, None),
        (r#"host = "[2001:db8::1]:8443""#, None),
        (r#"path = "/""#, None),
    ] {
        let http = https(keys);
        assert_eq!(http.tls.as_ref().and_then(|tls| tls.sni.as_deref()), sni, "{keys}");
    }
}

#[test]
fn what_is_said_outside_of_urls_holds_for_those_that_say_nothing_else() {
    let http = https(
        r#"status = [204], body = "ready", expect_headers = [{ name = "etag", regex = "." }],
        urls = [{ path = "/a" }, { path = "/b", status = [200], body_regex = "x", body_not = true,
        expect_headers = [] }]"#,
    );
    let [a, b] = http.pages.as_slice() else { panic!("{http:?}") };
    assert_eq!((a.path.as_str(), b.path.as_str()), ("/a", "/b"));
    assert_eq!((a.status[0].first, b.status[0].first), (204, 200));
    assert_eq!(a.body, Some(BodyRule { text: Text::Is("ready".into()), absent: false }));
    let pattern = "x".parse().unwrap();
    assert_eq!(b.body, Some(BodyRule { text: Text::Matches(pattern), absent: true }));
    assert_eq!((a.expect_headers.len(), b.expect_headers.len()), (1, 0));
}

#[test]
fn open_digits_match_anything() {
    let CheckKind::Udp(udp) = only_check(r#"type = "udp", expect_hex = "F0x1Xx""#) else {
        panic!("not of this kind");
    };
    let expected = udp.expect.unwrap();
    assert_eq!(Nibbles::from_digits("f0x1xx"), Some(expected.clone()));
    assert!(expected.begins(&[0xf0, 0x41, 0x07]) && expected.begins(&[0xf0, 0x01, 0xff, 0x00]));
    assert!(!expected.begins(&[0xf0, 0x42, 0x07]) && !expected.begins(&[0xf0, 0x41]));
    assert!(!expected.begins(&[]));
}

#[test]
fn passwords_are_not_in_what_is_shown_for_debugging() {
    let check = only_check(r#"type = "redis", password = "hidden""#);
    assert!(!format!("{check:?}").contains("hidden"));
}

#[test]
fn hooks_of_the_virtual_server_hold_for_backends_without_their_own() {
    let config = parse(
        r#"
        [[virtual_server]]
        listen = "127.0.0.1:8000"
        on_up = ["/bin/up"]
        on_down = ["/bin/down"]
        on_failure = "weight-0"
        passive = { eject = "10m" }
        backend = [
            { address = "127.0.0.1:9001" },
            { address = "127.0.0.1:9002", on_up = ["/bin/own"], on_failure = "remove" },
        ]
        "#,
    );
    let server = &config.virtual_servers[0];
    let program = |command: &Option<Command>| command.as_ref().unwrap().program.clone();
    let [first, second] = server.backends.as_slice() else { panic!("{config}") };
    assert_eq!(
        (program(&first.on_up), program(&first.on_down)),
        ("/bin/up".into(), "/bin/down".into())
    );
    assert_eq!(
        (program(&second.on_up), program(&second.on_down)),
        ("/bin/own".into(), "/bin/down".into())
    );
    assert_eq!((first.on_failure, second.on_failure), (OnFailure::WeightZero, OnFailure::Remove));
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    let expected = Passive {
        consecutive: 5,
        failure_percent: 85,
        minimum: 50,
        interval: Duration::from_secs(10),
        eject: minutes(10),
        longest: minutes(10),
        max_ejected: 10,
        deviations: 0,
        back_on_check: false,
    };
    assert_eq!(server.passive, Some(expected));
}

#[test]
fn intervals_follow_the_interval() {
    let intervals = |interval: &str| {
        let config = parse(&format!(
            r#"
            [[virtual_server]]
            listen = "127.0.0.1:8000"
            check = {{ interval = "{interval}" }}
            backend = [{{ address = "127.0.0.1:9001" }}]
            "#
        ));
        let check = &config.virtual_servers[0].backends[0].checks[0];
        (check.fast_interval.as_millis(), check.down_interval.as_millis())
    };
    assert_eq!(intervals("100ms"), (100, 100));
    assert_eq!(intervals("1m"), (500, 60_000));
}

#[test]
fn a_backend_has_its_own_checks_or_those_of_the_virtual_server() {
    let config = parse(include_str!("config/sample.toml"));
    let kinds = |server: usize, backend: usize| -> Vec<CheckKind> {
        let backend = &config.virtual_servers[server].backends[backend];
        backend.checks.iter().map(|check| check.kind.clone()).collect()
    };
    assert_eq!(kinds(0, 0), [CheckKind::Tcp(Tcp::default())]);
    assert_eq!(kinds(0, 1), []);
    let md5 = [
        0xd4, 0x1d, 0x8c, 0xd9, 0x8f, 0x00, 0xb2, 0x04, 0xe9, 0x80, 0x09, 0x98, 0xec, 0xf8, 0x42,
        0x7e,
    ];
    let range = |first, last| StatusRange { first, last };
    let http = |page: Page, host: Option<&str>| {
        CheckKind::Http(Box::new(Http {
            tls: None,
            pages: vec![page],
            method: "GET".into(),
            host: host.map(str::to_owned),
            headers: Default::default(),
            request_body: None,
            version: HttpVersion::Http11,
            keep_alive: false,
        }))
    };
    let page = Page {
        path: "/".into(),
        status: vec![range(200, 299)],
        drain_status: Vec::new(),
        digest: None,
        body: None,
        expect_headers: Vec::new(),
        body_limit: 1 << 20,
    };
    let status = vec![range(200, 299), range(304, 304), range(404, 404)];
    let alive =
        Page { path: "/alive".into(), status, digest: Some(Digest::Md5(md5)), ..page.clone() };
    let default_http = http(page, None);
    let http = http(alive, Some("www.example.org"));
    let command = Command::new("/usr/local/bin/check", vec!["arg".into()]);
    assert_eq!(kinds(0, 2), [http, CheckKind::Script(Script { command, dynamic_weight: true })]);
    assert_eq!(config.virtual_servers[0].backends[2].checks[1].port, Some(9103));
    for backend in 0..2 {
        assert_eq!(kinds(2, backend), [CheckKind::Tcp(Tcp::default()), default_http.clone()]);
    }
}

#[test]
fn all_three_forms_of_a_quorum() {
    let config = parse(include_str!("config/sample.toml"));
    let quorums: Vec<_> = config.virtual_servers.iter().map(|server| server.quorum).collect();
    assert_eq!(
        quorums,
        [
            Quorum::Weight { quorum: 2, hysteresis: 0 },
            Quorum::Shares { up_at: 60, down_at: 40 },
            Quorum::Thresholds { up_at: 2, down_at: 1 },
        ]
    );
}

#[test]
fn a_refused_weight_is_not_taken_for_one() {
    let errors = Config::parse(
        "test.toml",
        r#"
        [[virtual_server]]
        listen = "127.0.0.1:8000"
        quorum = 3
        backend = [{ address = "127.0.0.1:9001", weight = "3" }]
        "#,
    )
    .unwrap_err();
    assert_eq!(errors.mistakes().len(), 1, "{errors}");
}

#[test]
fn an_admin_address_for_everyone_must_be_meant() {
    let rest = "[[virtual_server]]\nlisten = \"127.0.0.1:8000\"\n\
                backend = [{ address = \"127.0.0.1:9001\" }]\n";
    let allowed = format!("admin = \"0.0.0.0:9900\"\nadmin_allow_remote = true\n{rest}");
    assert!(parse(&allowed).admin_allow_remote);
    let mapped = format!("admin = \"[::ffff:127.0.0.1]:9900\"\n{rest}");
    assert!(parse(&mapped).admin.is_some());
}

#[test]
fn warnings_do_not_make_a_difference() {
    let text = "[[virtual_server]]\nlisten = \"127.0.0.1:8000\"\nsorry_mode = \"last\"\n\
                backend = [{ address = \"127.0.0.1:9001\" }]\n";
    let config = parse(text);
    assert_eq!(config.warnings.len(), 1);
    assert_eq!(config.warnings[0].position(), Some((3, 14)));
    assert_eq!(config, Config { warnings: Vec::new(), ..config.clone() });
}
