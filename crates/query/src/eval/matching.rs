//! Operators between two vectors: series find each other by the labels they share.
//!
//! The signature of a series (the labels that count) is made once and numbered. Per signature there are many
//! series on one side and at most one *at a time* on the other, so each pair of series of the same signature gives
//! one column. Only signatures with several series on a side are looked at step by step for conflicts.

use barograph_model::{Labels, LabelsBuilder};

use super::{
    Error,
    binary::{drops_name, element},
    column::{ABSENT, Map, Rows, Series, Vector, is_name_label, is_present},
    context::Context,
    on_histograms::{self, Site},
};
use crate::syntax::{
    Span,
    ast::{Binary, Group, Matching},
};

pub(super) fn combine(
    context: &Context<'_>,
    (node, span): (&Binary, Span),
    lhs: Vector,
    rhs: Vector,
) -> Result<Vector, Error> {
    let matching = &node.matching;
    let width = lhs.width.max(rhs.width);
    let swapped = matching.group == Group::Right;
    let (many, one) = if swapped { (rhs, lhs) } else { (lhs, rhs) };
    // With `group_right` upstream fills the other side than the word says, and so do we.
    let (fill_many, fill_one) = (matching.fill_left, matching.fill_right);
    let signatures = Signatures::of(context, matching, &many, &one)?;
    check_one_side(context, node, width, &signatures, &many, &one)?;
    let site = Site { context, node, span };
    let mut output = Output { site, swapped, rows: Rows::new(width), width };
    for bucket in &signatures.buckets {
        for many_series in bucket.many.iter().map(|&i| &many.series[i]) {
            for one_series in bucket.one.iter().map(|&i| &one.series[i]) {
                context.check()?;
                output.pair(many_series, one_series)?;
            }
            context.check()?;
            if let Some(fill) = fill_one {
                let labels = matched_labels(matching, &many_series.labels);
                let missing = |step: usize| bucket.one.iter().all(|&i| !one.series[i].is_present(step));
                let filled = filler(labels, fill, width, missing);
                output.pair(many_series, &filled)?;
            }
        }
        if let Some(fill) = fill_many {
            for one_series in bucket.one.iter().map(|&i| &one.series[i]) {
                context.check()?;
                let labels = matched_labels(matching, &one_series.labels);
                let missing = |step: usize| bucket.many.iter().all(|&i| !many.series[i].is_present(step));
                output.pair(&filler(labels, fill, width, missing), one_series)?;
            }
        }
    }
    let vector = output.rows.finish();
    if context.options.delayed_name_removal { Ok(vector) } else { vector.settle() }
}

/// A series that is there where another is missing.
fn filler(labels: Labels, fill: f64, width: usize, missing: impl Fn(usize) -> bool) -> Series {
    let values = (0..width).map(|step| if missing(step) { fill } else { ABSENT }).collect();
    Series::floats(labels, false, values)
}

/// The result in the making.
struct Output<'a> {
    site: Site<'a>,
    swapped: bool,
    rows: Rows,
    width: usize,
}

impl Output<'_> {
    /// Combines two series where both have values.
    fn pair(&mut self, many: &Series, one: &Series) -> Result<(), Error> {
        let (a, b) = if self.swapped { (one, many) } else { (many, one) };
        let (width, node) = (self.width, self.site.node);
        if !a.histograms.is_empty() || !b.histograms.is_empty() || on_histograms::only(node.op) {
            let combined = |step| on_histograms::combine(self.site, a.cell(step), b.cell(step));
            let cells = (0..width).map(combined).collect();
            let series = Series::of_cells(Labels::empty(), false, cells);
            return if series.is_present_anywhere() { self.add(many, one, series) } else { Ok(()) };
        }
        let mut values: Option<Vec<f64>> = None;
        for step in 0..width {
            let (x, y) = (a.at(step), b.at(step));
            if is_present(x) && is_present(y) {
                let value = element(node, x, y);
                if is_present(value) {
                    values.get_or_insert_with(|| vec![ABSENT; width])[step] = value;
                }
            }
        }
        let Some(values) = values else { return Ok(()) };
        self.add(many, one, Series::floats(Labels::empty(), false, values))
    }

    /// Adds what two series gave, under the labels of the result.
    fn add(&mut self, many: &Series, one: &Series, result: Series) -> Result<(), Error> {
        let node = self.site.node;
        let labels = result_labels(node, &many.labels, &one.labels);
        let drop_name = many.drop_name || drops_name(node);
        self.rows.join(Series { labels, drop_name, ..result }).map_err(|()| {
            let reason = match node.matching.group {
                Group::OneToOne => "many-to-one matching must be explicit (group_left/group_right)",
                _ => "grouping labels must ensure unique matches",
            };
            Error::Execution(format!("multiple matches for labels: {reason}"))
        })
    }
}

/// The labels of the result, from the side with many series and the one with one.
fn result_labels(node: &Binary, many: &Labels, one: &Labels) -> Labels {
    let matching = &node.matching;
    let changes = !node.op.is_comparison() && !on_histograms::only(node.op);
    let one_to_one = matching.group == Group::OneToOne;
    let kept = many.without(|name| {
        let listed = matching.labels.iter().any(|label| label.as_bytes() == name);
        (changes && is_name_label(name)) || (one_to_one && matching.on != listed)
    });
    if matching.include.is_empty() {
        return kept;
    }
    let mut builder = LabelsBuilder::from(&kept);
    for label in &matching.include {
        builder.set(label, one.value(label).unwrap_or_default());
    }
    builder.build()
}

/// The labels two series must agree on.
fn matched_labels(matching: &Matching, labels: &Labels) -> Labels {
    labels.without(|name| !counts(matching, name))
}

/// Whether a label is part of the signature.
fn counts(matching: &Matching, name: &[u8]) -> bool {
    let listed = matching.labels.iter().any(|label| label.as_bytes() == name);
    if matching.on { listed } else { !listed && !is_name_label(name) }
}

/// The series of both sides by signature.
struct Signatures {
    buckets: Vec<Bucket>,
}

#[derive(Default)]
struct Bucket {
    many: Vec<usize>,
    one: Vec<usize>,
}

impl Signatures {
    fn of(context: &Context<'_>, matching: &Matching, many: &Vector, one: &Vector) -> Result<Self, Error> {
        let mut numbers = Numbers::default();
        let mut buckets: Vec<Bucket> = Vec::new();
        let mut sort = |vector: &Vector, side: fn(&mut Bucket) -> &mut Vec<usize>| -> Result<(), Error> {
            for (i, series) in vector.series.iter().enumerate() {
                context.check()?;
                let number = numbers.number(matching, &series.labels);
                if number == buckets.len() {
                    buckets.push(Bucket::default());
                }
                side(&mut buckets[number]).push(i);
            }
            Ok(())
        };
        sort(many, |bucket| &mut bucket.many)?;
        sort(one, |bucket| &mut bucket.one)?;
        Ok(Self { buckets })
    }
}

/// Numbers signatures in the order in which they turn up.
#[derive(Default)]
pub(super) struct Numbers {
    index: Map<Vec<u8>, usize>,
    key: Vec<u8>,
}

impl Numbers {
    pub(super) fn number(&mut self, matching: &Matching, labels: &Labels) -> usize {
        self.key.clear();
        labels.append_kept(&mut self.key, |name| counts(matching, name));
        match self.index.get(&self.key) {
            Some(&number) => number,
            None => {
                let next = self.index.len();
                self.index.insert(self.key.clone(), next);
                next
            }
        }
    }
}

/// On the side of which there may be one, two series of a signature must not have a value at the same step; in a
/// one-to-one match neither side may, where the other has a value.
fn check_one_side(
    context: &Context<'_>,
    node: &Binary,
    width: usize,
    signatures: &Signatures,
    many: &Vector,
    one: &Vector,
) -> Result<(), Error> {
    let matching = &node.matching;
    let filled = matching.fill_left.is_some() || matching.fill_right.is_some();
    let twice = |indices: &[usize], vector: &Vector, step: usize| {
        let mut there = indices.iter().copied().filter(|&i| vector.series[i].is_present(step));
        there.next().zip(there.next())
    };
    for bucket in &signatures.buckets {
        if bucket.one.len() > 1 {
            for step in 0..width {
                context.check()?;
                let Some((a, b)) = twice(&bucket.one, one, step) else { continue };
                // With nothing at all on the other side nothing is matched, and nothing is wrong.
                if !filled && !many.series.iter().any(|series| series.is_present(step)) {
                    continue;
                }
                let side = if matching.group == Group::Right { "left" } else { "right" };
                let group = matched_labels(matching, &one.series[a].labels);
                let (a, b) = (&one.series[a].labels, &one.series[b].labels);
                let message = format!(
                    "found duplicate series for the match group {group} on the {side} hand-side of the operation: \
                     [{b}, {a}];many-to-many matching not allowed: matching labels must be unique on one side"
                );
                return Err(Error::Execution(message));
            }
        }
        if matching.group == Group::OneToOne && bucket.many.len() > 1 {
            for step in 0..width {
                context.check()?;
                let matched = bucket.one.iter().any(|&i| one.series[i].is_present(step));
                if (matched || matching.fill_right.is_some()) && twice(&bucket.many, many, step).is_some() {
                    let message = "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)";
                    return Err(Error::Execution(message.into()));
                }
            }
        }
    }
    Ok(())
}
