//! The windows of a metric's series.

use std::{
    collections::BTreeMap,
    fmt,
    marker::PhantomData,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use barograph_model::{Labels, Sketch, Timestamp};

use super::{
    Figures,
    pace::{Pace, WINDOW},
    rates::{self, Average},
    ring::{Cumulative, Ring},
};
use crate::{
    Counter, FloatCounter, Histogram, Meter, Summary, Timer, distribution, handle,
    instrument::Instrument,
    metric::{Kind, Metric},
    shard::{self, Shard},
};

/// Instruments that can have a window.
pub trait Watched: Instrument {}
impl Watched for Counter {}
impl Watched for FloatCounter {}
impl Watched for Meter {}
impl Watched for Histogram {}
impl Watched for Timer {}
impl Watched for Summary {}

/// The sliding window of a metric, all series of it. Cloning it is cheap.
///
/// ```
/// use barograph::{Histogram, Registry, Timestamp, Unit};
///
/// let registry = Registry::new();
/// let waits = registry.histogram("wait").unit(Unit::Seconds).register()?;
/// let window = registry.watch::<Histogram>("wait").expect("it was just registered");
/// registry.tick(Timestamp(0));
/// (1..=100).for_each(|i| waits.record(f64::from(i) / 100.0));
/// registry.tick(Timestamp(10_000));
///
/// let figures = window.figures();
/// assert_eq!((figures.count, figures.per_second), (100, 10.0));
/// assert!((figures.p95.unwrap() - 0.95).abs() < 0.011);
/// # Ok::<(), barograph::Error>(())
/// ```
pub struct Watch<H> {
    metric: Arc<Metric>,
    instrument: PhantomData<fn() -> H>,
}

impl<H: Watched> Watch<H> {
    pub(crate) fn new(metric: Arc<Metric>) -> Self {
        Self { metric, instrument: PhantomData }
    }

    /// All series together. Reads and merges all of them: some 10 µs a series.
    pub fn figures(&self) -> Figures {
        self.figures_of(|_| true)
    }

    /// The series together whose labels fit.
    pub fn figures_of(&self, fits: impl Fn(&Labels) -> bool) -> Figures {
        self.windows().figures(&self.metric, fits)
    }

    /// By each value that a label has, all series with that value together.
    pub fn by(&self, label: &str) -> BTreeMap<String, Figures> {
        self.group_by(|labels| labels.value(label).unwrap_or_default().to_owned())
    }

    /// By any key, all series with that key together.
    pub fn group_by<K: Ord>(&self, key: impl Fn(&Labels) -> K) -> BTreeMap<K, Figures> {
        self.windows().by(&self.metric, key)
    }

    /// How many buckets and sums the window keeps, of 16 bytes each: what its memory is bounded by.
    pub fn buckets(&self) -> usize {
        self.windows().buckets()
    }

    fn windows(&self) -> &Windows {
        self.metric.windows(WINDOW, None)
    }
}

impl<H> Clone for Watch<H> {
    fn clone(&self) -> Self {
        Self { metric: Arc::clone(&self.metric), instrument: PhantomData }
    }
}

impl<H> fmt::Debug for Watch<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Watch({})", self.metric.name)
    }
}

/// The windows of a metric's series, and when they were last looked at.
pub(crate) struct Windows(Mutex<State>);

struct State {
    pace: Pace,
    window: Duration,
    rings: Rings,
    averages: BTreeMap<u32, Average>,
}

/// By index of the series' cells.
enum Rings {
    Amounts(BTreeMap<u32, (Labels, Ring<f64>)>),
    Values(BTreeMap<u32, (Labels, Ring<Sketch>)>),
}

impl Rings {
    fn of(kind: Kind) -> Self {
        if kind.is_distribution() { Self::Values(BTreeMap::new()) } else { Self::Amounts(BTreeMap::new()) }
    }
}

impl Rings {
    /// Everything up to the last reading is over.
    fn empty(&mut self) {
        match self {
            Self::Amounts(rings) => rings.values_mut().for_each(|(_, ring)| ring.empty()),
            Self::Values(rings) => rings.values_mut().for_each(|(_, ring)| ring.empty()),
        }
    }
}

impl Windows {
    /// Windows in which everything that was recorded up to now is over.
    pub(crate) fn new(metric: &Metric, window: Duration, now: Option<Timestamp>) -> Self {
        let mut pace = Pace::new(window);
        if let Some(now) = now {
            pace.advance(now);
        }
        let (shards, mut rings) = (shard::all(), Rings::of(metric.kind));
        for (labels, index) in metric.cells() {
            match &mut rings {
                Rings::Amounts(rings) => {
                    rings.insert(index, (labels, Ring::after(amount(metric.kind, index, &shards))));
                }
                Rings::Values(rings) => {
                    rings.insert(index, (labels, Ring::after(distribution::read(index, &shards).sketch)));
                }
            }
        }
        Self(Mutex::new(State { pace, window, rings, averages: BTreeMap::new() }))
    }

    /// It is `now`. Series are read when a slice ends, meters each time.
    pub(crate) fn tick(&self, metric: &Metric, window: Duration, now: Timestamp) {
        let cells = metric.cells();
        let mut state = self.lock();
        if state.window != window {
            state.take(metric.kind, &cells, &shard::all());
            state.rings.empty();
            state.pace = Pace::new(window);
            state.window = window;
        }
        if state.pace.is_due(now) {
            state.take(metric.kind, &cells, &shard::all());
        }
        state.pace.advance(now);
        if metric.kind == Kind::Meter {
            state.average(now, &cells);
        }
    }

    pub(crate) fn figures(&self, metric: &Metric, fits: impl Fn(&Labels) -> bool) -> Figures {
        let by = self.by(metric, fits);
        let nothing = || Figures { seconds: self.lock().pace.covered(), ..Figures::default() };
        by.get(&true).copied().unwrap_or_else(nothing)
    }

    /// The figures of all series, those of one key together.
    pub(crate) fn by<K: Ord>(&self, metric: &Metric, key: impl Fn(&Labels) -> K) -> BTreeMap<K, Figures> {
        let cells = metric.cells();
        let mut state = self.lock();
        state.take(metric.kind, &cells, &shard::all());
        let seconds = state.pace.covered();
        match &state.rings {
            Rings::Amounts(rings) => figures(rings, key, |sum| Figures::of_amount(*sum, *sum, seconds)),
            Rings::Values(rings) => figures(rings, key, |sum| Figures::of_values(sum, seconds)),
        }
    }

    fn buckets(&self) -> usize {
        match &self.lock().rings {
            Rings::Amounts(rings) => rings.values().map(|(_, ring)| ring.size(|_| 1)).sum(),
            Rings::Values(rings) => {
                let of = |sketch: &Sketch| sketch.positive().len() + sketch.negative().len();
                rings.values().map(|(_, ring)| ring.size(of)).sum()
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Puts what came since the last reading into the slice that is being filled.
    fn take(&mut self, kind: Kind, cells: &[(Labels, u32)], shards: &[&'static Shard]) {
        let slice = self.pace.slice();
        match &mut self.rings {
            Rings::Amounts(rings) => take(rings, slice, cells, |index| amount(kind, index, shards)),
            Rings::Values(rings) => {
                take(rings, slice, cells, |index| distribution::read(index, shards).sketch);
            }
        }
    }

    fn average(&mut self, now: Timestamp, cells: &[(Labels, u32)]) {
        let shards = shard::all();
        self.averages.retain(|index, _| cells.iter().any(|(_, cell)| cell == index));
        for (_, index) in cells {
            let count = handle::sum_cells(*index, &shards);
            let average = self.averages.entry(*index).or_insert_with(|| Average::new(now, count));
            rates::publish(*index, average.tick(now, count));
        }
    }
}

/// What a series of some kind of counter has counted.
fn amount(kind: Kind, index: u32, shards: &[&'static Shard]) -> f64 {
    match kind {
        Kind::FloatCounter => handle::sum_float_cells(index, shards),
        _ => handle::sum_cells(index, shards) as f64,
    }
}

/// Reads all series. One that is gone is forgotten once nothing of it is in the window.
fn take<T: Cumulative>(
    rings: &mut BTreeMap<u32, (Labels, Ring<T>)>,
    slice: i64,
    cells: &[(Labels, u32)],
    read: impl Fn(u32) -> T,
) {
    for (labels, index) in cells {
        let (_, ring) = rings.entry(*index).or_insert_with(|| (labels.clone(), Ring::after(T::default())));
        ring.take(slice, read(*index));
    }
    if rings.len() > cells.len() {
        rings.retain(|index, (_, ring)| {
            ring.forget(slice);
            !ring.is_empty() || cells.iter().any(|(_, cell)| cell == index)
        });
    }
}

/// The figures of all series, those of one key together.
fn figures<T: Cumulative, K: Ord>(
    rings: &BTreeMap<u32, (Labels, Ring<T>)>,
    key: impl Fn(&Labels) -> K,
    figures: impl Fn(&T) -> Figures,
) -> BTreeMap<K, Figures> {
    let mut sums: BTreeMap<K, T> = BTreeMap::new();
    for (labels, ring) in rings.values() {
        ring.add_to(sums.entry(key(labels)).or_default());
    }
    sums.into_iter().map(|(key, sum)| (key, figures(&sum))).collect()
}
