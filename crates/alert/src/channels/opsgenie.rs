//! Opsgenie: an alert that is opened, acknowledged and closed by its alias.

use barograph_yaml::section::{Findings, Section, boolean};
use serde_json::{Map, Value, json};

use super::{
    Global, Request, Secret, Settings, data,
    fields::Fields,
    fill::Fill,
    read::{below, cut, url},
    sign,
};
use crate::{notice::Reason, routing::Severity};

/// Characters of a message and of a description.
const MESSAGE_CHARS_MAX: usize = 130;
const DESCRIPTION_CHARS_MAX: usize = 15_000;
/// Alerts that the plain form tells one by one.
const ALERTS_MAX: usize = 20;

/// Opsgenie.
#[derive(Clone, Debug, PartialEq)]
pub struct Opsgenie {
    /// Where it is asked.
    pub api_url: String,
    /// Who asks.
    pub api_key: Secret,
    /// The templates of its fields, as its keys are called.
    pub fields: Fields,
    /// What is told besides.
    pub details: Fields,
    /// Who is asked: the keys of each, as they are called there.
    pub responders: Vec<Fields>,
}

const FIELDS: [&str; 7] = ["message", "description", "source", "tags", "note", "priority", "entity"];

pub(super) fn read(section: &mut Section<'_>, global: &Global, findings: &mut Findings) -> Option<Settings> {
    let api_key = Secret::read(section, ["api_key", "api_key_file"], findings);
    let api_url = section.value("api_url", url, findings).unwrap_or_else(|| global.opsgenie_api_url.clone());
    let fields = Fields::of_keys(section, FIELDS, findings);
    let details = Fields::details(section, findings);
    let mut responders = Vec::new();
    for node in section.items("responders", findings) {
        let mut section = Section::open(node, "a responder", findings);
        let responder = Fields::of_keys(&mut section, ["id", "name", "username", "type"], findings);
        if !["id", "name", "username"].iter().any(|key| responder.of(key).is_some()) {
            findings.add(&node.place, "a responder needs an `id`, a `name` or a `username`");
        }
        section.value("type", responder_type, findings);
        section.finish(&[], findings);
        responders.push(responder);
    }
    let _ = section.value("update_alerts", boolean, findings);
    let _ = section.value("actions", barograph_yaml::section::text, findings);
    let Some(api_key) = api_key.or_else(|| global.opsgenie_api_key.clone()) else {
        findings.add(section.place, "`api_key` is missing; add it, or `opsgenie_api_key` to `global`");
        return None;
    };
    Some(Settings::Opsgenie(Box::new(Opsgenie { api_url, api_key, fields, details, responders })))
}

/// What a responder is, as far as no template says it.
fn responder_type(text: &str) -> Result<(), String> {
    const TYPES: [&str; 5] = ["team", "teams", "user", "escalation", "schedule"];
    match text.contains("{{") || TYPES.contains(&text.to_lowercase().as_str()) {
        true => Ok(()),
        false => Err(format!("a responder is one of {}", TYPES.join(", "))),
    }
}

impl Opsgenie {
    pub(super) fn words(&self, fill: &Fill<'_>) -> Result<Request, String> {
        let (notice, setting) = (fill.notice, fill.setting);
        let alias = sign::short(&notice.dedup_key);
        let field = |name: &str, plain: String| self.fields.text(fill, name, || plain);
        let source = field("source", setting.external_url.to_owned());
        let (path, body) = match notice.reason {
            Reason::Acknowledged => {
                (format!("v2/alerts/{alias}/acknowledge?identifierType=alias"), json!({ "source": source }))
            }
            _ if !data::fires(notice) => {
                (format!("v2/alerts/{alias}/close?identifierType=alias"), json!({ "source": source }))
            }
            _ => ("v2/alerts".to_owned(), self.alert(fill, &alias, &source, field)),
        };
        let mut request = Request::json(below(&self.api_url, &path), notice, &body);
        let key = (setting.reveal)(&self.api_key)?;
        request.headers.push(("Authorization", format!("GenieKey {key}")));
        Ok(request)
    }

    fn alert(
        &self,
        fill: &Fill<'_>,
        alias: &str,
        source: &str,
        field: impl Fn(&str, String) -> String,
    ) -> Value {
        let (notice, setting) = (fill.notice, fill.setting);
        let plain = || data::plain(notice, setting, ALERTS_MAX);
        let priority = match data::severity(notice) {
            Severity::Critical => "P1",
            Severity::Warning => "P3",
            Severity::Info => "P5",
        };
        let mut details = Map::new();
        for (name, value) in data::common_labels(notice) {
            details.insert(name, value.into());
        }
        for (name, template) in self.details.iter() {
            if let Some(text) = fill.given(Some(template)) {
                details.insert(name.to_owned(), text.into());
            }
        }
        let tags = field("tags", String::new());
        let tags: Vec<_> = tags.split(',').map(str::trim).filter(|tag| !tag.is_empty()).collect();
        let responder = |keys: &Fields| {
            let texts =
                keys.iter().filter_map(|(key, text)| Some((key.to_owned(), fill.given(Some(text))?.into())));
            Value::Object(texts.collect())
        };
        json!({
            "alias": alias,
            "message": cut(&field("message", data::subject(notice)), MESSAGE_CHARS_MAX),
            "description": cut(&field("description", plain()), DESCRIPTION_CHARS_MAX),
            "source": source,
            "priority": field("priority", priority.to_owned()),
            "entity": field("entity", String::new()),
            "note": field("note", String::new()),
            "tags": tags,
            "details": details,
            "responders": self.responders.iter().map(responder).collect::<Vec<_>>(),
        })
    }
}
