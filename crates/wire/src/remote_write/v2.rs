//! An `io.prometheus.write.v2.Request` walked where it lies.
//!
//! Every text of a request stands once, in its table of symbols; series name them by number. [`Request::read`] goes
//! through the message once to find the table, [`Request::series`] through the series, whose parts are read as they are
//! asked for. Labels come out as the bytes in which the store looks series up. What is wrong with the numbers of one
//! series is an error of that series alone ([`RefError`]); what is no protobuf ends the request.
//!
//! ```text
//! Request     4 symbol…            5 TimeSeries…
//! TimeSeries  1 label refs…        2 Sample…            3 Histogram…  4 Exemplar…  5 Metadata  6 created (ms)
//! Sample      1 value (double)     2 timestamp (ms)     3 start (ms)
//! Exemplar    1 label refs…        2 value (double)     3 timestamp (ms)
//! Metadata    1 type               3 help ref           4 unit ref
//! Histogram   see `histogram`
//! ```

use std::fmt;

use barograph_model::{Metadata, Sample, Timestamp};

use super::{
    histogram::{self, HistogramEntry},
    walk::{next_message, text, type_of_number},
};
use crate::protobuf::{FIXED64, LEN, Malformed, Reader, VARINT, key, put_varint, varint_len};

pub(super) const SYMBOL: u32 = key(4, LEN);
const SERIES: u32 = key(5, LEN);
const REFS: u32 = key(1, LEN);
const REF: u32 = key(1, VARINT);
const SAMPLE: u32 = key(2, LEN);
const HISTOGRAM: u32 = key(3, LEN);
const EXEMPLAR: u32 = key(4, LEN);
const METADATA: u32 = key(5, LEN);
const CREATED: u32 = key(6, VARINT);
const WRONG_TYPE: &str = "a field has the wrong type";
const FAR: &str = "a symbol stands after the first 4 GiB; send the series in several requests";
pub(super) const TOO_MANY_SYMBOLS: &str = "too many symbols; send the series in several requests";

/// Symbols of a request at most.
pub const SYMBOLS_MAX: usize = 1 << 20;

/// Labels of a series or an exemplar at most.
pub const LABELS_MAX: usize = 1024;

/// Bytes that the labels of a series or an exemplar may take together once they are written out.
pub const LABEL_BYTES_MAX: usize = 512 << 10;

/// A request with its table of symbols.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    symbols: Symbols<'a>,
    body: Reader<'a>,
}

/// The table of symbols, as the places where they stand: a quarter of what the texts themselves would take.
#[derive(Clone, Debug)]
struct Symbols<'a> {
    body: Reader<'a>,
    /// Bytes before the length of each.
    at: Vec<u32>,
}

/// A series of a request. Its fields were found whole.
#[derive(Clone, Copy, Debug)]
pub struct Series<'r, 'a> {
    symbols: &'r Symbols<'a>,
    fields: Reader<'a>,
    /// How many float samples it has.
    pub samples: usize,
    /// How many native histograms it has.
    pub histograms: usize,
    /// How many exemplars it has.
    pub exemplars: usize,
    /// Since when it counts, as older senders say it of the whole series.
    pub created: Option<Timestamp>,
    metadata: Option<Reader<'a>>,
}

/// A float sample of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SampleEntry {
    /// What was observed and when.
    pub sample: Sample,
    /// Since when it counts, if that was said.
    pub start: Option<Timestamp>,
}

/// An exemplar of a series.
#[derive(Clone, Debug, PartialEq)]
pub struct ExemplarEntry {
    /// Its label bytes, not checked; [`parse_labels`](super::parse_labels) does that.
    pub labels: Result<Vec<u8>, RefError>,
    /// What was observed and when.
    pub sample: Sample,
}

/// Why the labels of a series or an exemplar cannot be told. Sending it again will not help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefError {
    /// A name without a value.
    Odd,
    /// There is no such symbol.
    OutOfRange(u64),
    /// More labels than [`LABELS_MAX`].
    TooMany,
    /// Labels of more than [`LABEL_BYTES_MAX`] bytes.
    TooLong,
}

impl fmt::Display for RefError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Odd => f.write_str("label references do not come in pairs"),
            Self::OutOfRange(number) => write!(f, "label reference {number} is not in the table of symbols"),
            Self::TooMany => write!(f, "more than {LABELS_MAX} labels"),
            Self::TooLong => write!(f, "labels take more than {LABEL_BYTES_MAX} bytes"),
        }
    }
}

impl std::error::Error for RefError {}

impl<'a> Request<'a> {
    /// Finds the table of symbols of a decoded request.
    ///
    /// # Errors
    /// The message is malformed, has more than [`SYMBOLS_MAX`] symbols, or its first symbol is not the empty one.
    pub fn read(body: &'a [u8]) -> Result<Self, Malformed> {
        let body = Reader::new(body);
        let mut request = Self { symbols: Symbols { body, at: Vec::new() }, body };
        let mut rest = request.body;
        while !rest.is_done() {
            let before = rest;
            match rest.key()? {
                SYMBOL => {
                    let at = rest.offset();
                    let symbol = rest.bytes()?;
                    let table = &mut request.symbols.at;
                    if table.is_empty() && !symbol.is_empty() {
                        return Err(before.malformed("the first symbol is not empty"));
                    }
                    if table.len() >= SYMBOLS_MAX {
                        return Err(before.malformed(TOO_MANY_SYMBOLS));
                    }
                    table.push(u32::try_from(at).map_err(|_| before.malformed(FAR))?);
                }
                SERIES => drop(rest.message()?),
                key if matches!(key >> 3, 4 | 5) => return Err(before.malformed(WRONG_TYPE)),
                // Those numbers are kept free for just this.
                key if key >> 3 <= 3 => return Err(before.malformed("this is a message of remote write 1.0")),
                key => rest.skip(key)?,
            }
        }
        Ok(request)
    }

    /// The series, in the order they were sent. The first error is the last item.
    pub fn series(&self) -> impl Iterator<Item = Result<Series<'_, 'a>, Malformed>> {
        let mut rest = self.body;
        std::iter::from_fn(move || {
            let series =
                next_message(&mut rest, SERIES)?.and_then(|message| Series::read(&self.symbols, message));
            if series.is_err() {
                rest.finish();
            }
            Some(series)
        })
    }
}

impl<'r, 'a> Series<'r, 'a> {
    fn read(symbols: &'r Symbols<'a>, fields: Reader<'a>) -> Result<Self, Malformed> {
        let mut series =
            Self { symbols, fields, samples: 0, histograms: 0, exemplars: 0, created: None, metadata: None };
        let mut rest = fields;
        while !rest.is_done() {
            let before = rest;
            match rest.key()? {
                REF => drop(rest.varint()?),
                CREATED => series.created = set(rest.int64()?),
                key if key & 7 == LEN && key >> 3 <= 5 => {
                    let message = rest.message()?;
                    match key {
                        SAMPLE => series.samples += 1,
                        HISTOGRAM => series.histograms += 1,
                        EXEMPLAR => series.exemplars += 1,
                        METADATA => series.metadata = Some(message),
                        _ => {}
                    }
                }
                key if key >> 3 <= 5 => return Err(before.malformed(WRONG_TYPE)),
                key => rest.skip(key)?,
            }
        }
        Ok(series)
    }

    /// Appends the labels as the bytes of 1.0, in the order they were sent and not checked but for their numbers. Labels
    /// without a value are left out: they say the same.
    ///
    /// # Errors
    /// [`RefError`]; some labels may have been appended then.
    pub fn put_labels(&self, to: &mut Vec<u8>) -> Result<(), RefError> {
        // Reading the series has seen that its fields are whole.
        put_labels(self.symbols, self.fields, to).unwrap_or(Err(RefError::Odd))
    }

    /// The float samples, in the order they were sent.
    pub fn samples(&self) -> impl Iterator<Item = Result<SampleEntry, Malformed>> {
        let mut rest = self.fields;
        std::iter::from_fn(move || Some(next_message(&mut rest, SAMPLE)?.and_then(read_sample)))
    }

    /// The native histograms, in the order they were sent.
    pub fn histograms(&self) -> impl Iterator<Item = Result<HistogramEntry, Malformed>> {
        let mut rest = self.fields;
        std::iter::from_fn(move || Some(next_message(&mut rest, HISTOGRAM)?.and_then(histogram::read)))
    }

    /// The exemplars, in the order they were sent.
    pub fn exemplars(&self) -> impl Iterator<Item = Result<ExemplarEntry, Malformed>> + use<'r, 'a> {
        let (mut rest, symbols) = (self.fields, self.symbols);
        std::iter::from_fn(move || {
            let read = |message| read_exemplar(symbols, message);
            Some(next_message(&mut rest, EXEMPLAR)?.and_then(read))
        })
    }

    /// Type, help and unit, if anything is said of them. Text that is not UTF-8 is mended rather than refused, and a
    /// number without a symbol says nothing.
    ///
    /// # Errors
    /// The message is malformed.
    pub fn metadata(&self) -> Result<Option<Metadata>, Malformed> {
        const TYPE: u32 = key(1, VARINT);
        const HELP: u32 = key(3, VARINT);
        const UNIT: u32 = key(4, VARINT);
        let Some(mut message) = self.metadata else { return Ok(None) };
        let mut metadata = Metadata::default();
        while !message.is_done() {
            let before = message;
            match message.key()? {
                TYPE => metadata.kind = type_of_number(message.varint()?),
                HELP => metadata.help = self.text(message.varint()?),
                UNIT => metadata.unit = self.text(message.varint()?),
                key if matches!(key >> 3, 1 | 3 | 4) => return Err(before.malformed(WRONG_TYPE)),
                key => message.skip(key)?,
            }
        }
        Ok(Some(metadata).filter(|metadata| *metadata != Metadata::default()))
    }

    fn text(&self, number: u64) -> String {
        symbol(self.symbols, number).map(text).unwrap_or_default()
    }
}

#[inline]
fn symbol<'a>(symbols: &Symbols<'a>, number: u64) -> Result<&'a [u8], RefError> {
    let found = usize::try_from(number).ok().and_then(|number| symbols.at.get(number));
    let text = found.and_then(|at| {
        let mut symbol = symbols.body;
        symbol.advance(*at as usize);
        symbol.bytes().ok()
    });
    text.ok_or(RefError::OutOfRange(number))
}

/// Appends the labels that the numbers of a message stand for.
fn put_labels(
    symbols: &Symbols<'_>,
    mut fields: Reader<'_>,
    to: &mut Vec<u8>,
) -> Result<Result<(), RefError>, Malformed> {
    let (start, mut labels, mut name) = (to.len(), 0, None);
    let mut add = |number| {
        let text = symbol(symbols, number)?;
        let Some(name) = name.take() else {
            name = Some(text);
            return Ok(());
        };
        labels += 1;
        if labels > LABELS_MAX {
            return Err(RefError::TooMany);
        }
        if to.len() - start + name.len() + text.len() > LABEL_BYTES_MAX {
            return Err(RefError::TooLong);
        }
        if !text.is_empty() || name.is_empty() {
            put_label(to, name, text);
        }
        Ok(())
    };
    while !fields.is_done() {
        let added = match fields.key()? {
            REF => add(fields.varint()?),
            REFS => {
                let mut packed = fields.message()?;
                let mut added = Ok(());
                while added.is_ok() && !packed.is_done() {
                    added = add(packed.varint()?);
                }
                added
            }
            key => {
                fields.skip(key)?;
                continue;
            }
        };
        if added.is_err() {
            return Ok(added);
        }
    }
    Ok(if name.is_some() { Err(RefError::Odd) } else { Ok(()) })
}

fn put_label(to: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    let field = |text: &[u8]| 1 + varint_len(text.len() as u64) + text.len();
    to.push(0x0a);
    put_varint(to, (field(name) + field(value)) as u64);
    for (key, text) in [(0x0a, name), (0x12, value)] {
        to.push(key);
        put_varint(to, text.len() as u64);
        to.extend_from_slice(text);
    }
}

fn read_sample(mut message: Reader<'_>) -> Result<SampleEntry, Malformed> {
    const VALUE: u32 = key(1, FIXED64);
    const TIME: u32 = key(2, VARINT);
    const START: u32 = key(3, VARINT);
    let mut entry = SampleEntry { sample: Sample { at: Timestamp(0), value: 0.0 }, start: None };
    while !message.is_done() {
        let before = message;
        match message.key()? {
            VALUE => entry.sample.value = message.double()?,
            TIME => entry.sample.at = Timestamp(message.int64()?),
            START => entry.start = set(message.int64()?),
            key if key >> 3 <= 3 => return Err(before.malformed(WRONG_TYPE)),
            key => message.skip(key)?,
        }
    }
    Ok(entry)
}

fn read_exemplar(symbols: &Symbols<'_>, mut message: Reader<'_>) -> Result<ExemplarEntry, Malformed> {
    const VALUE: u32 = key(2, FIXED64);
    const TIME: u32 = key(3, VARINT);
    let mut labels = Vec::new();
    let read = put_labels(symbols, message, &mut labels)?;
    let mut sample = Sample { at: Timestamp(0), value: 0.0 };
    while !message.is_done() {
        let before = message;
        match message.key()? {
            VALUE => sample.value = message.double()?,
            TIME => sample.at = Timestamp(message.int64()?),
            key @ (REF | REFS) => message.skip(key)?,
            key if key >> 3 <= 3 => return Err(before.malformed(WRONG_TYPE)),
            key => message.skip(key)?,
        }
    }
    Ok(ExemplarEntry { labels: read.map(|()| labels), sample })
}

/// A start time; zero says nothing.
fn set(millis: i64) -> Option<Timestamp> {
    (millis != 0).then_some(Timestamp(millis))
}

#[cfg(test)]
mod tests;
