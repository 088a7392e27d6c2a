//! What happened while a query was evaluated, part by part, for those who ask.
//!
//! A query that nobody records pays one comparison a part. There is no clock below the edge: whoever wants to know how
//! long something took hands one in.

use std::{cell::RefCell, collections::HashMap, time::Duration};

use crate::syntax::ast::Expr;

/// The time that passed since whenever; never less than at the call before.
pub type Clock<'a> = dyn Fn() -> Duration + 'a;

/// What a part of a query did; of one that was evaluated more than once, all together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Actual {
    /// Series that came of it; those of the greatest evaluation.
    pub series: u64,
    /// Samples that were read and points that were made, as the limit of samples counts them, those of its parts included.
    pub samples: u64,
    /// How long it took, its parts included.
    pub took: Duration,
}

/// Keeps what parts did, by where they lie in memory: a tree stays where it is while it is evaluated.
pub(crate) struct Recorder<'a> {
    clock: &'a Clock<'a>,
    parts: RefCell<HashMap<usize, Actual>>,
}

impl<'a> Recorder<'a> {
    pub(crate) fn new(clock: &'a Clock<'a>) -> Self {
        Self { clock, parts: RefCell::default() }
    }

    pub(crate) fn now(&self) -> Duration {
        (self.clock)()
    }

    /// What a part did; `None` if it was never come by.
    pub(crate) fn actual(&self, expr: &Expr) -> Option<Actual> {
        self.parts.borrow().get(&place(expr)).copied()
    }

    pub(super) fn add(&self, expr: &Expr, actual: Actual) {
        let mut parts = self.parts.borrow_mut();
        let all = parts.entry(place(expr)).or_default();
        all.series = all.series.max(actual.series);
        all.samples += actual.samples;
        all.took += actual.took;
    }
}

fn place(expr: &Expr) -> usize {
    std::ptr::from_ref(expr).addr()
}
