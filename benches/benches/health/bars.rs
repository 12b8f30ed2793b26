//! What was measured, beside what is demanded.

use std::time::Duration;

/// Prints each figure with its bar. A figure that misses its bar is told, and fails nothing: the
/// machine may be busy.
#[derive(Default)]
pub(crate) struct Bars(());

impl Bars {
    pub(crate) fn at_least(&mut self, what: &str, figure: f64, bar: f64, unit: &str) {
        self.line(figure >= bar, &format!("{what}: {figure:.1} {unit}, at least {bar} {unit}"));
    }

    pub(crate) fn at_most(&mut self, what: &str, figure: f64, bar: f64, unit: &str) {
        self.line(figure <= bar, &format!("{what}: {figure:.3} {unit}, at most {bar} {unit}"));
    }

    fn line(&mut self, met: bool, text: &str) {
        println!("  {} {text}", if met { "met   " } else { "MISSED" });
    }
}

/// Many times of one kind.
#[derive(Default)]
pub(crate) struct Spread(Vec<Duration>);

impl Spread {
    pub(crate) fn push(&mut self, time: Duration) {
        self.0.push(time);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// In milliseconds: the value that `share` of all are at or below.
    pub(crate) fn quantile(&mut self, share: f64) -> f64 {
        self.0.sort_unstable();
        let place = (self.0.len().saturating_sub(1) as f64 * share).ceil() as usize;
        self.0.get(place).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
    }

    /// In milliseconds.
    pub(crate) fn mean(&self) -> f64 {
        self.0.iter().sum::<Duration>().as_secs_f64() * 1e3 / self.0.len() as f64
    }
}
