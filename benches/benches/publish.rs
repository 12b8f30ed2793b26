//! What it costs the control plane to turn one verdict into a published pool: a backend fails or
//! recovers, the machine judges, the scheduler is rebuilt, the director swaps.
//!
//! It has no peer: others rebuild on a timer or never (health beside a fixed selector), so that
//! nothing of theirs does the same work. It is off the hot path; what it must not do is grow out
//! of proportion to the pool.

mod support;

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use lb_core::backend::BackendId;
use lb_core::virtual_server::{Action, BackendConfig, VirtualServerConfig};
use lb_core::{Algorithm, Director, Health, VirtualServer};

use support::{Contender, measure, print};

const SIZES: [usize; 4] = [10, 100, 1000, 10_000];
const ALGORITHMS: [Algorithm; 3] = [Algorithm::Rr, Algorithm::Wrr, Algorithm::Sh];
const ROUNDS: usize = 11;

fn main() {
    for size in SIZES {
        let contenders = ALGORITHMS.map(|algorithm| verdict(size, algorithm)).into();
        print(
            &format!("one verdict on one of {size} backends, published"),
            &measure(contenders, ROUNDS),
        );
    }
}

fn verdict(size: usize, algorithm: Algorithm) -> Contender<'static> {
    let backends = (0..size).map(|n| BackendConfig::from(address(n)).initially_up());
    let config = VirtualServerConfig::of(backends);
    let mut server = VirtualServer::new(config, algorithm.scheduler()).expect("names are unique");
    let director: Director<IpAddr> = Director::new(server.published().clone());
    let unlucky = BackendId::new(size as u32 / 2);
    let (now, mut up) = (Instant::now(), true);
    Contender::ours(algorithm.name(), move |times| {
        for _ in 0..times {
            up = !up;
            server.handle_health(now, unlucky, if up { Health::UP } else { Health::Down });
            while let Some(action) = server.poll_action() {
                match action {
                    Action::Publish(pool) => director.publish(pool),
                    Action::Notify(event) => drop(black_box(event)),
                }
            }
        }
    })
}

fn address(n: usize) -> SocketAddr {
    (Ipv4Addr::from_bits(0x0a00_0001 + n as u32), 80).into()
}
