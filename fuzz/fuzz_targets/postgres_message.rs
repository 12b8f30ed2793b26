//! What a PostgreSQL server may send: no message is read before it has arrived, nor in pieces.
#![cfg_attr(feature = "fuzzer", no_main)]

#[allow(dead_code, reason = "only what is read from the network")]
#[path = "../../lb-health/src/checkers/postgres/message.rs"]
mod message;

use postgres_protocol::message::backend::Message;

fuzz::target!(|bytes: Vec<u8>| check(&bytes));

fn check(bytes: &[u8]) {
    let Ok(Some((parsed, used))) = message::parse(bytes) else { return };
    assert!(matches!(message::parse(&bytes[..used - 1]), Ok(None)), "it is all needed");
    match parsed {
        Message::DataRow(body) => {
            if let Ok(values) = message::row(&body) {
                // What is not UTF-8 is replaced, by three bytes at most for one.
                assert!(values.iter().map(String::len).sum::<usize>() <= 3 * used);
            }
        }
        Message::ErrorResponse(body) => {
            let _ = message::error(body.fields());
        }
        Message::ParameterStatus(body) => {
            let _ = (body.name(), body.value());
        }
        _ => {}
    }
}
