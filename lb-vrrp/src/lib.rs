#![forbid(unsafe_code)]
//! Who holds the address? VRRP and CARP as pure state machines.
//!
//! **Empty so far.** The room is laid out in the architecture (advertisements and checksums, the
//! virtual router and its timers, tracking, sync groups, a driver over a `Network` trait); it
//! depends on no sibling crate, so that a user who only moves an address compiles nothing else.
