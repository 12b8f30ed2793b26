//! The parameters of checks, each kept once however many checks run by them.

use std::collections::HashSet;
use std::sync::Arc;

use crate::CheckSpec;

/// Parameters that are in use: ten thousand targets are rarely checked in more than a few ways.
#[derive(Debug, Default)]
pub(crate) struct Specs {
    known: HashSet<Arc<CheckSpec>>,
    /// How many there may be before those out of use are looked for.
    enough: usize,
}

impl Specs {
    /// The one that equals `spec`.
    pub(crate) fn share(&mut self, spec: CheckSpec) -> Arc<CheckSpec> {
        if let Some(known) = self.known.get(&spec) {
            return Arc::clone(known);
        }
        if self.known.len() >= self.enough {
            self.known.retain(|known| Arc::strong_count(known) > 1);
            self.enough = 16.max(2 * self.known.len());
        }
        let spec = Arc::new(spec);
        self.known.insert(Arc::clone(&spec));
        spec
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn equals_share_and_what_is_out_of_use_goes() {
        let every = |millis| {
            let spec = CheckSpec::default().with_interval(Duration::from_millis(millis));
            spec.expect("not zero")
        };
        let mut specs = Specs::default();
        let one = specs.share(every(7));
        assert!(Arc::ptr_eq(&one, &specs.share(every(7))));
        for millis in 8..1_000 {
            assert_eq!(specs.share(every(millis)).interval(), Duration::from_millis(millis));
            assert!(specs.known.len() <= 17);
        }
        assert!(Arc::ptr_eq(&one, &specs.share(every(7))));
    }
}
