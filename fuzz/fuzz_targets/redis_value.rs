//! What a Redis server may say: a value is read when all of it has arrived, and not before.
#![cfg_attr(feature = "fuzzer", no_main)]

#[allow(dead_code, reason = "only what is read from the network")]
#[path = "../../lb-health/src/checkers/redis/resp.rs"]
mod resp;

use resp::Value;

fuzz::target!(|bytes: Vec<u8>| check(&bytes));

fn check(bytes: &[u8]) {
    let Ok(Some((value, used))) = Value::parse(bytes) else { return };
    assert!(matches!(Value::parse(&bytes[..used - 1]), Ok(None)), "it is all needed");
    assert!(size(&value) <= used, "nothing is made up");
    let _ = value.text();
}

fn size(value: &Value) -> usize {
    match value {
        Value::Array(values) => 1 + values.iter().map(size).sum::<usize>(),
        Value::Bulk(bytes) => bytes.len(),
        _ => 1,
    }
}
