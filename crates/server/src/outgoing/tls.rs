//! TLS as a client (RFC 8446, RFC 5246): whom we trust, and who we say that we are.
//!
//! Trusted are the authorities of the system, or those that are configured. Files are read at each handshake; while
//! what is in them stays the same, so does what was made of it.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme, SupportedProtocolVersion,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
    version::{TLS12, TLS13},
};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::{Error, connect, credentials::reveal};
use crate::{
    config::{Secret, TlsClientConfig, TlsVersion, TlsVersions},
    errors::chain,
};

/// The authorities that the system trusts; read once.
static SYSTEM: LazyLock<Arc<RootCertStore>> = LazyLock::new(|| {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    Arc::new(roots)
});

/// The cryptography that all of TLS is made with.
pub(crate) static PROVIDER: LazyLock<Arc<CryptoProvider>> =
    LazyLock::new(|| Arc::new(ring::default_provider()));

/// How TLS is spoken with a side.
#[derive(Debug)]
pub(super) struct Tls {
    config: TlsClientConfig,
    http2: bool,
    made: Mutex<Option<Made>>,
}

/// What was made of what stood in the files.
#[derive(Debug)]
struct Made {
    of: Material,
    config: Arc<ClientConfig>,
}

/// The texts of the files.
#[derive(PartialEq, Eq)]
struct Material {
    ca: Option<String>,
    identity: Option<(String, String)>,
}

impl std::fmt::Debug for Material {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<certificates and keys>")
    }
}

impl Tls {
    pub(super) fn new(config: TlsClientConfig, http2: bool) -> Self {
        Self { config, http2, made: Mutex::default() }
    }

    /// The name that the server has to have, if it is not that of the URL.
    pub(super) fn server_name(&self) -> Option<&str> {
        self.config.server_name.as_deref()
    }

    /// What a handshake is made with.
    pub(super) fn config(&self) -> Result<Arc<ClientConfig>, Error> {
        let TlsClientConfig { ca, identity, .. } = &self.config;
        let ca = ca.as_ref().map(reveal).transpose()?;
        let identity = identity.as_ref().map(|(cert, key)| Ok::<_, Error>((reveal(cert)?, reveal(key)?)));
        let material = Material { ca, identity: identity.transpose()? };
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = made.as_ref().filter(|made| made.of == material) {
            return Ok(made.config.clone());
        }
        let config = Arc::new(self.make(&material)?);
        *made = Some(Made { of: material, config: config.clone() });
        Ok(config)
    }

    fn make(&self, material: &Material) -> Result<ClientConfig, Error> {
        let builder = ClientConfig::builder_with_provider(PROVIDER.clone());
        let builder = builder.with_protocol_versions(&versions(self.config.versions));
        let builder = builder.map_err(|error| Error::Unusable(chain(&error)))?;
        let builder = if self.config.insecure_skip_verify {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyServer))
        } else {
            let roots = match &material.ca {
                None => SYSTEM.clone(),
                Some(text) => Arc::new(roots(text, &named(self.config.ca.as_ref()))?),
            };
            builder.with_root_certificates(roots)
        };
        let mut config = match (&material.identity, &self.config.identity) {
            (Some((cert, key)), Some((cert_name, key_name))) => {
                let chain_of = certificates(cert, &named(Some(cert_name)))?;
                let key = private_key(key, &named(Some(key_name)))?;
                let config = builder.with_client_auth_cert(chain_of, key);
                config.map_err(|error| unreadable(&named(Some(cert_name)), &chain(&error)))?
            }
            _ => builder.with_no_client_auth(),
        };
        config.alpn_protocols = match self.http2 {
            true => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            false => vec![b"http/1.1".to_vec()],
        };
        Ok(config)
    }
}

/// A connection over which TLS is spoken, for who wants to look at it.
pub(crate) async fn connect(
    (host, port): (&str, u16),
    config: &TlsClientConfig,
) -> Result<TlsStream<TcpStream>, Error> {
    let tls = Tls::new(config.clone(), false);
    // A file that cannot be read is told before anybody is asked.
    tls.config()?;
    let stream = connect::dial(host, port).await?;
    connect::secured(&tls, stream, (host, port)).await
}

/// TLS over a connection that is there.
pub(crate) async fn over(
    stream: TcpStream,
    place: (&str, u16),
    config: &TlsClientConfig,
) -> Result<TlsStream<TcpStream>, Error> {
    connect::secured(&Tls::new(config.clone(), false), stream, place).await
}

/// The versions of a range.
pub(crate) fn versions(range: TlsVersions) -> Vec<&'static SupportedProtocolVersion> {
    match (range.min, range.max) {
        (TlsVersion::Tls13, _) => vec![&TLS13],
        (_, TlsVersion::Tls12) => vec![&TLS12],
        _ => vec![&TLS13, &TLS12],
    }
}

/// What messages call a text: its file, or that it stands in the configuration.
fn named(secret: Option<&Secret>) -> String {
    match secret {
        Some(Secret::File(path)) => path.display().to_string(),
        _ => "what is configured".to_owned(),
    }
}

/// The authorities of a text in PEM.
pub(crate) fn roots(text: &str, name: &str) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(text, name)? {
        roots.add(certificate).map_err(|error| unreadable(name, &chain(&error)))?;
    }
    Ok(roots)
}

/// The certificates of a text in PEM; at least one.
pub(crate) fn certificates(text: &str, name: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    let certificates = certificates.map_err(|error| unreadable(name, &chain(&error)))?;
    match certificates.is_empty() {
        true => Err(unreadable(name, "there is no certificate in it")),
        false => Ok(certificates),
    }
}

/// The key of a text in PEM.
pub(crate) fn private_key(text: &str, name: &str) -> Result<PrivateKeyDer<'static>, Error> {
    // What the library says might quote the text.
    PrivateKeyDer::from_pem_slice(text.as_bytes())
        .map_err(|_| unreadable(name, "there is no private key in it that can be used"))
}

fn unreadable(name: &str, why: &str) -> Error {
    Error::Unusable(format!("cannot read {name}: {why}"))
}

/// Takes any certificate, as long as the server has its key.
#[derive(Debug)]
struct AnyServer;

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &PROVIDER.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &PROVIDER.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        PROVIDER.signature_verification_algorithms.supported_schemes()
    }
}
