//! A steady stream of visitors, so that there is something to see.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::{interval, timeout};

const BETWEEN_VISITS: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(5);

/// What became of the visitors so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Visits {
    pub(super) answered: u64,
    pub(super) failed: u64,
}

/// The stream, as long as this lives.
#[derive(Debug)]
pub(super) struct Visitors {
    counts: Arc<Counts>,
    stream: AbortHandle,
}

#[derive(Debug, Default)]
struct Counts {
    answered: AtomicU64,
    failed: AtomicU64,
}

impl Visitors {
    pub(super) fn start(address: SocketAddr) -> Self {
        let counts = Arc::<Counts>::default();
        let stream = tokio::spawn({
            let counts = Arc::clone(&counts);
            async move {
                let mut ticks = interval(BETWEEN_VISITS);
                loop {
                    ticks.tick().await;
                    let counts = Arc::clone(&counts);
                    tokio::spawn(async move {
                        let answered = timeout(PATIENCE, visit(address)).await;
                        let count = if matches!(answered, Ok(Ok(true))) {
                            &counts.answered
                        } else {
                            &counts.failed
                        };
                        count.fetch_add(1, Ordering::Relaxed);
                    });
                }
            }
        });
        Self { counts, stream: stream.abort_handle() }
    }

    pub(super) fn visits(&self) -> Visits {
        Visits {
            answered: self.counts.answered.load(Ordering::Relaxed),
            failed: self.counts.failed.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Visitors {
    fn drop(&mut self) {
        self.stream.abort();
    }
}

/// One request; whether it was answered.
async fn visit(address: SocketAddr) -> io::Result<bool> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer.starts_with(b"HTTP/1.1 200"))
}
