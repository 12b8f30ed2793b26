//! One check, now: how it ends, where its time goes, what the target shows of itself.

mod error;
mod genhash;
mod words;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use lb_core::Weight;
use lb_health::digest::Digest;
use lb_health::trace::{Phase, Trace};
use lb_health::{CheckError, Failure, Report, Target};
use tokio::runtime::Builder;
use tokio::time::timeout;
use tower::ServiceExt;

pub use self::error::ProbeError;
use self::genhash::Genhash;
use crate::checkers::{CheckConfigError, Files, Shared, checker};
use crate::config::check::Page;
use crate::config::{Address, Check, CheckKind, Config};
use crate::names::{Names, nominal};
use crate::status::RunReport;

/// How to ask for it, for `--help`.
pub const EXAMPLES: &str = "\
Examples:
  tcp-lb --config lb.toml                                 balance
  tcp-lb --config lb.toml --check                         find every mistake
  tcp-lb --config lb.toml --probe 127.0.0.1:9001          run the checks of a backend once
  tcp-lb --probe tcp 127.0.0.1:9001                       run any check, with the keys that
  tcp-lb --probe http,path=/alive,status=200 [::1]:80     it has in a configuration
  tcp-lb --probe https,host=example.org,verify=false 192.0.2.1:443
  tcp-lb --digest --probe http,path=/alive 127.0.0.1:80   the digest for the key `md5`
  tcp-lb --genhash -s 127.0.0.1 -p 80 -u /alive           the same, as genhash";

/// A checker that does not keep its own time gets this much more.
const GRACE: Duration = Duration::from_millis(100);

/// What is to be probed.
#[derive(Args, Debug)]
#[group(skip)]
pub struct Arguments {
    /// Run a check now, print what it saw, and end with 0 if it passed, 1 if not, 2 if it could not
    /// be run. With --config, all checks of the backend at ADDRESS; without, CHECK: a type and its
    /// keys, as TYPE,KEY=VALUE,..., or a table as in the configuration
    #[arg(long, num_args = 1..=2, value_names = ["CHECK", "ADDRESS"])]
    probe: Option<Vec<String>>,

    /// Print the MD5 digest of the page that an http or https check asks for
    #[arg(long, requires = "probe")]
    digest: bool,

    #[command(flatten)]
    genhash: Genhash,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// Everything passed.
    Passed,
    /// Something failed.
    Failed,
    /// This host could not run a check.
    Local,
}

/// A check to run, and how it is called in what is printed.
struct Probe {
    name: String,
    check: Check,
    backend: Address,
    weight: Weight,
}

impl Outcome {
    /// As scripts know it: 0, 1, or 2 if nothing was found out.
    pub fn exit_code(self) -> ExitCode {
        match self {
            Self::Passed => ExitCode::SUCCESS,
            Self::Failed => ExitCode::FAILURE,
            Self::Local => ExitCode::from(2),
        }
    }
}

impl Arguments {
    /// Runs what is asked for, in a runtime of its own; the text to print, and what came of it.
    ///
    /// # Errors
    /// [`ProbeError`], if there is nothing to run, or nothing to run it in.
    pub fn run_alone(&self, config: Option<&Config>) -> Result<(String, Outcome), ProbeError> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let outcome = runtime.block_on(self.run(config));
        // Nobody waits for a read that hangs.
        runtime.shutdown_background();
        outcome
    }

    /// Whether anything is to be probed.
    pub const fn is_asked(&self) -> bool {
        self.probe.is_some() || self.genhash.genhash
    }

    /// Runs what is asked for; the text to print, and what came of it. Must be called within a
    /// runtime.
    ///
    /// # Errors
    /// [`ProbeError`], if there is nothing to run.
    pub async fn run(&self, config: Option<&Config>) -> Result<(String, Outcome), ProbeError> {
        if self.genhash.genhash {
            let (words, target) = self.genhash.words()?;
            let target = Address::from(target);
            let checks = words::checks(&words, &target)?;
            let probes = checks.into_iter().map(|check| Probe::alone(check, target.clone()));
            let verbose = self.genhash.verbose;
            return digests(probes.collect(), "", verbose, &mut Names::new(&[])).await;
        }
        let probes = match (self.probe.as_deref().unwrap_or_default(), config) {
            ([at], Some(config)) => configured(config, &address(at)?)?,
            ([words, at], None) => {
                let target = match is_ping(words) {
                    true => host(at)?,
                    false => address(at)?,
                };
                let checks = words::checks(words, &target)?.into_iter();
                checks.map(|check| Probe::alone(check, target.clone())).collect()
            }
            (_, Some(_)) => {
                return Err(ProbeError::Usage(
                    "with --config, --probe takes the address of a backend alone",
                ));
            }
            (_, None) => {
                return Err(ProbeError::Usage(
                    "--probe takes a check and an address, such as: --probe tcp 127.0.0.1:80",
                ));
            }
        };
        let mut names = Names::new(config.map_or(&[], |config| &config.resolvers));
        match self.digest {
            true => digests(probes, "MD5SUM = ", false, &mut names).await,
            false => reports(probes, &mut names).await,
        }
    }
}

impl Probe {
    /// Of no configured backend.
    const fn alone(check: Check, backend: Address) -> Self {
        Self { name: String::new(), check, backend, weight: Weight::ONE }
    }

    async fn run(
        &self,
        names: &mut Names,
    ) -> Result<(Duration, Result<Report, Failure>), CheckConfigError> {
        let Self { check, backend, weight, .. } = self;
        let address = check.target(backend);
        let (shared, mut files) = (Shared::default(), Files::default());
        let checker = checker(check, &address, *weight, &shared, &mut files)?;
        let checker = names.checker(&address, &check.kind, checker);
        let target = Target::new(nominal(&address), check.timeout);
        let begun = Instant::now();
        let run = timeout(check.timeout + GRACE, checker.oneshot(target)).await;
        let late = |_| Err(CheckError::Timeout { phase: Phase::Whole }.into());
        Ok((begun.elapsed(), run.unwrap_or_else(late)))
    }

    /// The heading of what is printed about it.
    fn heading(&self) -> String {
        let (kind, target) = (self.check.kind.name(), self.check.target(&self.backend));
        let host = target.to_string();
        let shown = match (&self.check.kind, host.rsplit_once(':')) {
            (CheckKind::Ping(_), Some((host, _))) if self.name.is_empty() => host,
            _ => &host,
        };
        format!("{}{kind} check of {shown}: ", self.name)
    }
}

impl Outcome {
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Passed, other) => other,
            (Self::Local, _) | (_, Self::Local) => Self::Local,
            _ => Self::Failed,
        }
    }
}

fn address(text: &str) -> Result<Address, ProbeError> {
    text.parse().map_err(|_| address_error(text))
}

fn address_error(text: &str) -> ProbeError {
    ProbeError::Address { text: text.to_owned() }
}

/// What no port matters to: one may be given, as in a configuration.
fn host(text: &str) -> Result<Address, ProbeError> {
    let bare = match text.parse::<IpAddr>() {
        Ok(IpAddr::V6(_)) => format!("[{text}]"),
        _ => text.to_owned(),
    };
    address(text).or_else(|_| address(&format!("{bare}:1"))).map_err(|_| address_error(text))
}

fn is_ping(words: &str) -> bool {
    words.split(',').next().is_some_and(|kind| kind.trim() == "ping")
}

/// The checks of a backend or a sorry server, in every virtual server that has it; or of what a virtual router depends on.
fn configured(config: &Config, address: &Address) -> Result<Vec<Probe>, ProbeError> {
    // Several virtual servers may have one backend.
    let (mut probes, mut found, mut known) = (Vec::new(), false, BTreeSet::new());
    for server in &config.virtual_servers {
        for backend in &server.backends {
            known.insert(backend.address.to_string());
            if backend.address == *address {
                found = true;
                let name = || format!("{}: ", server.name);
                let checks = backend.checks.iter().cloned();
                probes.extend(checks.map(|check| Probe {
                    name: name(),
                    check,
                    backend: address.clone(),
                    weight: backend.weight,
                }));
            }
        }
    }
    for server in &config.virtual_servers {
        let Some(sorry) = &server.sorry_server else { continue };
        known.insert(sorry.to_string());
        if sorry == address {
            found = true;
            probes.extend(server.sorry_checks.iter().cloned().map(|check| Probe {
                name: format!("{}, sorry server: ", server.name),
                check,
                backend: address.clone(),
                weight: Weight::ONE,
            }));
        }
    }
    for tracked in &config.vrrp_checks {
        let Some(target) = tracked.target.map(Address::from) else { continue };
        known.insert(target.to_string());
        if target == *address {
            found = true;
            probes.extend(tracked.checks.iter().cloned().map(|check| Probe {
                name: format!("{}: ", tracked.name),
                check,
                backend: target.clone(),
                weight: Weight::ONE,
            }));
        }
    }
    match (found, probes.is_empty()) {
        (false, _) => {
            let known: Vec<_> = known.into_iter().collect();
            let (address, known) = (address.clone(), known.join(", "));
            Err(ProbeError::UnknownBackend { address, known })
        }
        (true, true) => Err(ProbeError::Unchecked { address: address.clone() }),
        (true, false) => Ok(probes),
    }
}

async fn reports(probes: Vec<Probe>, names: &mut Names) -> Result<(String, Outcome), ProbeError> {
    let (mut text, mut outcome) = (String::new(), Outcome::Passed);
    for probe in probes {
        let (took, result) = probe.run(names).await?;
        outcome = outcome.and(judge(&result));
        text += &format!("{}{}", probe.heading(), RunReport::new(took, &result));
    }
    Ok((text, outcome))
}

/// What keepalived's genhash is for: the digest that a check may ask for.
async fn digests(
    probes: Vec<Probe>,
    label: &str,
    verbose: bool,
    names: &mut Names,
) -> Result<(String, Outcome), ProbeError> {
    let (mut text, mut outcome) = (String::new(), Outcome::Passed);
    for mut probe in probes {
        let CheckKind::Http(http) = probe.check.kind.clone() else {
            return Err(ProbeError::NoPage);
        };
        for page in http.pages.clone() {
            let mut http = http.clone();
            // No page has this digest, so that the failure tells the one that it has.
            let never = Some(Digest::Md5([0; 16]));
            http.pages = vec![Page { digest: never, body: None, ..page }];
            let kind = CheckKind::Http(http);
            probe.check = Check { kind, ..probe.check };
            let (took, result) = probe.run(names).await?;
            let digest = match &result {
                Err(Failure { error: CheckError::Digest { got, .. }, .. }) => Some(&**got),
                _ => None,
            };
            if let Some(got) = digest {
                if verbose {
                    // It is no failure that nobody expected this page.
                    let seen = result
                        .as_ref()
                        .map_or_else(|failure| failure.trace.clone(), |_| Trace::EMPTY);
                    let mut report = Report::ALIVE;
                    report.trace = seen;
                    text += &format!("{}{}", probe.heading(), RunReport::new(took, &Ok(report)));
                }
                let _ = writeln!(text, "{label}{}", got.digits());
            } else {
                outcome = outcome.and(judge(&result));
                text += &format!("{}{}", probe.heading(), RunReport::new(took, &result));
            }
        }
    }
    Ok((text, outcome))
}

fn judge(result: &Result<Report, Failure>) -> Outcome {
    match result {
        Ok(_) => Outcome::Passed,
        Err(failure) if failure.is_local() => Outcome::Local,
        Err(_) => Outcome::Failed,
    }
}
