//! Backends of the tests' own, to be killed, revived and told to misbehave.

use std::future::{Future, pending};
use std::net::{SocketAddr, TcpStream as StdTcpStream};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc as std_mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::mpsc;

use super::Port;

type Serving = Pin<Box<dyn Future<Output = ()> + Send>>;
type Serve = Arc<dyn Fn(TcpStream) -> Serving + Send + Sync>;

/// A server on a thread of its own. Its port stays its own while it is dead.
pub(crate) struct Backend {
    port: Port,
    serve: Serve,
    requests: Arc<AtomicU64>,
    server: Option<Server>,
}

struct Server {
    orders: mpsc::UnboundedSender<Order>,
    thread: JoinHandle<()>,
}

enum Order {
    Refuse { done: std_mpsc::Sender<()> },
    Die,
}

impl Backend {
    /// Answers each line with its own address.
    pub(crate) fn greeter() -> Self {
        Self::greeter_on(Port::free())
    }

    pub(crate) fn greeter_on(port: Port) -> Self {
        let name = format!("{port}\n");
        let requests = Arc::<AtomicU64>::default();
        let count = Arc::clone(&requests);
        let mut backend =
            Self::on(port, move |stream| greet(stream, name.clone(), Arc::clone(&count)));
        backend.requests = requests;
        backend
    }

    /// Sends everything back.
    pub(crate) fn echo() -> Self {
        Self::serving(|mut stream| async move {
            let (mut reader, mut writer) = stream.split();
            if tokio::io::copy(&mut reader, &mut writer).await.is_ok() {
                let _ = writer.shutdown().await;
            }
        })
    }

    /// Accepts, and never says a word.
    pub(crate) fn silent() -> Self {
        Self::serving(|stream| async move {
            let _kept = stream;
            pending::<()>().await;
        })
    }

    /// Answers one HTTP request per connection: `page` makes an answer of its head.
    pub(crate) fn http(page: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        let page = Arc::new(page);
        Self::serving(move |mut stream| {
            let page = Arc::clone(&page);
            async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read_u8().await {
                        Ok(byte) => head.push(byte),
                        Err(_) => return,
                    }
                }
                let answer = page(&String::from_utf8_lossy(&head));
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        })
    }

    /// Does as it is told with each connection.
    pub(crate) fn serving<F>(serve: impl Fn(TcpStream) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self::on(Port::free(), serve)
    }

    fn on<F>(port: Port, serve: impl Fn(TcpStream) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let serve: Serve = Arc::new(move |stream| Box::pin(serve(stream)));
        let mut backend = Self { port, serve, requests: Arc::default(), server: None };
        backend.revive();
        backend
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// As it calls itself when asked.
    pub(crate) fn name(&self) -> String {
        self.address().to_string()
    }

    /// How many lines it has answered.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }

    /// Like a crash: when this returns, connections are refused and those that were open are reset
    /// or closed.
    pub(crate) fn kill(&mut self) {
        if let Some(Server { orders, thread }) = self.server.take() {
            let _ = orders.send(Order::Die);
            thread.join().unwrap();
        }
    }

    /// When this returns, connections are refused; those that are open go on.
    pub(crate) fn refuse(&mut self) {
        if let Some(server) = &self.server {
            let (done, refusing) = std_mpsc::channel();
            assert!(server.orders.send(Order::Refuse { done }).is_ok());
            refusing.recv().unwrap();
        }
    }

    /// Listens again, on the same port.
    pub(crate) fn revive(&mut self) {
        self.kill();
        let listener = self.port.listen(1024).unwrap();
        listener.set_nonblocking(true).unwrap();
        let (orders, ordered) = mpsc::unbounded_channel();
        let serve = Arc::clone(&self.serve);
        let thread = thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            // Dropped at the end, and with it every connection.
            runtime.block_on(run(listener, serve, ordered));
        });
        self.server = Some(Server { orders, thread });
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn run(
    listener: std::net::TcpListener,
    serve: Serve,
    mut orders: mpsc::UnboundedReceiver<Order>,
) {
    let mut listener = Some(TcpListener::from_std(listener).unwrap());
    loop {
        let accept = async {
            match &listener {
                Some(listener) => listener.accept().await,
                None => pending().await,
            }
        };
        tokio::select! {
            accepted = accept => if let Ok((stream, _)) = accepted {
                tokio::spawn(serve(stream));
            },
            order = orders.recv() => match order {
                Some(Order::Refuse { done }) => {
                    listener = None;
                    let _ = done.send(());
                }
                Some(Order::Die) | None => return,
            },
        }
    }
}

async fn greet(stream: TcpStream, name: String, count: Arc<AtomicU64>) {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    while matches!(stream.read_line(&mut line).await, Ok(1..)) {
        count.fetch_add(1, Ordering::SeqCst);
        line.clear();
        if stream.write_all(name.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// A port whose queue is full and that never accepts: attempts to connect go unanswered.
pub(crate) struct BlackHole {
    port: Port,
    _listener: std::net::TcpListener,
    _queued: Mutex<Vec<StdTcpStream>>,
}

impl BlackHole {
    pub(crate) fn new() -> Self {
        let port = Port::free();
        let listener = port.listen(0).unwrap();
        let mut queued = Vec::new();
        // The length of the queue is the system's business: until it does not answer any more.
        let timeout = Duration::from_millis(300);
        while let Ok(stream) = StdTcpStream::connect_timeout(&port.address(), timeout) {
            queued.push(stream);
        }
        Self { port, _listener: listener, _queued: Mutex::new(queued) }
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.port.address()
    }
}
