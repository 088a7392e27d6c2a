//! TLS as a server (RFC 8446, RFC 5246), as the web configuration says.
//!
//! The files of certificates and keys, and the web configuration itself, are looked at with every new connection: where one
//! has changed, all are read anew and hold from that connection on. What cannot be used is told once, and the last that
//! could stays. Nobody else waits for the disk that they are on.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use rustls::{
    CertificateError, CipherSuite, DigitallySignedStruct, DistinguishedName, NamedGroup, ServerConfig,
    SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, UnixTime},
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};

use super::certificate::ClientCertificate;
use crate::{
    config::{ClientAuth, Secret, TlsServerConfig, WebConfig},
    errors::chain,
    outgoing::tls::{PROVIDER, certificates, private_key, roots, versions},
};

/// What a port speaks in TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaks {
    /// HTTP/2 alone.
    Http2,
    /// HTTP/1.1, and HTTP/2 if it is on.
    Both,
}

/// The web configuration, as it is now.
#[derive(Debug, Default)]
pub(crate) struct Web {
    /// Its file, if there is one.
    path: Option<PathBuf>,
    current: Mutex<Arc<Current>>,
    /// The files of it, as they were when they were read last. Held while they are looked at.
    seen: Mutex<Seen>,
}

/// What changes when a file does: its time, its length and its number.
type Mark = (SystemTime, u64, u64);
/// Files, and how they were.
type Seen = Vec<(PathBuf, Option<Mark>)>;

/// A web configuration, and what was made of it.
#[derive(Debug, Default)]
pub(crate) struct Current {
    /// As it was read.
    pub(crate) config: WebConfig,
    tls: Option<[Arc<ServerConfig>; 2]>,
}

impl Current {
    /// What a handshake is made with on a port, if TLS is spoken at all.
    pub(super) fn tls(&self, speaks: Speaks) -> Option<Arc<ServerConfig>> {
        let [both, http2] = self.tls.as_ref()?;
        Some(if speaks == Speaks::Both { both.clone() } else { http2.clone() })
    }

    /// Whether who comes in with a certificate is who it says.
    pub(super) fn verifies_clients(&self) -> bool {
        self.config.tls.as_ref().is_some_and(|tls| tls.client_auth.verifies())
    }
}

impl Web {
    /// Reads a file; without one nothing is configured.
    ///
    /// # Errors
    /// What is wrong with it, or with what it names.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self, String> {
        let Some(path) = path else { return Ok(Self::default()) };
        let (current, seen) = load(path);
        let (current, seen) = (Mutex::new(Arc::new(current?)), Mutex::new(seen));
        Ok(Self { path: Some(path.to_owned()), current, seen })
    }

    /// Whether there are files that may change.
    pub(super) fn has_files(&self) -> bool {
        self.path.is_some()
    }

    /// The configuration, as it was when its files were looked at last.
    pub(crate) fn current(&self) -> Arc<Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks at the files, and reads all anew if one changed. Blocks on the disk; where somebody is looking, that will do.
    pub(super) fn look(&self) {
        let (Some(path), Ok(mut known)) = (&self.path, self.seen.try_lock()) else { return };
        if known.iter().all(|(path, mark)| mark_of(path) == *mark) {
            return;
        }
        let (read, seen) = load(path);
        *known = seen;
        match read {
            Ok(read) if read.tls.is_some() == self.is_secure() => {
                tracing::info!(path = %path.display(), "the web configuration was read again");
                *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(read);
            }
            Ok(_) => tracing::warn!(
                path = %path.display(),
                "TLS begins and ends with the server; start it again, until then the old web configuration holds"
            ),
            Err(why) => tracing::warn!(why, "the web configuration cannot be used; the old one holds"),
        }
    }

    /// Whether TLS is spoken.
    pub(crate) fn is_secure(&self) -> bool {
        self.current().tls.is_some()
    }
}

/// Whether a web configuration can be used, with the files it names.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check(path: &Path) -> Result<WebConfig, String> {
    load(path).0.map(|current| current.config)
}

/// What stands in a file, and the marks of all files that were looked at; those are taken first, so that a file that changes
/// meanwhile is read again.
fn load(path: &Path) -> (Result<Current, String>, Seen) {
    let mut seen = vec![(path.to_owned(), mark_of(path))];
    let config = match WebConfig::load(path) {
        Ok(config) => config,
        Err(error) => return (Err(chain(&error)), seen),
    };
    if let Some(tls) = &config.tls {
        let secrets = [Some(&tls.cert), Some(&tls.key), tls.client_ca.as_ref()];
        for secret in secrets.into_iter().flatten() {
            if let Secret::File(path) = secret {
                seen.push((path.clone(), mark_of(path)));
            }
        }
    }
    let made = config.tls.as_ref().map(|tls| {
        let both: &[&[u8]] = if config.http2 { &[b"h2", b"http/1.1"] } else { &[b"http/1.1"] };
        Ok([Arc::new(server_config(tls, both)?), Arc::new(server_config(tls, &[b"h2"])?)])
    });
    (made.transpose().map(|tls| Current { config, tls }), seen)
}

fn mark_of(path: &Path) -> Option<Mark> {
    let metadata = fs::metadata(path).ok()?;
    #[cfg(unix)]
    let number = std::os::unix::fs::MetadataExt::ino(&metadata);
    #[cfg(not(unix))]
    let number = 0;
    Some((metadata.modified().ok()?, metadata.len(), number))
}

fn server_config(tls: &TlsServerConfig, protocols: &[&[u8]]) -> Result<ServerConfig, String> {
    let provider = Arc::new(provider(tls)?);
    let builder = ServerConfig::builder_with_provider(provider.clone());
    let builder = builder.with_protocol_versions(&versions(tls.versions)).map_err(|error| chain(&error))?;
    let builder = match tls.client_auth {
        ClientAuth::None => builder.with_no_client_auth(),
        _ => builder.with_client_cert_verifier(Arc::new(Verifier::new(tls, provider)?)),
    };
    let (cert, key) = (read(&tls.cert)?, read(&tls.key)?);
    let certificates = certificates(&cert.0, &cert.1).map_err(|error| error.to_string())?;
    let key = private_key(&key.0, &key.1).map_err(|error| error.to_string())?;
    let config = builder.with_single_cert(certificates, key);
    let mut config = config.map_err(|error| format!("cannot use {}: {}", cert.1, chain(&error)))?;
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    config.ignore_client_order = tls.prefers_own;
    Ok(config)
}

/// The text of a secret, and what messages call it.
fn read(secret: &Secret) -> Result<(String, String), String> {
    let name = match secret {
        Secret::File(path) => path.display().to_string(),
        Secret::Text(_) => "what is configured".to_owned(),
    };
    let content = secret.reveal().map_err(|error| format!("cannot read {name}: {error}"))?;
    Ok((content, name))
}

/// The cryptography, of which only that is left which may be used.
fn provider(tls: &TlsServerConfig) -> Result<CryptoProvider, String> {
    let mut provider = (**PROVIDER).clone();
    let all = provider.cipher_suites.clone();
    let named = |suite: CipherSuite, name: &str| {
        let own = suite.as_str().unwrap_or_default();
        // The suites of TLS 1.3 have their version in their names here, and nowhere else.
        own == name || own.strip_prefix("TLS13_").is_some_and(|rest| name.strip_prefix("TLS_") == Some(rest))
    };
    for name in &tls.cipher_suites {
        if !all.iter().any(|suite| named(suite.suite(), name)) {
            let known: Vec<_> = all.iter().filter_map(|suite| suite.suite().as_str()).collect();
            return Err(format!("cipher suite `{name}` is not spoken; those that are: {}", known.join(", ")));
        }
    }
    let is_named = |suite: CipherSuite| tls.cipher_suites.iter().any(|name| named(suite, name));
    // As elsewhere, those of TLS 1.3 stay unless some of them are named.
    let any_13 = all.iter().any(|suite| suite.tls13().is_some() && is_named(suite.suite()));
    if !tls.cipher_suites.is_empty() {
        provider
            .cipher_suites
            .retain(|suite| is_named(suite.suite()) || (suite.tls13().is_some() && !any_13));
    }
    if !tls.groups.is_empty() {
        let mut groups = Vec::new();
        for name in &tls.groups {
            let group = match name.as_str() {
                "CurveP256" => NamedGroup::secp256r1,
                "CurveP384" => NamedGroup::secp384r1,
                "X25519" => NamedGroup::X25519,
                _ => {
                    return Err(format!(
                        "curve `{name}` is not known; those that are: CurveP256, CurveP384, X25519"
                    ));
                }
            };
            groups.extend(provider.kx_groups.iter().copied().filter(|known| known.name() == group));
        }
        provider.kx_groups = groups;
    }
    Ok(provider)
}

/// Looks at the certificates of clients.
#[derive(Debug)]
struct Verifier {
    how: ClientAuth,
    /// Who knows which authorities are believed; `None` if any certificate will do.
    inner: Option<Arc<dyn ClientCertVerifier>>,
    /// Of which a client has to have one, if there are any.
    names: Vec<String>,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn new(tls: &TlsServerConfig, provider: Arc<CryptoProvider>) -> Result<Self, String> {
        let inner = match (&tls.client_ca, tls.client_auth.verifies()) {
            (Some(ca), true) => {
                let (content, name) = read(ca)?;
                let roots = Arc::new(roots(&content, &name).map_err(|error| error.to_string())?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider.clone()).build();
                Some(verifier.map_err(|error| format!("cannot use {name}: {}", chain(&error)))?)
            }
            (_, false) => None,
            (None, true) => return Err("clients cannot be verified without an authority".to_owned()),
        };
        Ok(Self { how: tls.client_auth, inner, names: tls.client_names.clone(), provider })
    }
}

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        self.how.requires()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.as_ref().map_or(&[], |inner| inner.root_hint_subjects())
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let Some(inner) = &self.inner else { return Ok(ClientCertVerified::assertion()) };
        let verified = inner.verify_client_cert(certificate, between, now)?;
        if self.names.is_empty() {
            return Ok(verified);
        }
        let client = ClientCertificate::read(certificate);
        let is_allowed = |client: ClientCertificate| client.sans.iter().any(|name| self.names.contains(name));
        match client.is_some_and(is_allowed) {
            true => Ok(verified),
            false => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
