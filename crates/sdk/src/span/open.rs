//! A span that is not over.

use std::time::Instant;

use super::{
    Attributes, EVENTS_MAX, Event, LINKS_MAX, Span, SpanContext, SpanId, SpanKind, Spans, Status, Value,
};
use crate::{clock, sampling::ConsistentSampler};

/// A span that is not over. Ends when it is ended or dropped; may go to other threads.
#[derive(Debug)]
pub struct OpenSpan {
    context: SpanContext,
    /// `None` where the trace is not kept.
    kept: Option<Kept>,
    begun: Instant,
}

#[derive(Debug)]
struct Kept {
    span: Span,
    spans: Spans,
}

impl OpenSpan {
    /// Begins a span inside `parent`, or a new trace. Costs two readings of the clock and, if the trace is kept, some
    /// allocations.
    pub fn begin(
        spans: &Spans,
        sampler: &ConsistentSampler,
        parent: Option<&SpanContext>,
        name: &str,
        kind: SpanKind,
    ) -> Self {
        let context = parent.map_or_else(|| SpanContext::root(sampler), |parent| parent.child(sampler));
        Self::at(spans, context, parent.map(|parent| parent.span), name, kind)
    }

    /// Begins a span that stands at `context`.
    pub(crate) fn at(
        spans: &Spans,
        context: SpanContext,
        parent: Option<SpanId>,
        name: &str,
        kind: SpanKind,
    ) -> Self {
        let kept = context.sampling.map(|sampling| Kept {
            span: Span {
                context: context.clone(),
                parent,
                name: name.to_owned(),
                kind,
                start: clock::unix_nanos(),
                end: 0,
                attributes: Attributes::default(),
                events: Vec::new(),
                dropped_events: 0,
                links: Vec::new(),
                dropped_links: 0,
                status: Status::Unset,
                sampling,
            },
            spans: spans.clone(),
        });
        Self { context, kept, begun: clock::monotonic() }
    }

    /// Where it stands.
    pub fn context(&self) -> &SpanContext {
        &self.context
    }

    /// When it began.
    pub fn begun(&self) -> Instant {
        self.begun
    }

    /// Whether the trace is kept; if not, nothing that is told it is looked at.
    pub fn is_kept(&self) -> bool {
        self.kept.is_some()
    }

    /// Sets an attribute.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) {
        if let Some(kept) = &mut self.kept {
            kept.span.attributes.set(name, value);
        }
    }

    /// Tells of something that happens now.
    pub fn event(&mut self, name: &str, attributes: Attributes) {
        let after = self.begun.elapsed();
        if let Some(Kept { span, .. }) = &mut self.kept {
            if span.events.len() < EVENTS_MAX {
                let time = later(span.start, after);
                span.events.push(Event { time, name: name.to_owned(), attributes });
            } else {
                span.dropped_events = span.dropped_events.saturating_add(1);
            }
        }
    }

    /// Names another span it has to do with.
    pub fn link(&mut self, other: &SpanContext) {
        if let Some(Kept { span, .. }) = &mut self.kept {
            if span.links.len() < LINKS_MAX {
                span.links.push(other.clone());
            } else {
                span.dropped_links = span.dropped_links.saturating_add(1);
            }
        }
    }

    /// Says how it went.
    pub fn set_status(&mut self, status: Status) {
        if let Some(kept) = &mut self.kept {
            kept.span.status = status;
        }
    }

    /// Ends it.
    pub fn end(self) {
        drop(self);
    }
}

impl Drop for OpenSpan {
    fn drop(&mut self) {
        if let Some(Kept { mut span, spans }) = self.kept.take() {
            span.end = later(span.start, self.begun.elapsed());
            spans.push(span);
        }
    }
}

fn later(start: u64, after: std::time::Duration) -> u64 {
    start.saturating_add(u64::try_from(after.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampler(probability: f64) -> ConsistentSampler {
        ConsistentSampler::new(probability).unwrap()
    }

    #[test]
    fn spans_end_in_the_buffer() {
        let spans = Spans::new(16);
        let mut outer = OpenSpan::begin(&spans, &sampler(1.0), None, "outer", SpanKind::Server);
        let mut inner =
            OpenSpan::begin(&spans, &sampler(1.0), Some(outer.context()), "inner", SpanKind::Internal);
        inner.set("rows", 12_u64);
        (0..200).for_each(|_| inner.event("read", Attributes::default()));
        inner.link(outer.context());
        inner.set_status(Status::Error("lost".to_owned()));
        let of = inner.context().clone();
        inner.end();
        outer.set_status(Status::Ok);
        drop(outer);
        let [inner, outer] = <[Span; 2]>::try_from(spans.drain()).unwrap();
        assert_eq!((inner.parent, inner.context), (Some(outer.context.span), of));
        assert_eq!((inner.events.len(), inner.dropped_events, inner.links.len()), (EVENTS_MAX, 72, 1));
        assert!(inner.start >= outer.start && inner.end >= inner.start && inner.start > 0);
        assert_eq!((outer.kind, outer.status, outer.parent), (SpanKind::Server, Status::Ok, None));
    }

    #[test]
    fn what_is_not_kept_is_not_recorded() {
        let spans = Spans::new(16);
        let rare = sampler(1e-15);
        let mut outer = OpenSpan::begin(&spans, &rare, None, "outer", SpanKind::Internal);
        outer.set("k", true);
        let inner = OpenSpan::begin(&spans, &rare, Some(outer.context()), "inner", SpanKind::Internal);
        assert!(!outer.is_kept() && !inner.is_kept());
        drop((inner, outer));
        assert_eq!((spans.recorded(), spans.dropped()), (0, 0));
    }
}
