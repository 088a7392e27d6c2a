//! How the server asks others over HTTP, in the keys that `prometheus.yml` has for it wherever somebody is asked: scrapes,
//! discovery, remote write, receivers.
//!
//! The keys stand beside others in a section of their user, so [`read_http_client`] takes the section and leaves finishing
//! it to the caller.

use std::{net::IpAddr, path::Path};

use super::{
    secret::{Auth, Secret},
    section::{Findings, Section, boolean, read_scalar, text},
    tree::{Key, Kind, Node},
};

/// How one side is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpClientConfig {
    /// Who asks, if it is told.
    pub auth: Option<Auth>,
    /// Where a token is had from that tells who asks.
    pub oauth2: Option<OAuth2>,
    /// How TLS is spoken where the URL says `https`.
    pub tls: TlsClientConfig,
    /// Headers of each request.
    pub headers: Vec<(String, Vec<Secret>)>,
    /// Over whom it is asked.
    pub proxy: Option<Proxy>,
    /// Whether redirects are followed; yes by default.
    pub follow_redirects: bool,
    /// Whether HTTP/2 is spoken where TLS is and the other side takes it; yes by default.
    pub enable_http2: bool,
}

impl Default for HttpClientConfig {
    fn default() -> Self {
        Self {
            auth: None,
            oauth2: None,
            tls: TlsClientConfig::default(),
            headers: Vec::new(),
            proxy: None,
            follow_redirects: true,
            enable_http2: true,
        }
    }
}

/// How TLS is spoken with a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsClientConfig {
    /// The authorities that are trusted, in PEM; those of the system by default.
    pub ca: Option<Secret>,
    /// The certificate that is shown, in PEM, and its key.
    pub identity: Option<(Secret, Secret)>,
    /// The name that the certificate of the server has to have; by default that of the URL.
    pub server_name: Option<String>,
    /// Whether any certificate is taken.
    pub insecure_skip_verify: bool,
    /// Which versions may be spoken; both by default.
    pub versions: TlsVersions,
}

/// Versions of TLS, from one to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlsVersions {
    /// The oldest.
    pub min: TlsVersion,
    /// The newest.
    pub max: TlsVersion,
}

impl Default for TlsVersions {
    fn default() -> Self {
        Self { min: TlsVersion::Tls12, max: TlsVersion::Tls13 }
    }
}

/// A version of TLS that we speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
}

/// A server of tokens, asked with the credentials of this client (RFC 6749, 4.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OAuth2 {
    /// Who this client is to it.
    pub client_id: String,
    /// What it proves that by.
    pub client_secret: Secret,
    /// What the token is to be good for.
    pub scopes: Vec<String>,
    /// Where it is asked.
    pub token_url: String,
    /// What it is told besides.
    pub parameters: Vec<(String, String)>,
    /// How TLS is spoken with it.
    pub tls: TlsClientConfig,
    /// Over whom it is asked.
    pub proxy: Option<Proxy>,
}

/// Somebody who asks for us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Where it is. A user and a password in it are told to the proxy.
    pub url: ProxyUrl,
    /// Hosts that are asked directly.
    pub except: Vec<Exception>,
    /// Headers of what is said to the proxy to get through it.
    pub connect_headers: Vec<(String, Vec<Secret>)>,
}

/// The URL of a proxy; its user and password are not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyUrl {
    /// Whether TLS is spoken with it.
    pub secure: bool,
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// `user:password`.
    pub user: Option<String>,
}

impl std::fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let user = if self.user.is_some() { "<secret>@" } else { "" };
        let scheme = if self.secure { "https" } else { "http" };
        write!(f, "{scheme}://{user}{}:{}", self.host, self.port)
    }
}

/// Hosts that are not asked over a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exception {
    /// All of them.
    Any,
    /// A name, with what lies below it.
    Name(String),
    /// What lies below a name.
    Below(String),
    /// Addresses whose first bits are these.
    Addresses(IpAddr, u8),
}

impl Exception {
    /// Whether a host is meant.
    pub fn covers(&self, host: &str) -> bool {
        let below = |name: &str| {
            let (host, name) = (host.as_bytes(), name.as_bytes());
            host.len() > name.len()
                && host[host.len() - name.len()..].eq_ignore_ascii_case(name)
                && host[host.len() - name.len() - 1] == b'.'
        };
        match self {
            Self::Any => true,
            Self::Name(name) => host.eq_ignore_ascii_case(name) || below(name),
            Self::Below(name) => below(name),
            Self::Addresses(network, bits) => match (network, host.parse()) {
                (IpAddr::V4(network), Ok(IpAddr::V4(host))) => {
                    shares(u128::from(network.to_bits()), u128::from(host.to_bits()), 32 - *bits)
                }
                (IpAddr::V6(network), Ok(IpAddr::V6(host))) => {
                    shares(network.to_bits(), host.to_bits(), 128 - *bits)
                }
                _ => false,
            },
        }
    }
}

/// Whether two numbers are the same but for their last bits.
fn shares(a: u128, b: u128, last: u8) -> bool {
    (a ^ b).checked_shr(u32::from(last)).unwrap_or(0) == 0
}

/// Reads the keys of a client out of the section of whoever asks.
pub(super) fn read_http_client(
    section: &mut Section<'_>,
    folder: &Path,
    findings: &mut Findings,
) -> HttpClientConfig {
    let auth = read_auth(section, folder, findings);
    let oauth2 = section.node("oauth2").and_then(|node| read_oauth2(node, folder, findings));
    if auth.is_some() && oauth2.is_some() {
        findings.add(
            section.place_of("oauth2"),
            "`oauth2` and other ways to say who asks exclude each other; remove one",
        );
    }
    let tls = section.node("tls_config").map(|node| read_tls(node, folder, findings));
    let headers = section.entries("http_headers", findings);
    HttpClientConfig {
        auth,
        oauth2,
        tls: tls.unwrap_or_default(),
        headers: read_headers(headers, folder, findings),
        proxy: read_proxy(section, findings),
        follow_redirects: section.value("follow_redirects", boolean, findings).unwrap_or(true),
        enable_http2: section.value("enable_http2", boolean, findings).unwrap_or(true),
    }
}

/// Who asks: `basic_auth`, `authorization`, or a bearer token.
pub(super) fn read_auth(section: &mut Section<'_>, folder: &Path, findings: &mut Findings) -> Option<Auth> {
    let basic = section.node("basic_auth").map(|node| {
        let mut section = Section::open(node, "`basic_auth`", findings);
        let username = read_secret(&mut section, ["username", "username_file"], folder, findings);
        let password = read_secret(&mut section, ["password", "password_file"], folder, findings);
        section.finish(&["username_ref", "password_ref"], findings);
        Auth::Basic { username, password }
    });
    let header = section.node("authorization").map(|node| {
        let mut section = Section::open(node, "`authorization`", findings);
        let scheme = section.value("type", text, findings).unwrap_or_else(|| "Bearer".to_owned());
        if scheme.eq_ignore_ascii_case("basic") {
            findings.add(section.place_of("type"), "`type: Basic` belongs into `basic_auth`; move it there");
        }
        let credentials = read_secret(&mut section, ["credentials", "credentials_file"], folder, findings);
        section.finish(&["credentials_ref"], findings);
        Auth::Header { scheme, credentials }
    });
    let token = one_secret(section, ["bearer_token", "bearer_token_file"], folder, findings);
    let token = token.map(|credentials| Auth::Header { scheme: "Bearer".to_owned(), credentials });
    let mut found = [basic, header, token].into_iter().flatten();
    let auth = found.next();
    if found.next().is_some() {
        findings.add(
            section.place_of("authorization"),
            "`basic_auth`, `authorization` and `bearer_token` exclude each other; remove one",
        );
    }
    auth
}

/// A secret, or the name of its file; empty if there is none.
pub(super) fn read_secret(
    section: &mut Section<'_>,
    keys: [&'static str; 2],
    folder: &Path,
    findings: &mut Findings,
) -> Secret {
    one_secret(section, keys, folder, findings).unwrap_or_else(|| Secret::Text(String::new()))
}

pub(super) fn one_secret(
    section: &mut Section<'_>,
    [plain, file]: [&'static str; 2],
    folder: &Path,
    findings: &mut Findings,
) -> Option<Secret> {
    let given = section.value(plain, text, findings);
    let path = section.value(file, text, findings);
    if given.is_some() && path.is_some() {
        findings
            .add(section.place_of(file), format!("`{plain}` and `{file}` exclude each other; remove one"));
    }
    match path {
        Some(path) => Some(Secret::File(folder.join(path))),
        None => given.map(Secret::Text),
    }
}

/// Reads a `tls_config`.
pub(super) fn read_tls(node: &Node, folder: &Path, findings: &mut Findings) -> TlsClientConfig {
    let mut section = Section::open(node, "`tls_config`", findings);
    let ca = one_secret(&mut section, ["ca", "ca_file"], folder, findings);
    let cert = one_secret(&mut section, ["cert", "cert_file"], folder, findings);
    let key = one_secret(&mut section, ["key", "key_file"], folder, findings);
    let identity = match (cert, key) {
        (Some(cert), Some(key)) => Some((cert, key)),
        (None, None) => None,
        _ => {
            findings.add(section.place, "`tls_config` needs both a certificate and its key; add the other");
            None
        }
    };
    let config = TlsClientConfig {
        ca,
        identity,
        server_name: section.value("server_name", text, findings).filter(|name| !name.is_empty()),
        insecure_skip_verify: section.value("insecure_skip_verify", boolean, findings).unwrap_or(false),
        versions: read_versions(&mut section, findings),
    };
    section.finish(&["ca_ref", "cert_ref", "key_ref"], findings);
    config
}

/// `min_version` and `max_version`.
pub(super) fn read_versions(section: &mut Section<'_>, findings: &mut Findings) -> TlsVersions {
    let mut versions = TlsVersions::default();
    section.set("min_version", &mut versions.min, oldest, findings);
    section.set("max_version", &mut versions.max, newest, findings);
    if versions.min > versions.max {
        findings.add(
            section.place_of("max_version"),
            "`max_version` is older than `min_version`; no version is left",
        );
    }
    versions
}

/// Versions that nobody should speak any more allow those that come after them.
fn oldest(name: &str) -> Result<TlsVersion, String> {
    match name {
        "TLS10" | "TLS11" => Ok(TlsVersion::Tls12),
        name => newest(name),
    }
}

fn newest(name: &str) -> Result<TlsVersion, String> {
    match name {
        "TLS12" => Ok(TlsVersion::Tls12),
        "TLS13" => Ok(TlsVersion::Tls13),
        _ => Err(format!("expected `TLS12` or `TLS13`, found `{name}`; older versions are not spoken")),
    }
}

fn read_oauth2(node: &Node, folder: &Path, findings: &mut Findings) -> Option<OAuth2> {
    let mut section = Section::open(node, "`oauth2`", findings);
    let client_id = section.value("client_id", text, findings);
    let secret = one_secret(&mut section, ["client_secret", "client_secret_file"], folder, findings);
    let token_url = section.value("token_url", http_url, findings);
    let scopes = section.values("scopes", text, findings);
    let parameters = section.entries("endpoint_params", findings).iter().filter_map(|(key, node)| {
        let name = format!("parameter `{}`", key.text);
        Some((key.text.clone(), read_scalar(node, &name, text, findings)?))
    });
    let parameters = parameters.collect();
    let tls = section.node("tls_config").map(|node| read_tls(node, folder, findings));
    let proxy = read_proxy(&mut section, findings);
    if client_id.is_none() || secret.is_none() || section.node("token_url").is_none() {
        findings.add(section.place, "`oauth2` needs `client_id`, `client_secret` and `token_url`; add them");
    }
    let unsupported = [
        "client_secret_ref",
        "client_certificate_key_id",
        "client_certificate_key",
        "client_certificate_key_file",
        "signature_algorithm",
        "iss",
        "audience",
        "claims",
        "grant_type",
    ];
    section.finish(&unsupported, findings);
    Some(OAuth2 {
        client_id: client_id?,
        client_secret: secret?,
        scopes,
        token_url: token_url?,
        parameters,
        tls: tls.unwrap_or_default(),
        proxy,
    })
}

/// Headers that tell the message apart are ours.
const OWN_HEADERS: [&str; 9] = [
    "authorization",
    "host",
    "content-encoding",
    "content-length",
    "content-type",
    "user-agent",
    "connection",
    "transfer-encoding",
    "upgrade",
];

fn read_headers(
    entries: &[(Key, Node)],
    folder: &Path,
    findings: &mut Findings,
) -> Vec<(String, Vec<Secret>)> {
    let mut headers = Vec::new();
    for (key, node) in entries {
        if OWN_HEADERS.iter().any(|own| own.eq_ignore_ascii_case(&key.text)) {
            findings.add(&key.place, format!("header `{}` cannot be set here; remove it", key.text));
            continue;
        }
        let mut section = Section::open(node, "a header", findings);
        let mut values: Vec<_> = section.values("values", text, findings);
        values.extend(section.values("secrets", text, findings));
        let mut values: Vec<_> = values.into_iter().map(Secret::Text).collect();
        let files = section.values("files", text, findings);
        values.extend(files.into_iter().map(|path| Secret::File(folder.join(path))));
        section.finish(&[], findings);
        push_header(&mut headers, key, values, findings);
    }
    headers
}

fn push_header(
    headers: &mut Vec<(String, Vec<Secret>)>,
    key: &Key,
    values: Vec<Secret>,
    findings: &mut Findings,
) {
    match http::HeaderName::try_from(&key.text) {
        Ok(_) => headers.push((key.text.clone(), values)),
        Err(_) => findings.add(&key.place, format!("`{}` is no name of a header", key.text)),
    }
}

fn read_proxy(section: &mut Section<'_>, findings: &mut Findings) -> Option<Proxy> {
    let url = section.value("proxy_url", proxy_url, findings);
    let except = section.value("no_proxy", exceptions, findings).unwrap_or_default();
    section.value("proxy_from_environment", only_false, findings);
    let mut connect_headers = Vec::new();
    for (key, node) in section.entries("proxy_connect_header", findings) {
        let mut values = Vec::new();
        match &node.kind {
            Kind::List(items) => values.extend(
                items.iter().filter_map(|item| read_scalar(item, "each value of a header", text, findings)),
            ),
            _ => findings.add(&node.place, format!("a header should be a list, not {}", node.word())),
        }
        push_header(&mut connect_headers, key, values.into_iter().map(Secret::Text).collect(), findings);
    }
    if url.is_none() && (!except.is_empty() || !connect_headers.is_empty()) {
        findings
            .add(section.place_of("no_proxy"), "there is no `proxy_url` that this could be about; add it");
    }
    url.map(|url| Proxy { url, except, connect_headers })
}

fn only_false(word: &str) -> Result<(), String> {
    match boolean(word)? {
        false => Ok(()),
        true => Err("the environment names no proxy here; name it in `proxy_url`".to_owned()),
    }
}

fn http_url(text: &str) -> Result<String, String> {
    let wrong = || format!("expected a URL such as `https://example.com/token`, found `{text}`");
    let uri: http::Uri = text.parse().map_err(|_| wrong())?;
    match uri.scheme_str() {
        Some("http" | "https") if uri.authority().is_some() => Ok(text.to_owned()),
        _ => Err(wrong()),
    }
}

/// What is wrong is told without the URL, in which a password may stand.
fn proxy_url(text: &str) -> Result<ProxyUrl, String> {
    let wrong = || "expected the URL of a proxy such as `http://proxy.example:3128`".to_owned();
    let uri: http::Uri = text.parse().map_err(|_| wrong())?;
    let secure = match uri.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        _ => return Err(wrong()),
    };
    let authority = uri.authority().ok_or_else(wrong)?;
    let user = match authority.as_str().rsplit_once('@') {
        Some((user, _)) => Some(unescaped(user).ok_or_else(wrong)?),
        None => None,
    };
    let port = authority.port_u16().unwrap_or(if secure { 443 } else { 80 });
    Ok(ProxyUrl { secure, host: authority.host().to_owned(), port, user })
}

/// A text in which `%` and two digits are a byte.
fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'%' {
            let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &rest[2..];
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

fn exceptions(text: &str) -> Result<Vec<Exception>, String> {
    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    words.map(exception).collect()
}

fn exception(word: &str) -> Result<Exception, String> {
    let wrong = || format!("expected a host, a domain or addresses such as `10.0.0.0/8`, found `{word}`");
    if word == "*" {
        return Ok(Exception::Any);
    }
    if let Some((address, bits)) = word.split_once('/') {
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.parse().ok().filter(|bits| *bits <= most).ok_or_else(wrong)?;
        return Ok(Exception::Addresses(address, bits));
    }
    if let Ok(address) = word.parse::<IpAddr>() {
        return Ok(Exception::Addresses(address, if address.is_ipv4() { 32 } else { 128 }));
    }
    match word.strip_prefix("*.").or_else(|| word.strip_prefix('.')) {
        Some("") => Err(wrong()),
        Some(name) => Ok(Exception::Below(name.to_owned())),
        None => Ok(Exception::Name(word.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> Result<HttpClientConfig, String> {
        let read = barograph_yaml::read(yaml, "test.yml", |root, findings| {
            let mut section = Section::open(&root, "the client", findings);
            let config = read_http_client(&mut section, Path::new("/etc"), findings);
            section.finish(&[], findings);
            config
        });
        read.map_err(|faults| faults.to_string())
    }

    #[test]
    fn all_keys_of_prometheus() {
        let config = read(
            "tls_config: {ca_file: ca.pem, cert_file: c.pem, key: secret, server_name: x, min_version: TLS11,\n\
             \x20 max_version: TLS12, insecure_skip_verify: true}\n\
             oauth2: {client_id: me, client_secret_file: s, token_url: 'https://t/', scopes: [a, b],\n\
             \x20 endpoint_params: {audience: all}, proxy_url: 'http://p:1'}\n\
             http_headers: {X-A: {values: [one], secrets: [two], files: [three]}}\n\
             proxy_url: 'http://ann:p%40ss@proxy:3128'\nno_proxy: 'localhost, .corp, 10.0.0.0/8'\n\
             proxy_connect_header: {X-P: [yes]}\nproxy_from_environment: false\n\
             follow_redirects: false\nenable_http2: false\n",
        )
        .unwrap();
        let file = |name: &str| Secret::File(Path::new("/etc").join(name));
        assert_eq!(config.tls.ca, Some(file("ca.pem")));
        assert_eq!(config.tls.identity, Some((file("c.pem"), Secret::Text("secret".to_owned()))));
        assert_eq!(config.tls.versions, TlsVersions { min: TlsVersion::Tls12, max: TlsVersion::Tls12 });
        let oauth2 = config.oauth2.as_ref().unwrap();
        assert_eq!((&*oauth2.scopes[1], &oauth2.client_secret), ("b", &file("s")));
        assert_eq!(config.headers[0].1.len(), 3);
        let proxy = config.proxy.as_ref().unwrap();
        assert_eq!((proxy.url.port, proxy.url.user.as_deref()), (3128, Some("ann:p@ss")));
        assert!(!config.follow_redirects && !config.enable_http2);
        let shown = format!("{config:?}");
        assert!(!shown.contains("p@ss") && !shown.contains("two"), "{shown}");
        assert_eq!(read("").unwrap(), HttpClientConfig::default());
    }

    #[test]
    fn ways_to_say_who_asks() {
        let bearer = read("bearer_token_file: t").unwrap().auth;
        assert!(matches!(bearer, Some(Auth::Header { scheme, .. }) if scheme == "Bearer"));
        let check = |yaml: &str, why: &str| {
            let faults = read(yaml).unwrap_err();
            assert!(faults.contains(why), "{faults}");
        };
        check("{bearer_token: a, basic_auth: {username: b}}", "exclude each other");
        check(
            "{bearer_token: a, oauth2: {client_id: a, client_secret: b, token_url: 'http://c'}}",
            "exclude",
        );
        check("{oauth2: {client_id: a}}", "`oauth2` needs");
        check("{tls_config: {cert_file: a}}", "its key");
        check("{tls_config: {max_version: TLS10}}", "not spoken");
        check("{tls_config: {min_version: TLS13, max_version: TLS12}}", "no version is left");
        check("{tls_config: {ca: a, ca_file: b}}", "exclude each other");
        check("{http_headers: {Authorization: {values: [a]}}}", "cannot be set here");
        check("{proxy_url: 'socks5://a'}", "the URL of a proxy");
        check("{no_proxy: a}", "no `proxy_url`");
        check("{proxy_from_environment: true}", "`proxy_url`");
    }

    #[test]
    fn what_is_not_asked_over_a_proxy() {
        let check = |word: &str, host: &str, expected: bool| {
            assert_eq!(exception(word).unwrap().covers(host), expected, "{word} {host}");
        };
        check("*", "anything", true);
        check("corp.example", "corp.example", true);
        check("corp.example", "a.Corp.example", true);
        check("corp.example", "notcorp.example", false);
        check(".corp.example", "corp.example", false);
        check("*.corp.example", "a.corp.example", true);
        check("10.0.0.0/8", "10.200.3.4", true);
        check("10.0.0.0/8", "11.0.0.1", false);
        check("0.0.0.0/0", "11.0.0.1", true);
        check("127.0.0.1", "127.0.0.1", true);
        check("::1", "::1", true);
        check("::1", "127.0.0.1", false);
        assert!(exception("10.0.0.0/33").is_err() && exception(".").is_err());
    }
}
