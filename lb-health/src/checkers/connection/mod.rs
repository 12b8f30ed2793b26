//! How checkers reach a target, and what all of them do once they have: one deadline, bounded
//! answers, evidence.

#[cfg(any(feature = "file", feature = "ping", feature = "tcp", feature = "udp"))]
pub(super) mod attempt;
#[cfg(feature = "tls")]
mod certificate;
#[cfg(feature = "tcp")]
#[allow(dead_code, reason = "each checker uses its own part")]
pub(super) mod conversation;
#[cfg(any(feature = "dns", feature = "ping", feature = "udp"))]
#[allow(dead_code, reason = "a ping has a socket of its own")]
pub(super) mod datagram;
#[cfg(any(feature = "ping", feature = "tcp", feature = "udp"))]
#[allow(dead_code, reason = "each checker uses its own part")]
pub(super) mod origin;
#[cfg(any(feature = "ldap", feature = "mysql", feature = "postgres", feature = "redis"))]
pub(super) mod secret;
#[cfg(feature = "tcp")]
pub(super) mod stream;
#[cfg(feature = "tls")]
pub(super) mod tls;
#[cfg(any(
    feature = "agent",
    feature = "ldap",
    feature = "mysql",
    feature = "postgres",
    feature = "redis",
    feature = "send-expect",
    feature = "smtp"
))]
#[allow(dead_code, reason = "each checker uses its own part")]
pub(super) mod transport;
