//! Whatever arrives as ICMP: it is an echo message or is refused with a reason, never a panic; and
//! what is read can be said again, bit by bit.
#![cfg_attr(feature = "fuzzer", no_main)]

use fuzz::arbitrary::{self, Arbitrary};
use lb_health::checkers::{Echo, EchoFamily};

fuzz::target!(|input: Input| input.run());

#[derive(Arbitrary, Debug)]
struct Input {
    is_v6: bool,
    said: Option<(bool, u16, u16)>,
    octets: Vec<u8>,
}

impl Input {
    fn run(self) {
        let family = if self.is_v6 { EchoFamily::V6 } else { EchoFamily::V4 };
        match self.said {
            Some((is_reply, id, sequence)) => {
                let echo = Echo { is_reply, id, sequence, payload: self.octets };
                assert_eq!(Echo::parse(family, &echo.emit(family)), Ok(echo));
            }
            None => {
                let Ok(echo) = Echo::parse(family, &self.octets) else { return };
                let mut emitted = echo.emit(family);
                // The checksum: that of ICMPv6 is the system's, and zero can be said in two ways.
                emitted[2..4].copy_from_slice(&self.octets[2..4]);
                assert_eq!(emitted, self.octets);
            }
        }
    }
}
