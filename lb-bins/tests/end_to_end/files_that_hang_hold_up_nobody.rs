//! Checks that read files from a file system that hangs.

use std::fs::File;
use std::io::Write;

use rustix::fs::{CWD, Mode, OFlags, mkfifoat, open};
use rustix::process::Signal;

use crate::harness::*;

/// Whoever opens a pipe to read waits for somebody who writes: as from a server that is gone.
#[test]
fn files_that_hang_hold_up_nobody() {
    const STUCK: usize = 12;
    let (folder, web) = (Folder::new(), Port::free());
    let hang: Vec<_> = (0..STUCK).map(|_| Backend::greeter()).collect();
    let mut well = Backend::greeter();
    let quick = r#"interval = "50ms", timeout = "20s", rise = 1, fall = 1"#;
    let mut list = "backend = [\n".to_owned();
    for (number, backend) in hang.iter().enumerate() {
        let path = folder.file(&format!("pipe{number}"));
        mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
        list += &format!(
            "{{ address = \"{}\", check = {{ type = \"file\", path = \"{}\", {quick} }} }},\n",
            backend.address(),
            path.display()
        );
    }
    let (ready, told) =
        (folder.write("ready", "0\n"), folder.script("tell", r#"echo "$LB_STATE" >> "$1""#));
    list += &format!(
        "{{ address = \"{}\", check = [{{ type = \"file\", path = \"{}\", {quick} }}, {{ type = \"tcp\", {quick} }}], \
         on_down = [\"{}\", \"{}\"] }}]",
        well.address(),
        ready.display(),
        told.display(),
        folder.file("told").display(),
    );
    let config = server("web", &web, &[&list]);
    let mut balancer = Balancer::start(&config);
    // Every one of them waits by now, and so would whoever came after them.
    balancer.until_state("web", &well, "up");
    for backend in &hang {
        assert_eq!(balancer.state("web", backend), "warming");
    }
    balancer.reload(&(config + "drain_timeout = \"9s\"\n").replace("backend = [", "backend = [ "));
    assert_eq!(balancer.state("web", &well), "up");
    folder.write("ready", "1\n");
    balancer.until_state("web", &well, "down");
    until("the script ran", || folder.read("told") == "down\n");
    folder.write("ready", "0\n");
    balancer.until_state("web", &well, "up");
    well.kill();
    balancer.until_state("web", &well, "down");
    balancer.signal(Signal::TERM);
    assert!(balancer.ended().success());
}

/// The configuration itself: nobody hears what is told later before all of it is read.
#[test]
fn a_configuration_that_hangs_does_not_hold_up_the_end() {
    let (web, only) = (Port::free(), Backend::greeter());
    let config = server("web", &web, &[UNCHECKED, &backends([(&only, 1)])]);
    let mut balancer = Balancer::start(&config);
    let admin = format!("admin = \"{}\"\n", balancer.admin());
    let path = balancer.config_path();
    std::fs::remove_file(&path).unwrap();
    mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
    // Whoever opens a pipe to write without waiting can do so as soon as somebody reads.
    let writer = || -> File {
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        eventually("it is read", || open(&path, flags, Mode::empty()).ok()).into()
    };
    let taken_over = |count: usize| {
        until("it is taken over", || {
            balancer.lines_with("configuration taken over").len() == count
        });
    };

    balancer.signal(Signal::HUP);
    let mut first = writer();
    // All of these are one more.
    for _ in 0..3 {
        balancer.signal(Signal::HUP);
    }
    assert_eq!(ask(web.address()).unwrap(), only.name());
    first.write_all(format!("{admin}{config}").as_bytes()).unwrap();
    drop(first);
    taken_over(1);
    writer().write_all(format!("{admin}{config}drain_timeout = \"9s\"\n").as_bytes()).unwrap();
    taken_over(2);

    balancer.signal(Signal::HUP);
    let _kept = writer();
    balancer.signal(Signal::TERM);
    assert!(balancer.ended().success());
}

/// What mail needs: read once, by somebody else than who decides.
#[test]
fn a_password_for_mail_that_hangs_holds_up_no_verdict() {
    let (folder, web, mut other) = (Folder::new(), Port::free(), Backend::greeter());
    let (post, nobody) = (MailServer::friendly(), Backend::greeter());
    let password = folder.write("password", "secret");
    let mail = format!(
        r#"smtp = {{ server = "{}", from = "lb@example.org", to = ["ops@example.org"], starttls = true, verify = false, user = "lb", password_file = "{}" }}
        "#,
        post.address(),
        password.display(),
    );
    let quick = r#"check = { type = "tcp", interval = "50ms", rise = 1, fall = 1 }"#;
    let list = backends_with([(&nobody, quick), (&other, quick)]);
    let mut balancer = Balancer::start(&(mail + &server("web", &web, &[&list])));
    balancer.until_state("web", &other, "up");
    std::fs::remove_file(&password).unwrap();
    mkfifoat(CWD, &password, Mode::RUSR | Mode::WUSR).unwrap();
    balancer.signal(Signal::HUP);
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let writer = eventually("it is read", || open(&password, flags, Mode::empty()).ok());
    other.kill();
    balancer.until_state("web", &other, "down");
    // Nobody writes there a second time.
    File::from(writer).write_all(b"another").unwrap();
    balancer.until_logged(&["configuration taken over"]);
    other.revive();
    balancer.until_state("web", &other, "up");
    balancer.signal(Signal::TERM);
    assert!(balancer.ended().success());
}

/// What a check reads when it is built, as passwords and certificates.
#[test]
fn a_password_that_hangs_holds_up_neither_verdicts_nor_the_end() {
    let (folder, web, mut other) = (Folder::new(), Port::free(), Backend::greeter());
    let password = folder.write("password", "secret");
    let redis = format!(
        "check = {{ type = \"redis\", password_file = \"{}\", interval = \"50ms\" }}",
        password.display()
    );
    let quick = r#"check = { type = "tcp", interval = "50ms", rise = 1, fall = 1 }"#;
    let nobody = Backend::greeter();
    let list = backends_with([(&nobody, &*redis), (&other, quick)]);
    let mut balancer = Balancer::start(&server("web", &web, &[&list]));
    balancer.until_state("web", &other, "up");
    std::fs::remove_file(&password).unwrap();
    mkfifoat(CWD, &password, Mode::RUSR | Mode::WUSR).unwrap();
    balancer.signal(Signal::HUP);
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let _kept = eventually("it is read", || open(&password, flags, Mode::empty()).ok());
    other.kill();
    balancer.until_state("web", &other, "down");
    balancer.signal(Signal::TERM);
    assert!(balancer.ended().success());
}
