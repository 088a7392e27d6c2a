//! The HTTP exchange of a scrape: what a target is asked, and as what its answer is read.

use std::time::Duration;

use barograph_wire::exposition::Dialect;
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, StatusCode,
    header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE},
};

use crate::{
    config::{PAGE_BYTES_MAX, PageFormat, ScrapeConfig, accept, format_duration},
    outgoing::{Answer, Client, Error, Limits},
};

/// A page as it came, decompressed.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) bytes: Bytes,
    pub(super) format: PageFormat,
}

/// Fetches a page.
///
/// # Errors
/// Why there is none, as the targets page shows it.
pub(super) async fn fetch(
    client: &Client,
    url: &str,
    timeout: Duration,
    config: &ScrapeConfig,
) -> Result<Fetched, String> {
    let body_bytes = match config.limits.body_bytes {
        0 => PAGE_BYTES_MAX,
        limit => limit.min(PAGE_BYTES_MAX),
    };
    let answer = client.send(request(url, timeout, config)?, Limits { timeout, body_bytes }).await;
    receive(answer.map_err(words)?, config)
}

fn request(url: &str, timeout: Duration, config: &ScrapeConfig) -> Result<Request<Bytes>, String> {
    let mut request = Request::new(Bytes::new());
    *request.uri_mut() = url.parse().map_err(|error| format!("`{url}` is not a URL: {error}"))?;
    let headers = request.headers_mut();
    let accepted = accept(config.pages.protocols(), config.pages.escaping());
    headers.insert(ACCEPT, value(&accepted)?);
    let encoding = if config.enable_compression { "gzip" } else { "identity" };
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(encoding));
    let told = HeaderName::from_static("x-prometheus-scrape-timeout-seconds");
    headers.insert(told, value(&timeout.as_secs_f64().to_string())?);
    Ok(request)
}

fn value(text: &str) -> Result<HeaderValue, String> {
    HeaderValue::from_str(text).map_err(|error| error.to_string())
}

/// Why there is no answer, in the words of scraping.
fn words(error: Error) -> String {
    match error {
        Error::Timeout(timeout) => {
            format!("the scrape took longer than its timeout of {}", format_duration(timeout))
        }
        Error::TooLarge(limit) => format!("the page is larger than its limit of {limit} bytes"),
        other => other.to_string(),
    }
}

fn receive(answer: Answer, config: &ScrapeConfig) -> Result<Fetched, String> {
    if answer.status != StatusCode::OK {
        return Err(format!("the target answered with HTTP status {}", answer.status));
    }
    if let Some(coding) = answer.headers.get(CONTENT_ENCODING) {
        return Err(format!(
            "content encoding `{}` is not known",
            String::from_utf8_lossy(coding.as_bytes())
        ));
    }
    Ok(Fetched { format: format(&answer.headers, config)?, bytes: answer.body })
}

fn format(headers: &HeaderMap, config: &ScrapeConfig) -> Result<PageFormat, String> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    told(content_type).or(config.fallback.map(|protocol| protocol.format())).ok_or_else(|| {
        format!("content type `{content_type}` is no metrics format; `fallback_scrape_protocol` may name one")
    })
}

/// The format that a content type says.
fn told(content_type: &str) -> Option<PageFormat> {
    if let Some(dialect) = Dialect::from_content_type(content_type) {
        return Some(PageFormat::Text(dialect));
    }
    let mut parts = content_type.split(';').map(str::trim);
    let is_protobuf = parts.next()?.eq_ignore_ascii_case("application/vnd.google.protobuf");
    let has = |wanted: &str| parts.clone().any(|part| part.replace('"', "").eq_ignore_ascii_case(wanted));
    let families = is_protobuf && has("proto=io.prometheus.client.MetricFamily") && has("encoding=delimited");
    families.then_some(PageFormat::Protobuf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types_say_the_format() {
        let protobuf =
            "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";
        let table = [
            (protobuf, Some(PageFormat::Protobuf)),
            ("application/vnd.google.protobuf", None),
            ("text/plain; version=0.0.4", Some(PageFormat::Text(Dialect::Text))),
            ("application/openmetrics-text; version=1.0.0", Some(PageFormat::Text(Dialect::OpenMetrics))),
            ("text/html", None),
            ("", None),
        ];
        for (content_type, format) in table {
            assert_eq!(told(content_type), format, "{content_type}");
        }
    }
}
