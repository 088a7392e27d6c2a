//! The schemas of `docs/schemas/`, and as much of JSON Schema as they need.
#![allow(unreachable_pub, clippy::unwrap_used, reason = "it is used within one program, and fails by panics")]

use std::path::Path;

use serde_json::Value;

/// Fails unless `document` has all that version 1 of the schema `name` asks for. It may have more.
pub fn check(name: &str, document: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../docs/schemas/{name}.v1.json"));
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut faults = Vec::new();
    compare(&schema, document, "$", &mut faults);
    assert!(faults.is_empty(), "{name}: {faults:#?} in {document:#}");
}

fn compare(schema: &Value, value: &Value, path: &str, faults: &mut Vec<String>) {
    let is = |kind: &Value| match kind.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        kind => panic!("{kind} is not known here"),
    };
    let kinds = &schema["type"];
    if !kinds.as_array().map_or_else(|| is(kinds), |kinds| kinds.iter().any(is)) {
        return faults.push(format!("{path} should be {kinds}, and is {value}"));
    }
    if let Some(words) = schema["enum"].as_array()
        && !words.contains(value)
    {
        faults.push(format!("{path} is {value}, which is none of {words:?}"));
    }
    if let Some(object) = value.as_object() {
        for key in schema["required"].as_array().into_iter().flatten() {
            if !object.contains_key(key.as_str().unwrap()) {
                faults.push(format!("{path}.{} is missing", key.as_str().unwrap()));
            }
        }
        for (key, value) in object {
            let of = &schema["properties"][key];
            let of = if of.is_null() { &schema["additionalProperties"] } else { of };
            if of.is_object() {
                compare(of, value, &format!("{path}.{key}"), faults);
            }
        }
    }
    for (at, item) in value.as_array().into_iter().flatten().enumerate() {
        if schema["items"].is_object() {
            compare(&schema["items"], item, &format!("{path}[{at}]"), faults);
        }
    }
}
