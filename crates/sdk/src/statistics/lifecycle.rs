//! Who frames: scopes, timers, and what is kept of a metric.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use super::StatisticsProvider;
use crate::{
    clock,
    record::RecordKind,
    scope::{self, Attributes, Context, Ended, Outcome, Results},
};

/// Scopes and timers around what is recorded, and what is kept of it.
#[doc(alias = "IStatisticsLifecycle")]
pub trait StatisticsLifecycle: Send + Sync {
    /// Where timers and ended scopes are recorded.
    fn provider(&self) -> Arc<dyn StatisticsProvider>;

    /// Opens a scope inside the open one; its attributes come with all that is recorded inside. It is open on this
    /// thread, or inside a future [in a scope](scope::InScope) in that future; what is given back takes it elsewhere.
    #[doc(alias = "BeginScope")]
    fn begin_scope(&self, name: &str, attributes: Attributes) -> Context {
        scope::begin(name, attributes)
    }

    /// Ends the innermost scope. Its duration is recorded as the timer `scope.duration`, each result that is a
    /// number in the histogram `scope.result`, both with the attributes of the scope. Where no scope is open, that is
    /// counted (`scope_unbalanced_total`) and nothing else happens.
    #[doc(alias = "EndScope")]
    fn end_scope(&self, results: Results) {
        if let Some(ended) = scope::close(&Context::current(), results) {
            record_scope(&*self.provider(), &ended);
        }
    }

    /// Starts a timer that records the milliseconds until it is stopped or dropped, once.
    #[doc(alias = "StartTimer")]
    fn start_timer(&self, name: &str, attributes: Attributes) -> AutomaticTimer {
        AutomaticTimer::new(self.provider(), name, attributes)
    }

    /// Says which windows of a metric are made, and what they are to answer.
    ///
    /// # Errors
    /// [`PolicyError`]: there is no store here, or it refused.
    #[doc(alias = "ConfigureAggregation")]
    fn configure_aggregation(&self, metric: &str, policy: AggregationPolicy) -> Result<(), PolicyError>;

    /// Says how long a metric is kept.
    ///
    /// # Errors
    /// [`PolicyError`]: there is no store here, or it refused.
    #[doc(alias = "SetRetentionPolicy")]
    fn set_retention_policy(&self, metric: &str, policy: RetentionPolicy) -> Result<(), PolicyError>;
}

/// Records what a scope came to. Failures are counted by the provider.
fn record_scope(provider: &dyn StatisticsProvider, ended: &Ended) {
    let attributes = ended.attributes.clone().with("scope", &ended.name);
    let milliseconds = ended.duration.as_secs_f64() * 1e3;
    let _ = provider.record_timer("scope.duration", milliseconds, &attributes);
    for (name, result) in &ended.results {
        if let Outcome::Number(number) = result {
            let attributes = attributes.clone().with("result", name);
            let _ = provider.record_histogram("scope.result", *number, &attributes);
        }
    }
    ended.tell();
}

/// Times until it is stopped or dropped, whichever way that comes about, and records it once.
#[must_use = "the time is recorded when the timer is dropped"]
pub struct AutomaticTimer {
    provider: Arc<dyn StatisticsProvider>,
    name: String,
    /// With those of the scopes that were open when it started.
    attributes: Attributes,
    started: Instant,
    running: bool,
}

impl AutomaticTimer {
    /// A timer that starts now. Costs an allocation or two.
    pub fn new(provider: Arc<dyn StatisticsProvider>, name: &str, attributes: Attributes) -> Self {
        let attributes = scope::current().under(&attributes);
        Self { provider, name: name.to_owned(), attributes, started: clock::monotonic(), running: true }
    }

    /// Stops, records, and tells the time it took.
    pub fn stop(mut self) -> Duration {
        self.finish()
    }

    /// Records nothing.
    pub fn discard(mut self) {
        self.running = false;
    }

    fn finish(&mut self) -> Duration {
        let took = self.started.elapsed();
        if std::mem::take(&mut self.running) {
            let milliseconds = took.as_secs_f64() * 1e3;
            let _ =
                self.provider.record_number(RecordKind::Timer, &self.name, milliseconds, &self.attributes);
        }
        took
    }
}

impl Drop for AutomaticTimer {
    fn drop(&mut self) {
        self.finish();
    }
}

impl fmt::Debug for AutomaticTimer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AutomaticTimer({}, {:?})", self.name, self.attributes)
    }
}

/// Which windows of a metric are made, and what they are to answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AggregationPolicy {
    /// Some of `1m`, `5m`, `1h`; `None` for all.
    pub windows: Option<Vec<String>>,
    /// Functions by name (`avg`, `max`, `p95`, …); `None` for all.
    pub functions: Option<Vec<String>>,
}

/// How long each tier keeps a metric. `None` is as usual, [`Duration::ZERO`] for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetentionPolicy {
    /// Samples as they came.
    pub raw: Option<Duration>,
    /// Windows of a minute.
    pub minute: Option<Duration>,
    /// Windows of five minutes.
    pub five_minutes: Option<Duration>,
    /// Windows of an hour.
    pub hour: Option<Duration>,
    /// What goes first when space is short.
    pub importance: Importance,
}

/// How much a metric matters when space is short.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Importance {
    /// It goes first.
    Low,
    /// As others.
    #[default]
    Normal,
    /// It goes last.
    High,
}

impl Importance {
    /// Its name in documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
        }
    }
}

/// Why a policy was not set.
#[derive(Debug)]
#[non_exhaustive]
pub enum PolicyError {
    /// A registry keeps no history of which something could be kept.
    NoStore,
    /// The store said no: the policy is wrong, or there are too many.
    Refused {
        /// Why, in the words of the store.
        reason: String,
    },
    /// The store could not be asked; try again.
    Unavailable {
        /// What went wrong.
        reason: String,
    },
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoStore => f.write_str("there is no store here; policies belong to a server"),
            Self::Refused { reason } => write!(f, "the policy was refused: {reason}"),
            Self::Unavailable { reason } => write!(f, "the policy could not be set: {reason}"),
        }
    }
}

impl std::error::Error for PolicyError {}
