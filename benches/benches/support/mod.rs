//! What the benches share: rounds that take turns, medians, and a count of allocations.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::{Duration, Instant};

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
    #[allow(dead_code, reason = "a publication has no peer")]
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

/// How often this thread asks the allocator for memory while `work` runs.
pub(crate) fn allocations_of(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

/// How many bytes this thread holds once `work` is done that it did not hold before, and what
/// `work` made.
#[allow(dead_code, reason = "a pick holds nothing")]
pub(crate) fn held_by<T>(work: impl FnOnce() -> T) -> (i64, T) {
    let before = HELD.get();
    let made = work();
    (HELD.get() - before, made)
}

/// Prints one line per contender; for a peer, how many times ours it takes.
pub(crate) fn print(title: &str, costs: &[Cost]) {
    println!("\n{title}");
    println!(
        "  {:<44} {:>10} {:>10} {:>7}  peer / ours, by median",
        "", "median ns", "min ns", "allocs"
    );
    for cost in costs {
        let ratios: Vec<String> = cost
            .against
            .iter()
            .map(|ours| format!("{:.1} x {ours}", cost.median / find(costs, ours).median))
            .collect();
        println!(
            "  {:<44} {:>10.1} {:>10.1} {:>7.2}  {}",
            cost.name,
            cost.median,
            cost.min,
            cost.allocations,
            ratios.join(", ")
        );
    }
}

/// The cost of the contender of this name.
pub(crate) fn find<'a>(costs: &'a [Cost], name: &str) -> &'a Cost {
    costs.iter().find(|cost| cost.name == name).expect("every name asked for is measured")
}

/// The system's allocator, counting per thread: cheap enough not to weigh on those who allocate.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static HELD: Cell<i64> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call is handed on unchanged; counting touches a constant-initialised thread-local
// without a destructor, which neither allocates nor outlives its thread.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        HELD.set(HELD.get() + layout.size() as i64);
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        HELD.set(HELD.get() - layout.size() as i64);
        // SAFETY: as above; the memory came from `System`.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        HELD.set(HELD.get() + size as i64 - layout.size() as i64);
        // SAFETY: as above.
        unsafe { System.realloc(memory, layout, size) }
    }
}
