//! Points, by type: numbers, explicit and exponential histograms, summaries.
//!
//! A point that says that nothing was recorded ends its series: each gets a staleness marker. The outer result is of the
//! bytes, the inner one of what they say: a point that is refused leaves the others alone.

use barograph_model::{
    CUSTOM_BOUNDS, HISTOGRAM_BUCKETS_MAX, Histogram, HistogramParts, Labels, SCHEMAS, stale_marker,
};

use super::{
    exemplars::{self, millis},
    resource::{fixed, fixed64},
    rows::HistogramOf,
    walk::{Error, Kind, Metric, Temporality, Walk},
};
use crate::{
    otlp::value::Attribute,
    protobuf::{LEN, Malformed, Reader, VARINT, key},
};

/// What became of the saying of a point: nothing, or why it was refused.
type Said = Result<(), String>;

/// What is read of one point, reused for the next.
#[derive(Debug, Default)]
pub(super) struct Scratch<'a> {
    /// Since when the point counts; zero if it does not say.
    pub(super) start: i64,
    exemplars: Vec<Reader<'a>>,
    bounds: Vec<f64>,
    counts: Vec<u64>,
    /// Bounds as text, those of the point before: they seldom change.
    written: Vec<f64>,
    texts: Vec<String>,
    quantiles: Vec<[f64; 2]>,
}

/// The flag of a point that nothing was recorded.
const NOTHING_RECORDED: u64 = 1;
/// Values at most this far from zero are in the zero bucket, where the sender does not say.
const ZERO_THRESHOLD: f64 = 1e-128;

const START: u32 = fixed(2);
const AT: u32 = fixed(3);
/// Attributes of numbers and summaries; of histograms; of exponential ones.
const ATTRIBUTES: u32 = key(7, LEN);
const HISTOGRAM_ATTRIBUTES: u32 = key(9, LEN);
const EXPONENTIAL_ATTRIBUTES: u32 = key(1, LEN);
/// Flags of numbers and summaries; of histograms; and of exponential ones.
const FLAGS: u32 = key(8, VARINT);
const HISTOGRAM_FLAGS: u32 = key(10, VARINT);
const EXEMPLARS: u32 = key(5, LEN);
const HISTOGRAM_EXEMPLARS: u32 = key(8, LEN);
const EXPONENTIAL_EXEMPLARS: u32 = key(11, LEN);
const DOUBLE: u32 = fixed(4);
const INTEGER: u32 = fixed(6);
/// Of both histograms, and of summaries.
const COUNT: u32 = fixed(4);
const SUM: u32 = fixed(5);
const QUANTILES: u32 = key(6, LEN);
const COUNTS: u32 = key(6, LEN);
const ONE_COUNT: u32 = fixed(6);
const BOUNDS: u32 = key(7, LEN);
const ONE_BOUND: u32 = fixed(7);
const SCALE: u32 = key(6, VARINT);
const ZERO_COUNT: u32 = fixed(7);
const POSITIVE: u32 = key(8, LEN);
const NEGATIVE: u32 = key(9, LEN);
const THRESHOLD: u32 = fixed(14);
const OFFSET: u32 = key(1, VARINT);
const BUCKETS: u32 = key(2, LEN);
const ONE_BUCKET: u32 = key(2, VARINT);

impl<'a> Walk<'a, '_> {
    fn begin(&mut self) {
        self.labels.clear();
        self.scratch.start = 0;
        self.scratch.exemplars.clear();
        self.scratch.bounds.clear();
        self.scratch.counts.clear();
        self.scratch.quantiles.clear();
    }

    #[inline]
    fn attribute(&mut self, pair: Reader<'a>) -> Result<(), Malformed> {
        let attribute = Attribute::read(pair)?;
        if !self.labels.add(self.label_names, &attribute)? {
            let shown = || String::from_utf8_lossy(attribute.key);
            self.out.tell(|| {
                format!("attribute {:?} has no name that a label can have; it is left out", shown())
            });
        }
        Ok(())
    }

    pub(super) fn number(
        &mut self,
        metric: &Metric<'_>,
        mut message: Reader<'a>,
        point: u32,
    ) -> Result<Said, Error> {
        self.begin();
        let (mut at, mut value, mut flags) = (0, None, 0);
        while !message.is_done() {
            match message.key()? {
                ATTRIBUTES => self.attribute(message.message()?)?,
                AT => at = millis(fixed64(&mut message)?),
                DOUBLE => value = Some(message.double()?),
                INTEGER => value = Some(fixed64(&mut message)?.cast_signed() as f64),
                EXEMPLARS => self.scratch.exemplars.push(message.message()?),
                FLAGS => flags = message.varint()?,
                START => self.scratch.start = millis(fixed64(&mut message)?),
                other => message.skip(other)?,
            }
        }
        self.labels.finish();
        let stale = flags & NOTHING_RECORDED != 0;
        let Some(value) = (if stale { Some(stale_marker()) } else { value }) else {
            return Ok(Err("a point has no value".to_owned()));
        };
        self.saw(at);
        let place = self.sample(metric, (&metric.names.plain, None), (point, at, value));
        if metric.kind != Kind::Gauge && !self.scratch.exemplars.is_empty() {
            self.keep_exemplars(at, |_| place)?;
        }
        Ok(Ok(()))
    }

    pub(super) fn summary(
        &mut self,
        metric: &Metric<'_>,
        mut message: Reader<'a>,
        point: u32,
    ) -> Result<Said, Error> {
        self.begin();
        let (mut at, mut count, mut sum, mut flags) = (0, 0, 0.0, 0);
        while !message.is_done() {
            match message.key()? {
                ATTRIBUTES => self.attribute(message.message()?)?,
                AT => at = millis(fixed64(&mut message)?),
                COUNT => count = fixed64(&mut message)?,
                SUM => sum = message.double()?,
                QUANTILES => self.scratch.quantiles.push(quantile(message.message()?)?),
                FLAGS => flags = message.varint()?,
                other => message.skip(other)?,
            }
        }
        self.labels.finish();
        self.saw(at);
        let stale = flags & NOTHING_RECORDED != 0;
        let or_stale = |value| if stale { stale_marker() } else { value };
        self.sample(metric, (&metric.names.sum, None), (point, at, or_stale(sum)));
        self.sample(metric, (&metric.names.count, None), (point, at, or_stale(count as f64)));
        for place in 0..self.scratch.quantiles.len() {
            let [quantile, value] = self.scratch.quantiles[place];
            let text = bound_text(quantile);
            let extra = Some(("quantile", &*text));
            self.sample(metric, (&metric.names.plain, extra), (point, at, or_stale(value)));
            self.check()?;
        }
        Ok(Ok(()))
    }

    pub(super) fn histogram(
        &mut self,
        metric: &Metric<'_>,
        mut message: Reader<'a>,
        point: u32,
    ) -> Result<Said, Error> {
        self.begin();
        let (mut at, mut count, mut sum, mut flags) = (0, 0, None, 0);
        while !message.is_done() {
            match message.key()? {
                HISTOGRAM_ATTRIBUTES => self.attribute(message.message()?)?,
                AT => at = millis(fixed64(&mut message)?),
                START => self.scratch.start = millis(fixed64(&mut message)?),
                COUNT => count = fixed64(&mut message)?,
                SUM => sum = Some(message.double()?),
                COUNTS => {
                    let mut packed = message.message()?;
                    while !packed.is_done() {
                        self.scratch.counts.push(fixed64(&mut packed)?);
                    }
                }
                ONE_COUNT => self.scratch.counts.push(fixed64(&mut message)?),
                BOUNDS => {
                    let mut packed = message.message()?;
                    while !packed.is_done() {
                        self.scratch.bounds.push(packed.double()?);
                    }
                }
                ONE_BOUND => self.scratch.bounds.push(message.double()?),
                HISTOGRAM_EXEMPLARS => self.scratch.exemplars.push(message.message()?),
                HISTOGRAM_FLAGS => flags = message.varint()?,
                other => message.skip(other)?,
            }
        }
        self.labels.finish();
        let (bounds, counts) = (&mut self.scratch.bounds, &self.scratch.counts);
        // The bucket above all others is there anyway.
        if bounds.len() == counts.len() && bounds.last() == Some(&f64::INFINITY) {
            bounds.pop();
        }
        if !counts.is_empty() && counts.len() != bounds.len() + 1 {
            return Ok(Err(format!("{} bounds do not fit {} counts", bounds.len(), counts.len())));
        }
        if !bounds.is_sorted_by(|a, b| a < b) {
            return Ok(Err("the bounds of a histogram do not ascend".to_owned()));
        }
        self.saw(at);
        let stale = flags & NOTHING_RECORDED != 0;
        match self.settings.custom_bounds {
            true => self.custom(metric, (point, at), count, sum, stale),
            false => self.classic(metric, (point, at), count, sum, stale),
        }
    }

    /// `_sum`, `_count`, and a `_bucket` a bound.
    fn classic(
        &mut self,
        metric: &Metric<'_>,
        (point, at): (u32, i64),
        count: u64,
        sum: Option<f64>,
        stale: bool,
    ) -> Result<Said, Error> {
        let or_stale = |value| if stale { stale_marker() } else { value };
        // A point without a value has no sum either, and may name its bounds alone.
        if let Some(sum) = sum.or(stale.then_some(0.0)) {
            self.sample(metric, (&metric.names.sum, None), (point, at, or_stale(sum)));
        }
        self.sample(metric, (&metric.names.count, None), (point, at, or_stale(count as f64)));
        self.write_bounds();
        if stale {
            self.scratch.counts.resize(self.scratch.bounds.len(), 0);
        }
        let texts = std::mem::take(&mut self.scratch.texts);
        let first = self.out.samples.len();
        let mut within = 0u64;
        for (place, text) in texts.iter().enumerate().take(self.scratch.counts.len()) {
            within = within.saturating_add(self.scratch.counts[place]);
            let extra = Some(("le", &**text));
            self.sample(metric, (&metric.names.bucket, extra), (point, at, or_stale(within as f64)));
        }
        self.scratch.texts = texts;
        let last = self.sample(
            metric,
            (&metric.names.bucket, Some(("le", "+Inf"))),
            (point, at, or_stale(count as f64)),
        );
        self.check()?;
        if !self.scratch.exemplars.is_empty() {
            let bounds = std::mem::take(&mut self.scratch.bounds);
            self.keep_exemplars(at, |value| {
                (first + bounds.partition_point(|bound| *bound < value)).min(last)
            })?;
            self.scratch.bounds = bounds;
        }
        Ok(Ok(()))
    }

    fn write_bounds(&mut self) {
        let Scratch { bounds, written, texts, .. } = &mut self.scratch;
        if bounds != written {
            texts.clear();
            texts.extend(bounds.iter().map(|bound| bound_text(*bound)));
            written.clone_from(bounds);
        }
    }

    /// A native histogram with custom bounds.
    fn custom(
        &mut self,
        metric: &Metric<'_>,
        (point, at): (u32, i64),
        count: u64,
        sum: Option<f64>,
        stale: bool,
    ) -> Result<Said, Error> {
        let Scratch { bounds, counts, .. } = &self.scratch;
        let index = |place: usize| i32::try_from(place).unwrap_or(i32::MAX);
        let used = counts.iter().enumerate().filter(|(_, count)| **count != 0);
        let positive: Vec<_> = match counts.is_empty() {
            false => used.map(|(place, count)| (index(place), *count as f64)).collect(),
            true if count > 0 => vec![(index(bounds.len()), count as f64)],
            true => Vec::new(),
        };
        let parts = HistogramParts {
            schema: CUSTOM_BOUNDS,
            count: count as f64,
            sum: sum.unwrap_or(0.0),
            positive,
            bounds: bounds.clone(),
            ..HistogramParts::default()
        };
        self.native(metric, (point, at), parts, stale)
    }

    pub(super) fn exponential(
        &mut self,
        metric: &Metric<'_>,
        mut message: Reader<'a>,
        point: u32,
    ) -> Result<Said, Error> {
        self.begin();
        let (mut at, mut flags, mut scale) = (0, 0, 0);
        let mut sides = [None, None];
        let mut parts = HistogramParts::default();
        while !message.is_done() {
            match message.key()? {
                EXPONENTIAL_ATTRIBUTES => self.attribute(message.message()?)?,
                AT => at = millis(fixed64(&mut message)?),
                START => self.scratch.start = millis(fixed64(&mut message)?),
                COUNT => parts.count = fixed64(&mut message)? as f64,
                SUM => parts.sum = message.double()?,
                SCALE => scale = unzigzag(message.varint()?),
                ZERO_COUNT => parts.zero_count = fixed64(&mut message)? as f64,
                POSITIVE => sides[0] = Some(message.message()?),
                NEGATIVE => sides[1] = Some(message.message()?),
                HISTOGRAM_FLAGS => flags = message.varint()?,
                EXPONENTIAL_EXEMPLARS => self.scratch.exemplars.push(message.message()?),
                THRESHOLD => parts.zero_threshold = message.double()?,
                other => message.skip(other)?,
            }
        }
        self.labels.finish();
        for (side, buckets) in sides.into_iter().zip([&mut parts.positive, &mut parts.negative]) {
            if let Some(side) = side
                && let Err(why) = place_side(side, buckets)?
            {
                return Ok(Err(why.to_owned()));
            }
        }
        if scale < i64::from(*SCHEMAS.start()) {
            let (least, why) = (SCHEMAS.start(), "is coarser than native histograms can be");
            return Ok(Err(format!("scale {scale} {why}; the least is {least}")));
        }
        let Ok(schema) = i8::try_from(scale) else {
            return Ok(Err(format!("scale {scale} is finer than there is")));
        };
        parts.schema = schema;
        if parts.zero_threshold == 0.0 {
            parts.zero_threshold = ZERO_THRESHOLD;
        }
        self.saw(at);
        self.native(metric, (point, at), parts, flags & NOTHING_RECORDED != 0)
    }

    fn native(
        &mut self,
        metric: &Metric<'_>,
        (point, at): (u32, i64),
        mut parts: HistogramParts,
        stale: bool,
    ) -> Result<Said, Error> {
        if stale {
            let (schema, bounds) = (parts.schema, parts.bounds);
            parts = HistogramParts { schema, bounds, sum: stale_marker(), ..HistogramParts::default() };
        }
        let histogram = match Histogram::new(parts) {
            Ok(histogram) => histogram,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let start = self.out.labels.len();
        self.labels.put(metric.base, &metric.names.plain, None, &mut self.out.labels);
        let labels = start..self.out.labels.len();
        if metric.temporality == Temporality::Delta {
            self.out.delta_histograms.push(self.out.histograms.len());
        }
        let readers = std::mem::take(&mut self.scratch.exemplars);
        if !readers.is_empty()
            && let Some(series) = Labels::from_canonical_bytes(&self.out.labels[labels.clone()])
        {
            for reader in &readers {
                let kept = exemplars::read(*reader, at)?;
                self.out.exemplars.extend(kept.map(|exemplar| (series.clone(), exemplar)));
            }
        }
        self.scratch.exemplars = readers;
        let start = self.counted_since(metric);
        self.out.histograms.push(HistogramOf { labels, at, histogram, start, point });
        Ok(Ok(()))
    }

    /// Keeps the exemplars of a point, each with the sample that `place` finds for its value.
    fn keep_exemplars(&mut self, at: i64, place: impl Fn(f64) -> usize) -> Result<(), Malformed> {
        for reader in &self.scratch.exemplars {
            let Some(exemplar) = exemplars::read(*reader, at)? else { continue };
            let sample = &self.out.samples[place(exemplar.sample.value)];
            if let Some(series) = Labels::from_canonical_bytes(&self.out.labels[sample.labels.clone()]) {
                self.out.exemplars.push((series, exemplar));
            }
        }
        Ok(())
    }
}

/// A bound or a quantile as the text of a label: never with an exponent.
fn bound_text(bound: f64) -> String {
    match bound {
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        _ => bound.to_string(),
    }
}

fn quantile(mut message: Reader<'_>) -> Result<[f64; 2], Malformed> {
    let mut read = [0.0; 2];
    while !message.is_done() {
        match message.key()? {
            QUANTILE => read[0] = message.double()?,
            QUANTILE_VALUE => read[1] = message.double()?,
            other => message.skip(other)?,
        }
    }
    Ok(read)
}

const QUANTILE: u32 = fixed(1);
const QUANTILE_VALUE: u32 = fixed(2);

/// Reads the buckets of one sign. Theirs have the lower bound's index, ours the upper one's.
fn place_side(
    mut side: Reader<'_>,
    buckets: &mut Vec<(i32, f64)>,
) -> Result<Result<(), &'static str>, Malformed> {
    let (mut offset, mut counts) = (0, Vec::new());
    let mut index = 0i64;
    while !side.is_done() {
        match side.key()? {
            OFFSET => offset = unzigzag(side.varint()?),
            BUCKETS => put(&mut side.message()?, usize::MAX, &mut index, &mut counts)?,
            ONE_BUCKET => put(&mut side, 1, &mut index, &mut counts)?,
            other => side.skip(other)?,
        }
        if counts.len() > HISTOGRAM_BUCKETS_MAX {
            return Ok(Err("histogram has too many buckets"));
        }
    }
    for (index, count) in counts {
        let Ok(index) = i32::try_from(offset.saturating_add(index).saturating_add(1)) else {
            return Ok(Err("a bucket is beyond all numbers"));
        };
        buckets.push((index, count));
    }
    Ok(Ok(()))
}

/// Reads counts, up to `most`; those of zero only move on.
fn put(
    packed: &mut Reader<'_>,
    most: usize,
    index: &mut i64,
    counts: &mut Vec<(i64, f64)>,
) -> Result<(), Malformed> {
    let mut read = 0;
    while read < most && !packed.is_done() {
        let count = packed.varint()?;
        if count != 0 && counts.len() <= HISTOGRAM_BUCKETS_MAX {
            counts.push((*index, count as f64));
        }
        *index += 1;
        read += 1;
    }
    Ok(())
}

const fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}
