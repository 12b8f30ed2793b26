//! OpenSSL: a talk over TLS, with a server that says every line backwards.

use lb_health::checkers::{Pattern, SendExpect, Tls};

use crate::harness::{Identity, Server, are_installed, check, failure};

const PROGRAM: &str = "/usr/bin/openssl";

#[tokio::test]
#[ignore = "needs openssl"]
async fn openssl_is_talked_to_line_by_line_in_secret() {
    if !are_installed(&[PROGRAM]) {
        return;
    }
    let (mut server, identity) = (Server::prepare("openssl", "root"), Identity::new());
    let certificate = server.write("certificate.pem", &identity.certificate);
    let key = server.write("key.pem", &identity.key);
    let address = server.address.to_string();
    let whose = ["-cert", &certificate, "-key", &key];
    server.start(PROGRAM, &[&["s_server", "-rev", "-accept", &address], &whose[..]].concat());

    let talk = |tls: Tls| {
        let first = SendExpect::new().with_tls(tls).with_send("stop\n");
        let first = first.with_expect(Pattern::text("pots\n").unwrap());
        first.with_send("12\n").with_expect(Pattern::regex(r"^2\d\n").unwrap())
    };
    let tls = || Tls::trusting(identity.certificate.as_bytes()).unwrap();
    let report = check(talk(tls().with_name("localhost").unwrap()), &server).await.unwrap();
    assert_eq!(report.trace.evidence().received.as_str(), "21");
    assert_eq!(report.trace.evidence().certificate.as_ref().unwrap().subject, "CN=localhost");
    let (cause, text) = failure(talk(tls().with_name("example.org").unwrap()), &server).await;
    assert_eq!((cause, &*text), ("tls-name", "the certificate is not for example.org"));
}
