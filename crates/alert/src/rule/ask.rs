//! The first half of an evaluation: what a rule asks, and the texts of the alerts that come of it.

use std::collections::BTreeMap;

use barograph_analyze::Point;
use barograph_model::{Budget, Labels, METRIC_NAME, Sample, Source, Timestamp};
use barograph_query::{
    Datum, Error, Options, Steps, Track, Value, ast::Expr, evaluate_instant, evaluate_range,
};

use super::{Alert, Moment, RuleError, State, alerts};
use crate::{
    file::{AlertSpec, RuleKind, RuleSpec},
    kinds::{Kind, Span, Standing, Threshold, Version, version::GROUPS_MAX},
    template::{self, Subject, Template},
};

/// The label that bears the name of an alert.
pub(super) const ALERT_NAME: &str = "alertname";

/// What rules are asked of.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    /// Where series are read.
    pub source: &'a dyn Source,
    /// How queries are evaluated.
    pub options: &'a Options,
    /// What one evaluation of a rule may cost, queries of its templates included.
    pub budget: &'a Budget,
}

/// What templates know of the server.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Labels of this server.
    pub external_labels: Labels,
    /// What it is called from outside.
    pub external_url: String,
}

/// What a rule was answered.
#[derive(Clone, Debug)]
pub enum Answered {
    /// To a recording rule.
    Series(Vec<(Labels, Datum)>),
    /// To an alerting rule: alerts as they are if they are new.
    Alerts(Vec<Alert>),
    /// To one that asks all that it measures: an alert for each series, and where its value stands.
    Measured(Vec<(Alert, Standing)>),
    /// To one that looks for anomalies: an alert for each series with its value, and with what came before at the first
    /// evaluation.
    Seen(Vec<(Alert, Vec<Point>)>),
}

impl Reader<'_> {
    /// The floats that answer a range query, by series.
    fn ranges(&self, expr: &Expr, span: Span) -> Result<Vec<(Labels, Vec<Point>)>, RuleError> {
        let steps = Steps { start: span.from, end: span.to, step_ms: span.step_ms };
        let answer = evaluate_range(self.source, expr, steps, self.options, self.budget);
        let Value::Matrix(series) = answer.map_err(|error| RuleError::Query(told(&error)))?.value else {
            return Err(RuleError::Query("rule result is not a vector or scalar".to_owned()));
        };
        let points = |track: Track| {
            track.floats.iter().map(|sample| Point { at: sample.at.millis(), value: sample.value }).collect()
        };
        Ok(series.into_iter().map(|(labels, track)| (labels, points(track))).collect())
    }

    /// The answer to an instant query, as a vector.
    fn vector(&self, expr: &Expr, at: Timestamp) -> Result<Vec<(Labels, Datum)>, RuleError> {
        let answer = evaluate_instant(self.source, expr, at, self.options, self.budget);
        match answer.map_err(|error| RuleError::Query(told(&error)))?.value {
            Value::Vector(vector) => Ok(vector),
            Value::Scalar(sample) => Ok(vec![(Labels::empty(), Datum::Float(sample))]),
            _ => Err(RuleError::Query("rule result is not a vector or scalar".to_owned())),
        }
    }
}

/// An error with its cause.
fn told(error: &Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

impl RuleSpec {
    /// Asks the expression of the rule, and fills in the texts of its alerts.
    ///
    /// # Errors
    /// The expression has no answer that a rule can use, or two alerts have the same labels.
    pub fn ask(
        &self,
        moment: Moment,
        reader: Reader<'_>,
        surroundings: &Surroundings,
    ) -> Result<Answered, RuleError> {
        if let (Some(threshold), Some(spec)) = (self.measured(), self.alerting()) {
            let vector = reader.vector(&threshold.measured, moment.asked())?;
            return stand(spec, threshold, &vector, moment, reader, surroundings);
        }
        if let Some(answered) = self.ask_by_kind(moment, reader, surroundings)? {
            return Ok(answered);
        }
        let vector = reader.vector(&self.expr, moment.asked())?;
        match &self.kind {
            RuleKind::Recording { .. } => Ok(Answered::Series(vector)),
            RuleKind::Alerting(spec) => {
                let found = vector.iter().map(|found| alert(spec, found, moment, reader, surroundings));
                let found: Vec<Alert> = found.collect();
                alerts::check_unique(found.iter())?;
                Ok(Answered::Alerts(found))
            }
        }
    }
}

impl RuleSpec {
    /// As [`RuleSpec::ask`], with all that was measured if something is held against a number: it is asked once for both.
    pub(crate) fn ask_measured(
        &self,
        moment: Moment,
        reader: Reader<'_>,
        surroundings: &Surroundings,
    ) -> Result<(Answered, Vec<(Labels, f64)>), RuleError> {
        let held = self.alerting().and_then(|spec| Some((spec, spec.threshold.as_ref()?)));
        let Some((spec, threshold)) = held else {
            return Ok((self.ask(moment, reader, surroundings)?, Vec::new()));
        };
        let vector = reader.vector(&threshold.measured, moment.asked())?;
        let values = vector.iter().filter_map(|(labels, datum)| Some((labels.clone(), datum.float()?)));
        let values = values.collect();
        if self.measured().is_some() {
            return Ok((stand(spec, threshold, &vector, moment, reader, surroundings)?, values));
        }
        let holds =
            |datum: &Datum| datum.float().is_some_and(|value| threshold.would_hold(value, threshold.fire));
        let found = vector.iter().filter(|(_, datum)| holds(datum));
        let found: Vec<Alert> = found.map(|found| alert(spec, found, moment, reader, surroundings)).collect();
        alerts::check_unique(found.iter())?;
        Ok((Answered::Alerts(found), values))
    }

    /// Asks what rules of some kinds ask in place of their expression.
    fn ask_by_kind(
        &self,
        moment: Moment,
        reader: Reader<'_>,
        surroundings: &Surroundings,
    ) -> Result<Option<Answered>, RuleError> {
        let Some(spec) = self.alerting() else { return Ok(None) };
        let at = moment.asked();
        let ranges = |expr: &Expr, span: Span| reader.ranges(expr, span);
        let found = match &spec.watches {
            Kind::Threshold | Kind::Health | Kind::Version(None) => return Ok(None),
            Kind::Trend(trend) => trend.find(&self.expr, at, &ranges)?,
            Kind::Correlation(correlation) => correlation.find(&self.expr, at, &ranges)?,
            Kind::Version(Some(version)) => match &**version {
                Version::Compared(compared) => {
                    let found = compared.find(&self.expr, at, moment.interval_ms, &ranges)?;
                    let (limit, what) = (GROUPS_MAX, "groups whose versions are compared");
                    found.map_err(|found| RuleError::Limit { limit, found, what })?
                }
                Version::Outdated(outdated) => {
                    let vector = reader.vector(&self.expr, at)?;
                    vector
                        .into_iter()
                        .filter_map(|(labels, datum)| outdated.finding(labels, &datum))
                        .collect()
                }
            },
            Kind::Anomaly(anomaly) => {
                let vector = reader.vector(&self.expr, at)?;
                let mut past: BTreeMap<Labels, Vec<Point>> = BTreeMap::new();
                if moment.first {
                    past.extend(reader.ranges(&self.expr, anomaly.history(at, moment.interval_ms))?);
                }
                let seen = vector.iter().map(|found| {
                    let alert = alert(spec, found, moment, reader, surroundings);
                    (alert, past.remove(&found.0).unwrap_or_default())
                });
                let seen: Vec<_> = seen.collect();
                alerts::check_unique(seen.iter().map(|(alert, _)| alert))?;
                return Ok(Some(Answered::Seen(seen)));
            }
        };
        let found = found.into_iter().map(|finding| {
            let datum = Datum::Float(Sample { at, value: finding.value });
            let new = alert(spec, &(finding.labels, datum), moment, reader, surroundings);
            let mut annotations = new.annotations;
            if let Some((name, text)) = finding.annotation {
                annotations.entry(name.to_owned()).or_insert(text);
            }
            Alert { threshold: finding.threshold, evidence: Some(finding.evidence), annotations, ..new }
        });
        let found: Vec<Alert> = found.collect();
        alerts::check_unique(found.iter())?;
        Ok(Some(Answered::Alerts(found)))
    }
}

/// Where each series stands that was measured.
fn stand(
    spec: &AlertSpec,
    threshold: &Threshold,
    vector: &[(Labels, Datum)],
    moment: Moment,
    reader: Reader<'_>,
    surroundings: &Surroundings,
) -> Result<Answered, RuleError> {
    let measured = vector.iter().filter_map(|found| {
        let standing = threshold.standing(found.1.float()?);
        Some((alert(spec, found, moment, reader, surroundings), standing))
    });
    let measured: Vec<(Alert, Standing)> = measured.collect();
    alerts::check_unique(measured.iter().map(|(alert, _)| alert))?;
    Ok(Answered::Measured(measured))
}

/// The alert of one series that was found.
fn alert(
    spec: &AlertSpec,
    (found, datum): &(Labels, Datum),
    moment: Moment,
    reader: Reader<'_>,
    surroundings: &Surroundings,
) -> Alert {
    let query = |text: &str| {
        let expr = barograph_query::parse(text).map_err(|error| error.to_string())?;
        reader.vector(&expr, moment.at).map_err(|error| error.to_string())
    };
    let subject = Subject { labels: found, external_labels: &surroundings.external_labels, value: datum };
    let around =
        template::Surroundings { now: moment.at, external_url: &surroundings.external_url, query: &query };
    let expand = |text: &Template| {
        // An alert with a text that says what is wrong is worth more than none.
        text.expand(&subject, &around).unwrap_or_else(|error| format!("<error expanding template: {error}>"))
    };
    let mut labels = barograph_model::LabelsBuilder::from(found);
    labels.set(METRIC_NAME, "");
    for (name, text) in &spec.labels {
        labels.set(name, &expand(text));
    }
    labels.set(ALERT_NAME, &spec.name);
    Alert {
        labels: labels.build(),
        annotations: spec.annotations.iter().map(|(name, text)| (name.clone(), expand(text))).collect(),
        state: State::Pending,
        value: datum.float().unwrap_or(0.0),
        active_at: moment.at,
        fired_at: None,
        keep_firing_since: None,
        resolved_at: None,
        threshold: spec.threshold.as_ref().map(|threshold| threshold.fire),
        evidence: None,
    }
}
