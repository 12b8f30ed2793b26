//! What an agent beside a backend wants to be done with it.

use lb_core::health::Admin;

/// What an agent beside a backend wants to be done with it, but for its health: part of a
/// [`Report`](crate::Report).
///
/// It is advice, since an administrator's word stands above it; and it holds until the next report
/// of the same check: what that does not repeat is over, unless it [amends](crate::Report::amends). A [`Monitor`](crate::Monitor) makes a
/// weight and a limit of it (C2): a backend that is to take no clients has no weight, one that is to
/// have a share has that share of whatever weight holds, and what it is to have at most stands in
/// place of what is configured.
///
/// ```
/// use lb_core::health::Admin;
/// use lb_health::advice::Advice;
/// use lb_health::Report;
///
/// let advice = Advice { admin: Some(Admin::Drain), ..Advice::NONE };
/// assert!(advice.drains());
/// assert_eq!(Report::ALIVE.advice, Advice::NONE); // most checks have none
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Advice {
    /// Whether it is to take clients.
    pub admin: Option<Admin>,
    /// The most connections that it is to have, 0 for as many as come; in place of those configured.
    pub max_connections: Option<u32>,
    /// The weight that it is to have, in percent of the configured one, or of the administrator's in
    /// its place. It may be above 100.
    pub percent: Option<u16>,
}

impl Advice {
    /// Nothing special.
    pub const NONE: Self = Self { admin: None, max_connections: None, percent: None };

    /// Whether no new client is to come. An agent's `maint` is no more than that: what is going on
    /// is the administrator's to end.
    pub const fn drains(self) -> bool {
        !matches!(self.admin, None | Some(Admin::Ready))
    }
}
