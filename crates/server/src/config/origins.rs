//! Where settings came from: of each that somebody gave, whether the file, the environment or the command line had the last
//! word. Lists are one setting; what is in them is not told apart, so nothing of credentials is here either.

use std::collections::BTreeMap;

use barograph::telemetry::Origin;

use super::{
    Place,
    tree::{Kind, Node},
};

/// By the path of a setting, its keys joined by dots; all others have their defaults.
pub type Origins = BTreeMap<String, Origin>;

/// What a file and the environment over it gave.
pub(super) fn of(root: &Node) -> Origins {
    let mut origins = Origins::new();
    walk(root, "", &mut origins);
    origins
}

fn walk(node: &Node, path: &str, origins: &mut Origins) {
    if let Kind::Map(entries) = &node.kind {
        for (key, value) in entries {
            let dot = if path.is_empty() { "" } else { "." };
            walk(value, &format!("{path}{dot}{}", key.text), origins);
        }
        return;
    }
    let origin = match node.place {
        Place::File { .. } | Place::Path(_) => Origin::File,
        Place::Environment(_) => Origin::Environment,
        Place::Flag(_) => Origin::Flag,
    };
    if !matches!(node.kind, Kind::Null) {
        origins.insert(path.to_owned(), origin);
    }
}
