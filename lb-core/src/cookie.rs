//! Persistence without a table: a signed cookie that says which backend its bearer belongs to.
//!
//! HAProxy's `cookie insert` with `maxidle`, `maxlife` and a key. Any balancer that has the key reads
//! it, so that a failover loses nobody, nothing has to be shared, and no flood fills anything.
//!
//! ```
//! use std::time::{Duration, SystemTime};
//! use lb_core::cookie::{CookieError, CookieSigner};
//!
//! let (new_key, old_key) = ([7; 32], [3; 32]); // drawn at random, and kept secret
//! let signer = CookieSigner::new("www", &new_key)?
//!     .accepting(&old_key)?
//!     .max_idle(Duration::from_secs(1_800))
//!     .max_life(Duration::from_secs(86_400));
//!
//! let now = SystemTime::now();
//! let text = signer.issue(now, "10.0.0.1:80");
//! // Set-Cookie: lb=<text>; Path=/; HttpOnly; Secure; SameSite=Lax … and with the next request:
//! let later = now + Duration::from_secs(600);
//! let cookie = signer.verify(later, &text)?;
//! assert!(cookie.is_for("10.0.0.1:80"));
//! let text = signer.renew(later, &cookie); // for another half hour
//! # assert!(signer.verify(later, &text).is_ok());
//!
//! // Whoever does not have a key gets nowhere, and so does who has waited for too long.
//! let forger = CookieSigner::new("www", &[0; 32])?;
//! assert_eq!(signer.verify(later, &forger.issue(now, "10.0.0.2:80")), Err(CookieError::Forged));
//! let late = signer.verify(later + Duration::from_secs(1_801), &text);
//! assert!(matches!(late, Err(CookieError::Idle { .. })));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **What it is not.** It does not say who the bearer is: whoever steals the cookie goes to the same
//! backend, and to nothing else. It is not encrypted: it shows two dates and a hash from which a
//! guessed name can be confirmed, but neither address nor name. It does not know whether the backend
//! is up: a [`Director`](crate::Director) does, to which its bearer is a
//! [`Sticky`](crate::flow::Sticky) client of its [`place`](StickyCookie::place). A refused cookie is not
//! an attack as a rule, but a client that was away for long; schedule it anew.

use std::fmt;
use std::time::{Duration, SystemTime};

use base64ct::{Base64UrlUnpadded, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::backend::Lease;
use crate::hash::stable_hash;

/// Why a cookie is not honoured. Whatever the reason, its bearer is a new client.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CookieError {
    /// It is not base64url, or not as this crate writes it.
    #[error("the cookie is not base64url without padding")]
    Encoding,
    /// It was issued too long ago.
    #[error("the cookie was issued {} s ago, at most {} s", age.as_secs(), most.as_secs())]
    Expired {
        /// How long ago.
        age: Duration,
        /// How long ago at most: [`CookieSigner::max_life`].
        most: Duration,
    },
    /// No key accepts it: it is made up, changed, of another scope, or of a key that is not
    /// accepted any more.
    #[error("no key accepts the cookie's signature")]
    Forged,
    /// It is dated more than 24 hours ahead.
    #[error("the cookie is dated {} s ahead", ahead.as_secs())]
    FromTheFuture {
        /// How far ahead.
        ahead: Duration,
    },
    /// It was not used for too long.
    #[error("the cookie was last used {} s ago, at most {} s", idle.as_secs(), most.as_secs())]
    Idle {
        /// How long ago.
        idle: Duration,
        /// How long ago at most: [`CookieSigner::max_idle`].
        most: Duration,
    },
    /// It does not have the length of a cookie.
    #[error("the cookie has {found} characters, not {TEXT}")]
    Length {
        /// How long it is.
        found: usize,
    },
    /// It is signed, but of a format that this release does not know.
    #[error("the cookie is of format {found}, not {FORMAT}")]
    UnknownFormat {
        /// The format it says it has.
        found: u8,
    },
}

/// A key is too short to be secret.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[error("a key of {length} bytes is too short: at least {SHORTEST_KEY} random bytes")]
pub struct WeakKey {
    /// How long it is.
    pub length: usize,
}

/// What a cookie says that a [`CookieSigner`] has verified.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct StickyCookie {
    place: u64,
    /// Seconds since the epoch.
    issued: u64,
    /// Seconds since the epoch.
    last_used: u64,
}

impl StickyCookie {
    /// Where its bearer belongs: the [place](crate::Backend::place) of the backend, which is the stable
    /// hash of its name and the same on every balancer.
    pub const fn place(&self) -> u64 {
        self.place
    }

    /// Whether its bearer belongs to the backend of this name.
    pub fn is_for(&self, backend: &str) -> bool {
        self.place == stable_hash(backend.as_bytes())
    }

    /// When its bearer was first sent there.
    pub fn issued(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.issued)
    }

    /// When it was written.
    pub fn last_used(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.last_used)
    }

    fn to_bytes(self) -> [u8; BODY] {
        let mut body = [FORMAT; BODY];
        body[1..9].copy_from_slice(&self.place.to_be_bytes());
        body[9..17].copy_from_slice(&self.issued.to_be_bytes());
        body[17..].copy_from_slice(&self.last_used.to_be_bytes());
        body
    }

    fn from_bytes(body: &[u8; BODY]) -> Result<Self, CookieError> {
        let (&[format], numbers) = body.split_first_chunk().unwrap_or((&[0], &[]));
        if format != FORMAT {
            return Err(CookieError::UnknownFormat { found: format });
        }
        let number = |index: usize| {
            numbers.as_chunks().0.get(index).map_or(0, |bytes| u64::from_be_bytes(*bytes))
        };
        Ok(Self { place: number(0), issued: number(1), last_used: number(2) })
    }
}

/// Makes and verifies cookies: HMAC-SHA-256, of which a cookie carries the first 128 bits.
///
/// To rotate keys without sending anybody elsewhere, first let every balancer accept the new key,
/// then let every balancer sign with it, and drop the old one when the longest life is over.
#[derive(Clone)]
pub struct CookieSigner {
    /// The first one signs.
    keys: Vec<Hmac<Sha256>>,
    scope: Box<str>,
    max_idle: Option<Duration>,
    max_life: Option<Duration>,
}

const FORMAT: u8 = 1;
/// Format, place, issued, last used.
const BODY: usize = 1 + 3 * 8;
const TAG: usize = 16;
/// Characters of base64.
const TEXT: usize = ((BODY + TAG) * 4).div_ceil(3);
const SHORTEST_KEY: usize = 32;
/// As HAProxy has it: clocks differ, but not by that much.
const MOST_AHEAD: u64 = 24 * 60 * 60;

impl CookieSigner {
    /// Signs with `key`, for one `scope`: a cookie that was issued for one service is worth nothing
    /// at another, even if they share keys.
    ///
    /// # Errors
    /// The key has less than 32 bytes.
    pub fn new(scope: &str, key: &[u8]) -> Result<Self, WeakKey> {
        let keys = vec![keyed(key)?];
        Ok(Self { keys, scope: scope.into(), max_idle: None, max_life: None })
    }

    /// Accepts cookies that were signed with this key, too. Each key costs a refused cookie about a
    /// microsecond.
    ///
    /// # Errors
    /// The key has less than 32 bytes.
    pub fn accepting(mut self, key: &[u8]) -> Result<Self, WeakKey> {
        self.keys.push(keyed(key)?);
        Ok(self)
    }

    /// Refuses cookies that were last written longer ago. Default: none is too old. With it, each
    /// response should [renew](Self::renew) the cookie, or at least one each quarter of that time.
    #[must_use]
    pub fn max_idle(self, most: Duration) -> Self {
        Self { max_idle: Some(most), ..self }
    }

    /// Refuses cookies that were first issued longer ago, however often they were renewed. Default:
    /// none is too old.
    #[must_use]
    pub fn max_life(self, most: Duration) -> Self {
        Self { max_life: Some(most), ..self }
    }

    /// A cookie for a client that is sent to the backend of this name from now on: 55 characters,
    /// all of them letters, digits, `-` and `_`.
    pub fn issue(&self, now: SystemTime, backend: &str) -> String {
        let (place, now) = (stable_hash(backend.as_bytes()), seconds(now));
        self.sign(StickyCookie { place, issued: now, last_used: now })
    }

    /// The same cookie, used now.
    pub fn renew(&self, now: SystemTime, cookie: &StickyCookie) -> String {
        let last_used = seconds(now).max(cookie.issued);
        self.sign(StickyCookie { last_used, ..*cookie })
    }

    /// What a client is to be handed that was sent where `lease` is: its `cookie` renewed, if it says so
    /// already, and a new one if it belongs there from now on. `None` if it does not: while its own
    /// backend is merely full, or at the sorry server.
    pub fn refresh<E>(
        &self,
        now: SystemTime,
        cookie: Option<&StickyCookie>,
        lease: &Lease<E>,
    ) -> Option<String> {
        match cookie.filter(|cookie| cookie.place == lease.place()) {
            Some(cookie) => Some(self.renew(now, cookie)),
            None => lease.is_home().then(|| self.issue(now, lease.name())),
        }
    }

    /// What a cookie says, if it is ours and not too old. The signature is compared in constant
    /// time, and nothing is believed before.
    ///
    /// # Errors
    /// [`CookieError`] says why not.
    pub fn verify(&self, now: SystemTime, text: &str) -> Result<StickyCookie, CookieError> {
        if text.len() != TEXT {
            return Err(CookieError::Length { found: text.len() });
        }
        let mut bytes = [0; BODY + TAG];
        let decoded = Base64UrlUnpadded::decode(text, &mut bytes);
        let Ok((body, tag)) = decoded.map(|bytes| bytes.split_at(BODY)) else {
            return Err(CookieError::Encoding);
        };
        let body: &[u8; BODY] = body.try_into().map_err(|_| CookieError::Encoding)?;
        let accepts = |key| self.mac(key, body).verify_truncated_left(tag).is_ok();
        if !self.keys.iter().any(accepts) {
            return Err(CookieError::Forged);
        }
        let cookie = StickyCookie::from_bytes(body)?;
        self.check_dates(seconds(now), &cookie)?;
        Ok(cookie)
    }

    fn check_dates(&self, now: u64, cookie: &StickyCookie) -> Result<(), CookieError> {
        let ahead = cookie.issued.max(cookie.last_used).saturating_sub(now);
        if ahead > MOST_AHEAD {
            return Err(CookieError::FromTheFuture { ahead: Duration::from_secs(ahead) });
        }
        let since = |date| Duration::from_secs(now.saturating_sub(date));
        let (age, idle) = (since(cookie.issued), since(cookie.last_used));
        if let Some(most) = self.max_life.filter(|&most| age > most) {
            return Err(CookieError::Expired { age, most });
        }
        if let Some(most) = self.max_idle.filter(|&most| idle > most) {
            return Err(CookieError::Idle { idle, most });
        }
        Ok(())
    }

    fn sign(&self, cookie: StickyCookie) -> String {
        let body = cookie.to_bytes();
        let mut bytes = [0; BODY + TAG];
        bytes[..BODY].copy_from_slice(&body);
        let tag = self.mac(&self.keys[0], &body).finalize().into_bytes();
        bytes[BODY..].copy_from_slice(&tag[..TAG]);
        Base64UrlUnpadded::encode_string(&bytes)
    }

    /// What is signed: its purpose, the scope with its length, the body. No two ways to cut it give
    /// the same bytes.
    fn mac(&self, key: &Hmac<Sha256>, body: &[u8; BODY]) -> Hmac<Sha256> {
        let scope = self.scope.as_bytes();
        key.clone()
            .chain_update(b"lb-core sticky cookie\0")
            .chain_update((scope.len() as u64).to_be_bytes())
            .chain_update(scope)
            .chain_update(body)
    }
}

/// Keys stay secret.
impl fmt::Debug for CookieSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CookieSigner")
            .field("scope", &self.scope)
            .field("keys", &self.keys.len())
            .field("max_idle", &self.max_idle)
            .field("max_life", &self.max_life)
            .finish()
    }
}

fn keyed(key: &[u8]) -> Result<Hmac<Sha256>, WeakKey> {
    let weak = WeakKey { length: key.len() };
    if key.len() < SHORTEST_KEY {
        return Err(weak);
    }
    Hmac::new_from_slice(key).map_err(|_| weak)
}

/// Whole seconds since the epoch; 0 before it.
fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
