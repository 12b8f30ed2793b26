//! How routers know each other.

use std::fmt;
use std::time::Duration;

use crate::error::ConfigError;
use crate::wire::packet::{PASSWORD, Password};
use crate::wire::{AuthType, ah, trailer};

/// How the routers of one identifier know each other. All must be configured alike.
///
/// The default is nothing. What it holds is never printed.
///
/// ```
/// use lb_vrrp::{Authentication, HmacKeys};
///
/// let mut keys = HmacKeys::new(1, b"a secret of at least thirty-two octets")?;
/// keys.accept(2, b"the one that will be used from tomorrow on")?;
/// let authentication = Authentication::hmac(keys);
/// assert!(!format!("{authentication:?}").contains("secret"));
/// # Ok::<(), lb_vrrp::ConfigError>(())
/// ```
#[derive(Clone, Default)]
pub struct Authentication(pub(crate) Method);

#[derive(Clone, Default)]
pub(crate) enum Method {
    #[default]
    None,
    Password(Secret),
    Ah(ah::Key),
    Hmac(HmacKeys),
}

/// Eight octets that are not printed.
#[derive(Clone)]
pub(crate) struct Secret(pub(crate) Password);

impl fmt::Debug for Authentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Method::None => f.write_str("None"),
            Method::Password(_) => f.write_str("Password"),
            Method::Ah(_) => f.write_str("Ah"),
            Method::Hmac(keys) => keys.fmt(f),
        }
    }
}

impl Secret {
    fn new(password: &[u8]) -> Self {
        let mut octets = [0; PASSWORD];
        let length = password.len().min(PASSWORD);
        octets[..length].copy_from_slice(&password[..length]);
        Self(octets)
    }
}

impl Authentication {
    /// None at all.
    pub const NONE: Self = Self(Method::None);

    /// Version 2's password, which everybody on the link can read: it tells routers apart that were
    /// misconfigured, not those that are hostile. Only the first eight octets count.
    pub fn password(password: &[u8]) -> Self {
        Self(Method::Password(Secret::new(password)))
    }

    /// Version 2's authentication header as keepalived computes it: HMAC-MD5 with a key of eight
    /// octets, and a sequence that refuses replays. Only the first eight octets count.
    pub fn ah(password: &[u8]) -> Self {
        Self(Method::Ah(ah::Key::new(&Secret::new(password).0)))
    }

    /// The trailer of keepalived 2.4: HMAC-SHA-256, with keys that can be rotated.
    pub const fn hmac(keys: HmacKeys) -> Self {
        Self(Method::Hmac(keys))
    }

    /// What version 2 says of it.
    pub(crate) const fn auth_type(&self) -> AuthType {
        match &self.0 {
            Method::None | Method::Hmac(_) => AuthType::None,
            Method::Password(_) => AuthType::Password,
            Method::Ah(_) => AuthType::Ah,
        }
    }

    pub(crate) const fn is_v2_only(&self) -> bool {
        matches!(&self.0, Method::Password(_) | Method::Ah(_))
    }
}

/// How a group of routers learns to authenticate without a flap: all to `ReceiveOnly`, then all to
/// `Permissive`, then all to `Enforce`.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Migration {
    /// Sign; refuse what is not signed. The default.
    #[default]
    Enforce,
    /// Sign; take what is not signed, but nothing that is signed badly.
    Permissive,
    /// Do not sign; take what is not signed, but nothing that is signed badly.
    ReceiveOnly,
}

/// How old packets are told from new ones.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Freshness {
    /// Only by their order, for hosts without a synchronized clock: who never heard a sender takes
    /// any packet that was ever signed by it.
    Monotonic,
    /// By their order, and by their time, which may be off by this much (whole seconds).
    Window(Duration),
}

/// The keys of the HMAC trailer.
///
/// One signs, all verify: add the new key everywhere, then sign with it everywhere, then drop the
/// old one.
#[derive(Clone)]
pub struct HmacKeys {
    /// Not empty; the first one signs.
    keys: Vec<(u8, trailer::Key)>,
    migration: Migration,
    freshness: Option<Freshness>,
}

impl fmt::Debug for HmacKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<_> = self.keys.iter().map(|(id, _)| id).collect();
        f.debug_struct("HmacKeys")
            .field("ids", &ids)
            .field("migration", &self.migration)
            .field("freshness", &self.freshness)
            .finish()
    }
}

impl HmacKeys {
    /// Signs and verifies with the key `id`.
    ///
    /// # Errors
    /// [`ConfigError::KeyId`] for 0, [`ConfigError::KeyLength`] unless it has 32 to 64 octets.
    pub fn new(id: u8, secret: &[u8]) -> Result<Self, ConfigError> {
        let mut keys = Self { keys: Vec::new(), migration: Migration::default(), freshness: None };
        keys.accept(id, secret)?;
        Ok(keys)
    }

    /// Verifies with the key `id`, too.
    ///
    /// # Errors
    /// As [`Self::new`]; [`ConfigError::DuplicateKey`].
    pub fn accept(&mut self, id: u8, secret: &[u8]) -> Result<&mut Self, ConfigError> {
        if id == 0 {
            return Err(ConfigError::KeyId);
        }
        if !(32..=64).contains(&secret.len()) {
            return Err(ConfigError::KeyLength { length: secret.len() });
        }
        if self.key(id).is_some() {
            return Err(ConfigError::DuplicateKey { id });
        }
        self.keys.push((id, trailer::Key::new(secret)));
        Ok(self)
    }

    /// How far the migration is. Default: [`Migration::Enforce`].
    pub const fn migration(&mut self, migration: Migration) -> &mut Self {
        self.migration = migration;
        self
    }

    /// What is fresh. Default: a window of three intervals, at least five seconds.
    pub const fn freshness(&mut self, freshness: Freshness) -> &mut Self {
        self.freshness = Some(freshness);
        self
    }

    pub(crate) fn key(&self, id: u8) -> Option<&trailer::Key> {
        self.keys.iter().find(|(known, _)| *known == id).map(|(_, key)| key)
    }

    /// `None` while nothing is signed.
    pub(crate) fn signing(&self) -> Option<&(u8, trailer::Key)> {
        self.keys.first().filter(|_| self.migration != Migration::ReceiveOnly)
    }

    pub(crate) fn is_enforced(&self) -> bool {
        self.migration == Migration::Enforce
    }

    /// Seconds, if there is a window.
    pub(crate) fn window(&self, interval: Duration) -> Option<u32> {
        match self.freshness {
            Some(Freshness::Monotonic) => None,
            Some(Freshness::Window(window)) => Some(seconds(window)),
            None => Some(seconds(interval * 3).max(5)),
        }
    }
}

/// Rounded up; more than a century is a century, so that differences fit into an `i32`.
fn seconds(duration: Duration) -> u32 {
    let up = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    up.min(0x3fff_ffff) as u32
}
