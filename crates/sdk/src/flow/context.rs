//! Where work stands: in which trace, flow, branch and step, reported by which component of which version.

use std::{fmt, sync::Arc};

use super::{Branch, Flows, Step, guard, instruments};
use crate::{
    scope::{self, Attributes, InContext, InScope},
    span::{Baggage, SpanContext},
};

/// Where work stands. Clones are cheap; it goes to futures and threads, and in headers to other processes.
///
/// It is a scope: what is recorded inside has the five attributes.
#[derive(Clone)]
pub struct FlowContext {
    pub(super) flows: Flows,
    pub(super) place: Arc<Place>,
    scopes: scope::Context,
}

/// The names of where work stands.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(super) flow: Arc<str>,
    pub(super) branch: Arc<str>,
    pub(super) step: Arc<str>,
    pub(super) service: Arc<str>,
    pub(super) version: Arc<str>,
    /// `None` before a flow's first span.
    pub(super) span: Option<SpanContext>,
    /// What else travels.
    pub(super) baggage: Baggage,
}

impl Place {
    /// The values of the five attributes.
    pub(super) fn labels(&self) -> [&str; 5] {
        [&self.flow, &self.branch, &self.step, &self.service, &self.version]
    }
}

impl FlowContext {
    /// The context inside the scopes that are open here.
    pub(super) fn new(flows: Flows, place: Place) -> Self {
        let attributes: Attributes = instruments::ATTRIBUTES.iter().zip(place.labels()).collect();
        let place = Arc::new(place);
        let name = if place.step.is_empty() { &place.branch } else { &place.step };
        let held = Held { flows: flows.clone(), place: Arc::clone(&place) };
        let scopes = scope::Context::current().carrying(name, attributes, held);
        Self { flows, place, scopes }
    }

    /// Where the work stands that runs on this thread or in this future. `None` outside of any flow.
    pub fn current() -> Option<Self> {
        let scopes = scope::Context::current();
        let Held { flows, place } = scopes.carried()?.clone();
        Some(Self { flows, place, scopes })
    }

    /// The flow.
    pub fn flow_id(&self) -> &str {
        &self.place.flow
    }

    /// The path of the branch: `root`, `root/b1`, `root/b1/b2`.
    pub fn branch_path(&self) -> &str {
        &self.place.branch
    }

    /// The step; empty outside of any.
    pub fn step_id(&self) -> &str {
        &self.place.step
    }

    /// The type of the component that reports.
    pub fn service_type(&self) -> &str {
        &self.place.service
    }

    /// The version of the component that reports; of work that came from elsewhere that of the sender.
    pub fn version_id(&self) -> &str {
        &self.place.version
    }

    /// The span it stands in.
    pub fn span(&self) -> Option<&SpanContext> {
        self.place.span.as_ref()
    }

    /// What travels besides.
    pub fn baggage(&self) -> &Baggage {
        &self.place.baggage
    }

    /// The same with an entry that travels along, to whoever is called from here.
    #[must_use]
    pub fn with_baggage(&self, key: &str, value: &str) -> Self {
        let baggage = self.place.baggage.with(key, value);
        let place = Place { baggage, ..Place::clone(&self.place) };
        self.scopes.run(|| Self::new(self.flows.clone(), place))
    }

    /// Tells the headers to send with a request: `traceparent`, `tracestate` and `baggage`.
    pub fn inject(&self, mut header: impl FnMut(&'static str, &str)) {
        if let Some(span) = self.span() {
            header("traceparent", &span.traceparent());
            let state = span.tracestate();
            if !state.is_empty() {
                header("tracestate", &state);
            }
        }
        let baggage = instruments::baggage(&self.place);
        if !baggage.is_empty() {
            header("baggage", &baggage.to_string());
        }
    }

    /// Begins a branch here. A `/` in its name becomes `_`.
    pub fn branch(&self, name: &str) -> Branch {
        let (outer, name) = (&self.place.branch, name.replace('/', "_"));
        let path = if outer.is_empty() { name.clone() } else { format!("{outer}/{name}") };
        let place = Place { branch: path.into(), step: "".into(), ..self.flows.inside(&self.place) };
        Branch(self.scopes.run(|| guard::begin(&self.flows, &place, &name)))
    }

    /// Begins a step here.
    pub fn step(&self, name: &str) -> Step {
        let place = Place { step: name.into(), ..self.flows.inside(&self.place) };
        Step(self.scopes.run(|| guard::begin(&self.flows, &place, name)))
    }

    /// Runs `f` here, on whichever thread this is.
    pub fn run<R>(&self, f: impl FnOnce() -> R) -> R {
        self.scopes.run(f)
    }

    /// The future, which runs here wherever it is polled.
    pub fn future<F: Future>(&self, future: F) -> InContext<F> {
        future.in_scope(self.scopes.clone())
    }
}

impl fmt::Debug for FlowContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FlowContext({:?})", self.place.labels())
    }
}

/// What scopes carry for flows.
#[derive(Clone)]
pub(crate) struct Held {
    flows: Flows,
    place: Arc<Place>,
}

impl Held {
    /// The span of the place.
    pub(crate) fn span(&self) -> Option<&SpanContext> {
        self.place.span.as_ref()
    }
}
