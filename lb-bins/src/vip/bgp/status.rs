//! What announcements are like now.

use serde::Serialize;

use super::Announcement;
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
    pub(super) fn of(announcement: &Announcement) -> Self {
        let report = announcement.report.borrow();
        Self {
            name: announcement.config.name.clone(),
            speaker: announcement.config.speaker.name(),
            state: match report.state {
                State::Announced => "ANNOUNCED",
                State::Unknown => "UNKNOWN",
                State::Withdrawn => "WITHDRAWN",
            },
            state_seconds: report.since.elapsed().as_secs(),
            wanted: announcement.wanted.borrow().announce,
            leaving: announcement.held > 0,
            error: report.error.clone(),
            failures_total: report.failures,
        }
    }
}
