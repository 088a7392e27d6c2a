//! A flow, a branch or a step while it runs: what the three have in common.

use std::time::Instant;

use super::{Branch, Flow, FlowContext, Flows, Place, Step};
use crate::{
    calls::Ending,
    clock,
    scope::InContext,
    span::{Attributes, OpenSpan, SpanContext, SpanKind, Status, Value},
};

/// A flow, branch or step that runs. It ends when it is finished; dropped unfinished it was cancelled, or has panicked
/// if the thread does.
#[derive(Debug)]
pub struct Part {
    context: FlowContext,
    span: OpenSpan,
    panicking: bool,
    ending: Option<Ending>,
    failure: Option<String>,
    data: Option<u64>,
    memory: Option<u64>,
    /// Bytes allocated when it began, if that is measured.
    allocated: Option<u64>,
    merges: bool,
}

/// A branch that is over, to be merged.
#[derive(Clone, Debug)]
pub struct Ended {
    span: SpanContext,
    at: Instant,
}

/// Begins a part at `place`, in whose trace it is.
pub(super) fn begin(flows: &Flows, place: &Place, name: &str) -> Part {
    let inner = flows.inner();
    let mut span =
        OpenSpan::begin(&inner.spans, &inner.sampler, place.span.as_ref(), name, SpanKind::Internal);
    if span.is_kept() {
        let names = ["flow.id", "flow.branch.path", "flow.step.id", "service.type", "service.version"];
        for (name, value) in names.into_iter().zip(place.labels()).filter(|(_, value)| !value.is_empty()) {
            span.set(name, value);
        }
    }
    let place = Place { span: Some(span.context().clone()), ..place.clone() };
    Part {
        context: FlowContext::new(flows.clone(), place),
        span,
        panicking: std::thread::panicking(),
        ending: None,
        failure: None,
        data: None,
        memory: None,
        allocated: inner.measure.as_ref().map(|allocated| allocated()),
        merges: false,
    }
}

impl Part {
    /// Where it stands, to be carried to futures, threads and other processes.
    pub fn context(&self) -> &FlowContext {
        &self.context
    }

    /// Begins a branch inside.
    pub fn branch(&self, name: &str) -> Branch {
        self.context.branch(name)
    }

    /// Begins a step inside.
    pub fn step(&self, name: &str) -> Step {
        self.context.step(name)
    }

    /// Begins a step that merges branches that are over: its span links to theirs, and its duration is recorded as
    /// that of a merge, too.
    pub fn merge(&self, name: &str, branches: impl IntoIterator<Item = Ended>) -> Step {
        let mut step = self.step(name);
        let (mut count, mut first) = (0_u64, None::<Instant>);
        for branch in branches {
            step.0.span.link(&branch.span);
            first = Some(first.map_or(branch.at, |first| first.min(branch.at)));
            count += 1;
        }
        let waited = first.map_or(0.0, |first| clock::monotonic().duration_since(first).as_secs_f64());
        step.0.span.set("merge.branches", count);
        step.0.span.set("merge.wait_seconds", waited);
        step.0.merges = true;
        step
    }

    /// Adds to the bytes that went through it.
    pub fn data(&mut self, bytes: u64) {
        self.data = Some(self.data.unwrap_or(0).saturating_add(bytes));
    }

    /// Says how many bytes of memory it took at most.
    pub fn memory(&mut self, bytes: u64) {
        self.memory = Some(self.memory.unwrap_or(0).max(bytes));
    }

    /// Sets an attribute of its span.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.span.set(name, value);
    }

    /// Tells of something that happens now, as an event of its span.
    pub fn event(&mut self, name: &str, attributes: Attributes) {
        self.span.event(name, attributes);
    }

    /// Something is tried again, and why. Counted, and an event of its span.
    pub fn retry(&mut self, why: &str) {
        self.context.flows.inner().retries.with(self.context.place.labels()).inc();
        self.span.event("retry", [("reason", why)].into_iter().collect());
    }

    /// Runs `f` inside.
    pub fn run<R>(&self, f: impl FnOnce() -> R) -> R {
        self.context.run(f)
    }

    /// The future, which runs inside wherever it is polled.
    pub fn future<F: Future>(&self, future: F) -> InContext<F> {
        self.context.future(future)
    }

    fn finish(mut self, ending: Ending, failure: Option<String>) -> Ended {
        (self.ending, self.failure) = (Some(ending), failure);
        let span = self.span.context().clone();
        drop(self);
        Ended { span, at: clock::monotonic() }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let panicked = std::thread::panicking() && !self.panicking;
        let unfinished = if panicked { Ending::Panicked } else { Ending::Cancelled };
        let ending = self.ending.unwrap_or(unfinished);
        let (inner, place) = (self.context.flows.inner(), &*self.context.place);
        let took = self.span.begun().elapsed();
        inner.duration.with(place.labels()).record_duration(took);
        if self.merges {
            inner.merge.with(place.labels()).record_duration(took);
        }
        let grown = |before: u64| inner.measure.as_ref().map(|allocated| allocated().saturating_sub(before));
        if let Some(bytes) = self.memory.or(self.allocated.and_then(grown)) {
            inner.memory.with(place.labels()).record(bytes as f64);
            self.span.set("flow.memory.consumption", bytes);
        }
        if let Some(bytes) = self.data {
            inner.data.with(place.labels()).record(bytes as f64);
            self.span.set("flow.data.volume", bytes);
        }
        inner.count(place, ending);
        self.span.set("flow.outcome", ending.as_str());
        self.span.set_status(match ending {
            Ending::Ok => Status::Ok,
            Ending::Error => Status::Error(self.failure.take().unwrap_or_default()),
            Ending::Panicked => Status::Error("panicked".to_owned()),
            Ending::Cancelled => Status::Unset,
        });
    }
}

macro_rules! parts {
    ($($part:ident),*) => {$(
        impl $part {
            /// It came to its end.
            pub fn finish(self) -> Ended {
                self.0.finish(Ending::Ok, None)
            }

            /// It failed, and why.
            pub fn fail(self, why: impl ToString) -> Ended {
                self.0.finish(Ending::Error, Some(why.to_string()))
            }

            /// It came to its end, or failed with the error of `result`, which is given back.
            ///
            /// # Errors
            /// That of `result`.
            pub fn finish_with<T, E: ToString>(self, result: Result<T, E>) -> Result<T, E> {
                match &result {
                    Ok(_) => self.0.finish(Ending::Ok, None),
                    Err(error) => self.0.finish(Ending::Error, Some(error.to_string())),
                };
                result
            }
        }

        impl std::ops::Deref for $part {
            type Target = Part;

            fn deref(&self) -> &Part {
                &self.0
            }
        }

        impl std::ops::DerefMut for $part {
            fn deref_mut(&mut self) -> &mut Part {
                &mut self.0
            }
        }
    )*};
}

parts!(Flow, Branch, Step);
