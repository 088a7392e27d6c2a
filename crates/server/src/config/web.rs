//! The web configuration: TLS on the server's own ports, headers, and who may come in by a password, in the keys of the file
//! that programs of the Prometheus world take by `--web.config.file`.

use std::{collections::BTreeMap, fmt, path::Path};

use super::{
    ConfigError, Secret, TlsVersions,
    http_client::{one_secret, read_versions},
    read_limited,
    section::{Findings, Section, boolean, read_scalar, text},
    tree::{Key, Node},
};

/// What a web configuration says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebConfig {
    /// TLS, if it is spoken.
    pub tls: Option<TlsServerConfig>,
    /// Whether HTTP/2 is spoken where the client wants it; yes by default.
    pub http2: bool,
    /// Headers of every answer over HTTP.
    pub headers: Vec<(String, String)>,
    /// Who may come in by a password, and what bcrypt makes of it.
    pub users: BTreeMap<String, PasswordHash>,
}

impl Default for WebConfig {
    fn default() -> Self {
        Self { tls: None, http2: true, headers: Vec::new(), users: BTreeMap::new() }
    }
}

/// What bcrypt makes of a password. It is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(pub String);

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<hash>")
    }
}

/// How TLS is spoken with clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsServerConfig {
    /// The certificate, with those between it and its authority, in PEM.
    pub cert: Secret,
    /// Its key, in PEM.
    pub key: Secret,
    /// What is asked of clients.
    pub client_auth: ClientAuth,
    /// The authorities whose clients are believed, in PEM.
    pub client_ca: Option<Secret>,
    /// Names of which a client has to have one, if there are any.
    pub client_names: Vec<String>,
    /// Which versions are spoken.
    pub versions: TlsVersions,
    /// Which suites may be used, by their names; all that we have if there are none.
    pub cipher_suites: Vec<String>,
    /// Which groups keys may be agreed in, dearest first; all that we have if there are none.
    pub groups: Vec<String>,
    /// Whether our order of suites counts, as by default, or the client's.
    pub prefers_own: bool,
}

/// What is asked of clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// Nothing.
    #[default]
    None,
    /// A certificate, if they have any; it is not looked at.
    Request,
    /// A certificate, whichever; it is not looked at.
    RequireAny,
    /// A certificate that an authority vouches for, if they have any.
    VerifyIfGiven,
    /// A certificate that an authority vouches for.
    RequireAndVerify,
}

impl ClientAuth {
    /// Whether who comes in with a certificate is who it says.
    pub fn verifies(self) -> bool {
        matches!(self, Self::VerifyIfGiven | Self::RequireAndVerify)
    }

    /// Whether nobody comes in without one.
    pub fn requires(self) -> bool {
        matches!(self, Self::RequireAny | Self::RequireAndVerify)
    }
}

impl WebConfig {
    /// Reads a file. Relative paths in it are taken from the folder it is in.
    ///
    /// # Errors
    /// The file cannot be read, or anything in it is wrong.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let content =
            read_limited(path).map_err(|source| ConfigError::Io { path: path.to_owned(), source })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Self::parse(&content, &path.display().to_string(), folder)
    }

    /// As [`WebConfig::load`], from a text; `name` is what messages call it.
    ///
    /// # Errors
    /// Anything in it is wrong.
    pub fn parse(content: &str, name: &str, folder: &Path) -> Result<Self, ConfigError> {
        Ok(barograph_yaml::read(content, name, |root, findings| read(&root, folder, findings))?)
    }
}

fn read(root: &Node, folder: &Path, findings: &mut Findings) -> WebConfig {
    let mut section = Section::open(root, "the web configuration", findings);
    let tls = section.node("tls_server_config").and_then(|node| read_tls_server(node, folder, findings));
    let mut config = WebConfig { tls, ..WebConfig::default() };
    if let Some(node) = section.node("http_server_config") {
        let mut section = Section::open(node, "`http_server_config`", findings);
        section.set("http2", &mut config.http2, boolean, findings);
        config.headers = read_headers(section.entries("headers", findings), findings);
        section.finish(&[], findings);
    }
    for (key, node) in section.entries("basic_auth_users", findings) {
        let name = format!("the password of `{}`", key.text);
        if let Some(hash) = read_scalar(node, &name, password_hash, findings) {
            config.users.insert(key.text.clone(), hash);
        }
    }
    section.finish(&["rate_limit"], findings);
    config
}

fn read_tls_server(node: &Node, folder: &Path, findings: &mut Findings) -> Option<TlsServerConfig> {
    let mut section = Section::open(node, "`tls_server_config`", findings);
    let cert = one_secret(&mut section, ["cert", "cert_file"], folder, findings);
    let key = one_secret(&mut section, ["key", "key_file"], folder, findings);
    let client_ca = one_secret(&mut section, ["client_ca", "client_ca_file"], folder, findings);
    let client_auth = section.value("client_auth_type", client_auth, findings).unwrap_or_default();
    let client_names = section.values("client_allowed_sans", text, findings);
    let versions = read_versions(&mut section, findings);
    let cipher_suites = section.values("cipher_suites", text, findings);
    let groups = section.values("curve_preferences", text, findings);
    let prefers_own = section.value("prefer_server_cipher_suites", boolean, findings).unwrap_or(true);
    if cert.is_none() || key.is_none() {
        findings.add(section.place, "`tls_server_config` needs `cert_file` and `key_file`; add them");
    }
    if client_auth.verifies() && client_ca.is_none() {
        findings.add(
            section.place_of("client_auth_type"),
            "clients cannot be verified without `client_ca_file`; add it",
        );
    }
    if client_ca.is_some() && !client_auth.verifies() {
        findings.add(
            section.place_of("client_ca_file"),
            "`client_ca_file` says nothing unless `client_auth_type` verifies clients; set it",
        );
    }
    if !client_names.is_empty() && client_auth != ClientAuth::RequireAndVerify {
        findings.add(
            section.place_of("client_allowed_sans"),
            "`client_allowed_sans` needs `client_auth_type: RequireAndVerifyClientCert`; set it",
        );
    }
    section.finish(&[], findings);
    Some(TlsServerConfig {
        cert: cert?,
        key: key?,
        client_auth,
        client_ca,
        client_names,
        versions,
        cipher_suites,
        groups,
        prefers_own,
    })
}

fn client_auth(word: &str) -> Result<ClientAuth, String> {
    match word {
        "" | "NoClientCert" => Ok(ClientAuth::None),
        "RequestClientCert" => Ok(ClientAuth::Request),
        "RequireAnyClientCert" | "RequireClientCert" => Ok(ClientAuth::RequireAny),
        "VerifyClientCertIfGiven" => Ok(ClientAuth::VerifyIfGiven),
        "RequireAndVerifyClientCert" => Ok(ClientAuth::RequireAndVerify),
        _ => Err(format!(
            "expected `NoClientCert`, `RequestClientCert`, `RequireAnyClientCert`, `VerifyClientCertIfGiven` or \
             `RequireAndVerifyClientCert`, found `{word}`"
        )),
    }
}

/// Headers that may be set, as elsewhere in the Prometheus world.
const HEADERS: [&str; 5] = [
    "Content-Security-Policy",
    "X-Frame-Options",
    "X-Content-Type-Options",
    "X-XSS-Protection",
    "Strict-Transport-Security",
];

fn read_headers(entries: &[(Key, Node)], findings: &mut Findings) -> Vec<(String, String)> {
    let mut headers = Vec::new();
    for (key, node) in entries {
        if !HEADERS.iter().any(|name| name.eq_ignore_ascii_case(&key.text)) {
            let message =
                format!("header `{}` cannot be set; those that can are {}", key.text, HEADERS.join(", "));
            findings.add(&key.place, message);
            continue;
        }
        let value = read_scalar(node, &format!("`{}`", key.text), header_value, findings);
        headers.extend(value.map(|value| (key.text.clone(), value)));
    }
    headers
}

fn header_value(value: &str) -> Result<String, String> {
    match http::HeaderValue::try_from(value) {
        Ok(_) => Ok(value.to_owned()),
        Err(_) => Err("this cannot be the value of a header".to_owned()),
    }
}

/// What is wrong is told without the hash.
fn password_hash(hash: &str) -> Result<PasswordHash, String> {
    let known = ["$2a$", "$2b$", "$2y$"].iter().any(|start| hash.starts_with(start));
    match known && hash.len() == 60 && hash.is_ascii() {
        true => Ok(PasswordHash(hash.to_owned())),
        false => Err("expected what bcrypt makes of a password; `htpasswd -nBC 10 \"\"` makes it".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TlsVersion;

    fn read(yaml: &str) -> Result<WebConfig, String> {
        WebConfig::parse(yaml, "web.yml", Path::new("/etc")).map_err(|error| error.to_string())
    }

    #[test]
    fn all_keys_of_the_format() {
        let hash = "$2y$10$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234";
        let config = read(&format!(
            "tls_server_config:\n  cert_file: s.pem\n  key: inline\n  client_ca_file: ca.pem\n\
             \x20 client_auth_type: RequireAndVerifyClientCert\n  client_allowed_sans: [a.example]\n\
             \x20 min_version: TLS13\n  cipher_suites: [TLS_AES_128_GCM_SHA256]\n  curve_preferences: [X25519]\n\
             \x20 prefer_server_cipher_suites: false\n\
             http_server_config: {{http2: false, headers: {{X-Frame-Options: deny}}}}\n\
             basic_auth_users: {{ann: {hash}}}\n"
        ));
        let config = config.unwrap();
        let tls = config.tls.as_ref().unwrap();
        assert_eq!(tls.cert, Secret::File("/etc/s.pem".into()));
        assert_eq!((tls.client_auth, tls.versions.min), (ClientAuth::RequireAndVerify, TlsVersion::Tls13));
        assert_eq!((config.http2, config.headers.len(), config.users.len()), (false, 1, 1));
        let shown = format!("{config:?}");
        assert!(!shown.contains("inline") && !shown.contains("$2y$"), "{shown}");
        assert_eq!(read("").unwrap(), WebConfig::default());
        assert_eq!(read("tls_server_config: {}").unwrap_err().lines().count(), 1);
    }

    #[test]
    fn what_cannot_be_is_named() {
        let check = |yaml: &str, why: &str| {
            let faults = read(yaml).unwrap_err();
            assert!(faults.contains(why), "{faults}");
        };
        let tls = |more: &str| format!("{{tls_server_config: {{cert_file: a, key_file: b, {more}}}}}");
        check("{tls_server_config: {cert_file: a}}", "needs `cert_file` and `key_file`");
        check(&tls("client_auth_type: Any"), "`RequireAnyClientCert`");
        check(&tls("client_auth_type: RequireAndVerifyClientCert"), "without `client_ca_file`");
        check(&tls("client_ca_file: c"), "says nothing unless");
        check(&tls("client_allowed_sans: [a]"), "RequireAndVerifyClientCert");
        check(&tls("max_version: TLS11"), "older versions are not spoken");
        check("{http_server_config: {headers: {Set-Cookie: a}}}", "cannot be set");
        check("{basic_auth_users: {ann: hunter2}}", "bcrypt");
        assert!(!read("{basic_auth_users: {ann: hunter2}}").unwrap_err().contains("hunter2"));
        check("{tls_sever_config: {}}", "did you mean `tls_server_config`");
    }
}
