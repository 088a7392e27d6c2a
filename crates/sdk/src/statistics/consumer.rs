//! Who asks: queries, the catalog, alerts, subscriptions.

use std::{fmt, time::Duration};

use barograph_model::{MetricType, Timestamp};

use crate::scope::Attributes;

/// Answers about what was recorded. Calls wait for their answer: in asynchronous code they belong on a thread that
/// may block.
#[doc(alias = "IStatisticsConsumer")]
pub trait StatisticsConsumer: Send + Sync {
    /// Answers a query.
    ///
    /// # Errors
    /// [`ConsumerError`]: the query is wrong, too heavy, or could not be asked.
    #[doc(alias = "QueryMetrics")]
    fn query(&self, query: &MetricQuery) -> Result<QueryResult, ConsumerError>;

    /// What is known of each metric.
    ///
    /// # Errors
    /// [`ConsumerError`]: it could not be asked.
    #[doc(alias = "GetAvailableMetrics")]
    fn available_metrics(&self) -> Result<Vec<MetricDefinition>, ConsumerError>;

    /// The alerts that rules define.
    ///
    /// # Errors
    /// [`ConsumerError`]: it could not be asked.
    #[doc(alias = "GetConfiguredAlerts")]
    fn configured_alerts(&self) -> Result<Vec<AlertDefinition>, ConsumerError>;

    /// Calls `handler` on each new value of a metric, each series by itself, on a thread of the implementation, from
    /// now on until the handle is dropped, which is not to be done by the handler itself. A handler that is slow
    /// delays its own next call and no other.
    ///
    /// # Errors
    /// [`ConsumerError`]: there is no such thing to subscribe to, or too many are subscribed.
    #[doc(alias = "SubscribeToMetric")]
    fn subscribe(
        &self,
        metric: &str,
        handler: NotificationHandler,
    ) -> Result<SubscriptionHandle, ConsumerError>;

    /// Ends a subscription; the handler is not called afterwards. Dropping the handle does the same.
    #[doc(alias = "UnsubscribeFromMetric")]
    fn unsubscribe(&self, handle: SubscriptionHandle) {
        drop(handle);
    }

    /// How many subscriptions there are.
    fn subscribers(&self) -> usize;

    /// The values of a metric in a time range, each series by itself.
    ///
    /// # Errors
    /// As [`StatisticsConsumer::query`].
    fn time_range(
        &self,
        metric: &str,
        start: Timestamp,
        end: Timestamp,
    ) -> Result<QueryResult, ConsumerError> {
        self.query(&MetricQuery::time_range(metric, start, end))
    }

    /// The last value of each series of a metric, as of now.
    ///
    /// # Errors
    /// As [`StatisticsConsumer::query`].
    fn latest(&self, metric: &str) -> Result<QueryResult, ConsumerError>;
}

/// A question.
#[derive(Clone, Debug, PartialEq)]
pub enum MetricQuery {
    /// A document of the JSON query language.
    Document(String),
    /// A PromQL expression at a time, or now.
    Instant {
        /// The expression.
        expression: String,
        /// When; `None` for now.
        at: Option<Timestamp>,
    },
    /// A PromQL expression over a range.
    Range {
        /// The expression.
        expression: String,
        /// The first step.
        start: Timestamp,
        /// No step is later.
        end: Timestamp,
        /// From step to step.
        step: Duration,
    },
}

impl MetricQuery {
    /// An expression, now.
    pub fn now(expression: &str) -> Self {
        Self::Instant { expression: expression.to_owned(), at: None }
    }

    /// A metric in a time range, each series by itself.
    pub fn time_range(metric: &str, start: Timestamp, end: Timestamp) -> Self {
        let mut text = String::from("{\"query\":{\"metrics\":[");
        barograph_wire::exposition::json::string(&mut text, metric);
        text.push_str(&format!(
            "],\"filter\":{{\"timeRange\":{{\"start\":{},\"end\":{}}}}},\"groupBy\":[\"*\"]}}}}",
            start.millis(),
            end.millis()
        ));
        Self::Document(text)
    }
}

/// An answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueryResult {
    /// The series.
    pub series: Vec<SeriesResult>,
    /// What the answer left out or assumed.
    pub warnings: Vec<String>,
}

/// One series of an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SeriesResult {
    /// The metric or the calculation; empty where an expression leaves none.
    pub name: String,
    /// Of whom or of what it is.
    pub labels: Attributes,
    /// Times and values, ascending.
    pub points: Vec<(Timestamp, f64)>,
}

/// What is known of a metric.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricDefinition {
    /// The name as stored.
    pub name: String,
    /// What its values mean.
    pub kind: MetricType,
    /// Its base unit, or empty.
    pub unit: String,
    /// One line for people.
    pub description: String,
    /// The names of its attributes.
    pub attributes: Vec<String>,
    /// The components that report it.
    pub components: Vec<String>,
    /// How long it is kept, by tier, where it differs from the usual.
    pub retention: Option<String>,
    /// Which windows are made, where it differs from the usual.
    pub aggregation: Option<String>,
}

/// An alert as its rule defines it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AlertDefinition {
    /// Its name.
    pub name: String,
    /// The condition.
    pub expression: String,
    /// How long the condition holds before it fires.
    pub holds: Duration,
    /// Labels that the rule adds.
    pub labels: Attributes,
    /// Texts for people.
    pub annotations: Attributes,
    /// `inactive`, `pending` or `firing`.
    pub state: String,
}

/// One new value of a series that is subscribed to.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// The metric as it was asked for.
    pub metric: String,
    /// The labels of the series.
    pub labels: Attributes,
    /// When the value was taken.
    pub at: Timestamp,
    /// The value.
    pub value: f64,
}

/// Called on each new value.
pub type NotificationHandler = Box<dyn FnMut(&Update) + Send>;

/// A subscription, which ends when this is dropped.
#[must_use = "the subscription ends when the handle is dropped"]
pub struct SubscriptionHandle(Option<Box<dyn FnOnce() + Send>>);

impl SubscriptionHandle {
    /// A handle that calls `end` once: when that returns, no call of the handler is made any more.
    pub fn new(end: impl FnOnce() + Send + 'static) -> Self {
        Self(Some(Box::new(end)))
    }
}

impl Drop for SubscriptionHandle {
    fn drop(&mut self) {
        if let Some(end) = self.0.take() {
            end();
        }
    }
}

impl fmt::Debug for SubscriptionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SubscriptionHandle")
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConsumerError {
    /// The question is wrong, or too heavy. Asking again will not help.
    #[error("{reason}")]
    Refused {
        /// What is wrong with it.
        reason: String,
    },
    /// It could not be asked, or not now. Try again.
    #[error("cannot ask: {reason}")]
    Unavailable {
        /// What went wrong.
        reason: String,
    },
    /// As many subscriptions as there can be.
    #[error("there are {max} subscriptions already")]
    TooManySubscriptions {
        /// How many there can be.
        max: usize,
    },
}
