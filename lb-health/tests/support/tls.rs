//! Certificates made on the spot, and servers that present them.

use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::accepting;

/// An authority of the test's own.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate.
    pub(crate) pem: String,
    own: CertificateDer<'static>,
}

/// What a server presents.
pub(crate) struct Presented {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
    /// The same as PEM.
    pub(crate) pem: (String, String),
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "our authority");
        let own = params.self_signed(&key).unwrap();
        let (pem, own) = (own.pem(), own.der().clone());
        Self { issuer: Issuer::new(params, key), pem, own }
    }

    /// Its own certificate, for a server.
    pub(crate) fn itself(&self) -> Presented {
        let key = self.issuer.key();
        Presented {
            pem: (self.pem.clone(), key.serialize_pem()),
            chain: vec![self.own.clone()],
            key: PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        }
    }

    /// A certificate for `name` that ends with the year.
    pub(crate) fn vouch(&self, name: &str, until_year: i32) -> Presented {
        self.vouch_from(2001, name, until_year)
    }

    /// The same that begins with a year.
    pub(crate) fn vouch_from(&self, year: i32, name: &str, until_year: i32) -> Presented {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = rcgen::date_time_ymd(year, 1, 1);
        params.not_after = rcgen::date_time_ymd(until_year, 12, 31);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Presented {
            pem: (certificate.pem(), key.serialize_pem()),
            chain: vec![certificate.der().clone()],
            key: PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        }
    }
}

impl Presented {
    /// A certificate for `name` that no authority has issued.
    pub(crate) fn by_itself(name: &str) -> Self {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        Self {
            pem: (made.cert.pem(), made.signing_key.serialize_pem()),
            chain: vec![made.cert.der().clone()],
            key: PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap(),
        }
    }
}

/// Presents this, and agrees on one of `protocols` (ALPN).
pub(crate) fn acceptor(presented: Presented, protocols: &[&[u8]]) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(presented.chain, presented.key)
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

/// A server that does this over every TLS session.
pub(crate) async fn securing<F, R>(
    presented: Presented,
    protocols: &[&[u8]],
    behave: F,
) -> SocketAddr
where
    F: Fn(TlsStream<TcpStream>) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let acceptor = acceptor(presented, protocols);
    accepting(move |stream| {
        let (acceptor, behave) = (acceptor.clone(), behave.clone());
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                behave(stream).await;
            }
        }
    })
    .await
}
