//! nginx: every version of HTTP, in clear and over TLS.

use std::net::SocketAddr;

use lb_health::checkers::{Http, HttpVersion, Page, Pattern, Tls};
use lb_health::digest::Digest;
use lb_health::trace::Phase;
use sha2::Digest as _;

use crate::harness::{Server, are_installed, free_address};
use crate::support::tls::Authority;
use crate::support::{cause, check};

const PROGRAM: &str = "/usr/sbin/nginx";

/// How a checker is made to speak.
type Way = Box<dyn Fn(Http) -> Http>;

/// An nginx with the same pages in clear, over TLS, and in clear by HTTP/2.
struct Nginx {
    clear: SocketAddr,
    secured: SocketAddr,
    http2: SocketAddr,
    authority: Authority,
    _server: Server,
}

impl Nginx {
    fn start() -> Self {
        let (mut server, authority) = (Server::prepare("nginx", "www-data"), Authority::new());
        let (clear, secured, http2) = (server.address, free_address(), free_address());
        let presented = authority.vouch("www.example.org", 2090);
        let (certificate, key) = &presented.pem;
        let certificate = server.write("certificate.pem", certificate);
        let key = server.write("key.pem", key);
        server.write("page", &"a long page\n".repeat(20_000));
        let pages = r#"
            location = /alive { return 200 "alive\n"; }
            location = /sick { return 503 "no database\n"; }
            location = /once { keepalive_timeout 0; return 200 "alive\n"; }
            location = /posted { limit_except POST { deny all; } return 201; }
            location = /page { gzip off; }
        "#;
        let folder = server.file("");
        let config = format!(
            r#"
            daemon off;
            master_process off;
            pid {folder}nginx.pid;
            error_log {folder}error.log;
            events {{ worker_connections 64; }}
            http {{
                access_log off;
                root {folder};
                keepalive_requests 3;
                client_body_temp_path {folder};
                proxy_temp_path {folder};
                fastcgi_temp_path {folder};
                uwsgi_temp_path {folder};
                scgi_temp_path {folder};
                server {{ listen {clear}; {pages} }}
                server {{ listen {http2} http2; {pages} }}
                server {{
                    listen {secured} ssl http2;
                    ssl_certificate {certificate};
                    ssl_certificate_key {key};
                    {pages}
                }}
            }}
            "#
        );
        let config = server.write("nginx.conf", &config);
        server.start(PROGRAM, &["-c", &config, "-e", &server.file("error.log")]);
        Self { clear, secured, http2, authority, _server: server }
    }

    /// Each way to speak to it.
    fn ways(&self) -> Vec<(SocketAddr, Way)> {
        let tls = Tls::trusting(self.authority.pem.as_bytes()).unwrap();
        let tls2 = tls.clone();
        vec![
            (self.clear, Box::new(|http| http)),
            (self.clear, Box::new(|http: Http| http.with_version(HttpVersion::Http10))),
            (self.http2, Box::new(|http: Http| http.with_version(HttpVersion::Http2))),
            (self.secured, Box::new(move |http: Http| http.with_tls(tls.clone()))),
            (
                self.secured,
                Box::new(move |http: Http| {
                    http.with_tls(tls2.clone()).with_version(HttpVersion::Http2)
                }),
            ),
        ]
    }
}

#[tokio::test]
#[ignore = "needs nginx"]
async fn nginx_is_checked_in_every_version() {
    if !are_installed(&[PROGRAM]) {
        return;
    }
    let nginx = Nginx::start();
    let page = |path| Page::new(path).unwrap().with_host("www.example.org").unwrap();
    let long = "a long page\n".repeat(20_000);
    let long = Digest::Sha256(sha2::Sha256::digest(&long).into());
    let alive = Pattern::exactly("alive\n").unwrap();
    let server = Pattern::regex("^nginx").unwrap();
    let posted = page("/posted").with_method("POST").unwrap().with_body("x".repeat(5000));
    for (address, way) in nginx.ways() {
        let all = [
            page("/alive")
                .expecting_body(alive.clone())
                .expecting_header("server", server.clone())
                .unwrap(),
            page("/page").with_digest(long),
            posted.clone().with_statuses("201".parse().unwrap()),
            page("/once").expecting_body(alive.clone()),
            page("/alive").with_method("HEAD").unwrap(),
        ];
        let checker = way(Http::asking(all));
        for checker in [checker.clone(), checker.keeping_alive()] {
            for _ in 0..5 {
                check(checker.clone(), address).await.unwrap();
            }
        }
        let failure = check(way(Http::asking([page("/sick")])), address).await.unwrap_err();
        assert_eq!(failure.cause(), "status");
        assert_eq!(failure.trace.evidence().status, Some(503));
        let cut = page("/page").with_body_limit(1000);
        let whole = cut.clone().with_digest(long);
        assert_eq!(cause(way(Http::asking([whole])), address).await, "body-too-large");
        // Over one connection, or one more where not all was read.
        let checker = way(Http::asking([cut.clone(), page("/alive"), cut]));
        for checker in [checker.clone(), checker.keeping_alive()] {
            for _ in 0..3 {
                check(checker.clone(), address).await.unwrap();
            }
        }
    }
}

#[tokio::test]
#[ignore = "needs nginx"]
async fn nginx_takes_three_requests_over_each_connection() {
    if !are_installed(&[PROGRAM]) {
        return;
    }
    let nginx = Nginx::start();
    for (address, way) in nginx.ways() {
        let host = "www.example.org";
        let checker = way(Http::new("/alive").unwrap().with_host(host).unwrap().keeping_alive());
        let mut connections = 0;
        for _ in 0..9 {
            let report = check(checker.clone(), address).await.unwrap();
            connections += u32::from(report.trace.spent(Phase::Connect).is_some());
        }
        assert!((3..=5).contains(&connections), "{connections}");
    }
}

#[tokio::test]
#[ignore = "needs nginx"]
async fn nginx_does_not_pass_for_what_it_is_not() {
    if !are_installed(&[PROGRAM]) {
        return;
    }
    let nginx = Nginx::start();
    let http = || Http::new("/alive").unwrap();
    let tls = || Tls::trusting(nginx.authority.pem.as_bytes()).unwrap();
    let other = Tls::trusting(Authority::new().pem.as_bytes()).unwrap();
    let site = || tls().with_name("www.example.org").unwrap();
    assert_eq!(cause(http().with_tls(site()), nginx.secured).await, "ok");
    assert_eq!(cause(http().with_tls(tls()), nginx.secured).await, "tls-name");
    let untrusted = other.with_name("www.example.org").unwrap();
    assert_eq!(cause(http().with_tls(untrusted), nginx.secured).await, "tls-untrusted");
    assert_eq!(cause(http().with_tls(site()), nginx.clear).await, "tls-handshake");
    assert_eq!(cause(http(), nginx.secured).await, "status", "400: plain HTTP to an HTTPS port");
    let http2 = http().with_version(HttpVersion::Http2);
    assert_eq!(cause(http2, nginx.clear).await, "protocol");
}
