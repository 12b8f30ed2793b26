//! What a mail server may reply: a reply is read when all of it has arrived, and not before.
#![cfg_attr(feature = "fuzzer", no_main)]

#[allow(dead_code, reason = "only what is read from the network")]
#[path = "../../lb-health/src/checkers/smtp/reply.rs"]
mod reply;

use reply::Reply;

fuzz::target!(|bytes: Vec<u8>| check(&bytes));

fn check(bytes: &[u8]) {
    let Ok(Some((reply, used))) = Reply::parse(bytes) else { return };
    assert!((200..600).contains(&reply.code) && !reply.lines.is_empty());
    assert!(reply.lines.iter().all(|line| !line.contains('\n')));
    assert!(matches!(Reply::parse(&bytes[..used - 1]), Ok(None)), "it is all needed");
    assert_eq!(Reply::parse(&bytes[..used]), Ok(Some((reply.clone(), used))));
    let _ = reply.offers("STARTTLS");
}
