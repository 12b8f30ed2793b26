//! A sticky cookie is read back as it was written, or refused with the true reason.
#![cfg(feature = "cookie")]
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use std::time::{Duration, SystemTime};

use lb_core::cookie::{CookieError, CookieSigner, WeakKey};
use lb_core::hash::stable_hash;
use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};

const NOW: u64 = 1_700_000_000;

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn signer(key: u8) -> CookieSigner {
    CookieSigner::new("www", &[key; 32]).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_is_read_as_it_was_written(name in ".*", issued in 0..NOW, used in 0..NOW) {
        let signer = signer(1);
        let text = signer.issue(at(issued), &name);
        prop_assert_eq!(text.len(), 55);
        prop_assert!(text.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_".contains(&c)));
        let cookie = signer.verify(at(NOW), &text).unwrap();
        prop_assert!(cookie.is_for(&name));
        prop_assert_eq!(cookie.place(), stable_hash(name.as_bytes()));
        prop_assert_eq!((cookie.issued(), cookie.last_used()), (at(issued), at(issued)));

        let renewed = signer.verify(at(NOW), &signer.renew(at(used), &cookie)).unwrap();
        prop_assert_eq!(renewed.place(), cookie.place());
        prop_assert_eq!((renewed.issued(), renewed.last_used()), (at(issued), at(used.max(issued))));
    }

    #[test]
    fn whatever_else_is_refused(text in ".*", noise in "[-_a-zA-Z0-9]{55}", now in any::<u32>()) {
        let now = at(now.into());
        prop_assert!(signer(1).verify(now, &text).is_err());
        let refused = signer(1).verify(now, &noise);
        prop_assert!(matches!(refused, Err(CookieError::Forged | CookieError::Encoding)));
    }

    #[test]
    fn dates_decide_as_documented(
        issued in 0..200_000_u64,
        used in 0..200_000_u64,
        now in 0..200_000_u64,
        max_idle in proptest::option::of(0..100_000_u64),
        max_life in proptest::option::of(0..100_000_u64),
    ) {
        let used = used.max(issued);
        let plain = signer(1);
        let cookie = plain.verify(at(issued), &plain.issue(at(issued), "a")).unwrap();
        let text = plain.renew(at(used), &cookie);
        let mut strict = plain;
        if let Some(most) = max_idle {
            strict = strict.max_idle(Duration::from_secs(most));
        }
        if let Some(most) = max_life {
            strict = strict.max_life(Duration::from_secs(most));
        }
        let [age, idle] = [issued, used].map(|date| now.saturating_sub(date));
        let answer = strict.verify(at(now), &text);
        if used > now + 86_400 {
            prop_assert_eq!(answer, Err(CookieError::FromTheFuture { ahead: Duration::from_secs(used - now) }));
        } else if let Some(most) = max_life.filter(|&most| age > most) {
            let [age, most] = [age, most].map(Duration::from_secs);
            prop_assert_eq!(answer, Err(CookieError::Expired { age, most }));
        } else if let Some(most) = max_idle.filter(|&most| idle > most) {
            let [idle, most] = [idle, most].map(Duration::from_secs);
            prop_assert_eq!(answer, Err(CookieError::Idle { idle, most }));
        } else {
            prop_assert!(answer.is_ok());
        }
    }
}

#[test]
fn no_character_can_be_another() {
    let signer = signer(1);
    let text = signer.issue(at(NOW), "10.0.0.1:80");
    for place in 0..text.len() {
        for other in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+/ ".chars()
        {
            if text[place..].starts_with(other) {
                continue;
            }
            let mut changed = text.clone();
            changed.replace_range(place..=place, &other.to_string());
            assert!(signer.verify(at(NOW), &changed).is_err(), "{changed} for {text}");
        }
    }
    for (found, text) in [(0, String::new()), (54, text[1..].to_owned()), (56, format!("{text}="))]
    {
        assert_eq!(signer.verify(at(NOW), &text), Err(CookieError::Length { found }));
    }
}

#[test]
fn keys_are_rotated_without_a_refusal() {
    let [old, new] = [1, 2].map(signer);
    let both = new.clone().accepting(&[1; 32]).unwrap();
    let [by_old, by_both] = [&old, &both].map(|signer| signer.issue(at(NOW), "a"));
    assert!(both.verify(at(NOW), &by_old).is_ok());
    assert!(new.verify(at(NOW), &by_both).is_ok(), "the newest one signs");
    assert_eq!(new.verify(at(NOW), &by_old), Err(CookieError::Forged));
    assert_eq!(old.verify(at(NOW), &by_both), Err(CookieError::Forged));
}

#[test]
fn another_scope_is_another_world() {
    let other = CookieSigner::new("api", &[1; 32]).unwrap();
    assert_eq!(other.verify(at(NOW), &signer(1).issue(at(NOW), "a")), Err(CookieError::Forged));
}

#[test]
fn short_keys_are_refused_and_keys_are_not_shown() {
    assert_eq!(CookieSigner::new("www", &[1; 31]).unwrap_err(), WeakKey { length: 31 });
    assert_eq!(signer(1).accepting(&[]).unwrap_err(), WeakKey { length: 0 });
    assert!(!format!("{:?}", CookieSigner::new("www", &[0xAB; 32]).unwrap()).contains("171"));
}

#[test]
fn the_format_never_changes() {
    // The signature agrees with Python's hmac and hashlib. Balancers of two releases run side by side during an upgrade.
    let text = signer(1).issue(at(NOW), "10.0.0.1:80");
    assert_eq!(text, "AfEeI4csLQbqAAAAAGVT8QAAAAAAZVPxADwntE_qZVPiru9OVsxiCGY");
}
