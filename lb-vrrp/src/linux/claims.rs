//! Which virtual routers this process speaks for: another one of this network namespace that did so as
//! well would have their addresses on the same host, and each take away what the other has put there.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Weak};

use super::name::Name;
use super::port::Port;
use crate::channel::Reach;

/// So much of an interface's name counts: no name is longer (`IFNAMSIZ`).
const INTERFACE: usize = 15;

/// That this process speaks for a virtual router, as long as this lives.
pub(super) type Claim = Arc<Name>;

/// All that were handed out: routers of one process may share one, while one takes the other's place.
#[derive(Debug, Default)]
pub(super) struct Claims(BTreeMap<String, Weak<Name>>);

impl Claims {
    /// Nothing, if there is no telling: somebody has the name who cannot be one of us, or there is no socket
    /// to be had. That keeps nobody from starting.
    ///
    /// # Errors
    /// [`io::ErrorKind::AddrInUse`] if another process speaks for it.
    pub(super) fn claim(&mut self, port: &Port) -> io::Result<Option<Claim>> {
        let name = name_of(port);
        if let Some(known) = self.0.get(&name).and_then(Weak::upgrade) {
            return Ok(Some(known));
        }
        match Name::take(&name) {
            Ok(taken) => {
                let claim = Arc::new(taken);
                self.0.retain(|_, claim| claim.strong_count() > 0);
                self.0.insert(name, Arc::downgrade(&claim));
                Ok(Some(claim))
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Name::is_held(&name) => {
                let why =
                    "another process of this network namespace speaks for that virtual router";
                Err(io::Error::new(error.kind(), why))
            }
            Err(_) => Ok(None),
        }
    }
}

/// What tells virtual routers of a host apart, in words that any build of this has (`ss -xl` shows them):
/// those with other peers are others, whatever their order. Of many peers one stands for all.
fn name_of(port: &Port) -> String {
    let interface: String = port.settings.interface.chars().take(INTERFACE).collect();
    let (who, more): (Option<IpAddr>, usize) = match &port.channel.reach {
        Reach::Multicast { group } => (Some(*group), 0),
        Reach::Unicast { peers, .. } => {
            (peers.iter().map(|peer| peer.address).min(), peers.len().saturating_sub(1))
        }
    };
    let who = who.map_or_else(String::new, |who| who.to_string());
    format!("lb-vrrp/{interface}/{}/{who}+{more}", port.channel.vrid.get())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addresses::AddressList;
    use crate::channel::{ChannelConfig, Peer};
    use crate::linux::Settings;
    use crate::values::Vrid;

    fn port(interface: &str, vrid: u8, peers: &[&str]) -> Port {
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        let list = AddressList::new([address]).unwrap();
        let mut channel = ChannelConfig::new(Vrid::new(vrid).unwrap(), address, list).unwrap();
        if !peers.is_empty() {
            let peers = peers.iter().map(|peer| Peer::new(peer.parse().unwrap()));
            channel.reach = Reach::unicast(peers.collect());
        }
        Port::new(channel, Settings::new(interface))
    }

    #[test]
    fn routers_are_told_apart_by_interface_identifier_and_peers() {
        let one = port("eth0", 51, &[]);
        for other in [port("eth1", 51, &[]), port("eth0", 52, &[]), port("eth0", 51, &["10.0.0.2"])]
        {
            assert_ne!(name_of(&one), name_of(&other));
        }
        let of_peers = |list: &[&str]| name_of(&port("eth0", 51, list));
        assert_eq!(of_peers(&["10.0.0.3", "10.0.0.2"]), of_peers(&["10.0.0.2", "10.0.0.3"]));
        assert_ne!(of_peers(&["10.0.0.2"]), of_peers(&["10.0.0.3"]));
        // A name has room for 107 bytes.
        let long = port(&"x".repeat(300), 255, &["fe80::1111:2222:3333:4444"]);
        assert!(name_of(&long).len() < 107);
    }

    #[test]
    fn a_claim_is_shared_within_a_process_and_ends_with_the_last_who_has_it() {
        let (mut ours, mut theirs) = (Claims::default(), Claims::default());
        let port = port(&format!("t{}", std::process::id()), 51, &[]);
        let (one, two) = (ours.claim(&port).unwrap(), ours.claim(&port).unwrap());
        assert!(one.is_some() && two.is_some());
        let refused = theirs.claim(&port).map(drop).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
        drop(one);
        assert!(theirs.claim(&port).is_err(), "there is another one");
        drop(two);
        assert!(theirs.claim(&port).unwrap().is_some());
    }
}
