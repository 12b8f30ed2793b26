//! Packets that a master is not to take for its addresses (RFC 9568 6.1, `Accept_Mode`): dropped where
//! they come in, by rules in a table of our own, which `nft` replaces in one step. What is forwarded
//! does not come by there, and neighbours go on being found.

use std::collections::{BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::io;
use std::net::IpAddr;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::nft::{Answer, Failed, Job, TABLE, Worker};
use super::table_watch::TableWatch;
use crate::driver::Operation;
use crate::driver::restorer::Restorer;

/// After how long it is tried again to have refused what is to be.
const RETRY: Duration = Duration::from_secs(5);

/// An address, and the interfaces that it is one on if it is the link's alone.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Refused {
    pub(super) address: IpAddr,
    pub(super) interfaces: Vec<String>,
}

/// Has packets refused, by a thread that runs `nft`.
#[derive(Debug)]
pub(super) struct Firewall {
    table: Table,
    /// Whether something else may be to be refused.
    is_outdated: bool,
    /// From the first job on.
    worker: Option<Worker>,
    /// What the worker has answered, and nobody has looked at.
    answers: VecDeque<Answer>,
    /// From when there is something to refuse.
    watch: Option<TableWatch>,
    /// Who takes the table away again and again has it back a little later.
    losses: Restorer<()>,
}

impl Firewall {
    /// `is_alone` unless another process has a table here.
    pub(super) fn new(is_alone: bool) -> Self {
        let name = match is_alone {
            true => TABLE.to_owned(),
            // With more behind it if there are two processes in a network namespace.
            false => format!("{TABLE}_{}", std::process::id()),
        };
        Self {
            table: Table::new(name),
            is_outdated: false,
            worker: None,
            answers: VecDeque::new(),
            watch: None,
            losses: Restorer::default(),
        }
    }

    /// Something else may be to be refused, now or soon.
    pub(super) const fn outdate(&mut self) {
        self.is_outdated = true;
    }

    /// Whether [`Self::refuse`] was not called since.
    pub(super) const fn is_outdated(&self) -> bool {
        self.is_outdated
    }

    /// Has exactly these refused, sooner or later. What comes of it [`Self::turn`] says.
    pub(super) fn refuse(&mut self, refused: BTreeSet<Refused>) {
        self.is_outdated = false;
        self.table.want(refused);
    }

    /// Removes every table that somebody left who is gone.
    pub(super) fn sweep(&mut self) {
        self.ask(Job::Sweep, Operation::Sweep);
    }

    /// Looks at what was done, and has done what is to be. What failed is said, but not each time.
    pub(super) fn turn(&mut self, now: Instant) -> Vec<(Operation, io::Error)> {
        let mut failed = Vec::new();
        loop {
            self.answers.extend(self.worker.as_mut().and_then(Worker::answer));
            if let Some(answer) = self.answers.pop_front() {
                failed.extend(self.heed(now, answer));
                continue;
            }
            self.look_after(now);
            let Some(script) = self.table.next(now) else { return failed };
            self.watch_table();
            self.ask(Job::Replace(script), Operation::Refuse);
        }
    }

    /// Waits until all is as it is to be. For when nobody else waits any more.
    pub(super) fn finish(&mut self, now: Instant) -> io::Result<()> {
        let mut outcome = Ok(());
        self.table.hurry();
        loop {
            let answer = self.answers.pop_front();
            if let Some(answer) = answer.or_else(|| self.worker.as_mut()?.wait()) {
                let failed = self.heed(now, answer);
                outcome = failed.map_or(Ok(()), |(_, error)| Err(error));
            } else if let Some(script) = self.table.next(now) {
                self.ask(Job::Replace(script), Operation::Refuse);
            } else {
                return outcome;
            }
        }
    }

    /// Somebody may have taken the table away. What is being done now does so itself before it makes it
    /// anew, and all of that is told before it is answered.
    fn look_after(&mut self, now: Instant) {
        if let Some(watch) = &mut self.watch
            && !watch.is_whole()
            && self.table.asked.is_none()
        {
            watch.begin();
            if self.table.can_be_lost() && self.losses.lose(now, ()) {
                self.table.lose();
            }
        }
        if self.losses.pop(now).is_some() {
            self.table.lose();
        }
    }

    /// Hears of it from now on. Without, nothing but a reload finds that it is gone.
    fn watch_table(&mut self) {
        if self.watch.is_none() && !self.table.wanted.is_empty() {
            self.watch = TableWatch::open(&self.table.name).ok();
        }
    }

    /// When it is to be tried again.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let deadlines = [self.table.next_deadline(), self.losses.next_deadline()];
        deadlines.into_iter().flatten().min()
    }

    /// Whether something was done.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Some(worker) = self.worker.as_mut().filter(|worker| worker.is_busy()) {
            // Whatever is answered after that wakes.
            worker.wakes(context);
            self.answers.extend(worker.answer());
        }
        if !self.answers.is_empty() {
            return Poll::Ready(());
        }
        self.watch.as_mut().map_or(Poll::Pending, |watch| watch.poll(context))
    }

    fn heed(
        &mut self,
        now: Instant,
        (operation, outcome): Answer,
    ) -> Option<(Operation, io::Error)> {
        let failed = match (operation, outcome) {
            (Operation::Sweep, Ok(())) => None,
            (Operation::Sweep, Err(Failed::Undone(error) | Failed::Unknown(error))) => {
                // Ours may be one of those that are left.
                self.table.applied = None;
                Some(error)
            }
            (_, outcome) => self.table.answered(now, outcome),
        };
        failed.map(|error| (operation, error))
    }

    fn ask(&mut self, job: Job, operation: Operation) {
        if self.worker.as_ref().is_none_or(Worker::is_gone) {
            match Worker::start() {
                Ok(worker) => self.worker = Some(worker),
                Err(error) => {
                    return self.answers.push_back((operation, Err(Failed::Undone(error))));
                }
            }
        }
        if let Some(worker) = &mut self.worker {
            worker.ask(job);
        }
    }
}

/// What is to be refused, and what is, as far as is known.
#[derive(Debug)]
struct Table {
    name: String,
    wanted: BTreeSet<Refused>,
    /// `None` if nobody knows.
    applied: Option<BTreeSet<Refused>>,
    /// What was asked for and not answered yet.
    asked: Option<BTreeSet<Refused>>,
    /// Not before, after a failure.
    retry_at: Option<Instant>,
    /// Whether it was said that it fails.
    is_reported: bool,
}

impl Table {
    const fn new(name: String) -> Self {
        Self {
            name,
            wanted: BTreeSet::new(),
            applied: Some(BTreeSet::new()),
            asked: None,
            retry_at: None,
            is_reported: false,
        }
    }

    fn want(&mut self, wanted: BTreeSet<Refused>) {
        if wanted != self.wanted {
            self.wanted = wanted;
            self.hurry();
        }
    }

    /// Nothing cannot be taken away, nor what nobody knows to be there.
    fn can_be_lost(&self) -> bool {
        self.applied.as_ref().is_some_and(|applied| !applied.is_empty())
    }

    /// What was done is not any more.
    fn lose(&mut self) {
        if self.can_be_lost() {
            self.applied = None;
        }
    }

    /// There is no waiting after a failure.
    const fn hurry(&mut self) {
        self.retry_at = None;
    }

    fn is_as_wanted(&self) -> bool {
        self.applied.as_ref() == Some(&self.wanted)
    }

    /// What is to be run now, if anything. One at a time: so the last one that is wanted is the last
    /// one that is done.
    fn next(&mut self, now: Instant) -> Option<String> {
        let waits = self.retry_at.is_some_and(|at| at > now);
        if self.asked.is_some() || self.is_as_wanted() || waits {
            return None;
        }
        self.retry_at = None;
        self.asked = Some(self.wanted.clone());
        Some(script(&self.name, &self.wanted))
    }

    /// What came of it. The error, if it is news.
    fn answered(&mut self, now: Instant, outcome: Result<(), Failed>) -> Option<io::Error> {
        let asked = self.asked.take();
        let error = match outcome {
            Ok(()) => {
                self.applied = asked;
                self.is_reported = false;
                return None;
            }
            Err(Failed::Undone(error)) => error,
            Err(Failed::Unknown(error)) => {
                self.applied = None;
                error
            }
        };
        if asked.as_ref() == Some(&self.wanted) {
            self.retry_at = Some(now + RETRY);
        }
        let is_news = !std::mem::replace(&mut self.is_reported, true);
        is_news.then_some(error)
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.retry_at.filter(|_| self.asked.is_none() && !self.is_as_wanted())
    }
}

/// Adding it first makes deleting it no error. All in one file is done at once or not at all.
fn script(table: &str, refused: &BTreeSet<Refused>) -> String {
    let mut script = format!("table inet {table}\ndelete table inet {table}\n");
    if refused.is_empty() {
        return script;
    }
    let of = |is_wanted: &dyn Fn(&Refused) -> bool| {
        let wanted = refused.iter().filter(|one| is_wanted(one));
        wanted.map(|one| one.address.to_string()).collect::<Vec<_>>()
    };
    let v4 = of(&|one| one.address.is_ipv4());
    let v6 = of(&|one| one.address.is_ipv6() && one.interfaces.is_empty());
    let links = refused.iter().flat_map(|Refused { address, interfaces }| {
        interfaces.iter().map(move |name| format!("{name:?} . {address}"))
    });
    let links: Vec<_> = links.collect();
    let mut rules = String::new();
    let _ = writeln!(script, "table inet {table} {{");
    for (name, kind, match_, elements) in [
        ("v4", "ipv4_addr", "ip daddr", v4),
        ("v6", "ipv6_addr", "ip6 daddr", v6),
        ("links", "ifname . ipv6_addr", "iifname . ip6 daddr", links),
    ] {
        if !elements.is_empty() {
            let elements = elements.join(", ");
            let _ = writeln!(script, " set {name} {{ type {kind}; elements = {{ {elements} }}; }}");
            let _ = writeln!(rules, "  {match_} @{name} drop");
        }
    }
    let _ = write!(
        script,
        " chain input {{\n  type filter hook input priority filter; policy accept;\n  \
         icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} accept\n{rules} }}\n}}\n"
    );
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(address: &str, interfaces: &[&str]) -> Refused {
        let interfaces = interfaces.iter().map(|name| (*name).to_owned()).collect();
        Refused { address: address.parse().unwrap(), interfaces }
    }

    #[test]
    fn a_table_is_replaced_as_a_whole() {
        let all = BTreeSet::from([
            refused("10.0.0.1", &[]),
            refused("10.0.0.2", &[]),
            refused("fd00::1", &[]),
            refused("fe80::1", &["eth0", "vrrp6.51"]),
        ]);
        let expected = "table inet t\ndelete table inet t\ntable inet t {\n \
            set v4 { type ipv4_addr; elements = { 10.0.0.1, 10.0.0.2 }; }\n \
            set v6 { type ipv6_addr; elements = { fd00::1 }; }\n \
            set links { type ifname . ipv6_addr; elements = { \"eth0\" . fe80::1, \
            \"vrrp6.51\" . fe80::1 }; }\n \
            chain input {\n  type filter hook input priority filter; policy accept;\n  \
            icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept\n  \
            ip daddr @v4 drop\n  ip6 daddr @v6 drop\n  iifname . ip6 daddr @links drop\n }\n}\n";
        assert_eq!(script("t", &all), expected);
        assert_eq!(script("t", &BTreeSet::new()), "table inet t\ndelete table inet t\n");
    }

    #[allow(clippy::disallowed_methods, reason = "any instant is the beginning")]
    fn beginning() -> Instant {
        Instant::now()
    }

    fn timed_out() -> Failed {
        Failed::Unknown(io::ErrorKind::TimedOut.into())
    }

    #[test]
    fn what_nobody_knows_is_done_again_even_if_it_is_what_was() {
        let (mut table, now) = (Table::new("t".to_owned()), beginning());
        assert_eq!(table.next(now), None, "there is nothing to refuse");
        table.want(BTreeSet::from([refused("10.0.0.1", &[])]));
        assert!(table.next(now).is_some());
        assert!(table.answered(now, Err(timed_out())).is_some());
        // Perhaps it is refused now: to refuse nothing is something to do.
        table.want(BTreeSet::new());
        assert_eq!(table.next(now).as_deref(), Some("table inet t\ndelete table inet t\n"));
        assert!(table.answered(now, Ok(())).is_none());
        assert_eq!((table.next(now), table.next_deadline()), (None, None));
    }

    #[test]
    fn what_somebody_takes_away_is_done_again() {
        let (mut table, now) = (Table::new("t".to_owned()), beginning());
        table.lose();
        assert_eq!(table.next(now), None, "there was nothing");
        table.want(BTreeSet::from([refused("10.0.0.1", &[])]));
        let first = table.next(now);
        assert!(first.is_some() && table.answered(now, Ok(())).is_none());
        assert_eq!(table.next(now), None);
        table.lose();
        assert_eq!(table.next(now), first);
    }

    #[test]
    fn the_last_one_that_is_wanted_is_the_last_one_that_is_done() {
        let (mut table, now) = (Table::new("t".to_owned()), beginning());
        for address in ["10.0.0.1", "10.0.0.2", "10.0.0.3"] {
            table.want(BTreeSet::from([refused(address, &[])]));
            assert_eq!(table.next(now).is_some(), address == "10.0.0.1", "one at a time");
        }
        assert!(table.answered(now, Ok(())).is_none());
        assert!(table.next(now).is_some_and(|script| script.contains("{ 10.0.0.3 }")));
    }

    #[test]
    fn what_fails_is_tried_again_and_said_once() {
        let (mut table, now) = (Table::new("t".to_owned()), beginning());
        table.want(BTreeSet::from([refused("10.0.0.1", &[])]));
        let undone = || Err(Failed::Undone(io::ErrorKind::NotFound.into()));
        assert!(table.next(now).is_some());
        assert!(table.answered(now, undone()).is_some());
        assert_eq!((table.next(now), table.next_deadline()), (None, Some(now + RETRY)));
        assert!(table.next(now + RETRY).is_some());
        assert!(table.answered(now + RETRY, undone()).is_none(), "it was said");
        // Nothing was done, so there is nothing to undo.
        table.want(BTreeSet::new());
        assert_eq!((table.next(now + RETRY), table.next_deadline()), (None, None));
    }

    /// A worker that takes its time keeps nobody, except at the end.
    #[tokio::test]
    async fn a_firewall_does_not_wait_until_it_is_finished() {
        let (go, gate) = std::sync::mpsc::channel::<Result<(), Failed>>();
        let (done, jobs) = std::sync::mpsc::channel();
        let worker = Worker::doing(move |job| {
            done.send(job).unwrap();
            gate.recv().unwrap()
        });
        let (mut firewall, now) = (Firewall::new(true), beginning());
        firewall.worker = Some(worker.unwrap());
        firewall.sweep();
        firewall.refuse(BTreeSet::from([refused("10.0.0.1", &[])]));
        assert!(firewall.turn(now).is_empty());
        assert_eq!(jobs.recv().unwrap(), Job::Sweep);
        let context = &mut Context::from_waker(std::task::Waker::noop());
        assert!(firewall.poll(context).is_pending());

        firewall.refuse(BTreeSet::new());
        for answer in [Ok(()), Err(timed_out()), Ok(())] {
            go.send(answer).unwrap();
        }
        firewall.finish(now).unwrap();
        let scripts: Vec<_> = jobs.try_iter().collect();
        let [Job::Replace(first), Job::Replace(last)] = &scripts[..] else { panic!("{scripts:?}") };
        assert!(first.contains("10.0.0.1") && last.ends_with("delete table inet lb_vrrp\n"));
    }
}
