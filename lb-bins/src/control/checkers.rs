//! Which checker does what is configured.

use std::net::IpAddr;

use lb_health::checkers::{Http, HttpError, Script, ScriptSlots, Tcp};
use lb_health::{Failure, ParseStatusError, Report, SpecError, StatusRanges, Target};
use tower::ServiceExt;
use tower::util::BoxCloneSyncService;

use crate::config::check::{self, CheckKind};
use crate::config::{Check, Command, defaults};

/// A configured check that cannot be built: the configuration's rules and the checkers' differ.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckConfigError {
    /// The request of an HTTP check.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// What no checker can do yet.
    #[error("{what} is not in this build")]
    NotBuilt {
        /// As it would be written.
        what: String,
    },
    /// Intervals, rise or fall.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The accepted status codes.
    #[error(transparent)]
    Status(#[from] ParseStatusError),
}

/// A checker of any kind.
pub(super) type AnyChecker = BoxCloneSyncService<Target, Report, Failure>;

/// The checker for `check`; scripts share `slots`.
///
/// # Errors
/// [`CheckConfigError`], if there is none yet, or it refuses what the configuration allowed.
pub(super) fn checker(check: &Check, slots: &ScriptSlots) -> Result<AnyChecker, CheckConfigError> {
    Ok(match &check.kind {
        CheckKind::Http(http) if http.tls.is_none() => {
            AnyChecker::new(page(http, check.source)?.map_err(Failure::from))
        }
        CheckKind::Script(script) => {
            let Command { program, arguments } = &script.command;
            let checker = Script::new(program, arguments, slots.clone());
            let checker = match script.dynamic_weight {
                true => checker.with_dynamic_weight(),
                false => checker,
            };
            AnyChecker::new(checker.map_err(Failure::from))
        }
        CheckKind::Tcp(tcp) if *tcp == check::Tcp::default() => {
            let checker = check.source.map(|source| Tcp::new().with_source(source));
            AnyChecker::new(checker.unwrap_or_default())
        }
        CheckKind::Tcp(_) => return Err(not_built("`steps` or `tls`")),
        kind => return Err(not_built(format!("type = \"{}\"", kind.name()))),
    })
}

fn not_built(what: impl Into<String>) -> CheckConfigError {
    CheckConfigError::NotBuilt { what: what.into() }
}

fn page(http: &check::Http, source: Option<IpAddr>) -> Result<Http, CheckConfigError> {
    let check::Http { tls: _, pages, method, host, headers, request_body, version, keep_alive } =
        http;
    let [check::Page { path, status, md5, sha256, body, expect_headers }] = pages.as_slice() else {
        return Err(not_built("`urls`"));
    };
    let missing = [
        (method != defaults::HTTP_METHOD, "`method`"),
        (!headers.is_empty(), "`headers`"),
        (request_body.is_some(), "`request_body`"),
        (*version != defaults::HTTP_VERSION, "`version`"),
        (*keep_alive, "`keep_alive`"),
        (sha256.is_some(), "`sha256`"),
        (body.is_some(), "`body`"),
        (!expect_headers.is_empty(), "`expect_headers`"),
    ];
    if let Some((_, what)) = missing.into_iter().find(|(given, _)| *given) {
        return Err(not_built(what));
    }
    let ranges = status.iter().map(|range| range.first..=range.last);
    let mut checker = Http::new(path)?.with_statuses(StatusRanges::new(ranges)?);
    if let Some(host) = host {
        checker = checker.with_host(host)?;
    }
    if let Some(md5) = md5 {
        checker = checker.with_digest(*md5);
    }
    Ok(match source {
        Some(source) => checker.with_source(source),
        None => checker,
    })
}
