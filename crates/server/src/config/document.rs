//! The running configuration as a document: what the file, the environment and the flags gave together, to be shown with its
//! secrets masked, and to be compared with another.
//!
//! A key is taken for a secret if its name says so; one too many is better masked than one too few shown. Words before an
//! `@` in a URL are masked as well.

use std::{collections::BTreeMap, fmt};

use super::tree::{Kind, Node};

/// What stands in the place of a secret.
pub const MASK: &str = "<secret>";

/// Parts of names of keys that hold secrets.
const SECRET: [&str; 7] = ["password", "passwd", "secret", "token", "credential", "routing_key", "api_key"];
/// Names with these ends say where a secret is, or something about it.
const NO_SECRET: [&str; 8] = ["_file", "_files", "_url", "_ref", "_idle", "_ttl", "_expiry", "_path"];
/// Mappings whose values may all be secrets.
const SECRET_ENTRIES: [&str; 4] = ["headers", "http_headers", "proxy_connect_header", "basic_auth_users"];

/// What was given.
#[derive(Clone)]
pub struct Document(Node);

impl Default for Document {
    fn default() -> Self {
        Self(Node::null(super::Place::File { line: 1, column: 1 }))
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl Document {
    pub(crate) fn new(root: &Node) -> Self {
        Self(root.clone())
    }

    /// As YAML, with secrets masked.
    pub fn masked(&self) -> String {
        let mut text = String::new();
        match &self.0.kind {
            Kind::Map(entries) if !entries.is_empty() => write(&mut text, &self.0, 0, false),
            _ => {}
        }
        text
    }

    /// The paths of the settings that differ, with dots between keys; a list counts as one.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let (mut one, mut two) = (BTreeMap::new(), BTreeMap::new());
        flatten(&self.0, String::new(), &mut one);
        flatten(&other.0, String::new(), &mut two);
        let paths: std::collections::BTreeSet<_> = one.keys().chain(two.keys()).collect();
        paths.into_iter().filter(|path| one.get(*path) != two.get(*path)).cloned().collect()
    }

    /// What was given for each path that is no mapping, with secrets masked.
    pub fn given(&self) -> BTreeMap<String, String> {
        let mut given = BTreeMap::new();
        flatten_masked(&self.0, String::new(), false, &mut given);
        given
    }
}

/// Whether what a key holds must not be shown.
pub(super) fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    SECRET.iter().any(|part| key.contains(part)) && !NO_SECRET.iter().any(|end| key.ends_with(end))
}

fn joined(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn flatten(node: &Node, path: String, found: &mut BTreeMap<String, String>) {
    match &node.kind {
        Kind::Null => {}
        Kind::Map(entries) => {
            for (key, value) in entries {
                flatten(value, joined(&path, &key.text), found);
            }
        }
        _ => {
            let mut text = String::new();
            inline(&mut text, node, &|_| false);
            found.insert(path, text);
        }
    }
}

fn flatten_masked(node: &Node, path: String, secret: bool, found: &mut BTreeMap<String, String>) {
    match &node.kind {
        Kind::Null => {}
        Kind::Map(entries) => {
            for (key, value) in entries {
                let secret = secret || is_secret(&key.text) || SECRET_ENTRIES.contains(&&*key.text);
                flatten_masked(value, joined(&path, &key.text), secret, found);
            }
        }
        _ if secret => drop(found.insert(path, MASK.to_owned())),
        _ => {
            let mut text = String::new();
            inline(&mut text, node, &|key| is_secret(key) || SECRET_ENTRIES.contains(&key));
            found.insert(path, text);
        }
    }
}

/// On one line, as YAML has it in braces.
fn inline(text: &mut String, node: &Node, masks: &dyn Fn(&str) -> bool) {
    match &node.kind {
        Kind::Null => text.push_str("null"),
        Kind::Scalar(value) => text.push_str(&quoted(&without_user(value))),
        Kind::List(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                text.push_str(if index > 0 { ", " } else { "" });
                inline(text, item, masks);
            }
            text.push(']');
        }
        Kind::Map(entries) => {
            text.push('{');
            for (index, (key, value)) in entries.iter().enumerate() {
                text.push_str(if index > 0 { ", " } else { "" });
                text.push_str(&quoted(&key.text));
                text.push_str(": ");
                match masks(&key.text) {
                    true => text.push_str(MASK),
                    false => inline(text, value, masks),
                }
            }
            text.push('}');
        }
    }
}

/// As a block; `secret` says that all in it are.
fn write(text: &mut String, node: &Node, depth: usize, secret: bool) {
    let indent = "  ".repeat(depth);
    match &node.kind {
        Kind::Map(entries) if !entries.is_empty() => {
            for (key, value) in entries {
                let secret = secret || is_secret(&key.text) || SECRET_ENTRIES.contains(&&*key.text);
                *text += &format!("{indent}{}:", quoted(&key.text));
                below(text, value, depth, secret);
            }
        }
        Kind::List(items) if !items.is_empty() => {
            for item in items {
                *text += &format!("{indent}-");
                below(text, item, depth, secret);
            }
        }
        _ => {}
    }
}

fn below(text: &mut String, node: &Node, depth: usize, secret: bool) {
    match &node.kind {
        Kind::Scalar(_) if secret => *text += &format!(" {MASK}\n"),
        Kind::Map(entries) if !entries.is_empty() => {
            text.push('\n');
            write(text, node, depth + 1, secret);
        }
        Kind::List(items) if !items.is_empty() => {
            text.push('\n');
            write(text, node, depth + 1, secret);
        }
        Kind::Null => text.push('\n'),
        _ => {
            text.push(' ');
            inline(text, node, &|_| false);
            text.push('\n');
        }
    }
}

/// `//user:password@host` without what is before the host.
fn without_user(value: &str) -> String {
    if let Some((scheme, rest)) = value.split_once("://") {
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        if let Some(at) = rest[..end].rfind('@') {
            return format!("{scheme}://{MASK}@{}", &rest[at + 1..]);
        }
    }
    value.to_owned()
}

/// A text so that YAML reads it as the same.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./+".contains(c);
    let first = text.chars().next().is_some_and(|c| c.is_ascii_alphanumeric() || "_/".contains(c));
    let null = matches!(text, "null" | "Null" | "NULL");
    match first && !null && text.chars().all(plain) {
        true => text.to_owned(),
        false => serde_json::Value::from(text).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use barograph_yaml::tree;

    fn document(text: &str) -> Document {
        Document(tree::parse(text).unwrap())
    }

    #[test]
    fn secrets_are_masked_and_all_else_reads_the_same() {
        let text = "a: {password: hunter2, password_file: pw, 'odd: key': 'x: y', n: 1, e: '', t: [1, {token: hunter2}]}\n\
                    u: 'http://ann:hunter2@h/p'\nh: {http_headers: {X: {values: [hunter2]}}}\nv: [[1, 2], []]\n";
        let shown = document(text).masked();
        assert!(
            !shown.contains("hunter2") && !format!("{:?}", document(text)).contains("hunter2"),
            "{shown}"
        );
        assert!(shown.contains("password: <secret>\n  password_file: pw\n"), "{shown}");
        assert!(shown.contains("\"http://<secret>@h/p\""), "{shown}");
        let again = document(&shown);
        assert_eq!(again.masked(), shown);
        assert_eq!(
            document("a: '~'\nb: [x, {c: 'null'}]\n").masked(),
            "a: \"~\"\nb:\n  - x\n  -\n    c: \"null\"\n"
        );
        assert_eq!(document("").masked(), "");
    }

    #[test]
    fn what_differs_is_named() {
        let one = document("a: {b: 1, c: [1, 2], password: x}\nd: 5\n");
        let two = document("a: {b: 1, c: [1, 3], password: y}\ne: {f: 1}\n");
        assert_eq!(one.differences(&two), ["a.c", "a.password", "d", "e.f"]);
        assert_eq!(one.differences(&one), Vec::<String>::new());
        assert_eq!(one.given()["a.password"], MASK);
    }
}
