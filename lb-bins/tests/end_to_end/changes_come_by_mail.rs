//! `smtp`.

use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::*;

fn keys(server: &MailServer, to: &[&str]) -> String {
    let (address, to) = (server.address(), to.join(r#"", ""#));
    format!(
        r#"smtp = {{ server = "{address}", from = "lb@example.org", to = ["{to}"], helo = "lb.example.org" }}
        "#
    )
}

struct Setup {
    balancer: Balancer,
    web: Port,
    three: [Backend; 3],
}

fn start(keys: &str) -> Setup {
    let (web, three) = (Port::free(), [(); 3].map(|()| Backend::greeter()));
    let list = backends(three.iter().map(|backend| (backend, 1)));
    let rest = ["quorum = 2", QUICK_CHECK, &list];
    let balancer = Balancer::start(&(keys.to_owned() + &server("web", &web, &rest)));
    balancer.until_all_up();
    Setup { balancer, web, three }
}

const OPS: &str = "ops@example.org";

#[test]
fn backends_that_fail_together_are_one_mail() {
    let post = MailServer::friendly();
    let Setup { balancer, mut three, .. } = start(&keys(&post, &[OPS, "boss@example.org"]));
    until("the start is told", || post.letters().len() == 1);
    three.iter_mut().for_each(Backend::kill);
    until("the failure is told", || post.letters().len() == 2);
    let letters = post.letters();
    let letter = &letters[1];
    assert_eq!(letter.helo, "lb.example.org");
    assert_eq!(letter.from, "FROM:<lb@example.org>");
    assert_eq!(letter.to, ["TO:<ops@example.org>", "TO:<boss@example.org>"]);
    for backend in &three {
        let said = format!(
            "  web: backend {} is down\n  tcp check failed: connection refused\n",
            backend.name()
        );
        assert!(letter.text.contains(&said), "{letter:?}");
    }
    assert_eq!(letter.text.matches("\n  web: quorum lost").count(), 1, "{letter:?}");
    let subject = letter.text.lines().find(|line| line.starts_with("Subject: ")).unwrap();
    assert!(subject.contains("quorum lost") && subject.ends_with("(and 3 more)"), "{letter:?}");
    until("it is counted", || balancer.status()["notify"]["mail"]["sent_total"] == 2);
}

#[test]
fn a_server_that_hangs_or_refuses_is_asked_again_and_delays_nothing() {
    let post = MailServer::moody(&[Mood::Hang, Mood::Busy]);
    let Setup { balancer, web, mut three } = start(&keys(&post, &[OPS]));
    until("the first attempt", || post.visits() == 1);
    // Checks and clients do not notice.
    let begun = Instant::now();
    let [one, other, _] = &mut three;
    one.kill();
    balancer.until_state("web", one, "down");
    assert_ne!(ask(web.address()).unwrap(), one.name());
    assert!(begun.elapsed() < Duration::from_secs(15));

    until("the mails have arrived", || post.letters().len() == 2);
    assert_eq!(post.visits(), 4);
    balancer.until_logged(&["mail is not taken", "no answer within 20 s"]);
    balancer.until_logged(&["mail was sent after all"]);
    let [start, failure] = &post.letters()[..] else { panic!() };
    assert!(start.text.contains("is up"), "{start:?}");
    assert!(failure.text.contains(&format!("backend {} is down", one.name())), "{failure:?}");
    let mail = balancer.status()["notify"]["mail"].clone();
    assert_eq!((&mail["failures_total"], &mail["abandoned_total"]), (&2.into(), &0.into()));
    balancer.until_state("web", other, "up");
}

#[test]
fn a_server_that_comes_back_gets_what_waited() {
    let mut post = MailServer::friendly();
    post.server().kill();
    let Setup { balancer, .. } = start(&keys(&post, &[OPS]));
    balancer.until_logged(&["mail is not taken"]);
    assert!(post.letters().is_empty());
    post.server().revive();
    until("it has arrived", || post.letters().len() == 1);
}

#[test]
fn who_does_not_exist_takes_the_mail_from_nobody() {
    let post = MailServer::friendly();
    let Setup { balancer, .. } = start(&keys(&post, &["nobody@example.org", OPS]));
    until("it has arrived", || post.letters().len() == 1);
    assert_eq!(post.letters()[0].to, ["TO:<ops@example.org>"]);
    balancer.until_logged(&["mail refused", "nobody@example.org", "no such user"]);
    until("it is counted", || balancer.status()["notify"]["mail"]["abandoned_total"] == 1);
}

#[test]
fn the_last_mail_is_sent_before_the_end() {
    let post = MailServer::friendly();
    let Setup { mut balancer, mut three, .. } = start(&keys(&post, &[OPS]));
    until("the start is told", || post.letters().len() == 1);
    three[0].kill();
    balancer.until_state("web", &three[0], "down");
    balancer.signal(Signal::TERM);
    assert!(balancer.ended().success());
    let letters = post.letters();
    assert_eq!(letters.len(), 2);
    assert!(letters[1].text.contains("is down"), "{letters:?}");
}

/// `smtp` for a server that speaks TLS, and a file for the password, whatever it is.
fn secured_keys(post: &MailServer, folder: &Folder, switch: &str, password: &str) -> String {
    let ca = folder.write("ca.pem", &post.authority);
    let password_file = folder.write("password", password);
    format!(
        r#"smtp = {{ server = "localhost:{}", from = "lb@example.org", to = ["{OPS}"], {switch}, ca = "{}", user = "lb@example.org", password_file = "{}" }}
        "#,
        post.address().port(),
        ca.display(),
        password_file.display(),
    )
}

#[test]
fn who_logs_in_over_tls_is_known_by_the_password_in_the_file() {
    for (safety, switch) in
        [(Safety::Starttls, "starttls = true"), (Safety::Implicit, "tls = true")]
    {
        let (post, folder) = (MailServer::secured(safety), Folder::new());
        let keys = secured_keys(&post, &folder, switch, "secret\n");
        let Setup { balancer, .. } = start(&keys);
        until("it has arrived", || post.letters().len() == 1);
        let letter = &post.letters()[0];
        assert!(letter.is_secured && letter.is_known, "{letter:?}");
        assert!(letter.text.contains("is up"), "{letter:?}");
        // Neither is the password anywhere.
        let status = balancer.status().to_string();
        let printed = arguments(&["--check", "--config", balancer.config_path().to_str().unwrap()]);
        let printed = String::from_utf8(printed.stdout).unwrap();
        assert!(printed.contains("password_file = "), "{printed}");
        for said in [status, printed, balancer.said()] {
            assert!(!said.contains("secret"), "{said}");
        }
    }
}

#[test]
fn a_login_that_is_refused_is_tried_again_and_a_reload_brings_another_password() {
    let (post, folder) = (MailServer::secured(Safety::Starttls), Folder::new());
    let keys = secured_keys(&post, &folder, "starttls = true", "guess\n");
    let Setup { balancer, web, three } = start(&keys);
    balancer.until_logged(&["mail is not taken", "535"]);
    assert_eq!(balancer.status()["notify"]["mail"]["abandoned_total"], 0);
    assert!(post.letters().is_empty());
    folder.write("password", "secret\n");
    let list = backends(three.iter().map(|backend| (backend, 1)));
    balancer.reload(&(keys + &server("web", &web, &["quorum = 2", QUICK_CHECK, &list])));
    let [mut one, ..] = three;
    one.kill();
    for what in ["is up", "is down"] {
        until("it has arrived", || post.letters().iter().any(|letter| letter.text.contains(what)));
    }
    until("both are counted", || balancer.status()["notify"]["mail"]["sent_total"] == 2);
    // What it was counts on.
    assert_ne!(balancer.status()["notify"]["mail"]["failures_total"], 0);
}

#[test]
fn what_waits_goes_by_the_server_that_a_reload_names_to_whom_it_names() {
    let (mut former, other) = (MailServer::friendly(), MailServer::friendly());
    former.server().kill();
    let Setup { balancer, web, three } = start(&keys(&former, &[OPS]));
    balancer.until_logged(&["mail is not taken"]);
    let list = backends(three.iter().map(|backend| (backend, 1)));
    let rest = server("web", &web, &["quorum = 2", QUICK_CHECK, &list]);
    balancer.reload(&(keys(&other, &["boss@example.org"]) + &rest));
    until("it has arrived", || other.letters().len() == 1);
    let letter = &other.letters()[0];
    assert_eq!(letter.to, ["TO:<boss@example.org>"]);
    assert!(letter.text.contains("To: boss@example.org\n"), "{letter:?}");
    assert!(letter.text.contains("is up"), "{letter:?}");
    balancer.until_logged(&["mail was sent after all"]);
}

#[test]
fn whoever_is_not_the_server_gets_no_password() {
    let (post, folder) = (MailServer::secured(Safety::Implicit), Folder::new());
    let stranger = MailServer::secured(Safety::Implicit);
    // Its authority has vouched for somebody else.
    let keys = secured_keys(&post, &folder, "tls = true", "secret\n");
    folder.write("ca.pem", &stranger.authority);
    let Setup { balancer, .. } = start(&keys);
    balancer.until_logged(&["mail is not taken", "certificate"]);
    assert!(post.letters().is_empty());
    // Nor does one that does not offer TLS.
    let (plain, folder) = (MailServer::friendly(), Folder::new());
    let keys = secured_keys(&post, &folder, "starttls = true", "secret\n")
        .replace(&post.address().port().to_string(), &plain.address().port().to_string());
    let Setup { balancer, .. } = start(&keys);
    balancer.until_logged(&["mail is not taken", "STARTTLS"]);
    assert!(plain.letters().is_empty());
}

#[test]
fn a_server_that_asks_for_a_certificate_gets_the_first_one_of_the_file() {
    let [ours, other] = [(); 2]
        .map(|()| rcgen::generate_simple_self_signed(["lb.example.org".to_owned()]).unwrap());
    for (safety, switch) in
        [(Safety::Starttls, "starttls = true"), (Safety::Implicit, "tls = true")]
    {
        let (post, folder) = (MailServer::suspicious(safety, ours.cert.der()), Folder::new());
        let chain = format!("whoever made it\n{}{}", ours.cert.pem(), other.cert.pem());
        let certificate = folder.write("certificate.pem", &chain);
        let key = folder.write("key.pem", &ours.signing_key.serialize_pem());
        let identity = format!(
            r#"{switch}, certificate = "{}", key = "{}""#,
            certificate.display(),
            key.display(),
        );
        let keys = secured_keys(&post, &folder, &identity, "secret\n");
        let _setup = start(&keys);
        until("it has arrived", || post.letters().len() == 1);
        assert!(post.letters()[0].is_known);
        // Nobody else is believed.
        let strange = [other.cert.pem(), other.signing_key.serialize_pem()];
        folder.write("certificate.pem", &strange[0]);
        folder.write("key.pem", &strange[1]);
        let Setup { balancer, .. } = start(&keys);
        balancer.until_logged(&["mail is not taken"]);
        assert_eq!(post.letters().len(), 1);
    }
}

#[test]
fn a_file_that_is_missing_is_said_at_the_start() {
    let (post, folder) = (MailServer::secured(Safety::Implicit), Folder::new());
    let keys = secured_keys(&post, &folder, "tls = true", "secret\n");
    std::fs::remove_file(folder.file("password")).unwrap();
    let (web, backend) = (Port::free(), Backend::greeter());
    let (code, said) = first_words(&(keys + &server("web", &web, &[&backends([(&backend, 1)])])));
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("smtp: cannot read") && said.contains("password"), "{said}");
}

/// Postfix' own end of SMTP.
#[test]
#[ignore = "postfix must be installed"]
fn postfix_understands_the_mail() {
    const SINK: &str = "/usr/sbin/smtp-sink";
    if !std::path::Path::new(SINK).exists() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{SINK} is missing");
        return eprintln!("skipped: {SINK} is missing");
    }
    let (folder, port) = (Folder::new(), Port::free());
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let mut sink = Command::new(SINK);
    if rustix::process::geteuid().is_root() {
        sink.args(["-u", "nobody"]);
    }
    let address = port.to_string();
    sink.arg("-R").arg(folder.path()).args(["-d", "mail.", &address, "10"]);
    let sink = sink.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let _sink = Killed(sink);
    let keys = format!(
        r#"smtp = {{ server = "{address}", from = "lb@example.org", to = ["{OPS}"] }}
        "#
    );
    let _setup = start(&keys);
    let mail = eventually("a mail", || {
        let mut files = std::fs::read_dir(folder.path()).unwrap().filter_map(Result::ok);
        let text = std::fs::read_to_string(files.next()?.path()).ok()?;
        text.contains("quorum gained").then_some(text)
    });
    assert!(mail.contains("X-Mail-Args: <lb@example.org>\n"), "{mail}");
    assert!(mail.contains("X-Rcpt-Args: <ops@example.org>\n"), "{mail}");
    assert!(mail.contains("\nAuto-Submitted: auto-generated\n"), "{mail}");
    assert_eq!(mail.matches("is up\n").count(), 3, "{mail}");
}

/// Gone when this is dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
