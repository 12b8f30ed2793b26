//! Clients.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};

use socket2::{Domain, Socket, Type};

use super::PATIENCE;

/// A connection whose reads and writes end when patience does.
pub(crate) fn connect(to: SocketAddr) -> io::Result<TcpStream> {
    prepared(TcpStream::connect_timeout(&to, PATIENCE)?)
}

/// A connection from a certain address of this host.
pub(super) fn connect_from(source: IpAddr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
    socket.bind(&SocketAddr::new(source, 0).into())?;
    socket.connect_timeout(&to.into(), PATIENCE)?;
    prepared(socket.into())
}

fn prepared(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Who answers a new connection.
pub(crate) fn ask(to: SocketAddr) -> io::Result<String> {
    Visitor(connect(to)?).who()
}

/// As [`ask`], from a certain address of this host.
pub(crate) fn ask_from(source: IpAddr, to: SocketAddr) -> io::Result<String> {
    Visitor(connect_from(source, to)?).who()
}

/// Waits until a new connection is reset, which may be before it is known to be open.
pub(crate) fn until_turned_away(from: SocketAddr) {
    match connect(from) {
        Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
        Ok(stream) => Visitor(stream).until_cut(),
    }
}

/// A client that stays, of backends that answer with their name.
#[derive(Debug)]
pub(crate) struct Visitor(pub(crate) TcpStream);

impl Visitor {
    pub(crate) fn enter(to: SocketAddr) -> Self {
        Self(connect(to).unwrap())
    }

    /// Who is at the other end.
    pub(crate) fn who(&mut self) -> io::Result<String> {
        self.0.write_all(b"who\n")?;
        let mut name = Vec::new();
        let mut byte = [0];
        loop {
            match self.0.read(&mut byte)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                _ if byte[0] == b'\n' => break,
                _ => name.push(byte[0]),
            }
        }
        String::from_utf8(name).map_err(io::Error::other)
    }

    /// Waits until the other end has reset the connection: an end would look like success.
    pub(crate) fn until_cut(&mut self) {
        match self.0.read(&mut [0]) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
            other => panic!("the connection is not cut: {other:?}"),
        }
    }
}
