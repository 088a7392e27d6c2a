//! Blocks of one tier read as one: series by series in label order, the windows of each in time order.

use std::{cmp::Reverse, ops::Range, sync::Arc};

use barograph_codec::rollups::Windows;
use barograph_disk::Error;
use barograph_model::{Labels, TimeRange};

use crate::block::{Block, Index, WindowPages};

/// A reader of several blocks of a tier. At most one series is in memory at a time, and of that only what overlaps.
pub(crate) struct Windowed {
    streams: Vec<Stream>,
    /// The range in which windows start.
    range: TimeRange,
    sketches: bool,
    /// Pages of the current series that were not read yet, the next one last.
    left: Vec<Piece>,
    /// Pages that were read, to be used again.
    loaded: Vec<Windows>,
}

/// The series of one block.
struct Stream {
    pages: WindowPages,
    ids: std::vec::IntoIter<u32>,
    front: Option<(u32, Labels)>,
}

/// A page of the current series.
#[derive(Clone, Copy)]
struct Piece {
    first: i64,
    last: i64,
    stream: usize,
    page: u32,
    id: u32,
}

impl Windowed {
    /// Begins to read series of blocks: for each block with its index, the numbers of the series, in order.
    ///
    /// # Errors
    /// When an index is not what was written.
    pub(crate) fn open(
        blocks: Vec<(Arc<Block>, Arc<Index>, Vec<u32>)>,
        range: TimeRange,
        sketches: bool,
    ) -> Result<Self, Error> {
        let mut streams = Vec::with_capacity(blocks.len());
        for (block, index, ids) in blocks {
            let pages = WindowPages::new(block, index, ids.len());
            let mut stream = Stream { pages, ids: ids.into_iter(), front: None };
            stream.advance()?;
            streams.push(stream);
        }
        Ok(Self { streams, range, sketches, left: Vec::new(), loaded: Vec::new() })
    }

    /// The labels of the series that comes next, `None` after the last.
    pub(crate) fn peek(&self) -> Option<&Labels> {
        self.streams.iter().filter_map(|stream| stream.front.as_ref()).map(|(_, labels)| labels).min()
    }

    /// Goes to the next series.
    ///
    /// # Errors
    /// When an index is not what was written.
    pub(crate) fn next_series(&mut self) -> Result<Option<Labels>, Error> {
        self.left.clear();
        let Some(labels) = self.peek().cloned() else { return Ok(None) };
        for (number, stream) in self.streams.iter_mut().enumerate() {
            if let Some((id, _)) = stream.front.take_if(|(_, front)| *front == labels) {
                let index = stream.pages.index();
                for page in index.pages(id) {
                    let span = index.span(page);
                    if span.overlaps(&self.range) {
                        self.left.push(Piece {
                            first: span.first,
                            last: span.last,
                            stream: number,
                            page,
                            id,
                        });
                    }
                }
                stream.advance()?;
            }
        }
        self.left.sort_unstable_by_key(|piece| (Reverse(piece.first), piece.stream));
        Ok(Some(labels))
    }

    /// Reads what comes next of the series: one page, or as many as overlap. Gives each run of windows to `see`, in
    /// time order; `false` after the last.
    ///
    /// # Errors
    /// When a page cannot be read, or is not what was written. The call after it goes on without that page.
    pub(crate) fn next_part(&mut self, see: &mut dyn FnMut(&Windows, Range<usize>)) -> Result<bool, Error> {
        let Some(first) = self.left.pop() else { return Ok(false) };
        let (mut pieces, mut last) = (vec![first], first.last);
        while let Some(next) = self.left.pop_if(|next| next.first <= last) {
            last = last.max(next.last);
            pieces.push(next);
        }
        // Of the same start the newer data counts.
        pieces.sort_unstable_by_key(|piece| {
            let meta = &self.streams[piece.stream].pages.block().meta;
            Reverse((meta.data, meta.seq))
        });
        self.loaded.resize_with(self.loaded.len().max(pieces.len()), Windows::default);
        for (number, piece) in pieces.iter().enumerate() {
            let pages = &mut self.streams[piece.stream].pages;
            if let Err(error) = pages.read(piece.page, self.sketches, &mut self.loaded[number]) {
                pieces.remove(number);
                self.left.extend(pieces);
                self.left.sort_unstable_by_key(|piece| (Reverse(piece.first), piece.stream));
                return Err(error);
            }
        }
        let starts: Vec<&[i64]> =
            self.loaded[..pieces.len()].iter().map(|windows| windows.times().starts.as_slice()).collect();
        for (number, run) in runs(&starts, self.range.start.millis(), self.range.end.millis()) {
            let Piece { stream, id, .. } = pieces[number];
            match &self.streams[stream].pages.block().deletes {
                None => see(&self.loaded[number], run),
                Some(deletes) => {
                    for left in deletes.left(id, &starts[number][run.clone()]) {
                        see(&self.loaded[number], run.start + left.start..run.start + left.end);
                    }
                }
            }
        }
        Ok(true)
    }

    /// Reads all windows of the series that are left into `windows`. They are read with their sketches.
    ///
    /// # Errors
    /// As [`Windowed::next_part`].
    pub(crate) fn read_all(&mut self, windows: &mut Windows) -> Result<(), Error> {
        windows.clear();
        while self.next_part(&mut |part, run| windows.append(part, run))? {}
        Ok(())
    }
}

impl Stream {
    fn advance(&mut self) -> Result<(), Error> {
        let Some(id) = self.ids.next() else { return Ok(()) };
        let block = self.pages.block();
        let broken = || Error::corrupt("index", &block.path, block.meta.index_at);
        self.front = Some((id, self.pages.index().labels(id).ok_or_else(broken)?));
        Ok(())
    }
}

/// What counts of pages that overlap, the newest first: runs of windows that start in `from..to`, as number of the page
/// and part of it, in time order.
fn runs(pages: &[&[i64]], from: i64, to: i64) -> Vec<(usize, Range<usize>)> {
    let mut next: Vec<usize> = pages.iter().map(|starts| starts.partition_point(|&at| at < from)).collect();
    let mut runs: Vec<(usize, Range<usize>)> = Vec::new();
    loop {
        let fronts = pages.iter().zip(&next).enumerate();
        let front = fronts.filter_map(|(page, (starts, &at))| Some((*starts.get(at)?, page))).min();
        let Some((start, page)) = front.filter(|(start, _)| *start < to) else { return runs };
        match runs.last_mut().filter(|(last, run)| *last == page && run.end == next[page]) {
            Some((_, run)) => run.end += 1,
            None => runs.push((page, next[page]..next[page] + 1)),
        }
        for (starts, next) in pages.iter().zip(&mut next) {
            *next += usize::from(starts.get(*next) == Some(&start));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pages: &[&[i64]], range: (i64, i64), expected: &[(usize, Range<usize>)]) {
        assert_eq!(runs(pages, range.0, range.1), expected, "{pages:?} {range:?}");
    }

    #[test]
    fn newer_windows_count() {
        let all = (i64::MIN, i64::MAX);
        check(&[], all, &[]);
        check(&[&[1, 2, 3]], all, &[(0, 0..3)]);
        check(&[&[1, 2, 3]], (2, 3), &[(0, 1..2)]);
        check(&[&[2], &[1, 2, 3]], all, &[(1, 0..1), (0, 0..1), (1, 2..3)]);
        check(&[&[1, 2, 3], &[2]], all, &[(0, 0..3)]);
        check(&[&[1, 3], &[2, 4]], (2, 4), &[(1, 0..1), (0, 1..2)]);
    }
}
