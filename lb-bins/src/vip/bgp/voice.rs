//! A daemon that speaks BGP, whichever it is.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex as Turn;
use tokio::time::timeout;

use super::bird::Bird;
use super::exabgp::ExaBgp;
use crate::config::Speaker;

/// A speaker that has not done what it was told by then hangs.
pub(super) const ANSWER: Duration = Duration::from_secs(2);

/// Why a speaker does not do what it is told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum SpeakerError {
    /// It does not run, or we may not talk to it.
    #[error("{}: {source}{}", path.display(), if source.kind() == io::ErrorKind::PermissionDenied {
        ": vip-keeper must be of its group"
    } else {
        ""
    })]
    Connect { path: PathBuf, source: io::Error },
    /// It went away in the middle.
    #[error("it hung up: {0}")]
    Gone(#[from] io::Error),
    /// It says no.
    #[error("it was told `{told}`, and says `{said}`")]
    Refused { told: String, said: String },
    /// It says nothing.
    #[error("no answer in {} s{hint}", ANSWER.as_secs())]
    Silent { hint: &'static str },
}

/// Several may talk through one pipe, but not at once: nobody would know whose an answer is.
#[derive(Clone, Debug, Default)]
pub(super) struct Turns(Arc<Mutex<HashMap<PathBuf, Arc<Turn<()>>>>>);

impl Turns {
    pub(super) fn at(&self, path: &Path) -> Arc<Turn<()>> {
        // Nothing can be left half-done in there.
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(turns.entry(path.to_owned()).or_default())
    }
}

/// What talks to it.
#[derive(Debug)]
pub(super) enum Voice {
    Bird(Bird),
    ExaBgp(ExaBgp),
}

impl Voice {
    pub(super) fn of(speaker: &Speaker, turns: &Turns) -> Self {
        match speaker.clone() {
            Speaker::Bird { socket, protocol } => Self::Bird(Bird::new(socket, protocol)),
            Speaker::ExaBgp { pipe, addresses, next_hop, med, communities } => {
                let turn = turns.at(&pipe);
                let routes = addresses.into_iter();
                let routes = routes.map(|to| exabgp_route(&to.to_string(), next_hop));
                let attributes = attributes(med, &communities);
                Self::ExaBgp(ExaBgp::new(pipe, routes.collect(), attributes, turn))
            }
        }
    }

    /// Has it announce, or not announce, and waits until it says so. Done again, it changes nothing.
    ///
    /// # Errors
    /// [`SpeakerError`]; then the next attempt begins from the beginning.
    pub(super) async fn set(&mut self, announce: bool) -> Result<(), SpeakerError> {
        let (done, hint) = match self {
            Self::Bird(bird) => (timeout(ANSWER, bird.set(announce)).await, ""),
            Self::ExaBgp(exabgp) => {
                let hint = ": it answers if exabgp.api.ack is true";
                (timeout(ANSWER, exabgp.set(announce)).await, hint)
            }
        };
        let done = done.unwrap_or(Err(SpeakerError::Silent { hint }));
        if done.is_err() {
            self.hang_up();
        }
        done
    }

    /// Resolves when it goes away; never if it is not known whether it is there.
    pub(super) async fn gone(&mut self) {
        match self {
            Self::Bird(bird) => bird.gone().await,
            Self::ExaBgp(exabgp) => exabgp.gone().await,
        }
        self.hang_up();
    }

    fn hang_up(&mut self) {
        match self {
            Self::Bird(bird) => bird.hang_up(),
            Self::ExaBgp(exabgp) => exabgp.hang_up(),
        }
    }

    /// What it says that `other` does not, withdrawn: `None` if there is nothing.
    pub(super) fn without(self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Bird(ours), Self::Bird(theirs)) if ours.is_as(theirs) => None,
            (Self::ExaBgp(ours), Self::ExaBgp(theirs)) => ours.without(theirs).map(Self::ExaBgp),
            (ours, _) => Some(ours),
        }
    }
}

fn exabgp_route(to: &str, next_hop: Option<std::net::IpAddr>) -> String {
    let next_hop = next_hop.map_or("self".to_owned(), |address| address.to_string());
    format!("{to} next-hop {next_hop}")
}

fn attributes(med: Option<u32>, communities: &[String]) -> String {
    let mut attributes = String::new();
    if let Some(med) = med {
        attributes += &format!(" med {med}");
    }
    if !communities.is_empty() {
        attributes += &format!(" community [{}]", communities.join(" "));
    }
    attributes
}
