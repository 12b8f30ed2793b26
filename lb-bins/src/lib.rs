#![forbid(unsafe_code)]
//! wip
pub mod config;
