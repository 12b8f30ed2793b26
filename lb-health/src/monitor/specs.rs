//! The parameters of checks, each kept once however many checks run by them.

use std::collections::HashSet;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Instant;

use crate::CheckSpec;

/// How a check runs, and what its times are counted from. That is the same for all checks of a monitor,
/// and would make each of them larger.
#[derive(Debug, Eq, Hash, PartialEq)]
pub(crate) struct Terms {
    spec: CheckSpec,
    pub(crate) origin: Instant,
}

impl Deref for Terms {
    type Target = CheckSpec;

    fn deref(&self) -> &CheckSpec {
        &self.spec
    }
}

/// Parameters that are in use: ten thousand targets are rarely checked in more than a few ways.
#[derive(Debug, Default)]
pub(crate) struct Specs {
    /// When the first check began.
    origin: Option<Instant>,
    known: HashSet<Arc<Terms>>,
    /// How many there may be before those out of use are looked for.
    enough: usize,
}

impl Specs {
    /// The one that equals `spec`.
    pub(crate) fn share(&mut self, now: Instant, spec: CheckSpec) -> Arc<Terms> {
        let origin = *self.origin.get_or_insert(now);
        let terms = Terms { spec, origin };
        if let Some(known) = self.known.get(&terms) {
            return Arc::clone(known);
        }
        if self.known.len() >= self.enough {
            self.known.retain(|known| Arc::strong_count(known) > 1);
            self.enough = 16.max(2 * self.known.len());
        }
        let terms = Arc::new(terms);
        self.known.insert(Arc::clone(&terms));
        terms
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant serves as the origin")]
    fn equals_share_and_what_is_out_of_use_goes() {
        let every = |millis| {
            let spec = CheckSpec::default().with_interval(Duration::from_millis(millis));
            spec.expect("not zero")
        };
        let (mut specs, mut now) = (Specs::default(), Instant::now());
        let mut share = |spec| {
            now += Duration::from_millis(1);
            let terms = specs.share(now, spec);
            assert!(specs.known.len() <= 17);
            terms
        };
        let one = share(every(7));
        assert!(Arc::ptr_eq(&one, &share(every(7))));
        for millis in 8..1_000 {
            assert_eq!(share(every(millis)).interval(), Duration::from_millis(millis));
        }
        assert!(Arc::ptr_eq(&one, &share(every(7))));
    }
}
