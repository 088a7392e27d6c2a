//! Receivers: who can be told, each by any number of channels.

use std::collections::BTreeMap;

use barograph_yaml::{
    section::{Findings, Section, boolean, text},
    tree::{Kind, Node},
};

/// Who can be told.
#[derive(Clone, Debug)]
pub struct Receiver {
    /// The name.
    pub name: String,
    /// The ways to tell, in the order of the file's kinds.
    pub channels: Vec<Channel>,
}

/// One way to tell.
#[derive(Clone, Debug)]
pub struct Channel {
    /// Which kind it is.
    pub kind: &'static str,
    /// Whether it hears of alerts that are over.
    pub send_resolved: bool,
}

/// Kinds of channels with what they do about alerts that are over unless they say.
const KINDS: [(&str, &str, bool); 6] = [
    ("webhook_configs", "webhook", true),
    ("email_configs", "email", false),
    ("slack_configs", "slack", false),
    ("pagerduty_configs", "pagerduty", true),
    ("telegram_configs", "telegram", true),
    ("msteamsv2_configs", "msteamsv2", true),
];

pub(super) fn read_receivers(nodes: &[Node], findings: &mut Findings) -> BTreeMap<String, Receiver> {
    let mut receivers = BTreeMap::new();
    for node in nodes {
        let Kind::Map(entries) = &node.kind else {
            findings.add(&node.place, format!("a receiver should be a mapping, not {}", node.word()));
            continue;
        };
        let Some((_, name)) = entries.iter().find(|(key, _)| key.text == "name") else {
            findings.add(&node.place, "a receiver needs a `name`");
            continue;
        };
        let Some(name) = barograph_yaml::section::read_scalar(name, "`name`", text, findings) else {
            continue;
        };
        let mut channels = Vec::new();
        for (key, value) in entries.iter().filter(|(key, _)| key.text != "name") {
            let Some((_, kind, resolved)) = KINDS.iter().find(|(section, ..)| *section == key.text) else {
                let known: Vec<_> = KINDS.iter().map(|(section, ..)| *section).collect();
                let text = format!("`{}` is not supported; there are {}", key.text, known.join(", "));
                findings.add(&key.place, text);
                continue;
            };
            let Kind::List(items) = &value.kind else {
                if !matches!(value.kind, Kind::Null) {
                    findings.add(&value.place, format!("`{}` should be a list", key.text));
                }
                continue;
            };
            for item in items {
                let mut section = Section::open(item, "a channel", findings);
                let send_resolved = section.value("send_resolved", boolean, findings).unwrap_or(*resolved);
                channels.push(Channel { kind, send_resolved });
            }
        }
        let receiver = Receiver { name: name.clone(), channels };
        if receivers.insert(name.clone(), receiver).is_some() {
            findings.add(&node.place, format!("a receiver is called `{name}` already; give it another name"));
        }
    }
    receivers
}
