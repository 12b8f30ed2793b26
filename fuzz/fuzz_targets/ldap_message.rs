//! What a directory may send: a message is read when all of it has arrived, and not before.
#![cfg_attr(feature = "fuzzer", no_main)]

#[allow(dead_code, reason = "only what is read from the network")]
#[path = "../../lb-health/src/checkers/ldap/message.rs"]
mod message;

use message::Message;

fuzz::target!(|bytes: Vec<u8>| check(&bytes));

fn check(bytes: &[u8]) {
    let Ok(Some((message, used))) = Message::parse(bytes) else { return };
    assert!(matches!(Message::parse(&bytes[..used - 1]), Ok(None)), "it is all needed");
    if let Ok(outcome) = message.outcome() {
        let _ = outcome.name();
        // What is not UTF-8 is replaced, by three bytes at most for one.
        assert!(outcome.text.len() <= 3 * used);
    }
    let _ = message.entry();
}
