//! Answers in the form of the Prometheus API, written straight to JSON text.
//!
//! A large range query is millions of numbers, so there is no tree of JSON values in between.

use axum::{
    http::{HeaderMap, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use barograph_model::{Labels, Sample, Timestamp};
use barograph_query::{Answer, Datum, FloatHistogram, Value};

use super::matrix::Lists;
use crate::http::compress::compressed;

/// A successful answer with `data` as it is already written.
pub(crate) fn success(request: &HeaderMap, data: &str, warnings: &[String], infos: &[String]) -> Response {
    let write = |body: &mut Vec<u8>| body.extend_from_slice(data.as_bytes());
    success_of(request, data.len(), write, warnings, infos)
}

/// The answer to a query.
pub(crate) fn success_with(request: &HeaderMap, answer: &Answer) -> Response {
    let write = |body: &mut Vec<u8>| write_value(body, &answer.value);
    success_of(request, likely_len(&answer.value), write, &answer.warnings, &answer.infos)
}

/// A successful answer, its data of about `len` bytes written in place.
fn success_of(
    request: &HeaderMap,
    len: usize,
    write: impl FnOnce(&mut Vec<u8>),
    warnings: &[String],
    infos: &[String],
) -> Response {
    let mut body = Vec::with_capacity(len + 256);
    body.extend_from_slice(br#"{"status":"success","data":"#);
    write(&mut body);
    for (key, notes) in [("warnings", warnings), ("infos", infos)] {
        if !notes.is_empty() {
            let mut text = format!(",\"{key}\":");
            write_strings(&mut text, notes.iter().take(NOTES_MAX).map(String::as_str));
            body.extend_from_slice(text.as_bytes());
        }
    }
    body.push(b'}');
    compressed(request, ([(CONTENT_TYPE, "application/json")], body).into_response())
}

/// At most this many warnings and this many infos are sent, as upstream does.
const NOTES_MAX: usize = 10;

/// About how many bytes an answer takes, so that it need not be moved while it grows.
fn likely_len(value: &Value) -> usize {
    const SERIES: usize = 192;
    const SAMPLE: usize = 36;
    match value {
        Value::Scalar(_) | Value::String(..) => SAMPLE,
        Value::Vector(series) => series.len() * (SERIES + SAMPLE),
        Value::Matrix(series) => series.iter().map(|(_, track)| SERIES + SAMPLE * track.floats.len()).sum(),
    }
}

/// The `data` of a query.
fn write_value(out: &mut Vec<u8>, value: &Value) {
    let mut text = String::new();
    match value {
        Value::Scalar(sample) => {
            text.push_str(r#"{"resultType":"scalar","result":"#);
            write_sample(&mut text, *sample);
        }
        Value::String(at, value) => {
            text.push_str(r#"{"resultType":"string","result":["#);
            write_time(&mut text, *at);
            text.push(',');
            write_string(&mut text, value);
            text.push(']');
        }
        Value::Vector(series) => {
            text.push_str(r#"{"resultType":"vector","result":"#);
            write_list(&mut text, series, |out, (labels, datum)| {
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
            text.push_str(r#"{"resultType":"matrix","result":["#);
            let mut lists = Lists::new();
            for (number, (labels, track)) in series.iter().enumerate() {
                text.push_str(if number > 0 { r#"},{"metric":"# } else { r#"{"metric":"# });
                write_labels(&mut text, labels);
                if !track.floats.is_empty() {
                    text.push_str(r#","values":"#);
                    out.extend_from_slice(text.as_bytes());
                    lists.write(out, &track.floats);
                    text.clear();
                }
                if !track.histograms.is_empty() {
                    text.push_str(r#","histograms":"#);
                    write_list(&mut text, &track.histograms, |out, (at, histogram)| {
                        write_histogram(out, *at, histogram);
                    });
                }
            }
            text.push_str(if series.is_empty() { "]" } else { "}]" });
        }
    }
    text.push('}');
    out.extend_from_slice(text.as_bytes());
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
pub(super) fn write_time(out: &mut String, at: Timestamp) {
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
    out.push('"');
    write_digits(out, value);
    out.push('"');
}

/// The same without the quotes.
pub(super) fn write_digits(out: &mut String, value: f64) {
    use std::fmt::Write as _;
    // Numbers from here on may be no whole ones, and their text may have an exponent.
    const WHOLE_MAX: f64 = 1e15;
    let size = value.abs();
    #[expect(
        clippy::cast_possible_truncation,
        reason = "what is no whole number in range differs afterwards"
    )]
    let whole = value as i64;
    if size < WHOLE_MAX && (whole as f64).to_bits() == value.to_bits() {
        out.push_str(itoa::Buffer::new().format(whole));
    } else if (1e-4..WHOLE_MAX).contains(&size) {
        // As few digits as the standard library writes, several times as fast.
        out.push_str(zmij::Buffer::new().format_finite(value));
    } else if value.is_nan() {
        out.push_str("NaN");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
    } else if size == 0.0 || (1e-6..1e21).contains(&size) {
        let _ = write!(out, "{value}");
    } else {
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
        let _ = write!(out, "{digits}e{sign}{exponent:0>2}");
    }
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
    fn a_matrix_has_its_times() {
        let labels = |n: &str| Labels::from_pairs([("n", n)]).unwrap();
        let samples = |first: i64| (0..2).map(move |n| Sample { at: Timestamp(first + n * 500), value: 1.5 });
        let series = [("a", 0), ("b", 0), ("c", 500)].map(|(n, first)| (labels(n), samples(first).collect()));
        let mut out = Vec::new();
        write_value(&mut out, &Value::Matrix(series.into()));
        let same = r#""values":[[0,"1.5"],[0.500,"1.5"]]"#;
        let list = format!(
            r#"{{"metric":{{"n":"a"}},{same}}},{{"metric":{{"n":"b"}},{same}}},{{"metric":{{"n":"c"}},{}}}"#,
            r#""values":[[0.500,"1.5"],[1,"1.5"]]"#
        );
        let expected = format!(r#"{{"resultType":"matrix","result":[{list}]}}"#);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        let mut none = Vec::new();
        write_value(&mut none, &Value::Matrix(Vec::new()));
        assert_eq!(none, br#"{"resultType":"matrix","result":[]}"#);
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
