//! Who may call while no authentication is configured: this machine, and no web page of another origin. Where one is, who
//! calls is asked instead (`auth/gate.rs`).
//!
//! A page anywhere on the web can make a browser send requests to a loopback port. It cannot forge `Host` without
//! DNS rebinding, nor leave out `Origin` on what it sends, so both are checked.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{App, problem::Problem};
use crate::config::External;

/// Where a port is, and whether who calls it is asked who they are.
#[derive(Clone, Debug)]
pub(crate) struct At {
    /// Its address.
    address: SocketAddr,
    /// Whether authentication is configured.
    is_asked: bool,
    /// How else it is called, where somebody said so.
    external: Arc<External>,
}

impl At {
    /// A port of a server.
    pub(crate) fn of(app: &App, address: SocketAddr) -> Self {
        let external = app.configured().current().external.clone();
        Self { address, is_asked: app.auth().config().is_some(), external: Arc::new(external) }
    }
}

/// Refuses a `Host` that is not a loopback name and an `Origin` that is not ours, with 403, and sets the headers
/// that keep a browser careful with what we send.
pub(crate) async fn loopback_only(State(at): State<At>, request: Request, next: Next) -> Response {
    let mut response = match judge(&request, &at) {
        Ok(()) => next.run(request).await,
        Err(why) => Problem::new(StatusCode::FORBIDDEN, why).into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_POLICY));
    response
}

/// Why a request is refused, if it is.
pub(crate) fn refusal(request: &Request, at: &At) -> Option<String> {
    judge(request, at).err()
}

fn judge(request: &Request, at: &At) -> Result<(), String> {
    if at.is_asked {
        return Ok(());
    }
    let header = |name| request.headers().get(name).map(|value: &HeaderValue| value.to_str().unwrap_or("?"));
    let host = header(header::HOST).or_else(|| request.uri().authority().map(|a| a.as_str()));
    verdict(host, header(header::ORIGIN), at.address, &at.external)
}

/// Scripts only from us; styles may be set by scripts, which the editor and the charts need.
const CONTENT_POLICY: &str = "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; \
                              object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'";

fn verdict(
    host: Option<&str>,
    origin: Option<&str>,
    address: SocketAddr,
    external: &External,
) -> Result<(), String> {
    // HTTP/1.0 clients may leave the host out; a browser never does.
    if let Some(host) = host
        && !is_loopback_name(host)
        && !external.authority().is_some_and(|ours| ours.eq_ignore_ascii_case(host))
    {
        return Err(format!(
            "host {host:?} is not a loopback name; until authentication is configured only this machine may call"
        ));
    }
    if let Some(origin) = origin
        && external.origin().is_none_or(|ours| !ours.eq_ignore_ascii_case(origin))
    {
        let secure = origin.strip_prefix("https://").map(|authority| (authority, 443));
        let ours = origin.strip_prefix("http://").map(|authority| (authority, 80)).or(secure);
        let ours = ours.is_some_and(|(authority, port)| {
            is_loopback_name(authority) && port_of(authority).unwrap_or(port) == address.port()
        });
        if !ours {
            return Err(format!("a page of origin {origin:?} may not call this server"));
        }
    }
    Ok(())
}

fn is_loopback_name(authority: &str) -> bool {
    let name = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn port_of(authority: &str) -> Option<u16> {
    authority.rsplit_once(':')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(host: Option<&str>, origin: Option<&str>, allowed: bool) {
        check_as(&External::default(), host, origin, allowed);
    }

    fn check_as(external: &External, host: Option<&str>, origin: Option<&str>, allowed: bool) {
        let address: SocketAddr = "127.0.0.1:10701".parse().unwrap();
        assert_eq!(verdict(host, origin, address, external).is_ok(), allowed, "{host:?} {origin:?}");
    }

    #[test]
    fn only_loopback_names_and_our_own_pages() {
        check(None, None, true);
        check(Some("127.0.0.1:10701"), None, true);
        check(Some("localhost:10701"), Some("http://localhost:10701"), true);
        check(Some("[::1]:10701"), None, true);
        check(Some("localhost:10701"), Some("https://localhost:10701"), true);
        check(Some("127.0.0.1:10701"), Some("http://127.0.0.1:3000"), false);
        check(Some("127.0.0.1:10701"), Some("https://evil.example"), false);
        check(Some("127.0.0.1:10701"), Some("null"), false);
        check(Some("evil.example:10701"), None, false);
        check(Some("127.0.0.1.evil.example"), None, false);
    }

    #[test]
    fn the_external_url_names_us_too() {
        let text = "web: {external_url: 'https://graphs.example/a'}";
        let config = crate::config::Config::parse(text, "test.yml", std::path::Path::new(""), []).unwrap();
        let check = |host, origin, allowed| check_as(&config.external, host, origin, allowed);
        check(Some("graphs.example"), Some("https://graphs.example"), true);
        check(Some("Graphs.example"), None, true);
        check(Some("127.0.0.1:10701"), Some("https://graphs.example"), true);
        check(Some("graphs.example"), Some("http://graphs.example"), false);
        check(Some("graphs.example"), Some("https://evil.example"), false);
        check(Some("evil.example"), None, false);
    }
}
