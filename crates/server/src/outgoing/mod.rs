//! The one client by which the server asks others over HTTP: scrapes, probes, discovery, receivers, remote write.
//!
//! HTTP/1.1, and HTTP/2 where TLS is spoken and the other side takes it; connections are kept and used again. TLS and
//! credentials are as configured ([`HttpClientConfig`]); files of secrets and certificates are read anew, so they may
//! change under us. Credentials go to the host that was asked, and to no other that it redirects to. An answer is within
//! its size, compressed and not, and comes within its time.

mod body;
mod connect;
mod credentials;
mod error;
mod proxy;
pub(crate) mod tls;
mod token;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::{
        ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, LOCATION,
        USER_AGENT,
    },
};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::{
    client::legacy,
    rt::{TokioExecutor, TokioTimer},
};

use crate::{config::HttpClientConfig, errors::chain};
pub(crate) use connect::dial;
pub use connect::{Connector, Stream};
pub use error::Error;
use token::Token;

/// A chain of more redirects is given up.
const REDIRECTS_MAX: usize = 5;
/// Connections to one host that are kept while nothing is asked.
const IDLE_PER_HOST_MAX: usize = 16;
/// A connection over which nothing was asked for so long is closed.
const IDLE: Duration = Duration::from_secs(90);
/// The name under which we ask.
const AGENT: &str = concat!("Barograph/", env!("CARGO_PKG_VERSION"));

/// What one exchange may cost, redirects included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// How long it may take.
    pub(crate) timeout: Duration,
    /// Bytes of the answer, as they come and decompressed.
    pub(crate) body_bytes: u64,
}

/// An answer, read whole and decompressed.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Asks one side, or several in the same way. Clones share connections and tokens.
#[derive(Clone, Debug)]
pub(crate) struct Client(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    config: HttpClientConfig,
    transport: Transport,
    token: Option<Token>,
}

type Transport = legacy::Client<Connector, Full<Bytes>>;

impl Client {
    /// Keeps connections for the next request.
    pub(crate) fn new(config: HttpClientConfig) -> Self {
        Self::keeping(config, IDLE_PER_HOST_MAX)
    }

    /// Opens a connection for each request: where whether one opens is part of what is asked.
    pub(crate) fn fresh(config: HttpClientConfig) -> Self {
        Self::keeping(config, 0)
    }

    fn keeping(config: HttpClientConfig, idle: usize) -> Self {
        let connector = Connector::new(&config.tls, config.proxy.as_ref(), config.enable_http2);
        let token = config.oauth2.clone().map(Token::new);
        Self(Arc::new(Shared { transport: transport(connector, idle), token, config }))
    }

    /// Asks, follows redirects if that is allowed, and reads the answer, whatever its status.
    ///
    /// # Errors
    /// There is no answer, or it is beyond a limit.
    pub(crate) async fn send(&self, request: Request<Bytes>, limits: Limits) -> Result<Answer, Error> {
        let exchange = async {
            let response = self.exchange(request).await?;
            body::read(response, limits.body_bytes).await
        };
        match tokio::time::timeout(limits.timeout, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::Timeout(limits.timeout)),
        }
    }

    async fn exchange(&self, request: Request<Bytes>) -> Result<Response<Incoming>, Error> {
        let Shared { config, transport, token } = &*self.0;
        let (mut head, mut body) = request.into_parts();
        head.headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(AGENT));
        head.headers.entry(ACCEPT_ENCODING).or_insert(HeaderValue::from_static("gzip, zstd"));
        let first = origin(&head.uri);
        for _ in 0..=REDIRECTS_MAX {
            let mut request = Request::new(Full::new(body.clone()));
            *request.method_mut() = head.method.clone();
            *request.uri_mut() = head.uri.clone();
            *request.headers_mut() = head.headers.clone();
            if origin(&head.uri) == first {
                credentials::add(request.headers_mut(), config, token.as_ref()).await?;
            }
            connect::through_proxy(&mut request, config.proxy.as_ref());
            let response =
                transport.request(request).await.map_err(|error| unreachable(&head.uri, &error))?;
            if response.status() == StatusCode::UNAUTHORIZED
                && let Some(token) = token
            {
                token.forget().await;
            }
            if !(config.follow_redirects && leads_on(&response)) {
                return Ok(response);
            }
            head.uri = redirected(&head.uri, &response)?;
            if origin(&head.uri) != first {
                head.headers.remove(AUTHORIZATION);
                head.headers.remove(COOKIE);
            }
            // The answer to what was sent is to be fetched elsewhere, unless it is said that it has to be sent there.
            let again = matches!(response.status().as_u16(), 307 | 308);
            if !again && head.method != Method::HEAD {
                head.method = Method::GET;
                for name in [CONTENT_TYPE, CONTENT_ENCODING, CONTENT_LENGTH] {
                    head.headers.remove(name);
                }
                body = Bytes::new();
            }
        }
        Err(Error::Unusable(format!("more than {REDIRECTS_MAX} redirects")))
    }
}

fn transport(connector: Connector, idle: usize) -> Transport {
    legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_max_idle_per_host(idle)
        .pool_idle_timeout(IDLE)
        .build(connector)
}

/// Whom a URL asks: scheme, host and port.
fn origin(uri: &Uri) -> (bool, String, u16) {
    let secure = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
    (secure, uri.host().unwrap_or_default().to_ascii_lowercase(), port)
}

fn leads_on(response: &Response<Incoming>) -> bool {
    matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Where a redirect leads: elsewhere, or to another path of the same place.
fn redirected(from: &Uri, response: &Response<Incoming>) -> Result<Uri, Error> {
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let location =
        location.ok_or_else(|| Error::Unusable(format!("{} without a place to go to", response.status())))?;
    target(from, location).ok_or_else(|| Error::Unusable(format!("cannot follow a redirect to `{location}`")))
}

/// A reference as seen from a URL (RFC 3986, 5.2), as far as redirects use them.
fn target(from: &Uri, location: &str) -> Option<Uri> {
    let (scheme, authority) = (from.scheme_str()?, from.authority()?);
    let to: Uri = if let Some(rest) = location.strip_prefix("//") {
        format!("{scheme}://{rest}").parse().ok()?
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}").parse().ok()?
    } else if location.contains("://") {
        location.parse().ok()?
    } else {
        let folder = from.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{scheme}://{authority}{folder}/{location}").parse().ok()?
    };
    let known = matches!(to.scheme_str(), Some("http" | "https")) && to.host().is_some();
    known.then_some(to)
}

/// Why nobody answers; of a URL only the place is told, as secrets may stand in the rest.
fn unreachable(uri: &Uri, error: &legacy::Error) -> Error {
    let place = uri.authority().map_or("", |authority| authority.as_str().rsplit('@').next().unwrap_or(""));
    if let Some(error) = connect::unusable(error) {
        return Error::Unusable(error);
    }
    // What the library calls it says nothing; its cause does.
    let text = std::error::Error::source(error).map_or_else(|| chain(error), chain);
    Error::Unreachable(match text.contains(place) && !place.is_empty() {
        true => text,
        false => format!("no answer from {place}: {text}"),
    })
}

#[cfg(test)]
mod tests;
