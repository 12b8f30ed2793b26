//! What announcements are like now.

use serde::Serialize;

use super::Announcer;
use super::task::State;

/// One announcement.
#[derive(Clone, Debug, Serialize)]
pub struct AnnouncementStatus {
    /// Its name.
    pub name: String,
    /// `bird` or `exabgp`.
    pub speaker: &'static str,
    /// `ANNOUNCED`, `WITHDRAWN`, or `UNKNOWN` if the speaker does not answer.
    pub state: &'static str,
    /// For how long it has been that, in seconds.
    pub state_seconds: u64,
    /// Whether it should be announced.
    pub wanted: bool,
    /// Whether it is withdrawn because this host is about to give the addresses up.
    pub leaving: bool,
    /// Why the speaker does not do what it is told.
    pub error: Option<String>,
    /// How often it did not.
    pub failures_total: u64,
}

impl AnnouncementStatus {
    pub(super) fn of(announcer: &Announcer) -> Self {
        let report = announcer.report.borrow();
        Self {
            name: announcer.config.name.clone(),
            speaker: announcer.config.speaker.name(),
            state: match report.state {
                State::Announced => "ANNOUNCED",
                State::Unknown => "UNKNOWN",
                State::Withdrawn => "WITHDRAWN",
            },
            state_seconds: report.since.elapsed().as_secs(),
            wanted: announcer.wanted.borrow().announce,
            leaving: announcer.held > 0,
            error: report.error.clone(),
            failures_total: report.failures,
        }
    }
}
