//! SIGHUP while clients come.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt as _;

use rustix::process::Signal;

use crate::harness::*;

/// The age of the last check, and whether the backend was ever seen in another state than up.
fn is_up(balancer: &Balancer, backend: &Backend) -> bool {
    balancer.state("web", backend) == "up"
}

#[test]
fn weights_backends_and_scheduler_change_under_load() {
    let (web, [a, b, c]) = (Port::free(), [(); 3].map(|()| Backend::greeter()));
    let config = |scheduler: &str, list: &[(&Backend, u16)]| {
        let scheduler = format!("scheduler = \"{scheduler}\"");
        let list = backends(list.iter().copied());
        server("web", &web, &[&scheduler, QUICK_CHECK, &list])
    };
    let balancer = Balancer::start(&config("rr", &[(&a, 1), (&b, 1)]));
    balancer.until_all_up();
    let load = Load::start(web.address());
    load.serve(100);

    // Another weight.
    let [before, _] = balancer.totals("web", [&a, &b]);
    balancer.reload(&config("wrr", &[(&a, 3), (&b, 1)]));
    assert!(is_up(&balancer, &a) && is_up(&balancer, &b), "never warming again");
    assert_eq!(balancer.backend("web", a.address())["weight"], 3);
    let [after, _] = balancer.totals("web", [&a, &b]);
    assert!(before > 0 && after >= before, "counters are kept: {before} {after}");
    load.serve(100);

    // A backend more.
    balancer.reload(&config("wrr", &[(&a, 3), (&b, 1), (&c, 1)]));
    assert!(is_up(&balancer, &a) && is_up(&balancer, &b), "never warming again");
    balancer.until_state("web", &c, "up");
    load.serve(100);
    until("the new one serves", || c.requests() > 0);

    // One less: whoever is there stays.
    let mut staying: Vec<_> = (0..10).map(|_| Visitor::enter(web.address())).collect();
    let homes: Vec<_> = staying.iter_mut().map(|visitor| visitor.who().unwrap()).collect();
    assert!(homes.contains(&a.name()));
    balancer.reload(&config("lc", &[(&b, 1), (&c, 1)]));
    assert_eq!(balancer.state("web", &a), "absent");
    load.between(|| ());
    load.serve(10);
    let answered = a.requests();
    load.serve(100);
    assert_eq!(a.requests(), answered, "nobody new is sent there");
    for (visitor, home) in staying.iter_mut().zip(&homes) {
        assert_eq!(visitor.who().unwrap(), *home);
    }
    assert_eq!(balancer.server("web")["scheduler"], "lc");

    // Every scheduler there is.
    for scheduler in ["wlc", "sed", "nq", "random", "p2c", "fo", "sh", "rr"] {
        balancer.reload(&config(scheduler, &[(&b, 1), (&c, 1)]));
        load.serve(20);
    }
    load.stop();
    assert_eq!(balancer.server("web")["refused_total"], 0);
}

#[test]
fn what_has_not_changed_goes_on_as_it_was() {
    let (web, a) = (Port::free(), Backend::greeter());
    // A second check is an hour away, so that a check that started over would be seen.
    let check = r#"check = { type = "tcp", interval = "1h", rise = 1, jitter = 0 }"#;
    let config = |more: &str| server("web", &web, &[check, more, &backends([(&a, 1)])]);
    let balancer = Balancer::start(&config(""));
    balancer.until_all_up();
    let mut visitor = Visitor::enter(web.address());
    visitor.who().unwrap();
    let age = |report: &serde_json::Value| report["last_check"]["age_ms"].as_u64().unwrap();
    until("the check is some time ago", || age(&balancer.backend("web", a.address())) > 300);
    let before = balancer.backend("web", a.address());
    for _ in 0..3 {
        balancer.reload(&config(r#"connect_timeout = "3s""#));
        let after = balancer.backend("web", a.address());
        assert_eq!(after["state"], "up");
        assert_eq!(after["active_connections"], 1);
        assert_eq!(after["connections_total"], before["connections_total"]);
        assert_eq!(after["bytes_in"], before["bytes_in"]);
        assert!(age(&after) >= age(&before), "the check has started over: {after}");
    }
    visitor.who().unwrap();
    assert_eq!(balancer.lines_with("→").len(), 1, "{}", balancer.said());
}

#[test]
fn a_virtual_server_moves_to_another_address() {
    let (old, new, a) = (Port::free(), Port::free(), Backend::greeter());
    let config = |port| server("web", port, &[QUICK_CHECK, &backends([(&a, 1)])]);
    let balancer = Balancer::start(&config(&old));
    balancer.until_all_up();
    let mut staying = Visitor::enter(old.address());
    staying.who().unwrap();
    let load = Load::start(old.address());
    load.serve(100);
    balancer.reload(&config(&new));
    load.until_refused();
    load.stop_where_refused();
    assert_eq!(ask(new.address()).unwrap(), a.name());
    staying.who().unwrap();
    assert!(is_up(&balancer, &a));
    assert!(balancer.backend("web", a.address())["connections_total"].as_u64().unwrap() > 100);
}

/// The old listener serves who is queued for a twentieth of a second before it closes.
#[test]
fn a_virtual_server_comes_back_to_an_address_that_it_has_just_left() {
    let (old, new, a) = (Port::free(), Port::free(), Backend::greeter());
    let config = |name, port| server(name, port, &[QUICK_CHECK, &backends([(&a, 1)])]);
    let balancer = Balancer::start(&config("web", &old));
    balancer.until_all_up();
    // In its own place, and where another one has been removed.
    for name in ["web", "web", "other", "third"] {
        balancer.reload(&config(name, &new));
        balancer.reload(&config("web", &old));
        assert_eq!(ask(old.address()).unwrap(), a.name());
    }
}

#[test]
fn virtual_servers_are_added_renamed_and_removed_under_load() {
    let (first, second, third) = (Port::free(), Port::free(), Port::free());
    let (a, b) = (Backend::greeter(), Backend::greeter());
    let config = |servers: &[(&str, &Port, &Backend)]| {
        let one = |&(name, port, backend): &(&str, &Port, &Backend)| {
            server(name, port, &[QUICK_CHECK, &backends([(backend, 1)])])
        };
        servers.iter().map(one).collect::<String>()
    };
    let balancer = Balancer::start(&config(&[("web", &first, &a)]));
    balancer.until_all_up();
    let load = Load::start(first.address());
    load.serve(50);

    balancer.reload(&config(&[("other", &second, &b), ("web", &first, &a)]));
    load.serve(50);
    assert_eq!(ask(second.address()).unwrap(), b.name());
    assert_eq!(ask(first.address()).unwrap(), a.name());

    let before = balancer.totals("web", [&a]);
    balancer.reload(&config(&[("shop", &first, &a), ("other", &second, &b)]));
    assert_eq!(balancer.state("web", &a), "absent");
    assert_eq!(balancer.state("shop", &a), "up", "only the name is new");
    assert!(balancer.totals("shop", [&a]) >= before);
    load.serve(50);

    let mut staying = Visitor::enter(second.address());
    staying.who().unwrap();
    balancer.reload(&config(&[("shop", &first, &a), ("third", &third, &b)]));
    until("the removed one refuses", || ask(second.address()).is_err());
    assert_eq!(staying.who().unwrap(), b.name());
    assert_eq!(ask(third.address()).unwrap(), b.name());
    load.serve(50);
    load.stop();
}

#[test]
fn virtual_servers_swap_their_addresses_under_load() {
    let (first, second) = (Port::free(), Port::free());
    let (a, b) = (Backend::greeter(), Backend::greeter());
    let config = |of_a: &Port, of_b: &Port| {
        server("a", of_a, &[QUICK_CHECK, &backends([(&a, 1)])])
            + &server("b", of_b, &[QUICK_CHECK, &backends([(&b, 1)])])
    };
    let balancer = Balancer::start(&config(&first, &second));
    balancer.until_all_up();
    let load = Load::start(first.address());
    load.serve(50);
    balancer.reload(&config(&second, &first));
    load.serve(50);
    assert_eq!(ask(first.address()).unwrap(), b.name());
    assert_eq!(ask(second.address()).unwrap(), a.name());
    load.stop();
}

#[test]
fn a_new_virtual_server_takes_over_an_address_under_load() {
    let (first, second) = (Port::free(), Port::free());
    let (a, b) = (Backend::greeter(), Backend::greeter());
    let one = |name, port, backend| server(name, port, &[QUICK_CHECK, &backends([(backend, 1)])]);
    let balancer = Balancer::start(&one("a", &first, &a));
    balancer.until_all_up();
    let load = Load::start(first.address());
    load.serve(50);
    // The backend of the new one is not known to be alive yet: its clients wait for that.
    balancer.reload(&(one("a", &second, &a) + &one("b", &first, &b)));
    load.serve(50);
    load.stop();
    assert_eq!(ask(first.address()).unwrap(), b.name());
}

#[test]
fn every_backend_is_replaced_under_load() {
    let (web, a, b) = (Port::free(), Backend::greeter(), Backend::greeter());
    let config = |backend| server("web", &web, &[QUICK_CHECK, &backends([(backend, 1)])]);
    let balancer = Balancer::start(&config(&a));
    balancer.until_all_up();
    let load = Load::start(web.address());
    load.serve(50);
    for backend in [&b, &a, &b] {
        balancer.reload(&config(backend));
        load.serve(50);
    }
    load.stop();
    assert_eq!(ask(web.address()).unwrap(), b.name());
    assert!(balancer.lines_with("quorum lost").is_empty(), "{}", balancer.said());
}

#[test]
fn a_replacement_that_turns_out_dead_loses_the_quorum() {
    let (web, a, mut b) = (Port::free(), Backend::greeter(), Backend::greeter());
    b.kill();
    let config = |backend| server("web", &web, &[QUICK_CHECK, &backends([(backend, 1)])]);
    let balancer = Balancer::start(&config(&a));
    balancer.until_all_up();
    balancer.reload(&config(&b));
    balancer.until_logged(&["quorum lost", "0 of 1"]);
}

#[test]
fn connections_of_a_removed_backend_end_with_the_drain_timeout() {
    let (web, a, b) = (Port::free(), Backend::greeter(), Backend::greeter());
    let rr = r#"scheduler = "rr""#;
    let config = |list: &[(&Backend, u16)]| {
        let list = backends(list.iter().copied());
        server("web", &web, &[rr, r#"drain_timeout = "1s""#, QUICK_CHECK, &list])
    };
    let balancer = Balancer::start(&config(&[(&a, 1), (&b, 1)]));
    balancer.until_all_up();
    let mut visitors = [(); 2].map(|()| Visitor::enter(web.address()));
    let at_a = visitors.iter_mut().position(|one| one.who().unwrap() == a.name()).unwrap();
    balancer.reload(&config(&[(&b, 1)]));
    assert_eq!(visitors[at_a].who().unwrap(), a.name(), "not at once");
    visitors[at_a].until_cut();
    assert_eq!(visitors[1 - at_a].who().unwrap(), b.name());
}

#[test]
fn connections_of_a_backend_that_is_back_in_time_go_on() {
    let (web, a, b) = (Port::free(), Backend::greeter(), Backend::greeter());
    let config = |list: &[(&Backend, u16)]| {
        let list = backends(list.iter().copied());
        server("web", &web, &[r#"drain_timeout = "500ms""#, QUICK_CHECK, &list])
    };
    // Weights 2 and 1, so that the first goes to `a`.
    let both = config(&[(&a, 2), (&b, 1)]);
    let balancer = Balancer::start(&both);
    balancer.until_all_up();
    let mut visitors = [(); 4].map(|()| Visitor::enter(web.address()));
    let names = visitors.each_mut().map(|one| one.who().unwrap());
    assert!(names.contains(&a.name()), "{names:?}");
    balancer.reload(&config(&[(&b, 1)]));
    balancer.reload(&both);
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert_eq!(visitors.each_mut().map(|one| one.who().unwrap()), names);
}

#[test]
fn a_bad_file_changes_nothing_and_says_why() {
    let (web, a) = (Port::free(), Backend::greeter());
    let list = backends([(&a, 1)]);
    let good = server("web", &web, &[QUICK_CHECK, &list]);
    let balancer = Balancer::start(&good);
    balancer.until_all_up();
    let load = Load::start(web.address());
    load.serve(20);
    let path = balancer.config_path();
    let path = path.to_str().unwrap();

    // The admin line is in front of it, the empty line and the table come next.
    let said = balancer.reload_in_vain(&server("web", &web, &["quorun = 2", &list]));
    assert!(said.contains(&format!("{path}:6:1: error: ")), "{said}");
    assert!(said.contains("quorun"), "{said}");
    let said = balancer.reload_in_vain("[[virtual_server]\n");
    assert!(said.contains(&format!("{path}:2:")), "{said}");
    let said = balancer.reload_in_vain(&server("web", &web, &["quorum = 9", &list]));
    assert!(said.contains(&format!("{path}:6:")), "{said}");

    // A file that is good, but asks for an address that is taken.
    let taken = Port::free();
    let _listener = taken.listen(1).unwrap();
    let other = server("other", &taken, &[&list]);
    let said = balancer.reload_in_vain(&format!("{good}{other}"));
    assert!(said.contains(&taken.to_string()), "{said}");
    let said = balancer.reload_in_vain(&format!("{other}{good}"));
    assert!(said.contains(&taken.to_string()), "{said}");

    std::fs::remove_file(path).unwrap();
    balancer.signal(rustix::process::Signal::HUP);
    balancer.until_logged(&[path, "cannot read the file"]);

    assert_eq!(balancer.status()["virtual_servers"].as_array().unwrap().len(), 1);
    assert!(is_up(&balancer, &a));
    load.serve(20);
    load.stop();
    balancer.offer(&good);
    balancer.until_logged(&["configuration taken over"]);
}

#[test]
fn what_takes_a_restart_is_said() {
    let (web, a) = (Port::free(), Backend::greeter());
    let config = server("web", &web, &[&backends([(&a, 1)])]);
    let balancer = Balancer::start(&config);
    balancer.reload(&config);
    assert!(balancer.lines_with("takes a restart").is_empty());
    balancer.reload(&format!("user = \"root\"\nmax_checks = 9\n{config}"));
    balancer.until_logged(&["WARN", "another `user` takes a restart"]);
    balancer.until_logged(&["WARN", "another `max_checks` takes a restart"]);
}

/// As where one `MISC_CHECK` more makes an imported configuration have more of them.
#[test]
fn a_reload_gives_scripts_more_places() {
    let (web, a, b) = (Port::free(), Backend::greeter(), Backend::greeter());
    let begun = std::env::temp_dir().join(format!("lb-script-hangs-{}", std::process::id()));
    let checked = |backend: &Backend, line: &str| {
        let command = format!(r#"["/bin/sh", "-c", "{line}"]"#);
        let check = format!(r#"{{ type = "script", command = {command}, timeout = "90s" }}"#);
        format!(r#"{{ address = "{}", check = {check} }},"#, backend.address())
    };
    let config = |places: u32, list: &str| {
        let server = server("web", &web, &[&format!("backend = [{list}]")]);
        format!("max_scripts = {places}\n{server}")
    };
    let file = begun.display();
    // It outlives the test by no more than a moment, and what fails by minutes.
    let wait = format!("for i in $(seq 999); do [ -e {file} ] || exit; sleep 0.2; done");
    let hangs = checked(&a, &format!("echo > {file}; {wait}"));
    let balancer = Balancer::start(&config(1, &hangs));
    until("it hangs", || begun.exists());
    balancer.reload(&config(2, &(hangs + &checked(&b, "exit 0"))));
    until("another one has a place beside it", || is_up(&balancer, &b));
    std::fs::remove_file(begun).unwrap();
}

#[test]
fn the_admin_address_moves() {
    let (web, admin, a) = (Port::free(), Port::free(), Backend::greeter());
    let balancer = Balancer::start(&server("web", &web, &[&backends([(&a, 1)])]));
    let text = std::fs::read_to_string(balancer.config_path()).unwrap();
    let moved = text.replace(&balancer.admin().to_string(), &admin.to_string());
    balancer.folder().write("lb.toml", &moved);
    balancer.signal(rustix::process::Signal::HUP);
    until("the new one answers", || get(admin.address(), "/healthz").is_ok());
    until("the old one refuses", || connect(balancer.admin()).is_err());
}

#[test]
fn who_listens_elsewhere_says_so() {
    let (one, other, backend) = (Port::free(), Port::free(), Backend::greeter());
    let at = |port: &Port| server("web", port, &[&backends([(&backend, 1)])]);
    let balancer = Balancer::start(&at(&one));
    balancer.reload(&at(&other));
    let place = format!("listen={other}");
    balancer.until_logged(&["accepting, and no more at", &one.to_string(), &place]);
    assert_eq!(ask(other.address()).unwrap(), backend.name());
}

/// Whoever becomes another user at the start does not notice before a reload.
#[test]
#[ignore = "needs root"]
fn a_configuration_that_the_user_may_not_read_again_is_told() {
    let (web, backend) = (Port::free(), Backend::greeter());
    let text = server("web", &web, &[&backends([(&backend, 1)])]);
    let balancer = Balancer::start_with(&format!("user = \"nobody\"\n{text}"), |_, path| {
        set_permissions(path, Permissions::from_mode(0o600)).unwrap();
        let mut command = binary();
        command.arg("--config").arg(path);
        command
    });
    balancer.until_logged(&["WARN the user `nobody` may not read", "no reload will succeed"]);
    balancer.signal(Signal::HUP);
    balancer.until_logged(&["cannot read the file: Permission denied", "as user `nobody`"]);
    assert_eq!(ask(web.address()).unwrap(), backend.name());
}
