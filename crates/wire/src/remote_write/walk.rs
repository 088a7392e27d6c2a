//! A `prometheus.WriteRequest` walked where it lies.
//!
//! Nothing is parsed that its reader does not ask for: a series is the run of bytes its labels take, and a window
//! on the rest. Labels are not looked into at all here (names, order, UTF-8): who stores a series does that once,
//! when the bytes are new. Fields we do not know are passed over.
//!
//! ```text
//! WriteRequest    1 TimeSeries…        3 MetricMetadata…
//! TimeSeries      1 Label…             2 Sample…          3 Exemplar…        4 Histogram…
//! Label           1 name               2 value
//! Sample          1 value (double)     2 timestamp (ms)
//! Exemplar        1 Label…             2 value (double)   3 timestamp (ms)
//! Histogram       see `histogram`
//! MetricMetadata  1 type               2 family name      4 help             5 unit
//! ```

use std::borrow::Cow;

use barograph_model::{LabelError, Labels, Metadata, MetricType, Sample, Timestamp};

use super::histogram::{self, HistogramEntry};
use crate::protobuf::{FIXED64, LEN, Malformed, Reader, VARINT, key, put_bytes};

pub(super) const REQUEST_SERIES: u32 = key(1, LEN);
const REQUEST_METADATA: u32 = key(3, LEN);
const SERIES_LABEL: u32 = key(1, LEN);
const SERIES_SAMPLE: u32 = key(2, LEN);
const SERIES_EXEMPLAR: u32 = key(3, LEN);
const SERIES_HISTOGRAM: u32 = key(4, LEN);
/// Keys below 16 take one byte.
const SERIES_BYTE: u8 = 0x0a;
const LABEL_BYTE: u8 = 0x0a;
const SAMPLE_BYTE: u8 = 0x12;
const LABEL_NAME: u32 = key(1, LEN);
const LABEL_VALUE: u32 = key(2, LEN);
const SAMPLE_VALUE: u32 = key(1, FIXED64);
const SAMPLE_TIME: u32 = key(2, VARINT);
const EXEMPLAR_VALUE: u32 = key(2, FIXED64);
const EXEMPLAR_TIME: u32 = key(3, VARINT);
const METADATA_TYPE: u32 = key(1, VARINT);
const METADATA_NAME: u32 = key(2, LEN);
const METADATA_HELP: u32 = key(4, LEN);
const METADATA_UNIT: u32 = key(5, LEN);

/// The series and metadata of a decoded request, in the order they were sent.
///
/// The first error is the last item.
pub fn entries(body: &[u8]) -> Entries<'_> {
    Entries { rest: Reader::new(body) }
}

/// See [`entries`].
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    rest: Reader<'a>,
}

/// One part of a request.
#[derive(Clone, Debug)]
pub enum Entry<'a> {
    /// A series with one float sample and nothing else, which is nearly all of live traffic and a third faster to
    /// walk than the general case.
    Sample {
        /// As [`Series::labels`].
        labels: &'a [u8],
        /// What was observed of the series.
        sample: Sample,
    },
    /// Any other series and what was observed of it.
    Series(Series<'a>),
    /// What is known of a metric family.
    Metadata(MetadataEntry),
}

/// A series of a request.
///
/// All its fields were found whole, so [`Series::samples`] and the others can only fail inside one of their items.
#[derive(Clone, Debug)]
pub struct Series<'a> {
    /// The label bytes as sent (see [`Labels`]), not checked. Borrowed, unless a sender put other fields between
    /// its labels.
    pub labels: Cow<'a, [u8]>,
    /// Whether there is anything but samples, so that [`Series::exemplars`] and [`Series::histograms`] are worth
    /// asking.
    pub has_more: bool,
    fields: Reader<'a>,
}

/// Type, help and unit of a metric family. Text that is not UTF-8 is mended rather than refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataEntry {
    /// The name of the family.
    pub name: String,
    /// What was said of it.
    pub metadata: Metadata,
}

/// An exemplar of a series.
#[derive(Clone, Debug, PartialEq)]
pub struct ExemplarEntry<'a> {
    /// The label bytes as sent, not checked; [`parse_labels`] does that.
    pub labels: Cow<'a, [u8]>,
    /// What was observed and when.
    pub sample: Sample,
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, Malformed>;

    // Inlined into the loop of the caller, a series never exists in memory: that halves the cost of walking one.
    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_done() {
            return None;
        }
        if self.rest.is_at(SERIES_BYTE)
            && let Ok(message) = self.rest.field()
        {
            let mut fields = message;
            fields.skip_short_run(LABEL_BYTE);
            if fields.is_one_short(SAMPLE_BYTE) {
                let labels = fields.since(message.offset());
                fields.advance(2);
                if let Some(sample) = read_usual_sample(fields) {
                    return Some(Ok(Entry::Sample { labels, sample }));
                }
            }
            return Some(self.finish_on_error(Series::read(message).map(Entry::Series)));
        }
        self.next_uncommon()
    }
}

impl<'a> Entries<'a> {
    #[inline(never)]
    fn next_uncommon(&mut self) -> Option<Result<Entry<'a>, Malformed>> {
        let entry = self.read().transpose()?;
        Some(self.finish_on_error(entry))
    }

    fn finish_on_error(&mut self, entry: Result<Entry<'a>, Malformed>) -> Result<Entry<'a>, Malformed> {
        if entry.is_err() {
            self.rest.finish();
        }
        entry
    }

    fn read(&mut self) -> Result<Option<Entry<'a>>, Malformed> {
        while !self.rest.is_done() {
            let before = self.rest;
            match self.rest.key()? {
                REQUEST_SERIES => {
                    return Series::read(self.rest.message()?).map(|series| Some(Entry::Series(series)));
                }
                REQUEST_METADATA => {
                    return MetadataEntry::read(self.rest.message()?)
                        .map(|entry| Some(Entry::Metadata(entry)));
                }
                key if key >> 3 == 1 || key >> 3 == 3 => return Err(before.malformed(WRONG_TYPE)),
                key => self.rest.skip(key)?,
            }
        }
        Ok(None)
    }
}

const WRONG_TYPE: &str = "a field has the wrong type";

impl<'a> Series<'a> {
    #[inline(never)]
    fn read(mut message: Reader<'a>) -> Result<Self, Malformed> {
        let labels = read_label_run(&mut message)?;
        let mut series = Self { labels: Cow::Borrowed(labels), has_more: false, fields: message };
        let mut stray_labels = false;
        while !message.is_done() {
            let before = message;
            let key = message.key()?;
            match key {
                SERIES_SAMPLE => {}
                SERIES_EXEMPLAR | SERIES_HISTOGRAM => series.has_more = true,
                SERIES_LABEL => stray_labels = true,
                _ if key >> 3 <= 4 => return Err(before.malformed(WRONG_TYPE)),
                _ => {
                    message.skip(key)?;
                    continue;
                }
            }
            message.message()?;
        }
        if stray_labels {
            series.labels = Cow::Owned(gather_labels(labels, series.fields)?);
        }
        Ok(series)
    }

    /// The float samples, in the order they were sent.
    #[inline]
    pub fn samples(&self) -> Samples<'a> {
        Samples { rest: self.fields }
    }

    /// The exemplars, in the order they were sent.
    pub fn exemplars(&self) -> Exemplars<'a> {
        Exemplars { rest: self.fields }
    }

    /// The native histogram samples, in the order they were sent.
    pub fn histograms(&self) -> Histograms<'a> {
        Histograms { rest: self.fields }
    }
}

/// The labels that stand one after the other from here on, as bytes.
#[inline]
fn read_label_run<'a>(message: &mut Reader<'a>) -> Result<&'a [u8], Malformed> {
    let start = message.offset();
    message.skip_short_run(LABEL_BYTE);
    while message.is_at(LABEL_BYTE) {
        message.key()?;
        message.message()?;
        message.skip_short_run(LABEL_BYTE);
    }
    Ok(message.since(start))
}

/// All labels of a message whose encoder put other fields between them.
#[cold]
fn gather_labels(run: &[u8], mut fields: Reader<'_>) -> Result<Vec<u8>, Malformed> {
    let mut labels = run.to_vec();
    while !fields.is_done() {
        match fields.key()? {
            SERIES_LABEL => put_bytes(&mut labels, 1, fields.bytes()?),
            key => fields.skip(key)?,
        }
    }
    Ok(labels)
}

/// Goes to the next field `wanted` and opens it.
#[inline]
pub(super) fn next_message<'a>(
    fields: &mut Reader<'a>,
    wanted: u32,
) -> Option<Result<Reader<'a>, Malformed>> {
    while !fields.is_done() {
        let found = match fields.key() {
            Ok(key) if key == wanted => return Some(fields.message()),
            Ok(key) => fields.skip(key),
            Err(error) => Err(error),
        };
        if let Err(error) = found {
            fields.finish();
            return Some(Err(error));
        }
    }
    None
}

/// See [`Series::samples`].
#[derive(Clone, Debug)]
pub struct Samples<'a> {
    rest: Reader<'a>,
}

impl Iterator for Samples<'_> {
    type Item = Result<Sample, Malformed>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        Some(next_message(&mut self.rest, SERIES_SAMPLE)?.and_then(read_sample))
    }
}

/// A sample with both fields, the value first, as nearly every sender writes it.
#[inline(always)]
fn read_usual_sample(mut message: Reader<'_>) -> Option<Sample> {
    let (&[0x09, v0, v1, v2, v3, v4, v5, v6, v7, 0x10], _) = message.rest().split_first_chunk::<10>()? else {
        return None;
    };
    let value = f64::from_le_bytes([v0, v1, v2, v3, v4, v5, v6, v7]);
    message.advance(10);
    let at = Timestamp(message.int64().ok()?);
    message.is_done().then_some(Sample { at, value })
}

fn read_sample(message: Reader<'_>) -> Result<Sample, Malformed> {
    read_usual_sample(message).map_or_else(|| read_sample_fields(message), Ok)
}

fn read_sample_fields(mut message: Reader<'_>) -> Result<Sample, Malformed> {
    let mut sample = Sample { at: Timestamp(0), value: 0.0 };
    while !message.is_done() {
        let before = message;
        match message.key()? {
            SAMPLE_VALUE => sample.value = message.double()?,
            SAMPLE_TIME => sample.at = Timestamp(message.int64()?),
            key if key >> 3 <= 2 => return Err(before.malformed(WRONG_TYPE)),
            key => message.skip(key)?,
        }
    }
    Ok(sample)
}

/// See [`Series::exemplars`].
#[derive(Clone, Debug)]
pub struct Exemplars<'a> {
    rest: Reader<'a>,
}

impl<'a> Iterator for Exemplars<'a> {
    type Item = Result<ExemplarEntry<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(next_message(&mut self.rest, SERIES_EXEMPLAR)?.and_then(read_exemplar))
    }
}

fn read_exemplar(mut message: Reader<'_>) -> Result<ExemplarEntry<'_>, Malformed> {
    let run = read_label_run(&mut message)?;
    let fields = message;
    let mut stray_labels = false;
    let mut sample = Sample { at: Timestamp(0), value: 0.0 };
    while !message.is_done() {
        let before = message;
        match message.key()? {
            EXEMPLAR_VALUE => sample.value = message.double()?,
            EXEMPLAR_TIME => sample.at = Timestamp(message.int64()?),
            SERIES_LABEL => {
                stray_labels = true;
                message.message()?;
            }
            key if key >> 3 <= 3 => return Err(before.malformed(WRONG_TYPE)),
            key => message.skip(key)?,
        }
    }
    let labels = if stray_labels { Cow::Owned(gather_labels(run, fields)?) } else { Cow::Borrowed(run) };
    Ok(ExemplarEntry { labels, sample })
}

/// See [`Series::histograms`].
#[derive(Clone, Debug)]
pub struct Histograms<'a> {
    rest: Reader<'a>,
}

impl Iterator for Histograms<'_> {
    type Item = Result<HistogramEntry, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(next_message(&mut self.rest, SERIES_HISTOGRAM)?.and_then(histogram::read))
    }
}

impl MetadataEntry {
    fn read(mut message: Reader<'_>) -> Result<Self, Malformed> {
        let mut entry = Self { name: String::new(), metadata: Metadata::default() };
        while !message.is_done() {
            let before = message;
            match message.key()? {
                METADATA_TYPE => entry.metadata.kind = type_of_number(message.varint()?),
                METADATA_NAME => entry.name = text(message.bytes()?),
                METADATA_HELP => entry.metadata.help = text(message.bytes()?),
                METADATA_UNIT => entry.metadata.unit = text(message.bytes()?),
                key if matches!(key >> 3, 1 | 2 | 4 | 5) => return Err(before.malformed(WRONG_TYPE)),
                key => message.skip(key)?,
            }
        }
        Ok(entry)
    }
}

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The types in the order of `MetricMetadata.MetricType`.
pub(super) const TYPES: [MetricType; 8] = [
    MetricType::Unknown,
    MetricType::Counter,
    MetricType::Gauge,
    MetricType::Histogram,
    MetricType::GaugeHistogram,
    MetricType::Summary,
    MetricType::Info,
    MetricType::StateSet,
];

pub(super) fn type_of_number(number: u64) -> MetricType {
    usize::try_from(number).ok().and_then(|index| TYPES.get(index)).copied().unwrap_or_default()
}

/// Label bytes in any order and spelling, made a label set.
///
/// # Errors
/// When they are malformed, not UTF-8, or no label set.
pub fn parse_labels(bytes: &[u8]) -> Result<Labels, LabelError> {
    if let Some(labels) = Labels::from_canonical_bytes(bytes) {
        return Ok(labels);
    }
    let mut pairs = Vec::new();
    let mut rest = Reader::new(bytes);
    while !rest.is_done() {
        let (name, value) = read_label(&mut rest).map_err(|error| LabelError::Malformed(error.offset))?;
        let utf8 = |text| std::str::from_utf8(text).map_err(|_| LabelError::NotUtf8(self::text(name)));
        pairs.push((utf8(name)?, utf8(value)?));
    }
    Labels::from_pairs(pairs)
}

fn read_label<'a>(rest: &mut Reader<'a>) -> Result<(&'a [u8], &'a [u8]), Malformed> {
    if rest.key()? != SERIES_LABEL {
        return Err(rest.malformed("not a label"));
    }
    let mut label = rest.message()?;
    let (mut name, mut value) = (&[][..], &[][..]);
    while !label.is_done() {
        match label.key()? {
            LABEL_NAME => name = label.bytes()?,
            LABEL_VALUE => value = label.bytes()?,
            key => label.skip(key)?,
        }
    }
    Ok((name, value))
}

#[cfg(test)]
mod tests;
