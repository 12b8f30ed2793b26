//! Postfix: greeting, hello and STARTTLS.

use lb_health::checkers::{Smtp, Tls};

use crate::harness::{Identity, Server, are_installed, check, failure, is_root, until};

const SERVER: &str = "/usr/sbin/postfix";
const MASTER: &str = "/usr/lib/postfix/sbin/master";

fn start(identity: &Identity) -> Server {
    let mut server = Server::prepare("postfix", "root");
    let certificate = server.write("certificate.pem", &identity.certificate);
    let key = server.write_secret("key.pem", &identity.key);
    let (queue, data) = (server.directory("queue", "root"), server.directory("data", "postfix"));
    server.write(
        "main.cf",
        &format!(
            "compatibility_level = 3.6\nmyhostname = mail.example.org\n\
             queue_directory = {queue}\ndata_directory = {data}\n\
             inet_interfaces = 127.0.0.1\nmaillog_file = /dev/stdout\n\
             smtpd_tls_security_level = may\nsmtpd_helo_required = yes\n\
             smtpd_tls_cert_file = {certificate}\nsmtpd_tls_key_file = {key}\n"
        ),
    );
    server.write(
        "master.cf",
        &format!(
            "127.0.0.1:{} inet n - n - - smtpd\n\
             127.0.0.2:{} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes\n\
             anvil unix - - n - 1 anvil\n\
             cleanup unix n - n - 0 cleanup\n\
             postlog unix-dgram n - n - 1 postlogd\n\
             proxymap unix - - n - - proxymap\n\
             rewrite unix - - n - - trivial-rewrite\n\
             tlsmgr unix - - n 1000? 1 tlsmgr\n",
            server.port(),
            server.port(),
        ),
    );
    let folder = server.file("");
    server.run(SERVER, &["-c", &folder, "check"]);
    // Not by `postfix start`, which would leave its servers to themselves.
    server.start(MASTER, &["-c", &folder, "-d"]);
    server
}

#[tokio::test]
#[ignore = "needs postfix, as root"]
async fn postfix_greets_says_hello_and_turns_to_tls() {
    if !are_installed(&[SERVER, MASTER]) || !is_root() {
        return;
    }
    let identity = Identity::new();
    let mut server = start(&identity);
    let report = check(Smtp::new(), &server).await.unwrap();
    let received = report.trace.evidence().received.as_str();
    assert!(received.starts_with("250-mail.example.org"), "{received}");
    check(Smtp::new().with_helo().with_name("director.example.org").unwrap(), &server)
        .await
        .unwrap();

    let tls =
        Tls::trusting(identity.certificate.as_bytes()).unwrap().with_name("localhost").unwrap();
    let checker = Smtp::new().with_starttls(tls.clone());
    let report = check(checker, &server).await.unwrap();
    assert_eq!(report.trace.evidence().certificate.as_ref().unwrap().names[0], "localhost");
    let elsewhere = Smtp::new().with_starttls(tls.clone().with_name("example.org").unwrap());
    assert_eq!(failure(elsewhere, &server).await.0, "tls-name");
    let strangers = Tls::trusting(Identity::new().certificate.as_bytes()).unwrap();
    let checker = Smtp::new().with_starttls(strangers.with_name("localhost").unwrap());
    assert_eq!(failure(checker, &server).await.0, "tls-untrusted");
    // It speaks in clear first.
    assert_eq!(failure(Smtp::new().with_tls(tls.clone()), &server).await.0, "tls-handshake");
    until("postfix has logged the farewells", || {
        let log = server.log();
        let said_farewell =
            |line: &&str| line.contains(": disconnect from") && line.contains("quit=1");
        log.lines().filter(said_farewell).count() == 3
    });

    // The same by hand, as for a protocol that has no checker of its own.
    #[cfg(feature = "send-expect")]
    {
        use lb_health::checkers::{Pattern, SendExpect};
        let line = |code| Pattern::regex(&format!(r"(?m)^{code} .*\r\n")).unwrap();
        let by_hand = SendExpect::new()
            .with_expect(line(220))
            .with_send("EHLO director.example.org\r\n")
            .with_expect(line(250))
            .with_send("STARTTLS\r\n")
            .with_expect(line(220))
            .with_tls(tls.clone())
            .with_send("EHLO director.example.org\r\n");
        let wrong = by_hand.clone().with_expect(Pattern::text("250-AUTH").unwrap());
        check(by_hand.with_expect(line(250)).with_send("QUIT\r\n"), &server).await.unwrap();
        let failure = check(wrong, &server).await.unwrap_err();
        let evidence = failure.trace.evidence();
        assert_eq!(evidence.wanted.as_str(), r#""250-AUTH""#);
        assert!(evidence.received.as_str().starts_with("250-mail.example.org"));
    }

    server.address.set_ip([127, 0, 0, 2].into());
    check(Smtp::new().with_tls(tls), &server).await.unwrap();
}
