//! Pages of delimited protobuf, read: messages `io.prometheus.client.MetricFamily`, each after its length.
//!
//! [`families`] goes through a page, [`ReadFamily::metrics`] through what one has. Fields may come in any order, so the
//! head of a family is gathered before its metrics are given out. Nothing is held but one metric at a time, and of that no
//! more labels and buckets than [`LABELS_MAX`] and [`HISTOGRAM_BUCKETS_MAX`](barograph_model::HISTOGRAM_BUCKETS_MAX).
//!
//! Numbers of the fields: `prometheus/client_model`, `metrics.proto`.

use barograph_model::{Exemplar, Histogram, HistogramError, Labels, MetricType, Sample, Timestamp};

use super::read_histogram;
use crate::protobuf::{FIXED64, LEN, Malformed, Reader, VARINT, key};

/// No metric or exemplar has more labels than this.
pub const LABELS_MAX: usize = 1 << 12;

/// One metric with its head; what it measures is asked by [`ReadFamily::metrics`].
#[derive(Clone, Copy, Debug)]
pub struct ReadFamily<'a> {
    /// The name. That of a counter has its suffix.
    pub name: &'a str,
    /// One line for people, or empty.
    pub help: &'a str,
    /// The unit, or empty.
    pub unit: &'a str,
    /// What it measures.
    pub kind: MetricType,
    message: Reader<'a>,
}

/// What a family has for one label set.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadMetric<'a> {
    /// Names and values, as sent.
    pub labels: Vec<(&'a str, &'a str)>,
    /// When, if it is told.
    pub at: Option<Timestamp>,
    /// What.
    pub value: ReadValue,
}

/// The value of a metric.
#[derive(Clone, Debug, PartialEq)]
pub enum ReadValue {
    /// A counter, a gauge, or something of no known type.
    Number(f64, Option<ReadExemplar>),
    /// Quantiles, with their values.
    Summary {
        /// How many values there were.
        count: f64,
        /// Their sum.
        sum: f64,
        /// Each quantile with its value.
        quantiles: Vec<(f64, f64)>,
    },
    /// Values by bucket.
    Histogram(Box<ReadHistogram>),
}

/// A histogram in either form, or both.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReadHistogram {
    /// How many values there were.
    pub count: f64,
    /// Their sum.
    pub sum: f64,
    /// Classic buckets.
    pub buckets: Vec<ReadBucket>,
    /// Native buckets, if it has them, or which rule they break.
    pub native: Option<Result<Histogram, HistogramError>>,
    /// Observations that stand for values of no named bucket.
    pub exemplars: Vec<ReadExemplar>,
}

/// A classic bucket.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadBucket {
    /// The upper bound.
    pub bound: f64,
    /// How many values are at most that.
    pub count: f64,
    /// One of them.
    pub exemplar: Option<ReadExemplar>,
}

/// An observation that stands for others.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadExemplar {
    /// What tells it apart.
    pub labels: Labels,
    /// What was observed.
    pub value: f64,
    /// When, if it is told.
    pub at: Option<Timestamp>,
}

impl ReadExemplar {
    /// The same, at `at` if it does not tell.
    pub fn or_at(self, at: Timestamp) -> Exemplar {
        Exemplar { labels: self.labels, sample: Sample { at: self.at.unwrap_or(at), value: self.value } }
    }
}

/// Goes through a page. After an error it is at its end.
pub const fn families(page: &[u8]) -> Families<'_> {
    Families { rest: Reader::new(page) }
}

/// The families of a page; see [`families`].
#[derive(Clone, Copy, Debug)]
pub struct Families<'a> {
    rest: Reader<'a>,
}

impl<'a> Iterator for Families<'a> {
    type Item = Result<ReadFamily<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_done() {
            return None;
        }
        let family = self.rest.message().and_then(head);
        if family.is_err() {
            self.rest.finish();
        }
        Some(family)
    }
}

fn head(message: Reader<'_>) -> Result<ReadFamily<'_>, Malformed> {
    let mut family = ReadFamily { name: "", help: "", unit: "", kind: MetricType::Counter, message };
    let mut rest = message;
    while !rest.is_done() {
        let before = rest;
        match rest.key()? {
            NAME => family.name = text(&mut rest)?,
            HELP => family.help = text(&mut rest)?,
            TYPE => family.kind = kind(rest.varint()?).ok_or(before.malformed("no such type"))?,
            UNIT => family.unit = text(&mut rest)?,
            key => rest.skip(key)?,
        }
    }
    if family.name.is_empty() {
        return Err(message.malformed("a family has no name"));
    }
    Ok(family)
}

const NAME: u32 = key(1, LEN);
const HELP: u32 = key(2, LEN);
const TYPE: u32 = key(3, VARINT);
const METRIC: u32 = key(4, LEN);
const UNIT: u32 = key(5, LEN);

const fn kind(number: u64) -> Option<MetricType> {
    Some(match number {
        0 => MetricType::Counter,
        1 => MetricType::Gauge,
        2 => MetricType::Summary,
        3 => MetricType::Unknown,
        4 => MetricType::Histogram,
        5 => MetricType::GaugeHistogram,
        _ => return None,
    })
}

impl<'a> ReadFamily<'a> {
    /// What it has, label set by label set. After an error nothing more comes.
    pub const fn metrics(&self) -> Metrics<'a> {
        Metrics { rest: self.message, kind: self.kind }
    }
}

/// The metrics of a family; see [`ReadFamily::metrics`].
#[derive(Clone, Copy, Debug)]
pub struct Metrics<'a> {
    rest: Reader<'a>,
    kind: MetricType,
}

impl<'a> Iterator for Metrics<'a> {
    type Item = Result<ReadMetric<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_done() {
            let read = match self.rest.key() {
                Ok(METRIC) => self.rest.message().and_then(|message| metric(message, self.kind)),
                Ok(key) => match self.rest.skip(key) {
                    Ok(()) => continue,
                    Err(error) => Err(error),
                },
                Err(error) => Err(error),
            };
            if read.is_err() {
                self.rest.finish();
            }
            return Some(read);
        }
        None
    }
}

const LABEL: u32 = key(1, LEN);
const GAUGE: u32 = key(2, LEN);
const COUNTER: u32 = key(3, LEN);
const SUMMARY: u32 = key(4, LEN);
const UNTYPED: u32 = key(5, LEN);
const TIMESTAMP_MS: u32 = key(6, VARINT);
const HISTOGRAM: u32 = key(7, LEN);

/// A value of another type than that of its family is none, as if it was not there.
fn metric(mut message: Reader<'_>, kind: MetricType) -> Result<ReadMetric<'_>, Malformed> {
    let wanted = match kind {
        MetricType::Counter => COUNTER,
        MetricType::Summary => SUMMARY,
        MetricType::Histogram | MetricType::GaugeHistogram => HISTOGRAM,
        MetricType::Unknown => UNTYPED,
        _ => GAUGE,
    };
    let mut metric = ReadMetric { labels: Vec::new(), at: None, value: nothing(kind) };
    while !message.is_done() {
        match message.key()? {
            LABEL => push_label(&mut message, &mut metric.labels)?,
            TIMESTAMP_MS => metric.at = Some(Timestamp(message.int64()?)),
            key if key == wanted => {
                let inner = message.message()?;
                metric.value = match kind {
                    MetricType::Summary => summary(inner)?,
                    MetricType::Histogram | MetricType::GaugeHistogram => {
                        let gauge = kind == MetricType::GaugeHistogram;
                        ReadValue::Histogram(Box::new(read_histogram::read(inner, gauge)?))
                    }
                    _ => number(inner)?,
                };
            }
            key => message.skip(key)?,
        }
    }
    Ok(metric)
}

fn nothing(kind: MetricType) -> ReadValue {
    match kind {
        MetricType::Summary => ReadValue::Summary { count: 0.0, sum: 0.0, quantiles: Vec::new() },
        MetricType::Histogram | MetricType::GaugeHistogram => ReadValue::Histogram(Box::default()),
        _ => ReadValue::Number(0.0, None),
    }
}

fn number(mut message: Reader<'_>) -> Result<ReadValue, Malformed> {
    const VALUE: u32 = key(1, FIXED64);
    const EXEMPLAR: u32 = key(2, LEN);
    let (mut value, mut example) = (0.0, None);
    while !message.is_done() {
        match message.key()? {
            VALUE => value = message.double()?,
            EXEMPLAR => example = Some(exemplar(message.message()?)?),
            key => message.skip(key)?,
        }
    }
    Ok(ReadValue::Number(value, example))
}

fn summary(mut message: Reader<'_>) -> Result<ReadValue, Malformed> {
    const COUNT: u32 = key(1, VARINT);
    const SUM: u32 = key(2, FIXED64);
    const QUANTILE: u32 = key(3, LEN);
    let (mut count, mut sum, mut quantiles) = (0.0, 0.0, Vec::new());
    while !message.is_done() {
        let before = message;
        match message.key()? {
            COUNT => count = message.varint()? as f64,
            SUM => sum = message.double()?,
            QUANTILE if quantiles.len() == LABELS_MAX => return Err(before.malformed("too many quantiles")),
            QUANTILE => quantiles.push(pair(message.message()?)?),
            key => message.skip(key)?,
        }
    }
    Ok(ReadValue::Summary { count, sum, quantiles })
}

/// Two doubles.
fn pair(mut message: Reader<'_>) -> Result<(f64, f64), Malformed> {
    const FIRST: u32 = key(1, FIXED64);
    const SECOND: u32 = key(2, FIXED64);
    let mut pair = (0.0, 0.0);
    while !message.is_done() {
        match message.key()? {
            FIRST => pair.0 = message.double()?,
            SECOND => pair.1 = message.double()?,
            key => message.skip(key)?,
        }
    }
    Ok(pair)
}

pub(super) fn exemplar(mut message: Reader<'_>) -> Result<ReadExemplar, Malformed> {
    const VALUE: u32 = key(2, FIXED64);
    const TIME: u32 = key(3, LEN);
    let start = message;
    let (mut labels, mut value, mut at) = (Vec::new(), 0.0, None);
    while !message.is_done() {
        match message.key()? {
            LABEL => push_label(&mut message, &mut labels)?,
            VALUE => value = message.double()?,
            TIME => at = Some(time(message.message()?)?),
            key => message.skip(key)?,
        }
    }
    let labels =
        Labels::from_pairs(labels).map_err(|_| start.malformed("labels of an exemplar are no label set"))?;
    Ok(ReadExemplar { labels, value, at })
}

/// A `google.protobuf.Timestamp`, to the millisecond.
fn time(mut message: Reader<'_>) -> Result<Timestamp, Malformed> {
    const SECONDS: u32 = key(1, VARINT);
    const NANOS: u32 = key(2, VARINT);
    let (mut seconds, mut nanos) = (0i64, 0i64);
    while !message.is_done() {
        match message.key()? {
            SECONDS => seconds = message.int64()?,
            NANOS => nanos = message.int64()?,
            key => message.skip(key)?,
        }
    }
    Ok(Timestamp(seconds.saturating_mul(1_000).saturating_add(nanos / 1_000_000)))
}

fn push_label<'a>(message: &mut Reader<'a>, labels: &mut Vec<(&'a str, &'a str)>) -> Result<(), Malformed> {
    const NAME: u32 = key(1, LEN);
    const VALUE: u32 = key(2, LEN);
    if labels.len() == LABELS_MAX {
        return Err(message.malformed("too many labels"));
    }
    let mut pair = message.message()?;
    let mut label = ("", "");
    while !pair.is_done() {
        match pair.key()? {
            NAME => label.0 = text(&mut pair)?,
            VALUE => label.1 = text(&mut pair)?,
            key => pair.skip(key)?,
        }
    }
    labels.push(label);
    Ok(())
}

fn text<'a>(message: &mut Reader<'a>) -> Result<&'a str, Malformed> {
    let malformed = message.malformed("text is not UTF-8");
    std::str::from_utf8(message.bytes()?).map_err(|_| malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        exposition::{Family, Form, Point},
        protobuf::{put_bytes, put_double, put_message, put_number, put_varint},
    };

    fn page(families: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for family in families {
            put_varint(&mut bytes, family.len() as u64);
            bytes.extend_from_slice(family);
        }
        bytes
    }

    fn all(page: &[u8]) -> Result<Vec<(String, MetricType, Vec<ReadMetric<'_>>)>, Malformed> {
        families(page)
            .map(|family| {
                let family = family?;
                let metrics = family.metrics().collect::<Result<_, _>>()?;
                Ok((family.name.to_owned(), family.kind, metrics))
            })
            .collect()
    }

    #[test]
    fn a_name_may_come_last() {
        let mut family = Vec::new();
        put_message(&mut family, 4, |metric| {
            put_message(metric, 3, |counter| {
                put_double(counter, 1, 2.5);
                put_message(counter, 2, |example| {
                    put_message(example, 1, |label| {
                        put_bytes(label, 1, b"trace_id");
                        put_bytes(label, 2, b"x");
                    });
                    put_double(example, 2, 1.0);
                    put_message(example, 3, |time| {
                        put_number(time, 1, 10);
                        put_number(time, 2, 500_000_000);
                    });
                });
            });
            put_message(metric, 1, |label| {
                put_bytes(label, 1, b"a.b");
                put_bytes(label, 2, "ü".as_bytes());
            });
            put_number(metric, 6, 77);
        });
        put_bytes(&mut family, 5, b"seconds");
        put_bytes(&mut family, 2, b"Words.");
        put_bytes(&mut family, 1, b"c_total");
        let bytes = page(&[family]);
        let family = families(&bytes).next().unwrap().unwrap();
        assert_eq!(
            (family.name, family.help, family.unit, family.kind),
            ("c_total", "Words.", "seconds", MetricType::Counter)
        );
        let metric = family.metrics().next().unwrap().unwrap();
        assert_eq!((metric.labels, metric.at), (vec![("a.b", "ü")], Some(Timestamp(77))));
        let ReadValue::Number(value, Some(example)) = metric.value else { panic!("a number") };
        assert_eq!(
            (value, example.at, example.labels.value("trace_id")),
            (2.5, Some(Timestamp(10_500)), Some("x"))
        );
    }

    #[test]
    fn what_we_write_is_read() {
        let family = |kind, points| Family {
            name: "m".into(),
            help: String::new(),
            unit: String::new(),
            kind,
            points,
        };
        let labels = Labels::empty().with("x", "y");
        let points = vec![
            Point::new("", labels.with("quantile", "0.5"), 3.0),
            Point::new("_sum", labels.clone(), 9.0),
            Point::new("_count", labels.clone(), 4.0),
        ];
        let bytes = Form::Protobuf.page(&[
            family(MetricType::Summary, points),
            family(MetricType::Gauge, vec![Point::new("", labels, -1.0)]),
            family(MetricType::Unknown, vec![Point::new("", Labels::empty(), f64::INFINITY)]),
        ]);
        let metric = |labels: &[(&'static str, &'static str)], value| ReadMetric {
            labels: labels.to_vec(),
            at: None,
            value,
        };
        let summary = ReadValue::Summary { count: 4.0, sum: 9.0, quantiles: vec![(0.5, 3.0)] };
        assert_eq!(
            all(&bytes).unwrap(),
            [
                ("m".to_owned(), MetricType::Summary, vec![metric(&[("x", "y")], summary)]),
                (
                    "m".to_owned(),
                    MetricType::Gauge,
                    vec![metric(&[("x", "y")], ReadValue::Number(-1.0, None))]
                ),
                (
                    "m".to_owned(),
                    MetricType::Unknown,
                    vec![metric(&[], ReadValue::Number(f64::INFINITY, None))]
                ),
            ]
        );
        for len in 1..bytes.len() {
            let _ = all(&bytes[..len]);
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let check = |family: &[u8], what: &str| {
            let found = all(&page(&[family.to_vec()])).unwrap_err();
            assert_eq!(found.what, what);
        };
        check(b"", "a family has no name");
        check(b"\x0a\x01\xff", "text is not UTF-8");
        check(b"\x0a\x01a\x18\x09", "no such type");
        check(b"\x0a\x09a", "a length runs past its message");
        let mut family = b"\x0a\x01a".to_vec();
        put_message(&mut family, 4, |metric| {
            for _ in 0..=LABELS_MAX {
                put_bytes(metric, 1, b"");
            }
        });
        check(&family, "too many labels");
        let mut many = all(&[5, 0x0a, 9]).unwrap_err();
        many.offset = 0;
        assert_eq!(many.what, "a length runs past its message");
    }
}
