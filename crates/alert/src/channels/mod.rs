//! The ways to somebody: settings of each, and what is sent over it for a notice.
//!
//! Settings have the keys of `alertmanager.yml` ([`read`]); each kind has a file of its own here with its keys and its
//! words. [`words`] makes of a [`Notice`] what is to be sent, as data: a [`Request`], a [`Mail`], or a document for the pages.
//! Sending it, and reading files of secrets, is up to the edge. What comes back is judged by [`judge`].
//!
//! Words are the same for each try of a notice. A template that cannot be filled in is replaced by the plain form, and told.

mod dashboard;
mod data;
mod email;
mod fields;
mod fill;
mod global;
mod http;
mod mime;
mod opsgenie;
mod pagerduty;
mod read;
mod secret;
mod sign;
mod slack;
mod sms;
mod smtp;
mod teams;
mod telegram;
#[cfg(test)]
mod tests;
mod verdict;
mod webhook;

use barograph_model::Timestamp;
use barograph_yaml::{
    section::{Findings, Section, boolean, count},
    tree::Node,
};

pub use dashboard::Dashboard;
pub use email::{Email, Mail};
pub use fields::Fields;
pub use fill::library;
pub use global::Global;
pub use http::{HttpAuth, HttpConfig, TlsConfig};
pub use opsgenie::Opsgenie;
pub use pagerduty::PagerDuty;
pub use secret::Secret;
pub use sign::{IDEMPOTENCY_KEY, SIGNATURE, idempotency_key, signature};
pub use slack::Slack;
pub use sms::{Sms, segments};
pub use smtp::{BadReply, Replies, Reply};
pub use teams::Teams;
pub use telegram::Telegram;
pub(crate) use verdict::AFTER_MS_MAX;
pub use verdict::{Verdict, judge, retry_after};
pub use webhook::Webhook;

use crate::{
    notice::{Notice, Reason},
    template::Library,
};
use fill::Fill;

/// The keys of a receiver that [`read`] knows.
pub const SECTIONS: [&str; 11] = [
    "dashboard_configs",
    "email_configs",
    "msteams_configs",
    "msteamsv2_configs",
    "opsgenie_configs",
    "pagerduty_configs",
    "slack_configs",
    "sms_configs",
    "telegram_configs",
    "webhook_configs",
    "twilio_configs",
];

/// The kinds of channels, as policies name them ([`Channel::kind`]).
pub const KINDS: [&str; 9] =
    ["dashboard", "email", "msteams", "opsgenie", "pagerduty", "slack", "sms", "telegram", "webhook"];

/// Keys of a receiver that Alertmanager knows and we do not.
const UNSUPPORTED: [&str; 10] = [
    "discord_configs",
    "incidentio_configs",
    "jira_configs",
    "mattermost_configs",
    "pushover_configs",
    "rocketchat_configs",
    "sns_configs",
    "victorops_configs",
    "webex_configs",
    "wechat_configs",
];

/// One way to somebody.
#[derive(Clone, Debug, PartialEq)]
pub struct Channel {
    /// Where and how.
    pub settings: Settings,
    /// Whether it is told that alerts are over.
    pub send_resolved: bool,
    /// How it is asked, where that is by HTTP.
    pub http: HttpConfig,
    /// Notices a minute that it takes at most.
    pub per_minute: u32,
}

/// The settings of a channel, by its kind.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "each is told by its type")]
pub enum Settings {
    Dashboard(Dashboard),
    Email(Box<Email>),
    Opsgenie(Box<Opsgenie>),
    PagerDuty(Box<PagerDuty>),
    Slack(Box<Slack>),
    Sms(Box<Sms>),
    Teams(Box<Teams>),
    Telegram(Box<Telegram>),
    Webhook(Box<Webhook>),
}

/// What is around a notice when its words are made.
#[derive(Clone, Copy)]
pub struct Setting<'a> {
    /// What the server is called from outside, without a slash at the end.
    pub external_url: &'a str,
    /// What this server is called: the name of a cluster.
    pub source: &'a str,
    /// Where the incident can be acknowledged, if it can.
    pub ack_url: Option<&'a str>,
    /// Templates that are called by name.
    pub templates: &'a Library,
    /// Finds out a secret, or says why it cannot.
    pub reveal: &'a dyn Fn(&Secret) -> Result<String, String>,
    /// When it is sent.
    pub now: Timestamp,
}

/// What is sent.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// Over HTTP.
    Http(Request),
    /// By mail.
    Mail(Mail),
    /// To the pages of this server.
    Event(serde_json::Value),
}

/// A request of HTTP. Its URL and headers may hold secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// `POST`.
    pub method: &'static str,
    /// Where to.
    pub url: String,
    /// Headers, among them that of the content type.
    pub headers: Vec<(&'static str, String)>,
    /// What is sent.
    pub body: Vec<u8>,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} ({} bytes)", self.method, read::host(&self.url), self.body.len())
    }
}

impl Request {
    fn json(url: String, notice: &Notice, body: &serde_json::Value) -> Self {
        let headers =
            vec![("Content-Type", "application/json".to_owned()), (IDEMPOTENCY_KEY, idempotency_key(notice))];
        Self { method: "POST", url, headers, body: body.to_string().into_bytes() }
    }
}

/// What a notice becomes over a channel.
#[derive(Debug)]
pub struct Words {
    /// What is sent; `None` if this channel has no words for why it is told.
    pub message: Option<Message>,
    /// What was wrong with a template, so that the plain form is sent.
    pub template_error: Option<String>,
}

impl Channel {
    /// What it is called in documents, metrics and logs.
    pub const fn kind(&self) -> &'static str {
        match &self.settings {
            Settings::Dashboard(_) => "dashboard",
            Settings::Email(_) => "email",
            Settings::Opsgenie(_) => "opsgenie",
            Settings::PagerDuty(_) => "pagerduty",
            Settings::Slack(_) => "slack",
            Settings::Sms(_) => "sms",
            Settings::Teams(_) => "msteams",
            Settings::Telegram(_) => "telegram",
            Settings::Webhook(_) => "webhook",
        }
    }

    /// Whom it reaches, without secrets.
    pub fn target(&self) -> String {
        match &self.settings {
            Settings::Dashboard(_) => "pages of this server".to_owned(),
            Settings::Email(email) => email.to.clone(),
            Settings::Opsgenie(opsgenie) => read::host(&opsgenie.api_url).to_owned(),
            Settings::PagerDuty(pagerduty) => read::host(&pagerduty.url).to_owned(),
            Settings::Slack(slack) => slack.target(),
            Settings::Sms(sms) => sms.to.clone(),
            Settings::Teams(teams) => shown(&teams.webhook_url),
            Settings::Telegram(telegram) => format!("chat {}", telegram.chat_id),
            Settings::Webhook(webhook) => shown(&webhook.url),
        }
    }

    /// The channel to the pages of this server, which everybody has.
    pub fn dashboard() -> Self {
        let settings = Settings::Dashboard(Dashboard);
        Self { settings, send_resolved: true, http: HttpConfig::default(), per_minute: 6_000 }
    }
}

/// An address that is a secret, as far as it may be shown.
fn shown(secret: &Secret) -> String {
    match secret {
        Secret::Text(url) => read::host(url).to_owned(),
        Secret::File(path) => format!("the URL in {}", path.display()),
    }
}

/// Reads one entry of a `*_configs` list of a receiver.
pub fn read(key: &str, node: &Node, global: &Global, findings: &mut Findings) -> Option<Channel> {
    if UNSUPPORTED.contains(&key) {
        let message = format!("`{key}` are not supported; a webhook or a mail may take their place");
        findings.add(&node.place, message);
        return None;
    }
    let Some(name) = SECTIONS.iter().find(|section| **section == key) else {
        findings.add(&node.place, format!("`{key}` is no channel; there are {}", SECTIONS.join(", ")));
        return None;
    };
    let mut section = Section::open(node, name, findings);
    // Whether it tells that alerts are over, and how many notices a minute, where nobody says.
    let (settings, send_resolved, per_minute) = match key {
        "dashboard_configs" => (Some(Settings::Dashboard(Dashboard)), true, 6_000),
        "email_configs" => (email::read(&mut section, &global.email, findings), false, 600),
        "msteams_configs" | "msteamsv2_configs" => (teams::read(&mut section, findings), true, 120),
        "opsgenie_configs" => (opsgenie::read(&mut section, global, findings), true, 300),
        "pagerduty_configs" => (pagerduty::read(&mut section, global, findings), true, 600),
        "slack_configs" => (slack::read(&mut section, global, findings), false, 60),
        "sms_configs" | "twilio_configs" => (sms::read(&mut section, global, findings), false, 60),
        "telegram_configs" => (telegram::read(&mut section, global, findings), true, 60),
        _ => (webhook::read(&mut section, findings), true, 3_000),
    };
    let http = section.node("http_config").map(|node| HttpConfig::read(node, findings));
    let channel = Channel {
        settings: settings?,
        send_resolved: section.value("send_resolved", boolean, findings).unwrap_or(send_resolved),
        http: http.unwrap_or_else(|| global.http.clone()),
        per_minute: section.value("rate_limit", per_minute_limit, findings).unwrap_or(per_minute),
    };
    section.finish(&[], findings);
    Some(channel)
}

fn per_minute_limit(text: &str) -> Result<u32, String> {
    match u32::try_from(count(text)?) {
        Ok(limit @ 1..) => Ok(limit),
        _ => Err("expected a number of notices a minute, at least 1".to_owned()),
    }
}

/// What is sent for a notice.
///
/// # Errors
/// A secret cannot be had.
pub fn words(channel: &Channel, notice: &Notice, setting: &Setting<'_>) -> Result<Words, String> {
    let fill = Fill::new(notice, setting);
    let acknowledged = notice.reason == Reason::Acknowledged;
    let message = match &channel.settings {
        Settings::Dashboard(dashboard) => Some(Message::Event(dashboard.words(&fill))),
        Settings::PagerDuty(pagerduty) => Some(Message::Http(pagerduty.words(&fill)?)),
        Settings::Opsgenie(opsgenie) => Some(Message::Http(opsgenie.words(&fill)?)),
        _ if acknowledged => None,
        Settings::Email(email) => Some(Message::Mail(email.words(&fill))),
        Settings::Slack(slack) => Some(Message::Http(slack.words(&fill)?)),
        Settings::Sms(sms) => Some(Message::Http(sms.words(&fill)?)),
        Settings::Teams(teams) => Some(Message::Http(teams.words(&fill)?)),
        Settings::Telegram(telegram) => Some(Message::Http(telegram.words(&fill)?)),
        Settings::Webhook(webhook) => Some(Message::Http(webhook.words(&fill)?)),
    };
    Ok(Words { message, template_error: fill.failed() })
}
