//! One aggregate of each bucket of time: what charts and reports ask without PromQL.
//!
//! Buckets are as long as the step, aligned to the epoch, half-open `[start, start + step)`, and stamped at their start.
//! They are made of whole windows of one tier, or of raw samples. Which one is decided by the span that is asked for, by
//! the step, and by what is still there ([`plan`]); an explicit tier is obeyed.

use barograph_model::{
    Budget, Labels, Matcher, Moment, Parts, Rollup, Sample, Selection, SeriesCursor, Source, SourceError,
    Tier, TimeRange, Timestamp, is_stale,
};

use crate::{
    STEPS_MAX, duration_text,
    eval::{gone, quantile},
    tiers::{self, Distribution, roll},
};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// How far before the first bucket a counter's last value is looked for.
const BEFORE: i64 = 5 * MINUTE;

/// What is made of a bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Aggregate {
    /// The mean of its samples.
    Avg,
    /// Their sum.
    Sum,
    /// The least of them.
    Min,
    /// The greatest of them.
    Max,
    /// How many there are.
    Count,
    /// The first of them.
    First,
    /// The last of them.
    Last,
    /// Their population standard deviation.
    Stddev,
    /// By how much a counter grew since the last sample before, resets counted. Not extrapolated.
    Increase,
    /// The same a second of the time between these two samples.
    Rate,
    /// The quantile, from 0 to 1, interpolated between neighbours.
    Quantile(f64),
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct PointQuery {
    /// What is made of a bucket.
    pub aggregate: Aggregate,
    /// What answers; `None` leaves it to [`plan`].
    pub tier: Option<Tier>,
    /// The first point; the bucket it lies in is given whole.
    pub start: Timestamp,
    /// The last point; the bucket it lies in is given whole.
    pub end: Timestamp,
    /// How long buckets are, in milliseconds. `None` for windows as they are kept, or single samples.
    pub step_ms: Option<i64>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Points {
    /// Buckets of each series that have a value, in order.
    pub series: Vec<(Labels, Vec<Sample>)>,
    /// What answered.
    pub tier: Tier,
    /// Why this one.
    pub reason: String,
    /// The most that values are off, relative to them; zero if they are exact.
    pub error: f64,
}

/// Why there are no points.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PointsError {
    /// The question makes no sense; the text says what to change.
    #[error("{0}")]
    Question(String),
    /// Reading stopped.
    #[error(transparent)]
    Source(#[from] SourceError),
}

/// Chooses the tier, and says why.
///
/// By span: raw up to an hour, 1 m up to 6 hours, 5 m up to 24 hours, then 1 h. A step that is no multiple of its width
/// takes the coarsest tier below that fits; where the start is no longer covered, the next coarser one answers.
///
/// # Errors
/// The span is negative, the step is not positive or makes too many buckets, or an explicit tier does not fit it.
pub fn plan(coverage: impl Fn(Tier) -> TimeRange, query: &PointQuery) -> Result<(Tier, String), PointsError> {
    let question = |text: String| Err(PointsError::Question(text));
    let span = query.end.0.saturating_sub(query.start.0);
    if span < 0 {
        return question("the end is before the start".into());
    }
    if let Some(step) = query.step_ms {
        if step < 1 {
            return question("the step is not positive".into());
        }
        if span / step >= STEPS_MAX {
            return question(format!("more than {STEPS_MAX} buckets; try a longer step"));
        }
    }
    let fits = |tier: Tier| query.step_ms.is_none_or(|step| step % tier.width() == 0);
    if let Some(tier) = query.tier {
        return match fits(tier) {
            true => Ok((tier, "it was asked for".into())),
            false => question(format!("the step is no multiple of {tier}, the width of the tier")),
        };
    }
    let by_span = match span {
        _ if span <= HOUR => Tier::Raw,
        _ if span <= 6 * HOUR => Tier::Minute,
        _ if span <= 24 * HOUR => Tier::FiveMinutes,
        _ => Tier::Hour,
    };
    // A tier that was never made is made of raw samples.
    let start_of = |tier: Tier| {
        Some(coverage(tier))
            .filter(|range| !range.is_empty())
            .map_or_else(|| coverage(Tier::Raw).start, |range| range.start)
    };
    let fitting = Tier::ALL.into_iter().filter(|tier| fits(*tier));
    let wanted = fitting.clone().rfind(|tier| *tier <= by_span).unwrap_or_default();
    let coarser = fitting.filter(|tier| *tier >= wanted);
    let covering = coarser.clone().find(|tier| start_of(*tier) <= query.start);
    let Some(tier) = covering.or_else(|| coarser.min_by_key(|tier| start_of(*tier))) else {
        return question("no tier fits the step".into());
    };
    let reason = if tier != wanted {
        match wanted {
            Tier::Raw => gone(start_of(wanted)),
            wanted => gone(start_of(wanted)).replacen("raw samples", &format!("windows of {wanted}"), 1),
        }
    } else if let Some(step) = query.step_ms.filter(|_| wanted != by_span) {
        format!("the step is {}", duration_text(step))
    } else {
        format!("the span is {}", duration_text(span))
    };
    Ok((tier, reason))
}

/// Reads the points of some selections, one after the other.
///
/// # Errors
/// See [`PointsError`].
pub fn points(
    source: &dyn Source,
    selections: &[Vec<Matcher>],
    query: &PointQuery,
    budget: &Budget,
) -> Result<Points, PointsError> {
    // One tier answers for all, so it is to have what each of them asks for.
    let coverage = |tier| {
        let each = selections.iter().map(|matchers| source.coverage_of(tier, matchers));
        each.reduce(|a, b| TimeRange::new(a.start.max(b.start), a.end.min(b.end)))
            .unwrap_or_else(|| source.coverage(tier))
    };
    let (tier, reason) = plan(coverage, query)?;
    let bucket = query.step_ms.unwrap_or(tier.width());
    let first = aligned(query.start.0, bucket);
    let after = aligned(query.end.0, bucket).saturating_add(bucket);
    let before =
        if matches!(query.aggregate, Aggregate::Rate | Aggregate::Increase) { bucket.max(BEFORE) } else { 0 };
    let from = aligned(first.saturating_sub(before), bucket);
    let mut answer = Points { series: Vec::new(), tier, reason, error: 0.0 };
    let buckets = Buckets { aggregate: query.aggregate, bucket, first };
    for matchers in selections {
        if tier == Tier::Raw {
            let range = TimeRange::new(Timestamp(from), Timestamp(after));
            buckets.of_samples(source, &Selection { matchers, range }, budget, &mut answer)?;
        } else {
            let quantile = matches!(query.aggregate, Aggregate::Quantile(_));
            let parts = if quantile { Parts::MIN | Parts::MAX | Parts::SKETCH } else { Parts::MOMENTS };
            let reading = tiers::Reading { source, budget, tier, parts, matchers, start: from, end: after };
            buckets.of_windows(&reading, &mut answer)?;
        }
    }
    Ok(answer)
}

fn aligned(at: i64, bucket: i64) -> i64 {
    at.div_euclid(bucket).saturating_mul(bucket)
}

/// How windows become points.
#[derive(Clone, Copy)]
struct Buckets {
    aggregate: Aggregate,
    bucket: i64,
    /// The start of the first one that is asked for; what is before only tells where a counter stood.
    first: i64,
}

impl Buckets {
    fn of_windows(self, reading: &tiers::Reading<'_>, answer: &mut Points) -> Result<(), PointsError> {
        let mut windows = Vec::new();
        tiers::each_series(reading, |labels, rolled| {
            let mut distribution = Distribution::new(&rolled.sketches);
            let (min, max) = (rolled.column(Moment::Min), rolled.column(Moment::Max));
            windows.clear();
            windows.extend((0..rolled.len()).map(|window| rolled.moments(window)));
            let samples = self.fold(&windows, |run, q| {
                distribution.slide(run.clone());
                let least = min[run.clone()].iter().copied().fold(f64::NAN, f64::min);
                let greatest = max[run].iter().copied().fold(f64::NAN, f64::max);
                let value = distribution.quantile(q);
                if value.is_finite() { least.max(value.min(greatest)) } else { value }
            });
            if reading.parts.has(Parts::SKETCH) {
                answer.error = answer.error.max(distribution.relative_error());
            }
            answer.series.extend((!samples.is_empty()).then_some((labels, samples)));
            Ok::<_, PointsError>(())
        })
    }

    fn of_samples(
        self,
        source: &dyn Source,
        selection: &Selection<'_>,
        budget: &Budget,
        answer: &mut Points,
    ) -> Result<(), PointsError> {
        let mut cursor = source.select(selection, budget)?;
        let (mut windows, mut values) = (Vec::new(), Vec::new());
        while let Some(labels) = cursor.next_series()? {
            self.read(&mut *cursor, &mut windows, &mut values)?;
            let mut seen = (0, 0);
            let samples = self.fold(&windows, |run, q| {
                let skipped: u64 = windows[seen.0..run.start].iter().map(|window| window.count).sum();
                let start = seen.1 + index(skipped);
                let end = start + index(windows[run.clone()].iter().map(|window| window.count).sum());
                seen = (run.end, end);
                quantile(q, &mut values[start..end])
            });
            answer.series.extend((!samples.is_empty()).then_some((labels, samples)));
        }
        Ok(())
    }

    /// The samples of a series as windows as long as a bucket, and their values.
    fn read(
        self,
        cursor: &mut dyn SeriesCursor,
        windows: &mut Vec<Rollup>,
        values: &mut Vec<f64>,
    ) -> Result<(), SourceError> {
        windows.clear();
        values.clear();
        while let Some(batch) = cursor.next_batch()? {
            let samples = batch.timestamps.iter().copied().zip(batch.values.iter().copied());
            roll(self.bucket, false, samples, windows);
            if matches!(self.aggregate, Aggregate::Quantile(_)) {
                values.extend(batch.values.iter().copied().filter(|value| !is_stale(*value)));
            }
        }
        Ok(())
    }

    /// One value a bucket that has one. `quantile` is asked for runs of windows, in order.
    fn fold(
        self,
        windows: &[Rollup],
        mut quantile: impl FnMut(std::ops::Range<usize>, f64) -> f64,
    ) -> Vec<Sample> {
        let mut samples = Vec::new();
        let mut start = windows.partition_point(|window| window.start < self.first);
        while start < windows.len() {
            let at = aligned(windows[start].start, self.bucket);
            let end = at.saturating_add(self.bucket);
            let run = start..start + windows[start..].iter().take_while(|window| window.start < end).count();
            let before = start.checked_sub(1).map(|i| &windows[i]);
            let value = match self.aggregate {
                Aggregate::Quantile(q) => Some(quantile(run.clone(), q)),
                aggregate => value(aggregate, before, &windows[run.clone()]),
            };
            samples.extend(value.map(|value| Sample { at: Timestamp(at), value }));
            start = run.end;
        }
        samples
    }
}

fn value(aggregate: Aggregate, before: Option<&Rollup>, windows: &[Rollup]) -> Option<f64> {
    let (first, rest) = windows.split_first()?;
    let mut all = Rollup { sketch: None, ..*first };
    rest.iter().for_each(|window| all.join(window));
    let grown = |before: &Rollup| (before.growth_to(&all) + all.increase, before.last_at);
    let (increase, since) = before.map_or((all.increase, all.first_at), grown);
    let seconds = (all.last_at - since) as f64 / 1e3;
    match aggregate {
        Aggregate::Avg => Some(all.mean()),
        Aggregate::Sum => Some(all.sum),
        Aggregate::Min => Some(all.min),
        Aggregate::Max => Some(all.max),
        Aggregate::Count => Some(all.count as f64),
        Aggregate::First => Some(all.first),
        Aggregate::Last => Some(all.last),
        Aggregate::Stddev => Some(all.variance().sqrt()),
        Aggregate::Increase => (seconds > 0.0).then_some(increase),
        Aggregate::Rate => (seconds > 0.0).then(|| increase / seconds),
        Aggregate::Quantile(_) => None,
    }
}

/// A count of samples that are in memory.
fn index(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::Memory;

    const DAY: i64 = 24 * HOUR;

    fn query(aggregate: Aggregate, start: i64, end: i64, step_ms: Option<i64>) -> PointQuery {
        PointQuery { aggregate, tier: None, start: Timestamp(start), end: Timestamp(end), step_ms }
    }

    /// All is kept but raw samples older than `raw` and windows of a minute older than `minute`.
    fn kept(raw: i64, minute: i64) -> impl Fn(Tier) -> TimeRange {
        move |tier| match tier {
            Tier::Raw => TimeRange::new(Timestamp(raw), Timestamp::MAX),
            Tier::Minute => TimeRange::new(Timestamp(minute), Timestamp::MAX),
            _ => TimeRange::ALL,
        }
    }

    #[test]
    fn the_span_and_what_is_there_choose() {
        let check = |raw, minute, end, step, tier: Tier, reason: &str| {
            let plan = plan(kept(raw, minute), &query(Aggregate::Avg, 0, end, step)).unwrap();
            assert_eq!((plan.0, plan.1.as_str()), (tier, reason));
        };
        check(0, 0, HOUR, None, Tier::Raw, "the span is 1h");
        check(0, 0, HOUR + 1, None, Tier::Minute, "the span is 1h1ms");
        check(0, 0, 6 * HOUR, None, Tier::Minute, "the span is 6h");
        check(0, 0, 6 * HOUR + 1, None, Tier::FiveMinutes, "the span is 6h1ms");
        check(0, 0, DAY, None, Tier::FiveMinutes, "the span is 1d");
        check(0, 0, DAY + 1, None, Tier::Hour, "the span is 1d1ms");
        let raw_gone = "raw samples before 1970-01-01T00:01:00Z are gone";
        check(MINUTE, 0, HOUR, None, Tier::Minute, raw_gone);
        check(MINUTE, MINUTE, HOUR, None, Tier::FiveMinutes, raw_gone);
        let gone = "windows of 1m before 1970-01-01T00:01:00Z are gone";
        check(MINUTE, MINUTE, 2 * HOUR, None, Tier::FiveMinutes, gone);
        check(0, 0, DAY, Some(2 * MINUTE), Tier::Minute, "the step is 2m");
        check(0, 0, 5 * HOUR, Some(15_000), Tier::Raw, "the step is 15s");
        // Nothing else fits the step, so raw gives what it has.
        check(MINUTE, 0, 5 * HOUR, Some(15_000), Tier::Raw, "the step is 15s");
    }

    #[test]
    fn questions_without_sense_are_refused() {
        let check = |query: PointQuery, text: &str| {
            let error = plan(kept(0, 0), &query).unwrap_err();
            assert!(error.to_string().contains(text), "{error}");
        };
        check(query(Aggregate::Avg, 1, 0, None), "before the start");
        check(query(Aggregate::Avg, 0, 1, Some(0)), "not positive");
        check(query(Aggregate::Avg, 0, DAY, Some(1)), "more than 11000");
        let asked = PointQuery { tier: Some(Tier::Hour), ..query(Aggregate::Avg, 0, DAY, Some(MINUTE)) };
        check(asked, "no multiple of 1h");
    }

    /// A counter that starts again in the middle, in every tier.
    fn memory() -> Memory {
        let mut memory = Memory::new();
        let values = (0..480).map(|i| (i * 15_000 + 1, f64::from(u32::try_from(i % 250).unwrap())));
        memory.load(Labels::from_pairs([("__name__", "c_total")]).unwrap(), values);
        for tier in Tier::ROLLED {
            memory.keep(tier, TimeRange::new(Timestamp(0), Timestamp(HOUR)));
        }
        memory
    }

    fn ask(aggregate: Aggregate, tier: Tier, step_ms: Option<i64>) -> Points {
        let query = PointQuery { tier: Some(tier), ..query(aggregate, HOUR, 2 * HOUR - 1, step_ms) };
        points(&memory(), &[vec![]], &query, &Budget::unlimited()).unwrap()
    }

    #[test]
    fn every_aggregate_is_the_same_from_every_tier() {
        for aggregate in [
            Aggregate::Avg,
            Aggregate::Sum,
            Aggregate::Min,
            Aggregate::Max,
            Aggregate::Count,
            Aggregate::First,
            Aggregate::Last,
            Aggregate::Stddev,
            Aggregate::Increase,
            Aggregate::Rate,
            Aggregate::Quantile(0.95),
        ] {
            let raw = ask(aggregate, Tier::Raw, Some(HOUR));
            assert_eq!((raw.series[0].1.len(), raw.series[0].1[0].at, raw.error), (1, Timestamp(HOUR), 0.0));
            for tier in Tier::ROLLED {
                let rolled = ask(aggregate, tier, Some(HOUR));
                let (raw, value) = (raw.series[0].1[0].value, rolled.series[0].1[0].value);
                assert!(
                    (raw - value).abs() <= (rolled.error + 1e-9) * raw.abs(),
                    "{aggregate:?} {tier}: {value}"
                );
                assert_eq!(rolled.error > 0.0, aggregate == Aggregate::Quantile(0.95));
            }
        }
    }

    #[test]
    fn without_a_step_windows_and_samples_are_given_as_they_are() {
        assert_eq!(ask(Aggregate::Count, Tier::FiveMinutes, None).series[0].1.len(), 12);
        let samples = ask(Aggregate::Increase, Tier::Raw, None).series.remove(0).1;
        assert_eq!((samples.len(), samples[0].at, samples[0].value), (240, Timestamp(HOUR + 1), 1.0));
        assert_eq!(samples[10].value, 0.0);
        assert_eq!(ask(Aggregate::Quantile(0.5), Tier::Raw, Some(MINUTE)).series[0].1[0].value, 241.5);
    }
}
