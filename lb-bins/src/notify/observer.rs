//! Whoever else in this process wants to know what a balancer finds out.

use std::collections::HashMap;

use tokio::sync::{mpsc, watch};
use tracing::warn;

use super::News;

/// Whether each virtual server has its quorum, by name; those of which nothing is known yet are missing.
pub type Quorums = HashMap<String, bool>;

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
