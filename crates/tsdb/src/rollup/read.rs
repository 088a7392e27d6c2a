//! Blocks of one tier read as one: series by series in label order, the windows of each in time order.

use std::{
    cmp::{Ordering, Reverse},
    ops::Range,
    sync::Arc,
};

use barograph_codec::rollups::{Times, Windows};
use barograph_disk::Error;
use barograph_model::{Labels, Parts, Rollups, TimeRange};

use crate::block::{Block, Cache, Index, WindowPage, WindowPages};

/// A reader of several blocks of a tier. At most one series is in memory at a time, and of that only what overlaps.
pub(crate) struct Windowed<'c> {
    streams: Vec<Stream<'c>>,
    /// The range in which windows start.
    range: TimeRange,
    parts: Parts,
    /// The streams whose next series is the first of all.
    first: Vec<usize>,
    /// Pages of the current series that were not read yet, the next one last.
    left: Vec<Piece>,
    /// Pages that are read at once, as they overlap.
    overlapping: Vec<Piece>,
    /// Pages that were read, to be used again.
    loaded: Vec<Windows>,
}

/// The series of one block.
struct Stream<'c> {
    pages: WindowPages<'c>,
    ids: std::vec::IntoIter<u32>,
    front: Option<u32>,
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

impl<'c> Windowed<'c> {
    /// Begins to read parts of the windows of blocks: for each block with its index, the numbers of the series, in order.
    /// What [`Windowed::append_part`] reads is kept in a cache, if there is one.
    pub(crate) fn open(
        blocks: Vec<(Arc<Block>, Arc<Index>, Vec<u32>)>,
        range: TimeRange,
        parts: Parts,
        cache: Option<&'c Cache>,
    ) -> Self {
        let streams = blocks.into_iter().map(|(block, index, ids)| {
            let pages = WindowPages::new(block, index, cache, ids.len());
            let mut ids = ids.into_iter();
            let front = ids.next();
            Stream { pages, ids, front }
        });
        let streams = streams.collect();
        let (first, left, overlapping, loaded) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut windowed = Self { streams, range, parts, first, left, overlapping, loaded };
        windowed.find_first();
        windowed
    }

    /// Finds the series that comes next, and all blocks that have it.
    fn find_first(&mut self) {
        self.first.clear();
        let mut least: Option<(&Index, u32)> = None;
        for (number, stream) in self.streams.iter().enumerate() {
            let Some(id) = stream.front else { continue };
            let index = &**stream.pages.index();
            match least.map_or(Ordering::Less, |(other, least)| index.compare(id, other, least)) {
                Ordering::Greater => continue,
                Ordering::Equal => {}
                Ordering::Less => {
                    least = Some((index, id));
                    self.first.clear();
                }
            }
            self.first.push(number);
        }
    }

    /// The labels of the series that comes next, `None` after the last.
    ///
    /// # Errors
    /// When an index is not what was written.
    pub(crate) fn peek(&self) -> Result<Option<Labels>, Error> {
        let Some(stream) = self.first.first().map(|&number| &self.streams[number]) else { return Ok(None) };
        let Some(id) = stream.front else { return Ok(None) };
        let block = stream.pages.block();
        let broken = || Error::corrupt("index", &block.path, block.meta.index_at);
        stream.pages.index().labels(id).ok_or_else(broken).map(Some)
    }

    /// Goes to the next series.
    ///
    /// # Errors
    /// When an index is not what was written.
    pub(crate) fn next_series(&mut self) -> Result<Option<Labels>, Error> {
        self.left.clear();
        let labels = self.peek()?;
        for &number in &self.first {
            let stream = &mut self.streams[number];
            let Some(id) = std::mem::replace(&mut stream.front, stream.ids.next()) else { continue };
            let index = stream.pages.index();
            for page in index.pages(id) {
                let span = index.span(page);
                if span.overlaps(&self.range) {
                    let (first, last) = (span.first, span.last);
                    self.left.push(Piece { first, last, stream: number, page, id });
                }
            }
        }
        self.left.sort_unstable_by_key(|piece| (Reverse(piece.first), piece.stream));
        self.find_first();
        Ok(labels)
    }

    /// Takes the pages that come next of the series: one, or as many as overlap, the newest data first, as of the same
    /// start it counts. `false` after the last.
    fn next_overlapping(&mut self) -> bool {
        self.overlapping.clear();
        let Some(first) = self.left.pop() else { return false };
        self.overlapping.push(first);
        let mut last = first.last;
        while let Some(next) = self.left.pop_if(|next| next.first <= last) {
            last = last.max(next.last);
            self.overlapping.push(next);
        }
        self.overlapping.sort_unstable_by_key(|piece| {
            let meta = &self.streams[piece.stream].pages.block().meta;
            Reverse((meta.data, meta.seq))
        });
        true
    }

    /// Leaves one of the overlapping pages out and puts the others back.
    fn without(&mut self, number: usize) {
        self.overlapping.remove(number);
        self.left.append(&mut self.overlapping);
        self.left.sort_unstable_by_key(|piece| (Reverse(piece.first), piece.stream));
    }

    /// Gives each run of windows that counts to `see`, in time order: number of the overlapping page, and part of it.
    fn each_run(&self, starts: &[&[i64]], mut see: impl FnMut(usize, Range<usize>)) {
        let (from, to) = (self.range.start.millis(), self.range.end.millis());
        let mut see = |number: usize, run: Range<usize>| {
            let Piece { stream, id, .. } = self.overlapping[number];
            match &self.streams[stream].pages.block().deletes {
                None => see(number, run),
                Some(deletes) => {
                    for left in deletes.left(id, &starts[number][run.clone()]) {
                        see(number, run.start + left.start..run.start + left.end);
                    }
                }
            }
        };
        match starts {
            [starts] => see(0, within(starts, from, to)),
            _ => runs(starts, from, to).into_iter().for_each(|(number, run)| see(number, run)),
        }
    }

    /// Adds what comes next of the series to the windows of a reader; `false` after the last.
    ///
    /// # Errors
    /// When a page cannot be read, or is not what was written. The call after it goes on without that page.
    pub(crate) fn append_part(&mut self, out: &mut Rollups) -> Result<bool, Error> {
        if !self.next_overlapping() {
            return Ok(false);
        }
        if let [piece] = self.overlapping[..] {
            let page = self.streams[piece.stream].pages.page(piece.page, self.parts)?;
            self.append_runs(&[page], out);
            return Ok(true);
        }
        let mut loaded = Vec::with_capacity(self.overlapping.len());
        for (number, piece) in self.overlapping.iter().enumerate() {
            match self.streams[piece.stream].pages.page(piece.page, self.parts) {
                Ok(page) => loaded.push(page),
                Err(error) => {
                    self.without(number);
                    return Err(error);
                }
            }
        }
        self.append_runs(&loaded, out);
        Ok(true)
    }

    fn append_runs(&self, loaded: &[(Arc<Times>, Arc<WindowPage>)], out: &mut Rollups) {
        let mut see = |number: usize, run| {
            let (times, page): &(Arc<Times>, Arc<WindowPage>) = &loaded[number];
            page.append_to(times, run, self.parts, out);
        };
        match loaded {
            [(times, _)] => self.each_run(&[&times.starts], &mut see),
            _ => {
                let starts: Vec<&[i64]> = loaded.iter().map(|(times, _)| times.starts.as_slice()).collect();
                self.each_run(&starts, &mut see);
            }
        }
    }

    /// Reads what comes next of the series, past the cache, and gives each run of windows to `see`, in time order;
    /// `false` after the last.
    ///
    /// # Errors
    /// As [`Windowed::append_part`].
    pub(crate) fn next_part(&mut self, see: &mut dyn FnMut(&Windows, Range<usize>)) -> Result<bool, Error> {
        if !self.next_overlapping() {
            return Ok(false);
        }
        let count = self.overlapping.len();
        self.loaded.resize_with(self.loaded.len().max(count), Windows::default);
        for (number, piece) in self.overlapping.iter().enumerate() {
            let pages = &mut self.streams[piece.stream].pages;
            if let Err(error) = pages.read(piece.page, self.parts, &mut self.loaded[number]) {
                self.without(number);
                return Err(error);
            }
        }
        let loaded = &self.loaded[..count];
        let starts: Vec<&[i64]> = loaded.iter().map(|windows| windows.times().starts.as_slice()).collect();
        self.each_run(&starts, |number, run| see(&loaded[number], run));
        Ok(true)
    }

    /// Reads all windows of the series that are left into `windows`. They are read with all their parts.
    ///
    /// # Errors
    /// As [`Windowed::append_part`].
    pub(crate) fn read_all(&mut self, windows: &mut Windows) -> Result<(), Error> {
        windows.clear();
        while self.next_part(&mut |part, run| windows.append(part, run))? {}
        Ok(())
    }
}

/// Which windows start in `from..to`: mostly all.
fn within(starts: &[i64], from: i64, to: i64) -> Range<usize> {
    let end = match starts.last() {
        Some(last) if *last >= to => starts.partition_point(|&at| at < to),
        _ => starts.len(),
    };
    let start = match starts.first() {
        Some(first) if *first < from => starts[..end].partition_point(|&at| at < from),
        _ => 0,
    };
    start.min(end)..end
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
    fn windows_of_a_page_are_cut_to_the_range() {
        let check = |from, to, expected| assert_eq!(within(&[1, 2, 5], from, to), expected, "{from} {to}");
        check(0, 9, 0..3);
        check(1, 5, 0..2);
        check(2, 6, 1..3);
        check(3, 4, 2..2);
        check(6, 9, 3..3);
        check(0, 1, 0..0);
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
