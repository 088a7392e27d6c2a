//! The blocks' code: many numbers at once, by `pco` in its wrapped form.
//!
//! A chunk holds up to [`NUMBERS_MAX`] numbers of one kind in pages, one page a series. What the pages share (how
//! numbers become small ones, and how often each occurs) is the chunk's *meta*, which is read once; with it each page
//! can be read alone. Integer and decimal columns are found by `pco` itself.
//!
//! ```text
//! meta: pco wrapped header, pco chunk meta
//! page: pco page; the number of values in it is kept by the block's index
//! ```
//!
//! Level 4 and first-order deltas, named rather than searched for: higher levels gain at most 3 % on monitoring data.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pco::{
    ChunkConfig, DeltaSpec, PagingSpec, data_types,
    metadata::{DeltaEncoding, Mode},
    wrapped::{ChunkDecompressor, FileCompressor, FileDecompressor},
};

use crate::Malformed;

/// The most numbers in a chunk.
pub const NUMBERS_MAX: usize = 1 << 16;

const LEVEL: usize = 4;

/// What a column holds: `i64` for timestamps, `f64` for values, `u32` for counts.
pub trait Number: data_types::Number + Default {}

impl Number for i64 {}

impl Number for f64 {}

impl Number for u32 {}

/// What of a column is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delta {
    /// The numbers: they say nothing of each other.
    None,
    /// By how much each differs from the one before.
    Before,
}

/// Where the parts of an encoded chunk ended up: the meta first, then page after page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Bytes of the meta.
    pub meta_len: usize,
    /// Bytes of each page.
    pub page_lens: Vec<usize>,
}

/// Appends a chunk of timestamps to `out`. `counts` says how many of them belong to each page; they add up.
///
/// # Panics
/// If a count is zero, they don't add up, or there are more than [`NUMBERS_MAX`].
pub fn encode_timestamps(numbers: &[i64], counts: &[usize], out: &mut Vec<u8>) -> Layout {
    encode(numbers, counts, Delta::Before, out)
}

/// Appends a chunk of values to `out`, as [`encode_timestamps`] does.
///
/// # Panics
/// As [`encode_timestamps`].
pub fn encode_values(numbers: &[f64], counts: &[usize], out: &mut Vec<u8>) -> Layout {
    encode(numbers, counts, Delta::Before, out)
}

pub(crate) fn encode<T: Number>(numbers: &[T], counts: &[usize], delta: Delta, out: &mut Vec<u8>) -> Layout {
    assert!(numbers.len() <= NUMBERS_MAX, "a chunk of {} numbers is longer than its limit", numbers.len());
    let delta = match delta {
        Delta::None => DeltaSpec::NoOp,
        Delta::Before => DeltaSpec::TryConsecutive(1),
    };
    let config = ChunkConfig::default()
        .with_compression_level(LEVEL)
        .with_delta_spec(delta)
        .with_paging_spec(PagingSpec::Exact(counts.to_vec()));
    let start = out.len();
    let compressor = FileCompressor::default();
    const SURE: &str = "writing to memory with a checked configuration does not fail";
    compressor.write_header(&mut *out).expect(SURE);
    let mut chunk = compressor.chunk_compressor(numbers, &config).expect("counts add up and none is zero");
    chunk.write_meta(&mut *out).expect(SURE);
    let mut layout = Layout { meta_len: out.len() - start, page_lens: Vec::with_capacity(counts.len()) };
    for page in 0..counts.len() {
        let start = out.len();
        chunk.write_page(page, &mut *out).expect(SURE);
        layout.page_lens.push(out.len() - start);
    }
    layout
}

/// The meta of a chunk, ready to read pages with. `T` is `i64` for timestamps, `f64` for values.
#[derive(Clone, Debug)]
pub struct ColumnChunk<T: Number>(ChunkDecompressor<T>);

impl<T: Number> ColumnChunk<T> {
    /// Reads the meta of a chunk.
    ///
    /// # Errors
    /// [`Malformed`] for bytes that are no such meta.
    pub fn open(meta: &[u8]) -> Result<Self, Malformed> {
        const WHAT: Malformed = Malformed { what: "column meta" };
        fenced(WHAT, || {
            let (file, rest) = FileDecompressor::new(meta).ok()?;
            // The mode is the first four bits. A dictionary's length, which this encoder never writes, would be
            // believed before it is checked.
            if !MODES_WRITTEN.contains(&(rest.first()? & 0x0f)) {
                return None;
            }
            let (chunk, _) = file.chunk_decompressor::<T, _>(rest).ok()?;
            let known_mode = !matches!(chunk.meta().mode, Mode::Dict(_));
            let delta = &chunk.meta().delta_encoding;
            let known_delta = matches!(delta, DeltaEncoding::NoOp | DeltaEncoding::Consecutive { .. });
            (known_mode && known_delta).then_some(Self(chunk))
        })
    }

    /// Reads a page of `count` numbers into `numbers`, in place of what is there.
    ///
    /// # Errors
    /// [`Malformed`] for bytes that are no page of this chunk, or a count above [`NUMBERS_MAX`].
    pub fn read_page(&mut self, page: &[u8], count: usize, numbers: &mut Vec<T>) -> Result<(), Malformed> {
        const WHAT: Malformed = Malformed { what: "column page" };
        numbers.clear();
        if count > NUMBERS_MAX {
            return Err(WHAT);
        }
        numbers.resize(count, T::default());
        fenced(WHAT, || {
            let mut reader = self.0.page_decompressor(page, count).ok()?;
            reader.read(numbers).ok()?.finished.then_some(())
        })
    }
}

/// Modes by their number in the format: classic, int mult, float mult, float quant.
const MODES_WRITTEN: [u8; 4] = [0, 1, 2, 3];

/// Runs a foreign decoder. The bytes it sees passed a checksum, so a panic in it needs bytes that were written
/// wrong; even those must not take the server down.
fn fenced<R>(error: Malformed, decode: impl FnOnce() -> Option<R>) -> Result<R, Malformed> {
    catch_unwind(AssertUnwindSafe(decode)).ok().flatten().ok_or(error)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(columns: &[Vec<f64>]) -> usize {
        let all: Vec<f64> = columns.concat();
        let counts: Vec<_> = columns.iter().map(Vec::len).collect();
        let mut bytes = b"before".to_vec();
        let layout = encode_values(&all, &counts, &mut bytes);
        let mut chunk = ColumnChunk::<f64>::open(&bytes[6..6 + layout.meta_len]).unwrap();
        let mut at = 6 + layout.meta_len;
        let mut numbers = Vec::new();
        for (column, len) in columns.iter().zip(&layout.page_lens) {
            chunk.read_page(&bytes[at..at + len], column.len(), &mut numbers).unwrap();
            at += len;
            let bits = |column: &[f64]| column.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&numbers), bits(column));
        }
        assert_eq!(at, bytes.len());
        bytes.len() - 6
    }

    #[test]
    fn common_shapes_are_small() {
        let counter = check(&vec![(0..1000).map(|i| f64::from(i * 10)).collect(); 8]);
        assert!(counter < 1_000, "{counter}");
        let gauge = check(&vec![(0..1000).map(|i| f64::from(i * 7919 % 10_000) / 100.0).collect(); 8]);
        assert!(gauge < 8_000 * 9 / 4, "{gauge}");
    }

    #[test]
    fn timestamps_come_back() {
        let times: Vec<i64> = (0..2_000).map(|i| 1_700_000_000_000 + i * 15_000 + i * i % 5).collect();
        let mut bytes = Vec::new();
        let layout = encode_timestamps(&times, &[500, 1_500], &mut bytes);
        let mut chunk = ColumnChunk::<i64>::open(&bytes[..layout.meta_len]).unwrap();
        let mut numbers = Vec::new();
        chunk.read_page(&bytes[layout.meta_len + layout.page_lens[0]..], 1_500, &mut numbers).unwrap();
        assert_eq!(numbers, times[500..]);
        assert!(bytes.len() < 1_000, "{}", bytes.len());
    }

    #[test]
    fn a_page_that_is_too_long_is_refused_before_allocation() {
        let mut bytes = Vec::new();
        let layout = encode_values(&[1.0], &[1], &mut bytes);
        let mut chunk = ColumnChunk::<f64>::open(&bytes[..layout.meta_len]).unwrap();
        assert!(chunk.read_page(&[], usize::MAX, &mut Vec::new()).is_err());
    }

    fn column() -> impl Strategy<Value = Vec<f64>> {
        let odd = prop::collection::vec(any::<u64>().prop_map(f64::from_bits), 1..200);
        let decimal = prop::collection::vec((-9_999i32..9_999).prop_map(|m| f64::from(m) / 100.0), 1..600);
        let stale = Just(f64::from_bits(0x7ff0_0000_0000_0002));
        let mixed =
            prop::collection::vec(prop_oneof![9 => (0u32..99).prop_map(f64::from), 1 => stale], 1..600);
        prop_oneof![odd, decimal, mixed]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn decodes_what_was_encoded(columns in prop::collection::vec(column(), 1..6)) {
            check(&columns);
        }

        #[test]
        fn any_bytes_are_an_answer(meta in prop::collection::vec(any::<u8>(), 0..100), page: Vec<u8>) {
            if let Ok(mut chunk) = ColumnChunk::<f64>::open(&meta) {
                let _ = chunk.read_page(&page, 300, &mut Vec::new());
            }
        }

        #[test]
        fn flipped_bits_are_an_answer(columns in prop::collection::vec(column(), 1..3), flips: [u16; 4]) {
            let counts: Vec<_> = columns.iter().map(Vec::len).collect();
            let mut bytes = Vec::new();
            let layout = encode_values(&columns.concat(), &counts, &mut bytes);
            for flip in flips {
                let bit = usize::from(flip) % (bytes.len() * 8);
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
            if let Ok(mut chunk) = ColumnChunk::<f64>::open(&bytes[..layout.meta_len]) {
                let _ = chunk.read_page(&bytes[layout.meta_len..], counts[0], &mut Vec::new());
            }
        }
    }
}
