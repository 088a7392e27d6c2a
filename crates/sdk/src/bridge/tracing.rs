//! A layer for the crate `tracing`: its spans become ours.
//!
//! A span lies in the span of `tracing` it was opened in, else in the flow that is open here, else it begins a trace.
//! Fields are attributes; events are events of the span, and counted by level in `tracing_events_total{level}`. A span
//! in which an event of level `ERROR` came has failed. With [`SpanLayer::durations`] the time from opening to closing
//! is in `tracing_span_duration_seconds{span}`, of all spans, also where traces are not kept.
//!
//! ```
//! use barograph::{Registry, bridge::SpanLayer, span::Spans};
//! use tracing_subscriber::layer::SubscriberExt;
//!
//! let (registry, spans) = (Registry::new(), Spans::default());
//! let subscriber = tracing_subscriber::registry().with(SpanLayer::new(&registry, &spans)?.durations()?);
//! tracing::subscriber::with_default(subscriber, || tracing::info_span!("answer", rows = 3).in_scope(|| {}));
//! assert_eq!(spans.drain()[0].name, "answer");
//! # Ok::<(), barograph::Error>(())
//! ```

use std::{error::Error as StdError, fmt};

use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
    span::{Attributes as Opened, Id, Record},
};
use tracing_subscriber::{
    layer::{Context, Layer},
    registry::LookupSpan,
};

use crate::{
    Counter, Error, Family, Histogram, Registry, Unit,
    flow::FlowContext,
    sampling::ConsistentSampler,
    span::{Attributes, OpenSpan, SpanContext, SpanKind, Spans, Status, Value},
};

const LEVELS: [Level; 5] = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE];

/// Turns spans and events of `tracing` into ours.
#[derive(Clone, Debug)]
pub struct SpanLayer {
    registry: Registry,
    spans: Spans,
    sampler: ConsistentSampler,
    /// How many events came of each of the levels.
    events: [Counter; 5],
    durations: Option<Family<Histogram, 1>>,
}

impl SpanLayer {
    /// A layer that counts events in `registry` and puts spans into `spans`.
    ///
    /// # Errors
    /// `tracing_events_total` is another metric.
    pub fn new(registry: &Registry, spans: &Spans) -> Result<Self, Error> {
        let levels: Family<Counter, 1> =
            registry.counter("tracing.events").help("Events of tracing, by level.").family(["level"])?;
        let events = LEVELS.map(|level| levels.with([&level.as_str().to_ascii_lowercase()]));
        let (registry, spans) = (registry.clone(), spans.clone());
        Ok(Self { registry, spans, sampler: ConsistentSampler::ALL, events, durations: None })
    }

    /// The same with durations of spans as a histogram by name.
    ///
    /// # Errors
    /// `tracing_span_duration_seconds` is another metric.
    pub fn durations(mut self) -> Result<Self, Error> {
        let histogram = self.registry.histogram("tracing.span.duration").unit(Unit::Seconds);
        self.durations =
            Some(histogram.help("From opening to closing of spans of tracing.").family(["span"])?);
        Ok(self)
    }

    /// The same with the spans of some traces only.
    #[must_use]
    pub fn sampled(mut self, sampler: ConsistentSampler) -> Self {
        self.sampler = sampler;
        self
    }

    fn parent<S: Subscriber + for<'s> LookupSpan<'s>>(
        id: &Id,
        context: &Context<'_, S>,
    ) -> Option<SpanContext> {
        let parent = context.span(id)?.parent()?;
        let open = parent.extensions();
        Some(open.get::<OpenSpan>()?.context().clone())
    }
}

impl<S: Subscriber + for<'s> LookupSpan<'s>> Layer<S> for SpanLayer {
    fn on_new_span(&self, opened: &Opened<'_>, id: &Id, context: Context<'_, S>) {
        let flow = || FlowContext::current()?.span().cloned();
        let parent = Self::parent(id, &context).or_else(flow).filter(|_| !opened.is_root());
        let name = opened.metadata().name();
        let mut open = OpenSpan::begin(&self.spans, &self.sampler, parent.as_ref(), name, SpanKind::Internal);
        if open.is_kept() {
            open.set("code.namespace", opened.metadata().target());
            opened.record(&mut Fields(|name: &str, value| open.set(name, value)));
        }
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(open);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(open) = span.extensions_mut().get_mut::<OpenSpan>()
        {
            values.record(&mut Fields(|name: &str, value| open.set(name, value)));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let level = event.metadata().level();
        if let Some(i) = LEVELS.iter().position(|known| known == level) {
            self.events[i].inc();
        }
        let Some(span) = context.event_span(event) else { return };
        let mut extensions = span.extensions_mut();
        let Some(open) = extensions.get_mut::<OpenSpan>().filter(|open| open.is_kept()) else { return };
        let (mut attributes, mut message) = (Attributes::default(), None);
        event.record(&mut Fields(|name: &str, value: Value| match name {
            "message" => message = Some(value.to_string()),
            _ => attributes.set(name, value),
        }));
        attributes.set("level", level.as_str());
        let message = message.unwrap_or_else(|| event.metadata().name().to_owned());
        open.event(&message, attributes);
        if *level == Level::ERROR {
            open.set_status(Status::Error(message));
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        if let Some(span) = context.span(&id)
            && let Some(open) = span.extensions_mut().remove::<OpenSpan>()
        {
            if let Some(durations) = &self.durations {
                durations.with([span.name()]).record_duration(open.begun().elapsed());
            }
            open.end();
        }
    }
}

/// Hands fields on as values.
struct Fields<F>(F);

impl<F: FnMut(&str, Value)> Visit for Fields<F> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0(field.name(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0(field.name(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0(field.name(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0(field.name(), value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0(field.name(), value.into());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn StdError + 'static)) {
        self.0(field.name(), value.to_string().into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0(field.name(), format!("{value:?}").into());
    }
}
