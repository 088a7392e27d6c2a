//! What all channels of a kind have in common: the keys of `global` that are about them.

use barograph_yaml::section::{Findings, Section, boolean, text};

use super::{HttpConfig, Secret, TlsConfig, email::Email, read::url};

/// Keys of `global` about channels that are not spoken here. They say nothing as long as nobody uses such a channel.
const UNUSED: [&str; 19] = [
    "victorops_api_key",
    "victorops_api_key_file",
    "victorops_api_url",
    "wechat_api_url",
    "wechat_api_secret",
    "wechat_api_secret_file",
    "wechat_api_corp_id",
    "webex_api_url",
    "jira_api_url",
    "rocketchat_api_url",
    "rocketchat_token",
    "rocketchat_token_file",
    "rocketchat_token_id",
    "rocketchat_token_id_file",
    "mattermost_webhook_url",
    "mattermost_webhook_url_file",
    "hipchat_api_url",
    "hipchat_auth_token",
    "pushover_api_url",
];

/// What channels have in common.
#[derive(Clone, Debug, PartialEq)]
pub struct Global {
    /// Mail, as each `email_configs` begins.
    pub email: Email,
    /// Where Slack is asked.
    pub slack_api_url: Option<Secret>,
    /// The token of an app of Slack.
    pub slack_app_token: Option<Secret>,
    /// Where an app of Slack posts.
    pub slack_app_url: String,
    /// Where PagerDuty is asked.
    pub pagerduty_url: String,
    /// Where Opsgenie is asked.
    pub opsgenie_api_url: String,
    /// The key for Opsgenie.
    pub opsgenie_api_key: Option<Secret>,
    /// Where Telegram is asked.
    pub telegram_api_url: String,
    /// The token of a bot of Telegram.
    pub telegram_bot_token: Option<Secret>,
    /// Where SMS are sent.
    pub twilio_api_url: String,
    /// Whose account SMS are sent over.
    pub twilio_account_sid: Option<String>,
    /// The token of that account.
    pub twilio_auth_token: Option<Secret>,
    /// How receivers are asked over HTTP.
    pub http: HttpConfig,
}

impl Default for Global {
    fn default() -> Self {
        Self {
            email: Email::default(),
            slack_api_url: None,
            slack_app_token: None,
            slack_app_url: "https://slack.com/api/chat.postMessage".to_owned(),
            pagerduty_url: "https://events.pagerduty.com/v2/enqueue".to_owned(),
            opsgenie_api_url: "https://api.opsgenie.com/".to_owned(),
            opsgenie_api_key: None,
            telegram_api_url: "https://api.telegram.org".to_owned(),
            telegram_bot_token: None,
            twilio_api_url: "https://api.twilio.com".to_owned(),
            twilio_account_sid: None,
            twilio_auth_token: None,
            http: HttpConfig::default(),
        }
    }
}

impl Global {
    /// Reads the keys of `global` that are about channels; the caller finishes the section.
    pub fn read(section: &mut Section<'_>, findings: &mut Findings) -> Self {
        let mut global = Self::default();
        let email = &mut global.email;
        section.set("smtp_from", &mut email.from, text, findings);
        section.set("smtp_hello", &mut email.hello, text, findings);
        section.set("smtp_smarthost", &mut email.smarthost, super::email::smarthost, findings);
        section.set("smtp_auth_username", &mut email.auth_username, text, findings);
        section.set("smtp_auth_identity", &mut email.auth_identity, text, findings);
        section.set("smtp_require_tls", &mut email.require_tls, boolean, findings);
        email.force_implicit_tls = section.value("smtp_force_implicit_tls", boolean, findings);
        email.auth_password =
            Secret::read(section, ["smtp_auth_password", "smtp_auth_password_file"], findings);
        if let Some(node) = section.node("smtp_tls_config") {
            email.tls = TlsConfig::read(node, findings);
        }
        if section.node("smtp_auth_secret").is_some() || section.node("smtp_auth_secret_file").is_some() {
            let message = "CRAM-MD5 is not spoken; give `smtp_auth_password` instead of `smtp_auth_secret`";
            findings.add(section.place_of("smtp_auth_secret"), message);
        }
        global.slack_api_url = secret_url(section, ["slack_api_url", "slack_api_url_file"], findings);
        global.slack_app_token = Secret::read(section, ["slack_app_token", "slack_app_token_file"], findings);
        section.set("slack_app_url", &mut global.slack_app_url, url, findings);
        section.set("pagerduty_url", &mut global.pagerduty_url, url, findings);
        section.set("opsgenie_api_url", &mut global.opsgenie_api_url, url, findings);
        global.opsgenie_api_key =
            Secret::read(section, ["opsgenie_api_key", "opsgenie_api_key_file"], findings);
        section.set("telegram_api_url", &mut global.telegram_api_url, url, findings);
        global.telegram_bot_token =
            Secret::read(section, ["telegram_bot_token", "telegram_bot_token_file"], findings);
        section.set("twilio_api_url", &mut global.twilio_api_url, url, findings);
        global.twilio_account_sid = section.value("twilio_account_sid", text, findings);
        global.twilio_auth_token =
            Secret::read(section, ["twilio_auth_token", "twilio_auth_token_file"], findings);
        if let Some(node) = section.node("http_config") {
            global.http = HttpConfig::read(node, findings);
        }
        for key in UNUSED {
            let _ = section.node(key);
        }
        global
    }
}

/// An address that is a secret.
pub(super) fn secret_url(
    section: &mut Section<'_>,
    keys: [&'static str; 2],
    findings: &mut Findings,
) -> Option<Secret> {
    let secret = Secret::read(section, keys, findings)?;
    if let Secret::Text(text) = &secret
        && let Err(message) = url(text)
    {
        findings.add(section.place_of(keys[0]), format!("`{}`: {message}", keys[0]));
        return None;
    }
    Some(secret)
}
