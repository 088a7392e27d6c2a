//! Answers in the form of the Prometheus API, written straight to JSON text.
//!
//! A large range query is millions of numbers, so there is no tree of JSON values in between.

use axum::{
    http::{HeaderMap, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use barograph_model::{Labels, Sample, Timestamp};
use barograph_query::{Answer, Datum, FloatHistogram, Value};

use crate::http::compress::compressed;

/// A successful answer with `data` as it is already written.
pub(crate) fn success(request: &HeaderMap, data: &str, warnings: &[String], infos: &[String]) -> Response {
    let mut body = String::with_capacity(data.len() + 64);
    body.push_str(r#"{"status":"success","data":"#);
    body.push_str(data);
    for (key, notes) in [("warnings", warnings), ("infos", infos)] {
        if !notes.is_empty() {
            body.push_str(&format!(",\"{key}\":"));
            write_strings(&mut body, notes.iter().take(NOTES_MAX).map(String::as_str));
        }
    }
    body.push('}');
    compressed(request, ([(CONTENT_TYPE, "application/json")], body).into_response())
}

/// At most this many warnings and this many infos are sent, as upstream does.
const NOTES_MAX: usize = 10;

/// The `data` of a query.
pub(crate) fn query_data(answer: &Answer) -> String {
    let mut out = String::with_capacity(4096);
    match &answer.value {
        Value::Scalar(sample) => {
            out.push_str(r#"{"resultType":"scalar","result":"#);
            write_sample(&mut out, *sample);
        }
        Value::String(at, text) => {
            out.push_str(r#"{"resultType":"string","result":["#);
            write_time(&mut out, *at);
            out.push(',');
            write_string(&mut out, text);
            out.push(']');
        }
        Value::Vector(series) => {
            out.push_str(r#"{"resultType":"vector","result":"#);
            write_list(&mut out, series, |out, (labels, datum)| {
                out.push_str(r#"{"metric":"#);
                write_labels(out, labels);
                match datum {
                    Datum::Float(sample) => {
                        out.push_str(r#","value":"#);
                        write_sample(out, *sample);
                    }
                    Datum::Histogram(at, histogram) => {
                        out.push_str(r#","histogram":"#);
                        write_histogram(out, *at, histogram);
                    }
                }
                out.push('}');
            });
        }
        Value::Matrix(series) => {
            out.push_str(r#"{"resultType":"matrix","result":"#);
            write_list(&mut out, series, |out, (labels, track)| {
                out.push_str(r#"{"metric":"#);
                write_labels(out, labels);
                if !track.floats.is_empty() {
                    out.push_str(r#","values":"#);
                    write_list(out, &track.floats, |out, sample| write_sample(out, *sample));
                }
                if !track.histograms.is_empty() {
                    out.push_str(r#","histograms":"#);
                    write_list(out, &track.histograms, |out, (at, histogram)| {
                        write_histogram(out, *at, histogram)
                    });
                }
                out.push('}');
            });
        }
    }
    out.push('}');
    out
}

/// `[a,b,…]`, each written by `write`.
pub(crate) fn write_list<T>(out: &mut String, items: &[T], write: impl Fn(&mut String, &T)) {
    out.push('[');
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        write(out, item);
    }
    out.push(']');
}

/// A list of strings.
pub(crate) fn write_strings<'a>(out: &mut String, texts: impl Iterator<Item = &'a str>) {
    out.push('[');
    for (i, text) in texts.enumerate() {
        if i > 0 {
            out.push(',');
        }
        write_string(out, text);
    }
    out.push(']');
}

/// A label set as an object.
pub(crate) fn write_labels(out: &mut String, labels: &Labels) {
    out.push('{');
    for (i, (name, value)) in labels.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        write_string(out, name);
        out.push(':');
        write_string(out, value);
    }
    out.push('}');
}

/// `[seconds,"value"]`.
fn write_sample(out: &mut String, sample: Sample) {
    out.push('[');
    write_time(out, sample.at);
    out.push(',');
    write_sample_value(out, sample.value);
    out.push(']');
}

/// `[seconds,{"count":"3","sum":"4","buckets":[[0,"1","2","3"]]}]`, where the first number of a bucket says which of its
/// bounds are in it: 0 the upper, 1 the lower, 2 neither, 3 both.
fn write_histogram(out: &mut String, at: Timestamp, histogram: &FloatHistogram) {
    out.push('[');
    write_time(out, at);
    out.push_str(r#",{"count":"#);
    write_sample_value(out, histogram.count());
    out.push_str(r#","sum":"#);
    write_sample_value(out, histogram.sum());
    let mut buckets = histogram.buckets().peekable();
    if buckets.peek().is_some() {
        out.push_str(r#","buckets":["#);
        for (i, bucket) in buckets.enumerate() {
            out.push_str(if i > 0 { ",[" } else { "[" });
            out.push(match (bucket.includes_lower, bucket.includes_upper) {
                (false, true) => '0',
                (true, false) => '1',
                (false, false) => '2',
                (true, true) => '3',
            });
            for value in [bucket.lower, bucket.upper, bucket.count] {
                out.push(',');
                write_sample_value(out, value);
            }
            out.push(']');
        }
        out.push(']');
    }
    out.push_str("}]");
}

/// Seconds, with three decimals where there is a fraction.
fn write_time(out: &mut String, at: Timestamp) {
    use std::fmt::Write as _;
    let ms = at.0.unsigned_abs();
    if at.0 < 0 {
        out.push('-');
    }
    out.push_str(itoa::Buffer::new().format(ms / 1000));
    if !ms.is_multiple_of(1000) {
        let _ = write!(out, ".{:03}", ms % 1000);
    }
}

/// A value as a JSON string: shortest digits that read back as the same number, an exponent outside
/// 1e-6 … 1e21, `+Inf`, `-Inf`, `NaN`.
pub(crate) fn write_sample_value(out: &mut String, value: f64) {
    use std::fmt::Write as _;
    out.push('"');
    let size = value.abs();
    if value.is_nan() {
        out.push_str("NaN");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
    } else if size == 0.0 || (1e-6..1e21).contains(&size) {
        // As few digits as the standard library writes, several times as fast, unless they come with an exponent.
        let mut buffer = zmij::Buffer::new();
        let text = buffer.format_finite(value);
        if text.contains('e') {
            let _ = write!(out, "{value}");
        } else {
            out.push_str(text.strip_suffix(".0").unwrap_or(text));
        }
    } else {
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
        let _ = write!(out, "{digits}e{sign}{exponent:0>2}");
    }
    out.push('"');
}

/// A JSON string.
pub(crate) fn write_string(out: &mut String, text: &str) {
    // Without an early end the loop takes many bytes at a time.
    let odd = text.bytes().fold(false, |odd, b| odd | (b < 0x20) | (b == b'"') | (b == b'\\'));
    if !odd {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push_str(&serde_json::Value::from(text).to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_as_upstream_writes_them() {
        let check = |value: f64, text: &str| {
            let mut out = String::new();
            write_sample_value(&mut out, value);
            assert_eq!(out, format!("\"{text}\""));
        };
        check(0.0, "0");
        check(-0.0, "-0");
        check(1.5, "1.5");
        check(1e6, "1000000");
        check(1e20, "100000000000000000000");
        check(1e21, "1e+21");
        check(1.25e-7, "1.25e-07");
        check(-1e300, "-1e+300");
        check(f64::INFINITY, "+Inf");
        check(f64::NAN, "NaN");
    }

    #[test]
    fn as_few_digits_as_the_standard_library_writes() {
        let mut state = 1u64;
        let mut out = String::new();
        for round in 0..200_000u32 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let value = match round % 4 {
                0 => (state >> 20) as f64 / 100.0,
                1 => (state >> 12) as f64,
                // Any mantissa and sign, exponents of numbers between 1e-6 and 1e21.
                _ => f64::from_bits(state & !(0x7ff << 52) | (1004 + state % 88) << 52),
            };
            out.clear();
            write_sample_value(&mut out, value);
            // Of two texts that are as short and as close, the libraries may choose differently.
            assert_eq!(out.trim_matches('"').parse::<f64>().unwrap().to_bits(), value.to_bits(), "{out}");
            assert_eq!(out.len(), format!("\"{value}\"").len(), "{out}");
        }
    }

    #[test]
    fn times_are_seconds() {
        let check = |ms: i64, text: &str| {
            let mut out = String::new();
            write_time(&mut out, Timestamp(ms));
            assert_eq!(out, text);
        };
        check(1_435_781_451_781, "1435781451.781");
        check(4_000, "4");
        check(-1, "-0.001");
        check(-1_500, "-1.500");
    }

    #[test]
    fn strings_are_escaped() {
        let mut out = String::new();
        write_string(&mut out, "a\"b\\c\nd");
        assert_eq!(out, r#""a\"b\\c\nd""#);
    }
}
