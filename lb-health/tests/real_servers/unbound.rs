//! unbound: every kind of record, and more of them than a datagram holds.

use lb_health::checkers::Dns;
use lb_health::trace::Phase;

use crate::harness::{Server, are_installed};
use crate::support::{cause, check};

const PROGRAM: &str = "/usr/sbin/unbound";

#[tokio::test]
#[ignore = "needs unbound"]
async fn unbound_is_asked_for_every_kind_of_record() {
    if !are_installed(&[PROGRAM]) {
        return;
    }
    let mut server = Server::prepare("unbound", "unbound");
    let (path, address) = (server.file(""), server.address);
    let (ip, port) = (address.ip(), address.port());
    // More than a datagram without EDNS holds.
    let many: String = (0..100)
        .map(|host| format!("local-data: \"many.example.org. 60 IN A 192.0.2.{host}\"\n"))
        .collect();
    let config = format!(
        r#"
        server:
            interface: {ip}@{port}
            do-ip6: no
            do-daemonize: no
            chroot: ""
            username: ""
            directory: "{path}"
            pidfile: "{path}unbound.pid"
            use-syslog: no
            logfile: "{path}unbound.log"
            access-control: 127.0.0.0/8 allow
            local-zone: "example.org." static
            local-data: "example.org. 60 IN SOA ns.example.org. root.example.org. 1 2 3 4 5"
            local-data: "example.org. 60 IN NS ns.example.org."
            local-data: "example.org. 60 IN MX 10 mail.example.org."
            local-data: 'example.org. 60 IN TXT "v=spf1 -all" "two"'
            local-data: "www.example.org. 60 IN A 192.0.2.1"
            local-data: "www.example.org. 60 IN A 192.0.2.2"
            local-data: "www.example.org. 60 IN AAAA 2001:db8::1"
            local-data: "_http._tcp.example.org. 60 IN SRV 0 5 80 www.example.org."
            {many}
        remote-control:
            control-enable: no
        "#
    );
    let config = server.write("unbound.conf", &config);
    server.start(PROGRAM, &["-d", "-c", &config]);

    for (name, record, expected) in [
        ("example.org", "SOA", &["ns.example.org root.example.org 1 2 3 4 5"][..]),
        ("example.org", "NS", &["ns.example.org"]),
        ("example.org", "MX", &["10 Mail.Example.org."]),
        ("example.org", "TXT", &["\"v=spf1 -all\" two"]),
        ("WWW.example.org", "A", &["192.0.2.2", "192.0.2.1"]),
        ("www.example.org", "AAAA", &["2001:db8:0::1"]),
        ("_http._tcp.example.org", "SRV", &["0 5 80 www.example.org"]),
    ] {
        let mut checker = Dns::new(name, record).unwrap();
        for answer in expected {
            checker = checker.expecting(answer).unwrap();
        }
        check(checker, address).await.unwrap();
    }
    let www = |record| Dns::new("www.example.org", record).unwrap();
    assert_eq!(cause(www("MX"), address).await, "ok", "none is an answer");
    assert_eq!(cause(www("MX").requiring_answer(), address).await, "rejected");
    assert_eq!(cause(www("A").expecting("192.0.2.3").unwrap(), address).await, "rejected");
    let missing = Dns::new("missing.example.org", "A").unwrap();
    assert_eq!(check(missing, address).await.unwrap_err().to_string(), "the answer is NXDOMAIN");

    let many = Dns::new("many.example.org", "A").unwrap();
    let many = many.expecting("192.0.2.0").unwrap().expecting("192.0.2.99").unwrap();
    let report = check(many, address).await.unwrap();
    assert!(report.trace.spent(Phase::Connect).is_some(), "over TCP");
}
