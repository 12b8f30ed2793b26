//! Backends that have a name instead of an address.

use std::net::SocketAddr;

use serde_json::Value;

use crate::harness::*;

/// Two greeters at one port, of 127.0.0.2 and 127.0.0.3.
fn two() -> (u16, [Backend; 2]) {
    eventually("a port is free at both", || {
        let first = Port::free_on_host([127, 0, 0, 2]);
        let port = first.address().port();
        let second = Port::try_held_at(SocketAddr::from(([127, 0, 0, 3], port)))?;
        Some((port, [Backend::greeter_on(first), Backend::greeter_on(second)]))
    })
}

fn start(names: &NameServer, name: &str, port: u16, more: &str) -> (Balancer, Port) {
    let web = Port::free();
    let backend = format!("backend = [{{ address = \"{name}:{port}\" }}]\n{more}");
    let config = server("web", &web, &[QUICK_CHECK, &backend]);
    (Balancer::start(&(names.key() + &config)), web)
}

fn report(balancer: &Balancer, name: &str, port: u16) -> Value {
    let backends = balancer.server("web")["backends"].as_array().cloned().unwrap();
    let address = format!("{name}:{port}");
    backends.into_iter().find(|one| one["address"] == *address).unwrap()
}

fn until_state(balancer: &Balancer, name: &str, port: u16, state: &str) {
    until(&format!("{name} is {state}"), || report(balancer, name, port)["state"] == state);
}

#[test]
fn a_name_that_changes_its_address_moves_new_connections() {
    let (names, (port, [first, second])) = (NameServer::start(), two());
    names.stands_for("db.example.org", &[2]);
    let (balancer, web) = start(&names, "DB.example.org", port, "");
    until_state(&balancer, "db.example.org", port, "up");
    assert_eq!(ask(web.address()).unwrap(), first.name());
    let resolved = report(&balancer, "db.example.org", port)["resolved"].clone();
    assert_eq!(resolved, first.name());
    let mut stays = Visitor::enter(web.address());
    assert_eq!(stays.who().unwrap(), first.name());

    // As long as it is among the answers, it is kept.
    names.stands_for("db.example.org", &[3, 2]);
    let asked = names.asked();
    until("it was asked anew", || names.asked() > asked + 1);
    assert_eq!(ask(web.address()).unwrap(), first.name());

    names.stands_for("db.example.org", &[3]);
    until("it moves", || ask(web.address()).unwrap() == second.name());
    balancer.until_logged(&["stands for 127.0.0.3 now", "127.0.0.2", "db.example.org"]);
    assert_eq!(stays.who().unwrap(), first.name(), "who is connected stays");
    assert_eq!(report(&balancer, "db.example.org", port)["state"], "up", "until a check says else");
    // And its checks look there.
    drop(second);
    until_state(&balancer, "db.example.org", port, "down");
    let why = get(balancer.admin(), &format!("/explain/web/db.example.org:{port}")).unwrap().body;
    assert!(why.contains("Its name stands for 127.0.0.3 now"), "{why}");
    names.stands_for("db.example.org", &[2]);
    until_state(&balancer, "db.example.org", port, "up");
    assert_eq!(ask(web.address()).unwrap(), first.name());
}

#[test]
fn a_name_that_cannot_be_resolved_at_first_is_down_until_it_can() {
    let (names, (port, [first, _second])) = (NameServer::start(), two());
    let (balancer, web) = start(&names, "new.example.org", port, "");
    until_state(&balancer, "new.example.org", port, "down");
    let last = report(&balancer, "new.example.org", port)["last_check"].clone();
    assert_eq!((&last["outcome"], &last["cause"]), (&"failed".into(), &"dns".into()), "{last}");
    assert!(last["detail"].as_str().unwrap().contains("there is no such name"), "{last}");
    balancer.until_logged(&["cannot be resolved", "no such name", "new.example.org"]);
    let why = get(balancer.admin(), &format!("/explain/web/new.example.org:{port}")).unwrap().body;
    assert!(why.contains("Its name stands for nothing"), "{why}");
    assert!(ask(web.address()).is_err());
    names.stands_for("new.example.org", &[2]);
    until_state(&balancer, "new.example.org", port, "up");
    assert_eq!(ask(web.address()).unwrap(), first.name());
}

#[test]
fn what_cannot_be_resolved_any_more_keeps_its_address() {
    let (names, (port, [first, _second])) = (NameServer::start(), two());
    names.stands_for("db.example.org", &[2]);
    let (balancer, web) = start(&names, "db.example.org", port, "");
    until_state(&balancer, "db.example.org", port, "up");
    for answer in [NameAnswer::Failure, NameAnswer::Silence] {
        names.say("db.example.org", answer);
        let asked = names.asked();
        until("it was asked in vain", || names.asked() > asked);
        assert_eq!(ask(web.address()).unwrap(), first.name());
    }
    balancer.until_logged(&["cannot be resolved", "127.0.0.2 is kept"]);
    names.forget("db.example.org");
    let asked = names.asked();
    until("it was asked in vain", || names.asked() > asked);
    assert_eq!(ask(web.address()).unwrap(), first.name());
    assert_eq!(report(&balancer, "db.example.org", port)["state"], "up");
}

#[test]
fn orders_reach_it_by_its_name_and_a_reload_may_ask_elsewhere() {
    let (names, other, (port, [first, second])) = (NameServer::start(), NameServer::start(), two());
    names.stands_for("db.example.org", &[2]);
    other.stands_for("db.example.org", &[3]);
    let (balancer, web) = start(&names, "db.example.org", port, "");
    until_state(&balancer, "db.example.org", port, "up");
    let order = |what: &str| {
        let path = format!("/virtual_servers/web/backends/db.example.org:{port}/{what}");
        assert_eq!(post(balancer.admin(), &path, "").unwrap().status, 200);
    };
    order("drain");
    assert_eq!(report(&balancer, "db.example.org", port)["state"], "drain");
    order("enable");
    assert_eq!(ask(web.address()).unwrap(), first.name());
    let backend = format!("backend = [{{ address = \"db.example.org:{port}\" }}]\n");
    let config = server("web", &web, &[QUICK_CHECK, &backend]);
    balancer.reload(&(other.key() + &config));
    until("it moves", || ask(web.address()).unwrap() == second.name());
}

#[test]
fn checks_and_sorry_servers_may_have_names_as_well() {
    let (names, (port, [first, second])) = (NameServer::start(), two());
    names.stands_for("check.example.org", &[2]);
    names.stands_for("sorry.example.org", &[3]);
    let (web, mut backend) = (Port::free(), Backend::greeter());
    let check = format!(
        "check = {{ type = \"tcp\", address = \"check.example.org:{port}\", interval = \"100ms\", fast_interval = \"50ms\", timeout = \"20s\", rise = 1, fall = 2 }}\nsorry_server = \"sorry.example.org:{port}\""
    );
    let config = server("web", &web, &[&check, &backends([(&backend, 1)])]);
    let balancer = Balancer::start(&(names.key() + &config));
    balancer.until_state("web", &backend, "up");
    assert_eq!(ask(web.address()).unwrap(), backend.name());
    drop(first);
    until("the sorry server has them", || ask(web.address()).unwrap() == second.name());
    backend.kill();
    let checks = balancer.backend("web", backend.address())["checks"].clone();
    assert_eq!(checks[0]["target"], format!("check.example.org:{port}"), "{checks}");
}

#[test]
fn a_probe_resolves_and_says_so() {
    let localhost = Backend::greeter();
    let port = localhost.address().port();
    let output = arguments(&["--probe", "tcp", &format!("localhost:{port}")]);
    assert!(output.status.success(), "{output:?}");
    let (names, folder) = (NameServer::start(), Folder::new());
    let web = Port::free();
    let backend =
        format!("check = {{}}\nbackend = [{{ address = \"gone.example.org:{port}\" }}]\n");
    let path = folder.write("lb.toml", &(names.key() + &server("web", &web, &[&backend])));
    let target = format!("gone.example.org:{port}");
    let output = arguments(&["--config", path.to_str().unwrap(), "--probe", &target]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("cannot resolve gone.example.org: there is no such name [dns]"),
        "{said}"
    );
    // Nobody answers there: it is said where.
    let nobody = Port::free().address();
    let resolvers = format!("resolvers = [\"{nobody}\"]\n");
    let patient = backend.replace("{}", "{ type = \"tcp\", timeout = \"30s\" }");
    let path = folder.write("deaf.toml", &(resolvers + &server("web", &web, &[&patient])));
    let output = arguments(&["--config", path.to_str().unwrap(), "--probe", &target]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!(", asking {nobody} [dns]")), "{said}");
}

#[test]
fn an_agent_whose_name_cannot_be_resolved_says_nothing_of_the_backend() {
    let (names, backend, web) = (NameServer::start(), Backend::greeter(), Port::free());
    let checks = "check = [{ type = \"tcp\", interval = \"100ms\" }, \
        { type = \"agent\", address = \"agent.example.org:9777\", interval = \"100ms\" }]";
    let backends = format!("backend = [{{ address = \"{}\" }}]\n", backend.name());
    let config = server("web", &web, &[checks, &backends]);
    let balancer = Balancer::start(&(names.key() + &config));
    balancer.until_logged(&["cannot be checked", "agent.example.org"]);
    let state = balancer.server("web")["backends"][0]["state"].clone();
    assert_eq!(state, "up");
}
