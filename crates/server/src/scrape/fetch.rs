//! The HTTP exchange of a scrape.

use std::{fmt::Write, io::Read, time::Duration};

use barograph_wire::exposition::Dialect;
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Request, Response, StatusCode, Uri,
    header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, LOCATION, USER_AGENT},
};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

use crate::config::{Auth, PAGE_BYTES_MAX, ScrapeConfig, format_duration};

/// The formats we read, dearest first.
const ACCEPTED: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
    application/openmetrics-text;version=0.0.1;q=0.5,\
    text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
    text/plain;version=0.0.4;q=0.3,*/*;q=0.1";

/// A chain of more redirects is given up.
const REDIRECTS_MAX: usize = 5;

/// The client all scrapes share.
pub(super) type HttpClient = Client<HttpConnector, Empty<Bytes>>;

pub(super) fn client() -> HttpClient {
    Client::builder(TokioExecutor::new()).pool_idle_timeout(Duration::from_secs(90)).build_http()
}

/// A page as it came, decompressed.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) text: Vec<u8>,
    pub(super) dialect: Dialect,
}

/// Fetches a page.
///
/// # Errors
/// Why there is none, as the targets page shows it.
pub(super) async fn fetch(
    client: &HttpClient,
    url: &str,
    timeout: Duration,
    config: &ScrapeConfig,
) -> Result<Fetched, String> {
    let exchange = exchange(client, url, timeout, config);
    match tokio::time::timeout(timeout, exchange).await {
        Ok(fetched) => fetched,
        Err(_) => Err(format!("the scrape took longer than its timeout of {}", format_duration(timeout))),
    }
}

async fn exchange(
    client: &HttpClient,
    url: &str,
    timeout: Duration,
    config: &ScrapeConfig,
) -> Result<Fetched, String> {
    let mut uri: Uri = url.parse().map_err(|error| format!("`{url}` is not a URL: {error}"))?;
    let mut headers = headers(timeout, config)?;
    for _ in 0..=REDIRECTS_MAX {
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = uri.clone();
        *request.headers_mut() = headers.clone();
        let response = client.request(request).await.map_err(|error| causes(&error))?;
        if !(config.follow_redirects && response.status().is_redirection()) {
            return receive(response, config).await;
        }
        let next = redirected(&uri, &response)?;
        if next.authority() != uri.authority() {
            headers.remove(AUTHORIZATION);
        }
        uri = next;
    }
    Err(format!("more than {REDIRECTS_MAX} redirects"))
}

fn headers(timeout: Duration, config: &ScrapeConfig) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static(ACCEPTED));
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("Barograph/", env!("CARGO_PKG_VERSION"))));
    let encoding = if config.enable_compression { "gzip" } else { "identity" };
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(encoding));
    let seconds = timeout.as_secs_f64().to_string();
    let seconds = HeaderValue::from_str(&seconds).map_err(|error| error.to_string())?;
    headers.insert("x-prometheus-scrape-timeout-seconds", seconds);
    if let Some(auth) = &config.auth {
        headers.insert(AUTHORIZATION, authorization(auth)?);
    }
    Ok(headers)
}

/// The secrets are read anew for every scrape, so a file may change under us.
fn authorization(auth: &Auth) -> Result<HeaderValue, String> {
    let unread = |error: std::io::Error| format!("cannot read credentials: {error}");
    let text = match auth {
        Auth::Basic { username, password } => {
            let (username, password) =
                (username.reveal().map_err(unread)?, password.reveal().map_err(unread)?);
            format!("Basic {}", BASE64_STANDARD.encode(format!("{username}:{password}")))
        }
        Auth::Header { scheme, credentials } => format!("{scheme} {}", credentials.reveal().map_err(unread)?),
    };
    let mut value =
        HeaderValue::try_from(text).map_err(|_| "credentials cannot be sent in a header".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

/// Where a redirect leads: elsewhere, or to another path of the same place.
fn redirected(from: &Uri, response: &Response<Incoming>) -> Result<Uri, String> {
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let location = location.ok_or_else(|| format!("{} without a place to go to", response.status()))?;
    let wrong = || format!("cannot follow a redirect to `{location}`");
    let to: Uri = if location.starts_with('/') && !location.starts_with("//") {
        let authority = from.authority().ok_or_else(wrong)?;
        format!("http://{authority}{location}").parse().map_err(|_| wrong())?
    } else {
        location.parse().map_err(|_| wrong())?
    };
    if to.scheme_str() == Some("http") { Ok(to) } else { Err(wrong()) }
}

async fn receive(response: Response<Incoming>, config: &ScrapeConfig) -> Result<Fetched, String> {
    if response.status() != StatusCode::OK {
        return Err(format!("the target answered with HTTP status {}", response.status()));
    }
    let dialect = dialect(response.headers(), config)?;
    let is_gzip = match response.headers().get(CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"identity" | b"") => false,
        Some(b"gzip" | b"x-gzip") => true,
        Some(other) => {
            return Err(format!("content encoding `{}` is not known", String::from_utf8_lossy(other)));
        }
    };
    let limit = match config.limits.body_bytes {
        0 => PAGE_BYTES_MAX,
        limit => limit.min(PAGE_BYTES_MAX),
    };
    let body = collect(response.into_body(), limit).await?;
    let text = if is_gzip { unzip(&body, limit)? } else { body };
    Ok(Fetched { text, dialect })
}

fn dialect(headers: &HeaderMap, config: &ScrapeConfig) -> Result<Dialect, String> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    Dialect::from_content_type(content_type).or(config.fallback_dialect).ok_or_else(|| {
        format!("content type `{content_type}` is no metrics format; `fallback_scrape_protocol` may name one")
    })
}

async fn collect(mut body: Incoming, limit: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| causes(&error))?;
        if let Some(data) = frame.data_ref() {
            if (bytes.len() + data.len()) as u64 > limit {
                return Err(too_large(limit));
            }
            bytes.extend_from_slice(data);
        }
    }
    Ok(bytes)
}

/// Never holds more than the limit and one byte, whatever the page would grow to.
fn unzip(bytes: &[u8], limit: u64) -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    let mut decoder = flate2::read::MultiGzDecoder::new(bytes).take(limit + 1);
    decoder.read_to_end(&mut text).map_err(|error| format!("the page is not gzip: {error}"))?;
    if text.len() as u64 > limit { Err(too_large(limit)) } else { Ok(text) }
}

fn too_large(limit: u64) -> String {
    format!("the page is larger than its limit of {limit} bytes")
}

/// An error and what caused it, on one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        write!(text, ": {error}").expect("a String takes anything");
        source = error.source();
    }
    text
}
