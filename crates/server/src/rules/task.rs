//! One group, evaluated again and again.
//!
//! A group is due whenever its interval begins anew, at an offset that its hash gives, and its samples bear exactly that time.
//! What it asks goes the way of every query, with its limits. Turns that were missed are left out and counted.

use std::{sync::Arc, time::Duration};

use barograph_alert::{Answered, Health, Moment, Outcome, Reader, Restoring, Status, Surroundings};
use barograph_model::{Histogram, Labels, Sample, Timestamp, stale_marker};
use barograph_query::{Datum, Error, When};
use barograph_tsdb::{Appended, HistogramRow, Row};
use tokio::sync::{Semaphore, watch};

use super::{Running, board::Last};
use crate::{
    Engine,
    alerting::Raised,
    errors::chain,
    http::{ApiError, Caller},
    memory::Step,
    queries::{About, Queries, Question},
    scrape::first_wait,
    telemetry::Origin,
};

/// What all groups share.
#[derive(Debug)]
pub(super) struct Around {
    /// What templates know of the server.
    pub(super) surroundings: Surroundings,
    /// One permit a group that asks.
    pub(super) turns: Semaphore,
}

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
    let mut evaluations = 0u64;
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
        if let Some(last) = last {
            let passed = at.millis().saturating_sub(last.millis()) / interval_ms.max(1);
            work.engine.telemetry.rules.missed(&work.running, u64::try_from(passed - 1).unwrap_or(0));
        }
        last = Some(at);
        work.evaluate(at).await;
        evaluations += 1;
        // As upstream: not before what was scraped since the start has been looked at twice.
        if evaluations == 2 {
            work.restore(at).await;
        }
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
            let moment = Moment { at, offset_ms: group.offset_ms, limit: group.spec.limit };
            (moment, group.rules.len())
        };
        let mut samples = 0;
        for rule in 0..rules {
            let began = self.engine.clock.monotonic();
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
            let rule = &mut self.running.group().rules[rule];
            if health == Health::Bad && rule.status.error != error {
                let (group, rule) = (&self.running.name, rule.spec.name());
                tracing::warn!(group, rule, error, "the evaluation of a rule failed");
            }
            rule.status = Status { health, error, at: Some(at), took };
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
        let taken = tokio::task::spawn_blocking(move || {
            let outcome = self.running.group().rules[rule].take(answered, moment);
            let outcome = outcome.map_err(|error| error.to_string())?;
            self.tell(rule, moment);
            store(&self.engine, &outcome, moment.asked()).map(|()| outcome.samples.len())
        });
        taken.await.unwrap_or_else(|error| Err(error.to_string()))
    }

    /// Tells the alerts of a rule to whoever tells people.
    fn tell(&self, index: usize, moment: Moment) {
        let rule = self.running.group().rules[index].clone();
        if rule.spec.alerting().is_none() {
            return;
        }
        let name = format!("{};{};{index}", self.running.file, self.running.name);
        let link = barograph_alert::template::expression_link(&rule.spec.expr.to_string());
        let generator_url = format!("{}{link}", self.around.surroundings.external_url);
        let raised = Raised {
            rule: &name,
            interval: self.running.interval,
            generator_url: &generator_url,
            at: moment.at,
        };
        self.engine.alerting.raise(&rule, raised, self.engine.clock.now());
    }

    /// Puts alerts that were pending before a restart where they were.
    async fn restore(&self, at: Timestamp) {
        let restoring = Restoring::default();
        let waiting: Vec<_> = {
            let group = self.running.group();
            let all = group.rules.iter().enumerate().filter(|(_, rule)| rule.wants_restoring());
            all.map(|(index, rule)| (index, rule.clone())).collect()
        };
        for (index, rule) in waiting {
            let asked = format!("since when {} is pending", rule.spec.name());
            let left =
                self.query(asked, About::Index, move |reader| Ok(rule.left(at, &restoring, reader)?)).await;
            let left = left.unwrap_or_else(|error| {
                tracing::warn!(error = error.text(), "since when alerts were pending cannot be read");
                Vec::new()
            });
            self.running.group().rules[index].restore(at, &restoring, &left);
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
    if !rows.is_empty() {
        taken(engine.append(Origin::Rules, &rows))?;
    }
    if !histograms.is_empty() {
        let rows = histograms.iter().map(|(labels, at, histogram)| HistogramRow {
            labels: labels.as_bytes(),
            at: at.millis(),
            histogram,
        });
        let rows: Vec<_> = rows.collect();
        taken(engine.append_histograms(Origin::Rules, &rows))?;
    }
    match refused.as_slice() {
        [] => Ok(()),
        [first, ..] => {
            Err(format!("{} samples were not stored, the first because: {}", refused.len(), first.as_str()))
        }
    }
}
