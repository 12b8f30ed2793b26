//! Each type of check through the whole daemon: from its keys to the state of a backend, and back.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

use crate::harness::*;

type Mood = Arc<AtomicBool>;

fn well() -> Mood {
    Arc::new(AtomicBool::new(true))
}

/// Up while it is well, down while it is not, and why.
fn decides(backend: &Backend, check: &str, mood: &Mood, cause: &str) {
    let web = Port::free();
    let check = format!(
        "check = {{ interval = \"50ms\", timeout = \"10s\", rise = 1, fall = 1, {check} }}"
    );
    let balancer = Balancer::start(&server("web", &web, &[&check, &backends([(backend, 4)])]));
    balancer.until_state("web", backend, "up");
    mood.store(false, Ordering::SeqCst);
    balancer.until_state("web", backend, "down");
    let last = balancer.backend("web", backend.address())["last_check"].clone();
    assert_eq!((&last["outcome"], &last["cause"]), (&"failed".into(), &cause.into()), "{last}");
    mood.store(true, Ordering::SeqCst);
    balancer.until_state("web", backend, "up");
}

/// A server that says `first`, and then to whatever it hears one of `then` each, in their order; the
/// last of them again and again. Unwell, it says `sick` at once, or instead of the first answer.
fn scripted(
    mood: &Mood,
    first: &'static [u8],
    then: &'static [&'static [u8]],
    sick: &'static [u8],
) -> Backend {
    let mood = Arc::clone(mood);
    Backend::serving(move |mut stream| {
        let well = mood.load(Ordering::SeqCst);
        async move {
            if !first.is_empty() {
                let said = if well { first } else { sick };
                if stream.write_all(said).await.is_err() {
                    return;
                }
            }
            let (mut heard, mut turn) = ([0; 4096], 0);
            while matches!(stream.read(&mut heard).await, Ok(1..)) {
                let answer =
                    if well || !first.is_empty() { then.get(turn).copied() } else { Some(sick) };
                turn += 1;
                let Some(answer) = answer.or(then.last().copied()) else { continue };
                if stream.write_all(answer).await.is_err() {
                    return;
                }
            }
        }
    })
}

#[test]
fn smtp() {
    let mood = well();
    let noted = Arc::clone(&mood);
    let backend = Backend::serving(move |stream| {
        let well = noted.load(Ordering::SeqCst);
        async move {
            let mut stream = BufReader::new(stream);
            let greeting: &[u8] = if well { b"220 mail\r\n" } else { b"554 no\r\n" };
            let _ = stream.write_all(greeting).await;
            let mut line = String::new();
            while matches!(stream.read_line(&mut line).await, Ok(1..)) {
                let answer: &[u8] = match line.get(..4) {
                    Some("QUIT") => b"221 bye\r\n",
                    _ if line.contains("lb.example.org") => b"250 mail\r\n",
                    _ => b"550 who?\r\n",
                };
                line.clear();
                if stream.write_all(answer).await.is_err() {
                    return;
                }
            }
        }
    });
    decides(&backend, r#"type = "smtp", helo = "lb.example.org""#, &mood, "rejected");
}

#[test]
fn redis() {
    let mood = well();
    let backend = scripted(&mood, b"", &[b"+PONG\r\n"], b"-LOADING Redis is loading\r\n");
    decides(&backend, r#"type = "redis""#, &mood, "rejected");
}

#[test]
fn mysql() {
    // A greeting of protocol 10, then an error 1040 as a server that is full says it.
    const GREETING: &[u8] =
        b"\x4a\0\0\0\x0a8.0.36\0\x07\0\0\0abcdefgh\0\xff\xff\xff\x02\0\xff\xdf\x15\
        \0\0\0\0\0\0\0\0\0\0ijklmnopqrst\0caching_sha2_password\0";
    const FULL: &[u8] = b"\x17\0\0\0\xff\x10\x04Too many connections";
    let mood = well();
    let backend = scripted(&mood, GREETING, &[], FULL);
    decides(&backend, r#"type = "mysql""#, &mood, "rejected");
}

#[test]
fn postgres() {
    // AuthenticationOk and ReadyForQuery; then an error as while it starts.
    const READY: &[u8] = b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I";
    const STARTING: &[u8] = b"E\0\0\0\x26SFATAL\0C57P03\0Mit is starting up\0\0";
    let mood = well();
    let backend = scripted(&mood, b"", &[READY], STARTING);
    decides(&backend, r#"type = "postgres", user = "check""#, &mood, "rejected");
}

#[test]
fn ldap() {
    // The answer to the first request, a bind: success, or unwilling to perform (53).
    const SUCCESS: &[u8] = b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00";
    const UNWILLING: &[u8] = b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x35\x04\x00\x04\x00";
    let mood = well();
    let backend = scripted(&mood, b"", &[SUCCESS], UNWILLING);
    decides(&backend, r#"type = "ldap""#, &mood, "rejected");
}

#[test]
fn tcp_steps() {
    let mood = well();
    let backend = scripted(&mood, b"", &[b"+PONG\r\n"], b"-ERR\r\n");
    let check = r#"type = "tcp", steps = [{ send = "PING\r\n" }, { expect_regex = "^[+-]" }, { expect = "PONG" }], timeout = "200ms""#;
    let check = check.replace(", timeout = \"200ms\"", "");
    let web = Port::free();
    let check = format!(
        "check = {{ interval = \"50ms\", timeout = \"300ms\", rise = 1, fall = 1, {check} }}"
    );
    let balancer = Balancer::start(&server("web", &web, &[&check, &backends([(&backend, 4)])]));
    balancer.until_state("web", &backend, "up");
    mood.store(false, Ordering::SeqCst);
    balancer.until_state("web", &backend, "down");
}

#[test]
fn tcp_steps_that_must_not_be() {
    let mood = well();
    let backend = scripted(&mood, b"", &[b"+PONG\r\n"], b"-ERR\r\n");
    let steps = r#"[{ send = "PING\r\n" }, { expect = "-", not = true }, { expect = "\r\n" }]"#;
    decides(&backend, &format!(r#"type = "tcp", steps = {steps}"#), &mood, "rejected");
}

#[test]
fn udp() {
    let (mood, backend) = (well(), Backend::greeter());
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = socket.local_addr().unwrap().port();
    let noted = Arc::clone(&mood);
    // It ends with the process.
    thread::spawn(move || {
        let mut heard = [0; 64];
        while let Ok((length, from)) = socket.recv_from(&mut heard) {
            assert_eq!(&heard[..length], b"ping");
            let answer: &[u8] =
                if noted.load(Ordering::SeqCst) { b"\x01\xf2pong" } else { b"\x02no" };
            let _ = socket.send_to(answer, from);
        }
    });
    let check = format!(
        r#"type = "udp", port = {port}, send = "ping", expect_hex = "01x2", min_reply = 6"#
    );
    decides(&backend, &check, &mood, "rejected");
}

#[test]
fn dns() {
    let (names, backend, web) = (NameServer::start(), Backend::greeter(), Port::free());
    names.stands_for("www.example.org", &[7]);
    let server_address = names.key();
    let at = server_address.trim_start_matches("resolvers = [").trim_end().trim_end_matches(']');
    let check = format!(
        r#"check = {{ type = "dns", name = "www.example.org", record = "A", answer = ["127.0.0.7"], require_answer = true, address = {at}, interval = "50ms", timeout = "10s", rise = 1, fall = 1 }}"#
    );
    let balancer = Balancer::start(&server("web", &web, &[&check, &backends([(&backend, 4)])]));
    balancer.until_state("web", &backend, "up");
    names.stands_for("www.example.org", &[8]);
    balancer.until_state("web", &backend, "down");
    names.stands_for("www.example.org", &[8, 7]);
    balancer.until_state("web", &backend, "up");
    names.forget("www.example.org");
    balancer.until_state("web", &backend, "down");
    let last = balancer.backend("web", backend.address())["last_check"].clone();
    assert_eq!(last["outcome"], "failed", "{last}");
}

#[test]
fn worker() {
    let (folder, backend, web) = (Folder::new(), Backend::greeter(), Port::free());
    folder.write("answer", "up 9");
    let script = folder.script(
        "worker",
        r#"while read tag address port millis; do echo "$tag $(cat "$1/answer")"; done"#,
    );
    let check = format!(
        r#"check = {{ type = "worker", command = ["{}", "{}"], interval = "50ms", timeout = "10s", rise = 1, fall = 1 }}"#,
        script.display(),
        folder.path().display()
    );
    let balancer = Balancer::start(&server("web", &web, &[&check, &backends([(&backend, 4)])]));
    until("it has the weight", || balancer.backend("web", backend.address())["weight"] == 9);
    folder.write("answer", "down no route to host");
    balancer.until_state("web", &backend, "down");
    balancer.until_logged(&["→ down", "worker check failed", "no route to host"]);
    folder.write("answer", "up");
    balancer.until_state("web", &backend, "up");
    assert_eq!(balancer.backend("web", backend.address())["weight"], 4);
}

#[test]
fn ping() {
    let (backend, web) = (Backend::greeter(), Port::free());
    let check =
        r#"check = { type = "ping", interval = "50ms", timeout = "10s", rise = 1, fall = 1 }"#;
    let balancer = Balancer::start(&server("web", &web, &[check, &backends([(&backend, 4)])]));
    // Where this user may not, no backend is blamed; where everything is to be there, he may.
    let report = eventually("a run has ended", || {
        let report = balancer.backend("web", backend.address());
        report["last_check"].is_object().then_some(report)
    });
    let outcome = &report["last_check"]["outcome"];
    if outcome == "local" && std::env::var_os("LB_SKIP_NOTHING").is_none() {
        eprintln!("skipped: this user may not ping");
        return;
    }
    assert_eq!(outcome, "passed", "{report}");
    balancer.until_state("web", &backend, "up");
}

/// A server of gRPC's health protocol that says one status to whatever it is asked.
fn grpc_server(mood: &Mood) -> Backend {
    use std::convert::Infallible;

    use http_body_util::{BodyExt, StreamBody};
    use hyper::body::{Bytes, Frame, Incoming};
    use hyper_util::rt::{TokioExecutor, TokioIo};

    let mood = Arc::clone(mood);
    Backend::serving(move |stream| {
        let mood = Arc::clone(&mood);
        async move {
            let answer = hyper::service::service_fn(move |request: http::Request<Incoming>| {
                let serving = mood.load(Ordering::SeqCst);
                async move {
                    assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
                    let _ = request.into_body().collect().await;
                    // `HealthCheckResponse { status }`: SERVING is 1, NOT_SERVING 2.
                    let message = [0, 0, 0, 0, 2, 8, if serving { 1 } else { 2 }];
                    let mut trailers = http::HeaderMap::new();
                    trailers.insert("grpc-status", "0".parse().unwrap());
                    let frames = [
                        Ok::<_, Infallible>(Frame::data(Bytes::copy_from_slice(&message))),
                        Ok(Frame::trailers(trailers)),
                    ];
                    let body = StreamBody::new(futures::stream::iter(frames));
                    let answer =
                        http::Response::builder().header("content-type", "application/grpc");
                    Ok::<_, Infallible>(answer.body(body).unwrap())
                }
            });
            let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), answer)
                .await;
        }
    })
}

#[test]
fn grpc() {
    let mood = well();
    let backend = grpc_server(&mood);
    let check =
        r#"type = "grpc", service = "shop.Cart", host = "shop.example.org", keep_alive = true"#;
    decides(&backend, check, &mood, "grpc-not-serving");
}
