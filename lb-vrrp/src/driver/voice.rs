//! How one router or host speaks and hears: by VRRP or by CARP.

use std::net::IpAddr;
use std::time::SystemTime;

use crate::addresses::AddressList;
use crate::carp::CarpChannel;
use crate::channel::Channel;
use crate::values::Priority;
use crate::wire::CarpAdvertisement;

/// A channel of either protocol.
#[derive(Debug)]
pub(super) enum Voice {
    Carp(Box<CarpVoice>),
    Vrrp(Box<Channel>),
}

/// CARP's knows no addresses.
#[derive(Debug)]
pub(super) struct CarpVoice {
    pub(super) channel: CarpChannel,
    addresses: AddressList,
    identification: u16,
    /// Reused, so that advertising does not allocate.
    packet: Vec<u8>,
}

/// What is to be said.
#[derive(Clone, Copy, Debug)]
pub(super) enum Said {
    Carp(CarpAdvertisement),
    Vrrp(Priority),
}

impl Said {
    /// Whether it gives the addresses up.
    pub(super) fn is_release(self) -> bool {
        match self {
            Self::Carp(said) => said.gives_up(),
            Self::Vrrp(priority) => priority == Priority::RELEASE,
        }
    }
}

impl Voice {
    pub(super) fn carp(channel: CarpChannel, addresses: AddressList) -> Self {
        let voice = CarpVoice { channel, addresses, identification: 0, packet: Vec::new() };
        Self::Carp(Box::new(voice))
    }

    pub(super) fn addresses(&self) -> &AddressList {
        match self {
            Self::Carp(voice) => &voice.addresses,
            Self::Vrrp(channel) => channel.config().addresses(),
        }
    }

    pub(super) fn source(&self) -> IpAddr {
        match self {
            Self::Carp(voice) => voice.channel.source(),
            Self::Vrrp(channel) => channel.config().source,
        }
    }

    /// Whether it can speak from there: not if it is of the other family.
    pub(super) fn set_source(&mut self, source: IpAddr) -> bool {
        match self {
            Self::Carp(voice) => {
                voice.channel.set_source(source);
                voice.channel.source() == source
            }
            Self::Vrrp(channel) => {
                let mut config = channel.config().clone();
                let is_possible = config.source(source).is_ok();
                if is_possible {
                    channel.reconfigure(config);
                }
                is_possible
            }
        }
    }

    /// Takes another key and other addresses. What it is to speak from, if that was said; else it stays
    /// where it is.
    pub(super) fn reconfigure_carp(&mut self, channel: CarpChannel, addresses: AddressList) {
        if let Self::Carp(voice) = self {
            let source = voice.channel.source();
            voice.channel = channel;
            voice.addresses = addresses;
            if voice.channel.source().is_unspecified() {
                voice.channel.set_source(source);
            }
        }
    }

    /// Encodes it and gives it to `send`, for each destination. What is of the other protocol is not
    /// said.
    pub(super) fn advertise(
        &mut self,
        utc: SystemTime,
        said: Said,
        mut send: impl FnMut(IpAddr, &[u8]),
    ) {
        match (self, said) {
            (Self::Vrrp(channel), Said::Vrrp(priority)) => channel.advertise(utc, priority, send),
            (Self::Carp(voice), Said::Carp(said)) => {
                // The kernel replaces a zero.
                voice.identification = voice.identification.checked_add(1).unwrap_or(1);
                voice.packet.clear();
                voice.channel.advertise(&said, voice.identification, &mut voice.packet);
                send(voice.channel.group(), &voice.packet);
            }
            _ => {}
        }
    }
}
