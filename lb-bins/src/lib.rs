#![deny(unsafe_code)]
//! What the daemons are made of: wiring around lb-core, lb-health and lb-vrrp.
//!
//! | room | what happens there |
//! |---|---|
//! | [`config`] | text becomes a typed configuration, or every mistake in it |
//! | [`checkers`] | which checker does what is configured |
//! | [`control`] | the one task that owns every machine and decides |
//! | [`tcp`] | layer 4: accept, connect, relay |
//! | [`vip`] | virtual addresses: one task that drives every virtual router |
//! | [`admin`] | status, metrics and orders over HTTP |
//! | [`probe`] | one check, now, from the command line |
//! | [`simulate`] | what would happen if: a script on a virtual clock |
//! | [`status`] | the one description of everything that all of them show |
//! | [`names`] | what names of hosts stand for |
//! | [`notify`] | who outside is told of changes: scripts, a pipe, mail |
//! | [`privileges`] | who a daemon is, and what it may do |
//! | [`command_line`] | what both daemons are told, and what they say to it |
//! | `requests` | asking a task that owns something |
//! | `said` | how much is logged of what others say |
//! | `backoff` | how long to wait from one attempt to the next |
//! | [`process`] | signals, limits |
//! | [`memory`] | letting go of what only a start needs: the one room with `unsafe` in it |
//! | `service_manager` | what systemd is told |
//! | [`telemetry`] | the log |
//! | [`demo`] | three backends and a balancer in one process |

pub mod admin;
mod backoff;
pub mod checkers;
pub mod command_line;
pub mod config;
pub mod control;
pub mod demo;
pub mod memory;
pub mod names;
pub mod notify;
pub mod privileges;
pub mod probe;
pub mod process;
mod requests;
mod said;
mod service_manager;
pub mod simulate;
pub mod status;
pub mod tcp;
pub mod telemetry;
pub mod vip;

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
