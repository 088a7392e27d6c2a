//! Native histograms: a distribution as one sample, as Prometheus defines them.
//!
//! Source: "Native Histograms", the specification in the Prometheus documentation. A positive bucket `i` of an
//! exponential schema `s` holds the values in `(b^(i−1), b^i]` with `b = 2^(2^−s)`, a negative one their mirror image, the
//! zero bucket all values not further from zero than its threshold. Buckets of schema −53 have bounds of their own.
//!
//! A histogram that exists is valid: buckets ascend, no count is negative, and they fit the schema.

use std::fmt;

/// The schema of custom bounds.
pub const CUSTOM_BOUNDS: i8 = -53;

/// The exponential schemas; what is sent with a finer one is joined to the finest.
pub const SCHEMAS: std::ops::RangeInclusive<i8> = -4..=8;

/// The finest exponential schema that can be sent.
const SCHEMA_SENT_MAX: i8 = 52;

/// The most buckets of one sign.
pub const HISTOGRAM_BUCKETS_MAX: usize = 1 << 16;

/// A distribution at a moment, either counted since some start or of the moment alone (a gauge).
///
/// Counts are `f64` for both flavours: whole numbers below 2^53 are exact.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    schema: i8,
    /// What is known of resets before it.
    pub hint: ResetHint,
    /// Whether it was sent with counts that need not be whole.
    pub float: bool,
    zero_threshold: f64,
    zero_count: f64,
    count: f64,
    sum: f64,
    positive: Vec<(i32, f64)>,
    negative: Vec<(i32, f64)>,
    bounds: Vec<f64>,
}

/// Whether a counter began anew between the histogram before and this one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResetHint {
    /// It has to be found out.
    #[default]
    Unknown,
    /// It did.
    Yes,
    /// It did not.
    No,
    /// It is no counter.
    Gauge,
}

/// The parts of a histogram, to be checked by [`Histogram::new`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HistogramParts {
    /// −4 to 52, or [`CUSTOM_BOUNDS`].
    pub schema: i8,
    /// See [`ResetHint`].
    pub hint: ResetHint,
    /// Whether counts need not be whole.
    pub float: bool,
    /// How far from zero the zero bucket reaches; not negative.
    pub zero_threshold: f64,
    /// Values in the zero bucket.
    pub zero_count: f64,
    /// Values in all buckets, and for a sum that is not a number perhaps more.
    pub count: f64,
    /// The sum of all values; the staleness marker ends the series.
    pub sum: f64,
    /// Index and count of buckets, ascending.
    pub positive: Vec<(i32, f64)>,
    /// The same of negative values.
    pub negative: Vec<(i32, f64)>,
    /// The upper bounds of buckets, ascending and finite; of custom bounds only.
    pub bounds: Vec<f64>,
}

/// Why a histogram was refused. Sending it again will not help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistogramError {
    /// No such schema.
    Schema,
    /// A count is below zero or not a number.
    NegativeCount,
    /// Buckets do not ascend.
    Order,
    /// Spans do not cover the buckets, or go backwards.
    Spans,
    /// The buckets hold more or less than the histogram.
    Count,
    /// A threshold that is negative or not a number.
    ZeroThreshold,
    /// Custom bounds that are not finite or do not ascend, or that do not go with the rest.
    Bounds,
    /// More buckets than a histogram may have.
    TooManyBuckets,
}

impl fmt::Display for HistogramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Schema => f.write_str("histogram schema is neither -4 to 52 nor -53"),
            Self::NegativeCount => f.write_str("histogram has a negative count"),
            Self::Order => f.write_str("histogram buckets are not in order"),
            Self::Spans => f.write_str("histogram spans do not cover its buckets"),
            Self::Count => f.write_str("histogram count does not match its buckets"),
            Self::ZeroThreshold => f.write_str("histogram zero threshold is negative"),
            Self::Bounds => f.write_str("histogram custom bounds are malformed"),
            Self::TooManyBuckets => f.write_str("histogram has too many buckets"),
        }
    }
}

impl std::error::Error for HistogramError {}

/// Histograms whose custom bounds differ cannot be joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DifferentBounds;

impl fmt::Display for DifferentBounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("histograms with different custom bounds cannot be joined")
    }
}

impl std::error::Error for DifferentBounds {}

/// Gives counts the indices that spans of (offset, length) say: the first offset is an index, the others are gaps.
///
/// # Errors
/// [`HistogramError::Spans`] where there are more counts than places or fewer, or a gap is negative;
/// [`HistogramError::TooManyBuckets`].
pub fn place_buckets(spans: &[(i32, u32)], counts: &[f64]) -> Result<Vec<(i32, f64)>, HistogramError> {
    let mut buckets = Vec::with_capacity(counts.len().min(HISTOGRAM_BUCKETS_MAX));
    let mut rest = counts;
    let mut next = 0i32;
    for (number, &(offset, length)) in spans.iter().enumerate() {
        if number > 0 && offset < 0 {
            return Err(HistogramError::Spans);
        }
        next = next.checked_add(offset).ok_or(HistogramError::Spans)?;
        let length = usize::try_from(length).map_err(|_| HistogramError::Spans)?;
        let (covered, after) = rest.split_at_checked(length).ok_or(HistogramError::Spans)?;
        if buckets.len() + covered.len() > HISTOGRAM_BUCKETS_MAX {
            return Err(HistogramError::TooManyBuckets);
        }
        for &count in covered {
            buckets.push((next, count));
            next = next.checked_add(1).ok_or(HistogramError::Spans)?;
        }
        rest = after;
    }
    if rest.is_empty() { Ok(buckets) } else { Err(HistogramError::Spans) }
}

impl Histogram {
    /// Checks the parts. Schemas 9 to 52 are joined to 8; empty buckets are left out.
    ///
    /// # Errors
    /// [`HistogramError`] names the first rule that is broken.
    pub fn new(parts: HistogramParts) -> Result<Self, HistogramError> {
        let custom = parts.schema == CUSTOM_BOUNDS;
        if !custom && !(*SCHEMAS.start()..=SCHEMA_SENT_MAX).contains(&parts.schema) {
            return Err(HistogramError::Schema);
        }
        if parts.positive.len().max(parts.negative.len()).max(parts.bounds.len()) > HISTOGRAM_BUCKETS_MAX {
            return Err(HistogramError::TooManyBuckets);
        }
        let mut buckets = 0.0;
        for side in [&parts.positive, &parts.negative] {
            if !side.is_sorted_by(|a, b| a.0 < b.0) {
                return Err(HistogramError::Order);
            }
            buckets += side.iter().map(|bucket| bucket.1).sum::<f64>();
        }
        let counts = parts.positive.iter().chain(&parts.negative).map(|bucket| bucket.1);
        if counts.chain([parts.zero_count, parts.count]).any(|count| count.is_nan() || count < 0.0) {
            return Err(HistogramError::NegativeCount);
        }
        if parts.zero_threshold.is_nan() || parts.zero_threshold < 0.0 {
            return Err(HistogramError::ZeroThreshold);
        }
        check_bounds(&parts, custom)?;
        let within = buckets + parts.zero_count;
        let fits = match (parts.float, parts.sum.is_nan()) {
            // Rounding may have come between counts that need not be whole.
            (true, _) => true,
            (false, true) => within <= parts.count,
            (false, false) => within == parts.count,
        };
        if !fits {
            return Err(HistogramError::Count);
        }
        let mut histogram = Self {
            schema: parts.schema,
            hint: parts.hint,
            float: parts.float,
            zero_threshold: parts.zero_threshold,
            zero_count: parts.zero_count,
            count: parts.count,
            sum: parts.sum,
            positive: parts.positive,
            negative: parts.negative,
            bounds: parts.bounds,
        };
        histogram.positive.retain(|bucket| bucket.1 != 0.0);
        histogram.negative.retain(|bucket| bucket.1 != 0.0);
        if !custom {
            histogram.reduce_to(*SCHEMAS.end());
        }
        Ok(histogram)
    }

    /// −4 to 8, or [`CUSTOM_BOUNDS`].
    pub fn schema(&self) -> i8 {
        self.schema
    }

    /// How far from zero the zero bucket reaches.
    pub fn zero_threshold(&self) -> f64 {
        self.zero_threshold
    }

    /// Values in the zero bucket.
    pub fn zero_count(&self) -> f64 {
        self.zero_count
    }

    /// Values in all.
    pub fn count(&self) -> f64 {
        self.count
    }

    /// Their sum; every bit pattern is kept.
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// Index and count of the occupied buckets, ascending.
    pub fn positive(&self) -> &[(i32, f64)] {
        &self.positive
    }

    /// The same of negative values, by magnitude.
    pub fn negative(&self) -> &[(i32, f64)] {
        &self.negative
    }

    /// The custom bounds; none of an exponential schema.
    pub fn bounds(&self) -> &[f64] {
        &self.bounds
    }

    /// One with the same layout and nothing in it.
    pub fn nothing(&self) -> Self {
        Self {
            zero_count: 0.0,
            count: 0.0,
            sum: 0.0,
            positive: Vec::new(),
            negative: Vec::new(),
            ..self.clone()
        }
    }

    /// Whether it is the marker that ends a series.
    pub fn is_stale(&self) -> bool {
        crate::is_stale(self.sum)
    }

    /// Joins neighbouring buckets until the schema is at most `schema`, which loses nothing but resolution. Custom
    /// bounds stay.
    pub fn reduce_to(&mut self, schema: i8) {
        if self.schema == CUSTOM_BOUNDS || self.schema <= schema {
            return;
        }
        let steps = u32::from(self.schema.abs_diff(schema)).min(31);
        for side in [&mut self.positive, &mut self.negative] {
            side.iter_mut().for_each(|bucket| bucket.0 = (bucket.0.wrapping_sub(1) >> steps) + 1);
            side.dedup_by(|next, kept| {
                let same = next.0 == kept.0;
                kept.1 += if same { next.1 } else { 0.0 };
                same
            });
        }
        self.schema = schema;
    }

    /// Adds the counts of another histogram. The schema becomes the coarser of both, the zero bucket the wider.
    ///
    /// # Errors
    /// [`DifferentBounds`], with nothing changed.
    pub fn add(&mut self, other: &Self) -> Result<(), DifferentBounds> {
        self.combine(other, 1.0)
    }

    /// Takes the counts of another histogram away. Counts below zero are possible then.
    ///
    /// # Errors
    /// [`DifferentBounds`], with nothing changed.
    pub fn subtract(&mut self, other: &Self) -> Result<(), DifferentBounds> {
        self.combine(other, -1.0)
    }

    fn combine(&mut self, other: &Self, sign: f64) -> Result<(), DifferentBounds> {
        if (self.schema == CUSTOM_BOUNDS) != (other.schema == CUSTOM_BOUNDS) || self.bounds != other.bounds {
            return Err(DifferentBounds);
        }
        self.reduce_to(other.schema);
        let mut other = other.clone();
        other.reduce_to(self.schema);
        // Widening may take in a bucket whose bound is further out than the threshold: until both agree.
        while self.zero_threshold != other.zero_threshold {
            let threshold = self.zero_threshold.max(other.zero_threshold);
            self.widen_zero(threshold);
            other.widen_zero(threshold);
        }
        for (mine, theirs) in [(&mut self.positive, &other.positive), (&mut self.negative, &other.negative)] {
            merge(mine, theirs, sign);
        }
        self.zero_count += sign * other.zero_count;
        self.count += sign * other.count;
        self.sum += sign * other.sum;
        self.float |= other.float;
        Ok(())
    }

    /// Makes the zero bucket reach to `threshold`, or to the bound of the bucket the threshold lies in.
    fn widen_zero(&mut self, threshold: f64) {
        if threshold <= self.zero_threshold {
            return;
        }
        let mut reach = threshold;
        for side in [&self.positive, &self.negative] {
            let cut = side.iter().filter(|bucket| bound(bucket.0 - 1, self.schema) < threshold);
            reach = cut.map(|bucket| bound(bucket.0, self.schema)).fold(reach, f64::max);
        }
        for side in [&mut self.positive, &mut self.negative] {
            let within = side.partition_point(|bucket| bound(bucket.0, self.schema) <= reach);
            self.zero_count += side.drain(..within).map(|bucket| bucket.1).sum::<f64>();
        }
        self.zero_threshold = reach;
    }

    /// Whether a counter began anew between `before` and this one: by the hint, or because something became less.
    pub fn is_reset_after(&self, before: &Self) -> bool {
        match self.hint {
            ResetHint::Yes => return true,
            ResetHint::No | ResetHint::Gauge => return false,
            ResetHint::Unknown => {}
        }
        if self.count < before.count || self.bounds != before.bounds {
            return true;
        }
        let custom = [self.schema, before.schema].contains(&CUSTOM_BOUNDS);
        if self.schema > before.schema || custom && self.schema != before.schema {
            return true;
        }
        if self.zero_threshold < before.zero_threshold {
            return true;
        }
        let mut before = before.clone();
        before.reduce_to(self.schema);
        before.widen_zero(self.zero_threshold);
        self.zero_threshold != before.zero_threshold
            || self.zero_count < before.zero_count
            || is_less(&self.positive, &before.positive)
            || is_less(&self.negative, &before.negative)
    }
}

fn check_bounds(parts: &HistogramParts, custom: bool) -> Result<(), HistogramError> {
    if !custom {
        return if parts.bounds.is_empty() { Ok(()) } else { Err(HistogramError::Bounds) };
    }
    let sound = parts.bounds.iter().all(|bound| bound.is_finite()) && parts.bounds.is_sorted_by(|a, b| a < b);
    // One bucket a bound, and one above the last.
    let last = i32::try_from(parts.bounds.len()).unwrap_or(i32::MAX);
    let within = parts.positive.iter().all(|bucket| (0..=last).contains(&bucket.0));
    let only_positive = parts.negative.is_empty() && parts.zero_count == 0.0 && parts.zero_threshold == 0.0;
    if sound && within && only_positive { Ok(()) } else { Err(HistogramError::Bounds) }
}

/// The upper bound of a bucket of an exponential schema.
fn bound(index: i32, schema: i8) -> f64 {
    (f64::from(index) * f64::from(-i32::from(schema)).exp2()).exp2()
}

fn merge(mine: &mut Vec<(i32, f64)>, theirs: &[(i32, f64)], sign: f64) {
    let mut merged = Vec::with_capacity(mine.len() + theirs.len());
    let mut left = mine.iter().copied().peekable();
    for &(index, count) in theirs {
        while let Some(bucket) = left.next_if(|bucket| bucket.0 < index) {
            merged.push(bucket);
        }
        let before = left.next_if(|bucket| bucket.0 == index).map_or(0.0, |bucket| bucket.1);
        merged.push((index, before + sign * count));
    }
    merged.extend(left);
    merged.retain(|bucket| bucket.1 != 0.0);
    *mine = merged;
}

/// Whether some bucket of `after` holds less than it did.
fn is_less(after: &[(i32, f64)], before: &[(i32, f64)]) -> bool {
    let mut rest = after;
    before.iter().any(|(index, count)| {
        let skip = rest.partition_point(|bucket| bucket.0 < *index);
        rest = &rest[skip..];
        rest.first().is_none_or(|bucket| bucket.0 != *index || bucket.1 < *count)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts(schema: i8, positive: &[(i32, f64)]) -> HistogramParts {
        let count = positive.iter().map(|bucket| bucket.1).sum();
        HistogramParts { schema, positive: positive.to_vec(), count, sum: 1.0, ..HistogramParts::default() }
    }

    fn of(schema: i8, positive: &[(i32, f64)]) -> Histogram {
        Histogram::new(parts(schema, positive)).unwrap()
    }

    #[test]
    fn broken_rules_are_named() {
        let check = |parts: HistogramParts, error| assert_eq!(Histogram::new(parts), Err(error));
        check(parts(-5, &[]), HistogramError::Schema);
        check(parts(53, &[]), HistogramError::Schema);
        check(parts(0, &[(2, 1.0), (1, 1.0)]), HistogramError::Order);
        check(parts(0, &[(1, -1.0)]), HistogramError::NegativeCount);
        check(HistogramParts { count: 5.0, ..parts(0, &[(1, 1.0)]) }, HistogramError::Count);
        check(HistogramParts { zero_threshold: -1.0, ..parts(0, &[]) }, HistogramError::ZeroThreshold);
        check(HistogramParts { bounds: vec![1.0], ..parts(0, &[]) }, HistogramError::Bounds);
        check(HistogramParts { bounds: vec![2.0, 1.0], ..parts(CUSTOM_BOUNDS, &[]) }, HistogramError::Bounds);
        check(
            HistogramParts { bounds: vec![1.0], ..parts(CUSTOM_BOUNDS, &[(2, 1.0)]) },
            HistogramError::Bounds,
        );
        let more = HistogramParts { count: 5.0, sum: f64::NAN, ..parts(0, &[(1, 1.0)]) };
        assert!(Histogram::new(more).is_ok(), "values that are not numbers are in no bucket");
    }

    #[test]
    fn spans_place_buckets() {
        let check = |spans: &[(i32, u32)], counts: &[f64], expected| {
            assert_eq!(place_buckets(spans, counts), expected, "{spans:?}");
        };
        check(&[(-2, 2), (3, 1)], &[1.0, 2.0, 3.0], Ok(vec![(-2, 1.0), (-1, 2.0), (3, 3.0)]));
        check(&[(0, 1)], &[1.0, 2.0], Err(HistogramError::Spans));
        check(&[(0, 3)], &[1.0, 2.0], Err(HistogramError::Spans));
        check(&[(0, 1), (-1, 1)], &[1.0, 2.0], Err(HistogramError::Spans));
        check(&[(i32::MAX, 2)], &[1.0, 2.0], Err(HistogramError::Spans));
        check(&[], &[], Ok(Vec::new()));
    }

    #[test]
    fn fine_schemas_are_joined() {
        let histogram = of(9, &[(1, 1.0), (2, 2.0), (3, 4.0)]);
        assert_eq!((histogram.schema(), histogram.positive()), (8, &[(1, 3.0), (2, 4.0)][..]));
    }

    #[test]
    fn adding_goes_to_the_coarser() {
        let mut sum = of(1, &[(1, 1.0), (2, 1.0), (3, 1.0)]);
        sum.add(&of(0, &[(1, 5.0), (4, 2.0)])).unwrap();
        assert_eq!((sum.schema(), sum.count()), (0, 10.0));
        assert_eq!(sum.positive(), [(1, 7.0), (2, 1.0), (4, 2.0)]);
        let custom = HistogramParts { bounds: vec![1.0], ..parts(CUSTOM_BOUNDS, &[(0, 1.0)]) };
        assert_eq!(sum.add(&Histogram::new(custom).unwrap()), Err(DifferentBounds));
    }

    #[test]
    fn the_wider_zero_bucket_takes_in_what_it_covers() {
        let mut sum = of(0, &[(-3, 1.0), (0, 2.0), (1, 4.0)]);
        let wide = HistogramParts { zero_threshold: 0.75, zero_count: 8.0, count: 8.0, ..parts(0, &[]) };
        sum.add(&Histogram::new(wide).unwrap()).unwrap();
        assert_eq!((sum.zero_threshold(), sum.zero_count(), sum.positive()), (1.0, 11.0, &[(1, 4.0)][..]));
    }

    #[test]
    fn what_became_less_is_a_reset() {
        let check = |before: &Histogram, after: &Histogram, reset| {
            assert_eq!(after.is_reset_after(before), reset, "{before:?} {after:?}");
        };
        let before = of(0, &[(1, 2.0), (3, 1.0)]);
        check(&before, &of(0, &[(1, 2.0), (2, 1.0), (3, 1.0)]), false);
        check(&before, &of(0, &[(1, 5.0)]), true);
        check(&before, &of(0, &[(1, 1.0), (3, 1.0)]), true);
        check(&before, &of(-1, &[(1, 2.0), (2, 1.0)]), false);
        check(&before, &of(1, &[(2, 2.0), (5, 2.0)]), true);
        check(&before, &Histogram { hint: ResetHint::Gauge, ..of(0, &[]) }, false);
        check(&before, &Histogram { hint: ResetHint::Yes, ..before.clone() }, true);
    }

    proptest! {
        #[test]
        fn what_is_added_can_be_taken_away(
            left in prop::collection::btree_map(-50i32..50, 1u32..100, 0..20),
            right in prop::collection::btree_map(-50i32..50, 1u32..100, 0..20),
        ) {
            let side = |side: std::collections::BTreeMap<i32, u32>| -> Vec<_> {
                side.into_iter().map(|(index, count)| (index, f64::from(count))).collect()
            };
            let (left, right) = (of(3, &side(left)), of(3, &side(right)));
            let mut sum = left.clone();
            sum.add(&right).unwrap();
            prop_assert!(!sum.is_reset_after(&left) && !sum.is_reset_after(&right));
            sum.subtract(&right).unwrap();
            prop_assert_eq!(sum.positive(), left.positive());
        }
    }
}
