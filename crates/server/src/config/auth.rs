//! The section `auth`: who may call, and how they show who they are.
//!
//! With the section there, authentication is configured: everybody has to, and the server may be reached from elsewhere.
//! Hashes are in the file or in files of their own; passwords are in neither.

use std::{collections::BTreeMap, fs, path::Path};

use barograph_auth::{
    CertificateRule, Role, Scope, Scopes, SessionLimits, ThrottleLimits, User, check_name, check_tenants,
    oidc::Mapping, password,
};

use super::{
    External, Secret, TlsClientConfig,
    http_client::read_tls,
    section::{Findings, Section, boolean, count, text},
    settings::positive_duration,
    tree::Node,
    units::parse_size,
};

/// A file that holds one hash is no longer.
const HASH_FILE_BYTES_MAX: u64 = 4 << 10;

/// Who may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthConfig {
    /// Users of the file; they go before stored ones of the same name.
    pub users: Vec<User>,
    /// What everybody may do who shows nothing: nothing by default, else `read`.
    pub anonymous: Scopes,
    /// How long sessions last, and how many there are.
    pub sessions: SessionLimits,
    /// How long one who guesses waits.
    pub throttle: ThrottleLimits,
    /// What whoever has a certificate of a name may do.
    pub certificates: Vec<CertificateRule>,
    /// Where else one can log in.
    pub oidc: Option<OidcConfig>,
    /// What else the server is called by browsers, as `https://name:port`.
    pub origins: Vec<String>,
    /// Whether cookies go over TLS only, though the server itself may not speak it: something in front of it does. By default,
    /// if the external URL says so.
    pub secure_cookies: bool,
    /// Where it is noted what was done.
    pub audit: AuditConfig,
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self {
            users: Vec::new(),
            anonymous: Scopes::NONE,
            sessions: SessionLimits::default(),
            throttle: ThrottleLimits::default(),
            certificates: Vec::new(),
            oidc: None,
            origins: Vec::new(),
            secure_cookies: false,
            audit: AuditConfig::default(),
        }
    }
}

impl AuthConfig {
    /// The same with users of a Prometheus web file (`basic_auth_users`), who may read and write. Those of the
    /// configuration go before them.
    pub fn with_web_users(mut self, users: impl IntoIterator<Item = (String, String)>) -> Self {
        for (name, hash) in users {
            if self.users.iter().all(|user| user.name != name) {
                self.users.push(user(name, hash, vec![Role::Read, Role::Write], None));
            }
        }
        self
    }
}

/// Where it is noted what was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditConfig {
    /// How large a file may become before the next is begun; 10 MiB by default.
    pub max_bytes: u64,
    /// How many files are kept; 10 by default.
    pub files: u64,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self { max_bytes: 10 << 20, files: 10 }
    }
}

/// An issuer of OpenID Connect at which one can log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OidcConfig {
    /// Its address.
    pub issuer: String,
    /// What it calls us.
    pub client_id: String,
    /// What we show it, if it gave us something.
    pub client_secret: Option<Secret>,
    /// What is asked for; `openid profile email` by default.
    pub scopes: String,
    /// Where browsers come back to: our address with `/api/barograph/v1/auth/oidc/callback`; by default that of the external
    /// URL.
    pub redirect_url: String,
    /// How it is reached by TLS.
    pub tls: TlsClientConfig,
    /// How roles come of what it claims.
    pub mapping: Mapping,
}

fn user(name: String, password: String, roles: Vec<Role>, tenant: Option<String>) -> User {
    User { name, password, roles, tenant, created_ms: 0, password_ms: 0 }
}

/// Where browsers come back to, below our own address.
const CALLBACK: &str = "/api/barograph/v1/auth/oidc/callback";

/// `None` without the section, or where it is switched off.
pub(super) fn read_auth(
    node: Option<&Node>,
    folder: &Path,
    external: &External,
    findings: &mut Findings,
) -> Option<AuthConfig> {
    let node = node?;
    let mut auth = AuthConfig { secure_cookies: external.is_secure(), ..AuthConfig::default() };
    let mut section = Section::open(node, "`auth`", findings);
    let enabled = section.value("enabled", boolean, findings).unwrap_or(true);
    section.set("anonymous", &mut auth.anonymous, anonymous, findings);
    section.set("session_idle", &mut auth.sessions.idle, positive_duration, findings);
    section.set("session_lifetime", &mut auth.sessions.absolute, positive_duration, findings);
    section.set("secure_cookies", &mut auth.secure_cookies, boolean, findings);
    auth.origins = section.values("origins", origin, findings);
    auth.origins.extend(external.origin());
    let users = section.items("users", findings);
    let certificates = section.items("certificates", findings);
    let (oidc, audit) = (section.node("oidc"), section.node("audit"));
    section.finish(&[], findings);
    for item in users {
        let Some(user) = read_user(item, folder, findings) else { continue };
        if auth.users.iter().any(|other| other.name == user.name) {
            findings.add(&item.place, format!("there are two users {:?}", user.name));
        }
        auth.users.push(user);
    }
    auth.certificates = certificates.iter().filter_map(|item| read_certificate(item, findings)).collect();
    auth.oidc = oidc.and_then(|node| read_oidc(node, folder, external, findings));
    if let Some(node) = audit {
        read_audit(node, &mut auth.audit, findings);
    }
    enabled.then_some(auth)
}

fn read_user(node: &Node, folder: &Path, findings: &mut Findings) -> Option<User> {
    let mut section = Section::open(node, "a user", findings);
    let name = section.value("name", name, findings);
    let hash = section.value("password_hash", text, findings);
    let file = section.value("password_hash_file", text, findings);
    let roles = section.values("roles", role, findings);
    let tenant = section.value("tenant", tenants, findings);
    let place = section.place_of("password_hash").clone();
    section.finish(&[], findings);
    let hash = match (hash, file) {
        (Some(hash), None) => hash,
        (None, Some(file)) => match read_hash(&folder.join(&file)) {
            Ok(hash) => hash,
            Err(error) => {
                findings.add(&place, format!("cannot read {file}: {error}"));
                return None;
            }
        },
        _ => {
            findings.add(&place, "a user needs either `password_hash` or `password_hash_file`");
            return None;
        }
    };
    if let Err(error) = password::check_hash(&hash) {
        findings.add(&place, format!("`password_hash`: {error}"));
        return None;
    }
    if name.is_none() {
        findings.add(&node.place, "a user needs `name`");
    }
    if roles.is_empty() {
        findings.add(&node.place, "a user needs `roles`: of read, write, alert-ack, admin");
    }
    Some(user(name?, hash, roles, tenant))
}

fn read_hash(path: &Path) -> std::io::Result<String> {
    if fs::metadata(path)?.len() > HASH_FILE_BYTES_MAX {
        return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, "it is larger than 4 KiB"));
    }
    fs::read_to_string(path).map(|text| text.trim().to_owned())
}

fn read_certificate(node: &Node, findings: &mut Findings) -> Option<CertificateRule> {
    let mut section = Section::open(node, "a rule for certificates", findings);
    let san = section.value("san", text, findings);
    let roles = section.values("roles", role, findings);
    let tenant = section.value("tenant", tenants, findings);
    section.finish(&[], findings);
    if san.is_none() || roles.is_empty() {
        findings.add(&node.place, "a rule for certificates needs `san`, a name in them, and `roles`");
        return None;
    }
    Some(CertificateRule { san: san?, roles, tenant })
}

fn read_oidc(node: &Node, folder: &Path, external: &External, findings: &mut Findings) -> Option<OidcConfig> {
    let mut section = Section::open(node, "`auth.oidc`", findings);
    let issuer = section.value("issuer", url, findings);
    let client_id = section.value("client_id", text, findings);
    let client_secret =
        section.value("client_secret_file", text, findings).map(|file| Secret::File(folder.join(file)));
    let scopes = section.values("scopes", text, findings);
    let redirect_url = section.value("redirect_url", url, findings);
    let redirect_url = redirect_url.or_else(|| external.url().map(|url| format!("{url}{CALLBACK}")));
    let tls = section.node("tls_config").map(|node| read_tls(node, folder, findings)).unwrap_or_default();
    let claim = section.value("roles_claim", text, findings).unwrap_or_else(|| "groups".to_owned());
    let mut roles = BTreeMap::new();
    for (key, value) in section.entries("role_map", findings) {
        let given = match &value.kind {
            super::tree::Kind::List(items) => items.as_slice(),
            _ => std::slice::from_ref(value),
        };
        let read = given.iter().filter_map(|item| {
            barograph_yaml::section::read_scalar(item, "a role of `role_map`", role, findings)
        });
        roles.insert(key.text.clone(), read.collect());
    }
    section.finish(&[], findings);
    if issuer.is_none() || client_id.is_none() || redirect_url.is_none() || roles.is_empty() {
        findings.add(&node.place, "`auth.oidc` needs `issuer`, `client_id`, `role_map` and, without `web.external_url`, `redirect_url`");
        return None;
    }
    let scopes = if scopes.is_empty() { "openid profile email".to_owned() } else { scopes.join(" ") };
    Some(OidcConfig {
        issuer: issuer?,
        client_id: client_id?,
        client_secret,
        scopes,
        redirect_url: redirect_url?,
        tls,
        mapping: Mapping { claim, roles },
    })
}

fn read_audit(node: &Node, audit: &mut AuditConfig, findings: &mut Findings) {
    let mut section = Section::open(node, "`auth.audit`", findings);
    let size = |text: &str| match parse_size(text)? {
        size if size < 4 << 10 => Err("expected 4KiB or more".to_owned()),
        size => Ok(size),
    };
    let files = |text: &str| match count(text)? {
        files @ 1..=1_000 => Ok(files),
        _ => Err("expected 1 to 1000".to_owned()),
    };
    section.set("max_bytes", &mut audit.max_bytes, size, findings);
    section.set("files", &mut audit.files, files, findings);
    section.finish(&[], findings);
}

fn anonymous(word: &str) -> Result<Scopes, String> {
    match word {
        "none" => Ok(Scopes::NONE),
        "read" => Ok(Scopes::of(&[Scope::Read])),
        _ => Err(format!("expected `none` or `read`, found `{word}`")),
    }
}

fn tenants(text: &str) -> Result<String, String> {
    check_tenants(text).map(|()| text.to_owned()).map_err(|error| error.to_string())
}

fn name(text: &str) -> Result<String, String> {
    check_name(text).map(|()| text.to_owned()).map_err(|error| error.to_string())
}

fn role(word: &str) -> Result<Role, String> {
    Role::parse(word).ok_or_else(|| format!("expected read, write, alert-ack or admin, found `{word}`"))
}

fn url(text: &str) -> Result<String, String> {
    let fits = text.starts_with("https://") || text.starts_with("http://");
    if fits { Ok(text.to_owned()) } else { Err("expected a URL with https:// or http://".to_owned()) }
}

fn origin(text: &str) -> Result<String, String> {
    let text = url(text)?;
    let path = text.splitn(4, '/').nth(3);
    if path.is_none() { Ok(text) } else { Err("expected scheme, name and port, without a path".to_owned()) }
}

/// Tested by what a configuration says, with the path of each mistake.
#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::Config;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, "test.yml", Path::new(""), []).map_err(|error| error.to_string())
    }

    #[test]
    fn without_the_section_nothing_is_asked() {
        assert_eq!(parse("").unwrap().auth, None);
        assert_eq!(parse("auth: {enabled: false, anonymous: read}").unwrap().auth, None);
        assert_eq!(parse("auth: {}").unwrap().auth, Some(AuthConfig::default()));
    }

    #[test]
    fn all_of_it_is_read() {
        let hash = password::hash("correct horse battery", &[1; 16]).unwrap();
        let text = format!(
            "auth:\n  anonymous: read\n  session_idle: 5m\n  session_lifetime: 1h\n  \
             users: [{{name: ann, password_hash: '{hash}', roles: [admin]}}]\n  \
             certificates: [{{san: agent.example, roles: [write]}}]\n  \
             origins: ['https://graphs.example']\n  audit: {{max_bytes: 1MiB, files: 3}}\n  \
             oidc: {{issuer: 'https://id.example', client_id: b, redirect_url: 'https://b/cb', role_map: {{ops: admin, dev: [read, write]}}}}\n"
        );
        let auth = parse(&text).unwrap().auth.unwrap();
        assert_eq!(auth.users[0].roles, [Role::Admin]);
        assert_eq!(auth.sessions.idle, Duration::from_secs(300));
        assert_eq!(auth.anonymous, Scopes::of(&[Scope::Read]));
        assert_eq!(auth.certificates[0].san, "agent.example");
        assert_eq!((auth.audit.max_bytes, auth.audit.files), (1 << 20, 3));
        let oidc = auth.oidc.clone().unwrap();
        assert_eq!(oidc.mapping.roles["dev"], [Role::Read, Role::Write]);
        assert_eq!(oidc.mapping.claim, "groups");
        assert!(!format!("{auth:?}").contains("argon2id"));
        let web =
            auth.with_web_users([("ann".to_owned(), "x".to_owned()), ("bob".to_owned(), "y".to_owned())]);
        assert_eq!(web.users.iter().map(|user| &*user.name).collect::<Vec<_>>(), ["ann", "bob"]);
    }

    #[test]
    fn mistakes_are_named() {
        let check = |text: &str, part: &str| {
            let error = parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        };
        check("auth: {users: [{name: ann, password_hash: secret, roles: [read]}]}", "not a hash");
        check("auth: {users: [{name: ann, roles: [read]}]}", "either `password_hash`");
        check(
            "auth: {users: [{name: 'a b', password_hash_file: /nonexistent, roles: [read]}]}",
            "a name has",
        );
        check("auth: {anonymous: all}", "`none` or `read`");
        check("auth: {certificates: [{san: x}]}", "needs `san`");
        check("auth: {oidc: {issuer: x}}", "https://");
        check("auth: {origins: ['https://a/b']}", "without a path");
        check("auth: {usres: []}", "did you mean `users`");
    }
}
