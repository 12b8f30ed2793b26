//! Whatever a name server sends: it is an answer or is refused with a reason, never a panic; and
//! what does not echo the question is no answer.
#![cfg_attr(feature = "fuzzer", no_main)]

use std::sync::LazyLock;

use fuzz::arbitrary::{self, Arbitrary};
use lb_health::CheckError;
use lb_health::checkers::{Dns, DnsReply};
use lb_health::trace::{Evidence, Excerpt};

fuzz::target!(|input: Input| input.run());

#[derive(Arbitrary, Debug)]
struct Input {
    asked: usize,
    id: u16,
    way: Way,
    octets: Vec<u8>,
}

#[derive(Arbitrary, Debug)]
enum Way {
    /// The whole message.
    Message,
    /// What follows the question, which is echoed with these flags and counts.
    Records { flags: u16, counts: [u8; 3] },
}

/// Questions, with what is expected, over every way that data of records is laid out.
static QUESTIONS: LazyLock<Vec<Dns>> = LazyLock::new(|| {
    [
        (".", "SOA", ""),
        ("www.example.org", "A", "192.0.2.1"),
        ("www.example.org", "AAAA", "2001:db8::1"),
        ("example.org", "MX", "10 mail.example.org"),
        ("example.org", "TXT", "\"v=spf1 -all\""),
        ("_http._tcp.example.org", "SRV", "0 5 80 www.example.org"),
        ("example.org", "RRSIG", ""),
        ("example.org", "NSEC3", ""),
        ("example.org", "SVCB", ""),
    ]
    .into_iter()
    .filter_map(|(name, record, answer)| {
        let dns = Dns::new(name, record).ok()?;
        if answer.is_empty() { Some(dns.requiring_answer()) } else { dns.expecting(answer).ok() }
    })
    .collect()
});

impl Input {
    fn run(self) {
        assert_eq!(QUESTIONS.len(), 9);
        let dns = &QUESTIONS[self.asked % QUESTIONS.len()];
        let query = dns.query(self.id);
        let reply = match self.way {
            Way::Message => self.octets,
            Way::Records { flags, counts } => {
                let mut reply = [query.clone(), self.octets].concat();
                reply[2..4].copy_from_slice(&flags.to_be_bytes());
                (0..3).for_each(|section| reply[7 + 2 * section] = counts[section]);
                reply
            }
        };
        let mut evidence = Evidence::default();
        let result = dns.judge(self.id, &reply, &mut evidence);
        // What is no UTF-8 takes three bytes to say so.
        assert!(evidence.received.as_str().len() <= 3 * Excerpt::LIMIT);
        let right_number = reply.starts_with(&query[..2]);
        match result {
            Ok(DnsReply::NotOurs) => assert!(!right_number),
            Ok(DnsReply::Answered | DnsReply::Truncated) => {
                assert!(right_number && reply[2] & 0x80 != 0 && reply[3] & 0xf == 0);
                assert_eq!((reply[2] & 2 != 0), result.is_ok_and(|it| it == DnsReply::Truncated));
                // The first name of a message can be no reference to another.
                assert!(reply[12..query.len()].eq_ignore_ascii_case(&query[12..]));
            }
            Err(error) => {
                assert!(matches!(error, CheckError::Protocol { .. } | CheckError::Rejected { .. }));
            }
        }
    }
}
