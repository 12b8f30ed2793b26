//! Programs that begin: the kernel tells who asks (its process events connector).

use std::fs::metadata;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;

use rustix::net::netlink::{CONNECTOR, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, send, socket_with,
};
use socket2::{SockFilter, SockRef};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// `CN_IDX_PROC`, `CN_VAL_PROC`: the group, and what is asked there.
const PROCESSES: u32 = 1;
/// `PROC_CN_MCAST_LISTEN`.
const LISTEN: u32 = 1;
/// `PROC_EVENT_EXEC` and `PROC_EVENT_COMM`: another program, or another name.
const EXEC: u32 = 0x2;
const RENAMED: u32 = 0x200;
/// `struct nlmsghdr` and `struct cn_msg`, behind which is `struct proc_event`.
const HEADERS: usize = 16 + 20;
/// Where in that the process is (`process_tgid`).
const PROCESS: usize = HEADERS + 20;

/// The initial namespaces of processes and users (`PROC_PID_INIT_INO`, `PROC_USER_INIT_INO`): whoever is
/// in another one is told nothing, without a word, or of processes by numbers that mean nothing there.
const INITIAL: [(&str, u64); 2] =
    [("/proc/self/ns/pid", 0xEFFF_FFFC), ("/proc/self/ns/user", 0xEFFF_FFFD)];

/// Drops all other events, as there are several for each process. Numbers are in the order of the host,
/// words of a filter in that of the network.
const ONLY_THESE: [SockFilter; 5] = [
    SockFilter::new(0x20, 0, 0, HEADERS as u32), // load what happened
    SockFilter::new(0x15, 1, 0, EXEC.to_be()),
    SockFilter::new(0x15, 0, 1, RENAMED.to_be()),
    SockFilter::new(0x06, 0, 0, 0xffff), // take
    SockFilter::new(0x06, 0, 0, 0),      // drop
];

/// A socket that hears of them.
#[derive(Debug)]
pub(super) struct Births(AsyncFd<OwnedFd>);

impl Births {
    /// Begins to hear. Must be called within a runtime.
    ///
    /// # Errors
    /// It takes `CAP_NET_ADMIN` and the initial namespaces (of the network, too), and a kernel with
    /// `CONFIG_PROC_EVENTS`.
    #[allow(deprecated, reason = "the successor is unsafe, for what cannot happen to an `OwnedFd`")]
    pub(super) fn listen() -> io::Result<Self> {
        for (namespace, number) in INITIAL {
            if metadata(namespace)?.ino() != number {
                return Err(io::ErrorKind::Unsupported.into());
            }
        }
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket =
            socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, Some(CONNECTOR))?;
        SockRef::from(&socket).attach_filter(&ONLY_THESE)?;
        bind(&socket, &SocketAddrNetlink::new(0, 1 << (PROCESSES - 1)))?;
        send(&socket, &request(), SendFlags::empty())?;
        AsyncFd::with_interest(socket, Interest::READABLE).map(Self)
    }

    /// The next process that is another program, or has another name. Cancel safe.
    ///
    /// # Errors
    /// Some were lost, or the socket is of no use any more.
    pub(super) async fn next(&self) -> io::Result<i32> {
        let mut message = [0; 128];
        loop {
            let mut ready = self.0.readable().await?;
            let received = ready
                .try_io(|socket| Ok(recv(socket.get_ref(), &mut message, RecvFlags::empty())?.0));
            // Else nothing was there after all.
            if let Ok(length) = received
                && let Some(process) = message.get(..length?).and_then(process)
            {
                return Ok(process);
            }
        }
    }
}

/// What begins it.
fn request() -> [u8; HEADERS + 4] {
    let mut message = [0; HEADERS + 4];
    let length = message.len() as u32;
    // `NLMSG_DONE`; then the group, what is asked, and the length of what follows.
    for (at, word) in [(0, length), (4, 3), (16, PROCESSES), (20, PROCESSES), (32, 4)] {
        message[at..at + 4].copy_from_slice(&word.to_ne_bytes());
    }
    if cfg!(target_endian = "big") {
        // Two numbers of 16 bits were written as one.
        message.copy_within(6..8, 4);
        message.copy_within(34..36, 32);
        message[6..8].fill(0);
        message[34..36].fill(0);
    }
    message[HEADERS..].copy_from_slice(&LISTEN.to_ne_bytes());
    message
}

/// The process in an event.
fn process(message: &[u8]) -> Option<i32> {
    let bytes = message.get(PROCESS..PROCESS + 4)?.try_into().ok()?;
    Some(i32::from_ne_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    #[ignore = "needs root"]
    async fn whoever_begins_is_heard_of() {
        // In a container it cannot be.
        let Ok(births) = Births::listen() else { return };
        let mut child = std::process::Command::new("/bin/sleep").arg("9").spawn().unwrap();
        let number = i32::try_from(child.id()).unwrap();
        let heard = async { while births.next().await.unwrap() != number {} };
        let heard = timeout(Duration::from_secs(5), heard).await;
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(heard.is_ok());
    }
}
