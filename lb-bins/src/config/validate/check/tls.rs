//! Rules for how checks speak TLS.

use std::net::IpAddr;

use crate::config::defaults;
use crate::config::draft::{self, Field};
use crate::config::mistakes::Mistakes;
use crate::config::model::check::{Identity, SmtpSecurity, Tls};
use crate::config::problem::Problem;
use crate::config::source::{Span, Spanned};
use crate::config::validate::values::{domain, file, needs};

/// What has a mail server speak TLS.
pub(in crate::config::validate) const SMTP_SWITCH: &str = "`starttls = true` or `tls = true`";

/// TLS for whoever is called `host`.
pub(super) fn tls(
    draft: &draft::check::Tls,
    host: Option<&str>,
    span: Span,
    mistakes: &mut Mistakes,
) -> Tls {
    let sni = match &draft.sni {
        Field::Given(given) => server_name(given, mistakes),
        Field::Absent | Field::Refused => host.and_then(name_in).map(str::to_owned),
    };
    let verify = draft.verify.or(defaults::VERIFY);
    if let Some(&Spanned { value: false, span }) = draft.verify.given() {
        mistakes.warning(span, Problem::Unverified { is_written: !draft.is_foreign });
    } else if sni.is_none() && draft.sni.is_absent() && !draft.verify.is_refused() {
        mistakes.warning(span, Problem::VerifiedByAddress);
    }
    needs(&draft.key, "`key`", [("certificate", draft.certificate.span())], mistakes);
    needs(&draft.certificate, "`certificate`", [("key", draft.key.span())], mistakes);
    let certificate = file("certificate", &draft.certificate, mistakes);
    let key = file("key", &draft.key, mistakes);
    Tls {
        sni,
        verify,
        ca: file("ca", &draft.ca, mistakes),
        identity: certificate.zip(key).map(|(certificate, key)| Identity { certificate, key }),
    }
}

/// TLS if it is switched on; it is by writing `switch`.
pub(super) fn if_switched_on(
    on: &Field<bool>,
    switch: &'static str,
    draft: &draft::check::Tls,
    span: Span,
    mistakes: &mut Mistakes,
) -> Option<Tls> {
    if_switched_on_for(on, switch, draft, None, span, mistakes)
}

/// The same for whoever is called `host`.
pub(super) fn if_switched_on_for(
    on: &Field<bool>,
    switch: &'static str,
    draft: &draft::check::Tls,
    host: Option<&str>,
    span: Span,
    mistakes: &mut Mistakes,
) -> Option<Tls> {
    if on.or(false) {
        return Some(tls(draft, host, span, mistakes));
    }
    let keys = [
        ("sni", draft.sni.span()),
        ("verify", draft.verify.span()),
        ("ca", draft.ca.span()),
        ("certificate", draft.certificate.span()),
        ("key", draft.key.span()),
    ];
    for (key, span) in keys {
        if let Some(span) = span
            && !on.is_refused()
        {
            mistakes.error(span, Problem::Without { key, needs: switch });
        }
    }
    None
}

/// How a mail server is to be spoken to that may be called `host`: by `starttls`, by `tls`, or in clear.
pub(in crate::config::validate) fn smtp_security(
    [starttls, implicit]: [&Field<bool>; 2],
    draft: &draft::check::Tls,
    host: Option<&str>,
    span: Span,
    mistakes: &mut Mistakes,
) -> Option<SmtpSecurity> {
    if let (Some(Spanned { value: true, .. }), Some(&Spanned { value: true, span })) =
        (starttls.given(), implicit.given())
    {
        mistakes.error(span, Problem::Exclusive { key: "tls", other: "starttls" });
    }
    if implicit.or(false) {
        return Some(SmtpSecurity::Implicit(tls(draft, host, span, mistakes)));
    }
    // Which of them is refused does not matter: nothing is known then.
    let on = if implicit.is_refused() { &Field::Refused } else { starttls };
    if_switched_on_for(on, SMTP_SWITCH, draft, host, span, mistakes).map(SmtpSecurity::Starttls)
}

/// A name that TLS can ask for, or none: none of them is an address (RFC 6066, 3).
fn server_name(name: &Spanned<String>, mistakes: &mut Mistakes) -> Option<String> {
    if name.value.is_empty() {
        return Some(String::new());
    }
    if name.value.parse::<IpAddr>().is_ok() {
        mistakes.error(name.span, Problem::AddressAsName { key: "sni" });
        return None;
    }
    domain("sni", name, is_host_character, mistakes);
    Some(name.value.clone())
}

/// The name in a `Host` header, which may have a port.
fn name_in(host: &str) -> Option<&str> {
    let name = host.split_once(':').map_or(host, |(name, _)| name);
    let is_name = !name.is_empty()
        && name.chars().all(is_host_character)
        && name.parse::<IpAddr>().is_err()
        && super::super::values::is_domain(name);
    is_name.then_some(name)
}

fn is_host_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.')
}
