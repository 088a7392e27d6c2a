//! Native histograms as PromQL computes with them.
//!
//! A stored [`Histogram`](barograph_model::Histogram) counts something that happened, so none of its counts is negative.
//! What comes out of an expression may be anything: a difference, a quotient, a mean. That is a [`FloatHistogram`]:
//!
//! - [`layout`](self) buckets, their bounds, and how two histograms come to the same ones;
//! - arithmetic, sums and means that lose nothing to rounding, resets of counters;
//! - what is read out of one: quantiles, fractions, variances; and the parts above or below a value.
//!
//! Empty buckets are left out. Source of all rules: "Native Histograms", the specification in the Prometheus
//! documentation.

mod arithmetic;
mod estimate;
mod layout;
mod resets;
mod total;
mod trim;

use std::{fmt, sync::Arc};

use barograph_model::{CUSTOM_BOUNDS, Histogram, HistogramError, HistogramParts, ResetHint};

pub use arithmetic::Incompatible;
pub use layout::Bucket;
pub(crate) use total::{Mean, Seen, Total};
pub(crate) use trim::Keep;

use crate::eval::go_float;

/// A distribution as a value of PromQL. Counts may be negative, infinite, or not a number.
#[derive(Clone, Debug)]
pub struct FloatHistogram {
    schema: i8,
    hint: ResetHint,
    zero_threshold: f64,
    zero_count: f64,
    count: f64,
    sum: f64,
    positive: Vec<(i32, f64)>,
    negative: Vec<(i32, f64)>,
    bounds: Arc<[f64]>,
}

impl From<&Histogram> for FloatHistogram {
    fn from(stored: &Histogram) -> Self {
        Self {
            schema: stored.schema(),
            hint: stored.hint,
            zero_threshold: stored.zero_threshold(),
            zero_count: stored.zero_count(),
            count: stored.count(),
            sum: stored.sum(),
            positive: stored.positive().to_vec(),
            negative: stored.negative().to_vec(),
            bounds: stored.bounds().into(),
        }
    }
}

impl FloatHistogram {
    /// Of parts that need not fit each other, as scripts write what they expect.
    pub(crate) fn of_parts(parts: HistogramParts) -> Self {
        let mut histogram = Self {
            schema: parts.schema,
            hint: parts.hint,
            zero_threshold: parts.zero_threshold,
            zero_count: parts.zero_count,
            count: parts.count,
            sum: parts.sum,
            positive: parts.positive,
            negative: parts.negative,
            bounds: parts.bounds.into(),
        };
        histogram.compact();
        histogram
    }

    /// Its parts, as a stored histogram is made of.
    pub(crate) fn into_parts(self) -> HistogramParts {
        HistogramParts {
            schema: self.schema,
            hint: self.hint,
            float: true,
            zero_threshold: self.zero_threshold,
            zero_count: self.zero_count,
            count: self.count,
            sum: self.sum,
            positive: self.positive,
            negative: self.negative,
            bounds: self.bounds.to_vec(),
        }
    }

    /// As it can be stored.
    ///
    /// # Errors
    /// A count is negative or no number, which nothing that is stored may be.
    pub fn to_stored(&self) -> Result<Histogram, HistogramError> {
        Histogram::new(self.clone().into_parts())
    }

    /// −4 to 8, or −53 for custom bounds.
    pub fn schema(&self) -> i8 {
        self.schema
    }

    /// Whether its buckets have bounds of their own.
    pub fn is_custom(&self) -> bool {
        self.schema == CUSTOM_BOUNDS
    }

    /// What is known of a reset before it.
    pub fn hint(&self) -> ResetHint {
        self.hint
    }

    pub(crate) fn with_hint(mut self, hint: ResetHint) -> Self {
        self.hint = hint;
        self
    }

    /// How far from zero the zero bucket reaches.
    pub fn zero_threshold(&self) -> f64 {
        self.zero_threshold
    }

    /// Observations in the zero bucket.
    pub fn zero_count(&self) -> f64 {
        self.zero_count
    }

    /// Observations in all.
    pub fn count(&self) -> f64 {
        self.count
    }

    /// Their sum.
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// Index and count of the occupied buckets above zero, ascending.
    pub fn positive(&self) -> &[(i32, f64)] {
        &self.positive
    }

    /// The same below zero, by magnitude.
    pub fn negative(&self) -> &[(i32, f64)] {
        &self.negative
    }

    /// The custom bounds; none of an exponential schema.
    pub fn bounds(&self) -> &[f64] {
        &self.bounds
    }

    /// Whether it is the marker that ends a series.
    pub(crate) fn is_stale(&self) -> bool {
        barograph_model::is_stale(self.sum)
    }

    /// One of the same layout with nothing in it.
    pub(crate) fn nothing(&self) -> Self {
        Self {
            zero_count: 0.0,
            count: 0.0,
            sum: 0.0,
            positive: Vec::new(),
            negative: Vec::new(),
            bounds: self.bounds.clone(),
            ..*self
        }
    }

    fn compact(&mut self) {
        self.positive.retain(|bucket| bucket.1 != 0.0);
        self.negative.retain(|bucket| bucket.1 != 0.0);
    }

    /// Whether something in it is infinite.
    fn overflows(&self) -> bool {
        let totals = [self.zero_count, self.count, self.sum];
        let counts = self.positive.iter().chain(&self.negative).map(|bucket| bucket.1);
        counts.chain(totals).any(f64::is_infinite)
    }
}

/// Bit for bit, but for hints and empty buckets, which say nothing about what was observed.
impl PartialEq for FloatHistogram {
    fn eq(&self, other: &Self) -> bool {
        let same = |a: f64, b: f64| a.to_bits() == b.to_bits();
        let buckets = |a: &[(i32, f64)], b: &[(i32, f64)]| {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && same(a.1, b.1))
        };
        self.schema == other.schema
            && same(self.count, other.count)
            && same(self.sum, other.sum)
            && same(self.zero_threshold, other.zero_threshold)
            && same(self.zero_count, other.zero_count)
            && self.bounds.len() == other.bounds.len()
            && self.bounds.iter().zip(other.bounds.iter()).all(|(a, b)| same(*a, *b))
            && buckets(&self.positive, &other.positive)
            && buckets(&self.negative, &other.negative)
    }
}

/// As Prometheus writes it into a label: `{count:3, sum:4, (1,2]:3}`.
impl fmt::Display for FloatHistogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{count:{}, sum:{}", go_float(self.count), go_float(self.sum))?;
        for bucket in self.buckets() {
            let (open, close) = bucket.brackets();
            let (lower, upper) = (go_float(bucket.lower), go_float(bucket.upper));
            write!(f, ", {open}{lower},{upper}{close}:{}", go_float(bucket.count))?;
        }
        f.write_str("}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_as_in_prometheus() {
        let check = |parts: HistogramParts, text: &str| {
            assert_eq!(FloatHistogram::of_parts(parts).to_string(), text);
        };
        let parts = HistogramParts {
            zero_threshold: 0.25,
            zero_count: 7.0,
            count: 12.5,
            sum: -1e7,
            positive: vec![(1, 3.0), (3, 0.0)],
            negative: vec![(0, 2.5)],
            ..HistogramParts::default()
        };
        check(parts, "{count:12.5, sum:-1e+07, [-1,-0.5):2.5, [-0.25,0.25]:7, (1,2]:3}");
        let custom = HistogramParts {
            schema: CUSTOM_BOUNDS,
            bounds: vec![-1.0, 4.0],
            positive: vec![(0, 1.0), (1, 2.0), (2, 3.0)],
            count: 6.0,
            ..HistogramParts::default()
        };
        check(custom, "{count:6, sum:0, [-Inf,-1]:1, (-1,4]:2, (4,+Inf]:3}");
    }
}
