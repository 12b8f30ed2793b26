//! Targets that never let a run wait do not keep others, nor their own deadline, from their turn.
#![cfg(feature = "driver")]
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use lb_core::backend::BackendId;
use lb_health::monitor::Because;
use lb_health::{CheckError, CheckSpec, Checker, Driver, Event, Report, Target};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use tower::service_fn;

const FLOODED: BackendId = BackendId::new(0);
const OTHER: BackendId = BackendId::new(1);
/// Nothing here takes so long that can end at all.
const PATIENCE: Duration = Duration::from_secs(60);

/// Checks a flooded backend beside another, until the run of the former has ended; answers its cause,
/// and how often the other was checked meanwhile. On a thread of its own, which may never come back.
fn cause<C>(address: SocketAddr, checker: C) -> (&'static str, u32)
where
    C: Checker + Send + Sync + 'static,
    C::Future: Send + 'static,
{
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut driver = Driver::new(SmallRng::seed_from_u64(7));
            let spec = CheckSpec::default().with_timeout(Duration::from_millis(300)).unwrap();
            driver.watch(FLOODED, address, checker, spec.clone());
            let (runs, counted) = mpsc::channel();
            let alive = service_fn(move |_: Target| {
                let _ = runs.send(());
                std::future::ready(Ok::<_, CheckError>(Report::ALIVE))
            });
            let often = spec.with_interval(Duration::from_millis(10)).unwrap();
            driver.watch(OTHER, address, alive, often);
            loop {
                let Event::Verdict(verdict) = driver.next().await else { continue };
                if let Because::Failed { error, .. } = verdict.because {
                    assert_eq!(verdict.backend, FLOODED);
                    let _ = sender.send((error.cause(), counted.try_iter().count() as u32));
                }
            }
        });
    });
    receiver.recv_timeout(PATIENCE).expect("the run has an end")
}

fn nowhere() -> SocketAddr {
    ([192, 0, 2, 1], 80).into()
}

/// As if there were always more to read.
#[test]
fn a_run_that_never_waits_is_ended() {
    let busy = service_fn(|_: Target| async {
        loop {
            tokio::task::coop::consume_budget().await;
        }
        #[expect(unreachable_code, reason = "says what it would answer")]
        Ok::<_, CheckError>(Report::ALIVE)
    });
    let (cause, others) = cause(nowhere(), busy);
    assert_eq!(cause, "timeout");
    assert!(others > 1, "{others} runs of the other");
}

/// As if something new had arrived whenever it was looked at.
#[test]
fn a_run_that_can_always_go_on_is_ended() {
    let restless = service_fn(|_: Target| {
        poll_fn(|context| {
            context.waker().wake_by_ref();
            Poll::<Result<Report, CheckError>>::Pending
        })
    });
    let (cause, others) = cause(nowhere(), restless);
    assert_eq!(cause, "timeout");
    assert!(others > 1, "{others} runs of the other");
}

/// When a server begins to talk without end.
#[cfg(feature = "tcp")]
#[derive(Clone, Copy, PartialEq)]
enum Flood {
    AtOnce,
    /// As long as it was asked nothing, what it says is no answer.
    #[cfg(feature = "http")]
    OnceAsked,
}

/// Accepts every connection and sends `bytes` for ever, on a thread of its own for each.
#[cfg(feature = "tcp")]
fn flooding(flood: Flood, bytes: &'static [u8]) -> SocketAddr {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                if flood != Flood::AtOnce {
                    let _ = stream.read(&mut [0; 1024]);
                }
                let much = bytes.repeat(65_536 / bytes.len());
                while stream.write_all(&much).is_ok() {}
            });
        }
    });
    address
}

#[cfg(feature = "http")]
#[test]
fn interim_answers_without_end_are_cut() {
    let checker = lb_health::checkers::Http::new("/").unwrap();
    let (cause, _) = cause(flooding(Flood::OnceAsked, b"HTTP/1.1 100\r\n\r\n"), checker);
    assert_eq!(cause, "header-too-large");
}

#[cfg(feature = "tcp")]
#[test]
fn a_checker_that_reads_all_there_is_is_ended() {
    use tokio::io::AsyncReadExt;
    let reading = service_fn(|target: Target| async move {
        let connected = tokio::net::TcpStream::connect(target.address).await;
        let mut stream = connected.map_err(CheckError::protocol)?;
        let mut buffer = vec![0; 4096];
        while stream.read(&mut buffer).await.map_err(CheckError::protocol)? > 0 {}
        Ok::<_, CheckError>(Report::ALIVE)
    });
    let (cause, others) = cause(flooding(Flood::AtOnce, b"whatever"), reading);
    assert_eq!(cause, "timeout");
    assert!(others > 1, "{others} runs of the other");
}

/// Answers every question by answers to others, for ever.
#[cfg(feature = "dns")]
#[test]
fn answers_to_other_questions_without_end_are_a_timeout() {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let (mut buffer, mut asked) = ([0; 512], None);
        loop {
            socket.set_nonblocking(asked.is_some()).unwrap();
            if let Ok((length, peer)) = socket.recv_from(&mut buffer) {
                buffer[0] ^= 1; // another number
                buffer[2] |= 0x80; // an answer
                asked = Some((length, peer));
            }
            // It fails when nobody listens there any more.
            asked = asked.filter(|&(length, peer)| {
                let sent = socket.send_to(&buffer[..length], peer);
                !sent.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
            });
        }
    });
    let (cause, others) = cause(address, lb_health::checkers::Dns::default());
    assert_eq!(cause, "timeout-response");
    assert!(others > 1, "{others} runs of the other");
}
