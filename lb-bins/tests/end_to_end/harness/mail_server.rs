//! A mail server of the tests' own.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::Backend;

/// A mail that was taken.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    pub(crate) helo: String,
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    pub(crate) text: String,
}

/// Takes mail, except from the first connections, with which it does something else; and except
/// for who does not exist.
pub(crate) struct MailServer {
    server: Backend,
    taken: Arc<Mutex<Vec<Letter>>>,
    visits: Arc<AtomicUsize>,
}

/// What becomes of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mood {
    /// It gets no word.
    Hang,
    /// It is told to come back.
    Busy,
}

impl MailServer {
    pub(crate) fn friendly() -> Self {
        Self::moody(&[])
    }

    /// One that receives its first guests like this.
    pub(crate) fn moody(moods: &'static [Mood]) -> Self {
        let taken = Arc::<Mutex<Vec<Letter>>>::default();
        let visits = Arc::<AtomicUsize>::default();
        let (letters, number) = (Arc::clone(&taken), Arc::clone(&visits));
        let server = Backend::serving(move |stream| {
            let mood = moods.get(number.fetch_add(1, Ordering::SeqCst)).copied();
            let letters = Arc::clone(&letters);
            async move {
                let _ = receive(stream, mood, &letters).await;
            }
        });
        Self { server, taken, visits }
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.server.address()
    }

    pub(crate) fn server(&mut self) -> &mut Backend {
        &mut self.server
    }

    pub(crate) fn visits(&self) -> usize {
        self.visits.load(Ordering::SeqCst)
    }

    pub(crate) fn letters(&self) -> Vec<Letter> {
        self.taken.lock().unwrap().clone()
    }
}

/// RFC 5321, as far as it goes.
async fn receive(
    mut stream: TcpStream,
    mood: Option<Mood>,
    letters: &Mutex<Vec<Letter>>,
) -> std::io::Result<()> {
    let (reader, mut writer) = stream.split();
    let mut lines = BufReader::new(reader).lines();
    match mood {
        Some(Mood::Hang) => return std::future::pending().await,
        Some(Mood::Busy) => return writer.write_all(b"421 come back later\r\n").await,
        None => writer.write_all(b"220 test ESMTP\r\n").await?,
    }
    let mut letter =
        Letter { helo: String::new(), from: String::new(), to: vec![], text: String::new() };
    while let Some(line) = lines.next_line().await? {
        let (verb, rest) = line.split_once([' ', ':']).unwrap_or((&line, ""));
        let answer = match verb {
            "EHLO" => {
                letter.helo = rest.to_owned();
                "250 test"
            }
            "MAIL" => {
                letter.from = rest.to_owned();
                "250 go on"
            }
            "RCPT" if rest.contains("nobody@") => "550 there is no such user",
            "RCPT" => {
                letter.to.push(rest.to_owned());
                "250 go on"
            }
            "DATA" => {
                writer.write_all(b"354 go on\r\n").await?;
                while let Some(line) = lines.next_line().await?.filter(|line| line != ".") {
                    letter.text += &line;
                    letter.text += "\n";
                }
                letters.lock().unwrap().push(letter.clone());
                "250 taken"
            }
            "QUIT" => "221 bye",
            _ => "500 what?",
        };
        writer.write_all(format!("{answer}\r\n").as_bytes()).await?;
    }
    Ok(())
}
