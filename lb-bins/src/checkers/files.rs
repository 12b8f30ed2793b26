//! What checks read from files when they are built: passwords, certificates, keys.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use lb_health::checkers::Tls;

use super::CheckConfigError;
use crate::config::check::{self, Secret};

/// Neither passwords nor certificates are larger; a device, or the wrong file, may be.
const LARGEST: u64 = 4 << 20;

/// The password itself, if there is one; of a file, the first line.
pub(super) fn password(secret: Option<&Secret>) -> Result<Option<String>, CheckConfigError> {
    Ok(match secret {
        None => None,
        Some(Secret::Text(text)) => Some(text.clone()),
        Some(Secret::File(path)) => Some(password_in(path)?),
    })
}

/// The password in a file: its first line.
pub(crate) fn password_in(path: &Path) -> Result<String, CheckConfigError> {
    let text = String::from_utf8(read(path)?).map_err(|_| {
        let source = io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8");
        CheckConfigError::Unreadable { path: path.to_owned(), source }
    })?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// TLS as it is configured.
pub(crate) fn tls(options: &check::Tls) -> Result<Tls, CheckConfigError> {
    let check::Tls { sni, verify, ca, identity } = options;
    let mut tls = match (verify, ca) {
        (false, _) => Tls::unverified()?,
        (true, None) => Tls::new()?,
        (true, Some(path)) => Tls::trusting(&read(path)?)
            .map_err(|source| CheckConfigError::TlsFile { path: path.clone(), source })?,
    };
    if let Some(check::Identity { certificate, key }) = identity {
        tls = tls
            .with_identity(&read(certificate)?, &read(key)?)
            .map_err(|source| CheckConfigError::TlsFile { path: certificate.clone(), source })?;
    }
    Ok(match sni {
        Some(name) => tls.with_name(name)?,
        None => tls,
    })
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, CheckConfigError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LARGEST).read_to_end(&mut bytes))
        .map_err(|source| CheckConfigError::Unreadable { path: path.to_owned(), source })?;
    Ok(bytes)
}
