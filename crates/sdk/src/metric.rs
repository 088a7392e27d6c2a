//! One metric of a registry: what it is, and its series.

use std::{
    collections::BTreeMap,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use barograph_model::{Labels, Metadata, MetricType, Timestamp};
use barograph_wire::exposition::{Family, Point, format_float};

use crate::{
    Error,
    distribution::{self, Layout},
    handle::{self, COUNTER_INDICES, GAUGE_INDICES, Gauge, HISTOGRAM_INDICES, Indices},
    shard::Shard,
    window::{self, Windows},
};

/// The value that stands for all label values beyond the cap of a metric.
pub const OVERFLOW: &str = "__overflow__";

/// How many series a metric may have if it does not say.
pub const SERIES_MAX: usize = 2_000;

/// The most bytes of a label's value; what is longer is cut.
pub const VALUE_BYTES_MAX: usize = 4_096;

/// What kind of cells a metric's series have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    FloatCounter,
    UpDownCounter,
    Gauge,
    Histogram,
    Meter,
    Timer,
    Summary,
}

/// What follows the name of a summary in its points.
const SUMMARY_SUFFIXES: &[&str] = &["", "_sum", "_count", "_created"];

/// A closure that tells a value when it is collected.
pub(crate) type Observer = Arc<dyn Fn() -> f64 + Send + Sync>;

/// Where a series has its value.
#[derive(Clone)]
enum Origin {
    Cell(u32),
    Observer(Observer),
}

/// A metric and its series.
pub(crate) struct Metric {
    /// The exposed name, without `_total`.
    pub(crate) name: String,
    /// The name as given.
    pub(crate) given: String,
    pub(crate) metadata: Metadata,
    pub(crate) kind: Kind,
    pub(crate) layout: Option<Arc<Layout>>,
    series_max: usize,
    series: Mutex<BTreeMap<Labels, Origin>>,
    windows: OnceLock<Windows>,
    overflowed: AtomicU64,
    panics: AtomicU64,
}

impl Kind {
    pub(crate) const fn metric_type(self) -> MetricType {
        match self {
            Self::Counter | Self::FloatCounter | Self::Meter => MetricType::Counter,
            Self::UpDownCounter | Self::Gauge => MetricType::Gauge,
            Self::Histogram | Self::Timer => MetricType::Histogram,
            Self::Summary => MetricType::Summary,
        }
    }

    pub(crate) const fn is_counter(self) -> bool {
        matches!(self, Self::Counter | Self::FloatCounter | Self::Meter)
    }

    /// Whether its cells hold distributions.
    pub(crate) const fn is_distribution(self) -> bool {
        matches!(self, Self::Histogram | Self::Timer | Self::Summary)
    }

    /// Whether it is exposed with what its window holds.
    const fn is_windowed(self) -> bool {
        matches!(self, Self::Meter | Self::Timer | Self::Summary)
    }

    /// Labels that its points are told apart by.
    pub(crate) const fn reserved_labels(self) -> &'static [&'static str] {
        match self {
            Self::Counter | Self::FloatCounter | Self::UpDownCounter | Self::Gauge => &[],
            Self::Histogram => &["le"],
            Self::Meter => &["window"],
            Self::Timer => &["le", "quantile"],
            Self::Summary => &["quantile"],
        }
    }

    fn indices(self) -> &'static Indices {
        match self {
            Self::Counter | Self::FloatCounter | Self::UpDownCounter | Self::Meter => &COUNTER_INDICES,
            Self::Gauge => &GAUGE_INDICES,
            Self::Histogram | Self::Timer | Self::Summary => &HISTOGRAM_INDICES,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Counter => "counter",
            Self::FloatCounter => "counter of floats",
            Self::UpDownCounter => "up-down counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Meter => "meter",
            Self::Timer => "timer",
            Self::Summary => "summary",
        })
    }
}

impl Metric {
    pub(crate) fn new(
        given: &str,
        name: String,
        metadata: Metadata,
        kind: Kind,
        layout: Option<Arc<Layout>>,
        series_max: usize,
    ) -> Self {
        Self {
            name,
            given: given.to_owned(),
            metadata,
            kind,
            layout,
            series_max,
            series: Mutex::default(),
            windows: OnceLock::new(),
            overflowed: AtomicU64::new(0),
            panics: AtomicU64::new(0),
        }
    }

    /// All names under which points of this metric appear.
    pub(crate) fn exposed_names(&self) -> Vec<String> {
        let suffixes: &[&str] = match self.kind.metric_type() {
            MetricType::Counter => &["", "_total", "_created"],
            MetricType::Histogram => &["", "_bucket", "_sum", "_count", "_created"],
            MetricType::Summary => SUMMARY_SUFFIXES,
            _ => &[""],
        };
        let of = |name: &str, suffixes: &[&str]| -> Vec<_> {
            suffixes.iter().map(|suffix| format!("{name}{suffix}")).collect()
        };
        let mut names = of(&self.name, suffixes);
        match self.kind {
            Kind::Meter => names.push(self.window_name()),
            Kind::Timer => names.extend(of(&self.window_name(), SUMMARY_SUFFIXES)),
            _ => {}
        }
        names
    }

    /// The name of the family that shows the window of a meter or timer.
    fn window_name(&self) -> String {
        if self.kind == Kind::Meter {
            return format!("{}_per_second", self.name);
        }
        let unit = &self.metadata.unit;
        let stem = self.name.strip_suffix(unit.as_str()).filter(|_| !unit.is_empty());
        match stem {
            Some(stem) => format!("{stem}window_{unit}"),
            None => format!("{}_window", self.name),
        }
    }

    /// The windows of its series, which it has from now on.
    pub(crate) fn windows(&self, window: Duration, now: Option<Timestamp>) -> &Windows {
        self.windows.get_or_init(|| Windows::new(self, window, now))
    }

    /// Moves its windows, if it has any.
    pub(crate) fn tick(&self, window: Duration, now: Timestamp) {
        if let Some(windows) = self.windows.get() {
            windows.tick(self, window, now);
        }
    }

    /// Whether it has windows by nature.
    pub(crate) fn is_windowed(&self) -> bool {
        self.kind.is_windowed()
    }

    /// The cell of a series, made if it is new; that of the overflow series once the cap is reached, and `true`.
    pub(crate) fn cell(&self, labels: &Labels, overflow: &Labels) -> Result<(u32, bool), Error> {
        let mut series = self.series();
        let full = !series.contains_key(labels) && series.len() >= self.series_max;
        let labels = if full {
            self.overflowed.fetch_add(1, Relaxed);
            overflow
        } else {
            labels
        };
        match series.get(labels) {
            Some(Origin::Cell(index)) => return Ok((*index, full)),
            Some(Origin::Observer(_)) => return Err(self.taken(labels, "an observed value")),
            None => {}
        }
        let indices = self.kind.indices();
        let index = indices.take().ok_or(Error::Full { max: indices.max() })?;
        if let Some(layout) = &self.layout {
            distribution::create(index, Arc::clone(layout));
        }
        series.insert(labels.clone(), Origin::Cell(index));
        Ok((index, full))
    }

    /// Lets `observer` tell the value of a series; in place of an earlier one.
    pub(crate) fn observe(&self, labels: Labels, observer: Observer) -> Result<(), Error> {
        let mut series = self.series();
        match series.get(&labels) {
            Some(Origin::Cell(_)) => return Err(self.taken(&labels, "an instrument")),
            None if series.len() >= self.series_max => {
                self.overflowed.fetch_add(1, Relaxed);
                return Ok(());
            }
            _ => {}
        }
        series.insert(labels, Origin::Observer(observer));
        Ok(())
    }

    /// The series that have cells, with their indices, in label order.
    pub(crate) fn cells(&self) -> Vec<(Labels, u32)> {
        let cell = |(labels, origin): (&Labels, &Origin)| match origin {
            Origin::Cell(index) => Some((labels.clone(), *index)),
            Origin::Observer(_) => None,
        };
        self.series().iter().filter_map(cell).collect()
    }

    /// How often a label set found the metric at its cap.
    pub(crate) fn overflowed(&self) -> u64 {
        self.overflowed.load(Relaxed)
    }

    /// How many observers panicked when asked.
    pub(crate) fn panics(&self) -> u64 {
        self.panics.load(Relaxed)
    }

    /// The points of all series, in label order. Observers run without a lock held.
    pub(crate) fn collect(&self, shards: &[&'static Shard]) -> Family {
        let series: Vec<_> =
            self.series().iter().map(|(labels, origin)| (labels.clone(), origin.clone())).collect();
        let mut points = Vec::with_capacity(series.len());
        for (labels, origin) in series {
            match origin {
                Origin::Cell(index) => self.collect_cell(labels, index, shards, &mut points),
                Origin::Observer(observer) => match catch_unwind(AssertUnwindSafe(|| observer())) {
                    Ok(value) => points.push(Point::new(self.suffix(), labels, value)),
                    Err(_) => {
                        self.panics.fetch_add(1, Relaxed);
                    }
                },
            }
        }
        Family {
            name: self.name.clone(),
            help: self.metadata.help.clone(),
            unit: self.metadata.unit.clone(),
            kind: self.metadata.kind,
            points,
        }
    }

    fn collect_cell(&self, labels: Labels, index: u32, shards: &[&'static Shard], points: &mut Vec<Point>) {
        let value = match self.kind {
            Kind::Counter | Kind::Meter => handle::sum_cells(index, shards) as f64,
            Kind::UpDownCounter => handle::sum_cells(index, shards).cast_signed() as f64,
            Kind::FloatCounter => handle::sum_float_cells(index, shards),
            Kind::Gauge => Gauge(index).value(),
            Kind::Histogram | Kind::Timer => return collect_histogram(&labels, index, shards, points),
            // It is shown with its window.
            Kind::Summary => return,
        };
        points.push(Point::new(self.suffix(), labels, value));
    }

    /// What the windows of a meter, timer or summary show.
    pub(crate) fn collect_window(&self, shards: &[&'static Shard]) -> Option<Family> {
        let windows = self.windows.get().filter(|_| self.is_windowed())?;
        let mut points = Vec::new();
        if self.kind == Kind::Meter {
            for (labels, index) in self.cells() {
                let rates = window::read_rates(index).by_window();
                let point = |(window, rate)| Point::new("", labels.with("window", window), rate);
                points.extend(rates.map(point));
            }
            let help = format!("Per second: {}", self.metadata.help);
            return Some(Family {
                name: self.window_name(),
                help,
                unit: String::new(),
                kind: MetricType::Gauge,
                points,
            });
        }
        let mut figures = windows.by(self, Labels::clone);
        for (labels, index) in self.cells() {
            let window = figures.remove(&labels).unwrap_or_default();
            let quantiles = [window.p50, window.p90, window.p95, window.p99];
            for ((_, quantile), value) in window::QUANTILES.into_iter().zip(quantiles) {
                points.push(Point::new("", labels.with("quantile", quantile), value.unwrap_or(f64::NAN)));
            }
            let all = distribution::read(index, shards).sketch;
            points.push(Point::new("_sum", labels.clone(), all.sum()));
            points.push(Point::new("_count", labels, all.count() as f64));
        }
        let timer = self.kind == Kind::Timer;
        Some(Family {
            name: if timer { self.window_name() } else { self.name.clone() },
            help: self.metadata.help.clone(),
            unit: self.metadata.unit.clone(),
            kind: MetricType::Summary,
            points,
        })
    }

    const fn suffix(&self) -> &'static str {
        if self.kind.is_counter() { "_total" } else { "" }
    }

    fn taken(&self, labels: &Labels, existing: &'static str) -> Error {
        Error::Taken { series: format!("{}{labels}", self.name), existing }
    }

    fn series(&self) -> MutexGuard<'_, BTreeMap<Labels, Origin>> {
        self.series.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn collect_histogram(labels: &Labels, index: u32, shards: &[&'static Shard], points: &mut Vec<Point>) {
    let read = distribution::read(index, shards);
    let count = read.sketch.count() as f64;
    let bounds = read.classic.iter().map(|(bound, count)| (format_float(*bound), *count as f64));
    for (bound, count) in bounds.chain([("+Inf".to_owned(), count)]) {
        points.push(Point::new("_bucket", labels.with("le", &bound), count));
    }
    points.push(Point::new("_sum", labels.clone(), read.sketch.sum()));
    let sketch = Some(Arc::new(read.sketch));
    points.push(Point { sketch, ..Point::new("_count", labels.clone(), count) });
}
