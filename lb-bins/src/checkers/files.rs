//! What checks read from files when they are built: passwords, certificates, keys.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use lb_health::checkers::Tls;

use super::{CheckConfigError, Files};
use crate::config::check::{self, Secret};

/// Neither passwords nor certificates are larger; a device, or the wrong file, may be.
const LARGEST: u64 = 4 << 20;

/// The password itself, if there is one; of a file, the first line.
pub(super) fn password(
    secret: Option<&Secret>,
    files: &mut Files,
) -> Result<Option<String>, CheckConfigError> {
    Ok(match secret {
        None => None,
        Some(Secret::Text(text)) => Some(text.clone()),
        Some(Secret::File(path)) => Some(first_line(path, files.read(path)?)?),
    })
}

/// The password in a file: its first line.
pub(crate) fn password_in(path: &Path) -> Result<String, CheckConfigError> {
    first_line(path, &read(path)?)
}

fn first_line(path: &Path, bytes: &[u8]) -> Result<String, CheckConfigError> {
    let text = str::from_utf8(bytes).map_err(|_| {
        let source = io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8");
        CheckConfigError::Unreadable { path: path.to_owned(), source }
    })?;
    let password = text.lines().next().unwrap_or_default();
    if password.is_empty() {
        let source =
            io::Error::new(io::ErrorKind::InvalidData, "there is no password in its first line");
        return Err(CheckConfigError::Unreadable { path: path.to_owned(), source });
    }
    Ok(password.to_owned())
}

/// TLS as it is configured.
pub(super) fn tls(options: &check::Tls, files: &mut Files) -> Result<Tls, CheckConfigError> {
    let mut read = |path: &Path| files.read(path).map(<[u8]>::to_vec);
    let authorities =
        options.ca.as_deref().filter(|_| options.verify).map(&mut read).transpose()?;
    let identity = options.identity.as_ref().map(|check::Identity { certificate, key }| {
        Ok::<_, CheckConfigError>([read(certificate)?, read(key)?])
    });
    tls_of(options, authorities.as_deref(), identity.transpose()?.as_ref())
}

/// What is in the files of the certificate to be presented and its key.
pub(crate) fn identity(options: &check::Tls) -> Result<Option<[Vec<u8>; 2]>, CheckConfigError> {
    let Some(check::Identity { certificate, key }) = &options.identity else { return Ok(None) };
    Ok(Some([read(certificate)?, read(key)?]))
}

/// The same out of what was in the files.
pub(crate) fn tls_of(
    options: &check::Tls,
    authorities: Option<&[u8]>,
    identity: Option<&[Vec<u8>; 2]>,
) -> Result<Tls, CheckConfigError> {
    let wrong = |path: &Path, source| CheckConfigError::TlsFile { path: path.to_owned(), source };
    let mut tls = match (options.verify, &options.ca, authorities) {
        (false, ..) => Tls::unverified()?,
        (true, Some(path), Some(authorities)) => {
            Tls::trusting(authorities).map_err(|source| wrong(path, source))?
        }
        (true, ..) => Tls::new()?,
    };
    if let (Some(paths), Some([certificate, key])) = (&options.identity, identity) {
        tls = tls
            .with_identity(certificate, key)
            .map_err(|source| wrong(&paths.certificate, source))?;
    }
    Ok(match options.sni.as_deref() {
        Some("") => tls.without_name(),
        Some(name) => tls.with_name(name)?,
        None => tls,
    })
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, CheckConfigError> {
    bytes_in(path).map_err(|source| CheckConfigError::Unreadable { path: path.to_owned(), source })
}

pub(super) fn bytes_in(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST).read_to_end(&mut bytes)?;
    Ok(bytes)
}
