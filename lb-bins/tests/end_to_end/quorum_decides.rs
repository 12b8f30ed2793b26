//! Quorum, sorry server and hooks.

use std::net::{IpAddr, Ipv4Addr};

use crate::harness::*;

struct Setup {
    balancer: Balancer,
    web: Port,
    two: [Backend; 2],
    sorry: Backend,
    hooks: Folder,
}

fn start(more: &[&str]) -> Setup {
    let (web, hooks) = (Port::free(), Folder::new());
    let (two, sorry) = ([(); 2].map(|()| Backend::greeter()), Backend::greeter());
    // Slow on purpose: runs that overlapped would be in disorder.
    let script = hooks.script(
        "notify",
        r#"folder=$(dirname "$0")
        echo "begin $*" >> "$folder/events"
        sleep 0.2
        echo "$LB_VIRTUAL_SERVER $LB_QUORUM $LB_LIVE_WEIGHT" >> "$folder/events""#,
    );
    let script = script.display();
    let rest = [
        r#"scheduler = "rr""#,
        &format!("sorry_server = \"{}\"", sorry.name()),
        &format!(r#"on_quorum_up = ["{script}", "the", "quorum is up"]"#),
        &format!(r#"on_quorum_down = ["{script}", "the", "quorum is down"]"#),
        QUICK_CHECK,
        &backends(two.iter().map(|backend| (backend, 2))),
    ];
    let balancer = Balancer::start(&server("web", &web, &[&rest[..], more].concat()));
    balancer.until_all_up();
    Setup { balancer, web, two, sorry, hooks }
}

#[test]
fn the_sorry_server_serves_while_the_quorum_is_lost() {
    let Setup { balancer, web, mut two, sorry, .. } = start(&["quorum = 4"]);
    ask(web.address()).unwrap();
    assert_eq!(sorry.requests(), 0);
    let quorum = balancer.server("web")["quorum"].clone();
    assert_eq!(quorum["live_weight"], 4, "{quorum}");
    assert_eq!(quorum["required"], 4, "{quorum}");
    assert_eq!(quorum["up"], true, "{quorum}");

    two[0].kill();
    until("sorry", || balancer.server("web")["sorry"] == true);
    let quorum = balancer.server("web")["quorum"].clone();
    assert_eq!(quorum["live_weight"], 2, "{quorum}");
    assert_eq!(quorum["up"], false, "{quorum}");
    // Though one backend still lives.
    for _ in 0..10 {
        assert_eq!(ask(web.address()).unwrap(), sorry.name());
    }
    balancer.until_logged(&["quorum lost"]);

    two[0].revive();
    until("no longer sorry", || balancer.server("web")["sorry"] == false);
    for _ in 0..10 {
        assert_ne!(ask(web.address()).unwrap(), sorry.name());
    }
    balancer.until_logged(&["quorum gained"]);
}

#[test]
fn in_mode_last_the_sorry_server_waits_for_the_last_to_die() {
    let more = ["quorum = 4", r#"sorry_mode = "last""#];
    let Setup { balancer, web, mut two, sorry, .. } = start(&more);
    two[0].kill();
    until("the quorum is lost", || balancer.server("web")["quorum"]["up"] == false);
    assert_eq!(ask(web.address()).unwrap(), two[1].name());
    two[1].kill();
    until("sorry", || balancer.server("web")["sorry"] == true);
    assert_eq!(ask(web.address()).unwrap(), sorry.name());
}

#[test]
fn hysteresis_keeps_a_quorum_between_its_thresholds() {
    // Gained at 4, lost below 2.
    let more = ["quorum = 3", "hysteresis = 1"];
    let Setup { balancer, web, mut two, sorry, .. } = start(&more);
    two[0].kill();
    balancer.until_state("web", &two[0], "down");
    assert_eq!(balancer.server("web")["quorum"]["up"], true, "2 of 4 is kept");
    assert_eq!(ask(web.address()).unwrap(), two[1].name());
    two[1].kill();
    until("the quorum is lost", || balancer.server("web")["quorum"]["up"] == false);
    two[1].revive();
    balancer.until_state("web", &two[1], "up");
    let quorum = balancer.server("web")["quorum"].clone();
    assert_eq!(quorum["up"], false, "2 of 4 does not gain it");
    assert_eq!(quorum["required"], 4);
    assert_eq!(ask(web.address()).unwrap(), sorry.name());
    two[0].revive();
    until("the quorum is gained", || balancer.server("web")["quorum"]["up"] == true);
}

#[test]
fn clients_come_back_to_their_backend_after_the_sorry_server() {
    let more = ["quorum = 4", r#"persistence = { timeout = "10m" }"#];
    let Setup { balancer, web, mut two, sorry, .. } = start(&more);
    let clients = || (2..12).map(|last| IpAddr::from(Ipv4Addr::new(127, 0, 0, last)));
    let homes: Vec<_> = clients().map(|client| ask_from(client, web.address()).unwrap()).collect();
    two[0].kill();
    until("sorry", || balancer.server("web")["sorry"] == true);
    for client in clients() {
        assert_eq!(ask_from(client, web.address()).unwrap(), sorry.name());
    }
    two[0].revive();
    until("no longer sorry", || balancer.server("web")["sorry"] == false);
    for (client, home) in clients().zip(homes) {
        assert_eq!(ask_from(client, web.address()).unwrap(), home);
    }
}

#[test]
fn hooks_run_in_order_one_after_the_other() {
    let Setup { balancer, mut two, hooks, .. } = start(&["quorum = 4"]);
    let up = |wanted: bool| {
        until("the quorum changes", || balancer.server("web")["quorum"]["up"] == wanted);
    };
    up(true);
    for _ in 0..2 {
        two[0].kill();
        up(false);
        two[0].revive();
        up(true);
    }
    let gained = ["begin the quorum is up", "web up 4"];
    let lost = ["begin the quorum is down", "web down 2"];
    let expected = [gained, lost, gained, lost, gained].concat().join("\n") + "\n";
    until("all hooks have run", || hooks.read("events").len() >= expected.len());
    assert_eq!(hooks.read("events"), expected);
}

#[test]
fn a_hook_that_cannot_run_is_said_and_harms_nothing() {
    let (web, only) = (Port::free(), Backend::greeter());
    let hook = r#"on_quorum_up = ["/nonexistent/notify"]"#;
    let list = backends([(&only, 1)]);
    let balancer = Balancer::start(&server("web", &web, &[hook, QUICK_CHECK, &list]));
    balancer.until_logged(&["/nonexistent/notify", "cannot be started"]);
    assert_eq!(ask(web.address()).unwrap(), only.name());
}
