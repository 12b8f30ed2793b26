//! A sorry server that is down takes no clients.

use crate::harness::*;

#[test]
fn a_sorry_server_that_is_down_is_as_good_as_none() {
    let (web, mut one, two, mut sorry) =
        (Port::free(), Backend::greeter(), Backend::greeter(), Backend::greeter());
    let sorry_keys = format!(
        "sorry_server = \"{}\"\nsorry_check = {}",
        sorry.name(),
        QUICK_CHECK.trim().trim_start_matches("check = ")
    );
    let list = backends([(&one, 1), (&two, 1)]);
    // One of them alone is no quorum.
    let config = server("web", &web, &["quorum = 2", QUICK_CHECK, &sorry_keys, &list]);
    let balancer = Balancer::start(&config);
    balancer.until_all_up();
    one.kill();
    until("the sorry server has them", || ask(web.address()).is_ok_and(|who| who == sorry.name()));
    assert_eq!(balancer.server("web")["sorry_server"]["down"], false);
    sorry.kill();
    until("who lives has them", || ask(web.address()).is_ok_and(|who| who == two.name()));
    balancer.until_logged(&["cannot take any clients", "refused"]);
    let report = balancer.server("web")["sorry_server"].clone();
    assert_eq!((&report["down"], &report["checks"][0]["state"]), (&true.into(), &"down".into()));
    // Which can be known before it is needed.
    let metrics = get(balancer.admin(), "/metrics").unwrap().body;
    let check = format!("lb_check_up{{virtual_server=\"web\",backend=\"{}\"", sorry.name());
    for line in [check.as_str(), "lb_virtual_server_sorry_server_down{virtual_server=\"web\"} 1"] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    let path = format!("/explain/web/{}", sorry.name());
    let why = || get(balancer.admin(), &path).unwrap().body;
    assert!(why().contains(&format!("sorry server {} is down", sorry.name())), "{}", why());
    // Clients may have found it out before the check.
    until("its check knows", || why().contains("connection refused [refused]"));
    let config_path = balancer.config_path();
    let probed = arguments(&["--config", config_path.to_str().unwrap(), "--probe", &sorry.name()]);
    assert_eq!(probed.status.code(), Some(1), "{probed:?}");
    sorry.revive();
    until("the sorry server has them", || ask(web.address()).is_ok_and(|who| who == sorry.name()));
    balancer.until_logged(&["can take clients again"]);
    // Without checks it is believed in, dead or not.
    balancer.reload(&config.replace("sorry_check = {", "#"));
    assert_eq!(balancer.status()["checks"]["running"], 2);
    one.revive();
    balancer.until_all_up();
    until("they come back", || ask(web.address()).is_ok_and(|who| who != sorry.name()));
}
