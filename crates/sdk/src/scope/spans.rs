//! Scopes that are spans, too.

use std::sync::{Mutex, OnceLock, PoisonError};

use super::{Attributes, Context, Outcome, Results};
use crate::{
    sampling::ConsistentSampler,
    span::{OpenSpan, SpanContext, SpanKind, Spans},
};

static SPANS: OnceLock<(Spans, ConsistentSampler)> = OnceLock::new();

/// Makes a span of each scope that begins from now on, put into `spans` when it ends, of the traces that `sampler` keeps. It
/// has the attributes and results of the scope, and lies in the span of the scope, flow, branch or step around it. Once for
/// the process; `false` says that it was told before.
///
/// A scope costs some hundred nanoseconds more then, and a few allocations.
pub fn trace(spans: &Spans, sampler: ConsistentSampler) -> bool {
    SPANS.set((spans.clone(), sampler)).is_ok()
}

/// The span of a scope that is open.
pub(super) struct Traced {
    context: SpanContext,
    /// `None` once the scope is over.
    span: Mutex<Option<OpenSpan>>,
}

impl Traced {
    /// The span of a scope that begins inside `outer`; `None` where scopes are no spans.
    pub(super) fn begin(outer: &Context, name: &str) -> Option<Self> {
        let (spans, sampler) = SPANS.get()?;
        let span = OpenSpan::begin(spans, sampler, outer.span(), name, SpanKind::Internal);
        Some(Self { context: span.context().clone(), span: Mutex::new(Some(span)) })
    }

    /// Where it stands.
    pub(super) fn context(&self) -> &SpanContext {
        &self.context
    }

    /// Ends it, unless it is over.
    pub(super) fn end(&self, attributes: &Attributes, results: &Results) {
        let taken = self.span.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut span) = taken else { return };
        attributes.iter().for_each(|(name, value)| span.set(name, value));
        for (name, outcome) in results {
            match outcome {
                Outcome::Number(number) => span.set(name, *number),
                Outcome::Text(text) => span.set(name, text.as_str()),
            }
        }
        span.end();
    }
}
