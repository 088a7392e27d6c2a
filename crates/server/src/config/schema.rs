//! The JSON schema of the configuration (draft 2020-12), made of what its readers read.
//!
//! There is no list of keys beside the readers: an [`Outline`] of them is taken, so a key that is read is in the schema, with
//! the kind of its value and its default. Editors check a file with it while it is written.

use std::{collections::BTreeMap, path::Path};

use barograph_yaml::outline::{Field, Outline, Scalar, ScalarKind};
use serde_json::{Map, Value, json};

use super::read;

/// The outline of a whole configuration.
pub fn outline() -> Outline {
    Outline::of(|root, findings| drop(read(root, Path::new(""), findings)))
}

/// The schema, as text that ends with a line's end.
pub fn schema() -> String {
    let mut root = Map::new();
    root.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
    root.insert("$id".into(), "https://barograph.dev/schemas/config.schema.json".into());
    root.insert("title".into(), "Configuration of Barograph".into());
    if let Value::Object(outline) = of(&outline()) {
        root.extend(outline);
    }
    let mut text = serde_json::to_string_pretty(&Value::Object(root)).unwrap_or_default();
    text.push('\n');
    text
}

/// The defaults that readers tell, by path.
pub fn defaults() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    walk(&outline(), "", &mut found);
    found
}

fn walk(outline: &Outline, path: &str, found: &mut BTreeMap<String, String>) {
    let Outline::Section(fields) = outline else { return };
    for field in fields {
        let path = if path.is_empty() { field.key.to_owned() } else { format!("{path}.{}", field.key) };
        if let Some(value) = default_of(field) {
            found.insert(path.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        }
        walk(&field.outline, &path, found);
    }
}

fn of(outline: &Outline) -> Value {
    match outline {
        Outline::Scalar(scalar) => of_scalar(scalar),
        Outline::List(item) => json!({"type": ["array", "null"], "items": of(item)}),
        Outline::Entries(value) => json!({"type": ["object", "null"], "additionalProperties": of(value)}),
        Outline::Section(fields) => {
            let properties: Map<_, _> =
                fields.iter().map(|field| (field.key.to_owned(), of_field(field))).collect();
            json!({"type": ["object", "null"], "properties": properties, "additionalProperties": false})
        }
        _ => json!({}),
    }
}

fn of_field(field: &Field) -> Value {
    let mut schema = of(&field.outline);
    if let (Some(default), Value::Object(schema)) = (default_of(field), &mut schema) {
        schema.insert("default".into(), default);
    }
    if super::document::is_secret(field.key)
        && let Value::Object(schema) = &mut schema
    {
        schema.insert("writeOnly".into(), true.into());
    }
    schema
}

fn of_scalar(scalar: &Scalar) -> Value {
    match &scalar.kind {
        ScalarKind::Boolean => json!({"type": ["boolean", "null"]}),
        ScalarKind::Count => json!({"type": ["integer", "string", "null"], "pattern": "^[0-9_]+$"}),
        ScalarKind::Number => json!({"type": ["number", "null"]}),
        ScalarKind::Duration => json!({
            "type": ["string", "integer", "null"],
            "pattern": "^(0|([0-9]+y)?([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?)$",
            "description": "a duration such as 30s, 5m or 1h30m",
        }),
        ScalarKind::Size => json!({
            "type": ["string", "integer", "null"],
            "pattern": "^[0-9.]+ *([KMGTP]i?)?B?$",
            "description": "a size such as 512MB or 10GiB, or a number of bytes",
        }),
        ScalarKind::Words(words) => {
            json!({"enum": words.iter().map(|word| json!(word)).chain([Value::Null]).collect::<Vec<_>>()})
        }
        ScalarKind::Text => json!({"type": ["string", "number", "boolean", "null"]}),
    }
}

/// A default as the configuration would say it.
fn default_of(field: &Field) -> Option<Value> {
    let Outline::Scalar(scalar) = &field.outline else { return None };
    let text = field.default.as_deref()?;
    let text = text.strip_prefix("Some(").and_then(|text| text.strip_suffix(')')).unwrap_or(text);
    match &scalar.kind {
        _ if text == "None" => None,
        ScalarKind::Boolean => text.parse::<bool>().ok().map(Value::from),
        ScalarKind::Count => text.parse::<u64>().ok().map(Value::from),
        ScalarKind::Number => text.parse::<f64>().ok().map(Value::from),
        ScalarKind::Duration => debugged_duration(text).map(Value::from),
        ScalarKind::Size => text.parse::<u64>().ok().map(|bytes| sized(bytes).into()),
        ScalarKind::Words(words) => {
            let plain = |word: &str| word.replace(['-', '_'], "").to_ascii_lowercase();
            words.iter().find(|word| plain(word) == plain(text)).map(|word| json!(word))
        }
        ScalarKind::Text => serde_json::from_str::<String>(text).ok().map(Value::from),
    }
}

/// A duration as Rust shows it, such as `3600s` or `1.5s`, as we do.
fn debugged_duration(text: &str) -> Option<String> {
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic() || c == 'µ')?);
    let scale = match unit {
        "s" => 1.0,
        "ms" => 1e-3,
        "µs" => 1e-6,
        "ns" => 1e-9,
        _ => return None,
    };
    let seconds = number.parse::<f64>().ok()? * scale;
    std::time::Duration::try_from_secs_f64(seconds).ok().map(super::format_duration)
}

/// Bytes in the largest unit that shows all of them.
fn sized(bytes: u64) -> String {
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let fits = units.into_iter().find(|(_, shift)| bytes > 0 && bytes.is_multiple_of(1 << shift));
    fits.map_or_else(|| bytes.to_string(), |(unit, shift)| format!("{}{unit}", bytes >> shift))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tree;

    /// `barograph config schema` prints it; with `UPDATE=1` in the environment this writes it.
    #[test]
    fn the_published_schema_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/schemas/config.schema.json");
        if std::env::vars().any(|(name, value)| name == "UPDATE" && value == "1") {
            std::fs::write(path, schema()).unwrap();
        }
        let published = std::fs::read_to_string(path).unwrap();
        assert!(
            published == schema(),
            "run this test again with UPDATE=1 in the environment, and look at the change"
        );
    }

    #[test]
    fn each_key_has_kind_and_default() {
        let schema: Value = serde_json::from_str(&schema()).unwrap();
        let at = |path: &str| schema.pointer(&path.replace('.', "/properties/")).cloned().unwrap_or_default();
        assert_eq!(at(".storage.durability")["enum"], json!(["batch", "sync", "relaxed", null]));
        assert_eq!(at(".storage.durability")["default"], "batch");
        assert_eq!(at(".query.timeout")["default"], "2m");
        assert_eq!(at(".query.max_series")["default"], 500_000);
        assert_eq!(at(".limits.body")["default"], "32MiB");
        assert_eq!(at(".query.experimental")["type"], json!(["boolean", "null"]));
        let job = &at(".scrape_configs")["items"]["properties"];
        assert_eq!(job["basic_auth"]["properties"]["password"]["writeOnly"], true);
        assert_eq!(job["relabel_configs"]["items"]["properties"]["action"]["enum"][0], "replace");
        assert!(job["static_configs"]["items"]["properties"]["targets"]["items"].is_object());
    }

    /// The first receiver of a file that says who is told of alerts, if it is one.
    fn receiver_of(block: &str) -> Option<&str> {
        let at = block.lines().position(|line| line.starts_with("receivers:"))?;
        block.lines().skip(at).find_map(|line| line.trim().strip_prefix("- name: "))
    }

    #[test]
    fn what_the_guide_shows_is_valid() {
        let guide = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guide");
        let mut seen = 0;
        for entry in std::fs::read_dir(guide).unwrap() {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            for block in text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()) {
                // Rule files and tests of rules have a form of their own.
                if block
                    .lines()
                    .any(|line| ["groups:", "tests:", "rule_files:"].iter().any(|key| line.starts_with(key)))
                {
                    continue;
                }
                if let Some(receiver) = receiver_of(block) {
                    let text = match block.lines().any(|line| line.starts_with("route:")) {
                        true => block.to_owned(),
                        false => format!("{block}\nroute: {{receiver: {receiver}}}\n"),
                    };
                    let read = barograph_alert::config::parse(&text, "alertmanager.yml");
                    assert!(read.is_ok(), "{}: {}\n{block}", path.display(), read.unwrap_err());
                    continue;
                }
                if let Err(why) = validate(block) {
                    let known = block
                        .lines()
                        .any(|line| outline_keys().iter().any(|key| line.starts_with(&format!("{key}:"))));
                    assert!(!known, "{}: {why}\n{block}", path.display());
                } else {
                    seen += 1;
                }
            }
        }
        assert!(seen > 2, "{seen} examples");
    }

    fn outline_keys() -> Vec<&'static str> {
        match outline() {
            Outline::Section(fields) => fields.iter().map(|field| field.key).collect(),
            _ => Vec::new(),
        }
    }

    /// What is wrong with a document by the outline, at most one thing.
    fn validate(text: &str) -> Result<(), String> {
        let node = tree::parse(text).map_err(|finding| finding.message)?;
        check(&node, &outline(), "")
    }

    fn check(node: &tree::Node, outline: &Outline, path: &str) -> Result<(), String> {
        use tree::Kind;
        match (outline, &node.kind) {
            (_, Kind::Null) | (Outline::Any | Outline::Open { .. }, _) => Ok(()),
            (Outline::List(item), Kind::List(items)) => {
                items.iter().try_for_each(|node| check(node, item, path))
            }
            (Outline::Entries(value), Kind::Map(entries)) => {
                entries.iter().try_for_each(|(key, node)| check(node, value, &format!("{path}.{}", key.text)))
            }
            (Outline::Section(fields), Kind::Map(entries)) => entries.iter().try_for_each(|(key, node)| {
                let path = format!("{path}.{}", key.text);
                let field = fields.iter().find(|field| field.key == key.text);
                check(node, &field.ok_or_else(|| format!("{path} is not known"))?.outline, &path)
            }),
            (Outline::Scalar(scalar), Kind::Scalar(text)) => match &scalar.kind {
                ScalarKind::Words(words) if !words.contains(text) => {
                    Err(format!("{path}: `{text}` is none of {}", words.join(", ")))
                }
                _ => Ok(()),
            },
            _ => Err(format!("{path} has the wrong shape")),
        }
    }
}
