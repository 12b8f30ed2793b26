//! How many random sequences a property is tried with.

use proptest::prelude::ProptestConfig;

/// As many as `LB_HEALTH_CASES` says, else enough to find what is plain: a million of each machine
/// takes some hours.
pub(crate) fn config() -> ProptestConfig {
    let cases = std::env::var("LB_HEALTH_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig::with_cases(cases.unwrap_or(512))
}
