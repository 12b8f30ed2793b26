//! Looking at this host may fail for a while: nothing that happened meanwhile is forgotten.

use std::time::Instant;

use lb_vrrp::driver::Network;
use lb_vrrp::linux::{LinuxNetwork, Settings};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::namespace::{Namespace, is_possible};
use crate::{MS, channel, drain};

/// As long as it is there, this process gets no descriptor.
struct NoDescriptors(u64);

impl NoDescriptors {
    fn new() -> Self {
        let (before, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, 0, most).unwrap();
        Self(before)
    }
}

impl Drop for NoDescriptors {
    fn drop(&mut self) {
        let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, self.0, most).unwrap();
    }
}

#[test]
#[ignore = "needs root and ip"]
fn without_descriptors_a_carrier_that_goes_is_seen_later() {
    if !is_possible(&[["ip", "-V"]]) {
        return;
    }
    let space = Namespace::new();
    space.inside(async || {
        let mut network = LinuxNetwork::new().unwrap();
        let id = network.open(&channel([10, 99, 0, 1]), Settings::new("eth0")).unwrap();
        let (inputs, errors) = drain(&mut network);
        let up = "Fault { cause: Interface, present: false }";
        assert!(errors == 0 && inputs.contains(&(id, up.to_owned())), "{inputs:?}");

        space.ip("link set far0 down");
        let none = NoDescriptors::new();
        let (mut errors, mut turns) = (0, 0);
        let end = Instant::now() + 350 * MS;
        while Instant::now() < end {
            network.ready_until(end).await.unwrap();
            errors += drain(&mut network).1;
            turns += 1;
        }
        assert!(errors > 0, "it cannot be looked at");
        assert!(turns <= 16, "{turns} turns: nothing but trying");
        drop(none);

        let down = (id, "Fault { cause: Interface, present: true }".to_owned());
        let end = Instant::now() + 1000 * MS;
        while !drain(&mut network).0.contains(&down) {
            assert!(Instant::now() < end, "it was forgotten");
            network.ready_until(end).await.unwrap();
        }
    });
}
