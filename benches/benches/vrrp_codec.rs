//! One advertisement, decoded with all that is verified on the way, and encoded. No peer: nobody's
//! codec stands alone. An allocation fails the run.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Instant, SystemTime};

use lb_vrrp::wire::Datagram;
use lb_vrrp::{
    AddressList, Authentication, Channel, ChannelConfig, HmacKeys, Interval, Priority, Version,
    Vrid,
};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: all is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps to the same contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps to the same contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

const ROUNDS: usize = 51;
const PACKETS: u32 = 20_000;
const BAR: f64 = 5e6;

fn channel(host: u8, version: Version, addresses: u8, authentication: Authentication) -> Channel {
    let addresses = (1..=addresses).map(|last| [10, 99, 1, last].into());
    let addresses = AddressList::new(addresses).expect("some, of one family");
    let vrid = Vrid::new(51).expect("not zero");
    let mut config =
        ChannelConfig::new(vrid, [10, 99, 0, host].into(), addresses).expect("of one family");
    config.version(version, Interval::SECOND).expect("either carries it");
    config.authentication(authentication).expect("of this version");
    Channel::new(config)
}

/// The median of many rounds, in packets a second, and whether anything was allocated.
fn measure(mut work: impl FnMut()) -> (f64, u64) {
    work();
    let before = ALLOCATIONS.get();
    let mut rounds: Vec<_> = (0..ROUNDS).map(|_| 0.0).collect();
    let after_vector = ALLOCATIONS.get();
    for round in &mut rounds {
        let start = Instant::now();
        (0..PACKETS).for_each(|_| work());
        *round = f64::from(PACKETS) / start.elapsed().as_secs_f64();
    }
    let allocations = ALLOCATIONS.get() - after_vector;
    debug_assert!(after_vector >= before);
    rounds.sort_by(f64::total_cmp);
    (rounds[ROUNDS / 2], allocations)
}

fn main() -> ExitCode {
    let keys = || {
        let keys = HmacKeys::new(1, &[7; 32]).expect("of 32 octets");
        Authentication::hmac(keys)
    };
    let mut is_met = true;
    println!(
        "| packet | decoded and verified, M/s | encoded, M/s | allocations |\n|---|---|---|---|"
    );
    for (name, version, addresses, authentication) in [
        ("version 3, 1 address", Version::V3, 1, Authentication::NONE),
        ("version 3, 20 addresses", Version::V3, 20, Authentication::NONE),
        ("version 2, password", Version::V2, 1, Authentication::password(b"secret")),
        ("version 2, authentication header", Version::V2, 1, Authentication::ah(b"secret")),
        ("version 3, HMAC trailer", Version::V3, 1, keys()),
    ] {
        let utc = SystemTime::UNIX_EPOCH;
        let priority = Priority::new(200);
        let mut speaker = channel(1, version, addresses, authentication.clone());
        let mut packet = Vec::new();
        speaker.advertise(utc, priority, |_, sent| packet.extend_from_slice(sent));
        let (encoded, writes) = measure(|| {
            speaker.advertise(utc, priority, |_, sent| {
                black_box(sent);
            });
        });
        let mut listener = channel(2, version, addresses, authentication);
        let (decoded, reads) = measure(|| {
            // With a sequence the second one is a replay, found when all else was verified.
            let heard = Datagram::ipv4(black_box(&packet))
                .and_then(|datagram| listener.receive(utc, &datagram).map(|heard| heard.source));
            let _ = black_box(heard);
        });
        println!("| {name} | {:.1} | {:.1} | {} |", decoded / 1e6, encoded / 1e6, reads + writes);
        is_met &= reads + writes == 0;
        if name == "version 3, 1 address" {
            is_met &= decoded >= BAR && encoded >= BAR;
        }
    }
    if is_met { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
