//! Documents without depth, for programs that take nothing else.
//!
//! - `format=flat`: one object of all numbers of a document. A key is the path to the number, with underscores for dots and
//!   hyphens: `server_raw_api_calls_total`.
//! - `format=events`: a list of flat objects, each with `eventType`, `timestamp` in milliseconds since the epoch, texts and
//!   numbers: one of the document, one of each client, method, transaction, or whatever else the document lists.

use serde_json::{Map, Value, json};

/// Objects whose keys are names of things of one kind, and what these are called.
const NAMED: [(&str, &str); 3] =
    [("methods", "Method"), ("api-method-usage-map", "Method"), ("transactions", "Transaction")];
/// Lists of things, and what these are called.
const LISTED: [(&str, &str); 4] =
    [("clients", "Client"), ("recent", "Error"), ("groups", "ErrorGroup"), ("pieces", "Piece")];

/// All numbers of a document by their path.
pub(crate) fn flat(document: &Value) -> Value {
    let mut numbers = Map::new();
    walk(document, &mut String::new(), &mut |path, value| {
        if value.is_number() {
            numbers.insert(path.to_owned(), value.clone());
        }
    });
    Value::Object(numbers)
}

/// A document as events; `kind` is what the document is of.
pub(crate) fn events(document: &Value, kind: &str, at_ms: i64) -> Value {
    let begin = |kind: &str| {
        let mut event = Map::new();
        event.insert("eventType".into(), format!("Barograph{kind}").into());
        event.insert("timestamp".into(), at_ms.into());
        event
    };
    let mut others = Vec::new();
    let rest = taken_out(document, &mut |name, thing, kind| {
        let mut event = begin(kind);
        if let Some(name) = name {
            event.insert("name".into(), name.into());
        }
        fill(&mut event, thing);
        others.push(Value::Object(event));
    });
    let mut event = begin(kind);
    fill(&mut event, &rest);
    others.insert(0, Value::Object(event));
    Value::Array(others)
}

fn fill(event: &mut Map<String, Value>, document: &Value) {
    walk(document, &mut String::new(), &mut |path, value| {
        if value.is_number() || value.is_string() {
            event.insert(path.to_owned(), value.clone());
        }
    });
}

/// The document without its things, each of which is told: its name if it has one, itself, and its kind.
fn taken_out(document: &Value, tell: &mut impl FnMut(Option<&str>, &Value, &str)) -> Value {
    let Value::Object(fields) = document else { return document.clone() };
    let mut rest = Map::new();
    for (key, value) in fields {
        let kind_in =
            |of: &[(&str, &'static str)]| of.iter().find(|(of, _)| of == key).map(|(_, kind)| *kind);
        match (value, kind_in(&NAMED), kind_in(&LISTED)) {
            (Value::Object(things), Some(kind), _) => {
                things.iter().for_each(|(name, thing)| match thing {
                    Value::Object(_) => tell(Some(name), thing, kind),
                    calls => tell(Some(name), &json!({"calls": calls}), kind),
                });
            }
            (Value::Array(things), _, Some(kind)) => things.iter().for_each(|thing| tell(None, thing, kind)),
            _ => {
                rest.insert(key.clone(), taken_out(value, tell));
            }
        }
    }
    Value::Object(rest)
}

/// Tells of each value that has no parts, with its path.
fn walk(value: &Value, path: &mut String, tell: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let length = path.len();
                if !path.is_empty() {
                    path.push('_');
                }
                path.extend(key.chars().map(|c| if matches!(c, '-' | '.') { '_' } else { c }));
                walk(value, path, tell);
                path.truncate(length);
            }
        }
        Value::Array(_) => {}
        leaf => tell(path, leaf),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_become_flat() {
        let document = json!({
            "server": {"api-calls": 3, "raw": {"a-b": 1.5, "text": "x", "none": null}},
            "clients": [{"client-id": "a", "calls": 2}],
            "methods": {"GET /": {"calls": 3}, "PUT /": 4},
        });
        assert_eq!(
            flat(&document),
            json!({"server_api_calls": 3, "server_raw_a_b": 1.5, "methods_GET /_calls": 3, "methods_PUT /": 4})
        );
        let found = events(&document, "Server", 7);
        let event = |kind: &str, rest: Value| {
            let mut event = json!({"eventType": format!("Barograph{kind}"), "timestamp": 7});
            event.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
            event
        };
        let found = found.as_array().unwrap();
        assert_eq!(found.len(), 4);
        assert_eq!(
            found[0],
            event("Server", json!({"server_api_calls": 3, "server_raw_a_b": 1.5, "server_raw_text": "x"}))
        );
        assert!(found.contains(&event("Client", json!({"client_id": "a", "calls": 2}))));
        assert!(found.contains(&event("Method", json!({"name": "GET /", "calls": 3}))));
        assert!(found.contains(&event("Method", json!({"name": "PUT /", "calls": 4}))));
    }
}
