//! As much HTTP as it takes to talk to the admin address.

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};

use super::client::connect_from;
use super::connect;

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

pub(crate) fn get(to: SocketAddr, path: &str) -> io::Result<Answer> {
    request(to, "GET", path, &[("Host", &to.to_string())], "")
}

/// As [`get`], from a certain address of this host.
pub(crate) fn get_from(source: IpAddr, to: SocketAddr, path: &str) -> io::Result<Answer> {
    exchange(connect_from(source, to)?, "GET", path, &[("Host", &to.to_string())], "")
}

pub(crate) fn post(to: SocketAddr, path: &str, body: &str) -> io::Result<Answer> {
    request(to, "POST", path, &[("Host", &to.to_string())], body)
}

pub(crate) fn request(
    to: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> io::Result<Answer> {
    exchange(connect(to)?, method, path, headers, body)
}

fn exchange(
    mut stream: TcpStream,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> io::Result<Answer> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
    for (name, value) in headers {
        write!(text, "{name}: {value}\r\n").unwrap();
    }
    write!(text, "Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    stream.write_all(text.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or(io::ErrorKind::InvalidData)?;
    Ok(Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() })
}
