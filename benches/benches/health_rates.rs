//! How many checks one core makes: a checker alone, and all that runs it with it.
//!
//! The targets are a process of their own; a rate is of checks per second of processor time, of
//! user and system, that this process took. A check that fails ends the bench.

mod health;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use lb_core::backend::BackendId;
use lb_health::checkers::{Handshake, Http, Script, ScriptSlots, Tcp, Tls, Worker};
use lb_health::{CheckSpec, Checker, Driver, Event, Failure, Target};
use tower::ServiceExt;

use health::{Bars, Kind, Meter, Targets, left_in_time_wait, rng, runtime};

/// Checks that are under way at once when a checker runs alone.
const LANES: u32 = 64;
const ALONE: Duration = Duration::from_secs(2);
const DRIVEN: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(5);

fn main() {
    health::serve();
    let mut bars = Bars::default();

    println!("E1, E18: TCP");
    let targets = Targets::start(Kind::Tcp);
    let floor = floor(&targets);
    println!("         the system calls alone: {:.1} k/s", floor / 1e3);
    let alone = alone(&targets, Tcp::new());
    bars.at_least("a checker alone", alone / 1e3, 70.0, "k/s");
    let driven = driven(&targets, Tcp::new(), 2000, Duration::from_millis(10));
    bars.at_least("with a driver", driven / 1e3, 70.0, "k/s");
    let left = left_in_time_wait(targets.port(0)) + left_in_time_wait(targets.port(1));
    bars.at_most("connections in TIME_WAIT", left as f64, 0.0, "");

    println!("E2: HTTP/1.1");
    let targets = Targets::start(Kind::Http);
    let http = Http::new("/").expect("a path").map_err(Failure::from);
    let alone = self::alone(&targets, http.clone());
    bars.at_least("a checker alone", alone / 1e3, 30.0, "k/s");
    let driven = self::driven(&targets, http, 1000, Duration::from_millis(10));
    bars.at_least("with a driver", driven / 1e3, 30.0, "k/s");

    let kept = Http::new("/").expect("a path").keeping_alive().map_err(Failure::from);
    let alone = self::alone(&targets, kept.clone());
    bars.at_least("kept connections, a checker alone", alone / 1e3, 80.0, "k/s");
    let driven = self::driven(&targets, kept, 1000, Duration::from_millis(5));
    bars.at_least("kept connections, with a driver", driven / 1e3, 80.0, "k/s");

    println!("E3: TLS, full handshakes, certificate verified");
    let targets = Targets::start(Kind::Tls);
    let tls = Tls::trusting(include_bytes!("health/tls/ca.pem")).expect("an authority");
    let tls = Handshake::new(tls.with_name("target.test").expect("a name"));
    let alone = self::alone(&targets, tls.clone());
    bars.at_least("a checker alone", alone / 1e3, 3.0, "k/s");
    let driven = self::driven(&targets, tls, 100, Duration::from_millis(10));
    bars.at_least("with a driver", driven / 1e3, 3.0, "k/s");

    println!("E5: scripts");
    scripts(&mut bars);

    println!("E5: a worker in their place");
    let worker = Worker::new("/usr/bin/perl", ["-pe", "BEGIN { $| = 1 } s/ .*/ up/"]);
    let alone = self::alone(&targets, worker);
    bars.at_least("a checker alone", alone / 1e3, 20.0, "k/s");
}

/// What a check of a TCP connection asks of the system, by hand, as many at once: what no checker can
/// be faster than, here and now.
fn floor(targets: &Targets) -> f64 {
    use rustix::event::epoll;
    use rustix::net::{
        AddressFamily, SocketAddrAny, SocketFlags, SocketType, connect, socket_with, sockopt,
    };
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).expect("epoll");
    let (meter, mut count) = (Meter::start(), 0);
    let mut events = Vec::with_capacity(LANES as usize);
    while meter.wall() < ALONE.as_secs_f64() {
        let begin = |number| {
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None);
            let socket = socket.expect("a socket");
            sockopt::set_socket_linger(&socket, Some(Duration::ZERO)).expect("an option");
            let _ = connect(&socket, &SocketAddrAny::from(targets.address(number)));
            let (data, flags) = (epoll::EventData::new_u64(number.into()), epoll::EventFlags::OUT);
            epoll::add(&epoll, &socket, data, flags | epoll::EventFlags::ET).expect("epoll");
            Some(socket)
        };
        let mut lanes: Vec<_> = (0..LANES).map(begin).collect();
        while lanes.iter().any(Option::is_some) {
            events.clear();
            epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), None).expect("events");
            for event in events.drain(..) {
                if let Some(socket) = lanes[event.data.u64() as usize].take() {
                    sockopt::socket_error(&socket).expect("a socket").expect("alive");
                    count += 1;
                }
            }
        }
    }
    f64::from(count) / meter.cpu()
}

fn alone<C>(targets: &Targets, checker: C) -> f64
where
    C: Checker + 'static,
    Failure: From<C::Error>,
{
    runtime().block_on(async {
        let meter = Meter::start();
        let lane = async |number| {
            let (mut count, target) = (0, Target::new(targets.address(number), TIMEOUT));
            while meter.wall() < ALONE.as_secs_f64() {
                let result = checker.clone().oneshot(target).await.map_err(Into::into);
                count +=
                    result.map(|_| 1).map_err(|failure: Failure| failure.error).expect("alive");
            }
            count
        };
        let count: u32 = join_all((0..LANES).map(lane)).await.into_iter().sum();
        f64::from(count) / meter.cpu()
    })
}

/// More is asked for than can be done; what is done counts.
fn driven<C>(targets: &Targets, checker: C, count: u32, interval: Duration) -> f64
where
    C: Checker + Send + Sync + 'static,
    C::Future: Send + 'static,
{
    runtime().block_on(async {
        let mut driver = Driver::new(rng());
        let spec = CheckSpec::default()
            .with_interval(interval)
            .and_then(|spec| spec.with_timeout(TIMEOUT))
            .expect("a spec");
        for number in 0..count {
            let backend = BackendId::new(number);
            driver.watch(backend, targets.address(number), checker.clone(), spec.clone());
        }
        let (meter, before) = (Meter::start(), driver.monitor().runs());
        let mut ups = 0;
        let _ = tokio::time::timeout(DRIVEN, async {
            loop {
                match driver.next().await {
                    Event::Verdict(verdict) if verdict.health.is_up() => ups += 1,
                    event => panic!("{event:?}"),
                }
            }
        })
        .await;
        assert_eq!(ups, count, "alive");
        (driver.monitor().runs() - before) as f64 / meter.cpu()
    })
}

fn scripts(bars: &mut Bars) {
    const CAP: usize = 4;
    let slots = ScriptSlots::new(CAP.try_into().expect("a cap"));
    let script = Script::new("/bin/true", [""; 0], slots.clone()).map_err(Failure::from);
    runtime().block_on(async {
        let most = AtomicUsize::new(0);
        let (meter, count) = (Meter::start(), AtomicUsize::new(0));
        let lane = async |_| {
            let target = Target::new(([127, 0, 0, 1], 1).into(), TIMEOUT);
            while meter.wall() < ALONE.as_secs_f64() {
                script.clone().oneshot(target).await.expect("true");
                count.fetch_add(1, Ordering::Relaxed);
                most.fetch_max(CAP - slots.free(), Ordering::Relaxed);
            }
        };
        join_all((0..LANES).map(lane)).await;
        let count = count.into_inner() as f64;
        bars.at_most("running at once", most.into_inner() as f64, CAP as f64, "");
        bars.at_least("scripts", count / meter.wall(), 800.0, "/s of wall time");
    });
}
