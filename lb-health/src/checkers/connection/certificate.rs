//! What a certificate says, and what is said against it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::CertificateError;
use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::CheckError;
use crate::trace::Certificate;

/// The cause of a check whose server presented a certificate to which there is this objection.
pub(super) fn cause(objection: &CertificateError) -> CheckError {
    match objection {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            CheckError::CertificateExpired
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            CheckError::CertificateNotYetValid
        }
        CertificateError::NotValidForName => CheckError::CertificateName { name: "it".into() },
        CertificateError::NotValidForNameContext { expected, .. } => {
            CheckError::CertificateName { name: expected.to_str().into() }
        }
        _ => {
            let source = rustls::Error::InvalidCertificate(objection.clone());
            let source = match words(objection) {
                Some(why) => Arc::new(Untrusted { why, source }) as _,
                None => Arc::new(source) as _,
            };
            CheckError::CertificateUntrusted { source }
        }
    }
}

/// Why a certificate is not trusted, for people: the TLS library has names for it, for programmers.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
struct Untrusted {
    why: &'static str,
    source: rustls::Error,
}

/// `None` for what hardly ever happens.
fn words(objection: &CertificateError) -> Option<&'static str> {
    Some(match objection {
        CertificateError::BadEncoding => "it cannot be read",
        CertificateError::BadSignature => {
            "its signature is not that of the authority that it names"
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "it is not for servers"
        }
        CertificateError::UnhandledCriticalExtension => {
            "it has an extension that must be heeded and is not known here"
        }
        CertificateError::UnknownIssuer => {
            "nobody who is trusted has issued it, or the server leaves out what is in between"
        }
        // What `openssl req -x509` makes, unless it is told otherwise.
        CertificateError::Other(other)
            if other.0.downcast_ref() == Some(&webpki::Error::CaUsedAsEndEntity) =>
        {
            "it is an authority's (CA:TRUE) and so no server's"
        }
        _ => return None,
    })
}

/// What matters of a certificate, if it can be read at all.
pub(super) fn describe(certificate: &CertificateDer<'_>) -> Option<Certificate> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let names = parsed.subject_alternative_name().ok().flatten();
    let names = names.into_iter().flat_map(|names| &names.value.general_names);
    let expires = u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or(0);
    Some(Certificate {
        subject: bounded(parsed.subject().to_string()),
        issuer: bounded(parsed.issuer().to_string()),
        names: names.take(MOST_NAMES).map(|name| bounded(name_of(name))).collect(),
        expires: SystemTime::UNIX_EPOCH + Duration::from_secs(expires),
    })
}

/// A certificate may hold thousands of names; nobody reads them all.
const MOST_NAMES: usize = 20;

fn name_of(name: &x509_parser::prelude::GeneralName<'_>) -> String {
    use x509_parser::prelude::GeneralName;
    match name {
        GeneralName::DNSName(name) => (*name).to_owned(),
        GeneralName::IPAddress(bytes) => match **bytes {
            [a, b, c, d] => std::net::Ipv4Addr::new(a, b, c, d).to_string(),
            _ => <[u8; 16]>::try_from(*bytes).map_or_else(
                |_| name.to_string(),
                |bytes| std::net::Ipv6Addr::from(bytes).to_string(),
            ),
        },
        name => name.to_string(),
    }
}

/// At most 200 characters: it comes from the network and ends up in logs.
fn bounded(text: String) -> String {
    text.chars().take(200).collect()
}
