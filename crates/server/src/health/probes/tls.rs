//! TLS as a client (RFC 8446, RFC 5246): a server whose certificate is trusted, is for its name, and is valid for long enough.
//!
//! Trusted are the authorities of the system, or those of a file.

use std::{path::Path, sync::Arc, sync::LazyLock};

use barograph_model::Timestamp;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use x509_cert::{Certificate, der::Decode};

use crate::{config::Authorities, errors::chain, health::Finding};

const DAY_MS: i64 = 86_400_000;

/// The authorities that the system trusts; read once.
static SYSTEM: LazyLock<Arc<RootCertStore>> = LazyLock::new(|| {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    Arc::new(roots)
});

/// A connection to `host` over which TLS is spoken.
pub(super) async fn connect(
    host: &str,
    port: u16,
    authorities: &Authorities,
) -> Result<TlsStream<TcpStream>, String> {
    let roots = roots(authorities)?;
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(name.to_owned()).map_err(|_| format!("{host} is no name of a server"))?;
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().map_err(|error| chain(&error))?;
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let stream = TcpStream::connect((host.trim_matches(['[', ']']), port)).await;
    let stream = stream.map_err(|error| format!("cannot connect to {host}:{port}: {error}"))?;
    let connected = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    connected.map_err(|error| format!("no TLS with {host}:{port}: {}", chain(&error)))
}

fn roots(authorities: &Authorities) -> Result<Arc<RootCertStore>, String> {
    match authorities {
        Authorities::System => Ok(SYSTEM.clone()),
        Authorities::File(path) => of_file(path).map(Arc::new),
    }
}

fn of_file(path: &Path) -> Result<RootCertStore, String> {
    let unreadable = |why: &dyn std::fmt::Display| format!("cannot read {}: {why}", path.display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unreadable(&error))? {
        let certificate = certificate.map_err(|error| unreadable(&error))?;
        roots.add(certificate).map_err(|error| unreadable(&error))?;
    }
    if roots.is_empty() {
        return Err(unreadable(&"there is no certificate in it"));
    }
    Ok(roots)
}

/// A certificate has to be trusted, and should be valid for so many days more.
pub(super) async fn probe(
    (host, port): (&str, u16),
    authorities: &Authorities,
    days: u32,
    now: Timestamp,
) -> Finding {
    let stream = match connect(host, port, authorities).await {
        Ok(stream) => stream,
        Err(error) => return Finding::fail(error),
    };
    let session = stream.get_ref().1;
    let version = session.protocol_version().and_then(|version| version.as_str());
    let Some(certificate) = session.peer_certificates().and_then(<[_]>::first) else {
        return Finding::fail(format!("{host}:{port} showed no certificate"));
    };
    let Some(until) = valid_until(certificate) else {
        return Finding::fail(format!("the certificate of {host}:{port} cannot be read"));
    };
    let left = (until - now.0).div_euclid(DAY_MS);
    let finding = match left < i64::from(days) {
        true => Finding::warn(format!("the certificate of {host}:{port} expires in {left} days")),
        false => Finding::pass(),
    };
    finding
        .with("days_left", left)
        .with("not_after", Timestamp(until).to_rfc3339())
        .with("tls_version", version)
}

/// The last moment of a certificate, in milliseconds since the epoch.
fn valid_until(certificate: &[u8]) -> Option<i64> {
    let certificate = Certificate::from_der(certificate).ok()?;
    let end = certificate.tbs_certificate().validity().not_after.to_unix_duration();
    i64::try_from(end.as_millis()).ok()
}
