//! One run of a check, for machines and for people: what `/status`, `/explain` and `--probe` show.

use std::fmt;
use std::time::{Duration, SystemTime};

use httpdate::fmt_http_date;
use lb_health::advice::Advice;
use lb_health::trace::{Certificate, Evidence, Excerpt, Phase};
use lb_health::{CheckError, Failure, Report};
use serde::{Serialize, Serializer};

/// One run of a check: how it ended, where its time went, what was seen.
#[derive(Clone, Debug, Serialize)]
pub struct RunReport {
    /// `passed`, `failed`, or `local` if this host was at fault.
    pub outcome: &'static str,
    /// Why it did not pass, as one word for machines.
    pub cause: Option<&'static str>,
    /// Why it did not pass, for people.
    pub detail: Option<String>,
    /// How long it took, in milliseconds.
    pub took_ms: f64,
    /// The weight that the backend asked for.
    pub weight: Option<u16>,
    /// The share of its weight that it asked for, in percent.
    pub percent: Option<u16>,
    /// How many connections it asked to have at most; 0 for as many as come.
    pub max_connections: Option<u32>,
    /// Whether it passes while the backend is up, and not otherwise.
    pub only_while_up: bool,
    /// The same time by phase, as far as it got and the check measures it.
    pub phases_ms: Phases,
    /// What the target showed of itself.
    pub evidence: Option<EvidenceReport>,
}

/// How many milliseconds each phase took, in order.
#[derive(Clone, Debug)]
pub struct Phases(Vec<(String, f64)>);

/// What a target showed of itself.
#[derive(Clone, Debug, Serialize)]
pub struct EvidenceReport {
    /// What it was asked for last, by a check that asks for several things.
    pub asked: Option<String>,
    /// The status of its answer.
    pub status: Option<u16>,
    /// How what it sent begins.
    pub received: Option<String>,
    /// What it should have sent.
    pub wanted: Option<String>,
    /// The certificate that it presented.
    pub certificate: Option<CertificateReport>,
}

/// What matters of a certificate.
#[derive(Clone, Debug, Serialize)]
pub struct CertificateReport {
    /// Whom it is for.
    pub subject: String,
    /// Who vouches for that.
    pub issuer: String,
    /// The names that it is valid for.
    pub names: Vec<String>,
    /// The end of its time.
    pub expires: String,
    /// The days until then; negative if it is over.
    pub days_left: i64,
}

/// What a run came to, in one word: a failure of this host is none of the target's.
pub(crate) fn outcome(error: Option<&CheckError>) -> &'static str {
    match error {
        None => "passed",
        Some(error) if error.is_local() => "local",
        Some(_) => "failed",
    }
}

impl RunReport {
    /// Describes a run that took so long.
    pub fn new(took: Duration, result: &Result<Report, Failure>) -> Self {
        let (trace, weight, advice, error) = match result {
            Ok(report) => (&report.trace, report.weight, report.advice, None),
            Err(failure) => (&failure.trace, None, Advice::NONE, Some(&failure.error)),
        };
        let phases = Phase::TIMED.into_iter();
        let phases =
            phases.filter_map(|phase| Some((phase.to_string(), milliseconds(trace.spent(phase)?))));
        Self {
            outcome: outcome(error),
            cause: error.map(CheckError::cause),
            detail: error.map(in_full),
            took_ms: milliseconds(took),
            weight: if advice.drains() { Some(0) } else { weight.map(lb_core::Weight::value) },
            percent: advice.percent,
            max_connections: advice.max_connections,
            only_while_up: result.as_ref().is_ok_and(|report| report.unless_up.is_some()),
            phases_ms: Phases(phases.collect()),
            evidence: EvidenceReport::of(trace.evidence()),
        }
    }

    /// Whether the target passed.
    pub fn passed(&self) -> bool {
        self.outcome == "passed"
    }
}

/// An error with what led to it, where that says more.
pub(crate) fn in_full(error: &CheckError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = error.source();
    }
    text
}

/// Exact to a microsecond, as traces are.
fn milliseconds(time: Duration) -> f64 {
    time.as_micros() as f64 / 1000.0
}

impl Phases {
    /// Each phase with its milliseconds.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().map(|(phase, time)| (&**phase, *time))
    }
}

impl EvidenceReport {
    fn of(evidence: &Evidence) -> Option<Self> {
        let Evidence { asked, status, received, wanted, certificate, .. } = evidence;
        let said = |text: &Excerpt| Some(text.as_str().to_owned()).filter(|text| !text.is_empty());
        let (asked, received, wanted) = (said(asked), said(received), said(wanted));
        let any = asked.is_some()
            || status.is_some()
            || received.is_some()
            || wanted.is_some()
            || certificate.is_some();
        any.then(|| Self {
            asked,
            status: *status,
            received,
            wanted,
            certificate: certificate.as_ref().map(CertificateReport::of),
        })
    }
}

impl CertificateReport {
    fn of(certificate: &Certificate) -> Self {
        Self {
            subject: certificate.subject.clone(),
            issuer: certificate.issuer.clone(),
            names: certificate.names.clone(),
            expires: fmt_http_date(certificate.expires),
            days_left: certificate.days_left(SystemTime::now()),
        }
    }
}

/// A table.
impl Serialize for Phases {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(phase, time)| (phase, time)))
    }
}

/// A line on how it ended, then one for each phase and each piece of evidence.
impl fmt::Display for RunReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { outcome, cause, detail, took_ms, phases_ms, evidence, .. } = self;
        let outcome = match *outcome {
            "local" => "could not be run here",
            outcome => outcome,
        };
        write!(f, "{outcome} after {took_ms} ms")?;
        if let (Some(cause), Some(detail)) = (cause, detail) {
            write!(f, ": {detail} [{cause}]")?;
        }
        writeln!(f)?;
        let mut line = |what: &str, value: &dyn fmt::Display| writeln!(f, "  {what:<12}{value}");
        for (phase, time) in &phases_ms.0 {
            line(phase, &format_args!("{time} ms"))?;
        }
        if self.only_while_up {
            line("passes", &"only a server that is up already")?;
        }
        if let Some(weight) = &self.weight {
            line("weight", weight)?;
        }
        if let Some(percent) = self.percent {
            line("share", &format_args!("{percent} %"))?;
        }
        match self.max_connections {
            Some(0) => line("at most", &"any number of connections")?,
            Some(most) => line("at most", &format_args!("{most} connections"))?,
            None => {}
        }
        let Some(EvidenceReport { asked, status, received, wanted, certificate }) = evidence else {
            return Ok(());
        };
        if let Some(asked) = asked {
            line("asked for", asked)?;
        }
        if let Some(status) = status {
            line("status", status)?;
        }
        if let Some(received) = received {
            line("received", &format_args!("{received:?}"))?;
        }
        if let Some(wanted) = wanted {
            line("wanted", &format_args!("{wanted:?}"))?;
        }
        if let Some(certificate) = certificate {
            let CertificateReport { subject, issuer, names, expires, days_left } = certificate;
            line("certificate", &format_args!("{subject}, for {}", names.join(", ")))?;
            line("", &format_args!("from {issuer}"))?;
            line("", &format_args!("until {expires}, {days_left} days"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use lb_health::status_ranges::StatusRanges;
    use lb_health::trace::Trace;

    use super::*;

    #[test]
    fn people_and_machines_are_told_the_same() {
        let mut trace = Trace::EMPTY;
        trace.spend(Phase::Response, Duration::from_micros(1250));
        trace.spend(Phase::Connect, Duration::from_micros(100));
        trace.evidence_mut().status = Some(503);
        trace.evidence_mut().received("a\nb");
        let wanted = StatusRanges::default();
        let failure = Failure::new(CheckError::Status { got: 503, wanted }, trace);
        let run = RunReport::new(Duration::from_micros(1500), &Err(failure));
        assert_eq!(
            run.to_string(),
            "failed after 1.5 ms: status 503, not one of 200-299 [status]\n\
             \x20 connect     0.1 ms\n\
             \x20 response    1.25 ms\n\
             \x20 status      503\n\
             \x20 received    \"a\\nb\"\n"
        );
        let json = serde_json::to_string(&run).unwrap();
        assert!(json.contains(r#""phases_ms":{"connect":0.1,"response":1.25}"#), "{json}");
        assert!(json.contains(r#""cause":"status""#), "{json}");
    }
}
