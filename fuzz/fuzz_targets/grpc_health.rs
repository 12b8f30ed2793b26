//! Whatever a gRPC server answers: a serving status or a reason why it is none, never a panic; and
//! what is read can be said again.
#![cfg_attr(feature = "fuzzer", no_main)]

use lb_health::checkers::ServingStatus;

fuzz::target!(|frame: Vec<u8>| check(&frame));

fn check(frame: &[u8]) {
    if let Ok(status) = ServingStatus::parse(frame) {
        assert_eq!(ServingStatus::parse(&status.emit()), Ok(status));
    }
    // Behind a good frame, so that the fields are reached at once.
    let framed = [&[0][..], &(frame.len() as u32).to_be_bytes(), frame].concat();
    if let Ok(status) = ServingStatus::parse(&framed) {
        assert_eq!(ServingStatus::parse(&status.emit()), Ok(status));
    }
}
