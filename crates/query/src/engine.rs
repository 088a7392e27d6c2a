//! Questions as calls: what a program asks of metrics that has the engine in its own process.
//!
//! A [`QueryEngine`] asks one [`Source`] as of one time, within one budget. What it answers is what the same document of the
//! JSON language answers; points that are at hand already are aggregated and thinned out without a source.

use std::{collections::BTreeMap, fmt, str::FromStr};

use barograph_model::{Budget, Labels, Metadata, Sample, Source, Tier, Timestamp};

use crate::{
    eval::{Sum, quantile},
    json::{self, Condition, Error, Function, Query, Reply},
};

/// What is made of many values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AggregationFunction {
    /// The total.
    Sum,
    /// The arithmetic mean.
    Avg,
    /// The least.
    Min,
    /// The greatest.
    Max,
    /// How many there are.
    Count,
    /// The median, interpolated between neighbours as all percentiles are.
    P50,
    /// The 95th percentile.
    P95,
    /// The 99th percentile.
    P99,
}

impl AggregationFunction {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::Sum, Self::Avg, Self::Min, Self::Max, Self::Count, Self::P50, Self::P95, Self::P99];

    /// Its name: `sum` to `p99`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Min => "min",
            Self::Max => "max",
            Self::Count => "count",
            Self::P50 => "p50",
            Self::P95 => "p95",
            Self::P99 => "p99",
        }
    }

    /// The same of the JSON language.
    pub const fn function(self) -> Function {
        match self {
            Self::Sum => Function::Sum,
            Self::Avg => Function::Avg,
            Self::Min => Function::Min,
            Self::Max => Function::Max,
            Self::Count => Function::Count,
            Self::P50 => Function::Percentile(50.0),
            Self::P95 => Function::Percentile(95.0),
            Self::P99 => Function::Percentile(99.0),
        }
    }

    /// What it makes of some values; `None` of none but for the count.
    pub fn of(self, values: &[f64]) -> Option<f64> {
        if values.is_empty() {
            return (self == Self::Count).then_some(0.0);
        }
        let sum = || values.iter().fold(Sum::default(), |sum, &value| sum.plus(value)).total();
        let percentile = |q| quantile(q, &mut values.to_vec());
        Some(match self {
            Self::Sum => sum(),
            Self::Avg => sum() / values.len() as f64,
            Self::Min => values.iter().copied().fold(f64::NAN, f64::min),
            Self::Max => values.iter().copied().fold(f64::NAN, f64::max),
            Self::Count => values.len() as f64,
            Self::P50 => percentile(0.5),
            Self::P95 => percentile(0.95),
            Self::P99 => percentile(0.99),
        })
    }
}

impl fmt::Display for AggregationFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// There is no function of that name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is none of sum, avg, min, max, count, p50, p95, p99")]
pub struct NoSuchFunction(String);

impl FromStr for AggregationFunction {
    type Err = NoSuchFunction;

    /// By its name, in letters of any case.
    fn from_str(text: &str) -> Result<Self, NoSuchFunction> {
        let named = |function: &Self| function.name().eq_ignore_ascii_case(text);
        Self::ALL.into_iter().find(named).ok_or_else(|| NoSuchFunction(text.to_owned()))
    }
}

/// Which points are wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricsQueryFilter {
    /// Metrics by the names they were given or are stored under: at least one.
    pub names: Vec<String>,
    /// The first time that counts.
    pub start: Timestamp,
    /// The first time that counts no more.
    pub end: Timestamp,
    /// Attributes that a series must have, with these values.
    pub labels: BTreeMap<String, String>,
    /// What is made of the samples of a bucket.
    pub aggregation: AggregationFunction,
    /// The tier that answers; chosen by span, window and coverage if none is said.
    pub granularity: Option<Tier>,
    /// How many points a series has at most, by longer buckets; as the tier keeps them if nothing is said.
    pub target_points: Option<usize>,
}

impl MetricsQueryFilter {
    /// The mean of each series of some metrics in a time range, in buckets as the tier keeps them.
    pub fn of<'n>(names: impl IntoIterator<Item = &'n str>, start: Timestamp, end: Timestamp) -> Self {
        Self {
            names: names.into_iter().map(str::to_owned).collect(),
            start,
            end,
            labels: BTreeMap::new(),
            aggregation: AggregationFunction::Avg,
            granularity: None,
            target_points: None,
        }
    }

    fn query(&self) -> Query {
        let window = match self.target_points {
            Some(points) => json::Window::Points(points),
            None => json::Window::Auto,
        };
        let mut query = Query::of(self.names.iter().map(String::as_str)).between(self.start, self.end);
        query.granularity = self.granularity;
        for (name, value) in &self.labels {
            query = query.filter(name, Condition::Equals(value.clone()));
        }
        let function = self.aggregation.function();
        query.aggregations.push(json::Aggregation { function, window, metric: None, alias: None });
        query
    }
}

/// The points of one series, and where they come from.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricsQueryResult {
    /// The metric.
    pub name: String,
    /// What tells the series from others of the metric.
    pub labels: Labels,
    /// Buckets that have a value, stamped with their starts.
    pub data_points: Vec<Sample>,
    /// The tier that answered, or `mixed`.
    pub granularity: String,
    /// Why this one.
    pub reason: String,
    /// What the points are.
    pub aggregation: AggregationFunction,
    /// How many samples and windows the whole query read.
    pub points_read: u64,
}

/// Figures of a metric over a time range, of all its series together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stats {
    /// How many samples there are; all else is `NaN` where there are none.
    pub count: f64,
    /// Their sum.
    pub sum: f64,
    /// Their mean.
    pub avg: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
    /// The median.
    pub p50: f64,
    /// The 95th percentile.
    pub p95: f64,
    /// The 99th percentile.
    pub p99: f64,
    /// Their standard deviation.
    pub stddev: f64,
    /// The mean of the first samples of the series.
    pub first: f64,
    /// The mean of the last samples of the series.
    pub last: f64,
}

/// What is told of a metric over a time range, by name.
pub const STATISTICS: [(&str, Function); 11] = [
    ("count", Function::Count),
    ("sum", Function::Sum),
    ("avg", Function::Avg),
    ("min", Function::Min),
    ("max", Function::Max),
    ("p50", Function::Percentile(50.0)),
    ("p95", Function::Percentile(95.0)),
    ("p99", Function::Percentile(99.0)),
    ("stddev", Function::Stddev),
    ("first", Function::First),
    ("last", Function::Last),
];

/// How far back the latest sample of a metric may lie, in milliseconds.
pub const LATEST_MS: i64 = 300_000;

/// Asks a source as of one time, within one budget.
#[derive(Clone, Copy)]
pub struct QueryEngine<'s> {
    source: &'s dyn Source,
    now: Timestamp,
    budget: &'s Budget,
}

impl<'s> QueryEngine<'s> {
    /// Asks `source` when it is `now`.
    pub fn new(source: &'s dyn Source, now: Timestamp, budget: &'s Budget) -> Self {
        Self { source, now, budget }
    }

    /// The points of each series that a filter lets through.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn query(&self, filter: &MetricsQueryFilter) -> Result<Vec<MetricsQueryResult>, Error> {
        let reply = self.answer(&filter.query().by_series())?;
        let result = |series: json::Series| MetricsQueryResult {
            name: series.name,
            labels: series.labels,
            data_points: series.points,
            granularity: reply.meta.tier.clone(),
            reason: reply.meta.reason.clone(),
            aggregation: filter.aggregation,
            points_read: reply.meta.points_read,
        };
        Ok(reply.results.into_iter().map(result).collect())
    }

    /// The mean of all series of each metric in a time range, in buckets as the tier keeps them, by the names asked for.
    ///
    /// # Errors
    /// See [`Error`].
    #[doc(alias = "timeRangeQuery")]
    pub fn time_range_query(
        &self,
        names: &[&str],
        start: Timestamp,
        end: Timestamp,
    ) -> Result<BTreeMap<String, Vec<Sample>>, Error> {
        let mut found = BTreeMap::new();
        for &name in names {
            let filter = MetricsQueryFilter::of([name], start, end);
            let points = self.answer(&filter.query())?.results.into_iter().flat_map(|series| series.points);
            found.insert(name.to_owned(), points.collect());
        }
        Ok(found)
    }

    /// The newest sample of each metric, of whichever of its series has it, as far as there is one in the last five minutes.
    ///
    /// # Errors
    /// See [`Error`].
    #[doc(alias = "getLatest")]
    pub fn latest(&self, names: &[&str]) -> Result<BTreeMap<String, Sample>, Error> {
        let mut found = BTreeMap::new();
        for &name in names {
            let start = self.now.saturating_add(-LATEST_MS);
            let mut filter = MetricsQueryFilter::of([name], start, self.now.saturating_add(1));
            filter.granularity = Some(Tier::Raw);
            let series = self.answer(&filter.query().by_series())?.results;
            let newest = series.iter().filter_map(|series| series.points.last()).max_by_key(|last| last.at);
            found.extend(newest.map(|newest| (name.to_owned(), *newest)));
        }
        Ok(found)
    }

    /// Figures of a metric over a time range, of all its series together.
    ///
    /// # Errors
    /// See [`Error`].
    #[doc(alias = "calculateStats")]
    pub fn calculate_stats(&self, name: &str, start: Timestamp, end: Timestamp) -> Result<Stats, Error> {
        let query = Query::of([name]).between(start, end);
        let query = STATISTICS.iter().fold(query, |query, (_, function)| query.aggregate(*function, None));
        let reply = self.answer(&query)?;
        let figure = |wanted: &str| {
            let (_, function) = STATISTICS.iter().find(|(name, _)| *name == wanted)?;
            let of = |series: &&json::Series| series.aggregation.as_deref() == Some(&function.name());
            reply.results.iter().find(of)?.points.last().map(|point| point.value)
        };
        let number = |wanted| figure(wanted).unwrap_or(f64::NAN);
        Ok(Stats {
            count: figure("count").unwrap_or(0.0),
            sum: number("sum"),
            avg: number("avg"),
            min: number("min"),
            max: number("max"),
            p50: number("p50"),
            p95: number("p95"),
            p99: number("p99"),
            stddev: number("stddev"),
            first: number("first"),
            last: number("last"),
        })
    }

    /// The metrics that are described, by name, with what is known of them.
    #[doc(alias = "listMetrics")]
    #[doc(alias = "GetAvailableMetrics")]
    pub fn available_metrics(&self) -> Vec<(String, Metadata)> {
        self.source.metadata(None)
    }

    fn answer(&self, query: &Query) -> Result<Reply, Error> {
        json::answer(self.source, query, self.now, self.budget)
    }
}

impl fmt::Debug for QueryEngine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryEngine").field("now", &self.now).finish_non_exhaustive()
    }
}

/// What a function makes of all points: one point, stamped with the time of the first. None of none.
#[doc(alias = "applyAggregation")]
pub fn apply_aggregation(points: &[Sample], function: AggregationFunction) -> Vec<Sample> {
    let values: Vec<f64> = points.iter().map(|point| point.value).collect();
    let first = points.first().map(|point| point.at);
    first.zip(function.of(&values)).map(|(at, value)| Sample { at, value }).into_iter().collect()
}

/// At most `target` points, which are in time order: the time from the first to the last is cut into as many equal parts, and
/// a function makes one point of each that has any, stamped with the time of its first.
pub fn downsample(points: &[Sample], target: usize, function: AggregationFunction) -> Vec<Sample> {
    if points.len() <= target {
        return points.to_vec();
    }
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return Vec::new() };
    let span = i128::from(last.at.millis()) - i128::from(first.at.millis()) + 1;
    let part_of = |point: &Sample| {
        (i128::from(point.at.millis()) - i128::from(first.at.millis())) * target as i128 / span
    };
    let parts = points.chunk_by(|a, b| part_of(a) == part_of(b)).filter(|_| target > 0);
    parts.flat_map(|part| apply_aggregation(part, function)).collect()
}
