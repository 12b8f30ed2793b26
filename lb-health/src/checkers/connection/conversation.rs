//! Requests and answers over a stream, as SMTP, Redis, MySQL and their like have them.

use std::error::Error;
#[cfg(feature = "tls")]
use std::mem;
use std::net::IpAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::attempt::Attempt;
use super::stream::Stream;
use crate::checkers::tcp::{First, Tcp};
use crate::trace::{Excerpt, Phase};
use crate::{CheckError, Failure, Report, Target};

/// A talk with a target that has one deadline and bounded answers, and keeps the evidence.
///
/// The connection is reset when this is dropped; a protocol whose servers hold that against a
/// client says its farewell and calls [`close`](Self::close).
#[derive(Debug)]
pub(in crate::checkers) struct Conversation {
    attempt: Attempt,
    stream: Stream,
    /// What was received and not yet used.
    buffer: Vec<u8>,
    /// How the last answer begins: the one that decides.
    heard: Vec<u8>,
}

impl Conversation {
    /// The most bytes of one answer: more than any healthy server says to a check.
    pub(in crate::checkers) const LIMIT: usize = 64 * 1024;
    /// How long a target may take to hang up that was told farewell.
    const FAREWELL: Duration = Duration::from_millis(100);
    /// How often it may say something more before that.
    const LAST_WORDS: u32 = 64;

    /// Connects, has the talk, and tells how it went.
    pub(in crate::checkers) async fn hold<F>(
        connector: &Tcp,
        target: Target,
        talk: F,
    ) -> Result<Report, Failure>
    where
        F: AsyncFnOnce(&mut Self) -> Result<(), CheckError>,
    {
        let mut attempt = Attempt::begin(target);
        let stream = match connector.connect(&mut attempt, target.address, First::They).await {
            Ok(stream) => Stream::Plain(stream),
            Err(error) => return attempt.finish(Err(error)),
        };
        let mut conversation = Self { attempt, stream, buffer: Vec::new(), heard: Vec::new() };
        let result = talk(&mut conversation).await;
        let Self { mut attempt, heard, .. } = conversation;
        if !heard.is_empty() {
            // A checker of a protocol that is not for reading has kept what it could read out of it.
            attempt.trace.evidence_mut().received(heard);
        }
        attempt.finish(result)
    }

    /// What the run is known by.
    pub(in crate::checkers) fn attempt(&mut self) -> &mut Attempt {
        &mut self.attempt
    }

    /// The address that this host has in the connection.
    pub(in crate::checkers) fn source(&self) -> Result<IpAddr, CheckError> {
        let source = self.stream.tcp().and_then(TcpStream::local_addr);
        source.map(|source| source.ip()).map_err(|error| CheckError::from_io(Phase::Write, error))
    }

    /// Goes on over TLS: at once, or after the protocol's STARTTLS.
    ///
    /// What the target sent in clear after that would be taken for its secured words, so there must
    /// be nothing (the attack of CVE-2011-0411).
    #[cfg(feature = "tls")]
    pub(in crate::checkers) async fn encrypt(
        &mut self,
        tls: &super::tls::Tls,
        target: Target,
    ) -> Result<(), CheckError> {
        if !self.buffer.is_empty() {
            return Err(CheckError::protocol("the server went on in clear after STARTTLS"));
        }
        if let Stream::Plain(plain) = mem::replace(&mut self.stream, Stream::Gone) {
            let secured = tls.handshake(&mut self.attempt, plain, target).await?;
            self.stream = Stream::Tls(Box::new(secured));
        }
        Ok(())
    }

    /// Sends all of `bytes`. What is received from now on is the answer to it.
    pub(in crate::checkers) async fn send(&mut self, bytes: &[u8]) -> Result<(), CheckError> {
        let Self { attempt, stream, heard, .. } = self;
        heard.clear();
        let sending = async {
            stream.write_all(bytes).await?;
            stream.flush().await
        };
        attempt.step(Phase::Write, sending).await
    }

    /// Waits for more to be received; answers all that is not used yet.
    ///
    /// # Errors
    /// [`CheckError::Closed`] at the end of the stream, [`CheckError::Truncated`] if something is
    /// not used yet; [`CheckError::Protocol`] above [`Self::LIMIT`].
    pub(in crate::checkers) async fn receive(&mut self) -> Result<&[u8], CheckError> {
        if self.buffer.len() >= Self::LIMIT {
            let text = format!("the answer is longer than {} bytes", Self::LIMIT);
            return Err(CheckError::protocol(text));
        }
        let Self { attempt, stream, buffer, heard } = self;
        let mut chunk = [0; 4096];
        let count = match attempt.step(Phase::Response, stream.read(&mut chunk)).await {
            // The end of the stream; over TLS, without the farewell that TLS has for it.
            Ok(0) | Err(CheckError::Closed) => return Err(closed_after(buffer.len())),
            result => result?,
        };
        let chunk = &chunk[..count];
        heard.extend_from_slice(&chunk[..count.min(Excerpt::LIMIT - heard.len())]);
        buffer.extend_from_slice(chunk);
        Ok(buffer)
    }

    /// What was received and not used yet.
    pub(in crate::checkers) fn received(&self) -> &[u8] {
        &self.buffer
    }

    /// Takes the next message: `parse` answers it with its length in bytes, or `None` as long as it
    /// has not all arrived.
    pub(in crate::checkers) async fn message<T, E>(
        &mut self,
        mut parse: impl FnMut(&[u8]) -> Result<Option<(T, usize)>, E>,
    ) -> Result<T, CheckError>
    where
        E: Error + Send + Sync + 'static,
    {
        loop {
            if let Some((message, count)) = parse(&self.buffer).map_err(CheckError::protocol)? {
                self.buffer.drain(..count);
                return Ok(message);
            }
            self.receive().await?;
        }
    }

    /// Takes the next line, without its end.
    pub(in crate::checkers) async fn line(&mut self) -> Result<Vec<u8>, CheckError> {
        let mut searched = 0;
        loop {
            if let Some(end) = self.buffer[searched..].iter().position(|&byte| byte == b'\n') {
                let mut line = self.take(searched + end + 1);
                line.pop();
                line.pop_if(|byte| *byte == b'\r');
                return Ok(line);
            }
            searched = self.buffer.len();
            self.receive().await?;
        }
    }

    /// Takes the next `count` bytes of what was received; all of it if that is less.
    pub(in crate::checkers) fn take(&mut self, count: usize) -> Vec<u8> {
        self.buffer.drain(..count.min(self.buffer.len())).collect()
    }

    /// Says farewell, and waits for the target to hang up, but not for long.
    ///
    /// Whoever hangs up first holds the connection in `TIME_WAIT` for a minute (RFC 9293, 3.6), so that
    /// must not be who checks ten thousand targets. Once the target has, it is reset out of that state.
    pub(in crate::checkers) async fn close(&mut self, farewell: &[u8]) {
        let Self { attempt, stream, .. } = self;
        let ending = async {
            stream.write_all(farewell).await?;
            stream.end_session();
            stream.flush().await?;
            let mut rest = [0; 1024];
            for _ in 0..Self::LAST_WORDS {
                if stream.read(&mut rest).await? == 0 {
                    break;
                }
            }
            Ok::<_, std::io::Error>(())
        };
        // What was learned stands, whether the target hears this or not; and it took no phase's time.
        let _ = timeout(Self::FAREWELL, attempt.step(Phase::Whole, ending)).await;
    }
}

/// The connection ended with this much of an answer.
const fn closed_after(received: usize) -> CheckError {
    match received {
        0 => CheckError::Closed,
        received => CheckError::Truncated { received },
    }
}
