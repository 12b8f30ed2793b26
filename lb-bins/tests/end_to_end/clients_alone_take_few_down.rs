//! Clients that fail where checks pass: they are heard, but one of them is none, and they never have all.

use std::net::SocketAddr;

use crate::harness::*;

/// A virtual server for these, asked in turn, and checked at a port that answers: once, unless it is doubted.
fn start(web: &Port, backends: &[SocketAddr], checked: &Backend, check: &str) -> Balancer {
    let port = checked.address().port();
    let check = check.replace("PORT", &port.to_string());
    let list: String =
        backends.iter().map(|backend| format!("{{ address = \"{backend}\" }},")).collect();
    let rest = [r#"scheduler = "rr""#, &check, &format!("backend = [{list}]")];
    let balancer = Balancer::start(&server("web", web, &rest));
    balancer.until_all_up();
    balancer
}

/// One run that fails would take it down.
const ONE_RUN: &str =
    r#"check = { type = "tcp", port = PORT, interval = "1h", rise = 1, fall = 1 }"#;

/// The states of all backends, at one moment.
fn states(balancer: &Balancer) -> Vec<String> {
    let server = balancer.server("web");
    let states = server["backends"].as_array().unwrap().iter().map(|backend| &backend["state"]);
    states.map(|state| state.as_str().unwrap().to_owned()).collect()
}

#[test]
fn one_client_that_fails_takes_nobody_down() {
    let (web, gone, other) = (Port::free(), Port::free(), Backend::greeter());
    let balancer = start(&web, &[gone.address(), other.address()], &other, ONE_RUN);
    until("it is down", || {
        assert_eq!(ask(web.address()).unwrap(), other.name());
        let report = balancer.backend("web", gone.address());
        let failures = report["failures_total"].as_u64().unwrap();
        assert!(failures > 2 || report["state"] == "up", "down after {failures}: {report}");
        report["state"] == "down"
    });
    balancer.until_logged(&["up → down", "connections fail: connection refused"]);
}

#[test]
fn a_pool_that_fails_altogether_loses_one_at_a_time() {
    let (web, checked) = (Port::free(), Backend::greeter());
    let gone = [Port::free(), Port::free(), Port::free()];
    let backends = gone.each_ref().map(Port::address);
    let balancer = start(&web, &backends, &checked, ONE_RUN);
    // A client that fails, and who is down then.
    let fail = || {
        until_turned_away(web.address());
        let states = states(&balancer);
        let down = states.iter().filter(|state| *state == "down").count();
        assert!(down <= 1, "{states:?}");
        down
    };
    until("one is down", || fail() == 1);
    // The checks of the others look in the meantime, and pass; so does that one's, which may be up again.
    until("they ran soon", || {
        fail();
        let reports = backends.map(|backend| balancer.backend("web", backend));
        reports.map(|report| report["checks"][0]["runs"][0].clone()).iter().all(|run| {
            assert_eq!(run["outcome"], "passed", "{run}");
            run["repeated"].as_u64() > Some(2)
        })
    });
}

/// If they are really gone, all go: the checks say so, long before it would be their time.
#[test]
fn checks_that_are_doubted_decide_soon() {
    let web = Port::free();
    let mut dying = [Backend::greeter(), Backend::greeter(), Backend::greeter()];
    let backends = dying.each_ref().map(Backend::address);
    let list: String =
        backends.iter().map(|backend| format!("{{ address = \"{backend}\" }},")).collect();
    let check = r#"check = { type = "tcp", interval = "1h", fall = 1 }"#;
    let rest = [r#"scheduler = "rr""#, check, &format!("backend = [{list}]")];
    let balancer = Balancer::start(&server("web", &web, &rest));
    balancer.until_all_up();
    dying.iter_mut().for_each(Backend::kill);
    until("all are down", || {
        until_turned_away(web.address());
        states(&balancer).iter().all(|state| state == "down")
    });
}

/// Who is down for its own check is out on nobody's word, though clients had seen it first.
#[test]
fn who_is_found_dead_by_its_check_as_well_saves_no_other_from_clients() {
    let (web, gone) = (Port::free(), Port::free());
    let (mut checked, mut dying, other) =
        (Backend::greeter(), Backend::greeter(), Backend::greeter());
    let backend = |address: SocketAddr, port: u16, rest: &str| {
        let check = format!(r#"{{ type = "tcp", port = {port}, fall = 1, {rest} }}"#);
        format!(r#"{{ address = "{address}", check = {check} }},"#)
    };
    let list = [
        backend(gone.address(), checked.address().port(), r#"interval = "100ms", rise = 1000"#),
        backend(dying.address(), other.address().port(), r#"interval = "1h""#),
        backend(other.address(), other.address().port(), r#"interval = "1h""#),
    ];
    let rest = [r#"scheduler = "rr""#, &format!("backend = [{}]", list.concat())];
    let balancer = Balancer::start(&server("web", &web, &rest));
    balancer.until_all_up();
    until("clients took it down", || {
        drop(ask(web.address()));
        balancer.backend("web", gone.address())["state"] == "down"
    });
    checked.kill();
    until("its check agrees", || {
        let report = balancer.backend("web", gone.address());
        report["checks"][0]["runs"][0]["outcome"] == "failed"
    });
    dying.kill();
    until("clients take the other one down", || {
        drop(ask(web.address()));
        balancer.backend("web", dying.address())["state"] == "down"
    });
    // Its check passes, and has no part in it.
    assert_eq!(states(&balancer), ["down", "down", "up"]);
}

#[test]
fn no_client_counts_for_a_script() {
    let (web, gone, other) = (Port::free(), Port::free(), Backend::greeter());
    let check =
        r#"check = { type = "script", command = ["/bin/true"], interval = "1h", fall = 1 }"#;
    let backends = [gone.address(), other.address()];
    let balancer = start(&web, &backends, &other, check);
    until("clients have failed", || {
        assert_eq!(ask(web.address()).unwrap(), other.name());
        balancer.backend("web", gone.address())["failures_total"].as_u64() > Some(20)
    });
    assert_eq!(states(&balancer), ["up", "up"]);
    let run = balancer.backend("web", gone.address())["checks"][0]["runs"][0].clone();
    assert_eq!(run["repeated"], 1, "it ran for clients: {run}");
}
