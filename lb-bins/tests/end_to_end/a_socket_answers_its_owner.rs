//! Administration by a socket in the file system, and on the command line.

use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;

use rustix::process::Signal;

use crate::harness::*;

/// What is answered to `request`; nothing if nobody is there.
fn say(socket: &Path, request: &str) -> String {
    let mut answer = String::new();
    let Ok(mut stream) = UnixStream::connect(socket) else { return answer };
    // As a page could not: it has no name for the host, or a foreign one.
    let request = format!("{request} HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    if stream.write_all(request.as_bytes()).is_ok() {
        let _ = stream.read_to_string(&mut answer);
    }
    answer
}

#[test]
fn whoever_may_write_to_the_socket_asks_and_orders() {
    let (folder, web, backend) = (Folder::new(), Port::free(), Backend::greeter());
    let (socket, other) = (folder.file("admin.sock"), folder.file("other.sock"));
    let text = server("web", &web, &[&backends([(&backend, 1)])]);
    let config = |socket: &Path| format!("admin = \"{}\"\n{text}", socket.display());
    let path = folder.write("lb.toml", &config(&socket));
    let mut daemon = Daemon::start(&["--config", path.to_str().unwrap()], Stdio::null());
    until("it answers", || say(&socket, "GET /healthz").contains("ok"));
    let file = socket.symlink_metadata().unwrap();
    assert!(file.file_type().is_socket());
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
    assert!(say(&socket, "GET /status").contains(r#""name":"web""#));
    assert!(say(&socket, "GET /metrics").contains("lb_virtual_server_quorum_up"));
    let drain = format!("POST /virtual_servers/web/backends/{}/drain", backend.name());
    assert!(say(&socket, &drain).contains("done"), "{}", say(&socket, &drain));

    // A second one with the same socket takes it from nobody.
    let (code, said) = first_words(&format!("admin = \"{}\"\n{text}", socket.display()));
    assert_eq!(code, Some(2), "{said}");
    let own = server("own", &Port::free(), &[&backends([(&backend, 1)])]);
    let (code, said) = first_words(&format!("admin = \"{}\"\n{own}", socket.display()));
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("another program listens at"), "{said}");

    folder.write("lb.toml", &config(&other));
    daemon.signal(Signal::HUP);
    until("it moves", || say(&other, "GET /healthz").contains("ok"));
    until("the old one is gone", || !socket.exists());

    // Left over by a crash, it is in nobody's way.
    daemon.signal(Signal::KILL);
    daemon.ended();
    assert!(other.exists());
    daemon = Daemon::start(&["--config", path.to_str().unwrap()], Stdio::null());
    until("it answers again", || say(&other, "GET /healthz").contains("ok"));
    daemon.signal(Signal::TERM);
    assert!(daemon.ended().success());
    assert!(!other.exists());
}

/// keepalived.conf has no word for it.
#[test]
fn the_command_line_says_where() {
    let (folder, web, backend) = (Folder::new(), Port::free(), Backend::greeter());
    let socket = folder.file("admin.sock");
    let address = |port: std::net::SocketAddr| format!("{} {}", port.ip(), port.port());
    let path = folder.write(
        "keepalived.conf",
        &format!(
            "virtual_server {} {{\n protocol TCP\n real_server {} {{\n }}\n}}\n",
            address(web.address()),
            address(backend.name().parse().unwrap())
        ),
    );
    let path = path.to_str().unwrap();
    let arguments_for = |admin| ["--config", path, "--admin", admin];
    let daemon = Daemon::start(&arguments_for(socket.to_str().unwrap()), Stdio::null());
    until("it answers", || say(&socket, "GET /status").contains(&backend.name()));
    // A reload does not know better.
    daemon.signal(Signal::HUP);
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(say(&socket, "GET /status").contains(&backend.name()));

    let said = |admin| String::from_utf8(arguments(&arguments_for(admin)).stderr).unwrap();
    assert!(said("0.0.0.0:9900").contains("which every host that reaches it may read"));
    assert!(said("nowhere").contains("nor the absolute path of a socket"), "{}", said("nowhere"));
}
