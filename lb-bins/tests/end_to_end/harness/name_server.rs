//! A name server that says what a test wants.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// What is said of a name.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// It stands for these addresses, for so many seconds.
    Addresses(Vec<Ipv4Addr>, u32),
    /// The server cannot tell.
    Failure,
    /// Nothing at all.
    Silence,
}

type Zone = Arc<Mutex<HashMap<String, Answer>>>;

/// A name server on loopback, over UDP; it knows of no other names.
pub(crate) struct NameServer {
    address: SocketAddr,
    zone: Zone,
    asked: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl NameServer {
    pub(crate) fn start() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let address = socket.local_addr().unwrap();
        let (zone, asked, over) = (Zone::default(), Arc::default(), Arc::default());
        let thread = thread::spawn({
            let (zone, asked) = (Arc::clone(&zone), Arc::<AtomicU64>::clone(&asked));
            let over = Arc::<AtomicBool>::clone(&over);
            move || {
                let mut query = [0; 1500];
                while !over.load(Ordering::SeqCst) {
                    let Ok((length, from)) = socket.recv_from(&mut query) else { continue };
                    asked.fetch_add(1, Ordering::SeqCst);
                    if let Some(answer) = answer(&query[..length], &zone) {
                        let _ = socket.send_to(&answer, from);
                    }
                }
            }
        });
        Self { address, zone, asked, over, thread: Some(thread) }
    }

    /// The key that has it asked.
    pub(crate) fn key(&self) -> String {
        format!("resolvers = [\"{}\"]\n", self.address)
    }

    /// How often it was asked for anything.
    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }

    pub(crate) fn say(&self, name: &str, answer: Answer) {
        self.zone.lock().unwrap().insert(name.to_owned(), answer);
    }

    /// The name stands for these last numbers of 127.0.0.0/8, for a second.
    pub(crate) fn stands_for(&self, name: &str, hosts: &[u8]) {
        let addresses = hosts.iter().map(|&host| Ipv4Addr::new(127, 0, 0, host));
        self.say(name, Answer::Addresses(addresses.collect(), 1));
    }

    pub(crate) fn forget(&self, name: &str) {
        self.zone.lock().unwrap().remove(name);
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// The answer to a query of one question (RFC 1035, 4).
fn answer(query: &[u8], zone: &Zone) -> Option<Vec<u8>> {
    let (mut name, mut at) = (Vec::new(), 12);
    while let length @ 1.. = usize::from(*query.get(at)?) {
        name.push(String::from_utf8_lossy(query.get(at + 1..at + 1 + length)?).to_lowercase());
        at += 1 + length;
    }
    let question = query.get(12..at + 5)?;
    let asks_for_a = query.get(at + 1..at + 3)? == [0, 1];
    let known = zone.lock().unwrap().get(&name.join(".")).cloned();
    let (code, addresses, lives) = match known {
        None => (3, Vec::new(), 0),
        Some(Answer::Failure) => (2, Vec::new(), 0),
        Some(Answer::Silence) => return None,
        Some(Answer::Addresses(addresses, lives)) => (0, addresses, lives),
    };
    let addresses = if asks_for_a { addresses } else { Vec::new() };
    let mut answer = query[..2].to_vec();
    answer.extend([0x81, 0x80 | code, 0, 1, 0, addresses.len() as u8, 0, 0, 0, 0]);
    answer.extend(question);
    for address in addresses {
        answer.extend([0xc0, 12, 0, 1, 0, 1]);
        answer.extend(lives.to_be_bytes());
        answer.extend([0, 4]);
        answer.extend(address.octets());
    }
    Some(answer)
}
