//! What a query reads of a tier.

use barograph_model::{Budget, Labels, Parts, RollupCursor, Rollups, Selection, SourceError, Tier};

use super::Windowed;
use crate::Store;

/// The windows of a selection, series by series.
pub(crate) struct Cursor<'a> {
    store: &'a Store,
    budget: &'a Budget,
    windowed: Windowed<'a>,
}

impl<'a> Cursor<'a> {
    /// A cursor over parts of the windows of a tier that start in the range of a selection.
    ///
    /// # Errors
    /// [`SourceError::Storage`] when the index of a block cannot be read.
    pub(crate) fn open(
        store: &'a Store,
        tier: Tier,
        parts: Parts,
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
        let windowed = Windowed::open(blocks, selection.range, parts, Some(&store.cache));
        Ok(Self { store, budget, windowed })
    }
}

impl RollupCursor for Cursor<'_> {
    fn next_series(&mut self) -> Result<Option<Labels>, SourceError> {
        self.budget.charge(0)?;
        self.windowed.next_series().map_err(storage)
    }

    fn next_batch(&mut self, windows: &mut Rollups) -> Result<bool, SourceError> {
        let before = windows.len();
        loop {
            match self.windowed.append_part(windows) {
                Ok(more) => {
                    self.budget.charge(windows.len() - before)?;
                    return Ok(more);
                }
                Err(error) if error.is_corrupt() => self.store.report_damage_at(error.path()),
                Err(error) => return Err(storage(error)),
            }
        }
    }
}

fn storage(error: barograph_disk::Error) -> SourceError {
    SourceError::Storage(Box::new(error))
}
