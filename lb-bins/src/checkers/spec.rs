//! When checks run.

use std::time::Duration;

use lb_health::CheckSpec;
use lb_health::spec::SpecError;

use crate::config::Check;
use crate::config::check::Initial;

/// First runs are spread over this much time per check, so that a start with thousands of checks
/// is no storm; and over this much in all, so that the first verdicts do not wait long.
const WARMUP_PER_CHECK: Duration = Duration::from_micros(200);
const LONGEST_WARMUP: Duration = Duration::from_secs(1);

/// When a check runs, and what it takes to change the verdict, if there are `total`.
pub(crate) fn spec(check: &Check, total: u32) -> Result<CheckSpec, SpecError> {
    let short = (WARMUP_PER_CHECK * total).min(LONGEST_WARMUP).min(check.interval);
    let warmup = check.warmup.unwrap_or(short);
    CheckSpec::default()
        .with_interval(check.interval)?
        .with_fast_interval(check.fast_interval)?
        .with_down_interval(check.down_interval)?
        .with_timeout(check.timeout)?
        .with_warmup(warmup)?
        .with_rise(check.rise)?
        .with_fall(check.fall)?
        .with_initially_up(check.initial == Initial::Up)
        .with_first_decisive(check.first_decisive)
        .with_local_limit(check.local_limit)
        .heeding_traffic(check.kind.is_about_connections())
        .with_jitter_percent(check.jitter)
}
