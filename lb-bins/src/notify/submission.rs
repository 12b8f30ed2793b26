//! How mail is handed to its server: in clear, or over TLS and with a login (RFC 6409, RFC 8314).

use std::fmt;

use lb_health::checkers::TlsError;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{
    Certificate, CertificateStore, Identity, Tls, TlsParameters,
};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, Tokio1Executor};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::mail::{LONGEST_SENDING, MailError};
use crate::checkers::{CheckConfigError, identity, password_in, read, tls_of};
use crate::config::check::{self, SmtpSecurity};
use crate::config::{Address, Mail};

/// A way to a server. Two of one configuration are the same if their files have the same in them.
#[derive(Clone)]
pub(super) struct Submission {
    files: Files,
    transport: AsyncSmtpTransport<Tokio1Executor>,
}

/// What was in the files: for no log.
#[derive(Clone, Default, Eq, PartialEq)]
struct Files {
    authorities: Option<Vec<u8>>,
    identity: Option<[Vec<u8>; 2]>,
    password: Option<String>,
}

impl Submission {
    /// The way that `config` says, by which we are called `helo`. Reads the files that it takes.
    ///
    /// # Errors
    /// [`MailError`], if one of them is not as it should be.
    pub(super) fn new(config: &Mail, helo: String) -> Result<Self, MailError> {
        let files = Files::of(config).map_err(MailError::Files)?;
        let Mail { server, security, login, .. } = config;
        let host = match server {
            Address::Named { host, .. } => host.to_string(),
            Address::Numeric(address) => address.ip().to_string(),
        };
        let security = match security {
            Some(SmtpSecurity::Implicit(options)) => {
                Tls::Wrapper(parameters(options, &host, &files)?)
            }
            Some(SmtpSecurity::Starttls(options)) => {
                Tls::Required(parameters(options, &host, &files)?)
            }
            None => Tls::None,
        };
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(server.port())
            .hello_name(ClientId::Domain(helo))
            .timeout(Some(LONGEST_SENDING))
            .tls(security);
        if let (Some(login), Some(password)) = (login, &files.password) {
            let credentials = Credentials::new(login.user.clone(), password.clone());
            transport = transport.credentials(credentials);
        }
        Ok(Self { files, transport: transport.build() })
    }

    pub(super) const fn transport(&self) -> &AsyncSmtpTransport<Tokio1Executor> {
        &self.transport
    }
}

impl PartialEq for Submission {
    fn eq(&self, other: &Self) -> bool {
        self.files == other.files
    }
}

impl fmt::Debug for Submission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Submission").finish_non_exhaustive()
    }
}

impl Files {
    fn of(config: &Mail) -> Result<Self, CheckConfigError> {
        let Mail { security, login, .. } = config;
        let mut files = Self::default();
        if let Some(security) = security {
            let options = security.tls();
            files.authorities = options.ca.as_deref().map(read).transpose()?;
            files.identity = identity(options)?;
            // Said as for checks, of which a file can be wrong in as many ways.
            tls_of(options, files.authorities.as_deref(), files.identity.as_ref())?;
        }
        if let Some(login) = login {
            files.password = Some(password_in(&login.password_file)?);
        }
        Ok(files)
    }
}

/// TLS with `host`, as far as nothing else is configured.
fn parameters(options: &check::Tls, host: &str, files: &Files) -> Result<TlsParameters, MailError> {
    let name = options.sni.as_deref().unwrap_or(host);
    let mut builder = TlsParameters::builder(name.to_owned())
        .dangerous_accept_invalid_certs(!options.verify)
        .dangerous_accept_invalid_hostnames(!options.verify);
    if let Some(authorities) = &files.authorities {
        let authorities = Certificate::from_pem(authorities).map_err(MailError::Tls)?;
        builder =
            builder.certificate_store(CertificateStore::None).add_root_certificate(authorities);
    }
    if let (Some([certificate, key]), Some(paths)) = (&files.identity, &options.identity) {
        // Over rustls, `Identity::from_pem` takes what it is given for the DER of one certificate (lettre
        // 0.11.23): there is no way to present those of authorities as well.
        let certificate = CertificateDer::from_pem_slice(certificate).map_err(|_| {
            let (path, source) = (paths.certificate.clone(), TlsError::NoCertificate);
            MailError::Files(CheckConfigError::TlsFile { path, source })
        })?;
        let identity = Identity::from_pem(&certificate, key).map_err(MailError::Tls)?;
        builder = builder.identify_with(identity);
    }
    builder.build().map_err(MailError::Tls)
}
