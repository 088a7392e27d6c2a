//! What alerts and incidents are, in words for a terminal.

use serde_json::Value;

/// A field as text; nothing that a terminal would obey. Labels and their like are `name="value"`.
pub(super) fn text(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => {
            let pairs = fields.iter().filter(|(_, value)| !value.is_null());
            let pairs: Vec<_> = pairs.map(|(name, value)| format!("{name}={:?}", text(value))).collect();
            pairs.join(", ")
        }
        other => other.to_string(),
    };
    text.chars().filter(|c| !c.is_control()).collect()
}

/// A text that leaves room for the others of its line.
pub(super) fn cut(text: String, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

/// The widest name of a table, and the widest words about it.
pub(super) const NAME_CHARS_MAX: usize = 40;
pub(super) const ABOUT_CHARS_MAX: usize = 100;

/// How many alerts an incident has, and what the first says.
pub(super) fn said(incident: &Value) -> String {
    let count = incident["alert_count"].as_u64().unwrap_or(0);
    let first = text(&incident["alerts"][0]["message"]);
    let alerts = if count == 1 { "alert" } else { "alerts" };
    if first.is_empty() { format!("{count} {alerts}") } else { format!("{count} {alerts}: {first}") }
}

/// What came of it, in a line.
pub(super) fn outcome(action: &str, id: &str, to: Option<&str>, document: &Value) -> String {
    match action {
        "ack" | "takeover" => {
            let who = text(&document["ack"]["acknowledged_by"]);
            if who.is_empty() { format!("{id} is acknowledged") } else { format!("{who} has {id}") }
        }
        "unack" => format!("nobody has {id} now; others are asked again"),
        "comment" => format!("noted in the timeline of {id}"),
        "assign" if to.is_some_and(str::is_empty) => format!("{id} is assigned to nobody"),
        "assign" => format!("{id} is assigned to {}", to.unwrap_or_default()),
        "escalate" => match document["level"].as_u64() {
            Some(level) => format!("level {level} is asked about {id}"),
            None => format!("others are asked about {id}"),
        },
        _ => format!("{id} is {}", text(&document["state"])),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_done_is_said() {
        let check = |action: &str, document: Value, expected: &str| {
            assert_eq!(outcome(action, "incident_1", Some("bo"), &document), expected);
        };
        check("ack", json!({"state": "firing", "ack": {"acknowledged_by": "ann"}}), "ann has incident_1");
        check("assign", json!({}), "incident_1 is assigned to bo");
        check("escalate", json!({"level": 2}), "level 2 is asked about incident_1");
        check("resolve", json!({"state": "resolved"}), "incident_1 is resolved");
    }

    #[test]
    fn fields_are_read_by_people() {
        assert_eq!(text(&json!({"job": "api", "by": null, "n": 3})), "job=\"api\", n=\"3\"");
        assert_eq!(text(&json!(["a", "b\u{1b}"])), "a, b");
        assert_eq!(
            (cut("añb".to_owned(), 2), cut("añb".to_owned(), 3)),
            ("añ…".to_owned(), "añb".to_owned())
        );
        let one = json!({"alert_count": 2, "alerts": [{"message": "slow"}]});
        assert_eq!(said(&one), "2 alerts: slow");
    }
}
