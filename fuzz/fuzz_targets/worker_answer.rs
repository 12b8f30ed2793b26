//! What a worker may say: whoever is not spoken to hears nothing.
#![cfg_attr(feature = "fuzzer", no_main)]

#[allow(dead_code, reason = "only what is read from the program")]
#[path = "../../lb-health/src/checkers/worker/answer.rs"]
mod answer;

use answer::Answer;

fuzz::target!(|bytes: Vec<u8>| check(&bytes));

fn check(bytes: &[u8]) {
    let Ok((tag, answer)) = answer::parse(bytes) else { return };
    let text = String::from_utf8_lossy(bytes);
    let digits = text.trim().trim_start_matches('+').trim_start_matches('0');
    assert!(digits.starts_with(&tag.to_string()) || tag == 0);
    if let Ok(Answer::Down(reason)) = answer {
        assert!(text.contains(reason.as_str()));
    }
}
