//! Groups and rules being evaluated.
//!
//! A [`Group`] is what a file says with what happened so far. What a rule answers is asked without any state
//! ([`ask`](RuleSpec::ask)), and taken into it afterwards ([`take`](Rule::take)).

mod alerts;
mod ask;
mod group;
mod restore;
mod seen;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use barograph_analyze::Point;
use barograph_model::{Labels, METRIC_NAME, Sample, Timestamp};
use barograph_query::Datum;

use crate::{
    file::{AlertSpec, RuleKind, RuleSpec},
    kinds::{Kind, Missing, WATCHED_MAX, Watchers},
};
use seen::{Judged, Seen};

pub use alerts::{Alert, State};
pub use ask::{Answered, Reader, Surroundings};
pub use group::{Defaults, Group};
pub use restore::{BELIEVED, Kept, Restoring};
use restore::{Left, Mark};

/// When a rule is evaluated, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// When its group is evaluated.
    pub at: Timestamp,
    /// How many milliseconds before that its expression is asked, which is the time of its samples, too.
    pub offset_ms: i64,
    /// Series or alerts it may have at most; 0 is no limit.
    pub limit: usize,
    /// Time from one evaluation to the next, in milliseconds.
    pub interval_ms: i64,
    /// Whether nothing was evaluated before, so that rules which learn look back.
    pub first: bool,
}

impl Moment {
    /// The time at which the expression is asked.
    pub fn asked(&self) -> Timestamp {
        self.at.saturating_add(-self.offset_ms)
    }
}

/// What an evaluation comes to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// What is to be stored.
    pub samples: Vec<(Labels, Datum)>,
    /// Series that the rule gave before and no more: each gets a staleness marker.
    pub ended: Vec<Labels>,
}

/// Why an evaluation failed. States and series stay as they were.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// The expression has no answer, or none that a rule can use.
    #[error("{0}")]
    Query(String),
    /// Series differ by labels only that the rule sets.
    #[error("vector contains metrics with the same labelset after applying {0} labels")]
    SameLabels(&'static str),
    /// There are more than the group allows.
    #[error("exceeded limit of {limit} with {found} {what}")]
    Limit {
        /// What the group allows.
        limit: usize,
        /// How many there were.
        found: usize,
        /// Of what.
        what: &'static str,
    },
}

/// How a rule fares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// It was not evaluated yet.
    #[default]
    Unknown,
    /// The last evaluation went well.
    Good,
    /// The last evaluation failed.
    Bad,
}

impl Health {
    /// As the API of Prometheus calls it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Good => "ok",
            Self::Bad => "err",
        }
    }
}

/// What is known of the last evaluation of a rule.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// How it ended.
    pub health: Health,
    /// Why it failed; empty if it did not.
    pub error: String,
    /// What its time was.
    pub at: Option<Timestamp>,
    /// How long it took.
    pub took: Duration,
}

/// A rule with what became of it so far.
#[derive(Clone, Debug)]
pub struct Rule {
    /// What it says.
    pub spec: Arc<RuleSpec>,
    /// How its last evaluation went; noted by whoever drives it.
    pub status: Status,
    /// Its alerts, by labels.
    alerts: BTreeMap<Labels, Alert>,
    /// What it measured, where it matters that something is missing.
    seen: Seen,
    /// What it learned of its series, where it looks for anomalies.
    watchers: Watchers,
    /// What it gave at its last evaluation that went well.
    given: Vec<Labels>,
    /// What is kept of its alerts.
    marks: BTreeMap<Labels, Mark>,
    /// Those that were active before a restart and were not seen since.
    left: Option<Left>,
    /// Whether it asks something else than before and was not evaluated since: what it does not find now is not missing.
    renewed: bool,
}

/// Alerts of one rule that are pending or firing at most, whatever its group allows.
pub const ACTIVE_MAX: usize = 10_000;

impl Rule {
    /// A rule of which nothing is known yet.
    pub fn new(spec: Arc<RuleSpec>) -> Self {
        Self {
            spec,
            status: Status::default(),
            alerts: BTreeMap::new(),
            seen: Seen::default(),
            watchers: Watchers::default(),
            given: Vec::new(),
            marks: BTreeMap::new(),
            left: None,
            renewed: false,
        }
    }

    /// Goes on where an earlier version of it ended, of the same name and labels. `same_times` is whether both are evaluated at the same
    /// interval.
    fn adopt(&mut self, before: Self, same_times: bool) {
        let spec = std::mem::replace(&mut self.spec, before.spec.clone());
        let watches = |spec: &RuleSpec| spec.alerting().map(|alert| alert.watches.clone());
        let same_question = spec.expr.to_string() == before.spec.expr.to_string();
        let learns_alike = same_question && same_times && watches(&spec) == watches(&before.spec);
        *self = Self { spec, ..before };
        if !same_question {
            (self.seen, self.renewed) = (Seen::default(), true);
        }
        if !learns_alike {
            self.watchers = Watchers::default();
        }
    }

    /// Whether it learns, and has learned nothing yet.
    pub fn wants_history(&self) -> bool {
        self.watchers.is_empty()
    }

    /// The alerts that fire, and those that were over lately, by labels.
    pub fn told(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.values().filter(|alert| alert.fired_at.is_some())
    }

    /// The alerts that are pending or firing, by labels.
    pub fn active(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.values().filter(|alert| alert.state != State::Inactive)
    }

    /// All alerts, those among them that were over a short while ago, by labels.
    pub fn alerts(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.values()
    }

    /// The worst state of its alerts.
    pub fn state(&self) -> State {
        self.active().map(|alert| alert.state).max().unwrap_or(State::Inactive)
    }

    /// Takes what was answered at a moment, and says what is to be stored.
    ///
    /// # Errors
    /// Two series or alerts have the same labels, or there are too many; nothing is to be stored then.
    pub fn take(&mut self, answered: Answered, moment: Moment) -> Result<Outcome, RuleError> {
        let spec = self.spec.clone();
        let samples = match (&spec.kind, answered) {
            (RuleKind::Recording { name, labels }, Answered::Series(series)) => {
                record(name, labels, series, moment)?
            }
            (RuleKind::Alerting(alert), Answered::Alerts(found)) => {
                self.alert(alert, found, Judged::default(), moment)?
            }
            (RuleKind::Alerting(alert), Answered::Measured(measured)) => {
                let missing = if self.renewed { Missing::Resolve } else { alert.missing };
                let (found, judged) = self.seen.judge(measured, missing, &self.alerts, moment)?;
                self.alert(alert, found, judged, moment)?
            }
            (RuleKind::Alerting(alert), Answered::Seen(seen)) => {
                let found = self.unlike(alert, seen, moment)?;
                self.alert(alert, found, Judged::default(), moment)?
            }
            _ => unreachable!("a rule answers what it is"),
        };
        self.renewed = false;
        let mut given: Vec<Labels> = samples.iter().map(|sample| sample.0.clone()).collect();
        given.sort_unstable();
        let before = std::mem::replace(&mut self.given, given);
        let ended = before.into_iter().filter(|labels| self.given.binary_search(labels).is_err()).collect();
        Ok(Outcome { samples, ended })
    }

    /// Those whose value is unlike what came before: where something begins, and where an alert goes on.
    fn unlike(
        &mut self,
        spec: &AlertSpec,
        seen: Vec<(Alert, Vec<Point>)>,
        moment: Moment,
    ) -> Result<Vec<Alert>, RuleError> {
        let Kind::Anomaly(anomaly) = &spec.watches else { return Ok(Vec::new()) };
        let mut alerts: BTreeMap<Labels, Alert> = BTreeMap::new();
        let mut values = Vec::new();
        for (alert, past) in seen {
            values.push((alert.labels.clone(), (past, alert.value)));
            alerts.insert(alert.labels.clone(), alert);
        }
        let unlike =
            self.watchers.look(anomaly, values.into_iter(), moment.asked(), moment.interval_ms).map_err(
                |found| RuleError::Limit { limit: WATCHED_MAX, found, what: "series that are watched" },
            )?;
        let goes_on =
            |labels: &Labels| self.alerts.get(labels).is_some_and(|alert| alert.state != State::Inactive);
        let wanted = unlike.into_iter().filter(|unlike| unlike.begins || goes_on(&unlike.labels));
        Ok(wanted
            .filter_map(|unlike| {
                let alert = alerts.remove(&unlike.labels)?;
                Some(Alert { evidence: Some(unlike.evidence), ..alert })
            })
            .collect())
    }

    fn alert(
        &mut self,
        spec: &AlertSpec,
        found: Vec<Alert>,
        Judged { mut kept, well }: Judged,
        moment: Moment,
    ) -> Result<Vec<(Labels, Datum)>, RuleError> {
        alerts::check_unique(found.iter())?;
        let limit = if moment.limit > 0 { moment.limit.min(ACTIVE_MAX) } else { ACTIVE_MAX };
        // What fails leaves everything as it was.
        let before =
            (found.len() + self.alerts.len() > limit).then(|| (self.alerts.clone(), self.left.clone()));
        if let Some(left) = &mut self.left {
            let held: BTreeSet<&Labels> = found.iter().map(|alert| &alert.labels).collect();
            let there = |labels: &Labels| held.contains(labels) || kept.contains(labels);
            let waiting = left.meet(&mut self.alerts, spec, there, &well, moment);
            kept.extend(waiting);
            if left.is_empty() {
                self.left = None;
            }
        }
        let active = alerts::step(&mut self.alerts, spec, found, &kept, moment.at);
        if active > limit {
            if let Some((alerts, left)) = before {
                (self.alerts, self.left) = (alerts, left);
            }
            return Err(RuleError::Limit { limit, found: active, what: "alerts" });
        }
        let at = moment.asked();
        let mut samples = Vec::new();
        for alert in self.active() {
            samples.push((alert.state_series(), sample(at, 1.0)));
            // Whole seconds, as upstream has it.
            let since = alert.active_at.millis().div_euclid(1000);
            #[expect(clippy::cast_precision_loss, reason = "seconds since the epoch fit a float")]
            samples.push((alert.for_series(), sample(at, since as f64)));
        }
        Ok(samples)
    }
}

fn sample(at: Timestamp, value: f64) -> Datum {
    Datum::Float(Sample { at, value })
}

fn record(
    name: &str,
    labels: &BTreeMap<String, String>,
    series: Vec<(Labels, Datum)>,
    moment: Moment,
) -> Result<Vec<(Labels, Datum)>, RuleError> {
    let labelled = |(found, datum): (Labels, Datum)| {
        let mut builder = barograph_model::LabelsBuilder::from(&found);
        builder.set(METRIC_NAME, name);
        for (name, value) in labels {
            builder.set(name, value);
        }
        (builder.build(), datum)
    };
    let mut samples: Vec<_> = series.into_iter().map(labelled).collect();
    samples.sort_by(|a, b| a.0.cmp(&b.0));
    if samples.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return Err(RuleError::SameLabels("rule"));
    }
    if moment.limit > 0 && samples.len() > moment.limit {
        return Err(RuleError::Limit { limit: moment.limit, found: samples.len(), what: "series" });
    }
    Ok(samples)
}

#[cfg(test)]
mod tests;
