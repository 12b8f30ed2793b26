//! What is read prints as what reads as the same, and decides as the text says.
#![cfg_attr(fuzzing, no_main)]

use lb_health::{Md5, StatusRanges};

fuzz::target!(|text: String| check(&text));

fn check(text: &str) {
    if let Ok(ranges) = text.parse::<StatusRanges>() {
        let printed = ranges.to_string();
        assert_eq!(printed.parse().as_ref(), Ok(&ranges), "{text:?} prints as {printed:?}");
        assert!((0..100).chain(600..=u16::MAX).all(|code| !ranges.contains(code)));
        assert!((100..600).any(|code| ranges.contains(code)), "{text:?} passes nothing");
    }
    if let Ok(digest) = text.parse::<Md5>() {
        assert_eq!(digest.to_string(), text.to_ascii_lowercase());
        assert_eq!(digest.to_string().parse(), Ok(digest));
    }
}
