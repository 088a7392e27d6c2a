//! A server over TLS, looked at: its certificate is trusted, is for its name, and is valid for long enough.

use barograph_model::Timestamp;
use x509_cert::{Certificate, der::Decode};

use super::http::trusting;
use crate::{config::Authorities, health::Finding, outgoing::tls::connect};

const DAY_MS: i64 = 86_400_000;

/// A certificate has to be trusted, and should be valid for so many days more.
pub(super) async fn probe(
    (host, port): (&str, u16),
    authorities: &Authorities,
    days: u32,
    now: Timestamp,
) -> Finding {
    let stream = match connect((host, port), &trusting(authorities)).await {
        Ok(stream) => stream,
        Err(error) => return Finding::fail(error.to_string()),
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
