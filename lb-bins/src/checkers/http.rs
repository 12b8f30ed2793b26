//! The checkers that ask for pages.

use lb_health::checkers::{Http, HttpVersion, Origin, Page, Pattern};
use lb_health::status_ranges::StatusRanges;

use super::files::tls;
use super::{CheckConfigError, Files};
use crate::config::check::{self, Text};

/// The checker for `http`, connecting from `origin`.
pub(super) fn checker(
    http: &check::Http,
    origin: Origin,
    files: &mut Files,
) -> Result<Http, CheckConfigError> {
    let pages: Result<Vec<Page>, _> = http.pages.iter().map(|answer| page(http, answer)).collect();
    let mut checker = Http::asking(pages?).with_version(match http.version {
        check::HttpVersion::Http10 => HttpVersion::Http10,
        check::HttpVersion::Http11 => HttpVersion::Http11,
        check::HttpVersion::Http2 => HttpVersion::Http2,
    });
    if let Some(options) = &http.tls {
        checker = checker.with_tls(tls(options, files)?);
    }
    checker = checker.with_origin(origin);
    Ok(if http.keep_alive { checker.keeping_alive() } else { checker })
}

/// One request, and what its answer must be like.
fn page(http: &check::Http, answer: &check::Page) -> Result<Page, CheckConfigError> {
    let check::Http { method, host, headers, request_body, .. } = http;
    let check::Page { path, status, drain_status, digest, body, expect_headers, body_limit } =
        answer;
    let ranges = |status: &[check::StatusRange]| {
        StatusRanges::new(status.iter().map(|range| range.first..=range.last))
    };
    let mut page = Page::new(path)?.with_method(method)?.with_statuses(ranges(status)?);
    if !drain_status.is_empty() {
        page = page.with_drain_statuses(ranges(drain_status)?);
    }
    if let Some(host) = host {
        page = page.with_host(host)?;
    }
    for (name, value) in headers {
        page = page.with_header(name, value)?;
    }
    if let Some(body) = request_body {
        page = page.with_body(body.clone());
    }
    if let Some(digest) = digest {
        page = page.with_digest(*digest);
    }
    if let Some(check::BodyRule { text, absent }) = body {
        let pattern = match text {
            Text::Is(text) => Pattern::text(text)?,
            Text::Matches(pattern) => Pattern::regex(pattern.as_str())?,
        };
        page = if *absent { page.refusing_body(pattern) } else { page.expecting_body(pattern) };
    }
    page = page.with_body_limit(*body_limit as usize);
    for check::HeaderRule { name, value, absent } in expect_headers {
        let pattern = match value {
            Text::Is(text) => Pattern::exactly(text)?,
            Text::Matches(pattern) => Pattern::regex(pattern.as_str())?,
        };
        page = match absent {
            true => page.refusing_header(name, pattern)?,
            false => page.expecting_header(name, pattern)?,
        };
    }
    Ok(page)
}
