//! What the demo shows.

use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal, Write as _, stdout};
use std::time::Duration;

use super::Scene;

/// The terminal, redrawn in place; or a log, if the output is not one.
#[derive(Debug)]
pub(super) struct Screen {
    is_terminal: bool,
    lines: usize,
}

impl Screen {
    pub(super) fn new() -> Self {
        Self { is_terminal: stdout().is_terminal(), lines: 0 }
    }

    /// How often to draw: a log need not scroll as fast as a picture moves.
    pub(super) const fn pace(&self) -> Duration {
        Duration::from_millis(if self.is_terminal { 250 } else { 1000 })
    }

    pub(super) fn draw(&mut self, scene: &Scene<'_>) -> io::Result<()> {
        let mut text = String::new();
        // A string takes everything.
        let _ = if self.is_terminal { table(&mut text, scene) } else { summary(&mut text, scene) };
        let mut out = stdout().lock();
        if self.is_terminal && self.lines > 0 {
            // Back to the first line of the last drawing (ECMA-48: CPL).
            write!(out, "\x1b[{}F", self.lines)?;
        }
        self.lines = text.lines().count();
        for line in text.lines() {
            let clear = if self.is_terminal { "\x1b[K" } else { "" };
            writeln!(out, "{line}{clear}")?;
        }
        out.flush()
    }
}

fn table(text: &mut String, scene: &Scene<'_>) -> fmt::Result {
    let (green, red, dim, plain) = ("\x1b[32m", "\x1b[31m", "\x1b[2m", "\x1b[0m");
    writeln!(text, "A balancer and three backends in this process. Try it yourself:\n")?;
    writeln!(text, "    curl {}\n", scene.url)?;
    writeln!(
        text,
        "{dim}{:<3} {:<16} {:<8} {:>6} {:>5} {:>7}  {:<24}{plain}",
        "", "backend", "state", "weight", "open", "served", "share since the last change"
    )?;
    let total: u64 = scene.rows().map(|row| row.recent).sum();
    for row in scene.rows() {
        let colour = if row.report.state == "up" { green } else { red };
        let share = (row.recent * 100).checked_div(total).unwrap_or(0);
        writeln!(
            text,
            "{:<3} {:<16} {colour}{:<8}{plain} {:>6} {:>5} {:>7}  {:<20} {share:>3} %",
            row.name,
            row.report.address.to_string(),
            row.report.state,
            row.configured_weight,
            row.report.active_connections,
            row.report.connections_total,
            "█".repeat((share / 5) as usize),
        )?;
    }
    let visits = scene.visits;
    writeln!(text)?;
    writeln!(text, "visitors answered: {}   failed: {}", visits.answered, visits.failed)?;
    writeln!(text, "{}", scene.news)?;
    writeln!(text, "{dim}Ctrl-C ends it.{plain}")
}

fn summary(text: &mut String, scene: &Scene<'_>) -> fmt::Result {
    write!(text, "curl {}  ", scene.url)?;
    for row in scene.rows() {
        let (state, served) = (row.report.state, row.report.connections_total);
        write!(text, "{}: {state}, {served} served  ", row.name)?;
    }
    let visits = scene.visits;
    writeln!(text, "answered {}, failed {}  ({})", visits.answered, visits.failed, scene.news)
}
