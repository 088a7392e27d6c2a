//! The schema accepts what is accepted and refuses what is refused, as far as a schema can tell.

use barograph_query::json::{Query, SCHEMA};
use proptest::prelude::*;
use regex::Regex;
use serde_json::{Map, Value, json};

/// Whether a value is what a schema describes; the keywords are those the schema uses, any other is a mistake.
fn valid(root: &Value, schema: &Value, value: &Value) -> bool {
    let Some(schema) = schema.as_object() else { return schema == &Value::Bool(true) };
    let sub = |schema: &Value, value: &Value| valid(root, schema, value);
    let any = |list: &Value| list.as_array().unwrap().iter().any(|schema| sub(schema, value));
    let is = |kind: &str| match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        kind => panic!("type {kind}"),
    };
    let count = |limit: &Value| limit.as_u64().map(|limit| usize::try_from(limit).unwrap()).unwrap();
    let (items, fields, text) = (value.as_array(), value.as_object(), value.as_str());
    let keyword = |(key, rule): (&String, &Value)| match key.as_str() {
        "$schema" | "$id" | "$defs" | "title" | "description" | "then" | "else" => true,
        "$ref" => sub(root.pointer(rule.as_str().unwrap().trim_start_matches('#')).unwrap(), value),
        "type" => match rule {
            Value::Array(kinds) => kinds.iter().any(|kind| is(kind.as_str().unwrap())),
            kind => is(kind.as_str().unwrap()),
        },
        "anyOf" => any(rule),
        "not" => !sub(rule, value),
        "const" => value == rule,
        "if" => {
            let then = schema.get(if sub(rule, value) { "then" } else { "else" });
            then.is_none_or(|then| sub(then, value))
        }
        "required" => fields.is_none_or(|fields| {
            // What is null counts as absent where the reader says so; such keys allow null by their own rule.
            rule.as_array()
                .unwrap()
                .iter()
                .all(|name| fields.get(name.as_str().unwrap()).is_some_and(|v| !v.is_null()))
        }),
        "properties" => fields.is_none_or(|fields| {
            let rules = rule.as_object().unwrap();
            rules.iter().all(|(name, rule)| fields.get(name).is_none_or(|value| sub(rule, value)))
        }),
        "additionalProperties" => fields.is_none_or(|fields| {
            let known = schema.get("properties").and_then(Value::as_object);
            fields
                .iter()
                .all(|(name, value)| known.is_some_and(|known| known.contains_key(name)) || sub(rule, value))
        }),
        "propertyNames" => fields.is_none_or(|fields| fields.keys().all(|name| sub(rule, &json!(name)))),
        "minProperties" => fields.is_none_or(|fields| fields.len() >= count(rule)),
        "maxProperties" => fields.is_none_or(|fields| fields.len() <= count(rule)),
        "prefixItems" => items.is_none_or(|items| {
            items.iter().zip(rule.as_array().unwrap()).all(|(value, rule)| sub(rule, value))
        }),
        "items" => items.is_none_or(|items| {
            let from = schema.get("prefixItems").and_then(Value::as_array).map_or(0, Vec::len);
            items.iter().skip(from).all(|value| sub(rule, value))
        }),
        "minItems" => items.is_none_or(|items| items.len() >= count(rule)),
        "maxItems" => items.is_none_or(|items| items.len() <= count(rule)),
        "uniqueItems" => items.is_none_or(|items| (1..items.len()).all(|i| !items[..i].contains(&items[i]))),
        "minLength" => text.is_none_or(|text| text.chars().count() >= count(rule)),
        "maxLength" => text.is_none_or(|text| text.chars().count() <= count(rule)),
        "pattern" => text.is_none_or(|text| Regex::new(rule.as_str().unwrap()).unwrap().is_match(text)),
        "minimum" => value.as_f64().is_none_or(|value| value >= rule.as_f64().unwrap()),
        "maximum" => value.as_f64().is_none_or(|value| value <= rule.as_f64().unwrap()),
        other => panic!("keyword {other}"),
    };
    schema.iter().all(keyword)
}

/// A document with everything in it.
fn full() -> Value {
    json!({"query": {
        "metrics": ["a", "b.*", {"regex": "c"}],
        "filter": {
            "timeRange": {"start": "2025-04-01T00:00:00Z", "end": "now-6h"},
            "dimensions": {"x": "1", "y": ["1", 2, true], "z": {"prefix": "p", "exists": true, "notIn": ["q"]}},
        },
        "groupBy": ["x", "y"],
        "aggregations": [
            {"type": "AVG", "window": "1h30m", "metric": "a", "alias": "mean"},
            {"type": "PERCENTILE", "percentile": 99.9, "window": 5000},
            {"type": "p95", "window": "auto"},
        ],
        "calculations": [{"name": "c", "expression": "a / b", "window": "7m"}, {"expression": "a"}],
        "pattern": {
            "name": "p", "conditions": {"k": "a > 1", "l": "b < 2"}, "within": "1h", "window": "1m",
            "sequence": [{"when": "k", "not": "l"}, {"then": ["l", "k"], "within": 60000}, {"not": "k", "within": "5m"}],
        },
        "sort": {"field": "c", "order": "DESC"},
        "limit": 100, "granularity": "auto", "targetPoints": 50,
    }})
}

/// All places in a value.
fn places(value: &Value, path: &str, into: &mut Vec<String>) {
    into.push(path.to_owned());
    match value {
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, item)| places(item, &format!("{path}/{i}"), into));
        }
        Value::Object(fields) => {
            fields.iter().for_each(|(name, field)| places(field, &format!("{path}/{name}"), into));
        }
        _ => {}
    }
}

/// Words that only the reader knows to be wrong: what names what, how expressions are written, patterns of names.
const BEYOND: [&str; 14] = [
    "column ",
    "is not among the metrics",
    "is no metric of the query",
    "is none of the conditions",
    "has this name",
    "is no pattern",
    "is no condition",
    "error parsing",
    "not after the start",
    "expected a time",
    "length of time",
    "names no metric",
    "unexpected character",
    "needs \"then\", or",
];

fn agree(document: &Value) {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let by_schema = valid(&schema, &schema, document);
    match Query::read(document) {
        Ok(query) => {
            assert!(by_schema, "the schema refuses {}", document["query"]);
            assert_eq!(Query::read(&query.to_json()).as_ref(), Ok(&query), "what is written means the same");
        }
        Err(error) => {
            let beyond = BEYOND.iter().any(|words| error.message.contains(words));
            assert!(!by_schema || beyond, "the schema accepts what is refused: {error}");
        }
    }
}

#[test]
fn a_full_document_is_accepted_by_both() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let query = Query::read(&full()).unwrap();
    assert!(valid(&schema, &schema, &full()));
    // What is written again means the same.
    assert_eq!(Query::read(&query.to_json()).unwrap(), query);
    assert!(valid(&schema, &schema, &query.to_json()));
}

#[test]
fn one_change_is_judged_alike() {
    let mut all = Vec::new();
    places(&full(), "", &mut all);
    let others = [
        json!(null),
        json!(true),
        json!(0),
        json!(1),
        json!(-1),
        json!(1.5),
        json!(70_000),
        json!(1e300),
        json!(""),
        json!("*"),
        json!("x"),
        json!("now"),
        json!("1h"),
        json!("ASC"),
        json!("raw"),
        json!("P101"),
        json!("p99.9"),
        json!("sum"),
        json!("auto"),
        json!([]),
        json!(["*"]),
        json!(["x", "x"]),
        json!([[]]),
        json!({}),
        json!({"regex": "x"}),
        json!({"unknown": 1}),
        json!(vec!["x"; 70]),
    ];
    for path in &all {
        for other in &others {
            let mut document = full();
            *document.pointer_mut(path).unwrap() = other.clone();
            agree(&document);
        }
        let mut document = full();
        match document.pointer_mut(path).unwrap() {
            Value::Object(fields) => drop(fields.insert("unknown".into(), json!(1))),
            Value::Array(items) => items.clear(),
            _ => continue,
        }
        agree(&document);
        let fields: Vec<String> = match full().pointer(path).unwrap() {
            Value::Object(fields) => fields.keys().cloned().collect(),
            _ => continue,
        };
        for name in fields {
            let mut document = full();
            document.pointer_mut(path).unwrap().as_object_mut().unwrap().remove(&name);
            agree(&document);
        }
    }
}

/// Any small value.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-5i64..5).prop_map(Value::from),
        prop::sample::select(vec!["", "*", "a", "AVG", "5m", "now", "1h", "x > 1"]).prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        let keys = prop::sample::select(vec![
            "type", "window", "when", "then", "not", "within", "regex", "in", "field",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((keys, inner), 0..4).prop_map(|pairs| pairs
                .into_iter()
                .map(|(k, v)| (k.to_owned(), v))
                .collect::<Map<_, _>>()
                .into()),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_is_put_in_is_judged_alike(place in any::<prop::sample::Index>(), value in any_value()) {
        let mut all = Vec::new();
        places(&full(), "", &mut all);
        let mut document = full();
        *document.pointer_mut(&all[place.index(all.len())]).unwrap() = value;
        agree(&document);
    }
}
