//! Receivers: who can be told, each by any number of channels.

use std::collections::BTreeMap;

use barograph_yaml::{
    section::{Findings, text},
    tree::{Kind, Node},
};

use crate::channels::{self, Channel, Global};

/// Who can be told.
#[derive(Clone, Debug)]
pub struct Receiver {
    /// The name.
    pub name: String,
    /// The ways to tell, in the order of the file's kinds.
    pub channels: Vec<Channel>,
}

pub(super) fn read_receivers(
    nodes: &[Node],
    global: &Global,
    findings: &mut Findings,
) -> BTreeMap<String, Receiver> {
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
            let Kind::List(items) = &value.kind else {
                if !matches!(value.kind, Kind::Null) {
                    findings.add(&value.place, format!("`{}` should be a list", key.text));
                }
                continue;
            };
            for item in items {
                channels.extend(channels::read(&key.text, item, global, findings));
            }
        }
        let receiver = Receiver { name: name.clone(), channels };
        if receivers.insert(name.clone(), receiver).is_some() {
            findings.add(&node.place, format!("a receiver is called `{name}` already; give it another name"));
        }
    }
    receivers
}
