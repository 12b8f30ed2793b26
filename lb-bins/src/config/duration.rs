//! Durations as people write them: `"500ms"`, `"2s"`, `"1m30s"`.

use std::fmt::Write as _;
use std::time::Duration;

pub(super) use lb_health::simulate::{ParseDurationError as DurationError, duration as parse};

/// The units, from the largest, with their length in milliseconds.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// The text that [`parse`] reads as `duration`, cut to whole milliseconds.
pub(super) fn format(duration: Duration) -> String {
    let mut rest = duration.as_millis();
    if rest == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (name, length) in UNITS {
        let number = rest / u128::from(length);
        rest %= u128::from(length);
        if number > 0 {
            // Writing to a string cannot fail.
            let _ = write!(text, "{number}{name}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{format, parse};

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(milliseconds in any::<u64>()) {
            let duration = Duration::from_millis(milliseconds);
            prop_assert_eq!(parse(&format(duration)), Ok(duration));
        }
    }
}
