//! ExaBGP 4 through its named pipes: it reads commands from the one that ends in `.in`, and answers
//! each with `done` or `error` in the one that ends in `.out`, as its own `exabgpcli` has it.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Interest};
use tokio::net::unix::pipe::{OpenOptions, Receiver, Sender};
use tokio::sync::Mutex;

use super::voice::SpeakerError;

/// Routes that an ExaBGP is told.
#[derive(Debug)]
pub(super) struct ExaBgp {
    commands: PathBuf,
    /// Each with its next hop.
    routes: Vec<String>,
    attributes: String,
    turn: Arc<Mutex<()>>,
    pipe: Option<Sender>,
}

impl ExaBgp {
    pub(super) const fn new(
        commands: PathBuf,
        routes: Vec<String>,
        attributes: String,
        turn: Arc<Mutex<()>>,
    ) -> Self {
        Self { commands, routes, attributes, turn, pipe: None }
    }

    /// Those routes of this that the other one does not replace; `None` if there are none.
    pub(super) fn without(mut self, other: &Self) -> Option<Self> {
        let to = |route: &str| route.split(' ').next().unwrap_or_default().to_owned();
        let replaced: Vec<_> = match self.commands == other.commands {
            true => other.routes.iter().map(|route| to(route)).collect(),
            false => Vec::new(),
        };
        self.routes.retain(|route| !replaced.contains(&to(route)));
        (!self.routes.is_empty()).then_some(self)
    }

    /// It sends nothing to its peers for what it announces, or does not announce, already.
    pub(super) async fn set(&mut self, announce: bool) -> Result<(), SpeakerError> {
        let turn = Arc::clone(&self.turn);
        let _turn = turn.lock().await;
        let answers = self.commands.with_extension("out");
        // For writing as well: it opens the pipe anew for every answer, and between two of them
        // there would be an end.
        let opened = OpenOptions::new().read_write(true).open_receiver(&answers);
        let path = answers.clone();
        let opened = opened.map_err(|source| SpeakerError::Connect { path, source })?;
        // What others did not wait for.
        while opened.try_read(&mut [0; 512]).is_ok_and(|length| length > 0) {}
        let mut answers = BufReader::new(opened);
        let Self { commands, routes, attributes, pipe, .. } = self;
        let pipe = match pipe {
            Some(pipe) => pipe,
            None => {
                // There is no such device (ENXIO) as long as nobody reads.
                let opened = OpenOptions::new().open_sender(&commands);
                let path = commands.clone();
                pipe.insert(opened.map_err(|source| SpeakerError::Connect { path, source })?)
            }
        };
        for route in routes {
            let told = match announce {
                true => format!("announce route {route}{attributes}"),
                false => format!("withdraw route {route}"),
            };
            pipe.write_all(format!("{told}\n").as_bytes()).await?;
            answer(&mut answers, told).await?;
        }
        Ok(())
    }

    pub(super) async fn gone(&mut self) {
        match &self.pipe {
            // The end of a pipe that nobody reads has an error.
            Some(pipe) => drop(pipe.ready(Interest::ERROR).await),
            None => std::future::pending().await,
        }
    }

    pub(super) fn hang_up(&mut self) {
        self.pipe = None;
    }
}

async fn answer(answers: &mut BufReader<Receiver>, told: String) -> Result<(), SpeakerError> {
    loop {
        let mut line = String::new();
        answers.read_line(&mut line).await?;
        match line.trim() {
            "done" => return Ok(()),
            said @ ("error" | "shutdown") => {
                return Err(SpeakerError::Refused { told, said: said.to_owned() });
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(pipe: &str, routes: &[&str]) -> ExaBgp {
        let routes = routes.iter().map(|route| format!("{route} next-hop self")).collect();
        ExaBgp::new(pipe.into(), routes, String::new(), Arc::default())
    }

    #[test]
    fn what_is_announced_otherwise_is_not_withdrawn() {
        let left = |old: ExaBgp, new: &ExaBgp| old.without(new).map(|left| left.routes);
        let new = routes("/a.in", &["192.0.2.2/32", "192.0.2.3/32"]);
        let old = || routes("/a.in", &["192.0.2.1/32", "192.0.2.2/32"]);
        assert_eq!(left(old(), &new), Some(vec!["192.0.2.1/32 next-hop self".to_owned()]));
        assert_eq!(left(routes("/a.in", &["192.0.2.3/32"]), &new), None);
        assert_eq!(left(routes("/b.in", &["192.0.2.3/32"]), &new).map(|left| left.len()), Some(1));
    }
}
