//! Mail over SMTP: settings with the keys of `email_configs`, and a message as data.

use barograph_yaml::section::{Findings, Section, boolean, read_scalar, text};

use super::{
    Secret, Settings, TlsConfig, data,
    fill::Fill,
    idempotency_key,
    read::{needed, parsed, template},
    sign,
};
use crate::template::Template;

/// Alerts that the plain form tells one by one.
const ALERTS_MAX: usize = 100;
/// The port on which TLS is spoken from the first byte on (RFC 8314).
const TLS_PORT: u16 = 465;
/// Headers that a mail has by what it is; nobody sets them.
const OWN_HEADERS: [&str; 10] = [
    "auto-submitted",
    "content-transfer-encoding",
    "content-type",
    "date",
    "from",
    "in-reply-to",
    "message-id",
    "mime-version",
    "references",
    "subject",
];

/// Mail over SMTP.
#[derive(Clone, Debug, PartialEq)]
pub struct Email {
    /// To whom: addresses with commas between them.
    pub to: String,
    /// From whom.
    pub from: String,
    /// Who this is, as it is told to the mail server.
    pub hello: String,
    /// The mail server, as `host:port`.
    pub smarthost: String,
    /// Who asks.
    pub auth_username: String,
    /// What proves that.
    pub auth_password: Option<Secret>,
    /// As whom it is sent; by default as who asks.
    pub auth_identity: String,
    /// Whether nothing is sent without TLS.
    pub require_tls: bool,
    /// Whether TLS is spoken from the first byte on; by default on port 465.
    pub force_implicit_tls: Option<bool>,
    /// How TLS is spoken.
    pub tls: TlsConfig,
    /// Headers besides; `Subject` among them.
    pub headers: Vec<(String, Template)>,
    /// The message as HTML.
    pub html: Option<Template>,
    /// The message as text.
    pub text: Option<Template>,
}

impl Default for Email {
    fn default() -> Self {
        Self {
            to: String::new(),
            from: String::new(),
            hello: "localhost".to_owned(),
            smarthost: String::new(),
            auth_username: String::new(),
            auth_password: None,
            auth_identity: String::new(),
            require_tls: true,
            force_implicit_tls: None,
            tls: TlsConfig::default(),
            headers: Vec::new(),
            html: None,
            text: None,
        }
    }
}

/// A mail as it is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// From whom.
    pub from: String,
    /// To whom.
    pub to: Vec<String>,
    /// From whom, as its reader sees.
    pub shown_from: String,
    /// To whom, as its reader sees.
    pub shown_to: String,
    /// What it is about, on one line.
    pub subject: String,
    /// The same for each try of a notice.
    pub message_id: String,
    /// What all mails about an incident refer to.
    pub references: String,
    /// Headers besides.
    pub headers: Vec<(String, String)>,
    /// The message as text.
    pub text: String,
    /// The message as HTML.
    pub html: Option<String>,
}

/// `host:port`.
pub(super) fn smarthost(text: &str) -> Result<String, String> {
    let (host, port) = text.rsplit_once(':').ok_or("expected `host:port`")?;
    match port.parse::<u16>() {
        Ok(1..) if !host.is_empty() => Ok(text.to_owned()),
        _ => Err(format!("expected `host:port`, found `{text}`")),
    }
}

pub(super) fn read(section: &mut Section<'_>, global: &Email, findings: &mut Findings) -> Option<Settings> {
    let mut email = global.clone();
    let to = needed(section, "to", findings);
    section.set("from", &mut email.from, text, findings);
    section.set("hello", &mut email.hello, text, findings);
    section.set("smarthost", &mut email.smarthost, smarthost, findings);
    section.set("auth_username", &mut email.auth_username, text, findings);
    section.set("auth_identity", &mut email.auth_identity, text, findings);
    section.set("require_tls", &mut email.require_tls, boolean, findings);
    let force = section.value("force_implicit_tls", boolean, findings);
    email.force_implicit_tls = force.or(email.force_implicit_tls);
    let password = Secret::read(section, ["auth_password", "auth_password_file"], findings);
    email.auth_password = password.or(email.auth_password);
    if section.node("auth_secret").is_some() || section.node("auth_secret_file").is_some() {
        let message = "CRAM-MD5 is not spoken; give `auth_password` instead of `auth_secret`";
        findings.add(section.place_of("auth_secret"), message);
    }
    if let Some(node) = section.node("tls_config") {
        email.tls = TlsConfig::read(node, findings);
    }
    for (name, node) in section.entries("headers", findings) {
        let is_name = name.text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !is_name || name.text.is_empty() {
            findings.add(&name.place, "a header has letters, digits and `-` in its name");
        }
        if email.headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(&name.text)) {
            findings.add(&name.place, format!("the header `{}` stands twice", name.text));
        }
        let template = read_scalar(node, "a header", parsed, findings);
        email.headers.extend(template.map(|template| (name.text.clone(), template)));
    }
    email.html = template(section, "html", findings);
    email.text = template(section, "text", findings);
    // How mails are put together in threads follows from the incident they are about.
    let _ = section.node("threading");
    for (key, value, advice) in
        [("from", &email.from, "`smtp_from`"), ("smarthost", &email.smarthost, "`smtp_smarthost`")]
    {
        if value.is_empty() {
            let message = format!("`{key}` is missing; add it, or {advice} to `global`");
            findings.add(section.place, message);
            return None;
        }
    }
    for (key, text) in [("to", to.as_deref().unwrap_or_default()), ("from", &email.from)] {
        if let Err(error) = parsed(text) {
            findings.add(section.place_of(key), format!("`{key}`: {error}"));
        }
    }
    email.to = to?;
    Some(Settings::Email(Box::new(email)))
}

impl Email {
    /// The host and port of the mail server.
    pub fn server(&self) -> (&str, u16) {
        let (host, port) = self.smarthost.rsplit_once(':').unwrap_or((&self.smarthost, "25"));
        (host.trim_matches(['[', ']']), port.parse().unwrap_or(25))
    }

    /// Whether TLS is spoken from the first byte on.
    pub fn speaks_tls_first(&self) -> bool {
        self.force_implicit_tls.unwrap_or_else(|| self.server().1 == TLS_PORT)
    }

    pub(super) fn words(&self, fill: &Fill<'_>) -> Mail {
        let notice = fill.notice;
        let own = |name: &str| self.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name));
        let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let value =
            |name: &str, plain: String| one_line(&fill.text(own(name).map(|(_, text)| text), || plain));
        let others = self.headers.iter().filter(|(name, _)| {
            let name = name.to_ascii_lowercase();
            name != "to" && !OWN_HEADERS.contains(&name.as_str())
        });
        // An address may depend on the alerts.
        let filled = |text: &str| match parsed(text) {
            Ok(template) => one_line(&fill.text(Some(&template), || text.to_owned())),
            Err(_) => text.to_owned(),
        };
        let (from, to) = (filled(&self.from), addresses(&filled(&self.to)));
        let host = from.rsplit('@').next().unwrap_or_default().trim_matches(['>', ' ']);
        let host = if host.is_empty() { "barograph" } else { host }.to_owned();
        let plain = || data::plain(notice, fill.setting, ALERTS_MAX);
        let text = fill.given(self.text.as_ref()).unwrap_or_else(plain);
        Mail {
            shown_from: value("from", from.clone()),
            shown_to: value("to", to.join(", ")),
            from,
            to,
            subject: value("subject", data::subject(notice)),
            message_id: format!("<{}@{host}>", idempotency_key(notice)),
            references: format!("<{}@{host}>", sign::short(&notice.dedup_key)),
            headers: others
                .filter_map(|(name, text)| Some((name.clone(), one_line(&fill.given(Some(text))?))))
                .collect(),
            text,
            html: self.words_in_html(fill),
        }
    }

    fn words_in_html(&self, fill: &Fill<'_>) -> Option<String> {
        match &self.html {
            // An empty text says that there shall be none.
            Some(template) if template.text().is_empty() => None,
            Some(template) => fill.html(Some(template)),
            None => {
                let template = parsed(r#"{{ template "email.default.html" . }}"#).ok();
                fill.html(template.as_ref())
            }
        }
    }
}

/// Addresses with commas between them; commas in quotes are part of a name.
pub(super) fn addresses(text: &str) -> Vec<String> {
    let (mut found, mut address, mut quoted) = (Vec::new(), String::new(), false);
    for c in text.chars() {
        match c {
            ',' if !quoted => found.push(std::mem::take(&mut address)),
            c => {
                quoted ^= c == '"';
                address.push(c);
            }
        }
    }
    found.push(address);
    found.iter().map(|address| address.trim().to_owned()).filter(|address| !address.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_apart() {
        assert_eq!(addresses(r#"a@x, "B, C" <b@x>,"#), ["a@x", r#""B, C" <b@x>"#]);
        assert!(smarthost("mail.example:587").is_ok());
        let email = |smarthost: &str, force| Email {
            smarthost: smarthost.to_owned(),
            force_implicit_tls: force,
            ..Email::default()
        };
        assert!(email("m:465", None).speaks_tls_first() && !email("m:465", Some(false)).speaks_tls_first());
        assert!(email("m:25", Some(true)).speaks_tls_first() && !email("m:587", None).speaks_tls_first());
        for bad in ["mail.example", "mail.example:0", ":25", "mail:x"] {
            assert!(smarthost(bad).is_err());
        }
    }
}
