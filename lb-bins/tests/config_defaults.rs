//! What holds for keys that are not given, and how the sample is understood.

use std::time::Duration;

use lb_bins::config::check::{Http, HttpVersion, Initial, Md5, Page, Script, StatusRange, Tcp};
use lb_bins::config::{Check, CheckKind, Command, Config, HashKey, Queue, Quorum, SorryMode};
use lb_core::Weight;
use lb_core::virtual_server::DrainingClients;

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
    assert_eq!((config.admin, config.admin_allow_remote), (None, false));
    assert!(config.warnings.is_empty());
    let [server] = config.virtual_servers.as_slice() else { panic!("{config}") };
    assert_eq!(server.name, "[::1]:8000");
    assert_eq!(server.scheduler.name(), "wlc");
    assert_eq!((server.hash_key, server.bounded, &server.zone), (HashKey::Source, None, &None));
    assert_eq!((server.spill_below, server.panic_below, server.slow_start), (0, 0, None));
    assert_eq!((server.queue, server.draining_clients), (None, DrainingClients::Keep));
    assert_eq!(server.quorum, Quorum::Weight { quorum: 1, hysteresis: 0 });
    assert_eq!((server.sorry_server, server.sorry_mode), (None, SorryMode::Quorum));
    let persistence = server.persistence.unwrap();
    assert_eq!(persistence.timeout, Duration::from_secs(360));
    assert_eq!((persistence.granularity, persistence.capacity), (64, 65_536));
    assert_eq!(persistence.min_age, Duration::ZERO);
    assert_eq!((&server.on_quorum_up, &server.on_quorum_down), (&None, &None));
    assert_eq!(server.connect_timeout, Duration::from_secs(5));
    assert_eq!(server.drain_timeout, Duration::from_secs(30));
    assert_eq!(server.retries, 3);
    let [backend] = server.backends.as_slice() else { panic!("{config}") };
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
        interval: Duration::from_secs(2),
        timeout: Duration::from_secs(1),
        rise: 2,
        fall: 3,
        fast_interval: Duration::from_millis(500),
        down_interval: Duration::from_secs(2),
        warmup: None,
        jitter: 10,
        initial: Initial::Down,
    };
    assert_eq!(config.virtual_servers[0].backends[0].checks, [expected]);
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
        md5: None,
        sha256: None,
        body: None,
        expect_headers: Vec::new(),
    };
    let status = vec![range(200, 299), range(304, 304), range(404, 404)];
    let alive = Page { path: "/alive".into(), status, md5: Some(Md5(md5)), ..page.clone() };
    let default_http = http(page, None);
    let http = http(alive, Some("www.example.org"));
    let command = Command { program: "/usr/local/bin/check".into(), arguments: vec!["arg".into()] };
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
