//! What this process took of the machine.

use std::fs;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// Measures time that passes, and the part of it that this process was running.
pub(crate) struct Meter {
    began: Instant,
    cpu: Duration,
}

impl Meter {
    pub(crate) fn start() -> Self {
        Self { began: Instant::now(), cpu: cpu() }
    }

    pub(crate) fn wall(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// Seconds of processor time, of user and system.
    pub(crate) fn cpu(&self) -> f64 {
        (cpu() - self.cpu).as_secs_f64()
    }
}

fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Bytes of memory that are there, not just promised.
pub(crate) fn resident() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a count");
    pages * 4096
}

/// Connections to `port` that are over, and still take a place in the system's table.
pub(crate) fn left_in_time_wait(port: u16) -> usize {
    let port = format!(":{port:04X}");
    let table = fs::read_to_string("/proc/net/tcp").expect("Linux");
    let over = |line: &&str| {
        let mut columns = line.split_whitespace().skip(1);
        let ends = [columns.next(), columns.next()];
        columns.next() == Some("06") && ends.iter().flatten().any(|end| end.ends_with(&port))
    };
    table.lines().filter(over).count()
}
