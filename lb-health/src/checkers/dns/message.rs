//! Questions and answers of the DNS (RFC 1035), without a network.

use std::fmt::Write;

use domain::base::iana::{Class, Rcode, Rtype};
use domain::base::name::ToName;
use domain::base::rdata::ComposeRecordData;
use domain::base::scan::IterScanner;
use domain::base::{Message, MessageBuilder, Name, ParsedName, RecordSection};
use domain::rdata::{AllRecordData, ZoneRecordData};

use super::{Dns, DnsError};
use crate::CheckError;
use crate::trace::{Evidence, Excerpt};

/// What a message is to somebody who waits for an answer. See [`Dns::judge`].
///
/// ```
/// use lb_health::trace::Evidence;
/// use lb_health::checkers::{Dns, DnsReply};
///
/// let dns = Dns::default();
/// let mut reply = dns.query(7);
/// reply[2] |= 0x80; // now it says that it answers
/// assert_eq!(dns.judge(7, &reply, &mut Evidence::default())?, DnsReply::Answered);
/// assert_eq!(dns.judge(8, &reply, &mut Evidence::default())?, DnsReply::NotOurs);
/// # Ok::<(), lb_health::CheckError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DnsReply {
    /// The answer that is expected.
    Answered,
    /// It bears another number. Whoever sent it, it proves nothing (RFC 5452, 9.1).
    NotOurs,
    /// There is more than a datagram holds: to be asked again over TCP (RFC 7766, 5).
    Truncated,
}

/// The question, and what is expected in answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Question {
    name: Name<Vec<u8>>,
    record: Rtype,
    /// Data in canonical form (RFC 4034, 6.2), so that spelling does not matter.
    expected: Vec<(Vec<u8>, String)>,
    pub(super) needs_answer: bool,
}

impl Question {
    pub(super) fn new(name: &str, record: &str) -> Result<Self, DnsError> {
        Ok(Self {
            name: name.parse().map_err(|_| DnsError::Name { name: name.into() })?,
            record: record.parse().map_err(|_| DnsError::Record { record: record.into() })?,
            expected: Vec::new(),
            needs_answer: false,
        })
    }

    pub(super) fn root() -> Self {
        let (name, record) = (Name::root_vec(), Rtype::SOA);
        Self { name, record, expected: Vec::new(), needs_answer: false }
    }

    pub(super) fn expect(&mut self, answer: &str) -> Result<(), DnsError> {
        let mut scanner = IterScanner::<_, Vec<u8>>::new(words(answer));
        let data = ZoneRecordData::<Vec<u8>, Name<Vec<u8>>>::scan(self.record, &mut scanner);
        let data = data.ok().filter(|_| scanner.is_exhausted());
        let data = match data {
            Some(data) => canonical(&data),
            // Text that no zone file has in one piece, such as a key of 400 characters.
            None if self.record == Rtype::TXT && !answer.is_empty() => Vec::new(),
            None => {
                let (answer, record) = (answer.into(), self.record.to_string());
                return Err(DnsError::Answer { answer, record });
            }
        };
        self.expected.push((data, answer.into()));
        Ok(())
    }
}

/// The words of an entry of a zone file; one in quotes may hold spaces.
fn words(entry: &str) -> Vec<String> {
    let mut words = vec![];
    let (mut word, mut quoted, mut begun) = (String::new(), false, false);
    let mut characters = entry.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => {
                quoted = !quoted;
                begun = true;
            }
            space if space.is_ascii_whitespace() && !quoted => {
                if std::mem::take(&mut begun) {
                    words.push(std::mem::take(&mut word));
                }
            }
            character => {
                word.push(character);
                begun = true;
                if character == '\\' {
                    word.extend(characters.next());
                }
            }
        }
    }
    if begun {
        words.push(word);
    }
    words
}

/// The text of a TXT record, which is in strings of 255 bytes at most that belong together (RFC 7208, 3.3).
fn joined(mut data: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(data.len());
    while let Some((&length, rest)) = data.split_first() {
        let (string, rest) = rest.split_at(rest.len().min(length.into()));
        text.extend_from_slice(string);
        data = rest;
    }
    text
}

fn canonical(data: &impl ComposeRecordData) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Memory takes any.
    let Ok(()) = data.compose_canonical_rdata(&mut bytes);
    bytes
}

impl Dns {
    /// The question as a message of this number.
    pub fn query(&self, id: u16) -> Vec<u8> {
        let mut message = MessageBuilder::new_vec();
        message.header_mut().set_id(id);
        message.header_mut().set_rd(true);
        let mut message = message.question();
        // It fails above 64 KiB only.
        let _ = message.push((&self.question.name, self.question.record));
        message.finish()
    }

    /// What `reply` is to who asked the question of number `id`; what it says becomes evidence.
    ///
    /// # Errors
    /// [`CheckError::Protocol`] if it is no answer to the question, [`CheckError::Rejected`] if it
    /// is one but not the expected one.
    pub fn judge(
        &self,
        id: u16,
        reply: &[u8],
        evidence: &mut Evidence,
    ) -> Result<DnsReply, CheckError> {
        let message = Message::from_octets(reply).map_err(CheckError::protocol)?;
        let header = message.header();
        if header.id() != id {
            return Ok(DnsReply::NotOurs);
        }
        if !header.qr() {
            return Err(CheckError::protocol("a question in answer to a question"));
        }
        let rcode = header.rcode();
        // Who refuses need not say what (RFC 1035 leaves it open, and servers differ).
        let names_question = message.header_counts().qdcount() > 0;
        if names_question || rcode == Rcode::NOERROR {
            let asked = message.sole_question().map_err(CheckError::protocol)?;
            let Question { name, record, .. } = &*self.question;
            let same = asked.qname().name_eq(name) && asked.qtype() == *record;
            if !same || asked.qclass() != Class::IN {
                return Err(CheckError::protocol("an answer to another question"));
            }
        }
        if rcode != Rcode::NOERROR {
            evidence.received(rcode.to_string());
            return Err(CheckError::rejected(format!("the answer is {rcode}")));
        }
        if header.tc() {
            return Ok(DnsReply::Truncated);
        }
        let answer = message.answer().map_err(CheckError::protocol)?;
        self.question.hold_against(answer, evidence)?;
        Ok(DnsReply::Answered)
    }
}

impl Question {
    fn hold_against(
        &self,
        answer: RecordSection<'_, &[u8]>,
        evidence: &mut Evidence,
    ) -> Result<(), CheckError> {
        let mut found = vec![false; self.expected.len()];
        let mut said = String::from("NOERROR");
        let mut count = 0;
        for record in answer {
            let record = record.map_err(CheckError::protocol)?;
            if (record.rtype(), record.class()) != (self.record, Class::IN) {
                continue;
            }
            let record = record.into_any_record::<AllRecordData<&[u8], ParsedName<&[u8]>>>();
            let record = record.map_err(CheckError::protocol)?;
            count += 1;
            if said.len() < Excerpt::LIMIT {
                let _ = write!(said, " {}", record.data());
            }
            if !found.is_empty() {
                let data = canonical(record.data());
                let text = (self.record == Rtype::TXT).then(|| joined(&data));
                for (found, (expected, written)) in found.iter_mut().zip(&self.expected) {
                    *found |= *expected == data || text.as_deref() == Some(written.as_bytes());
                }
            }
        }
        evidence.received(said);
        match found.iter().zip(&self.expected).find(|(found, _)| !**found) {
            Some((_, (_, missing))) => {
                Err(CheckError::rejected(format!("{missing} is not among the {count} answers")))
            }
            None if count == 0 && self.needs_answer => {
                Err(CheckError::rejected(format!("there is no {} record", self.record)))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelling_does_not_matter() {
        for (record, spellings) in [
            ("AAAA", &["2001:db8::1", "2001:DB8:0:0:0:0:0:1"][..]),
            ("MX", &["10 mail.example.org", "10   MAIL.example.org."]),
            ("NS", &["a.root-servers.net", "A.ROOT-SERVERS.NET."]),
            ("SRV", &["0 5 443 www.example.org", "0 5 0443 WWW.example.org."]),
            ("TXT", &[r#""a b" c"#, r#""a\032b" "c""#, r"a\ b c"]),
        ] {
            let mut question = Question::new("example.org", record).unwrap();
            spellings.iter().for_each(|spelling| question.expect(spelling).unwrap());
            let (first, _) = &question.expected[0];
            assert!(question.expected.iter().all(|(data, _)| data == first), "{spellings:?}");
        }
    }
}
