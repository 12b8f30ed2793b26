//! Users of this host.

use std::fmt;

/// A user, and perhaps another group than that user's own: `nobody`, `nobody:nogroup`; numbers will do.
/// Whether there is such a user is not known here.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Account {
    /// Its name or number.
    pub user: String,
    /// The name or number of a group; default: that of the user.
    pub group: Option<String>,
}

impl Account {
    /// Reads `user` or `user:group`.
    pub fn parse(text: &str) -> Option<Self> {
        let is_word =
            |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_graphic() && c != ':');
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        };
        let fits = is_word(user) && group.is_none_or(is_word);
        fits.then(|| Self { user: user.to_owned(), group: group.map(str::to_owned) })
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.user)?;
        match &self.group {
            Some(group) => write!(f, ":{group}"),
            None => Ok(()),
        }
    }
}
