//! The atomics of the data plane: the standard library's, or those of `loom` while its model
//! checker runs (`--cfg lb_loom`, a name of our own because tokio minds `loom` as well; see `model.rs`).

#[cfg(not(lb_loom))]
pub(crate) use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence},
};

#[cfg(lb_loom)]
pub(crate) use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence},
};
