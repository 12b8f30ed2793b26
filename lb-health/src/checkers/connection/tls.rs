//! TLS as checks need it: who is trusted is a setting, and what was presented is evidence.

use std::error::Error;
use std::io;
use std::sync::{Arc, LazyLock, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::attempt::Attempt;
use super::certificate;
use crate::trace::Phase;
use crate::{CheckError, Target};

/// How checks talk TLS (1.2 and 1.3): whom they trust, which name they ask for, who they are.
///
/// Certificates are verified unless that is [given up](Self::unverified): keepalived never does, so
/// that there an expired certificate, or that of another site, passes. Sessions are not resumed: a
/// check is to see what a new client sees.
///
/// ```no_run
/// use lb_health::checkers::Tls;
///
/// let tls = Tls::new()?.with_name("www.example.org")?;
/// let private = Tls::trusting(&std::fs::read("/etc/ssl/our-authority.pem")?)?;
/// assert!(Tls::unverified()?.with_name("not a name").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Tls {
    config: Arc<ClientConfig>,
    /// Who decides on certificates; `None` takes any.
    verifier: Option<Arc<WebPkiServerVerifier>>,
    /// The name to ask for and to verify; the address of the target if there is none.
    name: Option<ServerName<'static>>,
    /// Whether what the target is called elsewhere may stand for a name.
    takes_site: bool,
}

impl Tls {
    /// Trusts the authorities that this system trusts, read once per process.
    ///
    /// # Errors
    /// If the system has none that can be read.
    pub fn new() -> Result<Self, TlsError> {
        static SYSTEM: LazyLock<Arc<RootCertStore>> = LazyLock::new(|| {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            Arc::new(roots)
        });
        if SYSTEM.is_empty() {
            return Err(TlsError::NoSystemRoots);
        }
        Self::verifying(Arc::clone(&SYSTEM))
    }

    /// Trusts the authorities in `pem`, and nobody else.
    ///
    /// # Errors
    /// If there is none in it, or one is broken.
    pub fn trusting(pem: &[u8]) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(pem)? {
            roots.add(certificate).map_err(unusable)?;
        }
        Self::verifying(Arc::new(roots))
    }

    /// Takes any certificate; it is evidence all the same.
    ///
    /// # Errors
    /// None in practice: what the TLS library may refuse is fixed at build time.
    pub fn unverified() -> Result<Self, TlsError> {
        Self::build(None, None)
    }

    /// This, asking for `name` (SNI, RFC 6066) and verifying that the certificate is for it. Without
    /// one no name is asked for, and the certificate must be for the target's address.
    ///
    /// # Errors
    /// If it is neither a host name nor an address.
    pub fn with_name(mut self, name: &str) -> Result<Self, TlsError> {
        let parsed = ServerName::try_from(name.to_owned());
        self.name = Some(parsed.map_err(|_| TlsError::Name { name: name.to_owned() })?);
        Ok(self)
    }

    /// This, asking for no name, not even for the `Host` of a page: keepalived without `enable_sni`. A
    /// certificate that is verified must be for the target's address.
    #[must_use]
    pub fn without_name(self) -> Self {
        Self { name: None, takes_site: false, ..self }
    }

    /// Whether the host that is asked for in a protocol is the name.
    #[allow(dead_code, reason = "only HTTP asks")]
    pub(in crate::checkers) const fn takes_site(&self) -> bool {
        self.takes_site && self.name.is_none()
    }

    /// Whether certificates are looked at.
    #[allow(dead_code, reason = "only HTTP asks")]
    pub(in crate::checkers) const fn verifies(&self) -> bool {
        self.verifier.is_some()
    }

    /// Whether a name is set.
    pub fn has_name(&self) -> bool {
        self.name.is_some()
    }

    /// This, presenting a certificate (with its chain) and its private key, both PEM.
    ///
    /// # Errors
    /// If one of them cannot be read, or they do not belong together.
    pub fn with_identity(self, certificate: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| TlsError::Key)?;
        let identity = Some((certificates(certificate)?, key));
        let Self { verifier, name, takes_site, .. } = self;
        Ok(Self { name, takes_site, ..Self::build(verifier, identity)? })
    }

    /// This, offering `protocols` in that order (ALPN, RFC 7301).
    #[allow(dead_code, reason = "only HTTP negotiates")]
    pub(in crate::checkers) fn offering(mut self, protocols: &[&[u8]]) -> Self {
        let offered = protocols.iter().map(|&protocol| protocol.to_owned()).collect();
        Arc::make_mut(&mut self.config).alpn_protocols = offered;
        self
    }

    fn verifying(roots: Arc<RootCertStore>) -> Result<Self, TlsError> {
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider()).build();
        Self::build(Some(verifier.map_err(|_| TlsError::NoCertificate)?), None)
    }

    fn build(
        verifier: Option<Arc<WebPkiServerVerifier>>,
        identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
    ) -> Result<Self, TlsError> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            // Each handshake has a verifier of its own: see `handshake`.
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Witness::new(verifier.clone())));
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => builder.with_client_auth_cert(chain, key).map_err(unusable)?,
        };
        config.resumption = rustls::client::Resumption::disabled();
        Ok(Self { config: Arc::new(config), verifier, name: None, takes_site: true })
    }

    /// Makes a session over `stream`, for whoever has something to say to a server beside checking
    /// it. Without a [name](Self::with_name) the certificate must be for the server's address.
    ///
    /// # Errors
    /// The server is not to be trusted, does not speak TLS, or is gone.
    pub async fn connect(
        &self,
        stream: TcpStream,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + use<>> {
        let address = stream.peer_addr()?.ip();
        let name = self.name.clone().unwrap_or_else(|| address.into());
        TlsConnector::from(Arc::clone(&self.config)).connect(name, stream).await
    }

    /// Makes the session, and keeps what certificate was presented whether it is trusted or not.
    pub(in crate::checkers) async fn handshake(
        &self,
        attempt: &mut Attempt,
        stream: TcpStream,
        target: Target,
    ) -> Result<TlsStream<TcpStream>, CheckError> {
        let witness = Arc::new(Witness::new(self.verifier.clone()));
        let mut config = ClientConfig::clone(&self.config);
        config.dangerous().set_certificate_verifier(Arc::clone(&witness) as _);
        let name = self.name.clone().unwrap_or_else(|| target.address.ip().into());
        let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
        let result = attempt.step(Phase::Tls, connecting).await;
        let presented = witness.presented.get().and_then(certificate::describe);
        if presented.is_some() {
            attempt.trace.evidence_mut().certificate = presented;
        }
        match result {
            // The target hung up while the session was made: no plain end, but no TLS either.
            Err(CheckError::Closed) => Err(CheckError::TlsHandshake { source: Arc::new(HungUp) }),
            result => result,
        }
    }
}

/// The cause that an error of the TLS library stands for; `None` for any other error.
pub(in crate::checkers) fn cause(error: &io::Error) -> Option<CheckError> {
    let tls = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    Some(match tls {
        rustls::Error::InvalidCertificate(objection) => certificate::cause(objection),
        _ => CheckError::TlsHandshake { source: Arc::new(tls.clone()) },
    })
}

/// TLS cannot be set up like this.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A certificate, or the key that should belong to it, is of no use.
    #[error("the certificate is of no use: {source}")]
    Certificate {
        /// What the TLS library said.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// Not a private key.
    #[error("there is no private key in the PEM text")]
    Key,
    /// Neither a host name nor an address.
    #[error("{name:?} is neither a host name nor an address")]
    Name {
        /// What was given.
        name: String,
    },
    /// No certificate at all.
    #[error("there is no certificate in the PEM text")]
    NoCertificate,
    /// This system trusts nobody.
    #[error("this system has no trusted authorities: install ca-certificates, or name your own")]
    NoSystemRoots,
}

fn unusable(error: rustls::Error) -> TlsError {
    TlsError::Certificate { source: Arc::new(error) }
}

#[derive(Debug, thiserror::Error)]
#[error("the server hung up")]
struct HungUp;

/// Signatures that nobody here can verify, for servers that can make no other (RFC 8446 section 4.2.3).
const UNVERIFIED: [SignatureScheme; 7] = [
    SignatureScheme::ECDSA_NISTP521_SHA512,
    // `rsa_pss_pss_sha256` and its two likes: by keys that are for that alone.
    SignatureScheme::Unknown(0x0809),
    SignatureScheme::Unknown(0x080a),
    SignatureScheme::Unknown(0x080b),
    SignatureScheme::ED448,
    SignatureScheme::ECDSA_SHA1_Legacy,
    SignatureScheme::RSA_PKCS1_SHA1,
];

/// Verifies as it is told, and remembers what it was shown.
///
/// Without verifying, a signature proves that a server has the key of a certificate that anybody can make:
/// nothing. Not to look at it lets certificates pass that cannot be read for the key in them: of version
/// 1, as old tools make them, or with RSA keys of 1024 bits.
#[derive(Debug)]
struct Witness {
    verifier: Option<Arc<WebPkiServerVerifier>>,
    presented: OnceLock<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl Witness {
    fn new(verifier: Option<Arc<WebPkiServerVerifier>>) -> Self {
        Self { verifier, presented: OnceLock::new(), provider: provider() }
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        stapled: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        // A handshake shows one certificate; would it show a second, the first is what counts.
        let _ = self.presented.set(certificate.clone().into_owned());
        match &self.verifier {
            Some(verifier) => {
                verifier.verify_server_cert(certificate, intermediates, name, stapled, now)
            }
            None => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if self.verifier.is_none() {
            return Ok(HandshakeSignatureValid::assertion());
        }
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if self.verifier.is_none() {
            return Ok(HandshakeSignatureValid::assertion());
        }
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let mut schemes = self.provider.signature_verification_algorithms.supported_schemes();
        if self.verifier.is_none() {
            schemes.extend(UNVERIFIED);
        }
        schemes
    }
}

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> =
        LazyLock::new(|| Arc::new(rustls::crypto::ring::default_provider()));
    Arc::clone(&PROVIDER)
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    parsed.ok().filter(|found| !found.is_empty()).ok_or(TlsError::NoCertificate)
}
