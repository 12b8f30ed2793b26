//! What an agent may say: a line is read when all of it has arrived, whatever it is cut into.
#![cfg_attr(feature = "fuzzer", no_main)]

#[allow(dead_code, reason = "only what is read from the network")]
#[path = "../../lb-health/src/checkers/agent/line.rs"]
mod line;

use line::Line;

fuzz::target!(|bytes: Vec<u8>| check(&bytes));

fn check(bytes: &[u8]) {
    if let Ok(line) = Line::parse_all(bytes) {
        assert!(line.percent.is_none() || line.weight.is_none(), "the last counts");
    }
    let Ok(Some((line, used))) = Line::parse(bytes) else { return };
    assert!(used <= Line::LONGEST);
    assert_eq!(Line::parse(&bytes[..used - 1]), Ok(None), "it is all needed");
    assert_eq!(Line::parse_all(&bytes[..used - 1]), Ok(line));
}
