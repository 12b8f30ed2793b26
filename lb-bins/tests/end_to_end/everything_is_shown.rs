//! Status, metrics, health, log, and IPv6 in all of them.

use std::collections::HashMap;

use serde_json::Value;

use crate::harness::*;

fn start_and(arguments: &[&str]) -> (Balancer, Port, [Backend; 2]) {
    let (web, two) = (Port::free(), [(); 2].map(|()| Backend::greeter()));
    let more = r#"zone = "a", max_connections = 1000"#;
    let list = backends_with(two.iter().map(|backend| (backend, more)));
    let queue = "zone = \"a\"\nqueue = { length = 7 }";
    let config = server("web", &web, &[r#"scheduler = "rr""#, queue, QUICK_CHECK, &list]);
    let balancer = Balancer::start_and(&config, arguments);
    balancer.until_all_up();
    (balancer, web, two)
}

/// The samples of an exposition, and the type of each family.
fn parse(text: &str) -> (HashMap<String, f64>, HashMap<String, String>) {
    let (mut samples, mut types) = (HashMap::new(), HashMap::new());
    let mut helped = HashMap::new();
    let lines: Vec<_> = text.lines().collect();
    let (end, lines) = lines.split_last().unwrap();
    assert_eq!(*end, "# EOF");
    assert!(text.ends_with('\n'));
    for line in lines {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(helped.insert(name, help).is_none(), "{line}");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(types.insert(name.to_owned(), kind.to_owned()).is_none(), "{line}");
        } else if !line.starts_with("# UNIT ") {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let name = series.split('{').next().unwrap();
            let family = types.keys().find(|family| {
                **family == name || name.strip_suffix("_total") == Some(family.as_str())
            });
            let kind = &types[family.unwrap_or_else(|| panic!("no family: {line}"))];
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            assert!(name.starts_with("lb_"), "{line}");
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{line}");
            assert!(samples.insert(series.to_owned(), value.parse().unwrap()).is_none(), "{line}");
        }
    }
    assert_eq!(helped.len(), types.len());
    (samples, types)
}

#[test]
fn metrics_say_what_status_says() {
    let (balancer, web, [a, mut b]) = start_and(&[]);
    let mut staying: Vec<_> = (0..5).map(|_| Visitor::enter(web.address())).collect();
    staying.retain_mut(|visitor| visitor.who().unwrap() == a.name());
    b.kill();
    balancer.until_state("web", &b, "down");
    let open = || balancer.server("web")["open_connections"].as_u64().unwrap();
    until("all others have left", || open() == staying.len() as u64);

    let answer = get(balancer.admin(), "/metrics").unwrap();
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("content-type: application/openmetrics-text; version=1.0.0"));
    let (samples, types) = parse(&answer.body);
    let status = balancer.server("web");
    let number = |value: &Value| {
        value.as_f64().or_else(|| value.as_bool().map(|one| f64::from(u8::from(one)))).unwrap()
    };
    for (metric, value) in [
        ("open_connections", &status["open_connections"]),
        ("accepted_connections_total", &status["accepted_total"]),
        ("abandoned_connections_total", &status["abandoned_total"]),
        ("accept_rests_total", &status["accept_rests_total"]),
        ("persisted_clients", &status["persisted_clients"]),
        ("live_weight", &status["quorum"]["live_weight"]),
        ("quorum_required", &status["quorum"]["required"]),
        ("quorum_up", &status["quorum"]["up"]),
        ("sorry", &status["sorry"]),
        ("panic", &status["panic"]),
        ("queue_length", &status["queue"]["length"]),
        ("queue_limit", &status["queue"]["limit"]),
    ] {
        let series = format!("lb_virtual_server_{metric}{{virtual_server=\"web\"}}");
        assert_eq!(samples.get(&series), Some(&number(value)), "{series}");
    }
    let refused = status["refused"].as_object().unwrap();
    assert_eq!(refused.len(), 7);
    for (reason, count) in refused {
        let labels = format!("virtual_server=\"web\",reason=\"{reason}\"");
        let series = format!("lb_virtual_server_refused_connections_total{{{labels}}}");
        assert_eq!(samples.get(&series), Some(&number(count)), "{series}");
    }
    for backend in status["backends"].as_array().unwrap() {
        let labels = format!("virtual_server=\"web\",backend={}", backend["address"]);
        for (metric, key) in [
            ("active_connections", "active_connections"),
            ("connections_total", "connections_total"),
            ("failures_total", "failures_total"),
            ("full", "full"),
            ("max_connections", "max_connections"),
            ("priority", "priority"),
            ("received_bytes_total", "bytes_in"),
            ("sent_bytes_total", "bytes_out"),
            ("weight", "weight"),
        ] {
            let series = format!("lb_backend_{metric}{{{labels}}}");
            assert_eq!(samples.get(&series), Some(&number(&backend[key])), "{series}");
        }
        let series = format!("lb_backend_zone{{{labels},zone={}}}", backend["zone"]);
        assert_eq!(samples.get(&series), Some(&1.0), "{series}");
        let series = format!("lb_backend_slow_start_percent{{{labels}}}");
        assert_eq!(samples.get(&series), Some(&100.0), "{series}");
        for state in ["warming", "up", "down", "drain", "maintenance"] {
            let series = format!("lb_backend_state{{{labels},state=\"{state}\"}}");
            let is_so = f64::from(u8::from(backend["state"] == state));
            assert_eq!(samples.get(&series), Some(&is_so), "{series}");
        }
    }
    assert_eq!(types["lb_backend_connections"], "counter");
    assert_eq!(types["lb_backend_active_connections"], "gauge");
}

#[test]
fn status_counts_what_happens() {
    let (balancer, web, [a, b]) = start_and(&[]);
    let mut visitors = [(); 4].map(|()| Visitor::enter(web.address()));
    for visitor in &mut visitors {
        visitor.who().unwrap();
    }
    let status = balancer.server("web");
    assert_eq!(status["listen"], web.to_string());
    assert_eq!(status["scheduler"], "rr");
    assert_eq!(status["accepted_total"], 4);
    assert_eq!(status["open_connections"], 4);
    assert_eq!(status["sorry"], false);
    for backend in [&a, &b] {
        let report = balancer.backend("web", backend.address());
        assert_eq!(report["active_connections"], 2, "{report}");
        assert_eq!(report["connections_total"], 2, "{report}");
        balancer.until_bytes("web", backend, 2 * "who\n".len(), 2 * (backend.name().len() + 1));
        assert_eq!(report["last_check"]["outcome"], "passed", "{report}");
        assert!(report["last_check"]["cause"].is_null(), "{report}");
        assert!(report["last_check"]["age_ms"].is_u64(), "{report}");
    }
}

#[test]
fn every_page_is_there_and_no_other() {
    let (balancer, ..) = start_and(&[]);
    let admin = balancer.admin();
    assert_eq!(get(admin, "/healthz").unwrap().body, "ok\n");
    assert!(get(admin, "/").unwrap().body.contains("/status"));
    let answer = get(admin, "/status").unwrap();
    assert!(answer.head.contains("content-type: application/json"), "{answer:?}");
    let nowhere = get(admin, "/statuses").unwrap();
    assert_eq!((nowhere.status, &*nowhere.body), (404, "GET / says what there is\n"));
    // As HAProxy's `option httpchk` asks, for instance.
    assert_eq!(request(admin, "GET", "/healthz", &[], "").unwrap().status, 200);
    let host = admin.to_string();
    let answer = request(admin, "HEAD", "/status", &[("Host", &host)], "").unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    assert_eq!(request(admin, "DELETE", "/status", &[("Host", &host)], "").unwrap().status, 405);
}

#[test]
fn the_log_as_json_is_one_object_per_line() {
    let (balancer, web, [mut a, b]) = start_and(&["--log-format", "json"]);
    ask(web.address()).unwrap();
    a.kill();
    balancer.until_state("web", &a, "down");
    balancer.order("web", &b, "drain", "");
    // A mistake takes several lines of text, but is one event.
    balancer.reload_in_vain("nonsense = 1\n");
    let log = balancer.log();
    assert!(log.len() > 5);
    for line in &log {
        let object: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        for key in ["timestamp", "level", "message"] {
            assert!(object[key].is_string(), "{key} in {line}");
        }
    }
    let down = log.iter().find(|line| line.contains("up → down")).unwrap();
    let down: Value = serde_json::from_str(down).unwrap();
    assert_eq!(down["level"], "WARN");
    assert_eq!(down["backend"], a.name());
    assert_eq!(down["virtual_server"], "web");
}

#[test]
fn warnings_are_json_too() {
    let (web, only) = (Port::free(), Backend::greeter());
    let sorry = r#"sorry_server = "127.0.0.1:9""#;
    let config = server("web", &web, &[sorry, &backends([(&only, 1)])]);
    let balancer = Balancer::start_and(&config, &["--log-format", "json"]);
    let line = balancer.until_logged(&["warning"]);
    for line in balancer.log() {
        assert!(serde_json::from_str::<Value>(&line).is_ok(), "{line}");
    }
    assert!(line.contains("sorry_server"), "{line}");
}

#[test]
fn the_log_as_text_has_no_colours_in_a_file_and_a_line_per_change() {
    let (balancer, _web, [mut a, _b]) = start_and(&[]);
    for _ in 0..2 {
        a.kill();
        balancer.until_state("web", &a, "down");
        a.revive();
        balancer.until_state("web", &a, "up");
    }
    assert!(!balancer.said().contains('\x1b'));
    let steps: Vec<_> = ["warming → up", "up → down", "down → up", "up → down", "down → up"].into();
    until("all is logged", || balancer.lines_with(&a.name()).len() >= steps.len());
    let changes = balancer.lines_with(&a.name());
    assert_eq!(changes.len(), steps.len(), "{changes:#?}");
    for (line, step) in changes.iter().zip(steps) {
        assert!(line.contains(step) && line.contains("check "), "{line}");
    }
}

#[test]
fn ipv6_works_throughout() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        eprintln!("skipped: this host has no IPv6");
        return;
    }
    let web = Port::free_on_ipv6();
    let mut six = Backend::greeter_on(Port::free_on_ipv6());
    let four = Backend::greeter();
    let rest = [
        r#"scheduler = "rr""#,
        "persistence = { granularity = 64, timeout = \"100ms\" }",
        QUICK_CHECK,
        &backends([(&six, 1), (&four, 1)]),
    ];
    let balancer = Balancer::start(&server("web", &web, &rest));
    balancer.until_all_up();
    let home = ask(web.address()).unwrap();
    until("another one's turn", || {
        balancer.server("web")["persisted_clients"] == 0 && ask(web.address()).unwrap() != home
    });
    assert!(six.requests() > 0 && four.requests() > 0);
    six.kill();
    balancer.until_state("web", &six, "down");
    assert_eq!(ask(web.address()).unwrap(), four.name());
    six.revive();
    balancer.until_state("web", &six, "up");
    // In a path, brackets may be escaped.
    let path = format!("/virtual_servers/web/backends/%5B::1%5D:{}/drain", six.address().port());
    assert_eq!(post(balancer.admin(), &path, "").unwrap().status, 200);
    assert_eq!(balancer.state("web", &six), "drain");
}

#[test]
fn a_filter_of_the_log_that_says_nothing_hides_nothing() {
    for (filter, complains) in [("", false), (" ", false), ("info,=b=c", true), ("info", false)] {
        let (web, a) = (Port::free(), Backend::greeter());
        let config = server("web", &web, &[&backends([(&a, 1)])]);
        let balancer = Balancer::start_with(&config, |_, path| {
            let mut command = binary();
            command.env("RUST_LOG", filter).arg("--config").arg(path);
            command
        });
        balancer.until_logged(&["INFO", "accepting"]);
        let complaints = balancer.lines_with("RUST_LOG is not understood").len();
        assert_eq!(complaints == 1, complains, "{filter:?}: {}", balancer.said());
    }
}
