//! `and`, `or`, `unless`: which series of one vector stay, seen from another.

use super::{
    Error,
    column::{ABSENT, Rows, Vector, is_present, same_labels},
    context::Context,
    matching::Numbers,
};
use crate::syntax::ast::{Binary, BinaryOp};

pub(super) fn combine(
    context: &Context<'_>,
    node: &Binary,
    mut lhs: Vector,
    mut rhs: Vector,
) -> Result<Vector, Error> {
    let width = lhs.width.max(rhs.width);
    lhs.widen(context.budget, width)?;
    rhs.widen(context.budget, width)?;
    let mut numbers = Numbers::default();
    let mut number = |vector: &Vector| -> Result<Vec<usize>, Error> {
        let mut signatures = Vec::with_capacity(vector.series.len());
        for series in &vector.series {
            context.check()?;
            signatures.push(numbers.number(&node.matching, &series.labels));
        }
        Ok(signatures)
    };
    let (left, right) = (number(&lhs)?, number(&rhs)?);
    Ok(match node.op {
        BinaryOp::Or => {
            let there = Presence::of(&lhs, &left);
            there.mask(&mut rhs, &right, false);
            let mut rows = Rows::new(width);
            for series in lhs.series.into_iter().chain(rhs.series) {
                // Equal labels have equal signatures, so the mask has left one value of them a step.
                context.check()?;
                rows.join(series).map_err(|()| same_labels())?;
            }
            rows.finish()
        }
        op => {
            let there = Presence::of(&rhs, &right);
            there.mask(&mut lhs, &left, op == BinaryOp::And);
            lhs
        }
    })
}

/// For each signature, at which steps any of its series has a value.
struct Presence {
    steps: Vec<Option<Vec<bool>>>,
}

impl Presence {
    fn of(vector: &Vector, signatures: &[usize]) -> Self {
        let count = signatures.iter().max().map_or(0, |max| max + 1);
        let mut steps: Vec<Option<Vec<bool>>> = vec![None; count];
        for (series, &signature) in vector.series.iter().zip(signatures) {
            let steps = steps[signature].get_or_insert_with(|| vec![false; vector.width]);
            for (there, &value) in steps.iter_mut().zip(&series.values) {
                *there |= is_present(value);
            }
            for (there, histogram) in steps.iter_mut().zip(&series.histograms) {
                *there |= histogram.is_some();
            }
        }
        Self { steps }
    }

    /// Takes away the values at steps where the signature is there, or where it is not.
    fn mask(&self, vector: &mut Vector, signatures: &[usize], keep_where_there: bool) {
        for (series, &signature) in vector.series.iter_mut().zip(signatures) {
            let there = self.steps.get(signature).and_then(Option::as_ref);
            for (step, value) in series.values.iter_mut().enumerate() {
                if there.is_some_and(|there| there[step]) != keep_where_there {
                    *value = ABSENT;
                }
            }
            for (step, histogram) in series.histograms.iter_mut().enumerate() {
                if there.is_some_and(|there| there[step]) != keep_where_there {
                    *histogram = None;
                }
            }
        }
    }
}
