//! Native histograms of a request, made valid ones.
//!
//! ```text
//! Histogram       1 count (int)        2 count (float)    3 sum              4 schema
//!                 5 zero threshold     6 zero count (int) 7 zero count (float)
//!                 8 negative spans…    9 negative deltas… 10 negative counts…
//!                 11 positive spans…   12 positive deltas… 13 positive counts…
//!                 14 reset hint        15 timestamp (ms)  16 custom bounds…
//!                 17 start (ms)
//! BucketSpan      1 offset             2 length
//! ```
//!
//! Of the whole-number flavour each bucket is the change to the one before, of the other it is the count itself.

use barograph_model::{Histogram, HistogramError, HistogramParts, ResetHint, Timestamp, place_buckets};

use crate::protobuf::{FIXED64, LEN, Malformed, Reader, VARINT, key};

/// A histogram sample of a series.
#[derive(Clone, Debug, PartialEq)]
pub struct HistogramEntry {
    /// When it was observed.
    pub at: Timestamp,
    /// Since when it counts, if that was said.
    pub start: Option<Timestamp>,
    /// What was observed; why not, where it breaks a rule.
    pub histogram: Result<Histogram, HistogramError>,
}

const COUNT_INT: u32 = key(1, VARINT);
const COUNT_FLOAT: u32 = key(2, FIXED64);
const SUM: u32 = key(3, FIXED64);
const SCHEMA: u32 = key(4, VARINT);
const ZERO_THRESHOLD: u32 = key(5, FIXED64);
const ZERO_COUNT_INT: u32 = key(6, VARINT);
const ZERO_COUNT_FLOAT: u32 = key(7, FIXED64);
const RESET_HINT: u32 = key(14, VARINT);
const TIMESTAMP: u32 = key(15, VARINT);
const START: u32 = key(17, VARINT);
const BOUNDS: u32 = 16;

/// The fields of one sign.
#[derive(Default)]
struct Side {
    spans: Vec<(i32, u32)>,
    /// Running totals of the deltas.
    whole: Vec<f64>,
    last: i64,
    counts: Vec<f64>,
}

pub(super) fn read(mut message: Reader<'_>) -> Result<HistogramEntry, Malformed> {
    let (mut at, mut start) = (Timestamp(0), None);
    let mut parts = HistogramParts::default();
    let (mut negative, mut positive) = (Side::default(), Side::default());
    let mut schema = 0;
    while !message.is_done() {
        let before = message;
        match message.key()? {
            COUNT_INT => parts.count = whole(message.varint()?),
            COUNT_FLOAT => (parts.count, parts.float) = (message.double()?, true),
            SUM => parts.sum = message.double()?,
            SCHEMA => schema = signed(message.varint()?),
            ZERO_THRESHOLD => parts.zero_threshold = message.double()?,
            ZERO_COUNT_INT => parts.zero_count = whole(message.varint()?),
            ZERO_COUNT_FLOAT => (parts.zero_count, parts.float) = (message.double()?, true),
            RESET_HINT => parts.hint = hint(message.varint()?),
            TIMESTAMP => at = Timestamp(message.int64()?),
            START => start = Some(message.int64()?).filter(|&start| start != 0).map(Timestamp),
            key => match key >> 3 {
                8..=10 => negative.read(key, 8, &mut message)?,
                11..=13 => positive.read(key, 11, &mut message)?,
                BOUNDS => doubles(key, &mut message, &mut parts.bounds)?,
                1..=7 | 14 | 15 => return Err(before.malformed("a field has the wrong type")),
                _ => message.skip(key)?,
            },
        }
    }
    let histogram = i8::try_from(schema).map_err(|_| HistogramError::Schema).and_then(|schema| {
        parts.schema = schema;
        parts.negative = negative.place(parts.float)?;
        parts.positive = positive.place(parts.float)?;
        Histogram::new(parts)
    });
    Ok(HistogramEntry { at, start, histogram })
}

impl Side {
    /// Reads one of three fields: spans, deltas, counts, the first of which has the number `first`.
    fn read(&mut self, key: u32, first: u32, message: &mut Reader<'_>) -> Result<(), Malformed> {
        match (key >> 3) - first {
            0 if key & 7 == LEN => self.spans.push(span(message.message()?)?),
            1 => {
                let mut add = |delta: u64| {
                    self.last = self.last.wrapping_add(signed(delta));
                    self.whole.push(self.last as f64);
                };
                match key & 7 {
                    VARINT => add(message.varint()?),
                    LEN => {
                        let mut packed = message.message()?;
                        while !packed.is_done() {
                            add(packed.varint()?);
                        }
                    }
                    _ => return Err(message.malformed("a field has the wrong type")),
                }
            }
            2 => doubles(key, message, &mut self.counts)?,
            _ => return Err(message.malformed("a field has the wrong type")),
        }
        Ok(())
    }

    fn place(&self, float: bool) -> Result<Vec<(i32, f64)>, HistogramError> {
        place_buckets(&self.spans, if float { &self.counts } else { &self.whole })
    }
}

fn span(mut message: Reader<'_>) -> Result<(i32, u32), Malformed> {
    const OFFSET: u32 = key(1, VARINT);
    const LENGTH: u32 = key(2, VARINT);
    let out_of_range = message.malformed("a span is out of range");
    let mut span = (0, 0);
    while !message.is_done() {
        match message.key()? {
            OFFSET => span.0 = i32::try_from(signed(message.varint()?)).map_err(|_| out_of_range)?,
            LENGTH => span.1 = u32::try_from(message.varint()?).map_err(|_| out_of_range)?,
            key => message.skip(key)?,
        }
    }
    Ok(span)
}

/// Doubles, packed or one by one.
fn doubles(key: u32, message: &mut Reader<'_>, to: &mut Vec<f64>) -> Result<(), Malformed> {
    match key & 7 {
        FIXED64 => to.push(message.double()?),
        LEN => {
            let mut packed = message.message()?;
            while !packed.is_done() {
                to.push(packed.double()?);
            }
        }
        _ => return Err(message.malformed("a field has the wrong type")),
    }
    Ok(())
}

/// The number that a zigzag code stands for.
const fn signed(code: u64) -> i64 {
    (code >> 1).cast_signed() ^ -(code & 1).cast_signed()
}

fn whole(count: u64) -> f64 {
    count as f64
}

const fn hint(number: u64) -> ResetHint {
    match number {
        1 => ResetHint::Yes,
        2 => ResetHint::No,
        3 => ResetHint::Gauge,
        _ => ResetHint::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protobuf::{put_bytes, put_varint};

    fn put_double(bytes: &mut Vec<u8>, field: u32, value: f64) {
        put_varint(bytes, u64::from(key(field, FIXED64)));
        bytes.extend_from_slice(&value.to_le_bytes());
    }

    fn put_number(bytes: &mut Vec<u8>, field: u32, value: u64) {
        put_varint(bytes, u64::from(key(field, VARINT)));
        put_varint(bytes, value);
    }

    fn read_bytes(bytes: &[u8]) -> Result<HistogramEntry, Malformed> {
        read(Reader::new(bytes))
    }

    /// Four values: one zero, two in bucket 1, one in bucket 4.
    fn whole_numbers() -> Vec<u8> {
        let mut bytes = Vec::new();
        put_number(&mut bytes, 1, 4);
        put_double(&mut bytes, 3, 18.5);
        put_number(&mut bytes, 4, 2);
        put_double(&mut bytes, 5, 0.001);
        put_number(&mut bytes, 6, 1);
        // Offset 1, length 1; offset 2, length 1.
        put_bytes(&mut bytes, 11, &[0x08, 2, 0x10, 1]);
        put_bytes(&mut bytes, 11, &[0x08, 4, 0x10, 1]);
        // 2, then one less.
        put_bytes(&mut bytes, 12, &[4, 1]);
        put_number(&mut bytes, 14, 3);
        put_number(&mut bytes, 15, 1_000);
        bytes
    }

    #[test]
    fn whole_numbers_are_read() {
        let entry = read_bytes(&whole_numbers()).unwrap();
        let histogram = entry.histogram.unwrap();
        assert_eq!((entry.at, histogram.schema(), histogram.hint), (Timestamp(1_000), 1, ResetHint::Gauge));
        assert_eq!((histogram.count(), histogram.sum(), histogram.zero_count()), (4.0, 18.5, 1.0));
        assert_eq!(histogram.positive(), [(1, 2.0), (4, 1.0)]);
        assert!(!histogram.float);
    }

    #[test]
    fn counts_that_need_not_be_whole_are_read() {
        let mut bytes = Vec::new();
        put_double(&mut bytes, 2, 1.5);
        put_bytes(&mut bytes, 8, &[0x08, 0, 0x10, 2]);
        put_bytes(&mut bytes, 10, &[0.5f64.to_le_bytes(), 1f64.to_le_bytes()].concat());
        let histogram = read_bytes(&bytes).unwrap().histogram.unwrap();
        assert_eq!(histogram.negative(), [(0, 0.5), (1, 1.0)]);
        assert!(histogram.float);
    }

    #[test]
    fn what_breaks_a_rule_is_named() {
        let mut bytes = whole_numbers();
        put_number(&mut bytes, 1, 5);
        assert_eq!(read_bytes(&bytes).unwrap().histogram, Err(HistogramError::Count));
        put_bytes(&mut bytes, 12, &[2]);
        assert_eq!(read_bytes(&bytes).unwrap().histogram, Err(HistogramError::Spans));
        put_number(&mut bytes, 4, 2_000);
        assert_eq!(read_bytes(&bytes).unwrap().histogram, Err(HistogramError::Schema));
    }

    #[test]
    fn every_cut_is_an_answer() {
        let bytes = whole_numbers();
        for len in 0..bytes.len() {
            let _ = read_bytes(&bytes[..len]);
        }
        assert!(read_bytes(&[0x62, 0x02, 0x80]).is_err());
    }
}
