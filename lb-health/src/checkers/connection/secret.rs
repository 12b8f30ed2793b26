//! What must not show up in a log.

use std::fmt;
use std::sync::Arc;

/// A password. It prints as that it is one.
#[derive(Clone, Eq, PartialEq)]
pub(in crate::checkers) struct Secret(Arc<str>);

impl Secret {
    /// The password itself.
    pub(in crate::checkers) fn expose(&self) -> &str {
        &self.0
    }
}

impl<T: Into<Arc<str>>> From<T> for Secret {
    fn from(secret: T) -> Self {
        Self(secret.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}
