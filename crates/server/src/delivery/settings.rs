//! Settings of channels as the client of HTTP takes them.

use std::path::Path;

use barograph_alert::channels::{HttpAuth, HttpConfig, Secret as AlertSecret, TlsConfig};

use crate::config::{
    Auth, HttpClientConfig, OAuth2, Proxy, ProxyUrl, Secret, TlsClientConfig, TlsVersion, TlsVersions,
};

/// A secret as the configuration has it; a file lies relative to a folder.
pub(super) fn secret(folder: &Path, secret: &AlertSecret) -> Secret {
    match secret {
        AlertSecret::Text(text) => Secret::Text(text.clone()),
        AlertSecret::File(path) => Secret::File(folder.join(path)),
    }
}

/// How TLS is spoken.
pub(super) fn tls_of(folder: &Path, tls: &TlsConfig) -> TlsClientConfig {
    let secret = |found| secret(folder, found);
    let min = if tls.only_tls13 { TlsVersion::Tls13 } else { TlsVersion::Tls12 };
    TlsClientConfig {
        ca: tls.ca.as_ref().map(secret),
        identity: tls.cert.as_ref().zip(tls.key.as_ref()).map(|(cert, key)| (secret(cert), secret(key))),
        server_name: tls.server_name.clone(),
        insecure_skip_verify: tls.insecure_skip_verify,
        versions: TlsVersions { min, ..TlsVersions::default() },
    }
}

/// How a receiver is asked.
pub(super) fn http_of(folder: &Path, http: &HttpConfig) -> HttpClientConfig {
    let secret = |found| secret(folder, found);
    let tls = tls_of(folder, &http.tls);
    let proxy = http.proxy_url.as_ref().and_then(proxy);
    let mut config = HttpClientConfig {
        tls: tls.clone(),
        proxy: proxy.clone(),
        headers: http
            .headers
            .iter()
            .map(|(name, values)| (name.clone(), values.iter().map(secret).collect()))
            .collect(),
        follow_redirects: http.follow_redirects,
        enable_http2: http.enable_http2,
        ..HttpClientConfig::default()
    };
    match &http.auth {
        None => {}
        Some(HttpAuth::Basic { username, password }) => {
            config.auth = Some(Auth::Basic { username: secret(username), password: secret(password) });
        }
        Some(HttpAuth::Header { scheme, credentials }) => {
            config.auth = Some(Auth::Header { scheme: scheme.clone(), credentials: secret(credentials) });
        }
        Some(HttpAuth::OAuth2 { client_id, client_secret, token_url, scopes, parameters }) => {
            config.oauth2 = Some(OAuth2 {
                client_id: client_id.clone(),
                client_secret: secret(client_secret),
                scopes: scopes.clone(),
                token_url: token_url.clone(),
                parameters: parameters.clone(),
                tls,
                proxy,
            });
        }
    }
    config
}

/// A proxy by its URL, which was checked to be one.
fn proxy(url: &AlertSecret) -> Option<Proxy> {
    let AlertSecret::Text(url) = url else { return None };
    let uri: http::Uri = url.parse().ok()?;
    let authority = uri.authority()?.as_str();
    let user = authority.rsplit_once('@').map(|(user, _)| user.to_owned());
    let secure = uri.scheme_str() == Some("https");
    let default = if secure { 443 } else { 80 };
    let (host, port) = (uri.host()?.to_owned(), uri.port_u16().unwrap_or(default));
    Some(Proxy {
        url: ProxyUrl { secure, host, port, user },
        except: Vec::new(),
        connect_headers: Vec::new(),
    })
}
