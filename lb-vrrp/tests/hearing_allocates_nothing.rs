//! A backup that hears its master, and a master that says it is there, ask for no memory.
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::{Duration, Instant, SystemTime};

use lb_vrrp::wire::Datagram;
use lb_vrrp::{
    Action, AddressList, Authentication, Channel, ChannelConfig, Config, HmacKeys, Interval,
    Priority, Role, Version, VirtualRouter, Vrid,
};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: everything is left to the system's allocator; counting does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract of this very function.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of this very function.
        unsafe { System.dealloc(pointer, layout) }
    }
}

const ROUNDS: u32 = 1_000;

#[test]
#[allow(clippy::disallowed_methods, reason = "any instant is the beginning")]
fn hearing_and_saying() {
    let keys = HmacKeys::new(1, &[7; 32]).unwrap();
    let cases = [
        (Version::V2, Authentication::NONE),
        (Version::V2, Authentication::password(b"lbsecret")),
        (Version::V2, Authentication::ah(b"lbsecret")),
        (Version::V3, Authentication::NONE),
        (Version::V3, Authentication::hmac(keys)),
    ];
    for (version, authentication) in cases {
        let addresses = (0..255).map(|n| [10, 0, 1, n].into());
        let addresses = AddressList::new(addresses).unwrap();
        let [here, there] = [1, 2].map(|host| {
            let vrid = Vrid::new(51).unwrap();
            let mut config =
                ChannelConfig::new(vrid, [10, 0, 0, host].into(), addresses.clone()).unwrap();
            config.version(version, Interval::SECOND).unwrap();
            config.authentication(authentication.clone()).unwrap();
            config
        });
        let mut now = Instant::now();
        let mut utc = SystemTime::UNIX_EPOCH + Duration::from_secs(1_750_000_000);
        let mut master = VirtualRouter::new({
            let mut config = Config::of(&here);
            config.priority(Priority::OWNER).unwrap();
            config
        });
        let mut backup = VirtualRouter::new(Config::of(&there));
        let mut says = Channel::new(here);
        let mut hears = Channel::new(there);
        master.startup(now);
        backup.startup(now);
        let mut packet = Vec::with_capacity(2_000);
        let mut allocated = 0;
        for round in 0..ROUNDS {
            if round == 10 {
                allocated = ALLOCATIONS.get();
            }
            now += Duration::from_secs(1);
            utc += Duration::from_secs(1);
            master.handle_timeout(now);
            while let Some(action) = master.poll_action() {
                if let Action::Advertise(priority) = action {
                    packet.clear();
                    says.advertise(utc, priority, |_, said| packet.extend_from_slice(said));
                }
            }
            let received = hears.receive(utc, &Datagram::ipv4(&packet).unwrap()).unwrap();
            backup.handle_packet(now, received.source, &received.advertisement).unwrap();
            backup.handle_timeout(now);
            while backup.poll_action().is_some() {}
        }
        assert_eq!(backup.state().role(), Role::Backup);
        assert_eq!(ALLOCATIONS.get() - allocated, 0, "{version} {authentication:?}");
    }
}
