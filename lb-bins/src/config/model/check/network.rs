//! Checks of what carries everything else: connections, datagrams, names, mail.

use std::path::{Path, PathBuf};

use super::{Nibbles, Pattern};
use crate::config::words::Word;

/// Opens a connection; then does each step.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Tcp {
    /// What is said and what must be heard, in this order; default: nothing.
    pub steps: Vec<Step>,
    /// How TLS is spoken over it; default: not at all.
    pub tls: Option<Tls>,
}

/// One part of a conversation.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Step {
    /// Sends these bytes: at least one.
    Send(Vec<u8>),
    /// Reads until this has come.
    Expect(Words),
    /// This must not come before what is expected next or, if nothing is, before the server hangs up.
    Refuse(Words),
}

/// What may come.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Words {
    /// These bytes: at least one.
    Are(Vec<u8>),
    /// What this is found in.
    Match(Pattern),
}

/// How TLS is spoken; by itself, a check that shakes hands.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Tls {
    /// The name that the server is asked for, and that its certificate must be for; default: the
    /// `host` of an HTTP check without its port, if that is a name, else none: then the certificate
    /// must be for the address. If it is empty, no name is asked for.
    pub sni: Option<String>,
    /// Whether the certificate of the server is looked at; default: yes.
    pub verify: bool,
    /// A PEM file of the authorities that are believed: an absolute path; default: those of the
    /// system.
    pub ca: Option<PathBuf>,
    /// Who we are; default: nobody.
    pub identity: Option<Identity>,
}

impl Tls {
    /// The files that are read for it, each with the key that names it.
    pub fn files(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let ca = self.ca.as_deref().map(|path| ("ca", path));
        let own = self.identity.as_ref().map(|Identity { certificate, key }| {
            [("certificate", certificate.as_path()), ("key", key.as_path())]
        });
        ca.into_iter().chain(own.into_iter().flatten())
    }
}

/// The certificate of a client.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Identity {
    /// A PEM file, the own certificate first: an absolute path.
    pub certificate: PathBuf,
    /// The PEM file of its key: an absolute path.
    pub key: PathBuf,
}

/// Sends a datagram and waits for one.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Udp {
    /// What is sent; default: a datagram without content.
    pub send: Vec<u8>,
    /// What the reply must begin with; default: anything.
    pub expect: Option<Nibbles>,
    /// Whether silence is a failure; default: yes. An ICMP error always is one.
    pub require_reply: bool,
    /// The least length of a reply in bytes; at most `max_reply`, default: 0.
    pub min_reply: u16,
    /// The greatest length of a reply in bytes; at most 65507, default: that.
    pub max_reply: u16,
}

/// Asks for one name.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Dns {
    /// The name; default: `.`, the root.
    pub name: String,
    /// The type of record; default: SOA.
    pub record: Record,
    /// What must be among the answers, as in a zone file; default: nothing, so that any answer
    /// without an error passes.
    pub answer: Vec<String>,
    /// Whether there must be a record of that type in the answer; default: no.
    pub require_answer: bool,
}

/// Types of DNS records.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[expect(missing_docs, reason = "called as in the DNS")]
pub enum Record {
    A,
    Aaaa,
    Cname,
    Dnskey,
    Mx,
    Ns,
    Ptr,
    Rrsig,
    #[default]
    Soa,
    Srv,
    Txt,
}

impl Record {
    /// How it is called in the DNS.
    pub fn name(self) -> &'static str {
        self.word()
    }
}

/// Waits for the greeting of a mail server and greets it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Smtp {
    /// How it calls itself; default: `localhost`.
    pub helo: String,
    /// How TLS is spoken; default: not at all.
    pub security: Option<SmtpSecurity>,
}

/// How a mail server is spoken to in secret.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum SmtpSecurity {
    /// From the beginning (`tls`): RFC 8314.
    Implicit(Tls),
    /// From STARTTLS on (`starttls`): RFC 3207.
    Starttls(Tls),
}

impl SmtpSecurity {
    /// How TLS is spoken.
    pub const fn tls(&self) -> &Tls {
        match self {
            Self::Implicit(tls) | Self::Starttls(tls) => tls,
        }
    }
}

/// Sends an ICMP echo request.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Ping {
    /// The bytes of its payload; at most 65507, default: 56.
    pub size: u16,
}
