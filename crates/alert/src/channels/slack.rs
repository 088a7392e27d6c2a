//! Slack: an incoming webhook or `chat.postMessage`.
//!
//! Where nothing else is said, a message is a heading and five lines for each alert, as blocks, with buttons. A channel that
//! sets texts of its own gets one attachment with them, as Alertmanager sends it.

use barograph_yaml::section::{Findings, Section, boolean, text};
use serde_json::{Map, Value, json};

use super::{
    Global, Request, Secret, Settings, data,
    fields::Fields,
    fill::Fill,
    global::secret_url,
    read::{cut, host, template},
    shown,
};
use crate::{
    notice::Reason,
    routing::{Alert, Severity},
    template::Template,
};

/// Characters of a heading, and of the text of a block.
const HEADING_CHARS_MAX: usize = 150;
const TEXT_CHARS_MAX: usize = 3000;
/// Alerts that are told one by one.
const ALERTS_MAX: usize = 20;

/// Slack.
#[derive(Clone, Debug, PartialEq)]
pub struct Slack {
    /// Where it is asked.
    pub api_url: Secret,
    /// The token of an app, which posts by `chat.postMessage`.
    pub app_token: Option<Secret>,
    /// Which channel.
    pub channel: Option<Template>,
    /// What headings call this server.
    pub name: String,
    /// The templates of texts, as its keys are called.
    pub texts: Fields,
    /// Fields of the attachment: title, value, and whether it is short.
    pub fields: Vec<(Template, Template, bool)>,
    /// Buttons: text, address, style.
    pub actions: Vec<(Template, Template, String)>,
    /// Which parts of an attachment have marks in them.
    pub mrkdwn_in: Vec<String>,
    /// Whether names of channels and people become links.
    pub link_names: bool,
}

/// Texts of the whole message.
const OUTER: [&str; 4] = ["username", "icon_emoji", "icon_url", "message_text"];
/// Texts of the attachment. One of them is enough for there being one.
const INNER: [&str; 10] = [
    "title",
    "title_link",
    "pretext",
    "text",
    "color",
    "fallback",
    "footer",
    "image_url",
    "thumb_url",
    "callback_id",
];

pub(super) fn read(section: &mut Section<'_>, global: &Global, findings: &mut Findings) -> Option<Settings> {
    let own = secret_url(section, ["api_url", "api_url_file"], findings);
    let token = Secret::read(section, ["app_token", "app_token_file"], findings);
    let app_url = section.value("app_url", super::read::url, findings);
    let texts = Fields::of_keys(section, OUTER.into_iter().chain(INNER), findings);
    let short = section.value("short_fields", boolean, findings).unwrap_or_default();
    let mut fields = Vec::new();
    for node in section.items("fields", findings) {
        let mut section = Section::open(node, "a field of Slack", findings);
        let title = template(&mut section, "title", findings);
        let value = template(&mut section, "value", findings);
        let short = section.value("short", boolean, findings).unwrap_or(short);
        if ["title", "value"].into_iter().any(|key| section.node(key).is_none()) {
            findings.add(&node.place, "a field of Slack needs a `title` and a `value`");
        }
        section.finish(&[], findings);
        fields.extend(title.zip(value).map(|(title, value)| (title, value, short)));
    }
    let mut actions = Vec::new();
    for node in section.items("actions", findings) {
        let mut section = Section::open(node, "an action of Slack", findings);
        let label = template(&mut section, "text", findings);
        let address = template(&mut section, "url", findings);
        let style = section.value("style", text, findings).unwrap_or_default();
        let _ = section.value("type", text, findings);
        if ["type", "text", "url"].into_iter().any(|key| section.node(key).is_none()) {
            findings.add(
                &node.place,
                "an action of Slack needs a `type`, such as `button`, a `text` and a `url`",
            );
        }
        section.finish(&["name", "value", "confirm"], findings);
        actions.extend(label.zip(address).map(|(label, address)| (label, address, style)));
    }
    let slack = |api_url, app_token| Slack {
        api_url,
        app_token,
        channel: None,
        name: "Barograph".to_owned(),
        texts,
        fields,
        actions,
        mrkdwn_in: Vec::new(),
        link_names: false,
    };
    let app_url = || Secret::Text(app_url.unwrap_or_else(|| global.slack_app_url.clone()));
    let mut slack = match (own, token) {
        (Some(url), None) => slack(url, None),
        (None, Some(token)) => slack(app_url(), Some(token)),
        (Some(_), Some(_)) => {
            findings.add(section.place, "`api_url` and `app_token` exclude each other; remove one");
            return None;
        }
        (None, None) => match (&global.slack_api_url, &global.slack_app_token) {
            (Some(url), _) => slack(url.clone(), None),
            (None, Some(token)) => slack(app_url(), Some(token.clone())),
            (None, None) => {
                let message = "nobody says where Slack is; add `api_url`, or `slack_api_url` to `global`";
                findings.add(section.place, message);
                return None;
            }
        },
    };
    slack.channel = template(section, "channel", findings);
    section.set("name", &mut slack.name, text, findings);
    section.set("link_names", &mut slack.link_names, boolean, findings);
    slack.mrkdwn_in = section.values("mrkdwn_in", text, findings);
    let _ = section.value("timeout", text, findings);
    Some(Settings::Slack(Box::new(slack)))
}

impl Slack {
    /// Whom it reaches, without secrets.
    pub(super) fn target(&self) -> String {
        let place = match &self.api_url {
            Secret::Text(url) => host(url).to_owned(),
            file => shown(file),
        };
        match &self.channel {
            Some(channel) => format!("{} at {place}", channel.text()),
            None => place,
        }
    }

    pub(super) fn words(&self, fill: &Fill<'_>) -> Result<Request, String> {
        let reveal = fill.setting.reveal;
        let mut message = Map::new();
        let mut put = |name: &str, text: Option<String>| {
            if let Some(text) = text.filter(|text| !text.is_empty()) {
                message.insert(name.to_owned(), text.into());
            }
        };
        put("channel", fill.given(self.channel.as_ref()));
        for name in ["username", "icon_emoji", "icon_url"] {
            put(name, fill.given(self.texts.of(name)));
        }
        let has_texts = INNER.iter().any(|name| self.texts.of(name).is_some()) || !self.fields.is_empty();
        if has_texts {
            put("text", fill.given(self.texts.of("message_text")));
            message.insert("attachments".to_owned(), json!([self.attachment(fill)]));
        } else {
            put("text", Some(fill.text(self.texts.of("message_text"), || self.lines(fill))));
            message.insert("blocks".to_owned(), self.blocks(fill).into());
        }
        if self.link_names {
            message.insert("link_names".to_owned(), true.into());
        }
        let mut request = Request::json(reveal(&self.api_url)?, fill.notice, &Value::Object(message));
        if let Some(token) = &self.app_token {
            request.headers.push(("Authorization", format!("Bearer {}", reveal(token)?)));
        }
        Ok(request)
    }

    /// The heading: how bad it is, and whose alert it is.
    fn heading(&self, fill: &Fill<'_>) -> String {
        let notice = fill.notice;
        match notice.reason {
            Reason::Escalation => {
                let level = notice.level;
                format!("{} {} Alert, level {level}", emoji(data::severity(notice)), self.name)
            }
            _ if !data::fires(notice) => format!("✅ {} Alert resolved", self.name),
            _ => format!("{} {} Alert", emoji(data::severity(notice)), self.name),
        }
    }

    /// The whole message as text.
    fn lines(&self, fill: &Fill<'_>) -> String {
        let alerts = fill.notice.alerts.iter().take(ALERTS_MAX).map(|alert| lines(alert, "**"));
        let text = alerts.fold(self.heading(fill), |text, alert| format!("{text}\n\n{alert}"));
        cut(&text, 4 * TEXT_CHARS_MAX)
    }

    fn blocks(&self, fill: &Fill<'_>) -> Vec<Value> {
        let (notice, setting) = (fill.notice, fill.setting);
        let plain =
            |text: &str, most| json!({ "type": "plain_text", "text": cut(text, most), "emoji": true });
        let section = |text: &str| {
            let text = json!({ "type": "mrkdwn", "text": cut(text, TEXT_CHARS_MAX) });
            json!({ "type": "section", "text": text })
        };
        let heading = plain(&self.heading(fill), HEADING_CHARS_MAX);
        let mut blocks = vec![json!({ "type": "header", "text": heading })];
        blocks.extend(notice.alerts.iter().take(ALERTS_MAX).map(|alert| section(&lines(alert, "*"))));
        let left = notice.alerts.len().saturating_sub(ALERTS_MAX) + notice.truncated;
        if left > 0 {
            blocks.push(section(&format!("and {left} more")));
        }
        let button = |text: &str, url: &str, style: Option<&str>| {
            let mut button = json!({ "type": "button", "text": plain(text, 75), "url": url });
            if let Some(style) = style {
                button["style"] = style.into();
            }
            button
        };
        let mut buttons = Vec::new();
        buttons.extend(setting.ack_url.map(|url| {
            let mut button = button("Acknowledge", url, Some("primary"));
            // What is posted to `…/ack-links` where the app has that as its request URL.
            button["action_id"] = "acknowledge".into();
            button["value"] = url.rsplit('/').next().into();
            button
        }));
        if !setting.external_url.is_empty() {
            buttons.push(button("Open", &data::alerts_page(notice, setting), None));
        }
        for (label, address, style) in &self.actions {
            if let (Some(label), Some(address)) = (fill.given(Some(label)), fill.given(Some(address))) {
                let style = Some(style.as_str()).filter(|style| ["primary", "danger"].contains(style));
                buttons.push(button(&label, &address, style));
            }
        }
        if !buttons.is_empty() {
            blocks.push(json!({ "type": "actions", "elements": buttons }));
        }
        blocks
    }

    fn attachment(&self, fill: &Fill<'_>) -> Value {
        let (notice, setting) = (fill.notice, fill.setting);
        let mut attachment = Map::new();
        let color = if data::fires(notice) { "danger" } else { "good" };
        for name in INNER {
            let plain = || match name {
                "title" | "fallback" => data::subject(notice),
                "title_link" => data::alerts_page(notice, setting),
                "color" => color.to_owned(),
                _ => String::new(),
            };
            let text = self.texts.text(fill, name, plain);
            if !text.is_empty() {
                attachment.insert(name.to_owned(), cut(&text, 4 * TEXT_CHARS_MAX).into());
            }
        }
        let mut fields = Vec::new();
        for (title, value, short) in &self.fields {
            if let (Some(title), Some(value)) = (fill.given(Some(title)), fill.given(Some(value))) {
                fields.push(json!({ "title": title, "value": value, "short": short }));
            }
        }
        let mut actions = Vec::new();
        for (label, address, style) in &self.actions {
            if let (Some(label), Some(address)) = (fill.given(Some(label)), fill.given(Some(address))) {
                actions.push(json!({ "type": "button", "text": label, "url": address, "style": style }));
            }
        }
        let acknowledge =
            |url| json!({ "type": "button", "text": "Acknowledge", "url": url, "style": "primary" });
        actions.extend(setting.ack_url.map(acknowledge));
        let marks = match self.mrkdwn_in.is_empty() {
            true => vec!["fallback".to_owned(), "pretext".to_owned(), "text".to_owned()],
            false => self.mrkdwn_in.clone(),
        };
        attachment.insert("mrkdwn_in".to_owned(), marks.into());
        for (name, list) in [("fields", fields), ("actions", actions)] {
            if !list.is_empty() {
                attachment.insert(name.to_owned(), list.into());
            }
        }
        Value::Object(attachment)
    }
}

const fn emoji(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "🚨",
        Severity::Warning => "⚠️",
        Severity::Info => "ℹ️",
    }
}

/// Five lines of an alert; blocks mark what is bold by one star, text by two.
fn lines(alert: &Alert, bold: &str) -> String {
    let lines = [
        ("Severity", alert.severity().as_str().to_owned()),
        ("Type", data::alert_type(alert).to_owned()),
        ("Message", data::message(alert).to_owned()),
        ("Node", data::node(alert).unwrap_or("Unknown").to_owned()),
        ("Time", data::time(alert.starts_at)),
    ];
    let lines = lines.map(|(name, value)| format!("{bold}{name}:{bold} {}", escape(&value)));
    lines.join("\n")
}

/// A text as it may stand among the marks of Slack.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
