//! Warnings and infos about a query, each kept once, in the words of Prometheus.

use std::cell::RefCell;

use crate::syntax::Span;

/// How many different notes one query keeps; the rest would not be read.
const NOTES_MAX: usize = 1_000;

/// What was noticed so far.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) warnings: RefCell<Vec<String>>,
    pub(super) infos: RefCell<Vec<String>>,
}

impl Notes {
    pub(super) fn warn(&self, message: &str, span: Span) {
        add(&self.warnings, format!("PromQL warning: {message} ({span})"));
    }

    pub(super) fn inform(&self, message: &str, span: Span) {
        add(&self.infos, format!("PromQL info: {message} ({span})"));
    }

    /// An info of our own, about the answer as a whole.
    pub(super) fn say(&self, message: String) {
        add(&self.infos, message);
    }

    pub(super) fn invalid_quantile(&self, quantile: f64, span: Span) {
        self.warn(&format!("quantile value should be between 0 and 1, got {}", go_float(quantile)), span);
    }
}

/// What histograms were made of when something about them was noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Made {
    Addition,
    Subtraction,
    Aggregation,
}

impl Made {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Addition => "addition",
            Self::Subtraction => "subtraction",
            Self::Aggregation => "aggregation",
        }
    }
}

/// About histograms, and about them and floats.
impl Notes {
    pub(super) fn mixed_types(&self, name: Option<&str>, span: Span) {
        let name = barograph_model::quote(name.unwrap_or_default());
        self.warn(&format!("encountered a mix of histograms and floats for metric name {name}"), span);
    }

    pub(super) fn mixed_types_in_aggregation(&self, span: Span) {
        self.warn("encountered a mix of histograms and floats for aggregation", span);
    }

    pub(super) fn mixed_buckets(&self, name: Option<&str>, span: Span) {
        let name = barograph_model::quote(name.unwrap_or_default());
        let what = "vector contains a mix of histograms with exponential and custom buckets schemas";
        self.warn(&format!("{what} for metric name {name}"), span);
    }

    pub(super) fn classic_and_native(&self, name: Option<&str>, span: Span) {
        let metric = for_metric(name);
        self.warn(&format!("vector contains a mix of classic and native histograms{metric}"), span);
    }

    pub(super) fn not_a_counter(&self, name: Option<&str>, span: Span) {
        let name = barograph_model::quote(name.unwrap_or_default());
        self.warn(&format!("this native histogram metric is not a counter: {name}"), span);
    }

    pub(super) fn not_a_gauge(&self, name: Option<&str>, span: Span) {
        let name = barograph_model::quote(name.unwrap_or_default());
        self.warn(&format!("this native histogram metric is not a gauge: {name}"), span);
    }

    pub(super) fn hints_conflict(&self, made: Made, span: Span) {
        self.warn(&format!("conflicting counter resets during histogram {}", made.as_str()), span);
    }

    pub(super) fn bounds_differed(&self, made: Made, span: Span) {
        self.inform(&format!("mismatched custom buckets were reconciled during {}", made.as_str()), span);
    }

    pub(super) fn ignored_in_aggregation(&self, aggregation: &str, span: Span) {
        self.inform(&format!("ignored histogram in {aggregation} aggregation"), span);
    }

    pub(super) fn ignored_in_range(&self, name: Option<&str>, span: Span) {
        let name = barograph_model::quote(name.unwrap_or_default());
        let what = "ignored histograms in a range containing both floats and histograms";
        self.inform(&format!("{what} for metric name {name}"), span);
    }

    pub(super) fn types_do_not_fit(&self, lhs: &str, operator: &str, rhs: &str, span: Span) {
        let message = format!(
            "incompatible sample types encountered for binary operator \"{operator}\": {lhs} {operator} {rhs}"
        );
        self.inform(&message, span);
    }

    pub(super) fn overlapping_start(&self, name: Option<&str>, span: Span) {
        let name = barograph_model::quote(name.unwrap_or_default());
        self.warn(
            &format!("sample has start time that overlaps with previous sample timestamp for metric {name}"),
            span,
        );
    }
}

fn add(notes: &RefCell<Vec<String>>, note: String) {
    let mut notes = notes.borrow_mut();
    if notes.len() < NOTES_MAX && !notes.contains(&note) {
        notes.push(note);
    }
}

/// ` for metric name "x"`, or nothing for what has no name.
pub(super) fn for_metric(name: Option<&str>) -> String {
    name.map(|name| format!(" for metric name {}", barograph_model::quote(name))).unwrap_or_default()
}

/// A number as Go's `%g` writes it: the fewest digits, an exponent from a million on and below a ten-thousandth.
pub fn go_float(value: f64) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf".into() } else { "-Inf".into() };
    }
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-4..1e6).contains(&magnitude) {
        let text = format!("{value:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
        return format!("{mantissa}e{sign}{digits:0>2}");
    }
    value.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_look_as_in_go() {
        let check = |value: f64, text: &str| assert_eq!(go_float(value), text);
        check(1.1, "1.1");
        check(-1.0, "-1");
        check(1e-7, "1e-07");
        check(2.5e22, "2.5e+22");
        check(123456.5, "123456.5");
        check(1e6, "1e+06");
        check(f64::INFINITY, "+Inf");
    }
}
