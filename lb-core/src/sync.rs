//! The atomics of the data plane: the standard library's, or those of `loom` while its model
//! checker runs (`--cfg loom`; see `model.rs`).

#[cfg(not(loom))]
pub(crate) use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence},
};

#[cfg(loom)]
pub(crate) use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence},
};
