//! Rounds that take turns, and medians.

use std::time::{Duration, Instant};

use super::allocations::allocations_of;

/// One way of doing the thing that is measured.
pub(crate) struct Contender<'a> {
    pub(crate) name: String,
    /// Names of ours that this peer is held against; none for ours.
    pub(crate) against: &'static [&'static str],
    /// Does the thing so many times.
    pub(crate) run: Box<dyn FnMut(u32) + 'a>,
}

impl<'a> Contender<'a> {
    /// One of ours.
    pub(crate) fn ours(name: impl Into<String>, run: impl FnMut(u32) + 'a) -> Self {
        Self { name: name.into(), against: &[], run: Box::new(run) }
    }

    /// Somebody else's, to be compared with ours of these names.
    pub(crate) fn peer(
        name: impl Into<String>,
        against: &'static [&'static str],
        run: impl FnMut(u32) + 'a,
    ) -> Self {
        Self { name: name.into(), against, run: Box::new(run) }
    }
}

/// What one contender took, per operation.
pub(crate) struct Cost {
    pub(crate) name: String,
    pub(crate) against: &'static [&'static str],
    /// Nanoseconds.
    pub(crate) median: f64,
    /// Nanoseconds.
    pub(crate) min: f64,
    pub(crate) allocations: f64,
}

/// How long one contender runs before it is the next one's turn.
const TURN_NANOS: u128 = 300_000;

/// Measures all contenders in turn, `rounds` times over, so that whatever slows the machine down
/// for a while slows all of them. The order is reversed every other round, so that no contender
/// always follows the same neighbour.
pub(crate) fn measure(mut contenders: Vec<Contender<'_>>, rounds: usize) -> Vec<Cost> {
    let counts: Vec<u32> = contenders.iter_mut().map(calibrate).collect();
    let mut samples = vec![Vec::with_capacity(rounds); contenders.len()];
    for round in 0..rounds {
        for turn in 0..contenders.len() {
            let one = if round % 2 == 0 { turn } else { contenders.len() - 1 - turn };
            let started = Instant::now();
            (contenders[one].run)(counts[one]);
            samples[one].push(started.elapsed().as_nanos() as f64 / f64::from(counts[one]));
        }
    }
    let cost = |((mut contender, mut samples), count): ((Contender<'_>, Vec<f64>), u32)| {
        samples.sort_by(f64::total_cmp);
        Cost {
            allocations: allocations_of(|| (contender.run)(count)) as f64 / f64::from(count),
            name: contender.name,
            against: contender.against,
            median: samples[samples.len() / 2],
            min: samples[0],
        }
    };
    contenders.into_iter().zip(samples).zip(counts).map(cost).collect()
}

/// Some set themselves up in their first call; that is not what is measured.
const WARM_UP: Duration = Duration::from_millis(20);

/// Warms up, and finds how often the thing fits into one turn.
fn calibrate(contender: &mut Contender<'_>) -> u32 {
    let started = Instant::now();
    while started.elapsed() < WARM_UP {
        (contender.run)(1);
    }
    let mut count = 1_u32;
    loop {
        let started = Instant::now();
        (contender.run)(count);
        let took = started.elapsed().as_nanos().max(1);
        if took >= TURN_NANOS / 2 || count >= 1 << 24 {
            return (u128::from(count) * TURN_NANOS / took).clamp(1, 1 << 24) as u32;
        }
        count *= 2;
    }
}
