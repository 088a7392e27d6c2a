//! JSON, written by hand: strings, numbers, and families as one document.

use std::fmt::Write as _;

use super::Family;

/// Appends a string with its quotes (RFC 8259, 7).
pub fn string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => _ = write!(out, "\\u{:04x}", u32::from(c)),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Appends the shortest number that reads back as `value`; what JSON has no number for is null.
pub fn number(out: &mut String, value: f64) {
    if !value.is_finite() {
        out.push_str("null");
    } else if value != 0.0 && !(1e-5..1e16).contains(&value.abs()) {
        let _ = write!(out, "{value:e}");
    } else {
        let _ = write!(out, "{value}");
    }
}

/// Families as `{"metrics": [{"name", "type", "unit", "help", "points": [{"suffix"?, "labels", "value"}]}]}`.
pub fn write(out: &mut String, families: &[Family]) {
    out.push_str("{\"metrics\":[");
    for (i, family) in families.iter().filter(|family| !family.points.is_empty()).enumerate() {
        out.push_str(if i == 0 { "{\"name\":" } else { ",{\"name\":" });
        string(out, &family.name);
        let _ = write!(out, ",\"type\":\"{}\",\"unit\":", family.kind.as_str());
        string(out, &family.unit);
        out.push_str(",\"help\":");
        string(out, &family.help);
        out.push_str(",\"points\":[");
        for (i, point) in family.points.iter().enumerate() {
            out.push_str(if i == 0 { "{" } else { ",{" });
            if !point.suffix.is_empty() {
                let _ = write!(out, "\"suffix\":\"{}\",", point.suffix);
            }
            out.push_str("\"labels\":{");
            for (i, (name, value)) in point.labels.iter().enumerate() {
                out.push_str(if i == 0 { "" } else { "," });
                string(out, name);
                out.push(':');
                string(out, value);
            }
            out.push_str("},\"value\":");
            number(out, point.value);
            out.push('}');
        }
        out.push_str("]}");
    }
    out.push_str("]}");
}

#[cfg(test)]
mod tests {
    use barograph_model::{Labels, MetricType};

    use super::{super::Point, *};

    #[test]
    fn numbers_are_numbers_of_json() {
        let check = |value, expected| {
            let mut text = String::new();
            number(&mut text, value);
            assert_eq!(text, expected);
        };
        check(0.0, "0");
        check(-1.5, "-1.5");
        check(1e300, "1e300");
        check(1e-9, "1e-9");
        check(f64::NAN, "null");
        check(f64::INFINITY, "null");
    }

    #[test]
    fn families_are_written() {
        let labels = Labels::empty().with("a", "\"\u{1}\\");
        let family = Family {
            name: "jobs".into(),
            help: "Jobs.".into(),
            unit: String::new(),
            kind: MetricType::Counter,
            points: vec![Point::new("_total", labels, 2.0), Point::new("_total", Labels::empty(), 3.0)],
        };
        let mut text = String::new();
        write(&mut text, &[family]);
        assert_eq!(
            text,
            concat!(
                r#"{"metrics":[{"name":"jobs","type":"counter","unit":"","help":"Jobs.","points":["#,
                r#"{"suffix":"_total","labels":{"a":"\"\u0001\\"},"value":2},"#,
                r#"{"suffix":"_total","labels":{},"value":3}]}]}"#
            )
        );
    }
}
