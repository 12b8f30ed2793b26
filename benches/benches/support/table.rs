//! What was measured, beside what is demanded.

use std::process::ExitCode;

use super::measure::Cost;

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

/// What is demanded, and what became of it. A time that is too long is told; anything else that is
/// not as it must be fails the run.
#[derive(Default)]
pub(crate) struct Bars {
    lines: Vec<String>,
    failures: Vec<String>,
}

impl Bars {
    /// What the bars from here on are of.
    pub(crate) fn of(&mut self, what: impl Into<String>) {
        self.lines.push(what.into());
    }

    /// The median of `name` is no more than so many nanoseconds.
    pub(crate) fn at_most(&mut self, costs: &[Cost], name: &str, bar: f64) {
        let median = find(costs, name).median;
        self.judge(median <= bar, format!("{name}: {median:.1} ns, at most {bar} ns"));
    }

    /// `peer` takes at least `bar` times as long as `ours`.
    pub(crate) fn faster(&mut self, costs: &[Cost], ours: &str, peer: &str, bar: f64) {
        let ratio = find(costs, peer).median / find(costs, ours).median;
        self.judge(ratio >= bar, format!("{ours}: {peer} takes {ratio:.1} x, at least {bar} x"));
    }

    pub(crate) fn judge(&mut self, met: bool, bar: impl Into<String>) {
        self.lines.push(format!("  {} {}", if met { "met   " } else { "MISSED" }, bar.into()));
    }

    /// What must hold wherever the bench runs.
    pub(crate) fn require(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            self.failures.push(otherwise());
        }
    }

    /// None of ours allocates.
    pub(crate) fn no_allocations(&mut self, costs: &[Cost]) {
        for cost in costs.iter().filter(|cost| cost.against.is_empty()) {
            self.require(cost.allocations == 0.0, || format!("{} allocates", cost.name));
        }
    }

    /// Says all that, and what `required` came to.
    pub(crate) fn verdict(mut self, required: &str) -> ExitCode {
        let failed = self.failures.join("; ");
        self.judge(failed.is_empty(), if failed.is_empty() { required } else { &failed });
        println!("\nbars");
        for line in &self.lines {
            println!("  {line}");
        }
        if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
