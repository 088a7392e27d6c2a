//! Where windows lie and how many samples they have.

use super::{
    WINDOWS_MAX,
    sheet::{Reading, Sheet, Writing},
};
use crate::{Code, Layout, Malformed, NUMBERS_MAX, column::Delta};

/// Columns of equal length, one entry a window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Times {
    /// Where each window starts, in milliseconds since the epoch; ascending.
    pub starts: Vec<i64>,
    /// How many samples it has, at least one.
    pub counts: Vec<u32>,
    /// How long after the start the first of them is, in milliseconds.
    pub firsts: Vec<u32>,
    /// How long after the start the last of them is.
    pub lasts: Vec<u32>,
}

impl Times {
    /// How many windows there are.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Bytes it takes in memory.
    pub fn memory(&self) -> usize {
        self.len() * (size_of::<i64>() + 3 * size_of::<u32>())
    }

    /// Some of them.
    pub fn part(&self, range: std::ops::Range<usize>) -> Self {
        let mut part = Self::default();
        part.append(self, range);
        part
    }

    pub(super) fn clear(&mut self) {
        self.starts.clear();
        self.counts.clear();
        self.firsts.clear();
        self.lasts.clear();
    }

    /// Adds a window. The first and the last sample lie in it.
    pub(super) fn push(&mut self, start: i64, count: u32, first_at: i64, last_at: i64) {
        let after = |at: i64| u32::try_from(at - start).expect("a sample lies in its window");
        self.starts.push(start);
        self.counts.push(count);
        self.firsts.push(after(first_at));
        self.lasts.push(after(last_at));
    }

    /// Adds a part of others, which are later.
    pub(super) fn append(&mut self, other: &Self, range: std::ops::Range<usize>) {
        self.starts.extend_from_slice(&other.starts[range.clone()]);
        self.counts.extend_from_slice(&other.counts[range.clone()]);
        self.firsts.extend_from_slice(&other.firsts[range.clone()]);
        self.lasts.extend_from_slice(&other.lasts[range]);
    }
}

/// A chunk of pages of times being written.
pub struct TimesEncoder {
    sheet: Sheet,
    starts: Writing<i64>,
    counts: Writing<u32>,
    firsts: Writing<u32>,
    /// From the first to the last sample.
    spans: Writing<u32>,
}

impl Default for TimesEncoder {
    fn default() -> Self {
        let [counts, firsts, spans] = [(); 3].map(|()| Writing::new(Delta::None));
        Self { sheet: Sheet::default(), starts: Writing::new(Delta::Before), counts, firsts, spans }
    }
}

impl TimesEncoder {
    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.sheet.pages.is_empty()
    }

    /// Whether a page of so many windows can be added.
    pub fn has_room(&self, windows: usize) -> bool {
        self.starts.numbers.len() + windows <= NUMBERS_MAX
    }

    /// Adds a page.
    ///
    /// # Panics
    /// If it is empty, longer than [`WINDOWS_MAX`], or there is no room for it.
    pub fn push(&mut self, times: &Times) {
        assert!((1..=WINDOWS_MAX).contains(&times.len()), "a page of {} windows", times.len());
        let page = self.sheet.pages.len();
        self.sheet.begin_page();
        self.starts.add(page, times.starts.iter().copied());
        self.counts.add(page, times.counts.iter().copied());
        self.firsts.add(page, times.firsts.iter().copied());
        self.spans.add(page, times.lasts.iter().zip(&times.firsts).map(|(last, first)| last - first));
    }

    /// Appends the chunk to `out` and begins anew.
    pub fn finish(&mut self, code: Code, out: &mut Vec<u8>) -> Layout {
        self.starts.finish(code, &mut self.sheet);
        self.counts.finish(code, &mut self.sheet);
        self.firsts.finish(code, &mut self.sheet);
        self.spans.finish(code, &mut self.sheet);
        self.sheet.finish(out)
    }
}

/// The meta of a chunk of times, ready to read pages with.
pub struct TimesChunk {
    starts: Reading<i64>,
    counts: Reading<u32>,
    firsts: Reading<u32>,
    spans: Reading<u32>,
}

impl TimesChunk {
    /// Reads the meta of a chunk.
    ///
    /// # Errors
    /// [`Malformed`] for bytes that are no such meta.
    pub fn open(meta: &[u8]) -> Result<Self, Malformed> {
        let rest = &mut &*meta;
        let starts = Reading::take(rest)?;
        let (counts, firsts, spans) = (Reading::take(rest)?, Reading::take(rest)?, Reading::take(rest)?);
        Ok(Self { starts, counts, firsts, spans })
    }

    /// Reads a page of `count` windows into `times`, in place of what is there.
    ///
    /// # Errors
    /// [`Malformed`] for bytes that are no page of this chunk, or a count above [`WINDOWS_MAX`].
    pub fn read_page(&mut self, page: &[u8], count: usize, times: &mut Times) -> Result<(), Malformed> {
        const WHAT: Malformed = Malformed { what: "times of windows" };
        times.clear();
        if !(1..=WINDOWS_MAX).contains(&count) {
            return Err(WHAT);
        }
        let rest = &mut &*page;
        self.starts.read(rest, count, &mut times.starts)?;
        self.counts.read(rest, count, &mut times.counts)?;
        self.firsts.read(rest, count, &mut times.firsts)?;
        self.spans.read(rest, count, &mut times.lasts)?;
        for (last, first) in times.lasts.iter_mut().zip(&times.firsts) {
            *last = last.checked_add(*first).ok_or(WHAT)?;
        }
        let sound = times.starts.is_sorted_by(|a, b| a < b) && times.counts.iter().all(|&count| count > 0);
        sound.then_some(()).ok_or(WHAT)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn page(start: i64, windows: &[(u32, u32, u32)]) -> Times {
        let mut times = Times::default();
        for (number, &(count, first, span)) in (0i64..).zip(windows) {
            let at = start + number * 60_000;
            times.push(at, count + 1, at + i64::from(first), at + i64::from(first) + i64::from(span));
        }
        times
    }

    proptest! {
        #[test]
        fn come_back(
            start in -1_000_000i64..1_000_000,
            pages in prop::collection::vec(prop::collection::vec((0u32..99, 0u32..30_000, 0u32..30_000), 1..60), 1..5),
        ) {
            let pages: Vec<Times> = pages.iter().map(|windows| page(start, windows)).collect();
            let (mut encoder, mut bytes) = (TimesEncoder::default(), b"before".to_vec());
            prop_assert!(encoder.is_empty() && encoder.has_room(NUMBERS_MAX));
            pages.iter().for_each(|page| encoder.push(page));
            let layout = encoder.finish(Code::Dense, &mut bytes);
            let mut chunk = TimesChunk::open(&bytes[6..6 + layout.meta_len]).unwrap();
            let mut at = 6 + layout.meta_len;
            let mut times = Times::default();
            for (page, len) in pages.iter().zip(layout.page_lens) {
                chunk.read_page(&bytes[at..at + len], page.len(), &mut times).unwrap();
                at += len;
                prop_assert_eq!(&times, page);
            }
        }

        #[test]
        fn any_bytes_are_an_answer(meta in prop::collection::vec(any::<u8>(), 0..100), page: Vec<u8>, count: usize) {
            if let Ok(mut chunk) = TimesChunk::open(&meta) {
                let _ = chunk.read_page(&page, count, &mut Times::default());
            }
        }
    }
}
