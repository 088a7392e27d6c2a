//! What all parts of one evaluation share.

use barograph_model::{Budget, Source};

use super::{
    Answer, Error, Options, Value,
    grid::Grid,
    notes::Notes,
    recorder::{Actual, Recorder},
    rolled::Used,
    totals::Totals,
};
use crate::syntax::ast::{At, Expr, Length, Selector, Shift};

/// One evaluation.
pub(super) struct Context<'a> {
    pub(super) source: &'a dyn Source,
    pub(super) options: &'a Options,
    pub(super) budget: &'a Budget,
    /// The points of the whole query, which those of a subquery are not.
    pub(super) query: Grid,
    pub(super) notes: Notes,
    pub(super) used: Used,
    totals: Totals<'a>,
    recorder: Option<&'a Recorder<'a>>,
}

/// Where a selector or a subquery looks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reference {
    /// The fixed point, before the offset.
    pub(super) at: Option<i64>,
    pub(super) offset: i64,
}

impl<'a> Context<'a> {
    pub(super) fn new(
        source: &'a dyn Source,
        options: &'a Options,
        budget: &'a Budget,
        query: Grid,
        expr: &'a Expr,
    ) -> Self {
        let (notes, used, totals) = (Notes::default(), Used::default(), Totals::of(expr));
        Self { source, options, budget, query, notes, used, totals, recorder: None }
    }

    /// The same, recorded if that is wanted.
    pub(super) fn recorded(self, recorder: Option<&'a Recorder<'a>>) -> Self {
        Self { recorder, ..self }
    }

    /// Does the work of a part of the query, of which `series` come, and records it if that is wanted.
    pub(super) fn watch<T>(
        &self,
        part: &Expr,
        work: impl FnOnce() -> Result<T, Error>,
        series: impl FnOnce(&T) -> usize,
    ) -> Result<T, Error> {
        let Some(recorder) = self.recorder else { return work() };
        let (began, spent) = (recorder.now(), self.budget.spent());
        let value = work()?;
        let series = series(&value) as u64;
        let samples = self.budget.spent() - spent;
        recorder.add(part, Actual { series, samples, took: recorder.now().saturating_sub(began) });
        Ok(value)
    }

    /// Whether only counts and sums are read of the histograms of a selector.
    pub(super) fn reads_totals(&self, selector: &Selector) -> bool {
        self.totals.contains(selector)
    }

    pub(super) fn answer(self, value: Value) -> Answer {
        let sorted = |mut notes: Vec<String>| {
            notes.sort_unstable();
            notes
        };
        Answer {
            value,
            warnings: sorted(self.notes.warnings.into_inner()),
            infos: sorted(self.notes.infos.into_inner()),
            tiers: self.used.tiers(),
            error: self.used.error(),
        }
    }

    /// Stops here if the query was cancelled.
    pub(super) fn check(&self) -> Result<(), Error> {
        Ok(self.budget.check()?)
    }

    /// Milliseconds between the steps of the query; zero for an instant query.
    pub(super) fn step(&self) -> i64 {
        if self.query.instant { 0 } else { self.query.step }
    }

    /// Milliseconds from the first step of the query to its last.
    pub(super) fn query_range(&self) -> i64 {
        self.query.last().saturating_sub(self.query.start)
    }

    fn times(&self) -> crate::syntax::Times {
        crate::syntax::Times { step: self.step(), range: self.query_range() }
    }

    pub(super) fn positive_length(&self, length: &Length) -> Result<i64, Error> {
        let at = |message: &str| Error::Execution(format!("{}: {message}", length.span));
        length.positive_millis(self.times()).map_err(at)
    }

    pub(super) fn reference(&self, shift: &Shift) -> Result<Reference, Error> {
        let offset = match &shift.offset {
            None => 0,
            Some(length) => {
                let at = |message: &str| Error::Execution(format!("{}: {message}", length.span));
                length.millis(self.times()).map_err(at)?
            }
        };
        let at = shift.at.map(|at| match at {
            At::Time(millis) => millis,
            At::Start => self.query.start,
            At::End => self.query.last(),
        });
        // A range that ends before `t` is one that ends at the millisecond before.
        Ok(Reference { at, offset: offset.saturating_add(i64::from(self.options.half_open)) })
    }
}
