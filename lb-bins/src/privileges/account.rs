//! Users and groups by name or number.

use nix::unistd::{Gid, Group, Uid, User};

use crate::config::Account;

/// A user that is there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Identity {
    /// Its number.
    pub uid: u32,
    /// That of its group.
    pub gid: u32,
    /// Its name, if it has one.
    pub name: Option<String>,
}

/// A user or a group that is not there.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AccountError {
    /// There is no such group.
    #[error("there is no group `{name}` on this host")]
    NoGroup {
        /// As it is written.
        name: String,
    },
    /// There is no such user.
    #[error("there is no user `{name}` on this host")]
    NoUser {
        /// As it is written.
        name: String,
    },
    /// A number that nobody has says nothing of a group.
    #[error("user {uid} is not known on this host, so that its group must be said: `{uid}:GROUP`")]
    GroupNeeded {
        /// The number.
        uid: u32,
    },
}

impl Identity {
    /// Looks an account up on this host, which may take a while.
    ///
    /// # Errors
    /// [`AccountError`].
    pub fn of(account: &Account) -> Result<Self, AccountError> {
        let name = || account.user.clone();
        // What cannot be looked up is not there.
        let by_name = User::from_name(&account.user).ok().flatten();
        let number = account.user.parse().ok();
        let by_number = || User::from_uid(Uid::from_raw(number?)).ok().flatten();
        let user = by_name.or_else(by_number);
        let uid = match (&user, number) {
            (Some(user), _) => user.uid.as_raw(),
            (None, Some(number)) => number,
            (None, None) => return Err(AccountError::NoUser { name: name() }),
        };
        let gid = match (&account.group, &user) {
            (Some(group), _) => self::group(group)?,
            (None, Some(user)) => user.gid.as_raw(),
            (None, None) => return Err(AccountError::GroupNeeded { uid }),
        };
        Ok(Self { uid, gid, name: user.map(|user| user.name) })
    }
}

/// What the user that this process runs as is called; its number, if it has no name.
pub(crate) fn own_name() -> String {
    let own = Uid::current();
    let user = User::from_uid(own).ok().flatten();
    user.map_or_else(|| own.to_string(), |user| user.name)
}

fn group(name: &str) -> Result<u32, AccountError> {
    let known = Group::from_name(name).ok().flatten().map(|group| group.gid);
    let gid = known.or_else(|| name.parse().ok().map(Gid::from_raw));
    gid.map(Gid::as_raw).ok_or_else(|| AccountError::NoGroup { name: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<(u32, u32), AccountError> {
        let account = Account::parse(text).unwrap();
        Identity::of(&account).map(|identity| (identity.uid, identity.gid))
    }

    #[test]
    fn names_and_numbers_are_found() {
        assert_eq!(of("root"), Ok((0, 0)));
        assert_eq!(of("0"), Ok((0, 0)));
        assert_eq!(of("4000000000:0"), Ok((4_000_000_000, 0)));
        assert_eq!(of("4000000000"), Err(AccountError::GroupNeeded { uid: 4_000_000_000 }));
        assert_eq!(of("nobody-here"), Err(AccountError::NoUser { name: "nobody-here".into() }));
        assert_eq!(of("root:none"), Err(AccountError::NoGroup { name: "none".into() }));
    }
}
