//! Ports for servers of others, who bind them themselves and later.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below those that Linux hands out to whoever asks for any (`ip_local_port_range`): a connection of
/// another test never has it by the time that the server binds it.
const FIRST: u16 = 10_000;
const COUNT: u16 = 20_000;

/// A port that nobody has on any address of this host. No two of a process are the same.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let begin = std::process::id().wrapping_mul(211);
    let candidates = (0..COUNT).map(|_| {
        let offset = begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed).into());
        FIRST + u16::try_from(offset % u32::from(COUNT)).unwrap()
    });
    let is_free = |&port: &u16| {
        let everywhere = (Ipv4Addr::UNSPECIFIED, port);
        TcpListener::bind(everywhere).is_ok() && UdpSocket::bind(everywhere).is_ok()
    };
    candidates.into_iter().find(is_free).expect("one of 20,000 ports is free")
}
