//! A check that keeps its connection has it over a reload that leaves the check as it is (X2).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::*;

/// A server that answers any number of requests on each connection; how many connections it has taken,
/// and how many requests.
fn web_server() -> (Backend, Arc<AtomicU64>, Arc<AtomicU64>) {
    let (connections, requests) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
    let (taken, asked) = (Arc::clone(&connections), Arc::clone(&requests));
    let backend = Backend::serving(move |mut stream| {
        taken.fetch_add(1, Ordering::SeqCst);
        let asked = Arc::clone(&asked);
        async move {
            let mut head = Vec::new();
            while let Ok(byte) = stream.read_u8().await {
                head.push(byte);
                if head.ends_with(b"\r\n\r\n") {
                    head.clear();
                    asked.fetch_add(1, Ordering::SeqCst);
                    let _ =
                        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
                }
            }
        }
    });
    (backend, connections, requests)
}

#[test]
fn the_connection_of_an_unchanged_check_stays() {
    let (backend, connections, requests) = web_server();
    let web = Port::free();
    let config = |fall: u8, more: &str| {
        let check = format!(
            "check = {{ type = \"http\", keep_alive = true, interval = \"50ms\", fall = {fall} }}"
        );
        server("web", &web, &[&check, more, &backends([(&backend, 1)])])
    };
    let runs_more = || {
        let before = requests.load(Ordering::SeqCst);
        until("the check runs on", || requests.load(Ordering::SeqCst) > before + 3);
    };
    let balancer = Balancer::start(&config(3, ""));
    balancer.until_all_up();
    runs_more();
    assert_eq!(connections.load(Ordering::SeqCst), 1);

    // Nothing is changed; then something that is not the check.
    for more in ["", "retries = 2", "connect_timeout = \"7s\""] {
        balancer.reload(&config(3, more));
        runs_more();
        assert_eq!(connections.load(Ordering::SeqCst), 1, "{more}");
        assert_eq!(balancer.state("web", &backend), "up");
    }

    // A changed check has its own.
    balancer.reload(&config(4, ""));
    runs_more();
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}
