//! What systemd is told: `Type=notify-reload` and `WatchdogSec`.

use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use rustix::process::Signal;

use crate::harness::*;

/// The next that is told, but for signs of life.
fn next(socket: &UnixDatagram) -> String {
    loop {
        let said = hear(socket);
        if said != "WATCHDOG=1" {
            return said;
        }
    }
}

fn hear(socket: &UnixDatagram) -> String {
    let mut bytes = [0; 1024];
    let length = socket.recv(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes[..length]).trim().to_owned()
}

fn listen(path: &Path) -> UnixDatagram {
    let socket = UnixDatagram::bind(path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// A balancer whose manager listens at `path`, and wants a sign of life each 300 ms.
fn managed(config: &str, path: &Path) -> Balancer {
    Balancer::start_with(config, |_, config| {
        let mut command = binary();
        command.arg("--config").arg(config);
        command.env("NOTIFY_SOCKET", path).env("WATCHDOG_USEC", "300000");
        command
    })
}

#[test]
fn it_is_ready_reloads_lives_and_stops() {
    let (manager, web, backend) = (Folder::new(), Port::free(), Backend::greeter());
    let path = manager.file("notify");
    let socket = listen(&path);
    let list = backends([(&backend, 1)]);
    let config = server("web", &web, &[QUICK_CHECK, &list]);
    let mut balancer = managed(&config, &path);
    assert_eq!(next(&socket), "READY=1");
    // Three times as often as would be enough.
    for _ in 0..5 {
        assert_eq!(hear(&socket), "WATCHDOG=1");
    }
    balancer.reload(&config);
    let reloading = next(&socket);
    assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
    assert_eq!(next(&socket), "READY=1");
    // A configuration that is refused is a reload that is over.
    balancer.reload_in_vain("nothing = 1");
    assert!(next(&socket).starts_with("RELOADING=1"));
    assert_eq!(next(&socket), "READY=1");
    balancer.signal(Signal::TERM);
    assert_eq!(next(&socket), "STOPPING=1");
    assert!(balancer.ended().success());
}

/// It hangs, or is stopped: nobody waits for it but who has to tell it something.
#[test]
fn a_service_manager_that_does_not_listen_keeps_nobody() {
    let (manager, web, backend) = (Folder::new(), Port::free(), Backend::greeter());
    let path = manager.file("notify");
    let socket = listen(&path);
    let others = UnixDatagram::unbound().unwrap();
    others.set_nonblocking(true).unwrap();
    let full = loop {
        if let Err(error) = others.send_to(b"X=1", &path) {
            break error;
        }
    };
    assert_eq!(full.kind(), ErrorKind::WouldBlock);
    let list = backends([(&backend, 1)]);
    let config = server("web", &web, &[QUICK_CHECK, &list]);
    let mut balancer = managed(&config, &path);
    balancer.reload(&config);
    assert!(ask(web.address()).is_ok());
    // What it was told comes in its order when it listens again.
    let mut told = std::iter::repeat_with(|| next(&socket)).filter(|said| said != "X=1");
    assert_eq!(told.next().unwrap(), "READY=1");
    assert!(told.next().unwrap().starts_with("RELOADING=1"));
    assert_eq!(told.next().unwrap(), "READY=1");
    while others.send_to(b"X=1", &path).is_ok() {}
    balancer.signal(Signal::TERM);
    assert!(balancer.ended().success());
}
