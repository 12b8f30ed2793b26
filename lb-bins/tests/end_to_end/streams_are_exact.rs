//! Every byte, every end and every reset arrives at the other side.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream as BackendStream;

use crate::harness::*;

const MEGABYTE: usize = 1_000_000;

fn start(backend: &Backend) -> (Balancer, Port) {
    let web = Port::free();
    let balancer = Balancer::start(&server("web", &web, &[UNCHECKED, &backends([(backend, 1)])]));
    (balancer, web)
}

/// A backend that hands what it sees to the test.
fn telling<T, F>(
    serve: impl Fn(BackendStream) -> F + Send + Sync + 'static,
) -> (Backend, mpsc::Receiver<T>)
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let (tell, told) = mpsc::channel();
    let backend = Backend::serving(move |stream| {
        let (tell, seen) = (tell.clone(), serve(stream));
        async move {
            let _ = tell.send(seen.await);
        }
    });
    (backend, told)
}

/// Bytes that never repeat at the same place of any buffer, and that tell where they belong.
struct Pattern {
    block: Vec<u8>,
    number: u64,
}

impl Pattern {
    /// A prime.
    const BLOCK: usize = 1_000_003;

    fn new(seed: u64) -> Self {
        let mut state = seed | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        };
        Self { block: (0..Self::BLOCK).map(|_| next()).collect(), number: 0 }
    }

    fn next(&mut self) -> &[u8] {
        self.block[..8].copy_from_slice(&self.number.to_be_bytes());
        self.number += 1;
        &self.block
    }
}

/// Reads so many blocks of a pattern and the end.
fn check(mut from: impl Read, seed: u64, blocks: usize) {
    let (mut pattern, mut received) = (Pattern::new(seed), vec![0; Pattern::BLOCK]);
    for number in 0..blocks {
        from.read_exact(&mut received).unwrap();
        assert!(received == pattern.next(), "block {number} is damaged");
    }
    assert_eq!(from.read(&mut received).unwrap(), 0, "more than was sent");
}

#[test]
fn two_hundred_megabytes_arrive_intact_both_ways_at_once() {
    const BLOCKS: usize = 200;
    let (backend, told) = telling(|stream: BackendStream| async move {
        let (mut reader, mut writer) = stream.into_split();
        let sending = tokio::spawn(async move {
            let mut pattern = Pattern::new(2);
            for _ in 0..BLOCKS {
                writer.write_all(pattern.next()).await.unwrap();
            }
            writer.shutdown().await.unwrap();
        });
        let (mut pattern, mut received) = (Pattern::new(1), vec![0; Pattern::BLOCK]);
        let mut intact = 0;
        for _ in 0..BLOCKS {
            reader.read_exact(&mut received).await.unwrap();
            intact += usize::from(received == pattern.next());
        }
        let end = reader.read(&mut received).await.unwrap();
        sending.await.unwrap();
        (intact, end)
    });
    let (balancer, web) = start(&backend);
    let stream = connect(web.address()).unwrap();
    let mut sender = stream.try_clone().unwrap();
    let sending = thread::spawn(move || {
        let mut pattern = Pattern::new(1);
        for _ in 0..BLOCKS {
            sender.write_all(pattern.next()).unwrap();
        }
        sender.shutdown(Shutdown::Write).unwrap();
    });
    check(&stream, 2, BLOCKS);
    sending.join().unwrap();
    assert_eq!(told.recv_timeout(PATIENCE).unwrap(), (BLOCKS, 0));
    balancer.until_bytes("web", &backend, BLOCKS * Pattern::BLOCK, BLOCKS * Pattern::BLOCK);
    balancer.until_idle("web");
}

#[test]
fn a_client_that_has_sent_its_end_is_still_answered() {
    // Answers only when it has seen the end.
    let backend = Backend::serving(|mut stream| async move {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        all.reverse();
        stream.write_all(&all).await.unwrap();
    });
    let (balancer, web) = start(&backend);
    let mut stream = connect(web.address()).unwrap();
    stream.write_all(b"live").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "evil");
    balancer.until_idle("web");
}

#[test]
fn a_backend_that_has_sent_its_end_still_listens() {
    let (backend, told) = telling(|mut stream: BackendStream| async move {
        stream.write_all(b"bye").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut all = String::new();
        stream.read_to_string(&mut all).await.unwrap();
        all
    });
    let (balancer, web) = start(&backend);
    let mut stream = connect(web.address()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "bye");
    stream.write_all(b"last words").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(told.recv_timeout(PATIENCE).unwrap(), "last words");
    balancer.until_idle("web");
}

/// Makes the close of a socket a reset.
fn reset(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
}

/// What the next read of a backend comes to, told to the test.
async fn next_read(mut stream: BackendStream) -> io::Result<usize> {
    stream.read(&mut [0; 64]).await
}

#[test]
fn a_reset_by_the_client_reaches_the_backend() {
    let (backend, told) = telling(|mut stream: BackendStream| async move {
        stream.write_all(b"hello").await.unwrap();
        next_read(stream).await
    });
    let (balancer, web) = start(&backend);
    let mut stream = connect(web.address()).unwrap();
    stream.read_exact(&mut [0; 5]).unwrap();
    reset(stream);
    let seen = told.recv_timeout(PATIENCE).unwrap();
    assert_eq!(seen.unwrap_err().kind(), ErrorKind::ConnectionReset);
    balancer.until_idle("web");
}

#[test]
fn a_reset_by_the_backend_reaches_the_client() {
    let backend = Backend::serving(|mut stream| async move {
        stream.read_u8().await.unwrap();
        SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    });
    let (balancer, web) = start(&backend);
    let mut stream = connect(web.address()).unwrap();
    stream.write_all(b"!").unwrap();
    let seen = stream.read(&mut [0; 64]);
    assert_eq!(seen.unwrap_err().kind(), ErrorKind::ConnectionReset);
    balancer.until_idle("web");
}

#[test]
fn what_a_backend_said_before_it_closed_arrives() {
    // As a web server that refuses an upload: it answers and closes with the upload unread, which
    // the kernel turns into a reset.
    let backend = Backend::serving(|mut stream| async move {
        stream.read_u8().await.unwrap();
        stream.write_all(b"no, thank you").await.unwrap();
    });
    let (_balancer, web) = start(&backend);
    for _ in 0..20 {
        let mut stream = connect(web.address()).unwrap();
        let mut upload = stream.try_clone().unwrap();
        let uploading = thread::spawn(move || while upload.write_all(&[0; 100_000]).is_ok() {});
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert_eq!(String::from_utf8(answer).unwrap(), "no, thank you");
        drop(stream);
        uploading.join().unwrap();
    }
}

#[test]
fn an_answer_that_breaks_off_does_not_look_whole() {
    // The client goes on speaking, so that either direction may be the first to learn of the reset.
    let backend = Backend::serving(|mut stream| async move {
        stream.read_u8().await.unwrap();
        stream.write_all(b"half of the ans").await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
        SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    });
    let (balancer, web) = start(&backend);
    for round in 0..200 {
        let mut stream = connect(web.address()).unwrap();
        stream.set_nonblocking(true).unwrap();
        let error = loop {
            let done = match stream.read(&mut [0; 64]) {
                Ok(0) => panic!("an end, after {round} rounds"),
                Err(error) if error.kind() == ErrorKind::WouldBlock => stream.write(b"more"),
                read => read,
            };
            match done {
                Err(error) if error.kind() != ErrorKind::WouldBlock => break error,
                _ => thread::yield_now(),
            }
        };
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "after {round} rounds");
    }
    balancer.until_idle("web");
}

#[test]
fn an_upload_that_breaks_off_does_not_look_whole() {
    // As above, with the backend speaking.
    let (backend, told) = telling(|stream: BackendStream| async move {
        loop {
            let done = match stream.try_read(&mut [0; 64]) {
                Ok(0) => return None,
                Err(error) if error.kind() == ErrorKind::WouldBlock => stream.try_write(b"more"),
                read => read,
            };
            match done {
                Err(error) if error.kind() != ErrorKind::WouldBlock => return Some(error.kind()),
                _ => tokio::task::yield_now().await,
            }
        }
    });
    let (balancer, web) = start(&backend);
    for round in 0..200 {
        let mut stream = connect(web.address()).unwrap();
        stream.write_all(b"half an uplo").unwrap();
        stream.read_exact(&mut [0; 4]).unwrap();
        thread::sleep(Duration::from_millis(1));
        reset(stream);
        let seen = told.recv_timeout(PATIENCE).unwrap();
        assert_eq!(seen, Some(ErrorKind::ConnectionReset), "after {round} rounds");
    }
    balancer.until_idle("web");
}

#[test]
fn a_client_that_vanishes_while_its_backend_is_slow_is_noticed() {
    // The backend never reads, so that nobody reads from the client either.
    let backend = Backend::silent();
    let (balancer, web) = start(&backend);
    let clients: Vec<_> = (0..10)
        .map(|_| {
            let mut stream = connect(web.address()).unwrap();
            stream.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
            while stream.write(&[0; 100_000]).is_ok() {}
            stream
        })
        .collect();
    clients.into_iter().for_each(reset);
    balancer.until_idle("web");
}

#[test]
fn a_reset_after_the_end_was_sent_reaches_the_other_side() {
    // The backend has seen the client's end and thinks about its answer when the client dies.
    let (backend, told) = telling(|mut stream: BackendStream| async move {
        assert_eq!(stream.read(&mut [0; 64]).await.unwrap(), 0);
        stream.write_all(b"wait").await.unwrap();
        // Nothing more can be read; a reset shows as an error of the socket.
        stream.ready(tokio::io::Interest::ERROR).await.unwrap();
        stream.take_error().unwrap().map(|error| error.kind())
    });
    let (balancer, web) = start(&backend);
    let mut stream = connect(web.address()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    stream.read_exact(&mut [0; 4]).unwrap();
    reset(stream);
    balancer.until_idle("web");
    let seen = told.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(seen, Some(ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)), "{seen:?}");
}

#[test]
fn many_small_messages_go_back_and_forth() {
    let backend = Backend::greeter();
    let (balancer, web) = start(&backend);
    let mut visitor = Visitor::enter(web.address());
    for _ in 0..10_000 {
        assert_eq!(visitor.who().unwrap(), backend.name());
    }
    let answer = backend.name().len() + 1;
    balancer.until_bytes("web", &backend, 10_000 * "who\n".len(), 10_000 * answer);
}

#[test]
fn a_mix_of_sizes_comes_back_as_it_was_sent() {
    let backend = Backend::echo();
    let (_balancer, web) = start(&backend);
    let mut stream = connect(web.address()).unwrap();
    let mut pattern = Pattern::new(7);
    // Between a trickle and a flood, so that the way of copying changes back and forth.
    for size in [1, 65_536, 3, 1_000_003, 4096, 65_535, 1, 1, 1_000_003, 2, 262_144, 9, 524_289] {
        let sent = pattern.next()[..size].to_vec();
        let mut writer = stream.try_clone().unwrap();
        let (copy, mut received) = (sent.clone(), vec![0; size]);
        let writing = thread::spawn(move || writer.write_all(&copy).unwrap());
        stream.read_exact(&mut received).unwrap();
        writing.join().unwrap();
        assert!(received == sent, "{size} bytes came back differently");
    }
}

#[test]
fn a_client_that_does_not_read_slows_the_backend_and_fills_no_memory() {
    const BLOCKS: usize = 100;
    let backend = Backend::serving(|mut stream| async move {
        let mut pattern = Pattern::new(3);
        for _ in 0..BLOCKS {
            stream.write_all(pattern.next()).await.unwrap();
        }
        stream.shutdown().await.unwrap();
        let _ = stream.read(&mut [0]).await;
    });
    let (balancer, web) = start(&backend);
    let before = balancer.resident_kilobytes();
    let mut stream = connect(web.address()).unwrap();
    stream.write_all(b"!").unwrap();
    let passed = || balancer.backend("web", backend.address())["bytes_out"].as_u64().unwrap();
    let (mut last, mut same) = (0, 0);
    until("nothing moves any more", || {
        let now = passed();
        same = if now == last && now > 0 { same + 1 } else { 0 };
        last = now;
        same == 100
    });
    assert!(last < (60 * MEGABYTE) as u64, "{last} bytes are on their way to nobody");
    let grown = balancer.resident_kilobytes().saturating_sub(before);
    assert!(grown < 20_000, "grown by {grown} kB");
    stream.shutdown(Shutdown::Write).unwrap();
    check(&stream, 3, BLOCKS);
    drop(stream);
    balancer.until_idle("web");
}

#[test]
fn pieces_that_do_not_fit_at_once_arrive_whole() {
    // Too small to be taken for a bulk transfer, until the client's side is full.
    const PIECES: usize = 400;
    const SIZE: usize = 30_000;
    let backend = Backend::serving(|mut stream| async move {
        let mut pattern = Pattern::new(5);
        for _ in 0..PIECES {
            stream.write_all(&pattern.next()[..SIZE]).await.unwrap();
            // So that they are read one by one.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    let (balancer, web) = start(&backend);
    let mut stream = connect(web.address()).unwrap();
    SockRef::from(&stream).set_recv_buffer_size(64 * 1024).unwrap();
    let passed = || balancer.backend("web", backend.address())["bytes_out"].as_u64().unwrap();
    let (mut last, mut same) = (0, 0);
    until("nothing moves any more", || {
        let now = passed();
        same = if now == last && now > 0 { same + 1 } else { 0 };
        last = now;
        same == 50
    });
    assert!(last < (PIECES * SIZE) as u64, "all of it fits: this shows nothing");
    let (mut pattern, mut received) = (Pattern::new(5), vec![0; SIZE]);
    for number in 0..PIECES {
        stream.read_exact(&mut received).unwrap();
        assert!(received == pattern.next()[..SIZE], "piece {number} is damaged");
    }
    assert_eq!(stream.read(&mut received).unwrap(), 0, "more than was sent");
}

#[test]
fn two_thousand_idle_connections_are_kept() {
    const CONNECTIONS: usize = 2_000;
    if !enough_descriptors(2 * CONNECTIONS as u64 + 500) {
        return;
    }
    let backend = Backend::greeter();
    let (balancer, web) = start(&backend);
    let before = balancer.resident_kilobytes();
    let mut visitors: Vec<_> = (0..CONNECTIONS).map(|_| Visitor::enter(web.address())).collect();
    let open = || balancer.server("web")["open_connections"].as_u64().unwrap();
    until("all are open", || open() == CONNECTIONS as u64);
    for visitor in &mut visitors {
        assert_eq!(visitor.who().unwrap(), backend.name());
    }
    let grown = balancer.resident_kilobytes().saturating_sub(before);
    assert!(grown < 64_000, "{CONNECTIONS} idle connections take {grown} kB");
    ask(web.address()).unwrap();
    drop(visitors);
    balancer.until_idle("web");
    until("descriptors are given back", || balancer.descriptors() < 200);
}
