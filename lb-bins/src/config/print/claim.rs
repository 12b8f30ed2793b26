//! Prints claims of addresses.

use super::check::inline_headers;
use super::{array, command, duration, path, table, text};
use crate::config::model::check::StatusRange;
use crate::config::model::{Call, Claim, ClaimBy, Holder, HttpClaim};

pub(super) fn inline_claim(Claim { by, interval, timeout }: &Claim) -> String {
    let by = match by {
        ClaimBy::Command(run) => ("command", Some(command(run))),
        ClaimBy::Http(http) => ("http", Some(inline_http(http))),
    };
    let [interval, timeout] = [*interval, *timeout].map(|time| Some(text(&duration(time))));
    table(&[by, ("interval", interval), ("timeout", timeout)])
}

fn inline_http(http: &HttpClaim) -> String {
    let HttpClaim { assign, holder, release, headers, token_file, ca, verify } = http;
    let mut keys = call_keys(assign).to_vec();
    keys.extend([
        ("headers", (!headers.is_empty()).then(|| inline_headers(headers))),
        ("token_file", token_file.as_deref().map(path)),
        ("ca", ca.as_deref().map(path)),
        ("verify", Some(verify.to_string())),
        ("holder", holder.as_ref().map(inline_holder)),
        ("release", release.as_ref().map(|call| table(&call_keys(call)))),
    ]);
    table(&keys)
}

fn call_keys(Call { method, url, body, status }: &Call) -> [(&'static str, Option<String>); 4] {
    [
        ("method", Some(text(method))),
        ("url", Some(text(url))),
        ("body", body.as_deref().map(text)),
        ("status", Some(array(status.iter().map(StatusRange::to_string)))),
    ]
}

fn inline_holder(Holder { url, pointer, value }: &Holder) -> String {
    table(&[
        ("url", Some(text(url))),
        ("pointer", Some(text(pointer))),
        ("value", Some(text(value))),
    ])
}
