//! HTTP and script checks.

use std::sync::{Arc, Mutex};

use rustix::process::Signal;

use crate::harness::*;

/// An HTTP server whose page can be changed, and which remembers the last request.
fn site() -> (Backend, Arc<Mutex<String>>, Arc<Mutex<String>>) {
    let page = Arc::new(Mutex::new(http("200 OK", "alive\n")));
    let asked = Arc::<Mutex<String>>::default();
    let (shown, noted) = (Arc::clone(&page), Arc::clone(&asked));
    let backend = Backend::http(move |head| {
        head.clone_into(&mut noted.lock().unwrap());
        shown.lock().unwrap().clone()
    });
    (backend, page, asked)
}

fn http(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// A daemon with one backend and one check.
fn start(backend: &Backend, check: &str) -> Balancer {
    let web = Port::free();
    let check = format!(
        "check = {{ interval = \"50ms\", timeout = \"10s\", rise = 1, fall = 1, {check} }}"
    );
    Balancer::start(&server("web", &web, &[&check, &backends([(backend, 4)])]))
}

#[test]
fn http_asks_for_the_page_and_judges_the_status() {
    let (backend, page, asked) = site();
    let check = r#"type = "http", path = "/alive?a=b", host = "www.example.org", status = ["200-299", 404]"#;
    let balancer = start(&backend, check);
    balancer.until_state("web", &backend, "up");
    let head = asked.lock().unwrap().clone();
    assert!(head.starts_with("GET /alive?a=b HTTP/1.1\r\n"), "{head}");
    assert!(head.to_ascii_lowercase().contains("\r\nhost: www.example.org\r\n"), "{head}");

    *page.lock().unwrap() = http("503 Service Unavailable", "");
    balancer.until_state("web", &backend, "down");
    balancer.until_logged(&["up → down", "http check failed", "503"]);
    let last = balancer.backend("web", backend.address())["last_check"].clone();
    assert_eq!(last["outcome"], "failed", "{last}");

    *page.lock().unwrap() = http("404 Not Found", "as expected");
    balancer.until_state("web", &backend, "up");

    for garbage in
        ["SSH-2.0-OpenSSH_9.2\r\n", "", "HTTP/1.1 200", "\0\0\0\0", "HTTP/1.1 999999 \r\n\r\n"]
    {
        *page.lock().unwrap() = garbage.to_owned();
        balancer.until_state("web", &backend, "down");
        *page.lock().unwrap() = http("200 OK", "");
        balancer.until_state("web", &backend, "up");
    }
}

#[test]
fn http_compares_the_digest_of_the_body() {
    let (backend, page, _) = site();
    // Of "alive\n".
    let check = r#"type = "http", md5 = "4e5dc3caa06fa07c79bc3ba5e62ff86b""#;
    let balancer = start(&backend, check);
    balancer.until_state("web", &backend, "up");
    *page.lock().unwrap() = http("200 OK", "alive!\n");
    balancer.until_state("web", &backend, "down");
    *page.lock().unwrap() = http("200 OK", "alive\n");
    balancer.until_state("web", &backend, "up");
}

#[test]
fn a_check_can_look_at_another_port() {
    let (backend, (mut other, _, _)) = (Backend::greeter(), site());
    let check = format!(r#"type = "http", port = {}"#, other.address().port());
    let balancer = start(&backend, &check);
    balancer.until_state("web", &backend, "up");
    other.kill();
    balancer.until_state("web", &backend, "down");
    let last = balancer.backend("web", backend.address())["last_check"].clone();
    assert_eq!(last["cause"], "refused", "{last}");
    other.revive();
    balancer.until_state("web", &backend, "up");
}

#[test]
fn a_script_decides_by_its_exit_code_and_sets_the_weight() {
    let (folder, backend) = (Folder::new(), Backend::greeter());
    folder.write("code", "0");
    let script = folder.script("check", r#"exit "$(cat "$1/code")""#);
    let (script, folder_path) = (script.display(), folder.path().display());
    let check = format!(
        r#"type = "script", command = ["{script}", "{folder_path}"], dynamic_weight = true"#
    );
    let balancer = start(&backend, &check);
    let weighs = |weight: u16, state: &str| {
        until(&format!("{state} with weight {weight}"), || {
            let report = balancer.backend("web", backend.address());
            report["weight"] == weight && report["state"] == state
        });
    };
    weighs(4, "up");
    folder.write("code", "52");
    weighs(50, "up");
    folder.write("code", "255");
    weighs(253, "up");
    folder.write("code", "2");
    weighs(0, "drain");
    folder.write("code", "1");
    weighs(0, "down");
    balancer.until_logged(&["→ down", "script check failed"]);
    folder.write("code", "0");
    weighs(4, "up");
}

#[test]
fn without_dynamic_weight_any_other_exit_code_is_a_failure() {
    let (folder, backend) = (Folder::new(), Backend::greeter());
    folder.write("code", "0");
    let script = folder.script("check", r#"exit "$(cat "$1/code")""#);
    let (script, folder_path) = (script.display(), folder.path().display());
    let balancer =
        start(&backend, &format!(r#"type = "script", command = ["{script}", "{folder_path}"]"#));
    balancer.until_state("web", &backend, "up");
    folder.write("code", "52");
    balancer.until_state("web", &backend, "down");
}

#[test]
fn a_script_that_hangs_is_ended_with_all_its_children() {
    let (folder, backend, web) = (Folder::new(), Backend::greeter(), Port::free());
    let script = folder.script("check", r#"sleep 60 & echo $! >> "$1/children"; wait"#);
    let check = format!(
        r#"check = {{ type = "script", command = ["{}", "{}"], interval = "300ms", timeout = "200ms", fall = 1 }}"#,
        script.display(),
        folder.path().display()
    );
    let mut balancer = Balancer::start(&server("web", &web, &[&check, &backends([(&backend, 1)])]));
    balancer.until_state("web", &backend, "down");
    until("a few runs", || folder.read("children").lines().count() >= 3);
    balancer.signal(Signal::TERM);
    balancer.ended();
    // Those of the last run, too, which the daemon did not see the end of.
    for child in folder.read("children").lines() {
        until("the child is gone", || {
            let stat = std::fs::read_to_string(format!("/proc/{child}/stat"));
            stat.map_or(true, |stat| stat.contains(") Z "))
        });
    }
}

#[test]
fn a_script_that_is_not_there_is_said() {
    let backend = Backend::greeter();
    let balancer = start(&backend, r#"type = "script", command = ["/nonexistent/check"]"#);
    let report = eventually("a run has ended", || {
        let report = balancer.backend("web", backend.address());
        report["last_check"].is_object().then_some(report)
    });
    let detail = report["last_check"]["detail"].as_str().unwrap();
    assert!(!detail.is_empty(), "{report}");
    assert_ne!(report["state"], "up", "{report}");
}

#[test]
fn no_client_comes_before_the_first_verdict() {
    // The backend takes a while until it passes; a client that is early waits.
    let (web, (site, page, _)) = (Port::free(), site());
    let check =
        r#"check = { type = "http", interval = "50ms", timeout = "10s", rise = 2, fall = 1 }"#;
    let balancer = Balancer::start(&server("web", &web, &[check, &backends([(&site, 1)])]));
    let answer = get(web.address(), "/").unwrap();
    assert_eq!(answer.body, "alive\n");
    drop((balancer, page));
}

#[test]
fn a_backend_behind_two_virtual_servers_is_checked_once() {
    let count = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&count);
    let backend = Backend::http(move |_| {
        *counted.lock().unwrap() += 1;
        http("200 OK", "")
    });
    let (web, more) = (Port::free(), Port::free());
    let check = "check = { type = \"http\", interval = \"50ms\", timeout = \"10s\" }";
    let of = |name, port| server(name, port, &[check, &backends([(&backend, 4)])]);
    let balancer = Balancer::start(&[of("web", &web), of("more", &more)].concat());
    balancer.until_state("web", &backend, "up");
    balancer.until_state("more", &backend, "up");
    let before = *count.lock().unwrap();
    std::thread::sleep(std::time::Duration::from_secs(2));
    let runs = *count.lock().unwrap() - before;
    assert!((5..50).contains(&runs), "{runs} runs in 40 intervals");
    drop(backend);
}
