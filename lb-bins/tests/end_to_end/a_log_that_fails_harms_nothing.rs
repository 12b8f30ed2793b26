//! A lost line never costs service.

use std::fs::File;
use std::process::Stdio;

use rustix::process::Signal;

use crate::harness::*;

/// A daemon with this standard error, before two backends of which the first then dies.
fn serves_and_ends(stderr: impl Into<Stdio>) {
    let (web, mut two) = (Port::free(), [(); 2].map(|()| Backend::greeter()));
    let folder = Folder::new();
    let list = backends(two.iter().map(|backend| (backend, 1)));
    let config = folder.write("lb.toml", &server("web", &web, &[QUICK_CHECK, &list]));
    let mut daemon = Daemon::start(&["--config", config.to_str().unwrap()], stderr);
    until("it serves", || ask(web.address()).is_ok());
    two[0].kill();
    let other = two[1].name();
    until("only the other serves", || {
        (0..10).all(|_| ask(web.address()).is_ok_and(|name| name == other))
    });
    for _ in 0..20 {
        daemon.signal(Signal::HUP);
        assert_eq!(ask(web.address()).unwrap(), other);
    }
    daemon.signal(Signal::TERM);
    assert!(daemon.ended().success());
}

#[test]
fn when_its_disk_is_full() {
    serves_and_ends(File::options().write(true).open("/dev/full").unwrap());
}

#[test]
fn when_its_reader_has_gone() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    serves_and_ends(writer);
}

#[test]
fn when_nobody_reads_it() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    // Full from the start.
    let full = writer.try_clone().unwrap();
    rustix::io::ioctl_fionbio(&full, true).unwrap();
    while std::io::Write::write(&mut writer, &[b'.'; 4096]).is_ok() {}
    rustix::io::ioctl_fionbio(&full, false).unwrap();
    serves_and_ends(writer);
    drop(reader);
}
