//! Who else in this network namespace does what we do.

use super::name::Name;

/// So many processes in one network namespace know of each other.
const MOST: usize = 16;

/// That this process is here.
#[derive(Debug)]
pub(super) struct Presence {
    _name: Option<Name>,
    is_alone: bool,
}

impl Presence {
    /// Says that somebody is here who does `what`, and looks whether others have said so.
    pub(super) fn say(what: &str) -> Self {
        let name = |number: usize| format!("{what} {number}");
        let own = (0..MOST).find_map(|number| Some((number, Name::take(&name(number)).ok()?)));
        // Of two that come at the same moment each has its name before it looks.
        let is_own = |number| own.as_ref().is_some_and(|(own, _)| *own == number);
        let mut others = (0..MOST).filter(|number| !is_own(*number));
        let is_alone = own.is_some() && !others.any(|number| Name::is_held(&name(number)));
        Self { _name: own.map(|(_, name)| name), is_alone }
    }

    /// Whether nobody else was there who does the same, so that all that is marked was left by the dead.
    pub(super) const fn is_alone(&self) -> bool {
        self.is_alone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_comes_later_is_not_alone_also_when_the_first_has_come_again() {
        let what = format!("lb-vrrp test {}", std::process::id());
        let first = Presence::say(&what);
        assert!(first.is_alone());
        let second = Presence::say(&what);
        assert!(!second.is_alone());
        drop(first);
        let again = Presence::say(&what);
        assert!(!again.is_alone(), "the second one lives");
        drop((second, again));
        assert!(Presence::say(&what).is_alone());
    }

    #[test]
    fn with_no_name_left_nobody_is_alone() {
        let what = format!("lb-vrrp test of many {}", std::process::id());
        let all: Vec<_> = (0..MOST).map(|_| Presence::say(&what)).collect();
        assert_eq!(all.iter().filter(|one| one.is_alone()).count(), 1);
        assert!(!Presence::say(&what).is_alone());
    }
}
