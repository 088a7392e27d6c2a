//! Log lines for machines: one object a line, with `timestamp`, `level`, `category`, `message`, the fields, `trace_id` and
//! `target`.

use serde::ser::{SerializeMap, Serializer};

use super::line::{Line, time};

/// The keys that every line has, which a field of the same name would stand beside.
const OWN: [&str; 6] = ["timestamp", "level", "category", "message", "trace_id", "target"];

/// Appends the line with its end.
pub(super) fn write(out: &mut String, line: &Line) {
    let mut bytes = std::mem::take(out).into_bytes();
    // Writing to memory does not fail, and all keys are texts.
    let _ = object(line, &mut serde_json::Serializer::new(&mut bytes));
    bytes.push(b'\n');
    *out = String::from_utf8(bytes).unwrap_or_default();
}

fn object<S: Serializer>(line: &Line, to: S) -> Result<S::Ok, S::Error> {
    let mut map = to.serialize_map(None)?;
    map.serialize_entry("timestamp", &time(line.at))?;
    map.serialize_entry("level", line.level.as_str())?;
    map.serialize_entry("category", &line.category())?;
    map.serialize_entry("message", &line.message)?;
    for (name, value) in &line.fields {
        match OWN.contains(name) {
            true => map.serialize_entry(&format!("{name}_"), value)?,
            false => map.serialize_entry(name, value)?,
        }
    }
    if let Some(trace) = line.trace {
        map.serialize_entry("trace_id", &trace.to_string())?;
    }
    map.serialize_entry("target", line.target)?;
    map.end()
}

#[cfg(test)]
mod tests {
    use barograph::span::TraceId;
    use barograph_model::Timestamp;
    use serde_json::{Value as Json, json};
    use tracing::Level;

    use super::{super::line::Value, *};

    #[test]
    fn a_line_is_one_object_with_the_same_fields() {
        let line = Line {
            at: Timestamp(1_700_000_000_050),
            level: Level::WARN,
            marked: None,
            message: "a \"b\"\nc".to_owned(),
            fields: vec![
                ("route", Value::Text("/x".into())),
                ("latency_ms", Value::Number(1.5)),
                ("level", Value::Int(-1)),
            ],
            block: false,
            trace: TraceId::new(1),
            target: "t",
        };
        let mut out = String::new();
        write(&mut out, &line);
        assert_eq!(out.matches('\n').count(), 1);
        let expected = json!({
            "timestamp": "2023-11-14T22:13:20.050Z", "level": "WARN", "category": "failure", "message": "a \"b\"\nc",
            "route": "/x", "latency_ms": 1.5, "level_": -1, "trace_id": "00000000000000000000000000000001",
            "target": "t",
        });
        assert_eq!(serde_json::from_str::<Json>(&out).unwrap(), expected);
    }
}
