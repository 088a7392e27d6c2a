//! Exemplars: recordings kept as examples, with the trace that leads to what happened.
//!
//! A series of a counter keeps one, a histogram one for each classic bucket. One that is kept stays for
//! [`EXEMPLAR_INTERVAL`], then the next one takes its place: so of ever so many sampled recordings most cost a
//! comparison, and memory is bounded by the number of series and buckets. Recordings without a trace know nothing of
//! all this.

use std::sync::{PoisonError, atomic::Ordering::Relaxed};

use barograph_model::{Exemplar, LabelsBuilder, Sample, Timestamp};

use crate::{
    Counter, FloatCounter, Histogram, Meter, Timer, distribution, sizes,
    slab::Slab,
    sync::{self, AtomicI64, Mutex, OnceLock},
};

/// How long an exemplar stays before another takes its place, in milliseconds.
pub const EXEMPLAR_INTERVAL: i64 = 10_000;

/// The sampled trace that a recording was part of, and when that was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The trace, as W3C Trace Context and OpenTelemetry have it.
    pub trace_id: u128,
    /// The span in it.
    pub span_id: u64,
    /// When it was recorded.
    pub at: Timestamp,
}

impl Counter {
    /// Adds `n`, and keeps it as an example if the last one is ten seconds old. Costs what [`Counter::add`] costs and
    /// some nanoseconds; when it is kept, a lock that is never waited for.
    pub fn add_with_exemplar(self, n: u64, trace: Trace) {
        self.add(n);
        keep(&COUNTERS, self.0, (0, 1), n as f64, trace);
    }
}

impl FloatCounter {
    /// Adds `amount`, and keeps it as an example; see [`Counter::add_with_exemplar`].
    pub fn add_with_exemplar(self, amount: f64, trace: Trace) {
        self.add(amount);
        if amount > 0.0 && amount.is_finite() {
            keep(&COUNTERS, self.0, (0, 1), amount, trace);
        }
    }
}

impl Meter {
    /// Marks `n`, and keeps it as an example; see [`Counter::add_with_exemplar`].
    pub fn mark_with_exemplar(self, n: u64, trace: Trace) {
        Counter(self.0).add_with_exemplar(n, trace);
    }
}

impl Histogram {
    /// Records a value, and keeps it as an example of its classic bucket if the last one there is ten seconds old.
    /// Costs what [`Histogram::record`] costs and some ten nanoseconds.
    pub fn record_with_exemplar(self, value: f64, trace: Trace) {
        self.record(value);
        if value.is_finite() {
            keep(&DISTRIBUTIONS, self.0, distribution::classic_bucket(self.0, value), value, trace);
        }
    }
}

impl Timer {
    /// Records a duration measured elsewhere, and keeps it as an example; see [`Histogram::record_with_exemplar`].
    pub fn record_with_exemplar(self, duration: std::time::Duration, trace: Trace) {
        Histogram(self.0).record_with_exemplar(duration.as_secs_f64(), trace);
    }
}

/// The exemplars of all series of one kind of cells.
pub(crate) type Exemplars = Slab<OnceLock<Places>, { sizes::EXEMPLARS.0 }, { sizes::EXEMPLARS.1 }>;

sync::statics! {
    /// The exemplars of counters and meters, by index.
    pub(crate) static COUNTERS: Exemplars = Slab::new();
    /// The exemplars of histograms and timers, by index.
    pub(crate) static DISTRIBUTIONS: Exemplars = Slab::new();
}

/// The exemplars of a series.
pub(crate) struct Places(Box<[Place]>);

/// Where one exemplar is kept.
struct Place {
    /// When it was recorded, to be looked at without the lock.
    at: AtomicI64,
    kept: Mutex<Option<(f64, Trace)>>,
}

impl Default for Place {
    fn default() -> Self {
        Self { at: AtomicI64::new(i64::MIN), kept: Mutex::new(None) }
    }
}

/// Keeps a recording at one of `places` places, unless the one there is recent or somebody is just at it.
fn keep(all: &Exemplars, index: u32, (place, places): (usize, usize), value: f64, trace: Trace) {
    let series = all.cell(index).get_or_init(|| Places((0..places).map(|_| Place::default()).collect()));
    let Some(place) = series.0.get(place) else { return };
    let recent = |at: i64| at != i64::MIN && trace.at.millis().saturating_sub(at) < EXEMPLAR_INTERVAL;
    if recent(place.at.load(Relaxed)) {
        return;
    }
    if let Ok(mut kept) = place.kept.try_lock()
        && !recent(place.at.load(Relaxed))
    {
        *kept = Some((value, trace));
        place.at.store(trace.at.millis(), Relaxed);
    }
}

/// The exemplar that a series keeps at a place.
pub(crate) fn read(all: &Exemplars, index: u32, place: usize) -> Option<Exemplar> {
    let place = all.peek(index)?.get()?.0.get(place)?;
    let (value, trace) = (*place.kept.lock().unwrap_or_else(PoisonError::into_inner))?;
    let mut labels = LabelsBuilder::new();
    labels.set("trace_id", &format!("{:032x}", trace.trace_id));
    labels.set("span_id", &format!("{:016x}", trace.span_id));
    Some(Exemplar { labels: labels.build(), sample: Sample { at: trace.at, value } })
}
