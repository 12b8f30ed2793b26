//! How soon a death is told, and how soon nobody is sent there any more.

mod health;

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use lb_core::backend::BackendId;
use lb_core::virtual_server::{Action, BackendConfig, VirtualServerConfig};
use lb_core::{Algorithm, Director, Health, Pool, VirtualServer};
use lb_health::checkers::Tcp;
use lb_health::{CheckError, CheckSpec, Driver, Event, Monitor, Report, monitor};
use tokio::net::{TcpListener, TcpSocket};
use tokio::time::{sleep, timeout};

use health::{Bars, Spread, rng, runtime};

const TARGETS: u32 = 300;
const INTERVAL: Duration = Duration::from_secs(1);
const FAST: Duration = Duration::from_millis(200);
const FALL: u32 = 3;
const TIMEOUT: Duration = Duration::from_millis(150);

fn main() {
    let mut bars = Bars::default();
    let fast = (FALL - 1) as f64 * 200.0;

    println!("E9: dead by reset, {TARGETS} targets, every second, fall 3, then every 200 ms");
    for jitter in [0, 10] {
        let mut found = runtime().block_on(detection(jitter, Death::Refuses));
        println!("  jitter {jitter} %, of {}", found.len());
        let interval = 1000.0 * (1.0 + f64::from(jitter) / 100.0);
        bars.at_most("worst", found.quantile(1.0), interval + fast + 5.0, "ms");
        bars.at_most("mean", found.mean(), 900.0 + 5.0, "ms");
    }

    println!("E10: dead in silence, timeout 150 ms");
    let mut found = runtime().block_on(detection(0, Death::Silent));
    let bar = 1000.0 + fast + f64::from(FALL) * 150.0 + 20.0;
    bars.at_most("worst", found.quantile(1.0), bar, "ms");
    println!("         mean {:.0} ms, of {}", found.mean(), found.len());

    println!("E14: from a result to the new pool in the hands of the data plane");
    for size in [10, 100, 1000] {
        for algorithm in [Algorithm::Rr, Algorithm::Wlc, Algorithm::Mh] {
            let mut swaps = swaps(size, algorithm);
            let what = format!("{algorithm}, {size} backends, p99");
            bars.at_most(&what, swaps.quantile(0.99) * 1e3, 50.0, "us");
            println!("         p50 {:.1} us", swaps.quantile(0.5) * 1e3);
        }
    }
}

#[derive(Clone, Copy)]
enum Death {
    Refuses,
    Silent,
}

/// Kills targets at random moments, each at its own, and measures until each is found down.
async fn detection(jitter: u8, death: Death) -> Spread {
    let spec = CheckSpec::default()
        .with_interval(INTERVAL)
        .and_then(|spec| spec.with_fast_interval(FAST))
        .and_then(|spec| spec.with_timeout(TIMEOUT))
        .and_then(|spec| spec.with_fall(FALL))
        .and_then(|spec| spec.with_warmup(INTERVAL))
        .and_then(|spec| spec.with_jitter_percent(jitter))
        .expect("a spec");
    let mut driver = Driver::new(rng());
    let mut targets = Vec::new();
    for number in 0..TARGETS {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(([127, 0, 0, 1], 0).into()).expect("an address");
        let listener = socket.listen(1).expect("a listener");
        let address = listener.local_addr().expect("an address");
        let alive = tokio::spawn(accept(listener));
        driver.watch(BackendId::new(number), address, Tcp::new(), spec.clone());
        targets.push((address, Some(alive), None, Vec::new()));
    }
    let mut found = Spread::default();
    let begin = Instant::now() + Duration::from_secs(3);
    let mut next = 0;
    while found.len() < targets.len() {
        // One dies every 7.3 ms: at every phase of an interval.
        let due = begin + Duration::from_micros(7_300) * next as u32;
        match timeout(due.saturating_duration_since(Instant::now()), driver.next()).await {
            Ok(Event::Verdict(verdict)) if verdict.health.is_up() => {}
            Ok(Event::Verdict(verdict)) => {
                let died: Option<Instant> = targets[verdict.backend.number() as usize].2;
                found.push(died.expect("only the dead are down").elapsed());
            }
            Ok(event) => panic!("{event:?}"),
            Err(_) if next < targets.len() => {
                let (address, alive, died, full) = &mut targets[next];
                let listener = alive.take().expect("it lives");
                listener.abort();
                // The listener comes back from its task, or is dropped there.
                let _ = listener.await;
                if let Death::Silent = death {
                    *full = silence(*address);
                }
                *died = Some(Instant::now());
                next += 1;
            }
            Err(_) => sleep(Duration::from_millis(1)).await,
        }
    }
    found
}

async fn accept(listener: TcpListener) {
    while listener.accept().await.is_ok() {}
}

/// Takes the address over with a queue that is full, so that no answer comes.
fn silence(address: SocketAddr) -> Vec<Box<dyn std::any::Any>> {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("an option");
    socket.bind(address).expect("the address again");
    let listener = socket.listen(1).expect("a listener");
    let mut held: Vec<Box<dyn std::any::Any>> = vec![Box::new(listener)];
    for _ in 0..2 {
        held.push(Box::new(TcpStream::connect(address).expect("room in the queue")));
    }
    held
}

fn swaps(size: u32, algorithm: Algorithm) -> Spread {
    let backends = (0..size).map(|number| {
        let address = SocketAddr::from(([10, 0, (number / 250) as u8, (number % 250) as u8], 80));
        BackendConfig::new(address.to_string(), address)
    });
    let config = VirtualServerConfig::of(backends);
    let mut server = VirtualServer::new(config, algorithm.scheduler()).expect("a server");
    let director: Director = Director::new(Pool::empty(&*algorithm.scheduler()));
    let spec =
        CheckSpec::default().with_rise(1).and_then(|spec| spec.with_fall(1)).expect("a spec");
    let (mut monitor, mut now, mut rng) = (Monitor::new(), Instant::now(), rng());
    let ids: Vec<_> = server.backends().map(|backend| backend.id).collect();
    ids.iter().for_each(|&id| {
        monitor.watch(now, id, spec.clone(), &mut rng);
    });
    let (mut swaps, mut round) = (Spread::default(), 0_u32);
    while swaps.len() < 5000 {
        now += spec.interval() + FAST;
        monitor.handle_timeout(now);
        let mut runs = Vec::new();
        while let Some(action) = monitor.poll_action() {
            if let monitor::Action::Run(run) = action {
                runs.push(run);
            }
        }
        round += 1;
        for (number, run) in runs.into_iter().enumerate() {
            // In turns: everybody once, then about one in ten falls or comes back each round.
            let dies = round > 1 && (number as u32 + round).is_multiple_of(10);
            let result = if dies { Err(CheckError::Refused.into()) } else { Ok(Report::ALIVE) };
            let begin = Instant::now();
            monitor.handle_result(now, run, result);
            let mut swapped = false;
            while let Some(action) = monitor.poll_action() {
                let monitor::Action::Notify(Event::Verdict(verdict)) = action else { continue };
                let health: Health = verdict.health;
                server.handle_health(now, verdict.backend, health);
                while let Some(action) = server.poll_action() {
                    if let Action::Publish(pool) = action {
                        director.publish(pool);
                        swapped = true;
                    }
                }
            }
            if swapped && round > 1 {
                swaps.push(begin.elapsed());
            }
        }
    }
    swaps
}
