//! Reading samples: the series of a selection in label order, each as columns.

use std::{cmp::Ordering, collections::BinaryHeap, sync::Arc, vec};

use barograph_model::{Batch, Budget, Labels, Selection, SeriesCursor, SourceError, Tier, TimeRange};

use crate::{
    Store,
    block::{Deletes, Pages},
    columns::Columns,
    head::{HeadChunk, HeadSeries},
};

/// The cursor over everything the store has: the head and the blocks, merged by label set.
///
/// Pieces of a series come in the order of their first samples, one at a time as long as none begins before the one
/// before it ends. Those that overlap are merged: of two samples with the same time the one that came first counts, so
/// blocks go before the head, and lower blocks before higher ones.
pub(crate) struct Cursor<'a> {
    store: &'a Store,
    budget: &'a Budget,
    range: TimeRange,
    head: vec::IntoIter<HeadSeries>,
    blocks: Vec<Stream<'a>>,
    /// The next series of the head and of each block.
    fronts: BinaryHeap<Front>,
    /// Pieces of the current series that are still to come.
    pieces: vec::IntoIter<Piece>,
    current: Current,
}

/// The series of one block.
struct Stream<'a> {
    pages: Pages<'a>,
    ids: vec::IntoIter<u32>,
}

/// A series that comes next in the head or in a block.
struct Front {
    labels: Labels,
    /// The number of the block's stream; blocks come before the head.
    stream: usize,
    pieces: Vec<Piece>,
}

/// A run of samples of one series.
struct Piece {
    first: i64,
    last: i64,
    /// Where the same time is in two pieces, the lower rank counts.
    rank: u64,
    place: Place,
}

enum Place {
    Head(HeadChunk),
    Block { stream: usize, page: u32, id: u32 },
}

/// The rank of what lies in the head; blocks have the number of their newest data.
const HEAD_RANK: u64 = u64::MAX;

impl Piece {
    fn of_head(chunk: HeadChunk) -> Self {
        Self { first: chunk.first, last: chunk.last, rank: HEAD_RANK, place: Place::Head(chunk) }
    }
}

impl Ord for Front {
    /// The heap gives out the greatest, so the first series is the greatest.
    fn cmp(&self, other: &Self) -> Ordering {
        other.labels.cmp(&self.labels).then(other.stream.cmp(&self.stream))
    }
}

impl PartialOrd for Front {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Front {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Front {}

impl<'a> Cursor<'a> {
    /// A cursor over a selection.
    ///
    /// # Errors
    /// [`SourceError::Storage`] when the index of a block cannot be read.
    pub(crate) fn open(
        store: &'a Store,
        selection: &Selection<'_>,
        budget: &'a Budget,
    ) -> Result<Self, SourceError> {
        // The head first: what a cut moves meanwhile is then seen twice, not missed.
        let head = store.head.select(selection.matchers, &selection.range);
        budget.reserve(head.iter().map(HeadSeries::memory).sum())?;
        let mut blocks = Vec::new();
        for (block, index) in
            store.indexes_in(&selection.range, selection.matchers, |meta| meta.holds(Tier::Raw), budget)?
        {
            budget.charge(0)?;
            let Some(ids) = store.matching(&block, &index, selection.matchers) else { continue };
            if !ids.is_empty() {
                let pages = Pages::new(block, index, Some(&store.cache), ids.len());
                blocks.push(Stream { pages, ids: ids.into_iter() });
            }
        }
        let mut cursor = Self {
            store,
            budget,
            range: selection.range,
            head: head.into_iter(),
            blocks,
            fronts: BinaryHeap::new(),
            pieces: Vec::new().into_iter(),
            current: Current::default(),
        };
        (0..=cursor.blocks.len()).for_each(|stream| cursor.advance(stream));
        Ok(cursor)
    }

    /// Puts the next series of a stream to the fronts. The head is the last stream.
    fn advance(&mut self, stream: usize) {
        let Some(Stream { pages, ids }) = self.blocks.get_mut(stream) else {
            if let Some(series) = self.head.next() {
                let pieces = series.chunks.into_iter().chain(series.late).map(Piece::of_head).collect();
                self.fronts.push(Front { labels: series.labels, stream, pieces });
            }
            return;
        };
        let (range, rank) = (self.range, pages.block.meta.data);
        for id in ids {
            let spans = pages.index.pages(id).map(|page| (page, pages.index.span(page)));
            let within = spans.filter(|(_, span)| span.overlaps(&range));
            let pieces: Vec<_> = within
                .map(|(page, span)| {
                    let place = Place::Block { stream, page, id };
                    Piece { first: span.first, last: span.last, rank, place }
                })
                .collect();
            if pieces.is_empty() {
                continue;
            }
            if let Some(labels) = pages.index.labels(id) {
                self.fronts.push(Front { labels, stream, pieces });
                return;
            }
            self.store.report_damage(&pages.block);
        }
    }

    /// Loads the pieces that come next: one, or as many as overlap. `false` after the last.
    fn load(&mut self) -> Result<bool, SourceError> {
        let Some(first) = self.pieces.next() else { return Ok(false) };
        self.current.clear();
        let mut last = first.last;
        let mut overlapping = Vec::new();
        while let Some(next) = self.pieces.as_slice().first().filter(|next| next.first <= last) {
            last = last.max(next.last);
            overlapping.extend(self.pieces.next());
        }
        if overlapping.is_empty() {
            match &first.place {
                Place::Head(chunk) => self.current.own.extend_chunk(chunk.samples()),
                Place::Block { stream, page, id } => match self.deletes_of(*stream) {
                    None => self.current.shared = self.read_page(*stream, *page)?,
                    Some(_) => self.add_page(*stream, *page, *id)?,
                },
            }
        } else {
            overlapping.push(first);
            self.merge(overlapping)?;
        }
        self.current.limit(&self.range);
        Ok(true)
    }

    fn merge(&mut self, mut pieces: Vec<Piece>) -> Result<(), SourceError> {
        pieces.sort_by_key(|piece| piece.rank);
        for piece in pieces {
            match piece.place {
                Place::Head(chunk) => self.current.own.add_chunk(chunk.samples()),
                Place::Block { stream, page, id } => self.add_page(stream, page, id)?,
            }
        }
        Ok(())
    }

    fn deletes_of(&self, stream: usize) -> Option<Arc<Deletes>> {
        self.blocks[stream].pages.block.deletes.clone()
    }

    /// Adds what is left of a page.
    fn add_page(&mut self, stream: usize, page: u32, id: u32) -> Result<(), SourceError> {
        let Some(Shared { timestamps, values }) = self.read_page(stream, page)? else { return Ok(()) };
        match self.deletes_of(stream) {
            None => self.current.own.add(&timestamps, &values),
            Some(deletes) => {
                for run in deletes.left(id, &timestamps) {
                    self.current.own.add(&timestamps[run.clone()], &values[run]);
                }
            }
        }
        Ok(())
    }

    /// A page of a block. One that is not what was written is counted and passed over: the rest serves.
    fn read_page(&mut self, stream: usize, page: u32) -> Result<Option<Shared>, SourceError> {
        let pages = &mut self.blocks[stream].pages;
        let both = pages
            .timestamps(page)
            .and_then(|timestamps| Ok(Shared { timestamps, values: pages.values(page)? }));
        match both {
            Err(error) if error.is_corrupt() => {
                self.store.report_damage(&pages.block);
                Ok(None)
            }
            both => Ok(Some(both.map_err(|error| SourceError::Storage(Box::new(error)))?)),
        }
    }
}

impl SeriesCursor for Cursor<'_> {
    fn next_series(&mut self) -> Result<Option<Labels>, SourceError> {
        self.budget.charge(0)?;
        self.current.clear();
        let Some(front) = self.fronts.pop() else { return Ok(None) };
        self.advance(front.stream);
        let mut pieces = front.pieces;
        while self.fronts.peek().is_some_and(|next| next.labels == front.labels) {
            if let Some(next) = self.fronts.pop() {
                self.advance(next.stream);
                pieces.extend(next.pieces);
            }
        }
        pieces.sort_by_key(|piece| piece.first);
        self.pieces = pieces.into_iter();
        Ok(Some(front.labels))
    }

    fn next_batch(&mut self) -> Result<Option<Batch<'_>>, SourceError> {
        while self.current.next == self.current.end {
            if !self.load()? {
                return Ok(None);
            }
        }
        let start = self.current.next;
        let end = (start + Batch::MAX).min(self.current.end);
        self.budget.charge(end - start)?;
        self.current.next = end;
        let (timestamps, values) = self.current.columns();
        Ok(Some(Batch { timestamps: &timestamps[start..end], values: &values[start..end] }))
    }
}

/// The samples being given out, and which of them still are to be.
#[derive(Default)]
struct Current {
    /// A copy of them...
    own: Columns,
    /// ...or, in its place, columns of a block.
    shared: Option<Shared>,
    next: usize,
    end: usize,
}

/// Columns of a block, as the cache holds them.
struct Shared {
    timestamps: Arc<[i64]>,
    values: Arc<[f64]>,
}

impl Current {
    fn clear(&mut self) {
        self.own.clear();
        self.shared = None;
        (self.next, self.end) = (0, 0);
    }

    fn columns(&self) -> (&[i64], &[f64]) {
        match &self.shared {
            Some(Shared { timestamps, values }) => (timestamps, values),
            None => (self.own.timestamps(), self.own.values()),
        }
    }

    /// Of what was loaded, only what is in the range is given out.
    fn limit(&mut self, range: &TimeRange) {
        let (timestamps, _) = self.columns();
        let next = timestamps.partition_point(|&at| at < range.start.millis());
        let end = timestamps.partition_point(|&at| at < range.end.millis()).max(next);
        (self.next, self.end) = (next, end);
    }
}
