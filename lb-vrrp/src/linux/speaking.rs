//! All sockets that speak: one for each interface and address to speak from.

use std::io;
use std::net::IpAddr;

use socket2::Socket;

use super::socket;

/// Few, of all routers; made when they are needed, as an address of IPv6 may be too new to be spoken
/// from.
#[derive(Debug, Default)]
pub(super) struct Speaking(Vec<Sender>);

#[derive(Debug)]
struct Sender {
    interface: Box<str>,
    source: IpAddr,
    socket: Socket,
}

impl Speaking {
    /// Sends a packet by the interface of this name, which has this index now.
    pub(super) fn send(
        &mut self,
        (interface, index): (&str, u32),
        source: IpAddr,
        destination: IpAddr,
        packet: &[u8],
    ) -> io::Result<()> {
        let is_it = |one: &Sender| one.source == source && *one.interface == *interface;
        let at = match self.0.iter().position(is_it) {
            Some(at) => at,
            None => {
                let socket = socket::sender(source, interface, index)?;
                self.0.push(Sender { interface: interface.into(), source, socket });
                self.0.len() - 1
            }
        };
        socket::send(&self.0[at].socket, index, destination, packet)
    }

    /// An interface is another one of the same name, or gone.
    pub(super) fn leave(&mut self, interface: &str) {
        self.0.retain(|one| *one.interface != *interface);
    }

    /// Closes those that nobody speaks with.
    pub(super) fn keep(&mut self, is_used: impl Fn(&str, IpAddr) -> bool) {
        self.0.retain(|one| is_used(&one.interface, one.source));
    }
}
