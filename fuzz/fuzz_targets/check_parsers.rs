//! What is read prints as what reads as the same, and decides as the text says.
#![cfg_attr(feature = "fuzzer", no_main)]

use lb_health::checkers::Nibbles;
use lb_health::digest::Digest;
use lb_health::status_ranges::StatusRanges;

fuzz::target!(|text: String| check(&text));

fn check(text: &str) {
    if let Ok(ranges) = text.parse::<StatusRanges>() {
        let printed = ranges.to_string();
        assert_eq!(printed.parse().as_ref(), Ok(&ranges), "{text:?} prints as {printed:?}");
        assert!((0..100).chain(600..=u16::MAX).all(|code| !ranges.contains(code)));
        assert!((100..600).any(|code| ranges.contains(code)), "{text:?} passes nothing");
    }
    for parse in [Digest::md5, Digest::sha256] {
        if let Ok(digest) = parse(text) {
            assert_eq!(digest.digits(), text.to_ascii_lowercase());
            assert_eq!(parse(&digest.digits()), Ok(digest));
        }
    }
    if let Ok(pattern) = text.parse::<Nibbles>() {
        assert_eq!(pattern.to_string(), text.to_ascii_lowercase());
        // The shortest reply that begins so.
        let reply: Vec<u8> = text.replace(['x', 'X'], "7").as_bytes().chunks(2).map(byte).collect();
        assert!(pattern.begins(&reply));
        assert!(reply.is_empty() || !pattern.begins(&reply[1..]));
    }
}

fn byte(digits: &[u8]) -> u8 {
    let digits = std::str::from_utf8(digits).unwrap_or_default();
    u8::from_str_radix(digits, 16).unwrap_or_default()
}
