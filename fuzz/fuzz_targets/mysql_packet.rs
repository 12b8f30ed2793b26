//! What a MySQL server may send: nothing is taken that is not there, and no packet is read before
//! it has arrived.
#![cfg_attr(feature = "fuzzer", no_main)]

#[allow(dead_code, reason = "only what is read from the network")]
#[path = "../../lb-health/src/checkers/mysql/packet.rs"]
mod packet;

use packet::{Greeting, Packet, Reply};

fuzz::target!(|bytes: Vec<u8>| check(&bytes));

fn check(bytes: &[u8]) {
    let _ = Greeting::parse(bytes);
    let _ = Reply::parse(bytes);
    let _ = Reply::ending(bytes);
    if let Ok(values) = packet::row(bytes) {
        let taken: usize = values.iter().flatten().map(|value| value.len() + 1).sum();
        assert!(taken <= bytes.len());
    }
    let Ok(Some((packet, used))) = Packet::parse(bytes) else { return };
    assert_eq!(packet.emit(), bytes[..used]);
    assert!(matches!(Packet::parse(&bytes[..used - 1]), Ok(None)), "it is all needed");
    let _ = Greeting::parse(&packet.payload);
}
