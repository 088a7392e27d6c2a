//! Chunks as Prometheus writes them, for whoever reads from us in its own encoding.
//!
//! Floats are coded as in `xor`. Of native histograms each is a chunk of its own, as in `histogram`: larger than they could
//! be, and right whatever came before.

use barograph_model::{CUSTOM_BOUNDS, Histogram, ResetHint, Sample, Timestamp};

use super::Encoding;

/// Samples of a chunk of floats at most, as Prometheus has it.
pub const CHUNK_SAMPLES: usize = 120;

/// A chunk that was written.
#[derive(Clone, Debug, PartialEq)]
pub struct EncodedChunk {
    /// How its samples are written.
    pub encoding: Encoding,
    /// The time of the first.
    pub first: Timestamp,
    /// The time of the last.
    pub last: Timestamp,
    /// The samples.
    pub data: Vec<u8>,
}

/// Float samples as chunks; they are in the order of time.
pub fn float_chunks(samples: &[Sample]) -> impl Iterator<Item = EncodedChunk> {
    samples.chunks(CHUNK_SAMPLES).filter_map(|samples| {
        let (first, last) = (samples.first()?.at, samples.last()?.at);
        Some(EncodedChunk { encoding: Encoding::Xor, first, last, data: floats(samples) })
    })
}

/// A native histogram as a chunk.
pub fn histogram_chunk(at: Timestamp, histogram: &Histogram) -> EncodedChunk {
    let encoding = if histogram.float { Encoding::FloatHistogram } else { Encoding::Histogram };
    EncodedChunk { encoding, first: at, last: at, data: histogram_alone(at, histogram) }
}

/// Bits, put from the highest of each byte to the lowest.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    /// Bits of the last byte that are free.
    free: u32,
}

impl Bits {
    fn put(&mut self, value: u64, width: u32) {
        for shift in (0..width).rev() {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            self.free -= 1;
            if value >> shift & 1 == 1
                && let Some(last) = self.bytes.last_mut()
            {
                *last |= 1 << self.free;
            }
        }
    }

    fn float(&mut self, value: f64) {
        self.put(value.to_bits(), 64);
    }

    /// So many ones, and a zero unless there are `most` of them.
    fn ones(&mut self, count: u32, most: u32) {
        self.put((1 << count) - 1, count);
        if count < most {
            self.put(0, 1);
        }
    }

    fn uvarint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.put(value & 0x7f | 0x80, 8);
            value >>= 7;
        }
        self.put(value, 8);
    }

    /// A number in the first of some widths that it fits into, each named by as many ones as come before it.
    fn signed(&mut self, value: i64, widths: &[u32]) {
        let most = widths.len() - 1;
        let fits = |width: u32| match width {
            0 => value == 0,
            64 => true,
            width => -(1i64 << (width - 1)) < value && value <= 1i64 << (width - 1),
        };
        let number = widths.iter().position(|&width| fits(width)).unwrap_or(most);
        self.ones(number as u32, most as u32);
        self.put(value.cast_unsigned(), widths[number]);
    }

    fn unsigned(&mut self, value: u64) {
        let most = WIDTHS.len() - 1;
        let fits = |width: u32| width == 64 || value >> width == 0;
        let number = WIDTHS.iter().position(|&width| fits(width)).unwrap_or(most);
        self.ones(number as u32, most as u32);
        self.put(value, WIDTHS[number]);
    }
}

/// Bits that follow so many ones in chunks of histograms.
const WIDTHS: [u32; 9] = [0, 3, 6, 9, 12, 18, 25, 56, 64];
/// The same of differences of differences of times in chunks of floats.
const TIME_WIDTHS: [u32; 5] = [0, 14, 17, 20, 64];

fn floats(samples: &[Sample]) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.put(samples.len() as u64, 16);
    let (mut at, mut delta) = (0, 0);
    let mut value = Xor::default();
    for (number, sample) in samples.iter().enumerate() {
        let now = sample.at.millis();
        match number {
            0 => {
                bits.uvarint(((now << 1) ^ (now >> 63)).cast_unsigned());
                bits.float(sample.value);
                value.bits = sample.value.to_bits();
            }
            _ => {
                let next = now.wrapping_sub(at);
                match number {
                    1 => bits.uvarint(next.cast_unsigned()),
                    _ => bits.signed(next.wrapping_sub(delta), &TIME_WIDTHS),
                }
                delta = next;
                value.put(&mut bits, sample.value);
            }
        }
        at = now;
    }
    bits.bytes
}

/// The float before, and where its difference to the one before it lay.
#[derive(Default)]
struct Xor {
    bits: u64,
    place: Option<(u32, u32)>,
}

impl Xor {
    fn put(&mut self, to: &mut Bits, value: f64) {
        let change = self.bits ^ value.to_bits();
        self.bits = value.to_bits();
        if change == 0 {
            return to.put(0, 1);
        }
        to.put(1, 1);
        let (leading, trailing) = (change.leading_zeros().min(31), change.trailing_zeros());
        match self.place {
            Some((l, t)) if leading >= l && trailing >= t => {
                to.put(0, 1);
                to.put(change >> t, 64 - l - t);
            }
            _ => {
                self.place = Some((leading, trailing));
                let width = 64 - leading - trailing;
                to.put(1, 1);
                to.put(u64::from(leading), 5);
                to.put(u64::from(width), 6);
                to.put(change >> trailing, width);
            }
        }
    }
}

fn histogram_alone(at: Timestamp, histogram: &Histogram) -> Vec<u8> {
    let nothing;
    let of = if histogram.is_stale() {
        nothing = histogram.nothing();
        &nothing
    } else {
        histogram
    };
    let mut bits = Bits::default();
    bits.put(1, 16);
    bits.put(if of.hint == ResetHint::Gauge { 0b11 } else { 0 } << 6, 8);
    match of.zero_threshold() {
        0.0 => bits.put(0, 8),
        threshold => {
            bits.put(255, 8);
            bits.float(threshold);
        }
    }
    bits.signed(i64::from(of.schema()), &WIDTHS);
    for side in [of.positive(), of.negative()] {
        let runs: Vec<_> = side.chunk_by(|a, b| a.0.checked_add(1) == Some(b.0)).collect();
        bits.unsigned(runs.len() as u64);
        let mut next = 0;
        for run in runs {
            let first = i64::from(run[0].0);
            bits.unsigned(run.len() as u64);
            bits.signed(first - next, &WIDTHS);
            next = first + run.len() as i64;
        }
    }
    if of.schema() == CUSTOM_BOUNDS {
        bits.unsigned(of.bounds().len() as u64);
        for &bound in of.bounds() {
            bits.put(0, 1);
            bits.float(bound);
        }
    }
    bits.signed(at.millis(), &WIDTHS);
    for count in [of.count(), of.zero_count()] {
        match of.float {
            true => bits.float(count),
            false => bits.unsigned(crate::buckets::whole(count).cast_unsigned()),
        }
    }
    bits.float(histogram.sum());
    for side in [of.positive(), of.negative()] {
        let mut last = 0;
        for &(_, count) in side {
            if of.float {
                bits.float(count);
            } else {
                let count = crate::buckets::whole(count);
                bits.signed(count.wrapping_sub(last), &WIDTHS);
                last = count;
            }
        }
    }
    bits.bytes
}

#[cfg(test)]
mod tests {
    use barograph_model::{HistogramParts, stale_marker};
    use proptest::prelude::*;

    use super::*;
    use crate::prometheus_tsdb::{histogram, xor};

    fn check_floats(samples: &[Sample]) {
        let mut back = Vec::new();
        xor::decode(&floats(samples), &mut back).unwrap();
        let bits = |samples: &[Sample]| -> Vec<_> {
            samples.iter().map(|sample| (sample.at, sample.value.to_bits())).collect()
        };
        assert_eq!(bits(&back), bits(samples));
    }

    fn check_histogram(parts: HistogramParts) {
        let histogram = Histogram::new(parts).unwrap();
        let at = Timestamp(1_700_000_000_123);
        let chunk = histogram_chunk(at, &histogram);
        let back = histogram::decode(&chunk.data, histogram.float).unwrap();
        assert_eq!(back.len(), 1);
        assert_eq!((back[0].0, &back[0].1), (at, &histogram));
    }

    #[test]
    fn histograms_come_back() {
        let parts = HistogramParts {
            schema: 3,
            count: 18.0,
            sum: 7.25,
            zero_threshold: 1e-9,
            zero_count: 2.0,
            positive: vec![(-5, 3.0), (-4, 1.0), (7, 5.0)],
            negative: vec![(0, 7.0)],
            ..HistogramParts::default()
        };
        check_histogram(parts.clone());
        check_histogram(HistogramParts { float: true, count: 18.5, zero_count: 2.5, ..parts.clone() });
        check_histogram(HistogramParts { hint: ResetHint::Gauge, ..parts });
        check_histogram(HistogramParts::default());
        check_histogram(HistogramParts {
            schema: CUSTOM_BOUNDS,
            bounds: vec![0.1, 2.0],
            positive: vec![(0, 1.0), (2, 4.0)],
            count: 5.0,
            ..HistogramParts::default()
        });
    }

    #[test]
    fn a_marker_has_no_buckets() {
        let parts = HistogramParts { sum: stale_marker(), ..HistogramParts::default() };
        let chunk = histogram_chunk(Timestamp(1), &Histogram::new(parts).unwrap());
        assert!(histogram::decode(&chunk.data, false).unwrap()[0].1.is_stale());
    }

    #[test]
    fn long_runs_are_cut() {
        let samples: Vec<_> = (0..250).map(|n| Sample { at: Timestamp(n * 15), value: 1.0 }).collect();
        let chunks: Vec<_> = float_chunks(&samples).collect();
        assert_eq!(chunks.len(), 3);
        assert_eq!((chunks[1].first, chunks[1].last), (Timestamp(1800), Timestamp(3585)));
    }

    proptest! {
        #[test]
        fn floats_come_back(deltas: Vec<(u32, u64)>, start in -4_000_000_000_000i64..4_000_000_000_000) {
            let mut at = start;
            let samples: Vec<_> = deltas.iter().map(|&(delta, bits)| {
                at += 1 + i64::from(delta);
                Sample { at: Timestamp(at), value: f64::from_bits(bits) }
            }).collect();
            samples.chunks(CHUNK_SAMPLES).for_each(check_floats);
        }
    }
}
