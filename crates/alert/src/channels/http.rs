//! How a receiver is asked over HTTP: the keys of `http_config`.

use barograph_yaml::{
    section::{Findings, Section, boolean, text},
    tree::Node,
};

use super::{Secret, read::url};

/// How a receiver is asked over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpConfig {
    /// Who asks, if it is told.
    pub auth: Option<HttpAuth>,
    /// How TLS is spoken.
    pub tls: TlsConfig,
    /// Over whom it is asked; may hold a user and a password.
    pub proxy_url: Option<Secret>,
    /// Whether redirects are followed.
    pub follow_redirects: bool,
    /// Whether HTTP/2 is spoken where TLS is and the other side takes it.
    pub enable_http2: bool,
    /// Headers of each request.
    pub headers: Vec<(String, Vec<Secret>)>,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            auth: None,
            tls: TlsConfig::default(),
            proxy_url: None,
            follow_redirects: true,
            enable_http2: true,
            headers: Vec::new(),
        }
    }
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpAuth {
    /// HTTP basic authentication.
    Basic {
        /// The user.
        username: Secret,
        /// The password.
        password: Secret,
    },
    /// An `Authorization` header of another kind.
    Header {
        /// The word before the credentials.
        scheme: String,
        /// What follows it.
        credentials: Secret,
    },
    /// A token of an OAuth 2 server (RFC 6749, 4.4).
    OAuth2 {
        /// Who this client is to it.
        client_id: String,
        /// What it proves that by.
        client_secret: Secret,
        /// Where it is asked.
        token_url: String,
        /// What the token is to be good for.
        scopes: Vec<String>,
        /// What it is told besides.
        parameters: Vec<(String, String)>,
    },
}

/// How TLS is spoken with a receiver.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsConfig {
    /// The authorities that are trusted, in PEM; those of the system by default.
    pub ca: Option<Secret>,
    /// The certificate that is shown, in PEM.
    pub cert: Option<Secret>,
    /// Its key.
    pub key: Option<Secret>,
    /// The name that the certificate of the server has to have.
    pub server_name: Option<String>,
    /// Whether any certificate is taken.
    pub insecure_skip_verify: bool,
    /// Whether nothing older than TLS 1.3 is spoken.
    pub only_tls13: bool,
}

impl HttpConfig {
    /// Reads the keys of a node.
    pub(crate) fn read(node: &Node, findings: &mut Findings) -> Self {
        let mut section = Section::open(node, "`http_config`", findings);
        let mut ways = Vec::new();
        if let Some(node) = section.node("basic_auth") {
            let mut section = Section::open(node, "`basic_auth`", findings);
            let empty = || Secret::Text(String::new());
            let username = Secret::read(&mut section, ["username", "username_file"], findings);
            let password = Secret::read(&mut section, ["password", "password_file"], findings);
            section.finish(&["username_ref", "password_ref"], findings);
            let (username, password) = (username.unwrap_or_else(empty), password.unwrap_or_else(empty));
            ways.push(HttpAuth::Basic { username, password });
        }
        if let Some(node) = section.node("authorization") {
            let mut section = Section::open(node, "`authorization`", findings);
            let scheme = section.value("type", text, findings).unwrap_or_else(|| "Bearer".to_owned());
            if scheme.trim().eq_ignore_ascii_case("basic") {
                findings.add(section.place_of("type"), "a name and a password are given by `basic_auth`");
            }
            let found = Secret::read(&mut section, ["credentials", "credentials_file"], findings);
            section.finish(&["credentials_ref"], findings);
            let credentials = found.unwrap_or_else(|| Secret::Text(String::new()));
            ways.push(HttpAuth::Header { scheme, credentials });
        }
        let token = Secret::read(&mut section, ["bearer_token", "bearer_token_file"], findings);
        ways.extend(token.map(|credentials| HttpAuth::Header { scheme: "Bearer".to_owned(), credentials }));
        if let Some(node) = section.node("oauth2") {
            ways.extend(read_oauth2(node, findings));
        }
        if ways.len() > 1 {
            let message =
                "`basic_auth`, `authorization`, `bearer_token` and `oauth2` exclude each other; keep one";
            findings.add(section.place, message);
        }
        let tls = section.node("tls_config").map(|node| TlsConfig::read(node, findings));
        let headers = section.entries("http_headers", findings);
        let headers = headers.iter().map(|(name, node)| (name.text.clone(), read_header(node, findings)));
        let headers = headers.collect();
        let config = Self {
            auth: ways.into_iter().next(),
            tls: tls.unwrap_or_default(),
            proxy_url: section.value("proxy_url", url, findings).map(Secret::Text),
            follow_redirects: section.value("follow_redirects", boolean, findings).unwrap_or(true),
            enable_http2: section.value("enable_http2", boolean, findings).unwrap_or(true),
            headers,
        };
        section.finish(&["no_proxy", "proxy_from_environment", "proxy_connect_header"], findings);
        config
    }
}

fn read_header(node: &Node, findings: &mut Findings) -> Vec<Secret> {
    let mut section = Section::open(node, "a header of `http_headers`", findings);
    let mut values: Vec<_> = section.values("values", text, findings).into_iter().map(Secret::Text).collect();
    values.extend(section.values("secrets", text, findings).into_iter().map(Secret::Text));
    values.extend(section.values("files", text, findings).into_iter().map(|path| Secret::File(path.into())));
    section.finish(&[], findings);
    values
}

fn read_oauth2(node: &Node, findings: &mut Findings) -> Option<HttpAuth> {
    let mut section = Section::open(node, "`oauth2`", findings);
    let client_id = section.value("client_id", text, findings);
    let secret = Secret::read(&mut section, ["client_secret", "client_secret_file"], findings);
    let token_url = section.value("token_url", url, findings);
    let scopes = section.values("scopes", text, findings);
    let parameters = section.entries("endpoint_params", findings);
    let parameters = parameters.iter().filter_map(|(name, node)| {
        let value = barograph_yaml::section::read_scalar(node, "a parameter", text, findings)?;
        Some((name.text.clone(), value))
    });
    let parameters = parameters.collect();
    let place = section.place;
    section.finish(&["tls_config", "proxy_url", "client_secret_ref"], findings);
    let (Some(client_id), Some(token_url)) = (client_id, token_url) else {
        findings.add(place, "`oauth2` needs `client_id` and `token_url`");
        return None;
    };
    let client_secret = secret.unwrap_or_else(|| Secret::Text(String::new()));
    Some(HttpAuth::OAuth2 { client_id, client_secret, token_url, scopes, parameters })
}

impl TlsConfig {
    /// Reads the keys of a node.
    pub(crate) fn read(node: &Node, findings: &mut Findings) -> Self {
        let mut section = Section::open(node, "`tls_config`", findings);
        let tls = Self {
            ca: Secret::read(&mut section, ["ca", "ca_file"], findings),
            cert: Secret::read(&mut section, ["cert", "cert_file"], findings),
            key: Secret::read(&mut section, ["key", "key_file"], findings),
            server_name: section.value("server_name", text, findings),
            insecure_skip_verify: section
                .value("insecure_skip_verify", boolean, findings)
                .unwrap_or_default(),
            only_tls13: section.value("min_version", min_version, findings).unwrap_or_default(),
        };
        if tls.cert.is_some() != tls.key.is_some() {
            findings.add(section.place, "a certificate and its key belong together; give both or neither");
        }
        section.finish(&["max_version", "ca_ref", "cert_ref", "key_ref"], findings);
        tls
    }
}

fn min_version(text: &str) -> Result<bool, String> {
    match text {
        "TLS10" | "TLS11" | "TLS12" => Ok(false),
        "TLS13" => Ok(true),
        _ => Err(format!("expected `TLS12` or `TLS13`, found `{text}`")),
    }
}
