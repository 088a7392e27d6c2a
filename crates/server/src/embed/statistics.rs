//! The three faces of the statistics service over the engine in this process.
//!
//! What is asked and set goes the way of a request to the HTTP API, without HTTP: with the same turns, limits, checks and
//! words. What is recorded goes into the registry of the application, which is stored every second.

use std::{
    fmt,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use barograph::{
    record::{MetricRecord, RecordError, RecordKind},
    scope::Attributes,
    statistics::{
        AggregationPolicy, AlertDefinition, ConsumerError, Importance, MetricDefinition, MetricQuery,
        NotificationHandler, PolicyError, QueryResult, RetentionPolicy, SeriesResult, StatisticsConsumer,
        StatisticsLifecycle, StatisticsProvider, SubscriptionHandle,
    },
};
use barograph_alert::Rule;
use barograph_model::{Labels, METRIC_NAME, Sample};
use barograph_query::{Answer, Datum, Steps, Value, When};
use barograph_tsdb::MetricInfo;

use super::{
    Pending,
    service::{Running, Shared},
    subscription,
};
use crate::{
    Engine,
    http::{self, ApiError, Caller, Params, Problem, figures},
    policies::{self, Refused},
    queries::{About, Queries, Question},
};

/// What is said by a service that does not run.
pub(super) const NOT_RUNNING: &str = "the service is not running";

/// [`StatisticsProvider`], [`StatisticsConsumer`] and [`StatisticsLifecycle`] over a service in this process, see
/// [`MetricsService::statistics`](super::MetricsService::statistics). Clones are the same.
///
/// Records are taken whether the service runs or not, and cost what they cost with
/// [`Local`](barograph::statistics::Local): no lock once seen. They are stored at the next second, with the labels `job` and
/// `instance` of the application; timestamps of records are not kept. Alerts are subscribed to as the metric `ALERTS`, of
/// which rules write a sample for each alert that is pending or firing.
#[derive(Clone)]
pub struct Embedded(Arc<Shared>);

impl Embedded {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    fn running(&self) -> Result<Running, ConsumerError> {
        let not_running = || ConsumerError::Unavailable { reason: NOT_RUNNING.to_owned() };
        self.0.running().ok_or_else(not_running)
    }

    /// Asks on the service's runtime, and waits for the answer.
    fn ask<T: Send + 'static, F>(&self, work: impl FnOnce(Arc<Engine>) -> F) -> Result<T, ConsumerError>
    where
        F: Future<Output = Result<T, Problem>> + Send + 'static,
    {
        let Running { engine, runtime, .. } = self.running()?;
        let asked = runtime.spawn(work(engine));
        match Pending::new(asked).wait() {
            Ok(answered) => answered.map_err(refused),
            // It was shut down meanwhile.
            Err(_) => Err(ConsumerError::Unavailable { reason: NOT_RUNNING.to_owned() }),
        }
    }

    fn expression(&self, text: &str, when: Option<When>) -> Result<QueryResult, ConsumerError> {
        let text = text.to_owned();
        self.ask(move |engine| async move {
            let expr = barograph_query::parse(&text).map_err(|e| ApiError::bad_parameter("query", &e))?;
            let expr = Arc::new(expr);
            let when = match when {
                None => When::Instant(engine.clock.now()),
                Some(When::Range(steps)) => When::Range(http::checked(&engine, steps)?),
                Some(instant) => instant,
            };
            engine.note_queried(&expr);
            let options = engine.query_options();
            let about = About::Expression(expr.clone(), when, options);
            let timeout = engine.limits().timeout;
            let question = Question { caller: caller(), expression: text, about, timeout };
            let source = engine.clone();
            let work = move |budget: &_| {
                let (answer, _) = http::evaluated(&source, &expr, when, &options, false, budget)?;
                Ok(result(answer))
            };
            Ok(Queries::run(&engine, question, work).await?)
        })
    }

    /// Sets a policy, and waits until it is durable.
    fn set<T>(&self, set: impl FnOnce(&Engine) -> Result<T, Refused>) -> Result<(), PolicyError> {
        let not_running = || PolicyError::Unavailable { reason: NOT_RUNNING.to_owned() };
        let engine = self.0.running().ok_or_else(not_running)?.engine;
        match set(&engine) {
            Ok(_) => Ok(()),
            Err(refused @ Refused::Store { .. }) => {
                Err(PolicyError::Unavailable { reason: refused.to_string() })
            }
            Err(refused) => Err(PolicyError::Refused { reason: refused.to_string() }),
        }
    }
}

/// As whom an application asks.
pub(super) fn caller() -> Caller {
    Caller::own("application")
}

pub(super) fn refused(problem: Problem) -> ConsumerError {
    let reason = problem.detail().to_owned();
    match problem.may_pass() {
        true => ConsumerError::Unavailable { reason },
        false => ConsumerError::Refused { reason },
    }
}

impl StatisticsProvider for Embedded {
    fn record_number(
        &self,
        kind: RecordKind,
        name: &str,
        value: f64,
        attributes: &Attributes,
    ) -> Result<(), RecordError> {
        self.0.records.record_number(kind, name, value, attributes)
    }

    fn batch_record(&self, records: Vec<MetricRecord>) -> Vec<Result<(), RecordError>> {
        self.0.records.batch_record(records)
    }
}

impl StatisticsConsumer for Embedded {
    fn query(&self, query: &MetricQuery) -> Result<QueryResult, ConsumerError> {
        match query {
            MetricQuery::Document(document) => {
                let document = document.clone();
                let answer =
                    self.ask(|engine| async move { http::of_text(&engine, caller(), &document).await });
                let answer = answer?;
                let series = answer.results.into_iter();
                let series = series.map(|one| SeriesResult {
                    name: one.name,
                    labels: attributes(&one.labels),
                    points: points(&one.points),
                });
                Ok(QueryResult { series: series.collect(), warnings: answer.meta.warnings })
            }
            MetricQuery::Instant { expression, at } => self.expression(expression, at.map(When::Instant)),
            MetricQuery::Range { expression, start, end, step } => {
                let step_ms = i64::try_from(step.as_millis()).unwrap_or(i64::MAX);
                let steps = Steps { start: *start, end: *end, step_ms };
                self.expression(expression, Some(When::Range(steps)))
            }
        }
    }

    fn latest(&self, metric: &str) -> Result<QueryResult, ConsumerError> {
        let metric = metric.to_owned();
        let found = self.ask(|engine| async move {
            figures::newest(&engine, caller(), &metric, &Params::default()).await
        });
        let series = found?.0.into_iter().map(|(series, last)| SeriesResult {
            name: series.name,
            labels: attributes(&series.labels),
            points: points(&[last]),
        });
        Ok(QueryResult { series: series.collect(), warnings: Vec::new() })
    }

    fn available_metrics(&self) -> Result<Vec<MetricDefinition>, ConsumerError> {
        self.ask(|engine| async move {
            let metrics = figures::metrics(&engine).await?;
            Ok(metrics.into_iter().map(|metric| definition(&engine, metric)).collect())
        })
    }

    fn configured_alerts(&self) -> Result<Vec<AlertDefinition>, ConsumerError> {
        let groups = self.running()?.engine.rules.groups();
        let mut alerts = Vec::new();
        for group in groups {
            alerts.extend(group.group().rules.iter().filter_map(alert));
        }
        Ok(alerts)
    }

    fn subscribe(
        &self,
        metric: &str,
        handler: NotificationHandler,
    ) -> Result<SubscriptionHandle, ConsumerError> {
        subscription::start(&self.0, metric, handler)
    }

    fn subscribers(&self) -> usize {
        self.0.subscribers.load(Relaxed)
    }
}

impl StatisticsLifecycle for Embedded {
    fn provider(&self) -> Arc<dyn StatisticsProvider> {
        Arc::new(self.clone())
    }

    /// Waits for the disk.
    fn configure_aggregation(&self, metric: &str, policy: AggregationPolicy) -> Result<(), PolicyError> {
        let AggregationPolicy { windows, functions } = policy;
        self.set(|engine| policies::set_aggregation(engine, metric, windows.as_deref(), functions))
    }

    /// Waits for the disk.
    fn set_retention_policy(&self, metric: &str, policy: RetentionPolicy) -> Result<(), PolicyError> {
        let tiers = [policy.raw, policy.minute, policy.five_minutes, policy.hour];
        let importance = match policy.importance {
            Importance::Low => barograph_tsdb::Importance::Low,
            Importance::Normal => barograph_tsdb::Importance::Normal,
            Importance::High => barograph_tsdb::Importance::High,
        };
        self.set(|engine| policies::set_retention(engine, metric, tiers, importance))
    }
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Embedded({} subscribers)", self.subscribers())
    }
}

/// Labels but for the name.
pub(super) fn attributes(labels: &Labels) -> Attributes {
    labels.iter().filter(|(name, _)| *name != METRIC_NAME).collect()
}

fn points(samples: &[Sample]) -> Vec<(barograph_model::Timestamp, f64)> {
    samples.iter().map(|sample| (sample.at, sample.value)).collect()
}

/// The floats of an answer; native histograms have no one value.
fn result(answer: Answer) -> QueryResult {
    let one = |labels: &Labels, samples: &[Sample]| SeriesResult {
        name: labels.metric_name().unwrap_or_default().to_owned(),
        labels: attributes(labels),
        points: points(samples),
    };
    let series = match answer.value {
        Value::Scalar(sample) => vec![one(&Labels::default(), &[sample])],
        Value::String(..) => vec![SeriesResult::default()],
        Value::Vector(series) => {
            let float = |datum: &Datum| match datum {
                Datum::Float(sample) => vec![*sample],
                Datum::Histogram(..) => Vec::new(),
            };
            series.iter().map(|(labels, datum)| one(labels, &float(datum))).collect()
        }
        Value::Matrix(series) => series.iter().map(|(labels, track)| one(labels, &track.floats)).collect(),
    };
    QueryResult { series, warnings: answer.warnings }
}

fn definition(engine: &Engine, metric: MetricInfo) -> MetricDefinition {
    let (retention, aggregation) = figures::keeping(engine, &metric.name);
    MetricDefinition {
        name: metric.name,
        kind: metric.metadata.kind,
        unit: metric.metadata.unit,
        description: metric.metadata.help,
        attributes: metric.labels,
        components: metric.components,
        retention: Some(retention.to_string()),
        aggregation: Some(aggregation.to_string()),
    }
}

fn alert(rule: &Rule) -> Option<AlertDefinition> {
    let spec = &rule.spec;
    let alerting = spec.alerting()?;
    let annotations = alerting.annotations.iter().map(|(name, text)| (name.as_str(), text.text()));
    Some(AlertDefinition {
        name: spec.name().to_owned(),
        expression: spec.expr.to_string(),
        holds: alerting.hold,
        labels: spec.labels().into_iter().collect(),
        annotations: annotations.collect(),
        state: rule.state().as_str().to_owned(),
    })
}
