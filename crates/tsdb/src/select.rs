//! Reading samples: the series of a selection in label order, each as columns.

use std::vec;

use barograph_model::{Batch, Budget, Labels, SeriesCursor, SourceError, TimeRange};

use crate::head::{HeadChunk, HeadSeries};

/// The cursor over everything the store has.
///
/// Pieces of a series come in the order of their first samples. A sample that is not later than the one before it is
/// passed over: it is in two pieces, because a block was cut while the cursor was made.
pub(crate) struct Cursor<'a> {
    budget: &'a Budget,
    range: TimeRange,
    head: vec::IntoIter<HeadSeries>,
    /// Pieces of the current series that are still to come.
    pieces: vec::IntoIter<HeadChunk>,
    columns: Columns,
    /// The first time of the current series that was not given out yet.
    from: i64,
}

/// The samples of a piece, and which of them are still to be given out.
#[derive(Default)]
struct Columns {
    timestamps: Vec<i64>,
    values: Vec<f64>,
    next: usize,
    end: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(budget: &'a Budget, range: TimeRange, head: Vec<HeadSeries>) -> Self {
        let (head, pieces) = (head.into_iter(), Vec::new().into_iter());
        Self { budget, range, head, pieces, columns: Columns::default(), from: 0 }
    }
}

impl SeriesCursor for Cursor<'_> {
    fn next_series(&mut self) -> Result<Option<Labels>, SourceError> {
        self.budget.charge(0)?;
        self.columns = Columns { next: 0, end: 0, ..std::mem::take(&mut self.columns) };
        self.from = self.range.start.millis();
        let Some(series) = self.head.next() else { return Ok(None) };
        self.pieces = series.chunks.into_iter();
        Ok(Some(series.labels))
    }

    fn next_batch(&mut self) -> Result<Option<Batch<'_>>, SourceError> {
        while self.columns.next == self.columns.end {
            let Some(piece) = self.pieces.next() else { return Ok(None) };
            self.columns.load(&piece, self.from, self.range.end.millis());
        }
        let Columns { timestamps, values, next, end } = &mut self.columns;
        let start = *next;
        *next = (start + Batch::MAX).min(*end);
        self.budget.charge(*next - start)?;
        self.from = timestamps[*next - 1].saturating_add(1);
        Ok(Some(Batch { timestamps: &timestamps[start..*next], values: &values[start..*next] }))
    }
}

impl Columns {
    fn load(&mut self, chunk: &HeadChunk, from: i64, end: i64) {
        self.timestamps.clear();
        self.values.clear();
        for (at, value) in chunk.samples() {
            self.timestamps.push(at);
            self.values.push(value);
        }
        self.next = self.timestamps.partition_point(|&at| at < from);
        self.end = self.timestamps.partition_point(|&at| at < end).max(self.next);
    }
}
