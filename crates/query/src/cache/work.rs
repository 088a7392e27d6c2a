//! One range query on its way through the cache: which of its blocks are kept, what is evaluated, and what of that is kept.

use std::sync::{Arc, atomic::Ordering};

use barograph_model::{Changes, Source, Timestamp, Version};

use super::{
    Cache,
    footprint::Footprint,
    grid::{APART_MAX, Numbered, Numbers},
    piece::{Cutter, Piece, Said},
    shelf::{Found, Key},
};
use crate::{Answer, Options, Steps, Value, ast::Expr};

/// See the module.
pub(super) struct Work<'a> {
    cache: &'a Cache,
    changes: &'a Changes,
    /// What is read from now on is at least this new.
    version: Version,
    footprint: Footprint<'a>,
    key: Arc<Key>,
    pub(super) numbered: Numbered,
    pub(super) numbers: Numbers,
    /// Steps from this one on are answered from one tier.
    covered: i64,
    /// Steps before this one read only what is settled, and stays as it is.
    settled: i64,
}

/// Steps that are kept, or evaluated at once.
pub(super) enum Run {
    Kept(Arc<Piece>, Numbers),
    Missing(Numbers),
}

impl<'a> Work<'a> {
    /// `None` if nothing of the query can be kept.
    pub(super) fn of(
        cache: &'a Cache,
        source: &'a dyn Source,
        expr: &'a Expr,
        (steps, options): (Steps, &Options),
        (settled, infos): (Timestamp, bool),
    ) -> Option<Self> {
        if cache.shelf().bytes_max() == 0 {
            return None;
        }
        let changes = source.changes()?;
        let footprint = Footprint::of(expr, options, steps.step_ms)?;
        let (numbered, numbers) = Numbered::of(steps, footprint.reach())?;
        let (owner, text) = (source.owner(), footprint.text.clone());
        let key = Key { owner, text, options: *options, steps: numbered, infos };
        // Before anything is read.
        let version = changes.settle(settled);
        let covered = numbered.before(footprint.covered_from(source));
        let settled = numbered.before(footprint.before(settled.min(footprint.made_until(source)).0));
        let key = Arc::new(key);
        Some(Self { cache, changes, version, footprint, key, numbered, numbers, covered, settled })
    }

    /// All steps in the order of time, and how many of them are kept.
    pub(super) fn runs(&self) -> (Vec<Run>, usize) {
        let (mut runs, mut changed, mut kept) = (Vec::new(), 0, 0);
        let mut shelf = self.cache.shelf();
        let mut query = shelf.query(&self.key);
        let reach = self.footprint.reach();
        let speaks = query.as_ref().is_some_and(|query| query.speaks);
        let apart = speaks && reach <= self.numbered.block_ms().saturating_mul(APART_MAX);
        // Whether what is missing next may go with what is missing before.
        let mut open = false;
        for (block, numbers) in self.numbered.blocks(self.numbers) {
            let covered = numbers.from >= self.covered;
            let found = match &mut query {
                Some(query) if covered => {
                    query.find(block, numbers, self.version, |piece, version| self.holds(piece, version))
                }
                _ => Found::Nothing,
            };
            match (found, runs.last_mut()) {
                (Found::Piece(piece), _) => {
                    kept += numbers.count();
                    runs.push(Run::Kept(piece, numbers));
                    open = false;
                    continue;
                }
                (found, Some(Run::Missing(before))) if open && !(apart && numbers.to <= self.settled) => {
                    changed += u64::from(matches!(found, Found::Changed));
                    before.to = numbers.to;
                }
                (found, _) => {
                    changed += u64::from(matches!(found, Found::Changed));
                    runs.push(Run::Missing(numbers));
                }
            }
            let next_is_covered = numbers.to >= self.covered;
            open = covered == next_is_covered && !(apart && covered && numbers.to <= self.settled);
        }
        drop(shelf);
        self.cache.changed.fetch_add(changed, Ordering::Relaxed);
        kept -= self.lengthen(&mut runs);
        (runs, kept)
    }

    /// Where a tier is to answer older steps, which one depends on whether there are more steps than one. How many steps
    /// that were kept have to be evaluated for that.
    fn lengthen(&self, runs: &mut Vec<Run>) -> usize {
        let is_one = |run: &Run| matches!(run, Run::Missing(numbers) if numbers.count() == 1);
        if runs.len() < 2 || !is_one(&runs[0]) || self.numbers.from >= self.covered {
            return 0;
        }
        let (to, kept) = match &runs[1] {
            Run::Kept(_, numbers) => (numbers.to, numbers.count()),
            Run::Missing(numbers) => (numbers.to, 0),
        };
        runs.splice(..2, [Run::Missing(Numbers { to, ..self.numbers })]);
        kept
    }

    /// Whether nothing was changed of what a piece was made of.
    fn holds(&self, piece: &Piece, version: Version) -> bool {
        let (first, last) = (self.numbered.at(piece.steps.from), self.numbered.at(piece.steps.to - 1));
        !self.changes.since(version, &self.footprint.extents(first, last))
    }

    /// Keeps what may be kept of an answer to some steps.
    pub(super) fn keep(&self, answer: &Answer, numbers: Numbers) {
        let Value::Matrix(matrix) = &answer.value else { return };
        let sized = matrix.len().saturating_mul(numbers.count()).saturating_mul(size_of::<f64>());
        let fits = sized <= self.cache.shelf().bytes_max() / 2;
        let floats = matrix.iter().all(|series| series.1.histograms.is_empty());
        if !fits || !floats || !self.footprint.is_answered_by(&answer.tiers) {
            return;
        }
        let said = Said::of(answer);
        let blocks: Vec<_> = self.numbered.blocks(numbers).collect();
        let whole = blocks.len() == 1 && numbers.from >= self.covered && numbers.to <= self.settled;
        if said.has_notes() && !whole {
            self.cache.shelf().speaks(&self.key);
            return;
        }
        let before = self.cache.shelf().query(&self.key).and_then(|query| query.before(blocks[0].0));
        let mut cutter = Cutter::new(matrix, self.numbered, before.as_deref());
        let pieces: Vec<_> = blocks
            .into_iter()
            .map(|(block, steps)| (block, Numbers { to: steps.to.min(self.settled), ..steps }))
            .filter(|(_, steps)| steps.from >= self.covered && steps.from < steps.to)
            .map(|(block, steps)| (block, Arc::new(cutter.cut(steps, said.clone()))))
            .collect();
        let mut shelf = self.cache.shelf();
        let put = |(block, piece)| shelf.put(&self.key, block, piece, self.version) as u64;
        let gone = pieces.into_iter().map(put).sum();
        self.cache.evicted.fetch_add(gone, Ordering::Relaxed);
    }
}
