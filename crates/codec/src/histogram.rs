//! The code of native histograms: each sample by what changed since the one before.
//!
//! Monitoring sends the same buckets again and again with counts a little higher, so the layout (schema, zero
//! threshold, bounds, indices) is written when it changes, and counts as differences.
//!
//! ```text
//! sample   flags u8: 1 new layout, 2 counts are whole, 4 sent as float, 8 and 16 reset hint
//!          time: signed, change of the step to the sample before (the first sample: the time itself, as its step)
//!          layout if flagged: schema signed, zero threshold f64, count and f64 of each bound,
//!                             count and signed gap of each positive index, the same of each negative one
//!          count, zero count, each positive count, each negative count: as below, against the sample before or,
//!                             behind a new layout, against zero
//!          sum: bits changed, bytes swapped, varint
//! count    whole: signed change; else bits changed, bytes swapped, varint
//! ```
//!
//! Numbers are varints; `f64` little-endian. Every bit pattern of a sum comes back.

use barograph_model::{HISTOGRAM_BUCKETS_MAX, Histogram, HistogramParts, ResetHint};

use crate::varint;

const LAYOUT: u8 = 1;
const WHOLE: u8 = 2;
const FLOAT: u8 = 4;
const HINT_SHIFT: u32 = 3;
const HINTS: [ResetHint; 4] = [ResetHint::Unknown, ResetHint::Yes, ResetHint::No, ResetHint::Gauge];

/// Counts up to here are whole numbers without loss.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// Writes the samples of one series, each later than the one before.
#[derive(Clone, Debug, Default)]
pub struct HistogramEncoder {
    before: Option<Histogram>,
    at: i64,
    step: i64,
}

impl HistogramEncoder {
    /// Appends a sample to `bytes`, which holds those before.
    pub fn push(&mut self, at: i64, histogram: &Histogram, bytes: &mut Vec<u8>) {
        let same = self.before.as_ref().filter(|before| same_layout(before, histogram));
        let zeros = Vec::new();
        let base = same.map_or(zeros, counts);
        let counts = counts(histogram);
        let whole = |counts: &[f64]| counts.iter().all(|c| c.trunc() == *c && c.abs() <= WHOLE_MAX);
        let whole = whole(&counts) && whole(&base);
        let hint = HINTS.iter().position(|hint| *hint == histogram.hint).unwrap_or(0);
        let mut flags = hint.to_le_bytes()[0] << HINT_SHIFT;
        flags |= if same.is_none() { LAYOUT } else { 0 };
        flags |= if whole { WHOLE } else { 0 };
        flags |= if histogram.float { FLOAT } else { 0 };
        bytes.push(flags);
        let step = at.wrapping_sub(self.at);
        varint::put_signed(bytes, step.wrapping_sub(self.step));
        if same.is_none() {
            put_layout(bytes, histogram);
        }
        for (number, count) in counts.iter().enumerate() {
            let base = base.get(number).copied().unwrap_or(0.0);
            if whole {
                varint::put_signed(bytes, to_whole(*count) - to_whole(base));
            } else {
                put_bits(bytes, count.to_bits() ^ base.to_bits());
            }
        }
        let base = self.before.as_ref().map_or(0, |before| before.sum().to_bits());
        put_bits(bytes, histogram.sum().to_bits() ^ base);
        (self.at, self.step) = (at, step);
        self.before = Some(histogram.clone());
    }

    /// The time of the last sample; `None` before the first.
    pub fn last_at(&self) -> Option<i64> {
        self.before.as_ref().map(|_| self.at)
    }

    /// The last sample.
    pub fn last(&self) -> Option<&Histogram> {
        self.before.as_ref()
    }
}

/// Reads what a [`HistogramEncoder`] wrote. Ends early on bytes it did not write.
#[derive(Clone, Debug)]
pub struct HistogramDecoder<'a> {
    rest: &'a [u8],
    before: Option<HistogramParts>,
    sum: u64,
    at: i64,
    step: i64,
}

impl<'a> HistogramDecoder<'a> {
    /// A reader of samples.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, before: None, sum: 0, at: 0, step: 0 }
    }

    /// Whether everything was read, so that nothing was malformed.
    pub const fn is_done(&self) -> bool {
        self.rest.is_empty()
    }

    fn sample(&mut self) -> Option<(i64, Histogram)> {
        let rest = &mut self.rest;
        let (&flags, after) = rest.split_first()?;
        *rest = after;
        self.step = self.step.wrapping_add(varint::take_signed(rest)?);
        self.at = self.at.wrapping_add(self.step);
        let mut parts = if flags & LAYOUT == 0 { self.before.take()? } else { take_layout(rest)? };
        parts.float = flags & FLOAT != 0;
        parts.hint = HINTS[usize::from(flags >> HINT_SHIFT & 3)];
        let sides = parts.positive.iter_mut().chain(&mut parts.negative).map(|bucket| &mut bucket.1);
        for count in [&mut parts.count, &mut parts.zero_count].into_iter().chain(sides) {
            *count = if flags & WHOLE != 0 {
                to_whole(*count).checked_add(varint::take_signed(rest)?)? as f64
            } else {
                f64::from_bits(count.to_bits() ^ take_bits(rest)?)
            };
        }
        self.sum ^= take_bits(rest)?;
        parts.sum = f64::from_bits(self.sum);
        let histogram = Histogram::new(parts.clone()).ok()?;
        self.before = Some(parts);
        Some((self.at, histogram))
    }
}

impl Iterator for HistogramDecoder<'_> {
    type Item = (i64, Histogram);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let before = self.rest;
        let sample = self.sample();
        if sample.is_none() {
            // What could not be read stays, so that `is_done` tells.
            self.rest = before;
        }
        sample
    }
}

fn same_layout(a: &Histogram, b: &Histogram) -> bool {
    let same =
        |a: &[(i32, f64)], b: &[(i32, f64)]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0);
    a.schema() == b.schema()
        && a.zero_threshold().to_bits() == b.zero_threshold().to_bits()
        && a.bounds() == b.bounds()
        && same(a.positive(), b.positive())
        && same(a.negative(), b.negative())
}

fn counts(histogram: &Histogram) -> Vec<f64> {
    let buckets = histogram.positive().iter().chain(histogram.negative()).map(|bucket| bucket.1);
    [histogram.count(), histogram.zero_count()].into_iter().chain(buckets).collect()
}

fn put_layout(bytes: &mut Vec<u8>, histogram: &Histogram) {
    varint::put_signed(bytes, i64::from(histogram.schema()));
    bytes.extend_from_slice(&histogram.zero_threshold().to_le_bytes());
    varint::put(bytes, histogram.bounds().len() as u64);
    histogram.bounds().iter().for_each(|bound| bytes.extend_from_slice(&bound.to_le_bytes()));
    for side in [histogram.positive(), histogram.negative()] {
        varint::put(bytes, side.len() as u64);
        let mut before = 0;
        for (index, _) in side {
            varint::put_signed(bytes, i64::from(*index) - before);
            before = i64::from(*index);
        }
    }
}

fn take_layout(rest: &mut &[u8]) -> Option<HistogramParts> {
    let schema = i8::try_from(varint::take_signed(rest)?).ok()?;
    let zero_threshold = take_double(rest)?;
    // Every entry takes a byte at least, so a length is not believed before it is there.
    let take_len = |rest: &mut &[u8]| {
        let len = varint::take_usize(rest)?;
        (len <= HISTOGRAM_BUCKETS_MAX.min(rest.len())).then_some(len)
    };
    let bounds = (0..take_len(rest)?).map(|_| take_double(rest)).collect::<Option<Vec<_>>>()?;
    let mut side = || -> Option<Vec<(i32, f64)>> {
        let mut before = 0i64;
        (0..take_len(rest)?)
            .map(|_| {
                before = before.checked_add(varint::take_signed(rest)?)?;
                Some((i32::try_from(before).ok()?, 0.0))
            })
            .collect()
    };
    let (positive, negative) = (side()?, side()?);
    Some(HistogramParts { schema, zero_threshold, bounds, positive, negative, ..HistogramParts::default() })
}

fn take_double(rest: &mut &[u8]) -> Option<f64> {
    let (bytes, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(f64::from_le_bytes(*bytes))
}

/// Bits that changed: mostly the high ones, so the bytes are swapped to make a short number.
fn put_bits(bytes: &mut Vec<u8>, changed: u64) {
    varint::put(bytes, changed.swap_bytes());
}

fn take_bits(rest: &mut &[u8]) -> Option<u64> {
    varint::take(rest).map(u64::swap_bytes)
}

#[expect(clippy::cast_possible_truncation, reason = "checked to be whole and in range, or cut to it")]
fn to_whole(count: f64) -> i64 {
    count as i64
}

#[cfg(test)]
mod tests {
    use barograph_model::{CUSTOM_BOUNDS, STALE_BITS};
    use proptest::prelude::*;

    use super::*;

    fn check(samples: &[(i64, Histogram)]) -> usize {
        let (mut encoder, mut bytes) = (HistogramEncoder::default(), Vec::new());
        samples.iter().for_each(|(at, histogram)| encoder.push(*at, histogram, &mut bytes));
        let mut decoder = HistogramDecoder::new(&bytes);
        let decoded: Vec<_> = decoder.by_ref().collect();
        assert!(decoder.is_done());
        assert_eq!(decoded.len(), samples.len());
        for ((at, histogram), (expected_at, expected)) in decoded.iter().zip(samples) {
            assert_eq!(at, expected_at);
            assert_eq!(histogram.sum().to_bits(), expected.sum().to_bits());
            let same = |h: &Histogram| {
                let parts = (h.schema(), h.hint, h.float, h.count(), h.zero_count(), h.zero_threshold());
                (parts, h.positive().to_vec(), h.negative().to_vec(), h.bounds().to_vec())
            };
            assert_eq!(same(histogram), same(expected));
        }
        bytes.len()
    }

    fn parts() -> impl Strategy<Value = HistogramParts> {
        let count = prop_oneof![(0u32..1_000_000).prop_map(f64::from), 0.0f64..1e9];
        let side = prop::collection::btree_map(-100i32..100, count, 0..20)
            .prop_map(|side| side.into_iter().collect::<Vec<_>>());
        (-4i8..=8, any::<bool>(), any::<u64>(), side.clone(), side, 0usize..4).prop_map(
            |(schema, float, sum, positive, negative, hint)| {
                let whole = |mut side: Vec<(i32, f64)>| {
                    side.iter_mut()
                        .for_each(|bucket| bucket.1 = if float { bucket.1 } else { bucket.1.floor() });
                    side
                };
                let (positive, negative) = (whole(positive), whole(negative));
                let count = positive.iter().chain(&negative).map(|bucket| bucket.1).sum();
                let (hint, sum) = (HINTS[hint], f64::from_bits(sum));
                HistogramParts {
                    schema,
                    hint,
                    float,
                    count,
                    sum,
                    positive,
                    negative,
                    ..HistogramParts::default()
                }
            },
        )
    }

    #[test]
    fn a_counter_that_grows_is_small() {
        let of = |round: u32| {
            let positive: Vec<_> =
                (0i32..20).map(|index| (index, f64::from(round * (index.unsigned_abs() + 1)))).collect();
            let count = positive.iter().map(|bucket| bucket.1).sum();
            Histogram::new(HistogramParts {
                positive,
                count,
                sum: f64::from(round) * 17.5,
                ..Default::default()
            })
        };
        let samples: Vec<_> =
            (1..101u32).map(|round| (i64::from(round) * 15_000, of(round).unwrap())).collect();
        let bytes = check(&samples);
        assert!(bytes < 100 * 32, "{bytes}");
    }

    #[test]
    fn markers_and_custom_bounds_come_back() {
        let stale = HistogramParts { sum: f64::from_bits(STALE_BITS), ..Default::default() };
        let custom = HistogramParts {
            schema: CUSTOM_BOUNDS,
            bounds: vec![0.5, 1.0],
            positive: vec![(0, 1.0), (2, 5.0)],
            count: 6.0,
            ..Default::default()
        };
        let [stale, custom] = [stale, custom].map(|parts| Histogram::new(parts).unwrap());
        check(&[(1, custom.clone()), (2, custom.clone()), (3, stale), (i64::MAX, custom)]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn decodes_what_was_encoded(samples in prop::collection::vec((1i64..100_000, parts()), 0..20)) {
            let mut at = 1_700_000_000_000;
            let samples: Vec<_> = samples
                .into_iter()
                .map(|(step, parts)| { at += step; (at, Histogram::new(parts).unwrap()) })
                .collect();
            check(&samples);
        }

        #[test]
        fn any_bytes_are_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(HistogramDecoder::new(&bytes).count() <= bytes.len());
        }
    }
}
