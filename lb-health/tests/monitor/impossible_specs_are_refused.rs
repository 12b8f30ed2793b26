//! What a `CheckSpec` takes, refuses and derives.
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use std::time::Duration;

use lb_health::CheckSpec;
use lb_health::spec::SpecError;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn zero_and_more_than_a_year_are_refused() {
    let setters = [
        CheckSpec::with_interval,
        CheckSpec::with_fast_interval,
        CheckSpec::with_down_interval,
        CheckSpec::with_timeout,
    ];
    for set in setters {
        let zero = set(CheckSpec::default(), Duration::ZERO);
        assert!(matches!(zero, Err(SpecError::Zero { .. })));
        let long = set(CheckSpec::default(), CheckSpec::LONGEST + SECOND);
        assert!(matches!(long, Err(SpecError::TooLong { .. })));
        assert!(set(CheckSpec::default(), CheckSpec::LONGEST).is_ok());
    }
    assert!(CheckSpec::default().with_warmup(Duration::ZERO).is_ok());
    assert!(CheckSpec::default().with_warmup(Duration::MAX).is_err());
    assert!(CheckSpec::default().with_rise(0).is_err());
    assert!(CheckSpec::default().with_fall(0).is_err());
    let jitter = CheckSpec::default().with_jitter_percent(51).unwrap_err();
    assert_eq!(jitter.to_string(), "a jitter of 51 % is above 50 %");
}

#[test]
fn the_fast_interval_is_never_the_longer_one() {
    let quick = CheckSpec::default().with_interval(Duration::from_millis(200)).unwrap();
    assert_eq!(quick.fast_interval(), quick.interval());
    // Whatever the order of the setters.
    let slow = quick.with_interval(10 * SECOND).unwrap();
    assert_eq!(slow.fast_interval(), Duration::from_millis(500));
}

#[test]
fn the_defaults_are_those_of_the_documentation() {
    let spec = CheckSpec::default();
    assert_eq!((spec.interval(), spec.down_interval()), (2 * SECOND, 2 * SECOND));
    assert_eq!(spec.fast_interval(), Duration::from_millis(500));
    assert_eq!((spec.timeout(), spec.warmup()), (SECOND, Duration::ZERO));
    let thresholds = spec.thresholds();
    assert_eq!((thresholds.rise.get(), thresholds.fall.get()), (2, 3));
    assert!(thresholds.first_decisive && !spec.initially_up());
    assert_eq!((spec.jitter_percent(), spec.local_limit()), (10, None));
}

#[test]
fn profiles_follow_their_models() {
    let keepalived = CheckSpec::keepalived(60 * SECOND, 1, SECOND, true).unwrap();
    assert_eq!(keepalived.thresholds().fall.get(), 2);
    assert!(!keepalived.initially_up());
    assert_eq!(keepalived.warmup(), 60 * SECOND);

    let haproxy = CheckSpec::haproxy(2 * SECOND, 2, 3).unwrap();
    assert_eq!(haproxy.fast_interval(), 2 * SECOND);
    assert!(haproxy.initially_up());
    assert!(CheckSpec::haproxy(SECOND, 0, 3).is_err());
    // The largest count there is does not overflow.
    assert!(CheckSpec::keepalived(SECOND, u32::MAX, SECOND, false).is_ok());
}
