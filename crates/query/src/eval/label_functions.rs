//! Functions that change labels or order by them.

use std::cmp::Ordering;

use barograph_model::{Labels, METRIC_NAME, PatternBudget};
use regex::RegexBuilder;

use super::{
    Error,
    column::{Vector, same_labels},
    context::Context,
    expr,
};
use crate::syntax::{
    ast::{Expr, Text},
    quote_bytes,
};

/// A compiled pattern of `label_replace` may take this many bytes.
const PATTERN_BYTES_MAX: usize = 1 << 20;
/// A label value that is made may be so long. What is stored is shorter.
const VALUE_BYTES_MAX: usize = 64 << 10;

/// `label_replace(v, destination, replacement, source, pattern)`
pub(super) fn replace(context: &Context<'_>, args: &[Expr], vector: Vector) -> Result<Vector, Error> {
    let destination = label(&args[1], "destination label name in label_replace()")?;
    let replacement = &expr::text(&args[2])?.value;
    let source = &expr::text(&args[3])?.value;
    let pattern = &expr::text(&args[4])?.value;
    let invalid = || Error::Execution(format!("invalid regular expression in label_replace(): {pattern}"));
    PatternBudget::default().read(pattern).map_err(|_| invalid())?;
    // Read by itself, for one that ends the group around it, such as `a)|(b`; compiled once.
    regex_syntax::parse(pattern).map_err(|_| invalid())?;
    let anchored = format!("^(?s:{pattern})$");
    let regex = RegexBuilder::new(&anchored).size_limit(PATTERN_BYTES_MAX).build().map_err(|_| invalid())?;
    relabel(context, vector, destination, |labels| {
        let source = labels.value(source).unwrap_or_default();
        let Some(captures) = regex.captures(source) else { return Ok(None) };
        // No group is longer than the whole.
        let groups = replacement.bytes().filter(|byte| *byte == b'$').count();
        within_length(
            "label_replace",
            replacement.len().saturating_add(groups.saturating_mul(source.len())),
        )?;
        let mut value = String::new();
        captures.expand(replacement, &mut value);
        Ok(Some(value))
    })
}

/// `label_join(v, destination, separator, source, ...)`
pub(super) fn join(context: &Context<'_>, args: &[Expr], vector: Vector) -> Result<Vector, Error> {
    let destination = label(&args[1], "destination label name in label_join()")?;
    let separator = &expr::text(&args[2])?.value;
    let sources = args[3..]
        .iter()
        .map(|arg| label(arg, "source label name in label_join()"))
        .collect::<Result<Vec<_>, _>>()?;
    relabel(context, vector, destination, |labels| {
        let values: Vec<&str> =
            sources.iter().map(|source| labels.value(source).unwrap_or_default()).collect();
        let bytes: usize = values.iter().map(|value| value.len() + separator.len()).sum();
        within_length("label_join", bytes)?;
        Ok(Some(values.join(separator)))
    })
}

fn within_length(function: &str, bytes: usize) -> Result<(), Error> {
    if bytes <= VALUE_BYTES_MAX {
        return Ok(());
    }
    let message = format!("{function}() may make a label value longer than {VALUE_BYTES_MAX} bytes");
    Err(Error::Execution(message))
}

/// A text that may name a label.
fn label<'a>(arg: &'a Expr, what: &str) -> Result<&'a str, Error> {
    let Text { value, bytes } = expr::text(arg)?;
    match bytes {
        Some(bytes) => Err(Error::Execution(format!("invalid {what}: {}", quote_bytes(bytes)))),
        None if value.is_empty() => Err(Error::Execution(format!("invalid {what}: "))),
        None => Ok(value),
    }
}

/// Sets a label of each series for which there is a value. A name that is set stays.
fn relabel(
    context: &Context<'_>,
    mut vector: Vector,
    destination: &str,
    value: impl Fn(&Labels) -> Result<Option<String>, Error>,
) -> Result<Vector, Error> {
    for series in &mut vector.series {
        context.check()?;
        if let Some(value) = value(&series.labels)? {
            context.budget.reserve(value.len() as u64)?;
            series.labels = series.labels.with(destination, &value);
            series.drop_name &= destination != METRIC_NAME;
        }
    }
    vector.unique().map_err(|_| same_labels())
}

/// Orders by the values of some labels, numbers in them by size, then by all labels.
pub(super) fn sort_by(vector: &mut Vector, labels: &[&Text], descending: bool) {
    vector.series.sort_by(|a, b| {
        let value = |labels: &Labels, name: &str| labels.value(name).unwrap_or_default().to_owned();
        let mut order = Ordering::Equal;
        for label in labels {
            order =
                order.then_with(|| natural(&value(&a.labels, &label.value), &value(&b.labels, &label.value)));
        }
        let order = order.then_with(|| a.labels.cmp(&b.labels));
        if descending { order.reverse() } else { order }
    });
}

/// Orders texts with runs of digits in them by the size of the numbers.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a_rest, mut b_rest) = (a, b);
    while !a_rest.is_empty() && !b_rest.is_empty() {
        let (a_run, a_after, a_digits) = run(a_rest);
        let (b_run, b_after, b_digits) = run(b_rest);
        let order = if a_digits && b_digits {
            let (x, y) = (a_run.trim_start_matches('0'), b_run.trim_start_matches('0'));
            x.len().cmp(&y.len()).then_with(|| x.cmp(y)).then_with(|| a_run.len().cmp(&b_run.len()))
        } else {
            a_run.cmp(b_run)
        };
        if order != Ordering::Equal {
            return order;
        }
        (a_rest, b_rest) = (a_after, b_after);
    }
    a_rest.len().cmp(&b_rest.len())
}

/// The first run of digits or of others, what comes after it, and whether it is digits.
fn run(text: &str) -> (&str, &str, bool) {
    let digits = text.starts_with(|c: char| c.is_ascii_digit());
    let end = text.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(text.len());
    (&text[..end], &text[end..], digits)
}

/// Orders the series of a matrix.
pub(super) fn sort_by_labels<T>(matrix: &mut [(Labels, T)]) {
    matrix.sort_by(|a, b| a.0.cmp(&b.0));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_texts_have_size() {
        let check = |a: &str, b: &str| assert_eq!(natural(a, b), Ordering::Less, "{a} before {b}");
        check("2", "10");
        check("4m5", "4m600");
        check("1.2.3", "1.11.3");
        check("a", "a1");
        check("a", "b");
        check("", "a");
    }
}
