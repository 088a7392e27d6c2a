//! What flows record into, and who reports.

use std::{
    fmt,
    sync::{Arc, LazyLock},
};

use super::{Flow, FlowContext, Place, guard};
use crate::{
    Counter, Error, Family, Histogram, Registry, Unit,
    calls::Ending,
    global::group,
    sampling::ConsistentSampler,
    span::{Baggage, SpanContext, Spans},
};

/// The five attributes of all that is recorded of flows.
pub const ATTRIBUTES: [&str; 5] = ["flowId", "branchPath", "stepId", "serviceType", "versionId"];

/// A KiB to a TiB, in steps of 32.
const BYTES_BOUNDS: [f64; 7] =
    [1_024.0, 32_768.0, 1_048_576.0, 33_554_432.0, 1_073_741_824.0, 34_359_738_368.0, 1_099_511_627_776.0];

/// The keys under which a flow travels in `baggage`.
const FLOW: &str = "flow.id";
const BRANCH: &str = "flow.branch.path";
const STEP: &str = "flow.step.id";
const VERSION: &str = "service.version";

/// What a service does with the data of a flow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum ServiceType {
    /// It brings data in.
    Importer,
    /// It changes data.
    #[default]
    Processor,
    /// It gives data out.
    Exporter,
    /// Anything else, by its name.
    Other(String),
}

impl ServiceType {
    /// The value of `serviceType`.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Importer => "Importer",
            Self::Processor => "Processor",
            Self::Exporter => "Exporter",
            Self::Other(name) => name,
        }
    }
}

/// What flows record into. Cloning it is cheap, and clones record into the same.
///
/// | metric | |
/// |---|---|
/// | `flow_execution_duration_seconds` | from the beginning of a flow, branch or step to its end |
/// | `flow_memory_consumption_bytes` | the memory it took, where that was told or is measured |
/// | `flow_data_volume_bytes` | the data that went through it, where that was told |
/// | `flow_merge_duration_seconds` | how long a step took that merges branches |
/// | `flow_executions_total{outcome}` | how they ended: `ok`, `error`, `panicked`, `cancelled` |
/// | `flow_retries_total` | how often something in them was tried again |
///
/// Each has the labels `flowId`, `branchPath`, `stepId`, `serviceType` and `versionId`. What is recorded of a flow or
/// a branch as a whole has no `stepId`; the path of a flow as a whole is `root`.
#[derive(Clone)]
pub struct Flows(Arc<Inner>);

#[derive(Clone)]
pub(super) struct Inner {
    pub(super) duration: Family<Histogram, 5>,
    pub(super) memory: Family<Histogram, 5>,
    pub(super) data: Family<Histogram, 5>,
    pub(super) merge: Family<Histogram, 5>,
    pub(super) ended: Family<Counter, 6>,
    pub(super) retries: Family<Counter, 5>,
    pub(super) spans: Spans,
    pub(super) sampler: ConsistentSampler,
    pub(super) measure: Option<Measure>,
    service: Arc<str>,
    version: Arc<str>,
}

/// Tells how many bytes were allocated so far.
pub(super) type Measure = Arc<dyn Fn() -> u64 + Send + Sync>;

impl Flows {
    /// Registers the metrics; spans go to `spans`.
    ///
    /// # Errors
    /// A metric of the same name that is another.
    pub fn register(registry: &Registry, spans: &Spans) -> Result<Self, Error> {
        let histogram = |name, unit, bounds: &[f64], help| {
            let builder = registry.histogram(name).unit(unit).help(help);
            let builder = if bounds.is_empty() { builder } else { builder.bounds(bounds) };
            builder.family(ATTRIBUTES)
        };
        let [flow, branch, step, service, version] = ATTRIBUTES;
        Ok(Self(Arc::new(Inner {
            duration: histogram(
                "flow.execution.duration",
                Unit::Seconds,
                &[],
                "From the beginning of a flow, branch or step to its end.",
            )?,
            memory: histogram(
                "flow.memory.consumption",
                Unit::Bytes,
                &BYTES_BOUNDS,
                "Memory that a flow, branch or step took.",
            )?,
            data: histogram(
                "flow.data.volume",
                Unit::Bytes,
                &BYTES_BOUNDS,
                "Data that went through a flow, branch or step.",
            )?,
            merge: histogram(
                "flow.merge.duration",
                Unit::Seconds,
                &[],
                "How long the merge of branches took.",
            )?,
            ended: registry
                .counter("flow.executions")
                .help("Flows, branches and steps that ended, by outcome.")
                .family([flow, branch, step, service, version, "outcome"])?,
            retries: registry
                .counter("flow.retries")
                .help("How often something in a flow was tried again.")
                .family(ATTRIBUTES)?,
            spans: spans.clone(),
            sampler: ConsistentSampler::ALL,
            measure: None,
            service: ServiceType::default().as_str().into(),
            version: "".into(),
        })))
    }

    /// Those of the global registry, with the spans of the process.
    pub fn global() -> &'static Self {
        static GLOBAL: LazyLock<Flows> =
            LazyLock::new(|| group(|registry| Flows::register(registry, Spans::global())));
        &GLOBAL
    }

    /// The same, reported by a component of this type and version.
    #[must_use]
    pub fn service(&self, service: &ServiceType, version: &str) -> Self {
        self.changed(|inner| (inner.service, inner.version) = (service.as_str().into(), version.into()))
    }

    /// The same with the spans of some flows only. Metrics are of all flows in any case.
    #[must_use]
    pub fn sampled(&self, sampler: ConsistentSampler) -> Self {
        self.changed(|inner| inner.sampler = sampler)
    }

    /// The same with memory measured: `allocated` tells the bytes allocated so far, and a part consumed by how many
    /// these grew. What it is told by [`Part::memory`](super::Part::memory) goes before that.
    #[must_use]
    pub fn measured(&self, allocated: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        self.changed(|inner| inner.measure = Some(Arc::new(allocated)))
    }

    /// Begins a flow, in a trace of its own.
    pub fn begin(&self, flow: &str) -> Flow {
        Flow(guard::begin(self, &self.place(flow, None), flow))
    }

    /// Begins a flow in the trace that came from elsewhere.
    pub fn begin_in(&self, flow: &str, context: &FlowContext) -> Flow {
        Flow(guard::begin(self, &self.place(flow, Some(&context.place)), flow))
    }

    /// Where work stands that came with these headers: `header` is asked for `traceparent`, `tracestate` and
    /// `baggage`. `None` without a well-formed `traceparent`.
    pub fn extract<'h>(&self, header: impl Fn(&str) -> Option<&'h str>) -> Option<FlowContext> {
        let span = SpanContext::parse(header("traceparent")?, header("tracestate").unwrap_or_default())?;
        let baggage = Baggage::parse(header("baggage").unwrap_or_default());
        let told = |key: &str| Arc::from(baggage.get(key).unwrap_or_default());
        let place = Place {
            flow: told(FLOW),
            branch: told(BRANCH),
            step: told(STEP),
            service: self.0.service.clone(),
            version: told(VERSION),
            span: Some(span),
            baggage: [FLOW, BRANCH, STEP, VERSION]
                .iter()
                .fold(baggage.clone(), |rest, key| rest.with(key, "")),
        };
        Some(FlowContext::new(self.clone(), place))
    }

    fn place(&self, flow: &str, inside: Option<&Place>) -> Place {
        Place {
            flow: flow.into(),
            branch: "root".into(),
            step: "".into(),
            service: self.0.service.clone(),
            version: self.0.version.clone(),
            span: inside.and_then(|place| place.span.clone()),
            baggage: inside.map(|place| place.baggage.clone()).unwrap_or_default(),
        }
    }

    /// A place inside another, as this component reports it.
    pub(super) fn inside(&self, outer: &Place) -> Place {
        let (service, version) = (self.0.service.clone(), self.0.version.clone());
        Place { service, version, ..outer.clone() }
    }

    pub(super) fn inner(&self) -> &Inner {
        &self.0
    }

    fn changed(&self, change: impl FnOnce(&mut Inner)) -> Self {
        let mut inner = Inner::clone(&self.0);
        change(&mut inner);
        Self(Arc::new(inner))
    }
}

impl Inner {
    pub(super) fn count(&self, place: &Place, ending: Ending) {
        let [flow, branch, step, service, version] = place.labels();
        self.ended.with([flow, branch, step, service, version, ending.as_str()]).inc();
    }
}

/// The entries of `baggage` for a place.
pub(super) fn baggage(place: &Place) -> Baggage {
    let entries =
        [(FLOW, &place.flow), (BRANCH, &place.branch), (STEP, &place.step), (VERSION, &place.version)];
    entries.into_iter().fold(place.baggage.clone(), |baggage, (key, value)| baggage.with(key, value))
}

impl fmt::Debug for Flows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flows({} {})", self.0.service, self.0.version)
    }
}
