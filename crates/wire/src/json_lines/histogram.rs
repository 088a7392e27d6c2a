//! Native histograms as JSON, to a line and back.

use std::fmt::Write as _;

use barograph_model::{Histogram, HistogramParts, ResetHint, stale_marker};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{line::LineError, value};

/// What stands in place of the marker that ends a series.
const STALE: &str = "\"stale\"";

const HINTS: [(ResetHint, &str); 4] = [
    (ResetHint::Unknown, "unknown"),
    (ResetHint::Yes, "yes"),
    (ResetHint::No, "no"),
    (ResetHint::Gauge, "gauge"),
];

/// Appends a histogram.
pub(super) fn write(out: &mut String, histogram: &Histogram) {
    if histogram.is_stale() {
        out.push_str(STALE);
        return;
    }
    let _ = write!(out, "{{\"schema\":{}", histogram.schema());
    for (name, number) in [
        ("count", histogram.count()),
        ("sum", histogram.sum()),
        ("zeroThreshold", histogram.zero_threshold()),
        ("zeroCount", histogram.zero_count()),
    ] {
        let _ = write!(out, ",\"{name}\":");
        value::write(out, number);
    }
    for (name, buckets) in [("positive", histogram.positive()), ("negative", histogram.negative())] {
        let _ = write!(out, ",\"{name}\":[");
        for (number, (index, count)) in buckets.iter().enumerate() {
            let between = if number > 0 { "," } else { "" };
            let _ = write!(out, "{between}[{index},");
            value::write(out, *count);
            out.push(']');
        }
        out.push(']');
    }
    if !histogram.bounds().is_empty() {
        out.push_str(",\"bounds\":[");
        for (number, bound) in histogram.bounds().iter().enumerate() {
            out.push_str(if number > 0 { "," } else { "" });
            value::write(out, *bound);
        }
        out.push(']');
    }
    if histogram.float {
        out.push_str(",\"float\":true");
    }
    let hint = HINTS.iter().find(|(hint, _)| *hint == histogram.hint).map_or("unknown", |(_, word)| word);
    let _ = write!(out, ",\"reset\":\"{hint}\"}}");
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fields<'a> {
    schema: i8,
    #[serde(borrow)]
    count: &'a RawValue,
    #[serde(borrow)]
    sum: &'a RawValue,
    #[serde(borrow, default)]
    zero_threshold: Option<&'a RawValue>,
    #[serde(borrow, default)]
    zero_count: Option<&'a RawValue>,
    #[serde(borrow, default)]
    positive: Vec<(i32, &'a RawValue)>,
    #[serde(borrow, default)]
    negative: Vec<(i32, &'a RawValue)>,
    #[serde(borrow, default)]
    bounds: Vec<&'a RawValue>,
    #[serde(default)]
    float: bool,
    #[serde(default)]
    reset: Option<String>,
}

/// Reads a histogram.
///
/// # Errors
/// It is none, or breaks a rule of histograms.
pub(super) fn read(json: &RawValue) -> Result<Histogram, LineError> {
    if json.get() == STALE {
        let parts = HistogramParts { sum: stale_marker(), ..HistogramParts::default() };
        return Ok(Histogram::new(parts)?);
    }
    let fields: Fields<'_> = serde_json::from_str(json.get())?;
    let number =
        |field, json: &RawValue| value::read(json.get()).ok_or_else(|| LineError::wrong(field, json.get()));
    let maybe = |field, json: Option<&RawValue>| json.map_or(Ok(0.0), |json| number(field, json));
    let side = |field, buckets: Vec<(i32, &RawValue)>| -> Result<Vec<(i32, f64)>, LineError> {
        buckets.into_iter().map(|(index, count)| Ok((index, number(field, count)?))).collect()
    };
    let hint = match fields.reset.as_deref() {
        None => ResetHint::Unknown,
        Some(word) => {
            let known = HINTS.iter().find(|(_, known)| *known == word);
            known.ok_or_else(|| LineError::wrong("reset", word))?.0
        }
    };
    Ok(Histogram::new(HistogramParts {
        schema: fields.schema,
        hint,
        float: fields.float,
        zero_threshold: maybe("zeroThreshold", fields.zero_threshold)?,
        zero_count: maybe("zeroCount", fields.zero_count)?,
        count: number("count", fields.count)?,
        sum: number("sum", fields.sum)?,
        positive: side("positive", fields.positive)?,
        negative: side("negative", fields.negative)?,
        bounds: fields.bounds.into_iter().map(|bound| number("bounds", bound)).collect::<Result<_, _>>()?,
    })?)
}

#[cfg(test)]
mod tests {
    use barograph_model::CUSTOM_BOUNDS;

    use super::*;

    fn check(parts: HistogramParts, expected: &str) {
        let histogram = Histogram::new(parts).unwrap();
        let mut out = String::new();
        write(&mut out, &histogram);
        assert_eq!(out, expected);
        let back = read(&RawValue::from_string(out).unwrap()).unwrap();
        assert_eq!(back.sum().to_bits(), histogram.sum().to_bits());
        if !histogram.is_stale() {
            assert_eq!(back, histogram);
        }
    }

    #[test]
    fn they_come_back() {
        check(
            HistogramParts {
                schema: 2,
                count: 6.0,
                sum: 7.5,
                zero_threshold: 1e-9,
                zero_count: 1.0,
                positive: vec![(-1, 3.0), (3, 1.0)],
                negative: vec![(0, 1.0)],
                hint: ResetHint::Gauge,
                ..HistogramParts::default()
            },
            r#"{"schema":2,"count":6,"sum":7.5,"zeroThreshold":1e-9,"zeroCount":1,"positive":[[-1,3],[3,1]],"negative":[[0,1]],"reset":"gauge"}"#,
        );
        check(
            HistogramParts {
                schema: CUSTOM_BOUNDS,
                count: 2.5,
                sum: f64::INFINITY,
                positive: vec![(0, 2.5)],
                bounds: vec![0.1, 1.0],
                float: true,
                ..HistogramParts::default()
            },
            r#"{"schema":-53,"count":2.5,"sum":"+Inf","zeroThreshold":0,"zeroCount":0,"positive":[[0,2.5]],"negative":[],"bounds":[0.1,1],"float":true,"reset":"unknown"}"#,
        );
        check(HistogramParts { sum: stale_marker(), ..HistogramParts::default() }, STALE);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let check = |json: &str, said: &str| {
            let error = read(&RawValue::from_string(json.to_owned()).unwrap()).unwrap_err().to_string();
            assert!(error.contains(said), "{json}: {error}");
        };
        check("1", "invalid type");
        check(r#"{"schema":1,"count":1}"#, "sum");
        check(r#"{"schema":1,"count":true,"sum":1}"#, "\"count\" cannot be true");
        check(r#"{"schema":1,"count":2,"sum":1,"positive":[[1,1]]}"#, "does not match its buckets");
        check(r#"{"schema":99,"count":0,"sum":0}"#, "schema");
        check(r#"{"schema":1,"count":0,"sum":0,"reset":"perhaps"}"#, "perhaps");
    }
}
