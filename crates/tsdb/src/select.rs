//! Reading samples: the series of a selection in label order, each as columns.

use std::{cmp::Ordering, collections::BinaryHeap, sync::Arc, vec};

use barograph_model::{Batch, Budget, Labels, Selection, SeriesCursor, SourceError, TimeRange};

use crate::{
    Store,
    block::Pages,
    head::{HeadChunk, HeadSeries},
};

/// The cursor over everything the store has: the head and the blocks, merged by label set.
///
/// Pieces of a series come in the order of their first samples. A sample that is not later than the one before it is
/// passed over: it is in two pieces, because a block was cut or merged while the cursor was made.
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
    columns: Columns,
    /// The first time of the current series that was not given out yet.
    from: i64,
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
enum Piece {
    Head(HeadChunk),
    Block { stream: usize, page: u32, first: i64 },
}

impl Piece {
    fn first(&self) -> i64 {
        match self {
            Self::Head(chunk) => chunk.first,
            Self::Block { first, .. } => *first,
        }
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
        let mut blocks = Vec::new();
        for (block, index) in store.indexes_in(&selection.range)? {
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
            columns: Columns::default(),
            from: 0,
        };
        (0..=cursor.blocks.len()).for_each(|stream| cursor.advance(stream));
        Ok(cursor)
    }

    /// Puts the next series of a stream to the fronts. The head is the last stream.
    fn advance(&mut self, stream: usize) {
        let Some(Stream { pages, ids }) = self.blocks.get_mut(stream) else {
            if let Some(series) = self.head.next() {
                let pieces = series.chunks.into_iter().map(Piece::Head).collect();
                self.fronts.push(Front { labels: series.labels, stream, pieces });
            }
            return;
        };
        let range = self.range;
        for id in ids {
            let spans = pages.index.pages(id).map(|page| (page, pages.index.span(page)));
            let within = spans.filter(|(_, span)| span.overlaps(&range));
            let pieces: Vec<_> =
                within.map(|(page, span)| Piece::Block { stream, page, first: span.first }).collect();
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

    /// Loads a piece. One of a block that is not what was written is counted and passed over: the rest serves.
    fn load(&mut self, piece: &Piece) -> Result<(), SourceError> {
        let end = self.range.end.millis();
        match piece {
            Piece::Head(chunk) => self.columns.load_head(chunk),
            Piece::Block { stream, page, .. } => {
                let pages = &mut self.blocks[*stream].pages;
                let both = pages
                    .timestamps(*page)
                    .and_then(|timestamps| Ok(Shared { timestamps, values: pages.values(*page)? }));
                match both {
                    Ok(both) => self.columns.shared = Some(both),
                    Err(error) if error.is_corrupt() => {
                        self.store.report_damage(&pages.block);
                        return Ok(());
                    }
                    Err(error) => return Err(SourceError::Storage(Box::new(error))),
                }
            }
        }
        self.columns.limit(self.from, end);
        Ok(())
    }
}

impl SeriesCursor for Cursor<'_> {
    fn next_series(&mut self) -> Result<Option<Labels>, SourceError> {
        self.budget.charge(0)?;
        (self.columns.next, self.columns.end) = (0, 0);
        self.from = self.range.start.millis();
        let Some(front) = self.fronts.pop() else { return Ok(None) };
        self.advance(front.stream);
        let mut pieces = front.pieces;
        while self.fronts.peek().is_some_and(|next| next.labels == front.labels) {
            if let Some(next) = self.fronts.pop() {
                self.advance(next.stream);
                pieces.extend(next.pieces);
            }
        }
        pieces.sort_by_key(Piece::first);
        self.pieces = pieces.into_iter();
        Ok(Some(front.labels))
    }

    fn next_batch(&mut self) -> Result<Option<Batch<'_>>, SourceError> {
        while self.columns.next == self.columns.end {
            let Some(piece) = self.pieces.next() else { return Ok(None) };
            self.load(&piece)?;
        }
        let start = self.columns.next;
        let end = (start + Batch::MAX).min(self.columns.end);
        self.budget.charge(end - start)?;
        self.columns.next = end;
        let (timestamps, values) = self.columns.columns();
        self.from = timestamps[end - 1].saturating_add(1);
        Ok(Some(Batch { timestamps: &timestamps[start..end], values: &values[start..end] }))
    }
}

/// The samples of a piece, and which of them are still to be given out.
#[derive(Default)]
struct Columns {
    timestamps: Vec<i64>,
    values: Vec<f64>,
    /// In place of the two above: columns of a block.
    shared: Option<Shared>,
    next: usize,
    end: usize,
}

/// Columns of a block, as the cache holds them.
struct Shared {
    timestamps: Arc<[i64]>,
    values: Arc<[f64]>,
}

impl Columns {
    fn load_head(&mut self, chunk: &HeadChunk) {
        self.shared = None;
        self.timestamps.clear();
        self.values.clear();
        for (at, value) in chunk.samples() {
            self.timestamps.push(at);
            self.values.push(value);
        }
    }

    fn columns(&self) -> (&[i64], &[f64]) {
        match &self.shared {
            Some(Shared { timestamps, values }) => (timestamps, values),
            None => (&self.timestamps, &self.values),
        }
    }

    fn limit(&mut self, from: i64, end: i64) {
        let (timestamps, _) = self.columns();
        let next = timestamps.partition_point(|&at| at < from);
        let end = timestamps.partition_point(|&at| at < end).max(next);
        (self.next, self.end) = (next, end);
    }
}
