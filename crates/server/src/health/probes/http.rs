//! An answer over HTTP or HTTPS, looked at: its status, and a text that is in it.

use std::time::Duration;

use bytes::Bytes;
use http::Request;

use crate::{
    config::{Authorities, HttpClientConfig, Secret, TlsClientConfig},
    health::Finding,
    outgoing::{Answer, Client, Limits},
};

/// What an answer may cost. How long a check may take is seen to by who runs it.
const LIMITS: Limits = Limits { timeout: Duration::from_secs(3_600), body_bytes: 1 << 20 };

/// Fetches a page. Each request has its own connection: whether one opens is part of what is asked.
pub(in super::super) async fn get(url: &str, authorities: &Authorities) -> Result<Answer, String> {
    let config = HttpClientConfig {
        tls: trusting(authorities),
        follow_redirects: false,
        enable_http2: false,
        ..HttpClientConfig::default()
    };
    let request = Request::get(url).body(Bytes::new()).map_err(|error| error.to_string())?;
    Client::fresh(config).send(request, LIMITS).await.map_err(|error| error.to_string())
}

/// TLS with those whom these vouch for.
pub(super) fn trusting(authorities: &Authorities) -> TlsClientConfig {
    let ca = match authorities {
        Authorities::System => None,
        Authorities::File(path) => Some(Secret::File(path.clone())),
    };
    TlsClientConfig { ca, ..TlsClientConfig::default() }
}

/// A page has to come, with one of these statuses (any of success if there are none) and with this text in it.
pub(super) async fn probe(
    url: &str,
    authorities: &Authorities,
    statuses: &[u16],
    text: Option<&str>,
) -> Finding {
    let answer = match get(url, authorities).await {
        Ok(answer) => answer,
        Err(error) => return Finding::fail(format!("no answer from {url}: {error}")),
    };
    let status = answer.status.as_u16();
    let expected = if statuses.is_empty() { answer.status.is_success() } else { statuses.contains(&status) };
    let has_text = text.is_none_or(|text| String::from_utf8_lossy(&answer.body).contains(text));
    let finding = match (expected, has_text) {
        (false, _) => Finding::fail(format!("{url} answered {}", answer.status)),
        (true, false) => Finding::fail(format!("the answer of {url} has not the text that is expected")),
        (true, true) => Finding::pass(),
    };
    finding.with("http_status", status).with("bytes", answer.body.len())
}
