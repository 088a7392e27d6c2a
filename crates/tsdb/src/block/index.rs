//! The index of a block: built while the block is written, decoded once when it is first read.
//!
//! ```text
//! symbols    count, then for each in byte order: bytes shared with the one before, length of the rest, rest
//! chunks     count, then for each in file order: kind u8, length of meta, crc32c u32 of meta,
//!            count of pages, then for each page: length, crc32c u32,
//!            and for timestamps or times: count, first time less the block's first, last time less first time
//! series     count, then for each in label order: labels shared with the one before, count of further labels,
//!            symbol of name and of value of each; count of pages, for each: timestamps page (change, signed)
//! postings   count of names, then for each: symbol (gap), count of values,
//!            then for each: symbol (gap), length of list, list of runs
//! ```
//!
//! All numbers are varints unless said otherwise. Pages follow their chunk's meta without gaps, chunks follow each other
//! from the end of the file's header; values pages are numbered through and belong to the series in order.

use std::{cmp::Ordering, ops::Range};

use barograph_codec::varint;
use barograph_disk::file;
use barograph_model::{Labels, Matcher, TimeRange};

use super::{PAGE_SAMPLES_MAX, postings, symbols::Symbols};

/// What the pages of a chunk hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Timestamps,
    Values,
    /// Windows of a tier, but for where they lie.
    Windows,
    /// Bytes of a code of their own: native histograms.
    Streams,
    /// Where windows lie.
    Times,
}

impl Kind {
    /// In the order of their numbers.
    const ALL: [Self; 5] = [Self::Timestamps, Self::Values, Self::Windows, Self::Streams, Self::Times];

    /// Whether its pages say when, and may belong to many series.
    fn is_time(self) -> bool {
        matches!(self, Self::Timestamps | Self::Times)
    }
}

/// A page: where it lies and how to check it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    pub(super) chunk: u32,
    pub(super) at: u64,
    pub(super) len: u32,
    pub(super) crc: u32,
}

/// What a page of timestamps covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) count: u32,
    pub(crate) first: i64,
    pub(crate) last: i64,
}

impl Span {
    pub(crate) fn overlaps(&self, range: &TimeRange) -> bool {
        self.first < range.end.millis() && self.last >= range.start.millis()
    }
}

/// The meta of a chunk: where it lies and how to check it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) at: u64,
    pub(super) meta_len: u32,
    pub(super) meta_crc: u32,
    /// Where its last page ends.
    pub(super) end: u64,
}

/// A chunk as it was written.
pub(super) struct WrittenChunk {
    pub(super) kind: Kind,
    pub(super) meta_len: usize,
    pub(super) meta_crc: u32,
    /// Length and checksum of each page.
    pub(super) pages: Vec<(usize, u32)>,
}

/// Bytes of an index that are written at once, about.
const PIECE_BYTES: usize = 64 << 10;

/// Writes bytes out, and empties them, if they are at least so many.
type Spill<'w, E> = &'w mut dyn FnMut(&mut Vec<u8>, usize) -> Result<(), E>;

/// What is gathered while a block is written.
#[derive(Default)]
pub(super) struct Builder {
    symbols: Symbols,
    pub(super) chunks: Vec<WrittenChunk>,
    pub(super) spans: Vec<Span>,
    series: Vec<Series>,
}

/// A series of a block being written.
struct Series {
    /// Its labels, as symbols.
    pairs: Vec<(u32, u32)>,
    /// The pages of timestamps that belong to its pages of values.
    pages: Vec<u32>,
}

impl Builder {
    pub(super) fn add_series(&mut self, labels: &Labels, pages: Vec<u32>) {
        let pairs =
            labels.iter().map(|(name, value)| (self.symbols.add(name), self.symbols.add(value))).collect();
        self.series.push(Series { pairs, pages });
    }

    pub(super) fn series_count(&self) -> u64 {
        self.series.len() as u64
    }

    /// Gives the bytes of the index to `write`, piece by piece: a large index is not held a second time.
    pub(super) fn encode<E>(
        mut self,
        min_at: i64,
        write: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut bytes = Vec::new();
        let spill = &mut |bytes: &mut Vec<u8>, at_least: usize| {
            if bytes.len() >= at_least {
                write(bytes)?;
                bytes.clear();
            }
            Ok(())
        };
        let symbols = self.symbols.in_order();
        let mut sorted = vec![0u32; symbols.len()];
        varint::put(&mut bytes, symbols.len() as u64);
        let mut before = "";
        for (position, (text, number)) in (0u32..).zip(symbols) {
            sorted[number] = position;
            let shared = before.bytes().zip(text.bytes()).take_while(|(a, b)| a == b).count();
            varint::put(&mut bytes, shared as u64);
            varint::put_slice(&mut bytes, &text.as_bytes()[shared..]);
            before = text;
            spill(&mut bytes, PIECE_BYTES)?;
        }
        self.symbols = Symbols::default();
        for pair in self.series.iter_mut().flat_map(|series| &mut series.pairs) {
            *pair = (sorted[pair.0 as usize], sorted[pair.1 as usize]);
        }
        self.encode_chunks(&mut bytes, min_at);
        self.encode_series(&mut bytes, spill)?;
        self.encode_postings(&mut bytes, spill)?;
        spill(&mut bytes, 1)
    }

    fn encode_chunks(&self, bytes: &mut Vec<u8>, min_at: i64) {
        varint::put(bytes, self.chunks.len() as u64);
        let mut spans = self.spans.iter();
        for chunk in &self.chunks {
            bytes.push(chunk.kind as u8);
            varint::put(bytes, chunk.meta_len as u64);
            bytes.extend_from_slice(&chunk.meta_crc.to_le_bytes());
            varint::put(bytes, chunk.pages.len() as u64);
            for (len, crc) in &chunk.pages {
                varint::put(bytes, *len as u64);
                bytes.extend_from_slice(&crc.to_le_bytes());
                if chunk.kind.is_time() {
                    let span = spans.next().expect("every page of timestamps has a span");
                    varint::put(bytes, u64::from(span.count));
                    varint::put_signed(bytes, span.first.wrapping_sub(min_at));
                    varint::put_signed(bytes, span.last.wrapping_sub(span.first));
                }
            }
        }
    }

    fn encode_series<E>(&self, bytes: &mut Vec<u8>, spill: Spill<'_, E>) -> Result<(), E> {
        varint::put(bytes, self.series.len() as u64);
        let mut before: &[(u32, u32)] = &[];
        let mut page_before = 0;
        for Series { pairs, pages } in &self.series {
            let shared = before.iter().zip(pairs).take_while(|(a, b)| a == b).count();
            varint::put(bytes, shared as u64);
            varint::put(bytes, (pairs.len() - shared) as u64);
            for (name, value) in &pairs[shared..] {
                varint::put(bytes, u64::from(*name));
                varint::put(bytes, u64::from(*value));
            }
            varint::put(bytes, pages.len() as u64);
            for &page in pages {
                varint::put_signed(bytes, i64::from(page) - page_before);
                page_before = i64::from(page);
            }
            before = pairs;
            spill(bytes, PIECE_BYTES)?;
        }
        Ok(())
    }

    fn encode_postings<E>(&self, bytes: &mut Vec<u8>, spill: Spill<'_, E>) -> Result<(), E> {
        let pairs = self.series.iter().map(|series| series.pairs.len()).sum();
        let mut all: Vec<(u32, u32, u32)> = Vec::with_capacity(pairs);
        for (id, series) in (0u32..).zip(&self.series) {
            all.extend(series.pairs.iter().map(|&(name, value)| (name, value, id)));
        }
        all.sort_unstable();
        varint::put(bytes, all.chunk_by(|a, b| a.0 == b.0).count() as u64);
        let mut name_before = 0;
        let (mut ids, mut list) = (Vec::new(), Vec::new());
        for of_name in all.chunk_by(|a, b| a.0 == b.0) {
            varint::put(bytes, u64::from(of_name[0].0 - name_before));
            name_before = of_name[0].0;
            varint::put(bytes, of_name.chunk_by(|a, b| a.1 == b.1).count() as u64);
            let mut value_before = 0;
            for of_value in of_name.chunk_by(|a, b| a.1 == b.1) {
                varint::put(bytes, u64::from(of_value[0].1 - value_before));
                value_before = of_value[0].1;
                ids.clear();
                ids.extend(of_value.iter().map(|entry| entry.2));
                list.clear();
                postings::encode(&mut list, &ids);
                varint::put_slice(bytes, &list);
                spill(bytes, PIECE_BYTES)?;
            }
        }
        Ok(())
    }
}

/// The index of a block in memory.
#[derive(Default)]
pub(crate) struct Index {
    text: String,
    /// Where each symbol ends in the text.
    symbol_ends: Vec<u32>,
    pub(super) chunks: Vec<Chunk>,
    pub(super) time_pages: Vec<(Page, Span)>,
    pub(super) value_pages: Vec<Page>,
    /// Labels of all series, as symbols.
    pairs: Vec<(u32, u32)>,
    /// Where the labels of each series end.
    pair_ends: Vec<u32>,
    /// The page of timestamps that belongs to each page of values.
    times_of: Vec<u32>,
    /// Where the pages of each series end.
    page_ends: Vec<u32>,
    /// Label names and their part of `values`, in order.
    names: Vec<(u32, Range<u32>)>,
    /// Label values and their part of `lists`, in order within their name.
    values: Vec<(u32, Range<u32>)>,
    lists: Vec<u8>,
}

impl Index {
    /// Reads the bytes of an index; `None` if anything in them does not fit together.
    pub(crate) fn decode(bytes: &[u8], min_at: i64, body_end: u64) -> Option<Self> {
        let rest = &mut &*bytes;
        let mut index = Self::default();
        index.decode_symbols(rest)?;
        index.decode_chunks(rest, min_at, body_end)?;
        index.decode_series(rest)?;
        index.decode_postings(rest)?;
        rest.is_empty().then_some(index)
    }

    fn decode_symbols(&mut self, rest: &mut &[u8]) -> Option<()> {
        // Gone through twice: text that grew would take twice its room.
        let (mut ahead, mut text, mut len) = (*rest, 0usize, 0);
        for _ in 0..varint::take(&mut ahead)? {
            let shared = varint::take_usize(&mut ahead)?;
            if shared > len {
                return None;
            }
            len = shared + varint::take_slice(&mut ahead)?.len();
            text = text.checked_add(len)?;
        }
        self.text.reserve_exact(u32::try_from(text).ok()? as usize);
        let mut symbol = Vec::new();
        for _ in 0..varint::take(rest)? {
            symbol.truncate(varint::take_usize(rest)?);
            symbol.extend_from_slice(varint::take_slice(rest)?);
            self.text.push_str(std::str::from_utf8(&symbol).ok()?);
            self.symbol_ends.push(u32::try_from(self.text.len()).ok()?);
        }
        Some(())
    }

    fn decode_chunks(&mut self, rest: &mut &[u8], min_at: i64, body_end: u64) -> Option<()> {
        let mut at = file::HEADER_LEN as u64;
        for number in 0..u32::try_from(varint::take(rest)?).ok()? {
            let [kind] = take_array(rest)?;
            let kind = *Kind::ALL.get(usize::from(kind))?;
            let meta_len = u32::try_from(varint::take(rest)?).ok()?;
            let meta_crc = u32::from_le_bytes(take_array(rest)?);
            let start = at;
            at = at.checked_add(u64::from(meta_len))?;
            for _ in 0..varint::take(rest)? {
                let len = u32::try_from(varint::take(rest)?).ok()?;
                let page = Page { chunk: number, at, len, crc: u32::from_le_bytes(take_array(rest)?) };
                at = at.checked_add(u64::from(len))?;
                if !kind.is_time() {
                    self.value_pages.push(page);
                    continue;
                }
                let count = u32::try_from(varint::take(rest)?).ok()?;
                let first = min_at.wrapping_add(varint::take_signed(rest)?);
                let last = first.wrapping_add(varint::take_signed(rest)?);
                if count == 0 || count as usize > PAGE_SAMPLES_MAX || last < first {
                    return None;
                }
                self.time_pages.push((page, Span { count, first, last }));
            }
            self.chunks.push(Chunk { at: start, meta_len, meta_crc, end: at });
        }
        (at <= body_end).then_some(())
    }

    fn decode_series(&mut self, rest: &mut &[u8]) -> Option<()> {
        let symbols = u32::try_from(self.symbol_ends.len()).ok()?;
        let symbol =
            |rest: &mut &[u8]| u32::try_from(varint::take(rest)?).ok().filter(|&number| number < symbols);
        let (mut before, mut page_before) = (0..0, 0);
        for _ in 0..varint::take(rest)? {
            let shared = varint::take_usize(rest)?;
            if shared > before.len() {
                return None;
            }
            let start = self.pairs.len();
            self.pairs.extend_from_within(before.start..before.start + shared);
            for _ in 0..varint::take(rest)? {
                self.pairs.push((symbol(rest)?, symbol(rest)?));
            }
            before = start..self.pairs.len();
            self.pair_ends.push(u32::try_from(self.pairs.len()).ok()?);
            for _ in 0..varint::take(rest)? {
                let page = i64::checked_add(page_before, varint::take_signed(rest)?)?;
                let number = u32::try_from(page).ok().filter(|&n| (n as usize) < self.time_pages.len())?;
                self.times_of.push(number);
                page_before = page;
            }
            self.page_ends.push(u32::try_from(self.times_of.len()).ok()?);
        }
        (self.times_of.len() == self.value_pages.len()).then_some(())
    }

    fn decode_postings(&mut self, rest: &mut &[u8]) -> Option<()> {
        let symbols = self.symbol_ends.len();
        let gap = |before: u32, rest: &mut &[u8]| {
            let number = before.checked_add(u32::try_from(varint::take(rest)?).ok()?)?;
            ((number as usize) < symbols).then_some(number)
        };
        let mut name = 0;
        for _ in 0..varint::take(rest)? {
            name = gap(name, rest)?;
            let start = u32::try_from(self.values.len()).ok()?;
            let mut value = 0;
            for _ in 0..varint::take(rest)? {
                value = gap(value, rest)?;
                let from = u32::try_from(self.lists.len()).ok()?;
                self.lists.extend_from_slice(varint::take_slice(rest)?);
                self.values.push((value, from..u32::try_from(self.lists.len()).ok()?));
            }
            self.names.push((name, start..u32::try_from(self.values.len()).ok()?));
        }
        Some(())
    }

    pub(crate) fn series_count(&self) -> u32 {
        u32::try_from(self.pair_ends.len()).unwrap_or(u32::MAX)
    }

    fn symbol(&self, number: u32) -> &str {
        let number = number as usize;
        let start = if number == 0 { 0 } else { self.symbol_ends[number - 1] as usize };
        &self.text[start..self.symbol_ends[number] as usize]
    }

    /// The labels of a series as pairs.
    pub(crate) fn pairs(&self, id: u32) -> impl Iterator<Item = (&str, &str)> {
        let pairs = &self.pairs[part(&self.pair_ends, id)];
        pairs.iter().map(|(name, value)| (self.symbol(*name), self.symbol(*value)))
    }

    /// How a series and one of another block stand in label order.
    pub(crate) fn compare(&self, id: u32, other: &Self, of_other: u32) -> Ordering {
        self.pairs(id).cmp(other.pairs(of_other))
    }

    /// The labels of a series; `None` if they are none, which a checksum excludes.
    pub(crate) fn labels(&self, id: u32) -> Option<Labels> {
        Labels::from_pairs(self.pairs(id)).ok()
    }

    /// The pages of a series: numbers of values pages, in time order.
    pub(crate) fn pages(&self, id: u32) -> Range<u32> {
        let part = part(&self.page_ends, id);
        u32::try_from(part.start).unwrap_or(0)..u32::try_from(part.end).unwrap_or(0)
    }

    /// The number of the page of timestamps that belongs to a page of values.
    pub(crate) fn times_of(&self, page: u32) -> u32 {
        self.times_of[page as usize]
    }

    /// The time that a page of values covers, and how many there are.
    pub(crate) fn span(&self, page: u32) -> Span {
        self.time_pages[self.times_of(page) as usize].1
    }

    /// The numbers of all series that pass all matchers, in label order; `None` if a list is malformed.
    pub(crate) fn matching(&self, matchers: &[Matcher]) -> Option<Vec<u32>> {
        let mut found: Option<Vec<u32>> = None;
        for matcher in matchers.iter().filter(|m| !m.matches_absent()) {
            let ids = self.having(matcher, true)?;
            let both = found.map_or_else(|| ids.clone(), |found| postings::intersect(&found, &ids));
            if both.is_empty() {
                return Some(both);
            }
            found = Some(both);
        }
        let mut found = found.unwrap_or_else(|| (0..self.series_count()).collect());
        for matcher in matchers.iter().filter(|m| m.matches_absent()) {
            // Absent passes, so only series with a value that does not are out.
            found = postings::subtract(&found, &self.having(matcher, false)?);
        }
        Some(found)
    }

    /// The series with a value for which the matcher says `passes`, sorted.
    fn having(&self, matcher: &Matcher, passes: bool) -> Option<Vec<u32>> {
        let values = self.values_of(matcher.name());
        let mut ids = Vec::new();
        let mut add = |list: &Range<u32>| {
            let list = self.lists.get(list.start as usize..list.end as usize)?;
            postings::decode(list, self.series_count(), &mut ids)
        };
        match matcher.allowed_values().filter(|_| passes) {
            Some(wanted) => {
                for value in wanted {
                    if let Ok(at) = values.binary_search_by(|(number, _)| self.symbol(*number).cmp(value)) {
                        add(&values[at].1)?;
                    }
                }
            }
            None => {
                for (_, list) in
                    values.iter().filter(|(number, _)| matcher.matches(self.symbol(*number)) == passes)
                {
                    add(list)?;
                }
            }
        }
        ids.sort_unstable();
        ids.dedup();
        Some(ids)
    }

    fn values_of(&self, name: &str) -> &[(u32, Range<u32>)] {
        let at = self.names.binary_search_by(|(number, _)| self.symbol(*number).cmp(name));
        at.map_or(&[], |at| &self.values[self.names[at].1.start as usize..self.names[at].1.end as usize])
    }

    /// All label names, in order.
    pub(crate) fn label_names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|(number, _)| self.symbol(*number))
    }

    /// All values of a label, in order.
    pub(crate) fn label_values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.values_of(name).iter().map(|(number, _)| self.symbol(*number))
    }

    /// Bytes it takes in memory, roughly.
    pub(crate) fn memory(&self) -> usize {
        self.text.len()
            + 4 * (self.symbol_ends.len() + self.pair_ends.len() + self.page_ends.len() + self.times_of.len())
            + 8 * self.pairs.len()
            + size_of::<Chunk>() * self.chunks.len()
            + size_of::<(Page, Span)>() * self.time_pages.len()
            + size_of::<Page>() * self.value_pages.len()
            + 12 * (self.names.len() + self.values.len())
            + self.lists.len()
    }
}

fn part(ends: &[u32], id: u32) -> Range<usize> {
    let id = id as usize;
    let start = if id == 0 { 0 } else { ends[id - 1] as usize };
    start..ends[id] as usize
}

fn take_array<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (array, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*array)
}

#[cfg(test)]
mod tests;
