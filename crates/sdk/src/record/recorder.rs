//! Records into the metrics of a registry.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use barograph_model::{Labels, LabelsBuilder};

use super::{
    MetricRecord, RecordError, RecordKind, RecordValue, check_number,
    measure::Measure,
    seen::{self, Key, Target},
    stored::label_name,
    weight::Parts,
};
use crate::{
    Counter, Error, Family, FloatCounter, Gauge, Histogram, Registry, distribution,
    instrument::Instrument,
    metric::{Kind, Metric, OVERFLOW},
    scope::{self, Attributes},
};

/// How many metrics can be recorded by name.
pub const METRICS_MAX: usize = 10_000;

/// Records metrics by name, with any attributes, into a registry.
///
/// The attributes of the [scopes](crate::scope) that are open come with each record. A metric has the caps of any
/// other; what is over goes to its series `{attributes="__overflow__"}`. What a thread has recorded before costs a
/// hash and a comparison of all attributes, no lock and no allocation.
#[derive(Clone)]
pub struct Recorder(Arc<Inner>);

struct Inner {
    /// Unlike that of any other recorder of the process.
    id: u64,
    registry: Registry,
    /// By name as given.
    defined: RwLock<HashMap<Box<str>, Arc<Defined>>>,
    /// Parts of sampled records that do not make a whole one yet.
    parts: Mutex<Parts>,
    rejected: Option<Family<Counter, 1>>,
}

/// A metric that was recorded by name.
struct Defined {
    metric: Arc<Metric>,
    kind: Kind,
}

/// Records of one series that follow each other.
struct Run<'r> {
    like: &'r MetricRecord,
    target: Target,
    /// What was counted in it, or the last value of a gauge.
    value: Option<f64>,
}

impl Run<'_> {
    fn end(self) {
        if let Some(value) = self.value {
            self.target.record(value);
        }
    }
}

impl Recorder {
    /// A recorder into `registry`. Records it refuses are counted there, as
    /// `barograph_sdk_rejected_records_total{reason}`.
    pub fn new(registry: &Registry) -> Self {
        static IDS: AtomicU64 = AtomicU64::new(0);
        let rejected = registry
            .counter("barograph_sdk_rejected_records_total")
            .help("Records by name that were not taken, by reason.")
            .family(["reason"])
            .ok();
        let id = IDS.fetch_add(1, Relaxed);
        let (defined, parts) = (RwLock::default(), Mutex::default());
        Self(Arc::new(Inner { id, registry: registry.clone(), defined, parts, rejected }))
    }

    /// The registry that is recorded into.
    pub fn registry(&self) -> &Registry {
        &self.0.registry
    }

    /// Records a number: an increment, a value, or a duration in milliseconds.
    ///
    /// # Errors
    /// [`RecordError`]: it was not recorded, and is counted.
    pub fn number(
        &self,
        kind: RecordKind,
        name: &str,
        value: f64,
        attributes: &Attributes,
    ) -> Result<(), RecordError> {
        let recorded = check_number(kind, value).and_then(|()| {
            let target = scope::with_current(|outer| self.target(kind, name, None, outer, attributes))?;
            target.record(value);
            Ok(())
        });
        self.counted(recorded)
    }

    /// Records a whole record. Its timestamp is not looked at: a registry has no past.
    ///
    /// # Errors
    /// [`RecordError`]: it was not recorded, and is counted.
    pub fn record(&self, record: &MetricRecord) -> Result<(), RecordError> {
        let mut run = None;
        let recorded = self.record_whole(record, &mut run);
        run.into_iter().for_each(Run::end);
        self.counted(recorded)
    }

    /// Records many, in order. Of those of one series that follow each other, it is found once where they go, counts are
    /// added up and recorded as one, and of gauges only the last value is.
    pub fn record_all(&self, records: &[MetricRecord]) -> Vec<Result<(), RecordError>> {
        let mut run = None;
        let results =
            records.iter().map(|record| self.counted(self.record_whole(record, &mut run))).collect();
        run.into_iter().for_each(Run::end);
        results
    }

    fn record_whole<'r>(
        &self,
        record: &'r MetricRecord,
        run: &mut Option<Run<'r>>,
    ) -> Result<(), RecordError> {
        record.check()?;
        let run = match run {
            Some(run) if run.like.is_of_the_series_of(record) => run,
            _ => {
                let begun = Run { like: record, target: self.target_of(record)?, value: None };
                run.replace(begun).into_iter().for_each(Run::end);
                let Some(begun) = run else { return Ok(()) };
                begun
            }
        };
        let weight = record.sampling.map_or(1.0, |sampling| sampling.weight);
        match (&record.value, record.kind) {
            (RecordValue::Number(value), RecordKind::Gauge) => run.value = Some(*value),
            (RecordValue::Number(value), RecordKind::Counter | RecordKind::Meter) if weight == 1.0 => {
                run.value = Some(run.value.unwrap_or(0.0) + value);
            }
            (RecordValue::Number(value), _) if weight == 1.0 => run.target.record(*value),
            (value, _) => run.target.record_weighted(value, self.whole(weight)),
        }
        Ok(())
    }

    fn target_of(&self, record: &MetricRecord) -> Result<Target, RecordError> {
        let (unit, own) = (record.unit.as_deref(), record.full_attributes());
        scope::with_current(|outer| self.target(record.kind, &record.name, unit, outer, &own))
    }

    fn counted(&self, recorded: Result<(), RecordError>) -> Result<(), RecordError> {
        if let (Err(error), Some(rejected)) = (&recorded, &self.0.rejected) {
            rejected.with([error.reason()]).inc();
        }
        recorded
    }

    /// A weight as a whole number, such that many of them add up to all weights.
    fn whole(&self, weight: f64) -> u64 {
        self.0.parts.lock().unwrap_or_else(PoisonError::into_inner).whole(weight)
    }

    fn target(
        &self,
        kind: RecordKind,
        name: &str,
        unit: Option<&str>,
        outer: &Attributes,
        inner: &Attributes,
    ) -> Result<Target, RecordError> {
        let key = Key { recorder: self.0.id, kind, name, unit, outer, inner };
        let hash = key.hash();
        match seen::find(hash, &key) {
            Some(target) => Ok(target),
            None => self.find(hash, &key),
        }
    }

    #[cold]
    fn find(&self, hash: u64, key: &Key<'_>) -> Result<Target, RecordError> {
        let measure = Measure::of(key.kind, key.unit);
        let defined = self.defined(key.kind, key.name, measure)?;
        let reserved = defined.kind.reserved_labels();
        let mut labels = LabelsBuilder::new();
        for (name, value) in key.pairs() {
            labels.set(&label_name(name, reserved), value);
        }
        let overflow = Labels::empty().with("attributes", OVERFLOW);
        let (index, overflowed) = defined.metric.cell(&labels.build(), &overflow)?;
        let scale = measure.map_or(1.0, |measure| measure.scale);
        let target = Target { kind: defined.kind, index, scale };
        if !overflowed {
            seen::remember(hash, key, target);
        }
        Ok(target)
    }

    /// The metric of a name: one that is defined in the registry already, or a new one.
    fn defined(
        &self,
        kind: RecordKind,
        name: &str,
        measure: Option<Measure<'_>>,
    ) -> Result<Arc<Defined>, RecordError> {
        let known = self.0.defined.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        let defined = match known.or_else(|| self.existing(name)) {
            Some(known) => known,
            None => Arc::new(self.define(kind, name, measure)?),
        };
        let conflict = |what, existing: String| Error::Conflict { name: name.to_owned(), what, existing };
        let same_kind = match kind {
            RecordKind::Counter | RecordKind::Meter => defined.kind.is_counter(),
            RecordKind::Gauge => defined.kind == Kind::Gauge,
            RecordKind::Histogram | RecordKind::Timer => defined.kind.is_distribution(),
        };
        if !same_kind {
            return Err(conflict("type", defined.kind.to_string()).into());
        }
        if measure.is_some_and(|measure| measure.word != defined.metric.metadata.unit) {
            return Err(conflict("unit", defined.metric.metadata.unit.clone()).into());
        }
        let mut all = self.0.defined.write().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= METRICS_MAX && !all.contains_key(name) {
            return Err(RecordError::TooManyMetrics);
        }
        Ok(Arc::clone(all.entry(name.into()).or_insert(defined)))
    }

    fn existing(&self, name: &str) -> Option<Arc<Defined>> {
        let metric = self.0.registry.given(name)?;
        let kind = metric.kind;
        Some(Arc::new(Defined { metric, kind }))
    }

    fn define(&self, kind: RecordKind, name: &str, measure: Option<Measure<'_>>) -> Result<Defined, Error> {
        let (registry, unit) = (&self.0.registry, measure.unwrap_or(Measure::NONE).unit()?);
        fn metric<H: Instrument>(
            builder: crate::Builder<'_, H>,
            unit: crate::Unit,
        ) -> Result<Defined, Error> {
            let metric = builder.unit(unit).metric()?.0;
            Ok(Defined { kind: metric.kind, metric })
        }
        let name = &name.replace('-', "_");
        match kind {
            RecordKind::Counter | RecordKind::Meter => metric(registry.counter(name), unit),
            RecordKind::Gauge => metric(registry.gauge(name), unit),
            RecordKind::Histogram | RecordKind::Timer => metric(registry.histogram(name), unit),
        }
    }
}

impl Target {
    fn record(self, value: f64) {
        let value = value * self.scale;
        match self.kind {
            Kind::Counter | Kind::Meter => Counter(self.index).add(whole(value)),
            Kind::FloatCounter => FloatCounter(self.index).add(value),
            Kind::Histogram | Kind::Timer | Kind::Summary => Histogram(self.index).record(value),
            Kind::Gauge | Kind::UpDownCounter => Gauge(self.index).set(value),
        }
    }

    /// Records the same so many times.
    fn record_weighted(self, value: &RecordValue, times: u64) {
        match (self.kind, value) {
            (kind, value) if kind.is_distribution() => {
                distribution::merge(self.index, &value.sketch(self.scale, times));
            }
            (_, RecordValue::Number(value)) => self.record(value * times as f64),
            (_, RecordValue::Distribution(_)) => {}
        }
    }
}

/// A count that was found to be whole and in range; multiples of it may have left the range.
fn whole(value: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast saturates")]
    let whole = value as u64;
    whole
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recorder({:?})", self.0.registry)
    }
}

#[cfg(test)]
mod tests {
    use barograph_model::Sketch;

    use super::*;
    use crate::{
        Unit,
        exposition::Format,
        sampling::{SamplingInfo, Strategy},
    };

    fn text(registry: &Registry) -> String {
        registry.expose(Format::Text004)
    }

    fn none() -> Attributes {
        Attributes::new()
    }

    #[test]
    fn kinds_are_kept_as_what_they_are() {
        let registry = Registry::new();
        let recorder = Recorder::new(&registry);
        let attributes = Attributes::from([("flow-id", "F1"), ("9", "x")]);
        for _ in 0..2 {
            recorder.number(RecordKind::Counter, "jobs.done", 2.0, &attributes).unwrap();
            recorder.number(RecordKind::Timer, "job.duration", 1_500.0, &none()).unwrap();
            recorder.number(RecordKind::Gauge, "queue-depth", 7.0, &none()).unwrap();
            recorder.number(RecordKind::Meter, "events", 3.0, &none()).unwrap();
        }
        let text = text(&registry);
        let check = |line: &str| assert!(text.contains(&format!("{line}\n")), "{line}: {text}");
        check("jobs_done_total{attr_9=\"x\",flow_id=\"F1\"} 4");
        check("job_duration_seconds_sum 3");
        check("job_duration_seconds_bucket{le=\"2.5\"} 2");
        check("queue_depth 7");
        check("events_total 6");
    }

    #[test]
    fn what_is_wrong_is_refused_and_counted() {
        let registry = Registry::new();
        let recorder = Recorder::new(&registry);
        recorder.number(RecordKind::Gauge, "depth", 1.0, &none()).unwrap();
        let check = |kind, name, value, reason| {
            let refused = recorder.number(kind, name, value, &none()).unwrap_err();
            assert_eq!(refused.reason(), reason, "{refused}");
        };
        check(RecordKind::Counter, "jobs", -1.0, "negative");
        check(RecordKind::Meter, "jobs", 0.5, "not_whole");
        check(RecordKind::Gauge, "depth", f64::NAN, "not_finite");
        check(RecordKind::Histogram, "depth", 1.0, "definition");
        check(RecordKind::Gauge, "no good", 1.0, "definition");
        let bytes = MetricRecord::new(RecordKind::Gauge, "depth", 1.0).unit("bytes");
        assert_eq!(recorder.record(&bytes).unwrap_err().reason(), "definition");
        assert!(text(&registry).contains("rejected_records_total{reason=\"definition\"} 3\n"));
    }

    #[test]
    fn records_of_a_batch_go_where_each_belongs() {
        let registry = Registry::new();
        let recorder = Recorder::new(&registry);
        let jobs = |value: f64, step: &str| {
            MetricRecord::new(RecordKind::Counter, "jobs", value).attributes([("step", step)])
        };
        let waited = MetricRecord::new(RecordKind::Timer, "wait", 500.0);
        let batch = [
            jobs(1.0, "a"),
            jobs(2.0, "a"),
            jobs(-1.0, "a"),
            jobs(4.0, "a"),
            jobs(8.0, "b"),
            jobs(16.0, "b").component("importer"),
            waited.clone(),
            waited.unit("s"),
            jobs(32.0, "a"),
        ];
        let results = recorder.record_all(&batch);
        let refused: Vec<usize> = (0..batch.len()).filter(|i| results[*i].is_err()).collect();
        assert_eq!(refused, [2]);
        let text = text(&registry);
        let check = |line: &str| assert!(text.contains(&format!("{line}\n")), "{line}: {text}");
        check("jobs_total{step=\"a\"} 39");
        check("jobs_total{step=\"b\"} 8");
        check("jobs_total{componentId=\"importer\",step=\"b\"} 16");
        check("wait_seconds_sum 500.5");
        check("wait_seconds_count 2");
    }

    #[test]
    fn a_metric_that_is_defined_elsewhere_is_recorded_into() {
        let registry = Registry::new();
        let volume =
            registry.histogram("flow.data.volume").unit(Unit::Bytes).bounds(&[1e6]).register().unwrap();
        let recorder = Recorder::new(&registry);
        recorder.number(RecordKind::Histogram, "flow.data.volume", 1e3, &none()).unwrap();
        recorder
            .record(&MetricRecord::new(RecordKind::Histogram, "flow.data.volume", 2.0).unit("MB"))
            .unwrap();
        let read = volume.read();
        assert_eq!((read.sketch.count(), read.sketch.sum()), (2, 2_001_000.0));
    }

    #[test]
    fn scopes_add_their_attributes() {
        let registry = Registry::new();
        let recorder = Recorder::new(&registry);
        let record = || recorder.number(RecordKind::Counter, "steps", 1.0, &Attributes::from([("a", "own")]));
        record().unwrap();
        let scope = scope::enter("flow", Attributes::from([("a", "scope"), ("flowId", "F1")]));
        record().unwrap();
        drop(scope);
        record().unwrap();
        let text = text(&registry);
        assert!(text.contains("steps_total{a=\"own\"} 2\n"), "{text}");
        assert!(text.contains("steps_total{a=\"own\",flowId=\"F1\"} 1\n"), "{text}");
    }

    #[test]
    fn sampled_records_stand_for_all() {
        let registry = Registry::new();
        let recorder = Recorder::new(&registry);
        for _ in 0..300 {
            let info = SamplingInfo::kept(Strategy::Consistent, 0.3);
            let record = MetricRecord::new(RecordKind::Timer, "wait", 10.0).sampled(info);
            recorder.record(&record).unwrap();
        }
        let read = registry.histogram("wait").unit(Unit::Seconds).register().unwrap().read();
        assert!((999..=1000).contains(&read.sketch.count()), "{}", read.sketch.count());
    }

    #[test]
    fn distributions_are_added_in_the_units_of_the_metric() {
        let registry = Registry::new();
        let recorder = Recorder::new(&registry);
        let mut sketch = Sketch::new();
        [100.0, 200.0, 4_000.0].into_iter().for_each(|ms| sketch.add(ms));
        let record = MetricRecord::new(RecordKind::Timer, "wait", RecordValue::Distribution(sketch));
        recorder.record(&record).unwrap();
        let read = registry.histogram("wait").unit(Unit::Seconds).register().unwrap().read();
        assert_eq!((read.sketch.count(), read.sketch.max()), (3, Some(4.0)));
        assert_eq!(read.classic.iter().find(|(bound, _)| *bound == 1.0), Some(&(1.0, 2)));
        let refused = MetricRecord::new(RecordKind::Gauge, "wait", RecordValue::Distribution(Sketch::new()));
        assert_eq!(recorder.record(&refused).unwrap_err().reason(), "no_distribution");
    }

    #[test]
    fn series_are_bounded() {
        let registry = Registry::new();
        let recorder = Recorder::new(&registry);
        for i in 0..crate::SERIES_MAX + 10 {
            let attributes = Attributes::from([(format!("k{}", i % 7), i.to_string())]);
            recorder.number(RecordKind::Counter, "many", 1.0, &attributes).unwrap();
        }
        let text = text(&registry);
        assert!(text.contains("many_total{attributes=\"__overflow__\"} 10\n"));
        assert!(text.contains("barograph_sdk_overflow_total{metric=\"many\"} 10\n"));
    }
}
