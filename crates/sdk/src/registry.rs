//! The metrics of a program, by name.
//!
//! A registry hands out instruments and collects what they recorded. Most programs use the one of the process,
//! [`Registry::global`]; tests and libraries make their own. Registering the same metric again gives the same
//! series, so that two parts of a program need not know of each other; with another type, unit or bounds it is an
//! error. Series live as long as the process, also when their registry does not.

use std::{
    collections::BTreeMap,
    fmt,
    marker::PhantomData,
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use barograph_model::{Labels, LabelsBuilder, Metadata, MetricType, Timestamp};
use barograph_wire::exposition::{self, Format, Point};

use crate::{
    Counter, Error, Family, FloatCounter, Gauge, Histogram, Meter, Summary, Timer, Unit, UpDownCounter,
    distribution::{Layout, SECONDS_BOUNDS},
    handle::SINK,
    instrument::{Bucketed, Instrument, Observed},
    label::{EnumFamily, LabelSet},
    metric::{Kind, Metric, OVERFLOW, SERIES_MAX},
    name, shard,
    window::{WINDOW, Watch, Watched},
};

/// How many failed registrations are kept to be shown.
const PROBLEMS_MAX: usize = 64;

/// The metrics of a program, by name. Cloning it is cheap, and clones are the same registry.
#[derive(Clone, Default)]
pub struct Registry(Arc<Mutex<Metrics>>);

#[derive(Default)]
struct Metrics {
    by_name: BTreeMap<String, Arc<Metric>>,
    /// The exposed names of all metrics' points, and the metric each belongs to.
    exposed: BTreeMap<String, String>,
    /// What tells families that are not ours.
    included: Vec<Source>,
    problems: Vec<Error>,
    problem_count: u64,
    /// How long windows are, if not [`WINDOW`].
    window: Option<Duration>,
    /// When the registry was last told the time.
    ticked: Option<Timestamp>,
}

/// Tells families when it is asked.
type Source = Arc<dyn Fn() -> Vec<exposition::Family> + Send + Sync>;

/// A metric as the catalog knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Described {
    /// The name as given, perhaps dotted.
    pub given: String,
    /// The name of the family as exposed, without `_total`.
    pub name: String,
    /// Type, unit and help.
    pub metadata: Metadata,
}

impl Registry {
    /// A registry with no metrics.
    pub fn new() -> Self {
        Self::default()
    }

    /// The registry of the process.
    pub fn global() -> &'static Self {
        static GLOBAL: LazyLock<Registry> = LazyLock::new(Registry::new);
        &GLOBAL
    }

    /// Begins the definition of a counter. Its exposed name ends in `_total`.
    pub fn counter(&self, name: &str) -> Builder<'_, Counter> {
        Builder::new(self, name)
    }

    /// Begins the definition of a counter of amounts that are no whole numbers.
    pub fn float_counter(&self, name: &str) -> Builder<'_, FloatCounter> {
        Builder::new(self, name)
    }

    /// Begins the definition of a counter that goes up and down; it is exposed as a gauge.
    pub fn up_down_counter(&self, name: &str) -> Builder<'_, UpDownCounter> {
        Builder::new(self, name)
    }

    /// Begins the definition of a gauge.
    pub fn gauge(&self, name: &str) -> Builder<'_, Gauge> {
        Builder::new(self, name)
    }

    /// Begins the definition of a histogram.
    pub fn histogram(&self, name: &str) -> Builder<'_, Histogram> {
        Builder::new(self, name)
    }

    /// Begins the definition of a meter. Its exposed name ends in `_total`, that of its rates in `_per_second`.
    pub fn meter(&self, name: &str) -> Builder<'_, Meter> {
        Builder::new(self, name)
    }

    /// Begins the definition of a timer, in seconds.
    pub fn timer(&self, name: &str) -> Builder<'_, Timer> {
        Builder::new(self, name).unit(Unit::Seconds)
    }

    /// Begins the definition of a summary.
    pub fn summary(&self, name: &str) -> Builder<'_, Summary> {
        Builder::new(self, name)
    }

    /// Tells the time: windows move on and rates are averaged. To be called at least every ten seconds, better every
    /// second, which a [`Ticker`](crate::window::Ticker) does. When a slice of the windows ends it costs some 10 µs
    /// a watched series, else next to nothing.
    pub fn tick(&self, now: Timestamp) {
        let (watched, window) = {
            let mut metrics = self.metrics();
            metrics.ticked = Some(now);
            (metrics.by_name.values().cloned().collect::<Vec<_>>(), metrics.window.unwrap_or(WINDOW))
        };
        watched.iter().for_each(|metric| metric.tick(window, now));
    }

    /// The sliding window of a metric that is registered under this name, given or exposed, and of this kind.
    /// A counter or histogram has one from the first time this is called.
    pub fn watch<H: Watched>(&self, name: &str) -> Option<Watch<H>> {
        let metrics = self.metrics();
        let is =
            |metric: &&Arc<Metric>| metric.kind == H::KIND && (metric.given == name || metric.name == name);
        let metric = metrics.by_name.values().find(is)?;
        metric.windows(metrics.window.unwrap_or(WINDOW), metrics.ticked);
        Some(Watch::new(Arc::clone(metric)))
    }

    /// How long windows are from the next tick on: [`WINDOW`] unless set, held between 30 seconds
    /// ([`WINDOW_MIN`](crate::window::WINDOW_MIN)) and a day ([`WINDOW_MAX`](crate::window::WINDOW_MAX)). Windows of
    /// another length start empty.
    pub fn set_window(&self, window: Duration) {
        self.metrics().window = Some(window);
    }

    /// The values of all series of a counter or gauge that is registered under this name, given or exposed; none of a
    /// metric that is not registered, or has distributions.
    pub fn values(&self, name: &str) -> Vec<(Labels, f64)> {
        let exposed = name.strip_suffix("_total").unwrap_or(name);
        let metric = {
            let metrics = self.metrics();
            let is = |metric: &&Arc<Metric>| metric.given == name || metric.name == exposed;
            metrics.by_name.values().find(is).filter(|metric| !metric.kind.is_distribution()).cloned()
        };
        let points = metric.map(|metric| metric.collect(&shard::all()).points).unwrap_or_default();
        points.into_iter().map(|point| (point.labels, point.value)).collect()
    }

    /// When the registry was last told the time.
    pub fn ticked(&self) -> Option<Timestamp> {
        self.metrics().ticked
    }

    /// All metrics with their points as they stand now: families by name, series by labels. Metrics that hit
    /// their cap of series or whose observers panicked are told by `barograph_sdk_overflow_total` and
    /// `barograph_sdk_observer_panics_total`, failed registrations by `barograph_sdk_registration_errors_total`.
    pub fn collect(&self) -> Vec<exposition::Family> {
        let (metrics, included, problems) = {
            let metrics = self.metrics();
            let all: Vec<_> = metrics.by_name.values().cloned().collect();
            (all, metrics.included.clone(), metrics.problem_count)
        };
        let shards = shard::all();
        let mut families: Vec<_> = metrics.iter().map(|metric| metric.collect(&shards)).collect();
        families.extend(metrics.iter().filter_map(|metric| metric.collect_window(&shards)));
        families.extend(troubles(&metrics, problems));
        families.extend(included.iter().flat_map(|source| source()));
        families.retain(|family| !family.points.is_empty());
        families.sort_by(|a, b| a.name.cmp(&b.name));
        families.dedup_by(|second, first| second.name == first.name);
        families
    }

    /// Lets `source` tell families whenever the registry is collected, such as those of another library. It should be
    /// quick and must not collect this registry. Of two families of one name the registry's own is told, else the one
    /// that was included first.
    pub fn include(&self, source: impl Fn() -> Vec<exposition::Family> + Send + Sync + 'static) {
        self.metrics().included.push(Arc::new(source));
    }

    /// What [`Registry::collect`] gives, as text.
    pub fn expose(&self, format: Format) -> String {
        let mut text = String::new();
        exposition::write(&mut text, &self.collect(), format);
        text
    }

    /// What [`Registry::collect`] gives, as a page in any form, protobuf with native histograms among them. Which one a
    /// scraper wants, [`exposition::negotiate_form`] tells.
    pub fn page(&self, form: exposition::Form) -> Vec<u8> {
        form.page(&self.collect())
    }

    /// What [`Registry::collect`] gives, as a JSON document; see [`exposition::json`].
    pub fn json(&self) -> String {
        let mut text = String::new();
        exposition::json::write(&mut text, &self.collect());
        text
    }

    /// What is registered, by name.
    pub fn catalog(&self) -> Vec<Described> {
        let describe = |metric: &Arc<Metric>| Described {
            given: metric.given.clone(),
            name: metric.name.clone(),
            metadata: metric.metadata.clone(),
        };
        self.metrics().by_name.values().map(describe).collect()
    }

    /// Whether points of a metric that is registered appear under this name.
    pub fn exposes(&self, name: &str) -> bool {
        self.metrics().exposed.contains_key(name)
    }

    /// The first failed registrations of static instruments, which have no one else to tell.
    pub fn problems(&self) -> Vec<Error> {
        self.metrics().problems.clone()
    }

    pub(crate) fn note_problem(&self, problem: Error) {
        let mut metrics = self.metrics();
        metrics.problem_count += 1;
        if metrics.problems.len() < PROBLEMS_MAX {
            metrics.problems.push(problem);
        }
    }

    /// The metric that was given this name.
    pub(crate) fn given(&self, name: &str) -> Option<Arc<Metric>> {
        self.metrics().by_name.values().find(|metric| metric.given == name).cloned()
    }

    /// The metric of this name, registered if it is new.
    fn metric(&self, new: Metric) -> Result<Arc<Metric>, Error> {
        let mut metrics = self.metrics();
        if let Some(metric) = metrics.by_name.get(&new.name) {
            return same(metric, &new).map(|()| Arc::clone(metric));
        }
        let names = new.exposed_names();
        if let Some((name, owner)) = names.iter().find_map(|name| metrics.exposed.get_key_value(name)) {
            return Err(Error::Conflict { name: name.clone(), what: "name", existing: owner.clone() });
        }
        metrics.exposed.extend(names.into_iter().map(|name| (name, new.name.clone())));
        let metric = Arc::new(new);
        if metric.is_windowed() {
            metric.windows(metrics.window.unwrap_or(WINDOW), metrics.ticked);
        }
        metrics.by_name.insert(metric.name.clone(), Arc::clone(&metric));
        Ok(metric)
    }

    fn metrics(&self) -> MutexGuard<'_, Metrics> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Registry({} metrics)", self.metrics().by_name.len())
    }
}

/// Whether a registered metric is what another registration asks for.
fn same(old: &Metric, new: &Metric) -> Result<(), Error> {
    let differs = |what, existing| Err(Error::Conflict { name: old.name.clone(), what, existing });
    if old.kind != new.kind {
        return differs("type", old.kind.to_string());
    }
    if old.metadata.unit != new.metadata.unit {
        return differs("unit", old.metadata.unit.clone());
    }
    if old.layout != new.layout {
        let bounds = old.layout.as_ref().map(|layout| layout.bounds());
        return differs("bounds", format!("{:?}", bounds.unwrap_or_default()));
    }
    Ok(())
}

/// The registry's own metrics; those that count nothing are left out.
fn troubles(metrics: &[Arc<Metric>], problems: u64) -> [exposition::Family; 3] {
    let family = |name: &str, help: &str, points: Vec<Point>| exposition::Family {
        name: name.to_owned(),
        help: help.to_owned(),
        unit: String::new(),
        kind: MetricType::Counter,
        points,
    };
    let by_metric = |count: fn(&Metric) -> u64| {
        let counts = metrics.iter().map(|metric| (metric, count(metric))).filter(|(_, count)| *count > 0);
        let point = |(metric, count): (&Arc<Metric>, u64)| {
            Point::new("_total", Labels::empty().with("metric", &metric.name), count as f64)
        };
        counts.map(point).collect()
    };
    let problems = (problems > 0).then(|| Point::new("_total", Labels::empty(), problems as f64));
    [
        family(
            "barograph_sdk_overflow",
            "Label sets that were counted in the overflow series because the metric had reached its cap of series.",
            by_metric(Metric::overflowed),
        ),
        family(
            "barograph_sdk_observer_panics",
            "Observers that panicked when they were asked for their value.",
            by_metric(Metric::panics),
        ),
        family(
            "barograph_sdk_registration_errors",
            "Static instruments that could not be registered and record nothing.",
            problems.into_iter().collect(),
        ),
    ]
}

/// The definition of a metric, to be registered.
#[must_use = "a metric exists once it is registered"]
pub struct Builder<'r, H> {
    registry: &'r Registry,
    name: String,
    help: String,
    unit: Unit,
    labels: Vec<(String, String)>,
    bounds: Vec<f64>,
    series_max: usize,
    instrument: PhantomData<fn() -> H>,
}

impl<'r, H: Instrument> Builder<'r, H> {
    fn new(registry: &'r Registry, name: &str) -> Self {
        Self::define(registry, name, &SECONDS_BOUNDS)
    }

    /// With bounds, which only a histogram looks at.
    pub(crate) fn define(registry: &'r Registry, name: &str, bounds: &[f64]) -> Self {
        Self {
            registry,
            name: name.to_owned(),
            help: String::new(),
            unit: Unit::None,
            labels: Vec::new(),
            bounds: bounds.to_vec(),
            series_max: SERIES_MAX,
            instrument: PhantomData,
        }
    }

    /// One line for people: what is measured, and what it means.
    pub fn help(mut self, help: &str) -> Self {
        help.clone_into(&mut self.help);
        self
    }

    /// What it is measured in; part of the exposed name.
    pub fn unit(mut self, unit: Unit) -> Self {
        self.unit = unit;
        self
    }

    /// A label with a fixed value.
    pub fn label(mut self, name: &str, value: &str) -> Self {
        self.labels.push((name.to_owned(), value.to_owned()));
        self
    }

    /// How many series the metric may have before the rest shares the overflow series. The first registration
    /// decides. 2,000 by default.
    pub fn series_max(mut self, series_max: usize) -> Self {
        self.series_max = series_max;
        self
    }

    /// Registers the metric and gives the instrument of the series with the fixed labels.
    ///
    /// # Errors
    /// A name, label or bounds that cannot be exposed, a metric of that name that is another, or a full process.
    pub fn register(self) -> Result<H, Error> {
        let (metric, labels) = self.metric()?;
        let overflow = labels.iter().fold(LabelsBuilder::new(), |mut overflow, (name, _)| {
            overflow.set(name, OVERFLOW);
            overflow
        });
        let (index, _) = metric.cell(&labels, &overflow.build())?;
        Ok(H::from_index(index))
    }

    /// Registers the metric with labels whose values come with each recording.
    ///
    /// # Errors
    /// As [`Builder::register`].
    pub fn family<const N: usize>(self, names: [&str; N]) -> Result<Family<H, N>, Error> {
        let mut names = names.map(str::to_owned);
        let (metric, fixed) = self.labelled(&mut names)?;
        Ok(Family::new(metric, names, fixed))
    }

    /// Registers the metric with labels that are enums, the fastest to find: by an index into an array.
    ///
    /// # Errors
    /// As [`Builder::register`].
    pub fn enum_family<L: LabelSet>(self) -> Result<EnumFamily<H, L>, Error> {
        let mut names: Vec<_> = L::LABELS.iter().map(|(name, _)| (*name).to_owned()).collect();
        let (metric, fixed) = self.labelled(&mut names)?;
        Ok(EnumFamily::new(metric, names, fixed))
    }

    /// The metric and the fixed labels, where others of these names come with each recording.
    fn labelled(self, names: &mut [String]) -> Result<(Arc<Metric>, Labels), Error> {
        for name in &mut *names {
            *name = name::exposed_label(name, H::KIND.reserved_labels())?;
        }
        let (metric, fixed) = self.metric()?;
        let twice = |(i, name): (usize, &String)| names[..i].contains(name) || fixed.value(name).is_some();
        match names.iter().enumerate().find(|pair| twice(*pair)) {
            Some((_, name)) => Err(Error::InvalidLabel { name: name.clone(), reason: "it stands twice" }),
            None => Ok((metric, fixed)),
        }
    }

    /// The metric, and the fixed labels.
    pub(crate) fn metric(self) -> Result<(Arc<Metric>, Labels), Error> {
        let name = name::exposed(&self.name, self.unit, H::KIND.is_counter())?;
        let mut labels = LabelsBuilder::new();
        for (given, value) in &self.labels {
            let label = name::exposed_label(given, H::KIND.reserved_labels())?;
            if labels.value(&label).is_some() {
                return Err(Error::InvalidLabel { name: given.clone(), reason: "it stands twice" });
            }
            labels.set(&label, value);
        }
        let bounds = if H::KIND == Kind::Summary { &[] } else { &*self.bounds };
        let ascending = bounds.is_sorted_by(|a, b| a < b) && bounds.iter().all(|b| b.is_finite());
        if H::KIND.is_distribution() && !ascending {
            return Err(Error::InvalidBounds { name });
        }
        let layout = H::KIND.is_distribution().then(|| Arc::new(Layout::new(bounds)));
        let unit = self.unit.as_str().to_owned();
        let metadata = Metadata { kind: H::KIND.metric_type(), unit, help: self.help };
        let metric = Metric::new(&self.name, name, metadata, H::KIND, layout, self.series_max);
        Ok((self.registry.metric(metric)?, labels.build()))
    }
}

impl<H: Observed> Builder<'_, H> {
    /// Registers a series whose value `observer` tells whenever it is collected, in place of an earlier observer
    /// of that series. It should be quick and must not collect itself; if it panics, the point is left out.
    ///
    /// # Errors
    /// As [`Builder::register`], and [`Error::Taken`] if there is an instrument for that series.
    pub fn observe(self, observer: impl Fn() -> f64 + Send + Sync + 'static) -> Result<(), Error> {
        let (metric, labels) = self.metric()?;
        metric.observe(labels, Arc::new(observer))
    }
}

impl<H: Bucketed> Builder<'_, H> {
    /// The classic bucket bounds to expose, finite and strictly ascending; `+Inf` is understood. By default
    /// [`SECONDS_BOUNDS`]. The sketch is kept beside them and does not depend on them.
    pub fn bounds(mut self, bounds: &[f64]) -> Self {
        self.bounds = bounds.to_vec();
        self
    }
}

impl<H> fmt::Debug for Builder<'_, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Builder({})", self.name)
    }
}

/// The instrument if it could be registered, else one whose recordings are shown nowhere.
pub(crate) fn or_sink<H: Instrument>(registry: &Registry, registered: Result<H, Error>) -> H {
    registered.unwrap_or_else(|problem| {
        registry.note_problem(problem);
        H::from_index(SINK)
    })
}
