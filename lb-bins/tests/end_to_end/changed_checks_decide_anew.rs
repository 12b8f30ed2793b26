//! A reload that changes checks: who is up stays up until the new check says otherwise, who is down needs
//! a single success, and what has not changed goes on as if nothing had been (X1 to X5).

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::harness::*;

fn page(status: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n")
}

/// Says 200 to `/good`, 503 to `/bad`; counts what it is asked.
fn site() -> (Backend, Arc<AtomicU64>) {
    let asked = Arc::<AtomicU64>::default();
    let count = Arc::clone(&asked);
    let backend = Backend::http(move |head| {
        count.fetch_add(1, Ordering::SeqCst);
        page(if head.starts_with("GET /good ") { "200 OK" } else { "503 No" })
    });
    (backend, asked)
}

fn config(web: &Port, backend: &Backend, check: &str) -> String {
    let check = format!("check = {{ timeout = \"20s\", {check} }}");
    server("web", web, &[&check, &backends([(backend, 1)])])
}

#[test]
fn who_is_up_stays_up_until_the_new_check_has_failed_for_long_enough() {
    let ((backend, asked), web) = (site(), Port::free());
    let check = |path: &str| {
        format!(
            r#"type = "http", path = "{path}", interval = "300ms", fast_interval = "300ms", fall = 4"#
        )
    };
    let balancer = Balancer::start(&config(&web, &backend, &check("/good")));
    balancer.until_state("web", &backend, "up");
    let before = asked.load(Ordering::SeqCst);
    balancer.reload(&config(&web, &backend, &check("/bad")));
    // Neither at once, nor by the first failure alone.
    until("the new one has run twice", || {
        let report = balancer.backend("web", backend.address());
        let failures = report["checks"][0]["failures"].as_u64().unwrap();
        assert!(report["state"] == "up" || failures == 0, "{report}");
        failures >= 2
    });
    balancer.until_state("web", &backend, "down");
    assert!(asked.load(Ordering::SeqCst) >= before + 4, "it takes four failures");
    assert_eq!(balancer.lines_with("up → down").len(), 1, "{}", balancer.said());
}

#[test]
fn what_a_check_has_found_for_others_is_said_to_be_known() {
    let ((backend, _), [first, second]) = (site(), [Port::free(), Port::free()]);
    let check = r#"type = "http", path = "/bad", interval = "60s""#;
    let one = config(&first, &backend, check);
    let balancer = Balancer::start(&one);
    balancer.until_state("web", &backend, "down");
    let other = config(&second, &backend, check).replace("\"web\"", "\"other\"");
    balancer.reload(&format!("{one}{other}"));
    balancer.until_state("other", &backend, "down");
    balancer.until_logged(&["warming → down: http check failed already", "\"other\""]);
}

/// Of several that are known, each by its own name.
#[test]
fn what_one_check_has_found_is_not_said_of_another() {
    let ((backend, _), [first, second]) = (site(), [Port::free(), Port::free()]);
    let list = backends([(&backend, 1)]);
    let check = r#"check = [{ type = "tcp", interval = "60s", timeout = "20s" }, { type = "http", path = "/bad", interval = "60s", timeout = "20s" }]"#;
    let one = server("web", &first, &[check, &list]);
    let balancer = Balancer::start(&one);
    until("both have run", || {
        let report = balancer.backend("web", backend.address());
        (0..2).all(|which| report["checks"][which]["runs"][0]["outcome"].is_string())
    });
    balancer.reload(&format!("{one}{}", server("other", &second, &[check, &list])));
    balancer.until_state("other", &backend, "down");
    balancer.until_logged(&["http check failed already", "\"other\""]);
    balancer.until_logged(&["tcp check passed already", "\"other\""]);
    assert_eq!(balancer.lines_with("tcp check failed"), [""; 0]);
}

#[test]
fn who_is_down_is_up_by_a_single_success_of_the_new_check() {
    let ((backend, _), web) = (site(), Port::free());
    // Whoever waited for three of these would wait for two minutes.
    let check = |more: &str| {
        format!(
            r#"type = "http", interval = "60s", fast_interval = "60s", down_interval = "60s", rise = 3, {more}"#
        )
    };
    let balancer = Balancer::start(&config(&web, &backend, &check(r#"path = "/bad""#)));
    balancer.until_state("web", &backend, "down");
    // Every part of a check belongs to what it is: here only the status that passes.
    let tolerant = check(r#"path = "/bad", status = [503]"#);
    balancer.reload(&config(&web, &backend, &tolerant));
    balancer.until_state("web", &backend, "up");
}

#[test]
fn what_has_not_changed_is_not_run_anew() {
    let ((backend, asked), web) = (site(), Port::free());
    let check = r#"type = "http", path = "/good", interval = "1h", fast_interval = "1h", rise = 1"#;
    let balancer = Balancer::start(&config(&web, &backend, check));
    balancer.until_state("web", &backend, "up");
    let runs = balancer.status()["checks"]["runs_total"].clone();
    for scheduler in ["rr", "wrr", "lc"] {
        let text = config(&web, &backend, check) + &format!("scheduler = \"{scheduler}\"\n");
        balancer.reload(&text);
        assert_eq!(balancer.state("web", &backend), "up");
    }
    assert_eq!(balancer.status()["checks"]["runs_total"], runs);
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    let said = balancer.backend("web", backend.address())["checks"][0]["runs"][0].clone();
    assert_eq!(said["repeated"], 1, "it remembers: {said}");
}

/// A Redis server that wants this password.
fn redis(password: Arc<Mutex<String>>) -> Backend {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    Backend::serving(move |stream| {
        let password = password.lock().unwrap().clone();
        async move {
            let mut lines = BufReader::new(stream).lines();
            let mut allowed = false;
            while let Ok(Some(line)) = lines.next_line().await {
                let answer = match line.as_str() {
                    "PING" if allowed => "+PONG\r\n",
                    "PING" => "-NOAUTH Authentication required.\r\n",
                    word if word == password => {
                        allowed = true;
                        "+OK\r\n"
                    }
                    word if word.starts_with("secret") => "-WRONGPASS invalid password\r\n",
                    _ => continue,
                };
                if lines.get_mut().write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
            }
        }
    })
}

#[test]
fn a_reload_reads_passwords_again() {
    let password = Arc::new(Mutex::new("secret1".to_owned()));
    let (backend, web, folder) = (redis(Arc::clone(&password)), Port::free(), Folder::new());
    let path = folder.write("password", "secret1\n");
    let check = format!(
        r#"type = "redis", password_file = "{}", interval = "100ms", fast_interval = "50ms", rise = 1, fall = 2"#,
        path.display()
    );
    let text = config(&web, &backend, &check);
    let balancer = Balancer::start(&text);
    balancer.until_state("web", &backend, "up");
    "secret2".clone_into(&mut password.lock().unwrap());
    balancer.until_state("web", &backend, "down");
    balancer.reload(&text);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(balancer.state("web", &backend), "down", "nothing has changed");
    folder.write("password", "secret2\n");
    balancer.reload(&text);
    balancer.until_state("web", &backend, "up");
}

#[test]
fn a_target_may_be_named_in_several_ways_and_is_checked_once() {
    let ((backend, asked), web, more) = (site(), Port::free(), Port::free());
    let name = backend.address();
    let check = |how: &str| {
        format!(
            r#"check = {{ type = "http", path = "/good", interval = "100ms", timeout = "20s"{how} }}"#
        )
    };
    let list = backends([(&backend, 1)]);
    let one = server("web", &web, &[&check(""), &list]);
    let port = format!(", port = {}", name.port());
    let two = server("more", &more, &[&check(&port), &list]);
    let balancer = Balancer::start(&(one + &two));
    balancer.until_all_up();
    assert_eq!(balancer.status()["checks"]["running"], 1);
    let before = asked.load(Ordering::SeqCst);
    until("it goes on", || asked.load(Ordering::SeqCst) > before + 3);
}

#[test]
#[ignore = "slow: a thousand listeners"]
fn a_thousand_virtual_servers_are_reloaded_within_a_moment() {
    const COUNT: usize = 1000;
    if !enough_descriptors(4 * COUNT as u64) {
        return;
    }
    let (ports, backend) =
        ((0..COUNT).map(|_| Port::free()).collect::<Vec<_>>(), Backend::greeter());
    let text = |scheduler: &str| -> String {
        let all = ports.iter().enumerate().map(|(number, port)| {
            let scheduler = if number == 7 { scheduler } else { "rr" };
            let check = r#"check = { type = "tcp", interval = "60s", timeout = "30s" }"#;
            let scheduler = format!("scheduler = \"{scheduler}\"");
            let list = backends([(&backend, 1)]);
            server(&format!("v{number}"), port, &[&scheduler, check, &list])
        });
        all.collect()
    };
    let balancer = Balancer::start(&text("rr"));
    balancer.until_all_up();
    let began = std::time::Instant::now();
    balancer.reload(&text("wrr"));
    let took = began.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
    eprintln!("a reload of {COUNT} virtual servers, one of them changed: {took:?}");
}
