//! What a client sees, and what goes over the wire.

use std::io::IoSliceMut;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use nix::net::if_::if_nameindex;
use nix::sys::socket::{ControlMessageOwned, LinkAddr, MsgFlags, recvmsg, setsockopt, sockopt};
use rustix::event::{PollFd, PollFlags, poll};
use socket2::{Domain, Protocol, Socket, Type};

use crate::lab::{Host, Lab, MS, enter, hurry};

/// How often the client asks.
const EVERY: Duration = Duration::from_millis(10);
const PORT: u16 = 7777;

/// A client that asks the address all the time, and the hosts that answer.
pub(crate) struct Probe {
    answers: Arc<Mutex<Vec<(Instant, u8)>>>,
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Probe {
    pub(crate) fn start(lab: &Lab, address: IpAddr) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let answers = Arc::new(Mutex::new(Vec::new()));
        let mut threads = Vec::new();
        for host in [Host::A, Host::B] {
            let (space, over) = (lab.space(host), Arc::clone(&over));
            threads.push(thread::spawn(move || {
                enter(&space);
                hurry();
                answer(address, host.number(), &over);
            }));
        }
        let (space, stop, seen) = (lab.client(), Arc::clone(&over), Arc::clone(&answers));
        threads.push(thread::spawn(move || {
            enter(&space);
            hurry();
            ask(address, &stop, &seen);
        }));
        Self { answers, over, threads }
    }

    /// The longest time without an answer since then.
    pub(crate) fn gap(&self, since: Instant) -> Duration {
        let answers = self.answers.lock().unwrap();
        let after = answers.iter().map(|(at, _)| *at).filter(|at| *at >= since);
        let points: Vec<_> = [since].into_iter().chain(after).chain([Instant::now()]).collect();
        points.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap()
    }

    /// Who answered last.
    pub(crate) fn last(&self) -> Option<u8> {
        self.answers.lock().unwrap().last().map(|(_, host)| *host)
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Answers from the address, whether it is here or not yet.
fn answer(address: IpAddr, number: u8, over: &AtomicBool) {
    let socket =
        Socket::new(Domain::for_address((address, PORT).into()), Type::DGRAM, None).unwrap();
    match address {
        IpAddr::V4(_) => socket.set_freebind_v4(true).unwrap(),
        IpAddr::V6(_) => socket.set_freebind_v6(true).unwrap(),
    }
    socket.bind(&SocketAddr::from((address, PORT)).into()).unwrap();
    socket.set_read_timeout(Some(50 * MS)).unwrap();
    let socket = UdpSocket::from(socket);
    let mut buffer = [0; 64];
    while !over.load(Ordering::Relaxed) {
        if let Ok((_, client)) = socket.recv_from(&mut buffer) {
            // It may just have lost the address.
            let _ = socket.send_to(&[number], client);
        }
    }
}

/// Every [`EVERY`], as exactly as a timer of the kernel is: what else there is to wait by (timeouts of
/// sockets) is counted in jiffies.
fn ask(address: IpAddr, over: &AtomicBool, answers: &Mutex<Vec<(Instant, u8)>>) {
    let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).unwrap();
    socket.set_nonblocking(true).unwrap();
    let target = SocketAddr::from((address, PORT));
    let mut next = Instant::now();
    let mut buffer = [0; 64];
    while !over.load(Ordering::Relaxed) {
        let _ = socket.send_to(&[0], target);
        next = (next + EVERY).max(Instant::now());
        loop {
            let left = next.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let timeout = left.try_into().unwrap();
            let _ = poll(&mut [PollFd::new(&socket, PollFlags::IN)], Some(&timeout));
            // Errors are what ICMP says of an earlier question.
            while let Ok((1, _)) = socket.recv_from(&mut buffer) {
                answers.lock().unwrap().push((Instant::now(), buffer[0]));
            }
        }
    }
}

/// An advertisement on the wire.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Advert {
    pub(crate) at: Instant,
    pub(crate) from: u8,
    /// Of several cables, by the third octet of its addresses.
    pub(crate) link: u8,
    pub(crate) vrid: u8,
    pub(crate) priority: u8,
    /// Whether its checksum is that of the message alone, without a pseudo-header.
    pub(crate) sums_message_alone: bool,
}

/// A gratuitous ARP on the wire.
#[derive(Clone, Debug)]
pub(crate) struct Announcement {
    at: Instant,
    /// As `ip` shows it.
    mac: String,
}

enum Said {
    Advert(Advert),
    Announcement(Announcement),
}

/// Hears everything that one host says and hears, on the interfaces that it has now: what is made on top
/// of them says and hears all of it a second time.
pub(crate) struct Sniffer {
    adverts: Arc<Mutex<Vec<Advert>>>,
    announcements: Arc<Mutex<Vec<Announcement>>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Sniffer {
    pub(crate) fn start(space: &str) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let adverts = Arc::<Mutex<Vec<_>>>::default();
        let announcements = Arc::<Mutex<Vec<_>>>::default();
        let (stop, heard) = (Arc::clone(&over), Arc::clone(&adverts));
        let announced = Arc::clone(&announcements);
        let all = Protocol::from(i32::from(0x0003_u16.to_be()));
        let (socket, interfaces) = Lab::inside(space, || {
            let all_there = if_nameindex().unwrap();
            let interfaces: Vec<_> = all_there.iter().map(|one| one.index() as usize).collect();
            let socket = Socket::new(Domain::PACKET, Type::RAW, Some(all)).unwrap();
            socket.set_recv_buffer_size(8 << 20).unwrap();
            socket.set_read_timeout(Some(50 * MS)).unwrap();
            setsockopt(&socket, sockopt::ReceiveTimestampns, &true).unwrap();
            (socket, interfaces)
        });
        let thread = thread::spawn(move || {
            hurry();
            let clocks = (Instant::now(), SystemTime::now());
            while !stop.load(Ordering::Relaxed) {
                match next(&socket, &interfaces, clocks) {
                    Some(Said::Advert(advert)) => heard.lock().unwrap().push(advert),
                    Some(Said::Announcement(one)) => announced.lock().unwrap().push(one),
                    None => {}
                }
            }
        });
        Self { adverts, announcements, over, thread: Some(thread) }
    }

    /// How often whoever has this MAC address announced an address since then.
    pub(crate) fn announced(&self, mac: &str, since: Instant) -> usize {
        let all = self.announcements.lock().unwrap();
        all.iter().filter(|one| one.mac == mac && one.at >= since).count()
    }

    /// All that a host said since then.
    pub(crate) fn said(&self, host: Host, since: Instant) -> Vec<Advert> {
        let adverts = self.adverts.lock().unwrap();
        let said = adverts.iter().filter(|one| one.from == host.number() && one.at >= since);
        said.copied().collect()
    }
}

/// How often both speak as masters although one is to give way: what the loser says after the winner's
/// first word.
pub(crate) fn words_after(winner: &[Advert], loser: &[Advert]) -> usize {
    let speaks = |one: &&Advert| one.priority > 0;
    let Some(first) = winner.iter().find(speaks) else { return 0 };
    loser.iter().filter(speaks).filter(|one| one.at > first.at).count()
}

impl Drop for Sniffer {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// The next frame, if it is of interest, and when it came: as the kernel says, who is not late.
fn next(
    socket: &Socket,
    interfaces: &[usize],
    (start, wall): (Instant, SystemTime),
) -> Option<Said> {
    let mut frame = [0; 2048];
    let mut slices = [IoSliceMut::new(&mut frame)];
    let mut ancillary = nix::cmsg_space!(nix::sys::time::TimeSpec);
    let (length, stamp) = {
        let descriptor = socket.as_raw_fd();
        let flags = MsgFlags::empty();
        let received =
            recvmsg::<LinkAddr>(descriptor, &mut slices, Some(&mut ancillary), flags).ok()?;
        if !interfaces.contains(&received.address?.ifindex()) {
            return None;
        }
        let stamp = received.cmsgs().ok()?.find_map(|message| match message {
            ControlMessageOwned::ScmTimestampns(stamp) => Some(Duration::from(stamp)),
            _ => None,
        });
        (received.bytes, SystemTime::UNIX_EPOCH + stamp?)
    };
    let at = start + stamp.duration_since(wall).unwrap_or_default();
    let frame = &frame[..length];
    let announcement = || parse_announcement(frame, at).map(Said::Announcement);
    parse(frame, at).map(Said::Advert).or_else(announcement)
}

/// ARP (RFC 826) about the sender's own address.
fn parse_announcement(frame: &[u8], at: Instant) -> Option<Announcement> {
    let packet = frame.get(14..)?;
    let is_arp = frame.get(12..14)? == [0x08, 0x06] && packet.get(..4)? == [0, 1, 8, 0];
    let is_own = packet.get(14..18)? == packet.get(24..28)?;
    let octets = packet.get(8..14)?.iter().map(|octet| format!("{octet:02x}"));
    let mac = octets.collect::<Vec<_>>().join(":");
    (is_arp && is_own).then_some(Announcement { at, mac })
}

/// The one's complement sum of a whole message (RFC 1071); all ones if its checksum covers no more.
fn sum(message: &[u8]) -> u16 {
    let words = message
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or_default()));
    let sum = words.sum::<u32>();
    let sum = (sum & 0xffff) + (sum >> 16);
    ((sum & 0xffff) + (sum >> 16)) as u16
}

/// VRRP over IPv4, with or without an authentication header, or over IPv6; hosts are known by the
/// last octet of their addresses.
fn parse(frame: &[u8], at: Instant) -> Option<Advert> {
    const AH: usize = 24;
    let packet = frame.get(14..)?;
    let (link, from, message) = match (frame.get(12..14)?, packet.first()? >> 4) {
        ([0x08, 0x00], 4) if packet[9] == 112 => (packet[14], packet[15], packet.get(20..)?),
        ([0x08, 0x00], 4) if packet[9] == 51 => (packet[14], packet[15], packet.get(20 + AH..)?),
        ([0x86, 0xdd], 6) if packet[6] == 112 => (0, packet[23], packet.get(40..)?),
        _ => return None,
    };
    let (vrid, priority) = (*message.get(1)?, *message.get(2)?);
    let sums_message_alone = sum(message) == 0xffff;
    Some(Advert { at, from, link, vrid, priority, sums_message_alone })
}
