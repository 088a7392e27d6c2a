//! Chunks of native histograms, with counts that are integers or floats.
//!
//! ```text
//! count (2 bytes)  flags (1 byte)  zero threshold  schema  positive spans  negative spans  [bounds]  sample …
//!   spans   number  [length  offset] …
//!   sample  time  count  zero count  sum  positive bucket …  negative bucket …
//! ```
//!
//! All numbers but sums and the counts of floats have a code of their own: as many ones as say how many bits follow, see
//! [`WIDTHS`]. After the first sample, times and integers are differences of differences, floats differences of bits. An
//! integer bucket is the change from its neighbour. A sample that ends the series has no buckets.

use barograph_model::{
    CUSTOM_BOUNDS, HISTOGRAM_BUCKETS_MAX, Histogram, HistogramParts, ResetHint, Timestamp, is_stale,
    place_buckets,
};

use super::bits::{Bits, XorFloat};

/// Bits that follow so many ones.
const WIDTHS: [usize; 9] = [0, 3, 6, 9, 12, 18, 25, 56, 64];
/// The two high bits of the flags, both set.
const GAUGE: u64 = 0b11;
/// Custom bounds that are whole thousandths are written as integers.
const THOUSANDTHS: f64 = 1000.0;

/// Where a chunk is not what it should be, and what should have been there.
type Fault = (usize, String);

/// The histograms of a chunk, in the order of time.
pub(super) fn decode(data: &[u8], float: bool) -> Result<Vec<(Timestamp, Histogram)>, Fault> {
    let mut bits = Bits::new(data);
    let count = bits.take(16).ok_or((0, "the number of samples".to_owned()))?;
    let layout =
        Layout::read(&mut bits).ok_or_else(|| (bits.offset(), "the layout of histograms".to_owned()))?;
    let mut found = Vec::new();
    let mut state: Option<State> = None;
    for _ in 0..count {
        let offset = bits.offset();
        let next = match state {
            None => State::first(&mut bits, &layout, float),
            Some(state) => state.next(&mut bits),
        };
        let next = next.ok_or((bits.offset(), "a histogram".to_owned()))?;
        let histogram =
            next.histogram(&layout, float).map_err(|why| (offset, format!("a histogram ({why})")))?;
        found.push((Timestamp(next.at.value), histogram));
        state = Some(next);
    }
    Ok(found)
}

fn unsigned(bits: &mut Bits<'_>) -> Option<u64> {
    match WIDTHS[bits.ones(8)?] {
        0 => Some(0),
        width => bits.take(width),
    }
}

fn signed(bits: &mut Bits<'_>) -> Option<i64> {
    match WIDTHS[bits.ones(8)?] {
        0 => Some(0),
        width => bits.signed(width),
    }
}

/// What all histograms of a chunk have in common.
struct Layout {
    hint: ResetHint,
    zero_threshold: f64,
    schema: i8,
    positive: Vec<(i32, u32)>,
    negative: Vec<(i32, u32)>,
    bounds: Vec<f64>,
}

impl Layout {
    fn read(bits: &mut Bits<'_>) -> Option<Self> {
        // Whether a counter began anew can be seen from the counts; that there is nothing to see cannot.
        let hint = if bits.take(8)? >> 6 == GAUGE { ResetHint::Gauge } else { ResetHint::Unknown };
        let zero_threshold = match bits.take(8)? {
            0 => 0.0,
            255 => bits.float()?,
            power => 2f64.powi(i32::try_from(power).ok()? - 244),
        };
        let schema = signed(bits)?;
        let (positive, negative) = (read_spans(bits)?, read_spans(bits)?);
        let bounds = if schema == i64::from(CUSTOM_BOUNDS) { read_bounds(bits)? } else { Vec::new() };
        Some(Self { hint, zero_threshold, schema: i8::try_from(schema).ok()?, positive, negative, bounds })
    }
}

fn read_spans(bits: &mut Bits<'_>) -> Option<Vec<(i32, u32)>> {
    let mut spans = Vec::new();
    let mut buckets = 0u64;
    for _ in 0..unsigned(bits)? {
        let (length, offset) = (unsigned(bits)?, signed(bits)?);
        buckets = buckets.checked_add(length).filter(|&buckets| buckets <= HISTOGRAM_BUCKETS_MAX as u64)?;
        spans.push((i32::try_from(offset).ok()?, u32::try_from(length).ok()?));
    }
    Some(spans)
}

fn read_bounds(bits: &mut Bits<'_>) -> Option<Vec<f64>> {
    let mut bounds = Vec::new();
    for _ in 0..unsigned(bits)? {
        let mut whole = bits.clone();
        // No number that is written so is zero, so a zero says that all bits follow.
        if bits.bit()? {
            #[expect(clippy::cast_precision_loss, reason = "a writer puts at most 33,554,431 there")]
            let thousandths = unsigned(&mut whole)?.checked_sub(1)? as f64;
            *bits = whole;
            bounds.push(thousandths / THOUSANDTHS);
        } else {
            bounds.push(bits.float()?);
        }
    }
    Some(bounds)
}

/// A number that is written as the difference of its differences.
#[derive(Clone, Copy)]
struct Steady {
    value: i64,
    delta: i64,
}

impl Steady {
    const fn first(value: i64) -> Self {
        Self { value, delta: 0 }
    }

    fn next(&mut self, bits: &mut Bits<'_>) -> Option<()> {
        self.delta = self.delta.wrapping_add(signed(bits)?);
        self.value = self.value.wrapping_add(self.delta);
        Some(())
    }
}

/// Count, zero count and all buckets, positive ones first.
enum Counts {
    Integers(Vec<Steady>),
    Floats(Vec<XorFloat>),
}

struct State {
    at: Steady,
    sum: XorFloat,
    counts: Counts,
}

impl State {
    fn first(bits: &mut Bits<'_>, layout: &Layout, float: bool) -> Option<Self> {
        let at = Steady::first(signed(bits)?);
        let spans = layout.positive.iter().chain(&layout.negative);
        let buckets = spans.map(|span| span.1 as usize).sum::<usize>();
        // Each of them takes a bit at least.
        let mut floats = Vec::new();
        let mut integers = Vec::new();
        for _ in 0..2 {
            match float {
                true => floats.push(XorFloat::new(bits.float()?)),
                false => integers.push(Steady::first(unsigned(bits)?.cast_signed())),
            }
        }
        let sum = XorFloat::new(bits.float()?);
        for _ in 0..buckets {
            match float {
                true => floats.push(XorFloat::new(bits.float()?)),
                false => integers.push(Steady::first(signed(bits)?)),
            }
        }
        let counts = if float { Counts::Floats(floats) } else { Counts::Integers(integers) };
        Some(Self { at, sum, counts })
    }

    fn next(mut self, bits: &mut Bits<'_>) -> Option<Self> {
        self.at.next(bits)?;
        match &mut self.counts {
            Counts::Integers(counts) => counts[..2].iter_mut().try_for_each(|count| count.next(bits))?,
            Counts::Floats(counts) => counts[..2].iter_mut().try_for_each(|c| c.next(bits).map(|_| ()))?,
        }
        self.sum.next(bits)?;
        if is_stale(self.sum.value()) {
            return Some(self);
        }
        match &mut self.counts {
            Counts::Integers(counts) => counts[2..].iter_mut().try_for_each(|count| count.next(bits))?,
            Counts::Floats(counts) => counts[2..].iter_mut().try_for_each(|c| c.next(bits).map(|_| ()))?,
        }
        Some(self)
    }

    fn histogram(&self, layout: &Layout, float: bool) -> Result<Histogram, barograph_model::HistogramError> {
        let mut parts = HistogramParts {
            schema: layout.schema,
            hint: layout.hint,
            float,
            zero_threshold: layout.zero_threshold,
            sum: self.sum.value(),
            bounds: layout.bounds.clone(),
            ..HistogramParts::default()
        };
        if !is_stale(parts.sum) {
            let counts = self.counts(layout);
            (parts.count, parts.zero_count) = (counts[0], counts[1]);
            let split = 2 + layout.positive.iter().map(|span| span.1 as usize).sum::<usize>();
            parts.positive = place_buckets(&layout.positive, &counts[2..split])?;
            parts.negative = place_buckets(&layout.negative, &counts[split..])?;
        }
        Histogram::new(parts)
    }

    /// All of them as they are, changes from neighbour to neighbour summed up.
    fn counts(&self, layout: &Layout) -> Vec<f64> {
        let counts = match &self.counts {
            Counts::Floats(counts) => return counts.iter().map(XorFloat::value).collect(),
            Counts::Integers(counts) => counts,
        };
        let positive = layout.positive.iter().map(|span| span.1 as usize).sum::<usize>();
        let mut sum = 0i64;
        let absolute = |(number, count): (usize, &Steady)| {
            // Count and zero count stand alone, and so does the first bucket of each sign.
            sum = if number <= 2 || number == 2 + positive { 0 } else { sum };
            sum = sum.wrapping_add(count.value);
            #[expect(clippy::cast_precision_loss, reason = "a histogram counts in doubles")]
            let count = sum as f64;
            count
        };
        counts.iter().enumerate().map(absolute).collect()
    }
}

#[cfg(test)]
mod tests;
