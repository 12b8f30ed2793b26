//! Checks that ask for pages.

use std::collections::BTreeMap;
use std::fmt;

use lb_health::digest::Digest;

use super::{Pattern, Tls};

/// Asks for one page or several: all must be as expected.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Http {
    /// How TLS is spoken: there for `https`, and only there.
    pub tls: Option<Tls>,
    /// What is asked for: at least one page, no path twice; default: `/`.
    pub pages: Vec<Page>,
    /// The method, in capitals; default: `GET`.
    pub method: String,
    /// The `Host` header; default: the address of the backend.
    pub host: Option<String>,
    /// Further headers; default: none.
    pub headers: Headers,
    /// What is sent after the headers; default: nothing.
    pub request_body: Option<String>,
    /// The version of HTTP; default: 1.1.
    pub version: HttpVersion,
    /// Whether the next run uses the connection again; default: no.
    pub keep_alive: bool,
}

/// Headers by name.
pub type Headers = BTreeMap<String, String>;

/// A page, and what must hold of the answer: everything that is given.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Page {
    /// What is asked for; starts with `/`, default: `/`.
    pub path: String,
    /// The status codes that pass: at least one range, default: 200 to 299.
    pub status: Vec<StatusRange>,
    /// Those by which the server asks for no new clients, which passes; default: none.
    pub drain_status: Vec<StatusRange>,
    /// The digest that the body must have (`md5` or `sha256`); default: any body passes.
    pub digest: Option<Digest>,
    /// What must be in the body; default: anything.
    pub body: Option<BodyRule>,
    /// The headers that must be there, or must not; default: none.
    pub expect_headers: Vec<HeaderRule>,
    /// The longest body that passes, in bytes; default: 1 MiB.
    pub body_limit: u32,
}

/// What must be in a body, or must not.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct BodyRule {
    /// A part of the body.
    pub text: Text,
    /// Whether it must not be there (`body_not`); default: no.
    pub absent: bool,
}

/// A header that an answer must have, or must not.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct HeaderRule {
    /// Its name, in any case.
    pub name: String,
    /// All of its value, or a pattern that is found in it.
    pub value: Text,
    /// Whether no header may be like that (`not`); default: no.
    pub absent: bool,
}

/// A text, or a pattern for it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Text {
    /// Exactly this.
    Is(String),
    /// Whatever this is found in.
    Matches(Pattern),
}

/// Versions of HTTP.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum HttpVersion {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    #[default]
    Http11,
    /// HTTP/2; without TLS by prior knowledge (RFC 9113, 3.3).
    Http2,
}

/// HTTP status codes from `first` to `last`, both included and within 100 to 599.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct StatusRange {
    /// The lowest code.
    pub first: u16,
    /// The highest code; not below `first`.
    pub last: u16,
}

impl StatusRange {
    /// Whether `code` is in the range.
    pub fn contains(self, code: u16) -> bool {
        (self.first..=self.last).contains(&code)
    }
}

impl fmt::Display for StatusRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, last } = self;
        if first == last { write!(f, "{first}") } else { write!(f, "{first}-{last}") }
    }
}
