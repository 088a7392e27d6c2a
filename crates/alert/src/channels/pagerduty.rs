//! PagerDuty, Events API version 2: `trigger`, `acknowledge` and `resolve` of one incident by its `dedup_key`.

use barograph_yaml::section::{Findings, Section, text};
use serde_json::{Value, json};

use super::{
    Global, Request, Secret, Settings, data,
    fields::Fields,
    fill::Fill,
    read::{cut, template, url},
};
use crate::{
    notice::Reason,
    routing::{Alert, Severity},
    template::Template,
};

/// Characters of a summary.
const SUMMARY_CHARS_MAX: usize = 1024;
/// Characters of the key of an incident.
const KEY_CHARS_MAX: usize = 255;
/// Bytes of an event; details are left out beyond.
const EVENT_BYTES_MAX: usize = 512_000;
/// Alerts that stand in the details.
const ALERTS_MAX: usize = 50;

/// PagerDuty.
#[derive(Clone, Debug, PartialEq)]
pub struct PagerDuty {
    /// Whose events they are.
    pub routing_key: Secret,
    /// Where it is asked.
    pub url: String,
    /// The templates of its fields, as its keys are called.
    pub fields: Fields,
    /// What is told in place of the context of the alerts.
    pub details: Fields,
    /// Links, each with an address and a text.
    pub links: Vec<(Template, Template)>,
}

const FIELDS: [&str; 8] =
    ["description", "severity", "source", "component", "class", "group", "client", "client_url"];

pub(super) fn read(section: &mut Section<'_>, global: &Global, findings: &mut Findings) -> Option<Settings> {
    let routing_key = Secret::read(section, ["routing_key", "routing_key_file"], findings);
    if section.node("service_key").is_some() || section.node("service_key_file").is_some() {
        let message = "`service_key` is for version 1 of the events; use the `routing_key` of an integration with version 2";
        findings.add(section.place_of("service_key"), message);
        return None;
    }
    let address = section.value("url", url, findings).unwrap_or_else(|| global.pagerduty_url.clone());
    let fields = Fields::of_keys(section, FIELDS, findings);
    let details = Fields::details(section, findings);
    let mut links = Vec::new();
    for node in section.items("links", findings) {
        let mut section = Section::open(node, "a link", findings);
        let (href, text) =
            (template(&mut section, "href", findings), template(&mut section, "text", findings));
        section.finish(&[], findings);
        links.extend(href.map(|href| (href.clone(), text.unwrap_or(href))));
    }
    let _ = section.value("timeout", text, findings);
    // Pictures say nothing that the links do not.
    let _ = section.items("images", findings);
    let Some(routing_key) = routing_key else {
        findings.add(section.place, "`routing_key` is missing; add it, or `routing_key_file`");
        return None;
    };
    Some(Settings::PagerDuty(Box::new(PagerDuty { routing_key, url: address, fields, details, links })))
}

impl PagerDuty {
    pub(super) fn words(&self, fill: &Fill<'_>) -> Result<Request, String> {
        let mut event = self.event(fill)?;
        if event.to_string().len() > EVENT_BYTES_MAX {
            let left_out = "the details are too large for an event; they are on the page of the alerts";
            event["payload"]["custom_details"] = json!({ "error": left_out });
        }
        Ok(Request::json(self.url.clone(), fill.notice, &event))
    }

    fn event(&self, fill: &Fill<'_>) -> Result<Value, String> {
        let (notice, setting) = (fill.notice, fill.setting);
        let action = match notice.reason {
            Reason::Acknowledged => "acknowledge",
            _ if !data::fires(notice) => "resolve",
            _ => "trigger",
        };
        let mut event = json!({
            "routing_key": (setting.reveal)(&self.routing_key)?,
            "event_action": action,
            "dedup_key": cut(&notice.dedup_key, KEY_CHARS_MAX),
        });
        if action != "trigger" {
            return Ok(event);
        }
        let field = |name: &str, plain: String| self.fields.text(fill, name, || plain);
        let first = notice.alerts.first();
        let summary = match notice.alerts.as_slice() {
            [alert] => data::message(alert).to_owned(),
            _ => data::subject(notice),
        };
        let source = if setting.source.is_empty() { "Barograph" } else { setting.source };
        let component = first.and_then(component).unwrap_or("unknown");
        let mut payload = json!({
            "summary": cut(&field("description", summary), SUMMARY_CHARS_MAX),
            "severity": severity(&field("severity", data::severity(notice).as_str().to_owned())),
            "source": field("source", source.to_owned()),
            "component": field("component", component.to_owned()),
            "timestamp": first.map(|alert| data::time(alert.starts_at)),
            "custom_details": self.details(fill),
        });
        let class = first.map(data::alert_type).unwrap_or_default().to_owned();
        for (name, plain) in [("class", class), ("group", String::new())] {
            let text = field(name, plain);
            if !text.is_empty() {
                payload[name] = text.into();
            }
        }
        event["payload"] = payload;
        event["client"] = field("client", "Barograph".to_owned()).into();
        event["client_url"] = field("client_url", data::alerts_page(notice, setting)).into();
        event["links"] = self.links(fill).into();
        Ok(event)
    }

    fn details(&self, fill: &Fill<'_>) -> Value {
        let notice = fill.notice;
        let mut details = match notice.alerts.as_slice() {
            [alert] => json!(data::context(alert)),
            alerts => {
                let firing = alerts.iter().filter(|alert| !data::is_over(alert, notice)).count();
                let each = |alert: &Alert| {
                    json!({
                        "alert": alert.name(),
                        "message": data::message(alert),
                        "context": data::context(alert),
                    })
                };
                json!({
                    "num_firing": firing,
                    "num_resolved": alerts.len() - firing,
                    "alerts": alerts.iter().take(ALERTS_MAX).map(each).collect::<Vec<_>>(),
                })
            }
        };
        for (name, template) in self.details.iter() {
            let text = fill.given(Some(template));
            details[name] = text.unwrap_or_else(|| template.text().to_owned()).into();
        }
        details
    }

    fn links(&self, fill: &Fill<'_>) -> Vec<Value> {
        let (notice, setting) = (fill.notice, fill.setting);
        let mut links = Vec::new();
        for (href, text) in &self.links {
            if let (Some(href), Some(text)) = (fill.given(Some(href)), fill.given(Some(text))) {
                links.push(json!({ "href": href, "text": text }));
            }
        }
        links.extend(setting.ack_url.map(|url| json!({ "href": url, "text": "Acknowledge" })));
        let runbook = notice.alerts.first().and_then(|alert| alert.annotations.get("runbook_url"));
        links.extend(runbook.map(|url| json!({ "href": url, "text": "Runbook" })));
        links
    }
}

fn component(alert: &Alert) -> Option<&str> {
    data::context(alert).get("component").copied()
}

/// One of the four words that PagerDuty knows.
fn severity(text: &str) -> &'static str {
    match text {
        "critical" => "critical",
        "error" => "error",
        "warning" => "warning",
        "info" => "info",
        other => {
            let labels = [("severity".to_owned(), other.to_owned())].into_iter().collect();
            match Severity::of(&labels) {
                Severity::Critical => "critical",
                Severity::Warning => "warning",
                Severity::Info => "info",
            }
        }
    }
}
