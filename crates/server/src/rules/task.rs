//! One group, evaluated again and again.
//!
//! A group is due whenever its interval begins anew, at an offset that its hash gives, and its samples bear exactly that time.
//! What it asks goes the way of every query, with its limits. Turns that were missed are left out and counted. What became of its
//! alerts is kept before it is told, and told even if it cannot be kept.

use std::{collections::BTreeMap, ops::Range, sync::Arc, time::Duration};

use barograph_alert::{
    Answered, Health, Kept, Moment, Outcome, Reader, Restoring, Rule, Status, Surroundings,
    raised::{self, Raised},
    routing,
    template::expression_link,
};
use barograph_model::{Histogram, Labels, Sample, Timestamp, stale_marker};
use barograph_query::{Datum, Error, When};
use barograph_tsdb::{Appended, HistogramRow, Row};
use tokio::sync::{Semaphore, watch};

use super::{
    Running,
    board::Last,
    failing::{self, Evaluated},
    kept,
};
use crate::{
    Engine,
    clock::Jumps,
    current,
    errors::chain,
    http::{ApiError, Caller},
    memory::Step,
    queries::{About, Queries, Question},
    scrape::first_wait,
    telemetry::Origin,
    tenants::scope,
};

/// What all groups share.
#[derive(Debug)]
pub(super) struct Around {
    /// What templates know of the server.
    pub(super) surroundings: Surroundings,
    /// One permit a group that asks.
    pub(super) turns: Semaphore,
}

/// What became of alerts is told at the end of an evaluation, and on the way whenever this has passed.
const TELL: Duration = Duration::from_secs(1);

/// Evaluates a group until told to stop.
pub(super) async fn run(
    engine: Arc<Engine>,
    running: Arc<Running>,
    around: Arc<Around>,
    mut stopping: watch::Receiver<bool>,
) {
    let work = Work { engine, running, around };
    let clock = work.engine.clock.clone();
    let hash = work.running.hash();
    let interval_ms = i64::try_from(work.running.interval.as_millis()).unwrap_or(i64::MAX);
    let mut last: Option<Timestamp> = None;
    let tenant = work.running.group().spec.tenant.clone();
    scope::within(work.engine.tenants.of_task(tenant.as_deref()), work.restore()).await;
    let mut jumps = Jumps::since_now(&*clock);
    loop {
        let now = clock.now();
        let mut wait = first_wait(now, work.running.interval, hash);
        if last == Some(now) && wait == Duration::ZERO {
            wait = work.running.interval;
        }
        let at = now.saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX));
        tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(wait) => {}
        }
        if let (_, Some(jumped)) = jumps.look(&*clock) {
            // It is due at another time now.
            let before = at.saturating_add(jumped.saturating_sub(interval_ms));
            work.running.group().rules.iter_mut().for_each(|rule| rule.shift(jumped, before));
            last = None;
            continue;
        }
        if let Some(last) = last {
            let passed = at.millis().saturating_sub(last.millis()) / interval_ms.max(1);
            work.engine.telemetry.rules.missed(&work.running, u64::try_from(passed - 1).unwrap_or(0));
        }
        last = Some(at);
        let working = work.engine.tenants.of_task(tenant.as_deref());
        scope::within(working, work.evaluate(at)).await;
    }
}

#[derive(Clone)]
struct Work {
    engine: Arc<Engine>,
    running: Arc<Running>,
    around: Arc<Around>,
}

impl Work {
    /// Evaluates all rules of the group, one after the other.
    async fn evaluate(&self, at: Timestamp) {
        let began = self.engine.clock.monotonic();
        let (moment, rules) = {
            let group = self.running.group();
            (group.moment(at), group.rules.len())
        };
        let (mut samples, mut concluded, mut told) = (0, began, 0..0);
        let mut evaluated = Vec::with_capacity(rules);
        for rule in 0..rules {
            let began = self.engine.clock.monotonic();
            let first = self.running.group().rules[rule].wants_history();
            let moment = Moment { first, ..moment };
            let outcome = match self.ask(rule, moment).await {
                Ok(answered) => self.clone().take(rule, answered, moment).await,
                Err(error) => Err(error.text().to_owned()),
            };
            let took = self.engine.clock.monotonic() - began;
            let (health, error) = match outcome {
                Ok(stored) => {
                    samples += stored;
                    (Health::Good, String::new())
                }
                Err(error) => (Health::Bad, error),
            };
            self.engine.telemetry.rules.rule(&self.running, took, health == Health::Good);
            {
                let rule = &mut self.running.group().rules[rule];
                if health == Health::Bad && rule.status.error != error {
                    let (group, rule) = (&self.running.name, rule.spec.name());
                    tracing::warn!(group, rule, error, "the evaluation of a rule failed");
                }
                evaluated.push(Evaluated {
                    name: rule.spec.name().to_owned(),
                    error: (health == Health::Bad).then(|| error.clone()),
                    was_good: rule.status.health == Health::Good,
                });
                rule.status = Status { health, error, at: Some(at), took };
            }
            told.end = rule + 1;
            if told.end == rules || self.engine.clock.monotonic() - concluded > TELL {
                let evaluated = if told.end == rules { std::mem::take(&mut evaluated) } else { Vec::new() };
                self.clone().conclude(told.clone(), evaluated, at).await;
                (concluded, told.start) = (self.engine.clock.monotonic(), told.end);
            }
        }
        let took = self.engine.clock.monotonic() - began;
        self.engine.telemetry.rules.group(&self.running, at, took, samples);
        self.running.note(Last { at: Some(at), took });
    }

    /// Asks what a rule asks, when it is its turn.
    async fn ask(&self, rule: usize, moment: Moment) -> Result<Answered, ApiError> {
        let spec = self.running.group().rules[rule].spec.clone();
        self.engine.note_queried(&spec.expr);
        let work = self.clone();
        let about = About::Expression(
            Arc::new(spec.expr.clone()),
            When::Instant(moment.asked()),
            self.engine.query_options(),
        );
        self.query(spec.expr.to_string(), about, move |reader| {
            let answered = spec.ask(moment, reader, &work.around.surroundings);
            answered.map_err(|error| Error::Execution(error.to_string()))
        })
        .await
    }

    /// Runs what reads on a thread that may block, when it is its turn and within the limits of queries.
    async fn query<T: Send + 'static>(
        &self,
        expression: String,
        about: About,
        read: impl FnOnce(Reader<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, ApiError> {
        let _turn = self.around.turns.acquire().await;
        let engine = self.engine.clone();
        let (caller, timeout) = (Caller::own("rules"), engine.limits().timeout);
        let question = Question { caller, expression, about, timeout };
        Queries::run(&self.engine, question, move |budget| {
            let reader = Reader { source: &*engine.store, options: &engine.query_options(), budget };
            Ok(read(reader)?)
        })
        .await
    }

    /// Takes what was answered, and stores what comes of it; how many samples.
    async fn take(self, rule: usize, answered: Answered, moment: Moment) -> Result<usize, String> {
        let taken = current::blocking(move || {
            let outcome = self.running.group().rules[rule].take(answered, moment);
            let outcome = outcome.map_err(|error| error.to_string())?;
            store(&self.engine, &outcome, moment.asked()).map(|()| outcome.samples.len())
        });
        taken.await.unwrap_or_else(|error| Err(error.to_string()))
    }

    /// Keeps what became of the alerts of some rules, and tells them to whoever tells people: also those of a rule that failed,
    /// which stay as they were. What was evaluated without and with success is told as well.
    async fn conclude(self, rules: Range<usize>, evaluated: Vec<Evaluated>, at: Timestamp) {
        let concluded = current::blocking(move || {
            self.keep(rules.clone(), at);
            let mut alerts = self.told(rules, at);
            let tenant = self.running.group().spec.tenant.clone();
            let from = failing::From {
                file: &self.running.file,
                group: &self.running.name,
                tenant: tenant.as_deref(),
                at: at.millis(),
                valid_until: raised::valid_until(at, self.running.interval),
            };
            alerts.extend(failing::alerts(&evaluated, from, &self.engine.alerting));
            self.engine.onward.tell(&self.engine.configured.current(), &alerts, at);
            self.engine.alerting.raise(alerts, self.engine.clock.now());
        });
        if let Err(error) = concluded.await {
            tracing::error!(%error, "what became of the alerts of a group is not told");
        }
    }

    /// Keeps what became of the alerts of some rules.
    fn keep(&self, rules: Range<usize>, at: Timestamp) {
        let (key, changes) = {
            let group = self.running.group();
            let changed = rules.clone().map(|rule| group.rules[rule].changes(at));
            let changed: Vec<_> = changed.enumerate().filter(|(_, changes)| !changes.is_empty()).collect();
            if changed.is_empty() {
                return;
            }
            let names = kept::rules(&group, rules.clone());
            let changes = changed.into_iter().map(|(rule, changes)| (names[rule].clone(), changes));
            (kept::key(&group), changes.collect::<Vec<_>>())
        };
        match kept::write(&self.engine.state, &key, &changes) {
            Ok(()) => self.running.group().rules[rules].iter_mut().for_each(Rule::kept),
            Err(error) => {
                self.engine.telemetry.rules.unkept();
                tracing::error!(
                    error = chain(&error),
                    group = self.running.name,
                    "alerts are not kept for now"
                );
            }
        }
    }

    /// The alerts of some rules, as they are told.
    fn told(&self, rules: Range<usize>, at: Timestamp) -> Vec<routing::Alert> {
        let group = self.running.group();
        let mut alerts = Vec::new();
        for (index, rule) in group.rules.iter().enumerate().take(rules.end).skip(rules.start) {
            if rule.told().next().is_none() {
                continue;
            }
            let name = format!("{};{};{index}", self.running.file, self.running.name);
            let link = expression_link(&rule.spec.expr.to_string());
            let generator_url = format!("{}{link}", self.around.surroundings.external_url);
            let interval = self.running.interval;
            alerts.extend(raised::told(
                rule,
                Raised { rule: &name, interval, generator_url: &generator_url, at },
            ));
        }
        alerts
    }

    /// Takes back what was kept before a restart, if nothing is known of the group yet.
    async fn restore(&self) {
        let work = self.clone();
        let loaded = current::blocking(move || {
            let (key, names, is_new) = {
                let group = work.running.group();
                let names = kept::rules(&group, 0..group.rules.len());
                (kept::key(&group), names, group.rules.iter().all(|rule| rule.alerts().next().is_none()))
            };
            let rows = kept::load(&work.engine.state, &key)?;
            let (known, gone): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| names.contains(&row.0.1));
            let gone: Vec<_> = gone.into_iter().map(|row| row.0).collect();
            kept::forget(&work.engine.state, &gone)?;
            let mut by_rule: BTreeMap<usize, Vec<Kept>> = BTreeMap::new();
            for ((_, rule, _), row) in if is_new { known } else { Vec::new() } {
                if let Some(rule) = names.iter().position(|name| *name == rule) {
                    by_rule.entry(rule).or_default().push(row);
                }
            }
            Ok::<_, barograph_state::Error>(by_rule)
        });
        let by_rule = match loaded.await {
            Ok(Ok(by_rule)) => by_rule,
            Ok(Err(error)) => {
                tracing::error!(
                    error = chain(&error),
                    group = self.running.name,
                    "what was kept of alerts cannot be read"
                );
                return;
            }
            Err(error) => {
                return tracing::error!(%error, group = self.running.name, "alerts are not restored");
            }
        };
        let restoring = Restoring::default();
        for (index, rows) in by_rule {
            let written = rows.iter().map(Kept::at).max();
            let rule = {
                let rule = &mut self.running.group().rules[index];
                rule.restore(rows);
                rule.clone()
            };
            if rule.active().next().is_none() {
                continue;
            }
            let (asked, now) =
                (format!("since when {} is active", rule.spec.name()), self.engine.clock.now());
            let looked =
                self.query(asked, About::Index, move |reader| Ok(rule.looked_at(now, &restoring, reader)?));
            let looked = looked.await.unwrap_or_else(|error| {
                tracing::warn!(error = error.text(), "when alerts were looked at last cannot be read");
                None
            });
            if let Some(down_at) = looked.max(written) {
                self.running.group().rules[index].resume(down_at, restoring);
            }
        }
    }
}

/// Stores what an evaluation came to. It rides the next group commit.
fn store(engine: &Engine, outcome: &Outcome, at: Timestamp) -> Result<(), String> {
    if engine.memory.sheds(Step::Ingest) {
        return Err("memory is short".to_owned());
    }
    let mut rows = Vec::with_capacity(outcome.samples.len() + outcome.ended.len());
    let mut histograms: Vec<(&Labels, Timestamp, Histogram)> = Vec::new();
    for (labels, datum) in &outcome.samples {
        match datum {
            Datum::Float(Sample { at, value }) => {
                rows.push(Row { labels: labels.as_bytes(), at: at.millis(), value: *value });
            }
            Datum::Histogram(at, histogram) => {
                histograms.push((labels, *at, histogram.to_stored().map_err(|error| error.to_string())?));
            }
        }
    }
    for labels in &outcome.ended {
        rows.push(Row { labels: labels.as_bytes(), at: at.millis(), value: stale_marker() });
    }
    let mut refused = Vec::new();
    let mut taken = |appended: Result<Appended, barograph_tsdb::Error>| {
        let appended = appended.map_err(|error| chain(&error))?;
        engine.commits.want(appended.ticket);
        refused.extend(appended.rejected.iter().map(|rejected| rejected.reason));
        Ok::<_, String>(())
    };
    let natives = histograms.iter().map(|(labels, at, histogram)| HistogramRow {
        labels: labels.as_bytes(),
        at: at.millis(),
        histogram,
    });
    let natives: Vec<_> = natives.collect();
    scope::one(|| {
        if !rows.is_empty() {
            taken(engine.append(Origin::Rules, &rows))?;
        }
        if !natives.is_empty() {
            taken(engine.append_histograms(Origin::Rules, &natives))?;
        }
        Ok::<_, String>(())
    })?;
    match refused.as_slice() {
        [] => Ok(()),
        [first, ..] => {
            Err(format!("{} samples were not stored, the first because: {}", refused.len(), first.as_str()))
        }
    }
}
