//! Clients that say themselves where they belong.

use std::hash::{Hash, Hasher};

use super::ClientKey;

/// A client that brings along where it belongs, as in a cookie, and is otherwise known as `K`.
///
/// A director sends it there under the same rules as a client that it remembers, through queue and
/// redispatch, although it may never have seen it before:
///
/// ```
/// use lb_core::flow::Sticky;
/// use lb_core::{Algorithm, Director, Pool};
/// # use rand::{SeedableRng, rngs::StdRng};
/// # let (now, mut rng) = (std::time::Instant::now(), StdRng::seed_from_u64(1));
///
/// let backends = ["a", "b", "c"].map(|name| (name, ()));
/// let director = Director::<Sticky<()>, ()>::new(Pool::named(backends, &*Algorithm::Rr.scheduler()));
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
