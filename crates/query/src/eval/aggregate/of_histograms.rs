//! Aggregations over series of which some have histograms.
//!
//! Sums and means are of one kind: where a group has both at a step, or histograms whose buckets do not go together, it
//! has nothing. Counting counts both. The rest looks at floats alone.

use std::sync::Arc;

use super::{Error, Groups, fold};
use crate::{
    eval::{
        column::{ABSENT, Cell, Series, Shared, Vector, is_present},
        context::Context,
        notes::Made,
    },
    native::{Incompatible, Mean, Seen, Total},
    syntax::{Span, ast::AggregateOp},
};

pub(super) fn fold_all(
    context: &Context<'_>,
    (op, span): (AggregateOp, Span),
    vector: &Vector,
    groups: Groups,
) -> Result<Vector, Error> {
    match op {
        AggregateOp::Count | AggregateOp::Group => {
            // To count, what is there does not matter.
            let there = |series: &Series, step: usize| if series.is_present(step) { 1.0 } else { ABSENT };
            let ones =
                |series: &Series| -> Vec<f64> { (0..vector.width).map(|step| there(series, step)).collect() };
            let series = vector.series.iter();
            let series = series.map(|s| Series::floats(s.labels.clone(), s.drop_name, ones(s))).collect();
            fold(context, op, &Vector { series, width: vector.width }, groups)
        }
        AggregateOp::Sum | AggregateOp::Avg => {
            let members = groups.members();
            let mut result = fold(context, op, vector, groups)?;
            for (members, group) in members.iter().zip(&mut result.series) {
                for step in 0..vector.width {
                    context.check()?;
                    let mut histograms = members.iter().filter_map(|&i| {
                        let series = &vector.series[i];
                        Some((series.labels.metric_name(), series.histogram(step)?))
                    });
                    let Some(first) = histograms.next() else { continue };
                    if is_present(group.values[step]) {
                        context.notes.mixed_types_in_aggregation(span);
                        group.put(step, Cell::Absent);
                        continue;
                    }
                    let cell = match op {
                        AggregateOp::Sum => sum(context, span, first, histograms),
                        _ => mean(context, span, first, histograms),
                    };
                    group.put(step, cell);
                }
            }
            Ok(result)
        }
        op => fold(context, op, vector, groups),
    }
}

/// A histogram and the name of its metric.
type Named<'a> = (Option<&'a str>, &'a Shared);

fn sum<'a>(
    context: &Context<'_>,
    span: Span,
    first: Named<'a>,
    rest: impl Iterator<Item = Named<'a>>,
) -> Cell {
    let mut total = Total::of(first.1);
    for (name, histogram) in rest {
        if let Err(Incompatible) = total.add(histogram) {
            context.notes.mixed_buckets(name, span);
            note(context, span, total.seen);
            return Cell::Absent;
        }
    }
    note(context, span, total.seen);
    Cell::Histogram(Arc::new(total.total()))
}

fn mean<'a>(
    context: &Context<'_>,
    span: Span,
    first: Named<'a>,
    rest: impl Iterator<Item = Named<'a>>,
) -> Cell {
    let mut mean = Mean::of(first.1);
    for (name, histogram) in rest {
        if let Err(Incompatible) = mean.add(histogram) {
            context.notes.mixed_buckets(name, span);
            note(context, span, mean.seen());
            return Cell::Absent;
        }
    }
    note(context, span, mean.seen());
    Cell::Histogram(Arc::new(mean.mean()))
}

fn note(context: &Context<'_>, span: Span, seen: Seen) {
    if seen.hints_conflict() {
        context.notes.hints_conflict(Made::Aggregation, span);
    }
    if seen.bounds_differed {
        context.notes.bounds_differed(Made::Aggregation, span);
    }
}
