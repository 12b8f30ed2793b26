//! What a socket reports of packets that had left.

use std::io;
use std::sync::Arc;

use super::CheckError;
use crate::trace::Phase;

impl CheckError {
    /// The cause of an error that a socket reported after its packets had left: by `SO_ERROR` once it had begun
    /// to connect, or by a receive.
    ///
    /// It is the network's word, or the target's, whatever its number is. Linux has one for each message of ICMP
    /// (`icmp_err_convert`, `icmpv6_err_convert`), and some are those of faults of this host as well: a target
    /// whose packet filter rejects by ICMPv6 is `EACCES` (RFC 4443 section 3.1, codes 1, 5 and 6). What
    /// `connect` or `send` answer at once is this host's, and for [`Self::from_io`].
    ///
    /// ```
    /// # #[cfg(target_os = "linux")] {
    /// use std::io;
    /// use lb_health::trace::Phase;
    /// use lb_health::CheckError;
    ///
    /// const EACCES: i32 = 13;
    /// let rejected = || io::Error::from_raw_os_error(EACCES);
    /// assert_eq!(CheckError::from_network(Phase::Connect, rejected()).cause(), "unreachable");
    /// assert!(CheckError::from_io(Phase::Connect, rejected()).is_local());
    /// # }
    /// ```
    pub fn from_network(phase: Phase, error: io::Error) -> Self {
        if error.raw_os_error().is_some_and(is_of_the_network) {
            return Self::Unreachable { source: Arc::new(error) };
        }
        Self::from_io(phase, error)
    }
}

/// Whether this is what Linux makes of a message of ICMP, and no cause of its own.
const fn is_of_the_network(number: i32) -> bool {
    // As numbered by `asm-generic/errno.h`: there is more to the features that bring names than names.
    const ACCESS: i32 = 13;
    const NO_NETWORK: i32 = 64;
    const PROTOCOL: i32 = 71;
    const MESSAGE_SIZE: i32 = 90;
    const NO_PROTOCOL: i32 = 92;
    const NOT_SUPPORTED: i32 = 95;
    const HOST_DOWN: i32 = 112;
    // MIPS and SPARC number them as the systems did that Linux followed there.
    cfg!(any(target_os = "android", target_os = "linux"))
        && !cfg!(any(
            target_arch = "mips",
            target_arch = "mips32r6",
            target_arch = "mips64",
            target_arch = "mips64r6",
            target_arch = "sparc",
            target_arch = "sparc64",
        ))
        && matches!(
            number,
            ACCESS | HOST_DOWN | MESSAGE_SIZE | NO_NETWORK | NO_PROTOCOL | NOT_SUPPORTED | PROTOCOL
        )
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::io::Errno;

    use super::*;

    fn from_network(errno: Errno) -> CheckError {
        CheckError::from_network(Phase::Response, errno.into())
    }

    /// Both tables of Linux, and what TCP has beside them.
    #[test]
    fn every_message_of_icmp_is_the_target_s() {
        let unreachable = [
            Errno::ACCESS,
            Errno::HOSTDOWN,
            Errno::HOSTUNREACH,
            Errno::MSGSIZE,
            Errno::NETUNREACH,
            Errno::NONET,
            Errno::NOPROTOOPT,
            Errno::OPNOTSUPP,
            Errno::PROTO,
        ];
        for errno in unreachable {
            let error = from_network(errno);
            assert_eq!((error.cause(), error.is_local()), ("unreachable", false), "{errno:?}");
        }
        assert_eq!(from_network(Errno::CONNREFUSED).cause(), "refused");
        assert_eq!(from_network(Errno::CONNRESET).cause(), "reset");
        assert_eq!(from_network(Errno::TIMEDOUT).cause(), "timeout-response");
    }

    #[test]
    fn what_this_host_ran_out_of_or_forbids_stays_its_own() {
        for errno in [Errno::NOMEM, Errno::NOBUFS, Errno::MFILE, Errno::PERM] {
            assert!(from_network(errno).is_local(), "{errno:?}");
        }
        let at_once = |errno: Errno| CheckError::from_io(Phase::Write, errno.into());
        for errno in [Errno::ACCESS, Errno::PERM, Errno::MSGSIZE] {
            assert!(at_once(errno).is_local(), "{errno:?}");
        }
    }
}
