//! What a query reads of a tier.

use barograph_model::{Batch, Budget, Labels, Rollup, RollupCursor, Selection, SourceError, Tier};

use super::Windowed;
use crate::Store;

/// The windows of a selection, series by series.
pub(crate) struct Cursor<'a> {
    store: &'a Store,
    budget: &'a Budget,
    windowed: Windowed,
    sketches: bool,
    /// Windows of the current series that were read.
    rollups: Vec<Rollup>,
    /// How many of them were given out.
    given: usize,
}

impl<'a> Cursor<'a> {
    /// A cursor over the windows of a tier that start in the range of a selection.
    ///
    /// # Errors
    /// [`SourceError::Storage`] when the index of a block cannot be read.
    pub(crate) fn open(
        store: &'a Store,
        tier: Tier,
        sketches: bool,
        selection: &Selection<'_>,
        budget: &'a Budget,
    ) -> Result<Self, SourceError> {
        let mut blocks = Vec::new();
        for (block, index) in
            store.indexes_in(&selection.range, selection.matchers, |meta| meta.holds(tier), budget)?
        {
            budget.charge(0)?;
            let Some(ids) = store.matching(&block, &index, selection.matchers) else { continue };
            blocks.push((block, index, ids));
        }
        let windowed = Windowed::open(blocks, selection.range, sketches).map_err(storage)?;
        Ok(Self { store, budget, windowed, sketches, rollups: Vec::new(), given: 0 })
    }
}

impl RollupCursor for Cursor<'_> {
    fn next_series(&mut self) -> Result<Option<Labels>, SourceError> {
        self.budget.charge(0)?;
        self.rollups.clear();
        self.given = 0;
        self.windowed.next_series().map_err(storage)
    }

    fn next_batch(&mut self) -> Result<Option<&[Rollup]>, SourceError> {
        while self.given == self.rollups.len() {
            self.rollups.clear();
            self.given = 0;
            let (rollups, sketches) = (&mut self.rollups, self.sketches);
            match self.windowed.next_part(&mut |windows, run| windows.rollups(run, sketches, rollups)) {
                Ok(true) => {}
                Ok(false) => return Ok(None),
                Err(error) if error.is_corrupt() => self.store.report_damage_at(error.path()),
                Err(error) => return Err(storage(error)),
            }
        }
        let start = self.given;
        self.given = (start + Batch::MAX).min(self.rollups.len());
        self.budget.charge(self.given - start)?;
        Ok(Some(&self.rollups[start..self.given]))
    }
}

fn storage(error: barograph_disk::Error) -> SourceError {
    SourceError::Storage(Box::new(error))
}
