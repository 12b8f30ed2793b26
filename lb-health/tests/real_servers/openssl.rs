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

/// Keys and certificates that no library for verifying takes: of version 1, as `openssl x509 -req` makes
/// them; of 1024 bits; and of kinds that it cannot verify.
#[tokio::test]
#[ignore = "needs openssl"]
async fn a_certificate_that_is_not_to_be_verified_may_be_any() {
    if !are_installed(&[PROGRAM]) {
        return;
    }
    for key in [
        &["-newkey", "rsa:1024"][..],
        &["-newkey", "rsa:2048"],
        &["-newkey", "rsa-pss", "-pkeyopt", "rsa_keygen_bits:2048"],
        &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp521r1"],
        &["-newkey", "ed448"],
    ] {
        for protocol in ["-tls1_3", "-tls1_2"] {
            // The TLS library knows such keys in TLS 1.3 alone.
            if protocol == "-tls1_2" && !key[1].starts_with("rsa:") {
                continue;
            }
            let mut server = Server::prepare("openssl", "root");
            let [certificate, private, request] =
                ["certificate.pem", "key.pem", "request.pem"].map(|name| server.write(name, ""));
            let request_of =
                ["req", "-nodes", "-subj", "/CN=x", "-keyout", &private, "-out", &request];
            let signed =
                ["x509", "-req", "-in", &request, "-signkey", &private, "-out", &certificate];
            for arguments in [[&request_of[..], key].concat(), signed.to_vec()] {
                let made = std::process::Command::new(PROGRAM).args(&arguments).output().unwrap();
                assert!(made.status.success(), "{arguments:?}: {made:?}");
            }
            let address = server.address.to_string();
            let whose = ["-cert", &certificate, "-key", &private, protocol];
            let told = ["s_server", "-rev", "-cipher", "ALL:@SECLEVEL=0", "-accept", &address];
            server.start(PROGRAM, &[&told[..], &whose[..]].concat());
            let talk = SendExpect::new().with_tls(Tls::unverified().unwrap());
            let talk = talk.with_send("stop\n").with_expect(Pattern::text("pots\n").unwrap());
            check(talk, &server)
                .await
                .unwrap_or_else(|error| panic!("{key:?} {protocol}: {error}"));
        }
    }
}
