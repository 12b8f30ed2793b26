//! What is spoken, in the words of either daemon.

use std::time::Duration;

use crate::daemon::Kind;
use crate::lab::{Host, MS};

/// What is spoken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Dialect {
    V2,
    V2Password,
    V2Ah,
    V4,
    V4Second,
    V6,
    UnicastV4,
    UnicastV6,
    VirtualMacV4,
    VirtualMacV6,
    /// Advertisements come from the MAC address of the interface.
    VirtualMacBase,
}

/// What one router is to be.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub(crate) host: Host,
    pub(crate) priority: u8,
    /// Beside the one that is probed.
    pub(crate) more_addresses: Vec<String>,
}

impl Wish {
    pub(crate) const fn new(host: Host, priority: u8) -> Self {
        Self { host, priority, more_addresses: Vec::new() }
    }
}

impl Dialect {
    pub(crate) const ALL: [Self; 11] = [
        Self::V2,
        Self::V2Password,
        Self::V2Ah,
        Self::V4,
        Self::V4Second,
        Self::V6,
        Self::UnicastV4,
        Self::UnicastV6,
        Self::VirtualMacV4,
        Self::VirtualMacV6,
        Self::VirtualMacBase,
    ];

    const fn version(self) -> u8 {
        match self {
            Self::V2 | Self::V2Password | Self::V2Ah => 2,
            _ => 3,
        }
    }

    pub(crate) const fn is_v6(self) -> bool {
        matches!(self, Self::V6 | Self::UnicastV6 | Self::VirtualMacV6)
    }

    const fn is_unicast(self) -> bool {
        matches!(self, Self::UnicastV4 | Self::UnicastV6)
    }

    pub(crate) const fn has_virtual_mac(self) -> bool {
        matches!(self, Self::VirtualMacV4 | Self::VirtualMacV6 | Self::VirtualMacBase)
    }

    pub(crate) fn interval(self) -> Duration {
        if self.version() == 2 || self == Self::V4Second { 1000 * MS } else { 100 * MS }
    }

    /// How long a backup of this priority waits (RFC 9568 6.1, RFC 3768 6.1).
    pub(crate) fn master_down(self, priority: u8) -> Duration {
        let unit = if self.version() == 2 { Duration::from_secs(1) } else { self.interval() };
        self.interval() * 3 + unit * (256 - u32::from(priority)) / 256
    }

    pub(crate) const fn address(self) -> &'static str {
        if self.is_v6() { "fd99::200" } else { "10.99.0.200" }
    }

    pub(crate) const fn another_address(self) -> &'static str {
        if self.is_v6() { "fd99::201" } else { "10.99.0.201" }
    }

    const fn prefix(self) -> u8 {
        if self.is_v6() { 64 } else { 24 }
    }

    fn at(self, host: Host) -> String {
        let number = host.number();
        if self.is_v6() { format!("fd99::{number}") } else { format!("10.99.0.{number}") }
    }

    fn addresses(self, wish: &Wish) -> Vec<String> {
        let own = [self.address().to_owned()].into_iter();
        let all = own.chain(wish.more_addresses.iter().cloned());
        all.map(|address| format!("{address}/{}", self.prefix())).collect()
    }

    /// The configuration of either daemon. A file of keepalived's means what it means there, so that
    /// what makes us gentle has to be asked for.
    pub(crate) fn text(self, kind: Kind, wish: &Wish) -> String {
        match kind {
            Kind::Ours => self.toml(wish),
            Kind::Migrated => {
                self.conf(wish, "higher_prio_send_advert true\n garp_master_refresh 1\n")
            }
            _ => self.conf(wish, ""),
        }
    }

    /// The configuration of vip-keeper.
    fn toml(self, wish: &Wish) -> String {
        let mut text = format!(
            "admin = \"127.0.0.1:9900\"\n[[vrrp_instance]]\nname = \"v\"\ninterface = \"eth0\"\n\
             virtual_router_id = 51\nversion = {}\npriority = {}\nadvert_interval = \"{}ms\"\n\
             addresses = {:?}\n",
            self.version(),
            wish.priority,
            self.interval().as_millis(),
            self.addresses(wish),
        );
        match self {
            Self::V2Password => {
                text += "authentication = { type = \"pass\", password = \"secret\" }\n";
            }
            Self::V2Ah => text += "authentication = { type = \"ah\", password = \"secret\" }\n",
            _ => {}
        }
        if self.is_unicast() {
            let (here, there) = (self.at(wish.host), self.at(wish.host.other()));
            text += &format!("unicast_source = \"{here}\"\nunicast_peers = [\"{there}\"]\n");
        }
        if self.has_virtual_mac() {
            text += "use_vmac = true\n";
        }
        if self == Self::VirtualMacBase {
            text += "vmac_xmit_base = true\n";
        }
        text
    }

    /// The configuration of keepalived.
    fn conf(self, wish: &Wish, extra: &str) -> String {
        let mut extra = extra.to_owned();
        match self {
            Self::V2Password => {
                extra += "authentication {\n auth_type PASS\n auth_pass secret\n }\n";
            }
            Self::V2Ah => extra += "authentication {\n auth_type AH\n auth_pass secret\n }\n",
            _ => {}
        }
        if self.is_unicast() {
            let (here, there) = (self.at(wish.host), self.at(wish.host.other()));
            extra += &format!("unicast_src_ip {here}\n unicast_peer {{\n {there}\n }}\n");
        }
        if self.has_virtual_mac() {
            extra += "use_vmac\n";
        }
        if self == Self::VirtualMacBase {
            extra += "vmac_xmit_base\n";
        }
        format!(
            "global_defs {{\n vrrp_version {}\n}}\nvrrp_instance v {{\n interface eth0\n \
             virtual_router_id 51\n priority {}\n advert_int {}\n {extra} virtual_ipaddress {{\n \
             {}\n }}\n}}\n",
            self.version(),
            wish.priority,
            self.interval().as_secs_f64(),
            self.addresses(wish).join("\n "),
        )
    }
}
