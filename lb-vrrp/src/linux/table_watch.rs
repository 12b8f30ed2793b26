//! Hears when somebody takes our table of `nft` away, or some of what is in it: whoever loads rules of
//! their own does so after `flush ruleset`.

use std::io::{self, Read};
use std::task::{Context, Poll};

use netlink_packet_core::NlasIterator;
use socket2::Socket;
use tokio::io::unix::AsyncFd;

use super::netlink::{HEADER, kind, monitor, raw_messages};
use super::receiver::{poll_waiting, watched};

const NETLINK_NETFILTER: i32 = 12;
/// `NFNLGRP_NFTABLES` as a bit.
const GROUPS: u32 = 1 << 6;
/// `NFNL_SUBSYS_NFTABLES`, of which the lower octet says what.
const NFTABLES: u16 = 10 << 8;
const NFT_MSG_NEWTABLE: u16 = NFTABLES;
/// `NFT_MSG_DELTABLE`, `_DELCHAIN`, `_DELRULE`, `_DELSET` and `_DELSETELEM`.
const DELETED: [u16; 5] = [NFTABLES | 2, NFTABLES | 5, NFTABLES | 8, NFTABLES | 11, NFTABLES | 14];
/// The length of `struct nfgenmsg`.
const FAMILY: usize = 4;
/// The name of the table is the first attribute of each of them (`NFTA_TABLE_NAME`, `NFTA_CHAIN_TABLE`,
/// `NFTA_RULE_TABLE`, `NFTA_SET_TABLE`, `NFTA_SET_ELEM_LIST_TABLE`).
const TABLE: u16 = 1;
/// How much is read before others have their turn.
const DATAGRAMS: usize = 256;

/// Listens to the kernel for one table.
#[derive(Debug)]
pub(super) struct TableWatch {
    monitor: AsyncFd<Socket>,
    name: String,
    datagram: Vec<u8>,
    is_whole: bool,
}

impl TableWatch {
    /// Takes `CAP_NET_ADMIN`.
    pub(super) fn open(name: &str) -> io::Result<Self> {
        // Whoever flushes all rules has each of them told.
        let monitor = monitor(NETLINK_NETFILTER, GROUPS)?;
        let (name, datagram) = (name.to_owned(), vec![0; 32 * 1024]);
        Ok(Self { monitor: watched(monitor)?, name, datagram, is_whole: true })
    }

    /// Whether the table is as it was made last, by all that was told. When it is replaced it is not, for a
    /// moment.
    pub(super) fn is_whole(&mut self) -> bool {
        for _ in 0..DATAGRAMS {
            match self.monitor.get_ref().read(&mut self.datagram) {
                Ok(length) => {
                    if let Some(is_whole) = told(&self.datagram[..length], &self.name) {
                        self.is_whole = is_whole;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // Too much at once (ENOBUFS): that may have been among it.
                Err(_) => self.is_whole = false,
            }
        }
        self.is_whole
    }

    /// It is made anew: what comes now is about that.
    pub(super) const fn begin(&mut self) {
        self.is_whole = true;
    }

    /// Whether the kernel has told something.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        poll_waiting(&self.monitor, context).map(|waits| {
            // Looking takes the error away (ENOBUFS), and it must not be forgotten.
            if waits.is_err() {
                self.is_whole = false;
            }
        })
    }
}

/// What a datagram says last of a table: it was made, or something of it is gone.
fn told(datagram: &[u8], table: &str) -> Option<bool> {
    let of_it = raw_messages(datagram).filter(|raw| table_of(raw) == Some(table.as_bytes()));
    let words = of_it.filter_map(|raw| match kind(raw) {
        NFT_MSG_NEWTABLE => Some(true),
        kind if DELETED.contains(&kind) => Some(false),
        _ => None,
    });
    words.last()
}

/// The table that a message is about.
fn table_of(raw: &[u8]) -> Option<&[u8]> {
    let mut attributes = NlasIterator::new(raw.get(HEADER + FAMILY..)?).map_while(Result::ok);
    let name = attributes.find(|attribute| attribute.kind() == TABLE)?;
    let length = usize::from(name.length());
    name.into_inner().get(4..length)?.split(|octet| *octet == 0).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message about something in a table, as `nft` has the kernel tell it.
    fn message(kind: u16, attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut message = vec![0; HEADER + FAMILY];
        for (kind, value) in attributes {
            let length = u16::try_from(4 + value.len()).unwrap();
            message.extend(length.to_ne_bytes());
            message.extend(kind.to_ne_bytes());
            message.extend(*value);
            message.resize(message.len().next_multiple_of(4), 0);
        }
        let length = u32::try_from(message.len()).unwrap();
        message[..4].copy_from_slice(&length.to_ne_bytes());
        message[4..6].copy_from_slice(&(NFTABLES | kind).to_ne_bytes());
        message
    }

    #[test]
    fn the_last_word_on_our_table_counts() {
        let ours = |kind| message(kind, &[(7, b"else"), (TABLE, b"lb\0")]);
        let others = message(2, &[(TABLE, b"lb_2\0")]);
        assert_eq!(told(&others, "lb"), None);
        assert_eq!(told(&[ours(2), others.clone()].concat(), "lb"), Some(false));
        assert_eq!(told(&[ours(8), ours(2), ours(0), ours(6)].concat(), "lb"), Some(true));
        for gone in [2, 5, 8, 11, 14] {
            assert_eq!(told(&[ours(0), ours(gone)].concat(), "lb"), Some(false));
        }
    }

    #[test]
    fn what_is_cut_off_says_nothing() {
        let whole = message(2, &[(7, &[0; 9]), (TABLE, b"lb\0")]);
        assert_eq!(table_of(&whole), Some(&b"lb"[..]));
        for length in 0..whole.len() - 4 {
            assert_eq!(table_of(&whole[..length]), None, "{length}");
        }
        assert_eq!(table_of(&message(2, &[(7, b"")])), None);
        let mut endless = message(2, &[(7, b"1234")]);
        endless[HEADER + FAMILY] = 0;
        assert_eq!(table_of(&endless), None);
    }
}
