//! Several columns as one chunk: a page has a part of some of them, each of which can be passed over.
//!
//! ```text
//! meta: for each column: bytes meta of the column, empty if no page has it
//! page: what the caller put first; then for each column that it has: bytes page of the column
//! ```

use crate::{
    Code, ColumnChunk, Layout, Malformed, Number,
    column::{Delta, encode},
    varint,
};

/// A column of a chunk being written.
pub(super) struct Writing<T> {
    delta: Delta,
    pub(super) numbers: Vec<T>,
    /// How many numbers belong to which page.
    parts: Vec<(usize, usize)>,
}

impl<T: Number> Writing<T> {
    pub(super) fn new(delta: Delta) -> Self {
        Self { delta, numbers: Vec::new(), parts: Vec::new() }
    }

    /// Gives the next part to a page.
    pub(super) fn add(&mut self, page: usize, numbers: impl IntoIterator<Item = T>) {
        let before = self.numbers.len();
        self.numbers.extend(numbers);
        self.end_part(page, before);
    }

    /// Gives what was added to the numbers since they were so many to a page.
    pub(super) fn end_part(&mut self, page: usize, before: usize) {
        if self.numbers.len() > before {
            self.parts.push((page, self.numbers.len() - before));
        }
    }

    /// Appends the column to the meta and to its pages, and begins anew.
    pub(super) fn finish(&mut self, code: Code, sheet: &mut Sheet) {
        let Sheet { meta, pages, bytes } = sheet;
        bytes.clear();
        if self.parts.is_empty() {
            varint::put_slice(meta, bytes);
            return;
        }
        let counts: Vec<usize> = self.parts.iter().map(|part| part.1).collect();
        let layout = encode(&self.numbers, &counts, self.delta, code, bytes);
        let (own, mut rest) = bytes.split_at(layout.meta_len);
        varint::put_slice(meta, own);
        for ((page, _), &len) in self.parts.iter().zip(&layout.page_lens) {
            let (own, after) = rest.split_at(len);
            varint::put_slice(&mut pages[*page], own);
            rest = after;
        }
        self.numbers.clear();
        self.parts.clear();
    }
}

/// A chunk being put together.
#[derive(Default)]
pub(super) struct Sheet {
    meta: Vec<u8>,
    pub(super) pages: Vec<Vec<u8>>,
    bytes: Vec<u8>,
}

impl Sheet {
    /// Begins the next page, with room for what is usual.
    pub(super) fn begin_page(&mut self) {
        self.pages.push(Vec::with_capacity(512));
    }

    /// Appends the meta and the pages to `out` and begins anew.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) -> Layout {
        let layout =
            Layout { meta_len: self.meta.len(), page_lens: self.pages.iter().map(Vec::len).collect() };
        out.extend_from_slice(&self.meta);
        self.pages.iter().for_each(|page| out.extend_from_slice(page));
        self.meta.clear();
        self.pages.clear();
        layout
    }
}

/// A column of a chunk being read. Its meta is looked at when it is wanted first.
pub(super) struct Reading<T: Number> {
    meta: Vec<u8>,
    chunk: Option<ColumnChunk<T>>,
}

impl<T: Number> Reading<T> {
    /// Takes the column's meta off the front of the chunk's.
    pub(super) fn take(meta: &mut &[u8]) -> Result<Self, Malformed> {
        let meta = varint::take_slice(meta).ok_or(Malformed { what: "meta of windows" })?;
        Ok(Self { meta: meta.to_vec(), chunk: None })
    }

    /// Takes the column's part off the front of a page and reads its numbers in place of those there; none for none.
    pub(super) fn read(
        &mut self,
        page: &mut &[u8],
        count: usize,
        numbers: &mut Vec<T>,
    ) -> Result<(), Malformed> {
        numbers.clear();
        let part = Self::part(page, count)?;
        if count == 0 {
            return Ok(());
        }
        let chunk = match &mut self.chunk {
            Some(chunk) => chunk,
            None => self.chunk.insert(ColumnChunk::open(&self.meta)?),
        };
        chunk.read_page(part, count, numbers)
    }

    /// Takes the column's part off the front of a page and passes it over.
    pub(super) fn skip(&self, page: &mut &[u8], count: usize) -> Result<(), Malformed> {
        Self::part(page, count).map(drop)
    }

    fn part<'p>(page: &mut &'p [u8], count: usize) -> Result<&'p [u8], Malformed> {
        if count == 0 {
            return Ok(&[]);
        }
        varint::take_slice(page).ok_or(Malformed { what: "page of windows" })
    }
}
