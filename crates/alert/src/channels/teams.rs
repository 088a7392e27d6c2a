//! Microsoft Teams: a webhook of a workflow that takes an adaptive card.

use barograph_yaml::section::{Findings, Section};
use serde_json::{Value, json};

use super::{
    Request, Secret, Settings, data,
    fill::Fill,
    global::secret_url,
    read::{cut, template},
};
use crate::{routing::Severity, template::Template};

/// Alerts that are told one by one.
const ALERTS_MAX: usize = 20;
/// Bytes that alerts take of a message, which Teams takes up to 28 KiB of.
const ALERTS_BYTES_MAX: usize = 20 << 10;

/// Microsoft Teams.
#[derive(Clone, Debug, PartialEq)]
pub struct Teams {
    /// Where the workflow is asked, all of which is a secret.
    pub webhook_url: Secret,
    /// The heading.
    pub title: Option<Template>,
    /// What stands below it, in place of the alerts.
    pub text: Option<Template>,
}

pub(super) fn read(section: &mut Section<'_>, findings: &mut Findings) -> Option<Settings> {
    let webhook_url = secret_url(section, ["webhook_url", "webhook_url_file"], findings);
    let title = template(section, "title", findings);
    let text = template(section, "text", findings);
    // A card has no summary.
    let _ = template(section, "summary", findings);
    let Some(webhook_url) = webhook_url else {
        findings.add(section.place, "`webhook_url` is missing; add it, or `webhook_url_file`");
        return None;
    };
    Some(Settings::Teams(Box::new(Teams { webhook_url, title, text })))
}

impl Teams {
    pub(super) fn words(&self, fill: &Fill<'_>) -> Result<Request, String> {
        let (notice, setting) = (fill.notice, fill.setting);
        let color = match (data::fires(notice), data::severity(notice)) {
            (false, _) => "Good",
            (true, Severity::Critical) => "Attention",
            (true, Severity::Warning) => "Warning",
            (true, Severity::Info) => "Accent",
        };
        let block = |text: &str| json!({ "type": "TextBlock", "text": text, "wrap": true });
        let title = cut(&fill.text(self.title.as_ref(), || data::subject(notice)), 1_000);
        let mut heading = block(&title);
        for (key, value) in [("weight", "Bolder"), ("size", "Large"), ("color", color), ("style", "heading")]
        {
            heading[key] = value.into();
        }
        let mut body = vec![heading];
        match fill.given(self.text.as_ref()) {
            // Each character may take four bytes.
            Some(text) if text.len() > ALERTS_BYTES_MAX => {
                body.push(block(&cut(&text, ALERTS_BYTES_MAX / 4)));
            }
            Some(text) => body.push(block(&text)),
            None => {
                let (mut told, mut bytes) = (0, 0);
                for alert in notice.alerts.iter().take(ALERTS_MAX) {
                    let mut of_alert = vec![block(&cut(data::message(alert), 1_000))];
                    let fact = |title: &str, value: &str| json!({ "title": title, "value": cut(value, 300) });
                    let mut facts = vec![
                        fact("Severity", alert.severity().as_str()),
                        fact("Type", data::alert_type(alert)),
                        fact("Node", data::node(alert).unwrap_or("Unknown")),
                        fact("Time", &data::time(alert.starts_at)),
                    ];
                    facts.extend(data::context(alert).iter().take(6).map(|(name, value)| fact(name, value)));
                    of_alert.push(json!({ "type": "FactSet", "facts": facts }));
                    bytes += of_alert.iter().map(|block| block.to_string().len()).sum::<usize>();
                    if bytes > ALERTS_BYTES_MAX {
                        break;
                    }
                    body.extend(of_alert);
                    told += 1;
                }
                let left = notice.alerts.len().saturating_sub(told) + notice.truncated;
                if left > 0 {
                    body.push(block(&format!("and {left} more")));
                }
            }
        }
        let action = |title: &str, url: &str| json!({ "type": "Action.OpenUrl", "title": title, "url": url });
        let mut actions: Vec<Value> =
            setting.ack_url.map(|url| action("Acknowledge", url)).into_iter().collect();
        if !setting.external_url.is_empty() {
            actions.push(action("Open", &data::alerts_page(notice, setting)));
        }
        let card = json!({
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "type": "AdaptiveCard",
            "version": "1.4",
            "body": body,
            "actions": actions,
        });
        let message = json!({
            "type": "message",
            "attachments": [{
                "contentType": "application/vnd.microsoft.card.adaptive",
                "contentUrl": null,
                "content": card,
            }],
        });
        Ok(Request::json((setting.reveal)(&self.webhook_url)?, notice, &message))
    }
}
