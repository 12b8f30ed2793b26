//! `GET /explain/NAME/ADDRESS`, and the checks in `/status`.

use serde_json::Value;

use crate::harness::*;

fn start() -> (Balancer, [Backend; 2]) {
    let web = Port::free();
    let sick = Backend::http(|_| "HTTP/1.1 503 No\r\nContent-Length: 4\r\n\r\nfull".to_owned());
    let well = Backend::greeter();
    let http =
        r#"check = [{ type = "tcp" }, { type = "http", interval = "50ms", timeout = "20s" }]"#;
    let list = backends_with([(&sick, http), (&well, r#"check = { type = "tcp" }"#)]);
    let balancer = Balancer::start(&server("web", &web, &[&list]));
    balancer.until_state("web", &sick, "down");
    balancer.until_state("web", &well, "up");
    (balancer, [sick, well])
}

#[test]
fn people_read_why_a_backend_is_down() {
    let (balancer, [sick, well]) = start();
    let explain = |path: &str| get(balancer.admin(), &format!("/explain/{path}")).unwrap();
    // Runs in a row that end alike are told as one.
    let answer = eventually("a second run", || {
        let answer = explain(&format!("web/{}", sick.name()));
        answer.body.contains(" times, the last one failed after ").then_some(answer)
    });
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("content-type: text/plain"), "{answer:?}");
    let name = sick.name();
    for part in [
        format!("web: backend {name} is down, weight 0\n"),
        "A check of it fails".to_owned(),
        format!("\ntcp check of {name}: up\n"),
        format!("\nhttp check of {name}: down\n"),
        "status 503, not one of 200-299 [status]\n".to_owned(),
        "\n  connect   ".to_owned(),
    ] {
        assert!(answer.body.contains(&part), "{part:?} in {}", answer.body);
    }
    let answer = explain(&format!("web/{}", well.name()));
    assert!(answer.body.contains("All of its checks pass."), "{}", answer.body);

    for (path, status, why) in [
        ("web/127.0.0.1:1".to_owned(), 404, "has no backend 127.0.0.1:1"),
        (format!("other/{name}"), 404, "there are: web"),
        ("web/here".to_owned(), 400, "/explain/NAME/ADDRESS"),
        ("web".to_owned(), 400, "/explain/NAME/ADDRESS"),
    ] {
        let answer = explain(&path);
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(answer.body.contains(why), "{answer:?}");
    }
    let post = post(balancer.admin(), &format!("/explain/web/{name}"), "").unwrap();
    assert_eq!(post.status, 405);
}

#[test]
fn clients_that_could_not_connect_are_the_reason() {
    let (web, checked, gone) = (Port::free(), Backend::greeter(), Port::free());
    let port = checked.address().port();
    let check = format!("check = {{ type = \"tcp\", port = {port}, interval = \"20s\" }}");
    // Nobody is down for clients alone who is the last one.
    let list = format!(
        "scheduler = \"rr\"\nbackend = [{{ address = \"{}\" }}, {{ address = \"{}\" }}]",
        gone.address(),
        checked.name()
    );
    let balancer = Balancer::start(&server("web", &web, &[&check, &list]));
    balancer.until_all_up();
    until("it is down for clients", || {
        let _ = ask(web.address());
        balancer.backend("web", gone.address())["state"] == "down"
    });
    let report = balancer.backend("web", gone.address());
    assert_eq!(report["last_check"]["outcome"], "passed", "{report}");
    assert_eq!(report["reason"], "connections fail: connection refused", "{report}");
    let why = get(balancer.admin(), &format!("/explain/web/{}", gone.address())).unwrap().body;
    assert!(why.contains(": connections fail: connection refused\n"), "{why}");
}

#[test]
fn machines_read_the_same_in_the_status() {
    let (balancer, [sick, _well]) = start();
    let path = format!("/explain/web/{}", sick.name());
    let headers = [("Host", "localhost"), ("Accept", "application/json")];
    let answer = request(balancer.admin(), "GET", &path, &headers, "").unwrap();
    assert_eq!(answer.status, 200);
    let explained: Value = serde_json::from_str(&answer.body).unwrap();
    for backend in [balancer.backend("web", sick.address()), explained["backend"].clone()] {
        let checks = backend["checks"].as_array().unwrap();
        assert_eq!(checks.len(), 2);
        assert_eq!(checks[0]["type"], "tcp");
        assert_eq!(checks[0]["state"], "up");
        let check = &checks[1];
        assert_eq!(check["type"], "http");
        assert_eq!(check["target"], sick.name());
        assert_eq!(check["state"], "down");
        let run = &check["runs"][0];
        assert_eq!(run["outcome"], "failed", "{check}");
        assert_eq!(run["cause"], "status");
        assert_eq!(run["evidence"]["status"], 503);
        assert!(run["phases_ms"]["connect"].as_f64().unwrap() > 0.0);
        assert!(run["took_ms"].as_f64().unwrap() >= run["phases_ms"]["connect"].as_f64().unwrap());
        assert!(run["age_ms"].is_u64());
    }
}
