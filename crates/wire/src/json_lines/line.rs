//! Lines, written and read.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt::{self, Write as _},
};

use barograph_model::{
    Histogram, HistogramError, HistogramRollup, LabelError, Labels, METRIC_NAME, Rollup, Sample, Sketch,
    Tier, Timestamp,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{histogram, value};

/// What the lines of one series have in common, made once.
#[derive(Clone, Debug)]
pub struct SeriesText {
    /// Up to the time.
    head: String,
    /// Behind the value: the labels.
    labels: String,
}

/// What says which file a line belongs to.
#[derive(Clone, Debug, Deserialize)]
pub struct Head<'a> {
    /// The metric.
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
}

impl<'a> Head<'a> {
    /// Reads no more of a line than that.
    ///
    /// # Errors
    /// [`LineError::Json`].
    pub fn parse(line: &'a [u8]) -> Result<Self, LineError> {
        Ok(serde_json::from_slice(line)?)
    }
}

/// What a line says.
#[derive(Clone, Debug, PartialEq)]
pub enum Line {
    /// A sample of a series.
    Sample(Labels, Sample),
    /// A window of a series in a tier.
    Rollup(Labels, Tier, Box<Rollup>),
    /// A native histogram of a series.
    Histogram(Labels, Timestamp, Box<Histogram>),
    /// A window of native histograms, which nothing takes back: what it holds is not read.
    HistogramRollup(Labels, Tier),
}

/// Why a line cannot be read.
#[derive(Debug)]
#[non_exhaustive]
pub enum LineError {
    /// It is not JSON, or not the object that is expected.
    Json(serde_json::Error),
    /// Its labels are no label set.
    Labels(LabelError),
    /// Its histogram breaks a rule of histograms.
    Histogram(HistogramError),
    /// A field cannot hold what it holds.
    Field {
        /// The name of the field.
        field: &'static str,
        /// What it holds, cut short.
        found: String,
    },
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(it) => write!(f, "{it}"),
            Self::Labels(it) => write!(f, "{it}"),
            Self::Histogram(it) => write!(f, "{it}"),
            Self::Field { field, found } => write!(f, "{field:?} cannot be {found}"),
        }
    }
}

impl std::error::Error for LineError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Json(cause) => Some(cause),
            Self::Labels(cause) => Some(cause),
            Self::Histogram(cause) => Some(cause),
            _ => None,
        }
    }
}

impl From<serde_json::Error> for LineError {
    fn from(cause: serde_json::Error) -> Self {
        Self::Json(cause)
    }
}

impl From<LabelError> for LineError {
    fn from(cause: LabelError) -> Self {
        Self::Labels(cause)
    }
}

impl From<HistogramError> for LineError {
    fn from(cause: HistogramError) -> Self {
        Self::Histogram(cause)
    }
}

impl SeriesText {
    /// For the lines of a series.
    pub fn new(series: &Labels) -> Self {
        let mut head = String::from("{\"name\":");
        quote(&mut head, series.metric_name().unwrap_or_default());
        head.push_str(",\"timestamp\":");
        let mut labels = String::from(",\"labels\":{");
        for (name, value) in series.iter().filter(|pair| pair.0 != METRIC_NAME) {
            if !labels.ends_with('{') {
                labels.push(',');
            }
            quote(&mut labels, name);
            labels.push(':');
            quote(&mut labels, value);
        }
        labels.push('}');
        Self { head, labels }
    }

    /// Writes the line of a sample, with the line feed.
    pub fn sample(&self, out: &mut String, at: i64, value: f64) {
        self.begin(out, at, value);
        out.push_str("}\n");
    }

    /// Writes the line of a native histogram, with the line feed.
    pub fn histogram(&self, out: &mut String, at: i64, histogram: &Histogram) {
        self.begin_histogram(out, at, histogram);
        out.push_str("}\n");
    }

    /// Writes the line of a window of native histograms, with the line feed.
    pub fn histogram_rollup(&self, out: &mut String, tier: Tier, rollup: &HistogramRollup) {
        self.begin_histogram(out, rollup.start, &rollup.total);
        let HistogramRollup { count, first_at, last_at, .. } = rollup;
        let _ = write!(out, ",\"aggregation\":\"total\",\"granularity\":\"{tier}\",\"count\":{count}");
        let _ = write!(out, ",\"firstAt\":{first_at},\"lastAt\":{last_at}");
        if rollup.ended {
            out.push_str(",\"ended\":true");
        }
        for (name, end) in [("first", &rollup.first), ("last", &rollup.last)] {
            let _ = write!(out, ",\"{name}\":");
            histogram::write(out, end);
        }
        out.push_str("}\n");
    }

    /// Writes the line of a window, with the line feed.
    pub fn rollup(&self, out: &mut String, tier: Tier, rollup: &Rollup) {
        self.begin(out, rollup.start, rollup.mean());
        let _ = write!(out, ",\"aggregation\":\"avg\",\"granularity\":\"{tier}\",\"count\":{}", rollup.count);
        let fields = [
            ("sum", rollup.sum),
            ("m2", rollup.m2),
            ("min", rollup.min),
            ("max", rollup.max),
            ("first", rollup.first),
            ("last", rollup.last),
            ("increase", rollup.increase),
        ];
        fields.into_iter().for_each(|(name, number)| field(out, name, number));
        let _ = write!(out, ",\"firstAt\":{},\"lastAt\":{}", rollup.first_at, rollup.last_at);
        if rollup.ended {
            out.push_str(",\"ended\":true");
        }
        if let Some(sketch) = &rollup.sketch {
            write_sketch(out, sketch);
        }
        out.push_str("}\n");
    }

    fn begin_histogram(&self, out: &mut String, at: i64, histogram: &Histogram) {
        out.push_str(&self.head);
        let _ = write!(out, "{at},\"histogram\":");
        histogram::write(out, histogram);
        out.push_str(&self.labels);
    }

    fn begin(&self, out: &mut String, at: i64, value: f64) {
        out.push_str(&self.head);
        let _ = write!(out, "{at}");
        field(out, "value", value);
        out.push_str(&self.labels);
    }
}

fn field(out: &mut String, name: &str, number: f64) {
    let _ = write!(out, ",\"{name}\":");
    value::write(out, number);
}

/// A string of JSON (RFC 8259, section 7).
fn quote(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

fn write_sketch(out: &mut String, sketch: &Sketch) {
    let _ = write!(out, ",\"sketch\":{{\"scale\":{},\"zeros\":{}", sketch.scale(), sketch.zeros());
    for (name, buckets) in [("positive", sketch.positive()), ("negative", sketch.negative())] {
        let _ = write!(out, ",\"{name}\":[");
        for (number, (index, count)) in buckets.iter().enumerate() {
            let between = if number > 0 { "," } else { "" };
            let _ = write!(out, "{between}[{index},{count}]");
        }
        out.push(']');
    }
    field(out, "sum", sketch.sum());
    for (name, bound) in [("min", sketch.min()), ("max", sketch.max())] {
        bound.into_iter().for_each(|bound| field(out, name, bound));
    }
    out.push('}');
}

/// Reads a line, with or without its line feed. Fields that are not known are passed over.
///
/// # Errors
/// [`LineError`].
pub fn parse(line: &[u8]) -> Result<Line, LineError> {
    let fields: Fields<'_> = serde_json::from_slice(line)?;
    let named = (METRIC_NAME, fields.name.as_ref());
    let labels = fields.labels.iter().map(|(name, value)| (name.as_ref(), value.as_ref()));
    let labels = Labels::from_pairs(labels.chain([named]))?;
    let at = Timestamp(fields.timestamp);
    let Some(tier) = fields.granularity.as_deref().filter(|name| *name != Tier::Raw.as_str()) else {
        if let Some(json) = fields.histogram {
            return Ok(Line::Histogram(labels, at, Box::new(histogram::read(json)?)));
        }
        let value = number("value", fields.value.ok_or_else(|| absent("value"))?)?;
        return Ok(Line::Sample(labels, Sample { at, value }));
    };
    let tier = tier.parse().map_err(|_| wrong("granularity", tier))?;
    if fields.histogram.is_some() {
        return Ok(Line::HistogramRollup(labels, tier));
    }
    Ok(Line::Rollup(labels, tier, Box::new(read_rollup(&fields, tier)?)))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fields<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    timestamp: i64,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
    #[serde(borrow)]
    histogram: Option<&'a RawValue>,
    #[serde(borrow, default)]
    labels: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    #[serde(borrow)]
    granularity: Option<Cow<'a, str>>,
    count: Option<u64>,
    #[serde(borrow)]
    sum: Option<&'a RawValue>,
    #[serde(borrow)]
    m2: Option<&'a RawValue>,
    #[serde(borrow)]
    min: Option<&'a RawValue>,
    #[serde(borrow)]
    max: Option<&'a RawValue>,
    #[serde(borrow)]
    first: Option<&'a RawValue>,
    #[serde(borrow)]
    last: Option<&'a RawValue>,
    #[serde(borrow)]
    increase: Option<&'a RawValue>,
    first_at: Option<i64>,
    last_at: Option<i64>,
    #[serde(default)]
    ended: bool,
    #[serde(borrow)]
    sketch: Option<SketchFields<'a>>,
}

#[derive(Deserialize)]
struct SketchFields<'a> {
    scale: i32,
    zeros: u64,
    positive: Vec<(i32, u64)>,
    negative: Vec<(i32, u64)>,
    #[serde(borrow)]
    sum: &'a RawValue,
    #[serde(borrow)]
    min: Option<&'a RawValue>,
    #[serde(borrow)]
    max: Option<&'a RawValue>,
}

fn read_rollup(fields: &Fields<'_>, tier: Tier) -> Result<Rollup, LineError> {
    let needed =
        |name, json: Option<&RawValue>| json.map_or_else(|| Err(absent(name)), |json| number(name, json));
    let start = fields.timestamp;
    let (first_at, last_at) =
        (fields.first_at.ok_or_else(|| absent("firstAt"))?, fields.last_at.ok_or_else(|| absent("lastAt"))?);
    if tier.window_of(start) != start {
        return Err(wrong("timestamp", &start.to_string()));
    }
    if first_at > last_at || tier.window_of(first_at) != start || tier.window_of(last_at) != start {
        return Err(wrong("firstAt", &format!("{first_at} with \"lastAt\" {last_at}")));
    }
    let count = fields.count.filter(|&count| count > 0).ok_or_else(|| absent("count"))?;
    Ok(Rollup {
        start,
        first_at,
        last_at,
        count,
        sum: needed("sum", fields.sum)?,
        m2: needed("m2", fields.m2)?,
        min: needed("min", fields.min)?,
        max: needed("max", fields.max)?,
        first: needed("first", fields.first)?,
        last: needed("last", fields.last)?,
        increase: needed("increase", fields.increase)?,
        ended: fields.ended,
        sketch: fields.sketch.as_ref().map(read_sketch).transpose()?.map(Box::new),
    })
}

fn read_sketch(fields: &SketchFields<'_>) -> Result<Sketch, LineError> {
    let bound = |name, json: Option<&RawValue>, none| json.map_or(Ok(none), |json| number(name, json));
    let moments = [
        number("sum", fields.sum)?,
        bound("min", fields.min, f64::INFINITY)?,
        bound("max", fields.max, f64::NEG_INFINITY)?,
    ];
    let (positive, negative) = (fields.positive.clone(), fields.negative.clone());
    Sketch::from_parts(fields.scale, fields.zeros, positive, negative, moments)
        .ok_or_else(|| wrong("sketch", "what it is"))
}

fn number(field: &'static str, json: &RawValue) -> Result<f64, LineError> {
    value::read(json.get()).ok_or_else(|| wrong(field, json.get()))
}

fn absent(field: &'static str) -> LineError {
    wrong(field, "absent")
}

/// The most characters of a field that are repeated.
const SHOWN_CHARS_MAX: usize = 40;

fn wrong(field: &'static str, found: &str) -> LineError {
    LineError::wrong(field, found)
}

impl LineError {
    pub(super) fn wrong(field: &'static str, found: &str) -> Self {
        Self::Field { field, found: found.chars().take(SHOWN_CHARS_MAX).collect() }
    }
}

#[cfg(test)]
mod tests {
    use barograph_model::stale_marker;
    use proptest::prelude::*;

    use super::*;

    fn up() -> Labels {
        Labels::from_pairs([("__name__", "up"), ("job", "a\"b\\\n\u{1}é")]).unwrap()
    }

    fn window() -> Rollup {
        let mut rollup = Rollup::of(60_000, 60_001, -1.5);
        rollup.push(70_000, 4.0);
        rollup.push(80_000, stale_marker());
        let mut sketch = Sketch::new();
        [-1.5, 4.0, 0.0].into_iter().for_each(|value| sketch.add(value));
        rollup.sketch = Some(Box::new(sketch));
        rollup
    }

    #[test]
    fn a_sample_is_one_line() {
        let mut out = String::new();
        SeriesText::new(&up()).sample(&mut out, 1_738_936_800_000, 0.5);
        assert_eq!(
            out,
            "{\"name\":\"up\",\"timestamp\":1738936800000,\"value\":0.5,\
             \"labels\":{\"job\":\"a\\\"b\\\\\\n\\u0001é\"}}\n"
        );
    }

    #[test]
    fn a_window_comes_back() {
        let mut out = String::new();
        SeriesText::new(&up()).rollup(&mut out, Tier::Minute, &window());
        assert_eq!(out.lines().count(), 1);
        assert!(out.contains(r#""value":1.25,"#) && out.contains(r#""aggregation":"avg","#), "{out}");
        let line = parse(out.as_bytes()).unwrap();
        assert_eq!(line, Line::Rollup(up(), Tier::Minute, Box::new(window())));
        let mut plain = window();
        plain.sketch = None;
        out.clear();
        SeriesText::new(&up()).rollup(&mut out, Tier::Hour, &Rollup { start: 0, ..plain.clone() });
        assert_eq!(
            parse(out.as_bytes()).unwrap(),
            Line::Rollup(up(), Tier::Hour, Box::new(Rollup { start: 0, ..plain }))
        );
    }

    #[test]
    fn labels_may_be_left_out_and_more_may_be_said() {
        let line = br#"{"timestamp": -5, "unit": "s", "value": "NaN", "name": "a.b"}"#;
        let Line::Sample(labels, sample) = parse(line).unwrap() else { panic!("a sample") };
        assert_eq!(labels.to_string(), r#"{"a.b"}"#);
        assert_eq!((sample.at.0, sample.value.to_bits()), (-5, 0x7ff8_0000_0000_0001));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let check = |line: &str, said: &str| {
            let error = parse(line.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(said), "{line}: {error}");
        };
        check("", "EOF");
        check(r#"{"name":"up","timestamp":1,"val"#, "EOF");
        check(r#"{"timestamp":1,"value":1}"#, "name");
        check(r#"{"name":"up","timestamp":1.5,"value":1}"#, "1.5");
        check(r#"{"name":"up","timestamp":1,"value":null}"#, r#""value" cannot be absent"#);
        check(r#"{"name":"up","timestamp":1,"value":1,"labels":{"":"x"}}"#, "name is empty");
        check(r#"{"name":"up","timestamp":1,"value":1,"labels":{"__name__":"x"}}"#, "not unique");
        check(r#"{"name":"up","timestamp":1,"value":1,"granularity":"2m"}"#, "granularity");
        check(r#"{"name":"up","timestamp":0,"value":1,"granularity":"1m"}"#, "\"firstAt\" cannot be absent");
        let mut out = String::new();
        SeriesText::new(&up()).rollup(&mut out, Tier::Minute, &window());
        check(&out.replace("\"count\":2", "\"count\":0"), "count");
        check(&out.replace("\"lastAt\":70000", "\"lastAt\":120000"), "firstAt");
        check(&out.replace("\"scale\":5", "\"scale\":6"), "sketch");
    }

    proptest! {
        #[test]
        fn samples_of_any_name_come_back(
            name in "\\PC{1,20}|(?s:.){1,20}", label in "(?s:.){1,9}", value in "(?s:.){1,40}", at: i64, bits: u64,
        ) {
            prop_assume!(label != METRIC_NAME);
            let labels = Labels::from_pairs([(METRIC_NAME, name.as_str()), (&label, &value)]).unwrap();
            let sample = Sample { at: Timestamp(at), value: f64::from_bits(bits) };
            let mut out = String::new();
            SeriesText::new(&labels).sample(&mut out, at, sample.value);
            prop_assert_eq!(out.matches('\n').count(), 1);
            prop_assert_eq!(parse(out.as_bytes()).unwrap(), Line::Sample(labels, sample));
        }

        #[test]
        fn any_bytes_are_read_or_refused(line in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = parse(&line);
        }
    }
}
