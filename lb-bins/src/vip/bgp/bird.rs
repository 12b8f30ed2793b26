//! BIRD 2 through its control socket: one of its protocols, which has the routes, is enabled and
//! disabled.
//!
//! It is what `birdc` speaks: a line is asked; the lines of the answer have a code of four digits, and
//! after it a blank if it is the last one and `-` if not (BIRD's `doc/reply_codes`). Codes from 8000 on
//! are refusals.

use std::io;
use std::path::PathBuf;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;

use super::voice::SpeakerError;

/// More than any answer to what is asked here.
const LONGEST_ANSWER: usize = 64;

/// One protocol of a BIRD.
#[derive(Debug)]
pub(super) struct Bird {
    socket: PathBuf,
    protocol: String,
    stream: Option<BufReader<UnixStream>>,
}

impl Bird {
    pub(super) const fn new(socket: PathBuf, protocol: String) -> Self {
        Self { socket, protocol, stream: None }
    }

    pub(super) fn is_as(&self, other: &Self) -> bool {
        (&self.socket, &self.protocol) == (&other.socket, &other.protocol)
    }

    /// Whatever state it is in: it says if it is in that state already.
    pub(super) async fn set(&mut self, announce: bool) -> Result<(), SpeakerError> {
        let (word, codes) = match announce {
            true => ("enable", ["0010", "0011"]),
            false => ("disable", ["0008", "0009"]),
        };
        // In quotes: a name that it does not know is then no mistake in the syntax.
        let told = format!("{word} \"{}\"", self.protocol);
        let stream = self.connect().await?;
        stream.get_mut().write_all(format!("{told}\n").as_bytes()).await?;
        let said = answer(stream).await?;
        if said.iter().any(|line| codes.iter().any(|code| line.starts_with(code))) {
            return Ok(());
        }
        Err(SpeakerError::Refused { told, said: said.join("; ") })
    }

    async fn connect(&mut self) -> Result<&mut BufReader<UnixStream>, SpeakerError> {
        if self.stream.is_none() {
            let connected = UnixStream::connect(&self.socket).await;
            let path = || self.socket.clone();
            let stream =
                connected.map_err(|source| SpeakerError::Connect { path: path(), source })?;
            let mut stream = BufReader::new(stream);
            let greeting = answer(&mut stream).await?.concat();
            if !greeting.starts_with("0001") {
                let told = "(nothing)".to_owned();
                return Err(SpeakerError::Refused { told, said: greeting });
            }
            self.stream = Some(stream);
        }
        self.stream.as_mut().ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected).into())
    }

    /// It says nothing without being asked: whatever can be read is its end.
    pub(super) async fn gone(&mut self) {
        match &mut self.stream {
            Some(stream) => drop(stream.fill_buf().await),
            None => std::future::pending().await,
        }
    }

    pub(super) fn hang_up(&mut self) {
        self.stream = None;
    }
}

/// The lines of one answer.
async fn answer(stream: &mut BufReader<UnixStream>) -> Result<Vec<String>, SpeakerError> {
    let mut lines = Vec::new();
    while lines.len() < LONGEST_ANSWER {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        let line = line.trim_end_matches('\n').to_owned();
        let is_last = is_last(&line);
        lines.push(line);
        if is_last {
            return Ok(lines);
        }
    }
    Err(io::Error::from(io::ErrorKind::InvalidData).into())
}

/// Lines that go on are indented, and what is not an answer begins with `+`.
fn is_last(line: &str) -> bool {
    let code = line.as_bytes().get(..5);
    code.is_some_and(|code| code[..4].iter().all(u8::is_ascii_digit) && code[4] == b' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_with_the_line_that_has_a_blank_after_its_code() {
        for last in ["0000 ", "0001 BIRD 2.0.12 ready.", "8003 No protocols match"] {
            assert!(is_last(last), "{last}");
        }
        for other in ["0011-vip_web: enabled", " and more", "+0000 said by itself", "", "0000"] {
            assert!(!is_last(other), "{other}");
        }
    }
}
