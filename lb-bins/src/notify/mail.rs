//! Mail about changes: changes that come together are one mail, and a server that hangs or refuses
//! is asked again until it is hopeless.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use httpdate::fmt_http_date;
use lettre::address::{AddressError, Envelope};
use lettre::message::Mailbox;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::transport::smtp::Error as SmtpError;
use lettre::{AsyncTransport, Message};
use serde::Serialize;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::{debug, error, info, warn};

use super::News;
use super::submission::Submission;
use crate::backoff::Backoff;
use crate::checkers::CheckConfigError;
use crate::config::{Config, Mail};

/// What follows within this time goes into the same mail: checks find out about one broken switch
/// at different times.
const COLLECTING: Duration = Duration::from_secs(2);
/// News beyond this many wait nowhere: the server has been gone for too long.
const QUEUE: usize = 1024;
/// A server that does not take a mail within this time hangs.
pub(super) const LONGEST_SENDING: Duration = Duration::from_secs(20);
/// How long after a failure the server is asked again: this, and twice as long each time, up to …
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Nobody wants to read it after that.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(60 * 60);
/// The headers of a mail are no place for a long story.
const LONGEST_SUBJECT: usize = 150;

/// Whom mail is for, whom it is from, and by which server it goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Letter {
    config: Mail,
    submission: Submission,
    from: Mailbox,
    to: Vec<Mailbox>,
    host: String,
}

/// Mail that cannot be sent, to anybody.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MailError {
    /// An address is none.
    #[error("smtp: `{address}` is not an address for mail: {source}")]
    Address {
        /// As it is written.
        address: String,
        /// Why not.
        #[source]
        source: AddressError,
    },
    /// A file that TLS or the login needs is not as it should be.
    #[error("smtp: {0}")]
    Files(#[source] CheckConfigError),
    /// TLS cannot be set up.
    #[error("smtp: {0}")]
    Tls(#[source] SmtpError),
}

/// What became of the mail.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct MailStatus {
    /// Mails that the server took.
    pub sent_total: u64,
    /// Attempts that failed; most are repeated.
    pub failures_total: u64,
    /// Mails that the server refused for good, or that were given up.
    pub abandoned_total: u64,
    /// Changes that are in no mail, because too many waited.
    pub lost_total: u64,
}

#[derive(Debug, Default)]
struct Counters {
    sent: AtomicU64,
    failures: AtomicU64,
    abandoned: AtomicU64,
    lost: AtomicU64,
    /// Changes that wait, or whose mail does.
    unsent: AtomicU64,
}

/// Sends mail in a task of its own.
#[derive(Debug)]
pub struct Mailer {
    letter: watch::Sender<Arc<Letter>>,
    queue: mpsc::Sender<(SystemTime, News)>,
    worker: JoinHandle<()>,
    counters: Arc<Counters>,
}

impl Letter {
    /// The mail of a configuration, if it has any. Reads the files that it needs.
    ///
    /// # Errors
    /// [`MailError`], as of [`new`](Self::new).
    pub fn of(config: &Config) -> Result<Option<Arc<Self>>, MailError> {
        config.smtp.as_ref().map(|mail| Self::new(mail).map(Arc::new)).transpose()
    }

    /// What mail looks like that is sent as `config` says. Reads the files that it needs.
    ///
    /// # Errors
    /// [`MailError`], if an address is none, or a file is not as it should be.
    pub fn new(config: &Mail) -> Result<Self, MailError> {
        let mailbox = |address: &String| match address.parse() {
            Ok(parsed) => Ok(Mailbox::new(None, parsed)),
            Err(source) => Err(MailError::Address { address: address.clone(), source }),
        };
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let helo = config.helo.clone().unwrap_or_else(|| host.clone());
        Ok(Self {
            config: config.clone(),
            submission: Submission::new(config, helo)?,
            from: mailbox(&config.from)?,
            to: config.to.iter().map(mailbox).collect::<Result<_, _>>()?,
            host,
        })
    }

    /// One mail about all of `news`, of which `lost` others should have been part.
    fn write(
        &self,
        news: &[(SystemTime, News)],
        lost: u64,
    ) -> Result<Vec<u8>, lettre::error::Error> {
        let headline = headline(news);
        let mut subject: String =
            format!("{}: {headline}", self.host).chars().take(LONGEST_SUBJECT).collect();
        if news.len() > 1 {
            subject += &format!(" (and {} more)", news.len() - 1);
        }
        let mut text = String::new();
        for (at, News { what, why, .. }) in news {
            // Short lines, which need no encoding on their way.
            text += &format!("{}\n  {what}\n", fmt_http_date(*at));
            if let Some(why) = why {
                text += &format!("  {why}\n");
            }
        }
        if lost > 0 {
            text += &format!("\n{lost} more changes are in no mail: too many waited.\n");
        }
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (number, process) = (since_epoch.as_nanos(), std::process::id());
        // Nobody's absence is to be told to a program (RFC 3834).
        let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
        let mut mail = Message::builder()
            .from(self.from.clone())
            .subject(subject)
            .message_id(Some(format!("<{number}.{process}@{}>", self.host)))
            .raw_header(HeaderValue::new(automatic, "auto-generated".to_owned()))
            .header(ContentType::TEXT_PLAIN);
        for to in &self.to {
            mail = mail.to(to.clone());
        }
        Ok(mail.body(text)?.formatted())
    }

    async fn send(&self, to: &[Mailbox], mail: &[u8]) -> Result<(), Refusal> {
        let to = to.iter().map(|to| to.email.clone()).collect();
        let Ok(envelope) = Envelope::new(Some(self.from.email.clone()), to) else {
            // It is for nobody.
            return Ok(());
        };
        let sending = self.submission.transport().send_raw(&envelope, mail);
        match timeout(LONGEST_SENDING, sending).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(Refusal::Smtp(error)),
            Err(_) => Err(Refusal::Hangs),
        }
    }
}

/// The worst that is so at the end, for those who read no more than the subject; of what is as bad, the last.
fn headline(news: &[(SystemTime, News)]) -> &str {
    let mut known = HashSet::new();
    let is_so = news.iter().rev().filter(|(_, news)| known.insert(&*news.about));
    let worst = is_so.map(|(_, news)| news).min_by_key(|news| Reverse(news.gravity));
    worst.map_or("changes", |news| &news.what)
}

impl Mailer {
    /// Starts to send. Must be called within a runtime.
    pub fn start(letter: Arc<Letter>) -> Self {
        let (queue, news) = mpsc::channel(QUEUE);
        let counters = Arc::<Counters>::default();
        let (letter, letters) = watch::channel(letter);
        let post = Post { letters, counters: Arc::clone(&counters) };
        Self { letter, queue, worker: tokio::spawn(post.run(news)), counters }
    }

    /// Sends this letter from now on: what waits as well, at once, to whoever has not got it yet.
    pub fn change(&self, letter: Arc<Letter>) {
        self.letter.send_if_modified(|known| {
            let is_another = *known != letter;
            if is_another {
                *known = letter;
            }
            is_another
        });
    }

    /// Puts this into the next mail.
    pub fn tell(&self, news: News) {
        self.counters.unsent.fetch_add(1, Ordering::Relaxed);
        if self.queue.try_send((SystemTime::now(), news)).is_err() {
            self.counters.unsent.fetch_sub(1, Ordering::Relaxed);
            let lost = self.counters.lost.fetch_add(1, Ordering::Relaxed);
            if lost == 0 {
                warn!("{QUEUE} changes wait for the mail server: others are in no mail");
            }
        }
    }

    /// What became of it all.
    pub fn status(&self) -> MailStatus {
        let Counters { sent, failures, abandoned, lost, .. } = &*self.counters;
        let [sent_total, failures_total, abandoned_total, lost_total] =
            [sent, failures, abandoned, lost].map(|count| count.load(Ordering::Relaxed));
        MailStatus { sent_total, failures_total, abandoned_total, lost_total }
    }

    /// How many changes are in no mail that was sent, or given up; now and later.
    pub(super) fn unsent(&self) -> impl Fn() -> u64 + use<> {
        let counters = Arc::clone(&self.counters);
        move || counters.unsent.load(Ordering::Relaxed)
    }

    /// Resolves when the last mail has been sent or given up.
    pub async fn finish(self) {
        drop(self.queue);
        // A panic in there was reported when it happened.
        let _ = self.worker.await;
    }
}

/// The one who carries the mail.
struct Post {
    letters: watch::Receiver<Arc<Letter>>,
    counters: Arc<Counters>,
}

/// A mail on its way.
struct Delivery {
    letter: Arc<Letter>,
    mail: Vec<u8>,
    /// Who has not got it yet: together, as far as nobody among them is refused.
    waiting: Vec<Vec<Mailbox>>,
    /// Who has got it, or was refused for good.
    settled: Vec<Mailbox>,
}

/// Why a mail was not taken.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("no answer within {} s", LONGEST_SENDING.as_secs())]
    Hangs,
    #[error("{0}")]
    Smtp(SmtpError),
}

impl Post {
    async fn run(mut self, mut news: mpsc::Receiver<(SystemTime, News)>) {
        let mut told_lost = 0;
        while let Some(first) = news.recv().await {
            let mut together = vec![first];
            let until = Instant::now() + COLLECTING;
            while together.len() < QUEUE
                && let Ok(Some(next)) = timeout_at(until, news.recv()).await
            {
                together.push(next);
            }
            let lost = self.counters.lost.load(Ordering::Relaxed);
            if let Err(error) = self.deliver(&together, lost - told_lost).await {
                error!(%error, "a mail cannot be written");
            }
            told_lost = lost;
            self.counters.unsent.fetch_sub(together.len() as u64, Ordering::Relaxed);
        }
    }

    /// Sends until everybody has it, or will not get it. Another letter is heeded at once.
    async fn deliver(
        &mut self,
        news: &[(SystemTime, News)],
        lost: u64,
    ) -> Result<(), lettre::error::Error> {
        let begun = Instant::now();
        let (mut backoff, mut is_warned, mut is_late) = (fresh_backoff(), false, false);
        let letter = Arc::clone(&self.letters.borrow_and_update());
        let mut delivery = Delivery::new(letter, news, lost, Vec::new())?;
        while let Some(error) = self.attempt(&mut delivery).await {
            is_late = true;
            let server = &delivery.letter.config.server;
            let pause = backoff.pause();
            if begun.elapsed() + pause > GIVEN_UP_AFTER {
                self.counters.abandoned.fetch_add(1, Ordering::Relaxed);
                error!(%server, %error, "mail given up");
                return Ok(());
            }
            // Once is enough: what becomes of it will be told.
            if !std::mem::replace(&mut is_warned, true) {
                warn!(%server, %error, "mail is not taken; it will be tried for an hour");
            }
            if let Some(letter) = self.another_letter(pause).await {
                delivery = Delivery::new(letter, news, lost, delivery.settled)?;
                (backoff, is_warned) = (fresh_backoff(), false);
            }
        }
        if is_late {
            info!(server = %delivery.letter.config.server, "mail was sent after all");
        }
        Ok(())
    }

    /// The letter that holds from now on, if another one comes within this time.
    async fn another_letter(&mut self, within: Duration) -> Option<Arc<Letter>> {
        tokio::select! {
            // With nobody left who could bring one, this is waited for no more.
            Ok(()) = self.letters.changed() => Some(Arc::clone(&self.letters.borrow_and_update())),
            () = sleep(within) => None,
        }
    }

    /// Sends to all who wait, and says why some of them go on waiting, if any do.
    async fn attempt(&self, delivery: &mut Delivery) -> Option<Refusal> {
        let Counters { sent, failures, abandoned, .. } = &*self.counters;
        let Delivery { letter, mail, waiting, settled } = delivery;
        let server = &letter.config.server;
        while let Some(to) = waiting.pop() {
            match letter.send(&to, mail).await {
                Ok(()) => {
                    sent.fetch_add(1, Ordering::Relaxed);
                    debug!(%server, "mail sent");
                    settled.extend(to);
                }
                Err(Refusal::Smtp(error)) if error.is_permanent() && !refuses_us(&error) => {
                    failures.fetch_add(1, Ordering::Relaxed);
                    if let [one] = &to[..] {
                        abandoned.fetch_add(1, Ordering::Relaxed);
                        error!(%server, to = %one, %error, "mail refused");
                        settled.extend(to);
                    } else {
                        waiting.extend(to.into_iter().map(|to| vec![to]));
                    }
                }
                Err(error) => {
                    failures.fetch_add(1, Ordering::Relaxed);
                    // The others would not be better off now; next time it is after them.
                    waiting.insert(0, to);
                    return Some(error);
                }
            }
        }
        None
    }
}

impl Delivery {
    /// Of a mail about `news`, as `letter` says, to whoever is not `settled`.
    fn new(
        letter: Arc<Letter>,
        news: &[(SystemTime, News)],
        lost: u64,
        settled: Vec<Mailbox>,
    ) -> Result<Self, lettre::error::Error> {
        let mail = letter.write(news, lost)?;
        // One for all; but an address that is refused takes the mail from nobody else.
        let mut to = letter.to.clone();
        to.retain(|one| !settled.contains(one));
        let waiting = if to.is_empty() { Vec::new() } else { vec![to] };
        Ok(Self { letter, mail, waiting, settled })
    }
}

fn fresh_backoff() -> Backoff {
    Backoff::new(FIRST_PAUSE, LONGEST_PAUSE)
}

/// Whether a server refuses whoever we are, and not those whom mail is for (RFC 4954, 6): another password
/// may be all that it takes.
fn refuses_us(error: &SmtpError) -> bool {
    error.status().is_some_and(|code| matches!(u16::from(code), 530 | 534 | 535 | 538))
}

#[cfg(test)]
mod tests {
    use super::super::Gravity;
    use super::*;

    fn letter() -> Letter {
        Letter::new(&Mail {
            server: "127.0.0.1:25".parse().unwrap(),
            from: "lb@example.org".to_owned(),
            to: vec!["ops@example.org".to_owned(), "boss@example.org".to_owned()],
            helo: None,
            security: None,
            login: None,
        })
        .unwrap()
    }

    fn news(what: &str) -> (SystemTime, News) {
        let why = Some("tcp check failed: connection refused".to_owned());
        let gravity = match what {
            what if what.ends_with("up") || what.contains("gained") => Gravity::Well,
            what if what.contains("lost") => Gravity::Grave,
            _ => Gravity::Impaired,
        };
        let about = what.split_inclusive(' ').take(2).collect();
        let what = what.to_owned();
        (UNIX_EPOCH, News { line: None, about, gravity, what, why, mailed: true })
    }

    #[test]
    fn the_subject_is_the_worst_that_is_so_in_the_end() {
        for (told, wanted) in [
            (&["web: a is up", "web: a is down"][..], "web: a is down"),
            (&["web: a is down", "web: a is up"], "web: a is up"),
            (&["web: quorum lost", "web: a is down"], "web: quorum lost"),
            (&["web: quorum lost", "web: quorum gained", "web: a is down"], "web: a is down"),
            (&["web: a is down", "web: b is down", "web: c is up"], "web: b is down"),
            (&["web: a is up", "web: quorum gained"], "web: quorum gained"),
        ] {
            let news: Vec<_> = told.iter().map(|what| news(what)).collect();
            assert_eq!(headline(&news), wanted, "{told:?}");
        }
        assert_eq!(headline(&[]), "changes");
    }

    #[test]
    fn a_mail_says_what_when_and_why() {
        let letter = letter();
        let mail = letter.write(&[news("web: a is down"), news("web: b is down")], 3).unwrap();
        let mail = String::from_utf8(mail).unwrap();
        let host = &letter.host;
        for line in [
            "From: lb@example.org\r\n",
            "To: ops@example.org, boss@example.org\r\n",
            &format!("Subject: {host}: web: b is down (and 1 more)\r\n"),
            "Auto-Submitted: auto-generated\r\n",
            "Thu, 01 Jan 1970 00:00:00 GMT\r\n  web: b is down\r\n  tcp check failed: connection refused\r\n",
            "3 more changes are in no mail",
        ] {
            assert!(mail.contains(line), "{line:?} in {mail}");
        }
    }

    #[test]
    fn nobody_can_add_a_header() {
        let mail = letter().write(&[news("a\r\nBcc: all@example.org\r\n\r\nb")], 0).unwrap();
        let mail = String::from_utf8(mail).unwrap();
        let (head, _) = mail.split_once("\r\n\r\n").unwrap();
        assert!(!head.lines().any(|line| line.starts_with("Bcc")), "{head}");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let config = Mail { from: "a@@b".to_owned(), ..letter().config };
        assert!(matches!(Letter::new(&config), Err(MailError::Address { .. })));
    }
}
