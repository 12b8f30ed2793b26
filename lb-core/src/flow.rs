//! What is known about one connection or request when its backend is chosen.

use std::borrow::Cow;
use std::hash::{BuildHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use crate::backend::BackendId;
use crate::pool::Member;

/// What a [`Scheduler`](crate::Scheduler) may know about one connection or request.
///
/// ```
/// use lb_core::flow::ClientKey;
/// use lb_core::Flow;
/// use std::net::IpAddr;
///
/// let client: IpAddr = "192.0.2.7".parse()?;
/// let first_try = Flow::new(client.flow_hash());
/// assert!(first_try.tried.is_empty());
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Flow<'a> {
    /// The [`ClientKey`]'s hash: what hashing schedulers choose by.
    pub hash: u64,
    /// The backend that this client already belongs to. Honoured as long as it is in the pool, has
    /// room and was not tried; even at weight 0, unless the pool says otherwise.
    pub prefer: Option<BackendId>,
    /// Backends that refused this flow already: never chosen again for it.
    pub tried: &'a [BackendId],
    /// When it comes, for schedulers that [look at the time](crate::Scheduler::is_timed).
    pub now: Option<Instant>,
    /// Backends that are as good as full, because somebody who came before waits for them.
    claimed: &'a [BackendId],
    /// Whether it may wait for the backend that it prefers.
    may_wait: bool,
    /// Whether not every backend with a weight will do: a choice that did not look for room has met one
    /// without, or others wait for some of them.
    looks_for_room: bool,
}

impl<'a> Flow<'a> {
    /// The first attempt of a flow without affinity.
    pub const fn new(hash: u64) -> Self {
        Self {
            hash,
            prefer: None,
            tried: &[],
            now: None,
            claimed: &[],
            may_wait: false,
            looks_for_room: false,
        }
    }

    /// This flow after `tried` refused it.
    #[must_use]
    pub const fn retried(self, tried: &'a [BackendId]) -> Self {
        Self { tried, ..self }
    }

    /// This flow of a client that belongs to `backend`.
    #[must_use]
    pub const fn preferring(self, backend: Option<BackendId>) -> Self {
        Self { prefer: backend, ..self }
    }

    /// This flow, which comes at `now`.
    #[must_use]
    pub const fn at(self, now: Instant) -> Self {
        Self { now: Some(now), ..self }
    }

    /// This flow where a backend may be full: [`any_will_do`](Self::any_will_do) no more.
    #[must_use]
    pub const fn minding_limits(self) -> Self {
        Self { looks_for_room: true, ..self }
    }

    /// This flow where others wait for the `claimed` backends, and it may do so itself or not.
    #[must_use]
    pub(crate) const fn minding(self, claimed: &'a [BackendId], may_wait: bool) -> Self {
        let looks_for_room = self.looks_for_room || !claimed.is_empty();
        Self { claimed, may_wait, looks_for_room, ..self }
    }

    /// Whether a scheduler may give this flow to `member`: it takes new flows, has room, and has not
    /// refused this one.
    #[inline]
    pub fn may_use(&self, member: &Member) -> bool {
        !member.weight.is_zero()
            && !self.has_tried(member.id)
            && !member.load.is_full()
            && !self.must_leave(member.id)
    }

    /// Whether a scheduler need not ask [`may_use`](Self::may_use): whoever has a weight will do,
    /// so that what was computed beforehand holds. A choice that turns out to be full is made again
    /// with a flow for which this is false.
    #[inline]
    pub const fn any_will_do(&self) -> bool {
        self.tried.is_empty() && !self.looks_for_room
    }

    /// Whether `backend` refused this flow already.
    #[inline]
    pub fn has_tried(&self, backend: BackendId) -> bool {
        // The empty case is nearly every pick; `contains` alone would still set up its loop.
        !self.tried.is_empty() && self.tried.contains(&backend)
    }

    /// Whether the room that `backend` may have is for somebody else.
    #[inline]
    pub(crate) fn must_leave(&self, backend: BackendId) -> bool {
        !self.claimed.is_empty() && self.claimed.contains(&backend)
    }

    /// Whether it may wait for the backend that it prefers.
    pub(crate) const fn may_wait(&self) -> bool {
        self.may_wait
    }
}

/// What a client is recognised by: its address, a network, a cookie, a user name.
///
/// `Hash` and `Eq` serve the persistence table; [`flow_hash`](Self::flow_hash) serves hashing
/// schedulers and must be the same on every platform and in every process, so that two directors
/// agree. (`Hash` of the standard library promises neither.)
///
/// A key is owned, because a table may have to keep it. Where none does, a request costs no
/// allocation if its key is the hash itself, `stable_hash(path.as_bytes())`, which is a key like any
/// other; where one does, an `Arc<str>` is cloned for nothing.
pub trait ClientKey: Clone + Eq + Hash + Send + 'static {
    /// A hash of the key that is stable across processes, platforms and releases. O(length).
    fn flow_hash(&self) -> u64;

    /// Where the client says that it belongs, if it brings that along: the
    /// [place](crate::Backend::place) of a backend. What a director remembers of the client gives way
    /// to it. Default: it does not say. See [`Sticky`].
    #[inline]
    fn belongs_to(&self) -> Option<u64> {
        None
    }
}

/// A client that brings along where it belongs, as in a cookie, and is otherwise known as `K`.
///
/// A director sends it there under the same rules as a client that it remembers, through queue and
/// redispatch, although it may never have seen it before:
///
/// ```
/// use std::sync::Arc;
/// use lb_core::backend::BackendId;
/// use lb_core::flow::Sticky;
/// use lb_core::{Algorithm, Backend, Director, Pool, Weight};
/// # use rand::{SeedableRng, rngs::StdRng};
/// # let (now, mut rng) = (std::time::Instant::now(), StdRng::seed_from_u64(1));
///
/// let backends = ["a", "b", "c"].into_iter().zip(0..).map(|(name, number)| {
///     (Arc::new(Backend::new(BackendId::new(number), name, ())), Weight::ONE)
/// });
/// let director = Director::<Sticky<()>, ()>::new(Pool::new(backends, &*Algorithm::Rr.scheduler()));
/// let first = director.assign(now, &Sticky::new((), None), &[], &mut rng)?;
/// // Whatever the client is handed says where it belongs now …
/// let place = first.is_home().then(|| first.place());
/// // … and when it comes back with it, there it goes.
/// let again = director.assign(now, &Sticky::new((), place), &[], &mut rng)?;
/// assert_eq!(again.name(), first.name());
/// # Ok::<(), lb_core::pool::NoBackend>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Sticky<K> {
    /// Who it is, to hashing schedulers and to persistence.
    pub client: K,
    /// Where it says that it belongs: the [place](crate::Backend::place) of a backend.
    pub place: Option<u64>,
}

impl<K> Sticky<K> {
    /// This client, which belongs to the backend of this place, or nowhere yet.
    pub const fn new(client: K, place: Option<u64>) -> Self {
        Self { client, place }
    }
}

/// The same client, wherever it says that it belongs.
impl<K: PartialEq> PartialEq for Sticky<K> {
    fn eq(&self, other: &Self) -> bool {
        self.client == other.client
    }
}

impl<K: Eq> Eq for Sticky<K> {}

impl<K: Hash> Hash for Sticky<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.client.hash(state);
    }
}

impl<K: ClientKey> ClientKey for Sticky<K> {
    fn flow_hash(&self) -> u64 {
        self.client.flow_hash()
    }

    fn belongs_to(&self) -> Option<u64> {
        self.place
    }
}

/// The stable hash of some bytes: SipHash-2-4 under the all-zero key, as the `hashring` crate uses.
///
/// Good enough to spread clients, public by design, and therefore **not** a defence against a
/// client that chooses its own key to land on a given backend; such a client could as well pick
/// its source address.
pub fn stable_hash(bytes: &[u8]) -> u64 {
    let mut hasher = hashring::DefaultHashBuilder.build_hasher();
    hasher.write(bytes);
    hasher.finish()
}

/// An IPv4-mapped IPv6 address counts as the IPv4 address it stands for.
impl ClientKey for IpAddr {
    fn flow_hash(&self) -> u64 {
        match self.to_canonical() {
            Self::V4(address) => stable_hash(&address.octets()),
            Self::V6(address) => stable_hash(&address.octets()),
        }
    }
}

/// Address and port: spreads the connections of one client (IPVS' `sh-port`).
impl ClientKey for SocketAddr {
    fn flow_hash(&self) -> u64 {
        let port = self.port().to_be_bytes();
        match self.ip().to_canonical() {
            IpAddr::V4(address) => stable_hash(&with_port::<6>(&address.octets(), port)),
            IpAddr::V6(address) => stable_hash(&with_port::<18>(&address.octets(), port)),
        }
    }
}

fn with_port<const LENGTH: usize>(address: &[u8], port: [u8; 2]) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    bytes[..address.len()].copy_from_slice(address);
    bytes[address.len()..].copy_from_slice(&port);
    bytes
}

impl ClientKey for String {
    fn flow_hash(&self) -> u64 {
        stable_hash(self.as_bytes())
    }
}

impl ClientKey for &'static str {
    fn flow_hash(&self) -> u64 {
        stable_hash(self.as_bytes())
    }
}

impl ClientKey for Cow<'static, str> {
    fn flow_hash(&self) -> u64 {
        stable_hash(self.as_bytes())
    }
}

impl ClientKey for Arc<str> {
    fn flow_hash(&self) -> u64 {
        stable_hash(self.as_bytes())
    }
}

impl ClientKey for Vec<u8> {
    fn flow_hash(&self) -> u64 {
        stable_hash(self)
    }
}

impl ClientKey for Arc<[u8]> {
    fn flow_hash(&self) -> u64 {
        stable_hash(self)
    }
}

/// A hash computed elsewhere, taken as it is.
impl ClientKey for u64 {
    fn flow_hash(&self) -> u64 {
        *self
    }
}

/// No client can be told from another.
impl ClientKey for () {
    fn flow_hash(&self) -> u64 {
        0
    }
}

/// How many leading bits of an address tell one client from another, for each family: IPVS'
/// `persistence_granularity`.
///
/// ```
/// use lb_core::flow::Granularity;
///
/// let office = Granularity::new(24, 64);
/// assert_eq!(office.network("2001:db8::7".parse()?).to_string(), "2001:db8::");
/// assert_eq!(office.network("192.0.2.7".parse()?), office.network("192.0.2.200".parse()?));
/// assert_eq!(Granularity::HOST.network("192.0.2.7".parse()?).to_string(), "192.0.2.7");
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Granularity {
    v4: u8,
    v6: u8,
}

impl Granularity {
    /// Every address is a client of its own.
    pub const HOST: Self = Self::new(32, 128);

    /// The first `v4` bits of an IPv4 address, and the first `v6` of an IPv6 one (of which a host
    /// commonly has all that begin with the same 64). More bits than an address has mean all of them.
    pub const fn new(v4: u8, v6: u8) -> Self {
        Self { v4, v6 }
    }

    /// The network that `client` belongs to, as its first address. An IPv4-mapped IPv6 address
    /// counts as the IPv4 address it stands for.
    pub fn network(self, client: IpAddr) -> IpAddr {
        let host_bits = |width: u32, bits: u8| width.saturating_sub(bits.into());
        match client.to_canonical() {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(host_bits(32, self.v4)).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask))
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(host_bits(128, self.v6)).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(key: &str) -> u64 {
        key.parse::<IpAddr>().unwrap().flow_hash()
    }

    #[test]
    fn hashes_never_change() {
        // A change here moves every client of every `sh` pool at the next upgrade.
        assert_eq!(stable_hash(b""), 0x1e92_4b9d_7377_00d7);
        // Computed by another implementation of SipHash-2-4.
        assert_eq!(stable_hash(b"load"), 0x3f50_4c6d_cf83_24a5);
        assert_eq!(hash("::ffff:192.0.2.7"), hash("192.0.2.7"));
        assert_ne!(hash("192.0.2.7"), hash("192.0.2.8"));
        let socket: SocketAddr = "192.0.2.7:80".parse().unwrap();
        assert_eq!(socket.flow_hash(), stable_hash(&[192, 0, 2, 7, 0, 80]));
        let texts =
            ["/a".flow_hash(), "/a".to_owned().flow_hash(), Arc::<str>::from("/a").flow_hash()];
        assert_eq!(texts, [stable_hash(b"/a"); 3]);
    }

    #[test]
    fn granularity_cuts_both_families_at_every_length() {
        let v4 = |bits| Granularity::new(bits, 0).network("203.0.113.255".parse().unwrap());
        assert_eq!(v4(0), "0.0.0.0".parse::<IpAddr>().unwrap());
        assert_eq!(v4(25), "203.0.113.128".parse::<IpAddr>().unwrap());
        assert_eq!(v4(200), "203.0.113.255".parse::<IpAddr>().unwrap());
        let v6 = |bits| Granularity::new(0, bits).network("2001:db8:ffff::1".parse().unwrap());
        assert_eq!(v6(0), "::".parse::<IpAddr>().unwrap());
        assert_eq!(v6(32), "2001:db8::".parse::<IpAddr>().unwrap());
        assert_eq!(v6(128), "2001:db8:ffff::1".parse::<IpAddr>().unwrap());
    }
}
