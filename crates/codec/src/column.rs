//! The blocks' codes: many numbers at once.
//!
//! A chunk holds up to [`NUMBERS_MAX`] numbers of one kind in pages. What the pages share is the chunk's *meta*, which is
//! read once; with it each page can be read alone. There are two codes, told apart by the first byte of the meta:
//!
//! - [`Code::Light`]: bits side by side (`packed.rs`), for what will soon be written again.
//! - [`Code::Dense`]: by `pco` in its wrapped form, for what stays. Doubles that are decimals (`integers.rs`) are coded
//!   as their integers.
//!
//! ```text
//! light meta: 0xff                            page: see packed.rs
//! dense meta: 0x80 + decimals, or nothing;    page: pco page
//!             pco wrapped header, pco chunk meta
//! ```
//!
//! The number of values in a page is kept by the block's index. Level 4 of `pco`: higher ones gain less than 1 %.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pco::{
    ChunkConfig, DeltaSpec, ModeSpec, PagingSpec, data_types,
    metadata::{DeltaEncoding, Mode},
    wrapped::{ChunkDecompressor, FileCompressor, FileDecompressor},
};

use crate::{
    Malformed,
    integers::{Decimals, Integral},
    packed,
};

/// The most numbers in a chunk.
pub const NUMBERS_MAX: usize = 1 << 16;

const LEVEL: usize = 4;

/// The meta of a chunk in the light code.
const LIGHT: u8 = 0xff;

/// Added to the first byte of what is said of decimals. The header of `pco` begins with a lower byte.
const DECIMALS: u8 = 0x80;

/// How columns become bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Code {
    /// Fast: for what will be written again.
    Light,
    /// Small: for what stays.
    #[default]
    Dense,
}

/// What a column holds: `i64` for timestamps, `f64` for values, `u32` for counts.
pub trait Number: data_types::Number + Default + Integral {
    /// What `pco` looks for in numbers that are no decimals. In integers nothing: those that are no values have no
    /// common divisor but by chance.
    #[doc(hidden)]
    fn mode() -> ModeSpec {
        ModeSpec::Classic
    }
}

impl Number for i64 {}

impl Number for f64 {
    fn mode() -> ModeSpec {
        ModeSpec::Auto
    }
}

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
pub fn encode_timestamps(numbers: &[i64], counts: &[usize], code: Code, out: &mut Vec<u8>) -> Layout {
    encode(numbers, counts, Delta::Before, code, out)
}

/// Appends a chunk of values to `out`, as [`encode_timestamps`] does.
///
/// # Panics
/// As [`encode_timestamps`].
pub fn encode_values(numbers: &[f64], counts: &[usize], code: Code, out: &mut Vec<u8>) -> Layout {
    encode(numbers, counts, Delta::Before, code, out)
}

pub(crate) fn encode<T: Number>(
    numbers: &[T],
    counts: &[usize],
    delta: Delta,
    code: Code,
    out: &mut Vec<u8>,
) -> Layout {
    assert!(numbers.len() <= NUMBERS_MAX, "a chunk of {} numbers is longer than its limit", numbers.len());
    match code {
        Code::Light => encode_light(numbers, counts, out),
        Code::Dense => encode_dense(numbers, counts, delta, out),
    }
}

fn encode_light<T: Number>(numbers: &[T], counts: &[usize], out: &mut Vec<u8>) -> Layout {
    out.push(LIGHT);
    let mut scratch = packed::Scratch::default();
    let mut rest = numbers;
    let mut page_lens = Vec::with_capacity(counts.len());
    for &count in counts {
        let (own, after) = rest.split_at(count);
        rest = after;
        let start = out.len();
        packed::encode(own, &mut scratch, out);
        page_lens.push(out.len() - start);
    }
    assert!(rest.is_empty(), "counts add up");
    Layout { meta_len: 1, page_lens }
}

fn encode_dense<T: Number>(numbers: &[T], counts: &[usize], delta: Delta, out: &mut Vec<u8>) -> Layout {
    let mut integers = Vec::new();
    let Some(decimals) = T::to_decimals(numbers, &mut integers) else {
        return compress(numbers, counts, delta, T::mode(), out);
    };
    let steps = Steps::of(&integers, counts);
    if steps.are_even() {
        let start = out.len();
        let layout = encode_light(numbers, counts, out);
        if (out.len() - start) * EVEN_NUMBERS <= numbers.len() {
            return layout;
        }
        out.truncate(start);
    }
    let start = out.len();
    decimals.put(out);
    out[start] |= DECIMALS;
    let said = out.len() - start;
    let delta = if steps.are_less() { delta } else { Delta::None };
    let mode = match common_divisor(&integers) {
        0 | 1 => ModeSpec::Classic,
        divisor => ModeSpec::TryIntMult(divisor),
    };
    let layout = compress(&integers, counts, delta, mode, out);
    Layout { meta_len: said + layout.meta_len, ..layout }
}

fn compress<T: Number>(
    numbers: &[T],
    counts: &[usize],
    delta: Delta,
    mode: ModeSpec,
    out: &mut Vec<u8>,
) -> Layout {
    let delta = match delta {
        Delta::None => DeltaSpec::NoOp,
        Delta::Before => DeltaSpec::TryConsecutive(1),
    };
    let config = ChunkConfig::default()
        .with_compression_level(LEVEL)
        .with_mode_spec(mode)
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

/// What divides by how much all numbers differ from the first; 0 if they are the same.
fn common_divisor(integers: &[i64]) -> u64 {
    let Some(&first) = integers.first() else { return 0 };
    let mut divisor = 0;
    for integer in integers {
        let mut off = integer.wrapping_sub(first).unsigned_abs();
        while off != 0 {
            (divisor, off) = (off, divisor % off);
        }
        if divisor == 1 {
            break;
        }
    }
    divisor
}

/// How the numbers of a chunk go on, by the first few thousand.
struct Steps {
    numbers: usize,
    /// Bits of how far numbers are from their mean.
    own: u64,
    /// Bits of how far the steps from one to the next are from their mean.
    steps: u64,
}

/// From so many numbers a byte on what changes rarely is left to the light code.
const EVEN_NUMBERS: usize = 48;

impl Steps {
    fn of(integers: &[i64], counts: &[usize]) -> Self {
        const ENOUGH: usize = 2048;
        let mut pages = Vec::new();
        let mut seen = 0;
        for &count in counts {
            pages.push(&integers[seen..seen + count]);
            seen += count;
            if seen >= ENOUGH {
                break;
            }
        }
        let mean =
            |sum: i128, count: usize| i64::try_from(sum / i128::from(count.max(1) as u64)).unwrap_or(0);
        let middle = mean(integers[..seen].iter().map(|&integer| i128::from(integer)).sum(), seen);
        let ends = pages.iter().map(|page| i128::from(page[page.len() - 1]) - i128::from(page[0]));
        let step = mean(ends.sum(), seen - pages.len());
        let bits = |off: i64| u64::from(u64::BITS - off.unsigned_abs().leading_zeros());
        let mut found = Self { numbers: seen, own: 0, steps: 0 };
        for page in pages {
            found.own += page.iter().map(|integer| bits(integer.wrapping_sub(middle))).sum::<u64>();
            let steps = page.windows(2).map(|pair| pair[1].wrapping_sub(pair[0]));
            found.steps += steps.map(|own| bits(own.wrapping_sub(step))).sum::<u64>();
        }
        found
    }

    /// Whether neighbours differ by less than all differ from their mean: what a counter does, and noise does not.
    fn are_less(&self) -> bool {
        self.steps <= self.own
    }

    /// Whether nearly all steps are the same.
    fn are_even(&self) -> bool {
        self.steps * 16 <= self.numbers as u64
    }
}

/// The meta of a chunk, ready to read pages with. `T` is `i64` for timestamps, `f64` for values.
#[derive(Clone, Debug)]
pub struct ColumnChunk<T: Number>(Reading<T>);

#[derive(Clone, Debug)]
enum Reading<T: Number> {
    Light(packed::Scratch),
    Decimals(Decimals, ChunkDecompressor<i64>, Vec<i64>),
    Plain(ChunkDecompressor<T>),
}

impl<T: Number> ColumnChunk<T> {
    /// Reads the meta of a chunk.
    ///
    /// # Errors
    /// [`Malformed`] for bytes that are no such meta.
    pub fn open(meta: &[u8]) -> Result<Self, Malformed> {
        const WHAT: Malformed = Malformed { what: "column meta" };
        let reading = match *meta {
            [LIGHT] => Some(Reading::Light(packed::Scratch::default())),
            [first @ DECIMALS..=LIGHT, ref rest @ ..] => {
                let rest = &mut &*rest;
                let decimals = Decimals::take(first - DECIMALS, rest);
                decimals.and_then(|decimals| Some(Reading::Decimals(decimals, open(rest)?, Vec::new())))
            }
            _ => open(meta).map(Reading::Plain),
        };
        reading.map(Self).ok_or(WHAT)
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
        match &mut self.0 {
            Reading::Light(scratch) => packed::decode(page, count, scratch, numbers),
            Reading::Decimals(decimals, chunk, integers) => {
                decompress(chunk, page, count, integers).ok_or(WHAT)?;
                T::from_decimals(*decimals, integers, numbers).ok_or(WHAT)
            }
            Reading::Plain(chunk) => decompress(chunk, page, count, numbers).ok_or(WHAT),
        }
    }
}

fn open<T: Number>(meta: &[u8]) -> Option<ChunkDecompressor<T>> {
    fenced(|| {
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
        (known_mode && known_delta).then_some(chunk)
    })
}

fn decompress<T: Number>(
    chunk: &mut ChunkDecompressor<T>,
    page: &[u8],
    count: usize,
    numbers: &mut Vec<T>,
) -> Option<()> {
    numbers.clear();
    numbers.resize(count, T::default());
    fenced(|| {
        let mut reader = chunk.page_decompressor(page, count).ok()?;
        reader.read(numbers).ok()?.finished.then_some(())
    })
}

/// Modes by their number in the format: classic, int mult, float mult, float quant.
const MODES_WRITTEN: [u8; 4] = [0, 1, 2, 3];

/// Runs a foreign decoder. The bytes it sees passed a checksum, so a panic in it needs bytes that were written
/// wrong; even those must not take the server down.
fn fenced<R>(decode: impl FnOnce() -> Option<R>) -> Option<R> {
    catch_unwind(AssertUnwindSafe(decode)).ok().flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(columns: &[Vec<f64>]) -> usize {
        check_as(columns, Code::Light);
        check_as(columns, Code::Dense)
    }

    fn check_as(columns: &[Vec<f64>], code: Code) -> usize {
        let all: Vec<f64> = columns.concat();
        let counts: Vec<_> = columns.iter().map(Vec::len).collect();
        let mut bytes = b"before".to_vec();
        let layout = encode_values(&all, &counts, code, &mut bytes);
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
        let layout = encode_timestamps(&times, &[500, 1_500], Code::Dense, &mut bytes);
        let mut chunk = ColumnChunk::<i64>::open(&bytes[..layout.meta_len]).unwrap();
        let mut numbers = Vec::new();
        chunk.read_page(&bytes[layout.meta_len + layout.page_lens[0]..], 1_500, &mut numbers).unwrap();
        assert_eq!(numbers, times[500..]);
        assert!(bytes.len() < 1_000, "{}", bytes.len());
    }

    #[test]
    fn a_page_that_is_too_long_is_refused_before_allocation() {
        let mut bytes = Vec::new();
        let layout = encode_values(&[1.0], &[1], Code::Dense, &mut bytes);
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
        fn flipped_bits_are_an_answer(
            columns in prop::collection::vec(column(), 1..3),
            flips: [u16; 4],
            code in prop_oneof![Just(Code::Light), Just(Code::Dense)],
        ) {
            let counts: Vec<_> = columns.iter().map(Vec::len).collect();
            let mut bytes = Vec::new();
            let layout = encode_values(&columns.concat(), &counts, code, &mut bytes);
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
