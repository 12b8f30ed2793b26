//! Orders by POST to the admin address.

use crate::harness::*;

/// Two backends, in turn.
fn start(more: &[&str]) -> (Balancer, Port, [Backend; 2]) {
    let (web, two) = (Port::free(), [(); 2].map(|()| Backend::greeter()));
    let list = backends(two.iter().map(|backend| (backend, 1)));
    let rest = [r#"scheduler = "wrr""#, QUICK_CHECK, &list];
    let balancer = Balancer::start(&server("web", &web, &[&rest[..], more].concat()));
    balancer.until_all_up();
    (balancer, web, two)
}

/// A client that is connected to this backend.
fn visitor_at(web: &Port, backend: &Backend) -> Visitor {
    eventually("a client gets there", || {
        let mut visitor = Visitor::enter(web.address());
        (visitor.who().unwrap() == backend.name()).then_some(visitor)
    })
}

#[test]
fn drain_lets_connections_go_on_and_cuts_them_after_the_timeout() {
    let (balancer, web, [a, b]) = start(&[r#"drain_timeout = "1500ms""#]);
    let (mut at_a, mut at_b) = (visitor_at(&web, &a), visitor_at(&web, &b));
    assert_eq!(balancer.order("web", &a, "drain", "").status, 200);
    assert_eq!(balancer.state("web", &a), "drain");
    assert_eq!(balancer.backend("web", a.address())["weight"], 0);
    assert_eq!(at_a.who().unwrap(), a.name(), "not at once");
    for _ in 0..20 {
        assert_eq!(ask(web.address()).unwrap(), b.name());
    }
    at_a.until_cut();
    until("it is gone", || balancer.backend("web", a.address())["active_connections"] == 0);
    assert_eq!(at_b.who().unwrap(), b.name());
    balancer.until_logged(&[&a.name(), "up → drain", "administrator"]);

    assert_eq!(balancer.order("web", &a, "enable", "").status, 200);
    assert_eq!(balancer.state("web", &a), "up");
    visitor_at(&web, &a);
}

#[test]
fn a_client_that_belongs_to_a_draining_backend_moves_when_the_drain_is_over() {
    let more = [r#"drain_timeout = "1s""#, r#"persistence = { timeout = "60s" }"#];
    let (balancer, web, [a, b]) = start(&more);
    let home = ask(web.address()).unwrap();
    let (home, other) = if home == a.name() { (a, b) } else { (b, a) };
    assert_eq!(balancer.order("web", &home, "drain", "").status, 200);
    assert_eq!(ask(web.address()).unwrap(), home.name(), "its clients still come");
    // Whoever is there at that very moment is cut.
    until("it moves", || ask(web.address()).is_ok_and(|name| name == other.name()));
    assert_eq!(balancer.state("web", &home), "drain");
    assert_eq!(balancer.order("web", &home, "enable", "").status, 200);
    assert_eq!(ask(web.address()).unwrap(), other.name(), "it belongs there now");
}

#[test]
fn enable_calls_a_drain_off() {
    let (balancer, web, [a, b]) = start(&[r#"drain_timeout = "300ms""#]);
    let (mut kept, mut cut) = (visitor_at(&web, &a), visitor_at(&web, &b));
    assert_eq!(balancer.order("web", &a, "drain", "").status, 200);
    assert_eq!(balancer.order("web", &a, "enable", "").status, 200);
    // By the time that one ends which began later, the other would have.
    assert_eq!(balancer.order("web", &b, "drain", "").status, 200);
    cut.until_cut();
    assert_eq!(kept.who().unwrap(), a.name());
}

#[test]
fn a_drain_lasts_over_a_reload() {
    let (balancer, web, [a, b]) = start(&[r#"drain_timeout = "1s""#]);
    let mut at_a = visitor_at(&web, &a);
    assert_eq!(balancer.order("web", &a, "drain", "").status, 200);
    let list = backends([(&a, 1), (&b, 1)]);
    balancer.reload(&server("web", &web, &[QUICK_CHECK, r#"drain_timeout = "1s""#, &list]));
    assert_eq!(balancer.state("web", &a), "drain");
    assert_eq!(ask(web.address()).unwrap(), b.name());
    at_a.until_cut();
}

#[test]
fn disable_sends_nobody_there_not_even_those_who_belong() {
    let (balancer, web, two) = start(&[r#"persistence = { timeout = "10m" }"#]);
    let home = ask(web.address()).unwrap();
    let [ours, other] = if two[0].name() == home { [&two[0], &two[1]] } else { [&two[1], &two[0]] };
    // Drained, who belongs there still comes.
    assert_eq!(balancer.order("web", ours, "drain", "").status, 200);
    assert_eq!(ask(web.address()).unwrap(), home);
    assert_eq!(balancer.order("web", ours, "disable", "").status, 200);
    assert_eq!(balancer.state("web", ours), "maintenance");
    assert_eq!(ask(web.address()).unwrap(), other.name());
    assert_eq!(balancer.order("web", ours, "enable", "").status, 200);
    balancer.until_state("web", ours, "up");
}

#[test]
fn weight_shifts_the_shares() {
    let (balancer, web, [a, b]) = start(&[]);
    assert_eq!(balancer.order("web", &a, "weight", "3\n").status, 200);
    assert_eq!(balancer.backend("web", a.address())["weight"], 3);
    for _ in 0..400 {
        ask(web.address()).unwrap();
    }
    assert!(a.requests().abs_diff(300) <= 3, "{}", a.requests());
    assert_eq!(balancer.order("web", &a, "weight", "0").status, 200);
    assert_eq!(balancer.state("web", &a), "drain");
    assert_eq!(ask(web.address()).unwrap(), b.name());

    // A reload that says nothing new about the weight does not take it back; one that does, does.
    let list = backends([(&a, 1), (&b, 1)]);
    balancer.reload(&server("web", &web, &[QUICK_CHECK, &list]));
    assert_eq!(balancer.backend("web", a.address())["weight"], 0);
    let list = backends([(&a, 5), (&b, 1)]);
    balancer.reload(&server("web", &web, &[QUICK_CHECK, &list]));
    assert_eq!(balancer.backend("web", a.address())["weight"], 5);
}

#[test]
fn a_backend_that_is_down_can_be_given_orders_too() {
    let (balancer, web, [mut a, b]) = start(&[]);
    a.kill();
    balancer.until_state("web", &a, "down");
    assert_eq!(balancer.order("web", &a, "enable", "").status, 200);
    assert_eq!(balancer.state("web", &a), "down", "only checks say who lives");
    assert_eq!(balancer.order("web", &a, "disable", "").status, 200);
    assert_eq!(balancer.state("web", &a), "maintenance");
    a.revive();
    let requests = a.requests();
    assert_eq!(ask(web.address()).unwrap(), b.name());
    assert_eq!(a.requests(), requests, "nobody is sent there");
    // Its checks rested, and decide anew.
    assert_eq!(balancer.order("web", &a, "enable", "").status, 200);
    assert_eq!(balancer.state("web", &a), "down");
    balancer.until_state("web", &a, "up");
}

#[test]
fn what_is_no_order_is_refused_and_changes_nothing() {
    let (balancer, _web, [a, b]) = start(&[]);
    let admin = balancer.admin();
    let host = admin.to_string();
    let path = |what: &str| format!("/virtual_servers/web/backends/{}/{what}", a.address());
    let before = balancer.server("web");

    let answer = get(admin, &path("drain")).unwrap();
    assert_eq!(answer.status, 405, "{answer:?}");
    assert!(answer.head.contains("allow: post"), "{answer:?}");
    for method in ["PUT", "DELETE", "HEAD"] {
        let answer = request(admin, method, &path("drain"), &[("Host", &host)], "");
        assert_eq!(answer.unwrap().status, 405, "{method}");
    }

    for (path, body, status) in [
        (path("explode"), "", 400),
        (path(""), "", 400),
        (path("drain/"), "", 400),
        (path("weight"), "", 400),
        (path("weight"), "-1", 400),
        (path("weight"), "65536", 400),
        (path("weight"), "many", 400),
        ("/virtual_servers/web".to_owned(), "", 400),
        ("/virtual_servers/web/backends/nonsense/drain".to_owned(), "", 400),
        ("/virtual_servers/web/backends/127.0.0.1/drain".to_owned(), "", 400),
        ("/virtual_servers/web/backends/127.0.0.1:1/drain".to_owned(), "", 404),
        ("/virtual_servers/none/backends/127.0.0.1:1/drain".to_owned(), "", 404),
        ("/virtual_servers/%00%ff/backends/127.0.0.1:1/drain".to_owned(), "", 404),
        ("/status".to_owned(), "", 405),
        ("/nothing".to_owned(), "", 404),
    ] {
        let answer = post(admin, &path, body).unwrap();
        assert_eq!(answer.status, status, "{path} {body}: {answer:?}");
        assert!(answer.body.ends_with('\n') && answer.body.len() > 5, "{path}: {answer:?}");
    }
    let answer = post(admin, "/virtual_servers/none/backends/127.0.0.1:1/drain", "").unwrap();
    assert!(answer.body.contains("there are: web"), "{answer:?}");
    let answer = post(admin, &path("weight"), &"1".repeat(100_000));
    assert!(answer.is_err() || answer.unwrap().status == 413);

    for headers in [
        &[("Host", host.as_str()), ("Origin", "http://evil.example")][..],
        &[("Host", host.as_str()), ("Origin", "null")],
        &[("Host", "evil.example")],
        &[("Host", "127.0.0.1.evil.example:9900")],
        &[],
    ] {
        let answer = request(admin, "POST", &path("drain"), headers, "").unwrap();
        assert!(matches!(answer.status, 400 | 403), "{headers:?}: {answer:?}");
    }
    let answer = request(admin, "POST", &path("enable"), &[("Host", "localhost:80")], "").unwrap();
    assert_eq!(answer.status, 200);

    assert_eq!(balancer.state("web", &a), before["backends"][0]["state"]);
    assert_eq!(balancer.backend("web", a.address())["weight"], 1);
    assert_eq!(balancer.state("web", &b), "up");
}

#[test]
fn garbage_and_silence_on_the_admin_address_harm_nobody() {
    use std::io::Write;
    let (balancer, web, _two) = start(&[]);
    let head = format!(
        "POST /virtual_servers/web/backends/127.0.0.1:1/weight HTTP/1.1\r\nHost: {}\r\n\
         Content-Length: 5\r\n\r\n",
        balancer.admin()
    );
    let mut kept = Vec::new();
    for nonsense in ["\0\r\n\r\n", "GET", "\x16\x03\x01\x02\0", "GET / HTTP/9.9\r\n\r\n", "", &head]
    {
        for _ in 0..5 {
            let mut stream = connect(balancer.admin()).unwrap();
            stream.write_all(nonsense.as_bytes()).unwrap();
            kept.push(stream);
        }
    }
    assert_eq!(get(balancer.admin(), "/healthz").unwrap().status, 200);
    ask(web.address()).unwrap();
}

#[test]
#[ignore = "slow: waits for a timeout of ten seconds"]
fn administrators_that_never_finish_lock_nobody_out() {
    use std::io::Write;
    let (balancer, _web, _two) = start(&[]);
    let head = format!(
        "POST /virtual_servers/web/backends/127.0.0.1:1/weight HTTP/1.1\r\nHost: {}\r\n\
         Content-Length: 5\r\n\r\n",
        balancer.admin()
    );
    let _kept: Vec<_> = (0..64)
        .map(|_| {
            let mut stream = connect(balancer.admin()).unwrap();
            stream.write_all(head.as_bytes()).unwrap();
            stream
        })
        .collect();
    until("somebody else is answered", || get(balancer.admin(), "/healthz").is_ok());
}
