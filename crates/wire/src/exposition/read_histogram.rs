//! The message `io.prometheus.client.Histogram`, read.
//!
//! ```text
//! Histogram   1 count (int)      4 count (float)   2 sum               3 classic buckets…
//!             5 schema           6 zero threshold  7 zero count (int)  8 zero count (float)
//!             9 negative spans…  10 negative deltas…                   11 negative counts…
//!             12 positive spans… 13 positive deltas…                   14 positive counts…
//!             16 exemplars…
//! ```

use barograph_model::{
    HISTOGRAM_BUCKETS_MAX, Histogram, HistogramError, HistogramParts, ResetHint, place_buckets,
};

use super::read_protobuf::{ReadBucket, ReadHistogram, exemplar};
use crate::protobuf::{FIXED64, LEN, Malformed, Reader, VARINT, key};

const COUNT_INT: u32 = key(1, VARINT);
const SUM: u32 = key(2, FIXED64);
const BUCKET: u32 = key(3, LEN);
const COUNT_FLOAT: u32 = key(4, FIXED64);
const SCHEMA: u32 = key(5, VARINT);
const ZERO_THRESHOLD: u32 = key(6, FIXED64);
const ZERO_COUNT_INT: u32 = key(7, VARINT);
const ZERO_COUNT_FLOAT: u32 = key(8, FIXED64);
const EXEMPLAR: u32 = key(16, LEN);

/// The most exemplars of one histogram that are read.
const EXEMPLARS_MAX: usize = 1 << 10;

/// Reads one; counts of a gauge may go down.
pub(super) fn read(mut message: Reader<'_>, gauge: bool) -> Result<ReadHistogram, Malformed> {
    let mut histogram = ReadHistogram::default();
    let mut parts = HistogramParts::default();
    let (mut negative, mut positive) = (Side::default(), Side::default());
    let mut schema = 0;
    while !message.is_done() {
        let before = message;
        match message.key()? {
            COUNT_INT => parts.count = message.varint()? as f64,
            COUNT_FLOAT => {
                let count = message.double()?;
                if count > 0.0 {
                    (parts.count, parts.float) = (count, true);
                }
            }
            SUM => parts.sum = message.double()?,
            SCHEMA => schema = signed(message.varint()?),
            ZERO_THRESHOLD => parts.zero_threshold = message.double()?,
            ZERO_COUNT_INT => parts.zero_count = message.varint()? as f64,
            ZERO_COUNT_FLOAT => {
                let count = message.double()?;
                if count > 0.0 {
                    (parts.zero_count, parts.float) = (count, true);
                }
            }
            BUCKET | EXEMPLAR
                if histogram.buckets.len() >= HISTOGRAM_BUCKETS_MAX
                    || histogram.exemplars.len() >= EXEMPLARS_MAX =>
            {
                return Err(before.malformed("a histogram has too many buckets or exemplars"));
            }
            BUCKET => histogram.buckets.push(bucket(message.message()?)?),
            EXEMPLAR => histogram.exemplars.push(exemplar(message.message()?)?),
            key => match key >> 3 {
                9..=11 => negative.read(key, 9, &mut message)?,
                12..=14 => positive.read(key, 12, &mut message)?,
                _ => message.skip(key)?,
            },
        }
    }
    (histogram.count, histogram.sum) = (parts.count, parts.sum);
    let native =
        positive.is_there() || negative.is_there() || parts.zero_threshold > 0.0 || parts.zero_count > 0.0;
    if native {
        parts.hint = if gauge { ResetHint::Gauge } else { ResetHint::Unknown };
        histogram.native = Some(built(parts, schema, &negative, &positive));
    }
    Ok(histogram)
}

fn built(
    mut parts: HistogramParts,
    schema: i64,
    negative: &Side,
    positive: &Side,
) -> Result<Histogram, HistogramError> {
    parts.schema = i8::try_from(schema).map_err(|_| HistogramError::Schema)?;
    parts.float |= !(negative.counts.is_empty() && positive.counts.is_empty());
    parts.negative = negative.place(parts.float)?;
    parts.positive = positive.place(parts.float)?;
    Histogram::new(parts)
}

fn bucket(mut message: Reader<'_>) -> Result<ReadBucket, Malformed> {
    const COUNT: u32 = key(1, VARINT);
    const BOUND: u32 = key(2, FIXED64);
    const EXEMPLAR: u32 = key(3, LEN);
    const COUNT_FLOAT: u32 = key(4, FIXED64);
    let mut bucket = ReadBucket { bound: 0.0, count: 0.0, exemplar: None };
    while !message.is_done() {
        match message.key()? {
            COUNT => bucket.count = message.varint()? as f64,
            BOUND => bucket.bound = message.double()?,
            EXEMPLAR => bucket.exemplar = Some(exemplar(message.message()?)?),
            COUNT_FLOAT => {
                let count = message.double()?;
                if count > 0.0 {
                    bucket.count = count;
                }
            }
            key => message.skip(key)?,
        }
    }
    Ok(bucket)
}

/// The fields of one sign: spans, then changes of whole counts or counts that need not be whole.
#[derive(Default)]
struct Side {
    spans: Vec<(i32, u32)>,
    whole: Vec<f64>,
    last: i64,
    counts: Vec<f64>,
}

impl Side {
    const fn is_there(&self) -> bool {
        !self.spans.is_empty()
    }

    /// Reads one of three fields, the first of which has the number `first`.
    fn read(&mut self, key: u32, first: u32, message: &mut Reader<'_>) -> Result<(), Malformed> {
        match (key >> 3) - first {
            0 if key & 7 == LEN => {
                room(self.spans.len(), message)?;
                self.spans.push(span(message.message()?)?);
            }
            1 if key & 7 == VARINT => self.delta(message)?,
            1 if key & 7 == LEN => {
                let mut packed = message.message()?;
                while !packed.is_done() {
                    self.delta(&mut packed)?;
                }
            }
            2 if key & 7 == FIXED64 => self.count(message)?,
            2 if key & 7 == LEN => {
                let mut packed = message.message()?;
                while !packed.is_done() {
                    self.count(&mut packed)?;
                }
            }
            _ => return Err(message.malformed("a field has the wrong type")),
        }
        Ok(())
    }

    fn delta(&mut self, message: &mut Reader<'_>) -> Result<(), Malformed> {
        room(self.whole.len(), message)?;
        self.last = self.last.wrapping_add(signed(message.varint()?));
        self.whole.push(self.last as f64);
        Ok(())
    }

    fn count(&mut self, message: &mut Reader<'_>) -> Result<(), Malformed> {
        room(self.counts.len(), message)?;
        self.counts.push(message.double()?);
        Ok(())
    }

    fn place(&self, float: bool) -> Result<Vec<(i32, f64)>, HistogramError> {
        place_buckets(&self.spans, if float { &self.counts } else { &self.whole })
    }
}

fn room(count: usize, message: &Reader<'_>) -> Result<(), Malformed> {
    if count < HISTOGRAM_BUCKETS_MAX {
        Ok(())
    } else {
        Err(message.malformed("a histogram has too many buckets"))
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

/// The number that a zigzag code stands for.
const fn signed(code: u64) -> i64 {
    (code >> 1).cast_signed() ^ -(code & 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protobuf::{put_bytes, put_double, put_message, put_number};

    fn whole() -> Vec<u8> {
        let mut bytes = Vec::new();
        put_number(&mut bytes, 1, 4);
        put_double(&mut bytes, 2, 18.5);
        put_message(&mut bytes, 3, |bucket| {
            put_number(bucket, 1, 3);
            put_double(bucket, 2, 2.0);
        });
        // Schema 1; offset 1, length 1; offset 2, length 1; counts 2 and 1.
        put_number(&mut bytes, 5, 2);
        put_double(&mut bytes, 6, 0.001);
        put_number(&mut bytes, 7, 1);
        put_bytes(&mut bytes, 12, &[0x08, 2, 0x10, 1]);
        put_bytes(&mut bytes, 12, &[0x08, 4, 0x10, 1]);
        put_bytes(&mut bytes, 13, &[4, 1]);
        bytes
    }

    #[test]
    fn both_forms_are_read() {
        let read = read(Reader::new(&whole()), false).unwrap();
        assert_eq!((read.count, read.sum), (4.0, 18.5));
        assert_eq!(read.buckets, [ReadBucket { bound: 2.0, count: 3.0, exemplar: None }]);
        let native = read.native.unwrap().unwrap();
        assert_eq!((native.schema(), native.zero_count(), native.float), (1, 1.0, false));
        assert_eq!(native.positive(), [(1, 2.0), (4, 1.0)]);
        assert_eq!(native.hint, ResetHint::Unknown);
    }

    #[test]
    fn counts_of_a_gauge_need_not_be_whole() {
        let mut bytes = Vec::new();
        put_double(&mut bytes, 4, 1.5);
        put_bytes(&mut bytes, 9, &[0x08, 0, 0x10, 2]);
        put_bytes(&mut bytes, 11, &[0.5f64.to_le_bytes(), 1f64.to_le_bytes()].concat());
        let native = read(Reader::new(&bytes), true).unwrap().native.unwrap().unwrap();
        assert_eq!(native.negative(), [(0, 0.5), (1, 1.0)]);
        assert_eq!((native.hint, native.float), (ResetHint::Gauge, true));
    }

    #[test]
    fn classic_alone_is_not_native() {
        let mut bytes = Vec::new();
        put_number(&mut bytes, 1, 4);
        assert_eq!(read(Reader::new(&bytes), false).unwrap().native, None);
        // A span of nothing says that it is.
        put_bytes(&mut bytes, 12, &[0x08, 0, 0x10, 0]);
        assert_eq!(read(Reader::new(&bytes), false).unwrap().native, Some(Err(HistogramError::Count)));
    }

    #[test]
    fn rules_that_are_broken_are_told() {
        let broken = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = whole();
            change(&mut bytes);
            read(Reader::new(&bytes), false).unwrap().native.unwrap().unwrap_err()
        };
        assert_eq!(broken(&|bytes| put_number(bytes, 1, 5)), HistogramError::Count);
        assert_eq!(broken(&|bytes| put_bytes(bytes, 13, &[2])), HistogramError::Spans);
        assert_eq!(broken(&|bytes| put_number(bytes, 5, 2_000)), HistogramError::Schema);
        let mut many = Vec::new();
        put_bytes(&mut many, 13, &vec![0; HISTOGRAM_BUCKETS_MAX + 1]);
        assert_eq!(read(Reader::new(&many), false).unwrap_err().what, "a histogram has too many buckets");
    }

    #[test]
    fn every_cut_is_an_answer() {
        let bytes = whole();
        for len in 0..bytes.len() {
            let _ = read(Reader::new(&bytes[..len]), false);
        }
    }
}
