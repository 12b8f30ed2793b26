//! Whoever else in this process wants to know what a balancer finds out.

use std::collections::HashMap;

use tokio::sync::{mpsc, watch};
use tracing::warn;

use super::News;

/// What each virtual server lacks of its quorum, by name: `None` if it has it. Those of which nothing is known
/// yet are missing.
pub type Quorums = HashMap<String, Option<Shortfall>>;

/// What lives behind a virtual server that has lost its quorum.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Shortfall {
    /// How many backends are alive with a weight above 0.
    pub alive: usize,
    /// How many backends are configured and not in maintenance.
    pub configured: usize,
}

/// Where it is told.
#[derive(Clone, Debug)]
pub struct Observer {
    /// News, for whoever has the pipe and the mail.
    pub news: mpsc::Sender<News>,
    /// Quorums.
    pub quorums: watch::Sender<Quorums>,
}

impl Observer {
    /// Tells a change. Never waits.
    pub(crate) fn tell(&self, news: News) {
        if let Err(lost) = self.news.try_send(news) {
            warn!("not told: {}", lost.into_inner().what);
        }
    }
}
