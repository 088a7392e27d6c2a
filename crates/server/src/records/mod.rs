//! Records by name, as programs send them: increments become counts, values become distributions.
//!
//! A registry in a program counts up by itself; whoever sends single increments and observations has none. So the
//! sums are kept here: of each counter its count, of each histogram its sketch, and what is stored is how they stand
//! after the records of a request. A sum begins at zero, which is stored too, a millisecond before; it begins anew
//! after a restart, or when it was idle for [`IDLE_MS`] and room is needed, which is a reset like any other.
//!
//! Counts and sums of sampled records are corrected by weight here; how they were sampled is kept beside ([`sampled`]).
//!
//! A request that names itself (`Idempotency-Key`) counts once, however often it comes.

mod read;
mod sampled;
mod sums;

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use barograph::record::{MetricRecord, Parts, RecordError, RecordKind, RecordValue, StoredAs};
use barograph_model::{Metadata, Timestamp};
use barograph_tsdb::{Appended, HistogramRow, Reason, Row};

use crate::{Engine, errors::chain, telemetry::Origin, tenants::scope};

pub(crate) use read::{DistributionParts, Unreadable, kind_named, read, sampled};
use sampled::Sampled;
pub(crate) use sampled::{Told, told};
use sums::{Sample, Sums};

/// So many records one request may bring.
pub(crate) const RECORDS_MAX: usize = 10_000;
/// So many metrics are known by name, with their types and units.
const METRICS_MAX: usize = 50_000;
/// So many requests that named themselves are remembered.
const KEYS_MAX: usize = 4_096;
/// A name of a request is no longer.
pub(crate) const KEY_BYTES_MAX: usize = 128;

/// What is known of records that came before.
#[derive(Debug, Default)]
pub(crate) struct Records(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// By name as given.
    metrics: HashMap<String, Known>,
    sums: Sums,
    sampled: Sampled,
    parts: Parts,
    answers: HashMap<String, Arc<Outcome>>,
    keys: VecDeque<String>,
}

/// What a metric was when it first came.
#[derive(Debug)]
struct Known {
    name: String,
    metadata: Metadata,
}

/// What became of the records of a request.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Those that are stored.
    pub(crate) accepted: usize,
    /// The others, by index in the request.
    pub(crate) rejected: Vec<(usize, Refusal)>,
    /// All of it is durable with this.
    pub(crate) ticket: u64,
}

/// Why a record was not taken.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// It is none, in words.
    #[error("{0}")]
    Unreadable(Unreadable),
    /// It is wrong.
    #[error("{0}")]
    Wrong(RecordError),
    /// The metric is another.
    #[error("metric {name:?} is known with another {what}: {known}")]
    Conflict { name: String, what: &'static str, known: String },
    /// There are too many metrics or series.
    #[error("there are {max} {what} already")]
    TooMany { what: &'static str, max: usize },
    /// The store did not take it.
    #[error("{0}")]
    Store(Reason),
}

impl Refusal {
    /// One word for it.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "unreadable",
            Self::Wrong(error) => error.reason(),
            Self::Conflict { .. } => "conflict",
            Self::TooMany { .. } => "too_many",
            Self::Store(_) => "store",
        }
    }
}

impl Records {
    /// Stores the records of a request; one that cannot be stored costs no other. With a `key` that came before,
    /// nothing is stored anew and the answer is the same.
    ///
    /// # Errors
    /// The store takes nothing: nothing was counted.
    pub(crate) fn store(
        &self,
        engine: &Engine,
        key: Option<&str>,
        records: Vec<Result<MetricRecord, Unreadable>>,
    ) -> Result<Arc<Outcome>, barograph_tsdb::Error> {
        let now = engine.clock.now();
        let mut state = self.state();
        if let Some(known) = key.and_then(|key| state.answers.get(key)) {
            return Ok(known.clone());
        }
        let outcome = Arc::new(state.store(engine, now, records)?);
        if let Some(key) = key {
            state.remember(key, outcome.clone());
        }
        Ok(outcome)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn store(
        &mut self,
        engine: &Engine,
        now: Timestamp,
        records: Vec<Result<MetricRecord, Unreadable>>,
    ) -> Result<Outcome, barograph_tsdb::Error> {
        let (total, mut rejected, mut new) = (records.len(), Vec::new(), Vec::new());
        self.sums.begin(now);
        self.sampled.begin();
        for (index, record) in records.into_iter().enumerate() {
            let taken = record
                .map_err(Refusal::Unreadable)
                .and_then(|record| self.take(index, &record, now, &mut new));
            if let Err(refusal) = taken {
                rejected.push((index, refusal));
            }
        }
        let stored = match append(engine, self.sums.samples()) {
            Ok(stored) => stored,
            Err(error) => {
                self.sums.undo_all();
                return Err(error);
            }
        };
        for (sample, reason) in stored.rejected {
            let refused = self.sums.undo(sample).into_iter().map(|index| (index, Refusal::Store(reason)));
            rejected.extend(refused);
        }
        self.sums.end();
        let ticket = stored.ticket.max(self.store_sampled(engine));
        for (name, metadata) in new {
            engine.store.set_metadata(&name, &metadata);
        }
        rejected.sort_by_key(|(index, _)| *index);
        rejected.dedup_by_key(|(index, _)| *index);
        Ok(Outcome { accepted: total - rejected.len(), rejected, ticket })
    }

    /// Stores how the records of the request were sampled; they are stored already, so what is not taken of that costs no
    /// record.
    fn store_sampled(&mut self, engine: &Engine) -> u64 {
        let samples = self.sampled.take();
        if samples.is_empty() {
            return 0;
        }
        for name in samples.iter().filter_map(|sample| sample.labels.metric_name()) {
            engine.store.set_metadata(name, &sampled::described(name));
        }
        append(engine, &samples).map_or_else(
            |error| {
                tracing::warn!(error = chain(&error), "how records were sampled is not stored");
                0
            },
            |stored| stored.ticket,
        )
    }

    /// Takes one record into the sums and samples of the request.
    fn take(
        &mut self,
        index: usize,
        record: &MetricRecord,
        now: Timestamp,
        new: &mut Vec<(String, Metadata)>,
    ) -> Result<(), Refusal> {
        record.check().map_err(Refusal::Wrong)?;
        let word = self.metrics.get(&record.name).map_or("", |known| known.metadata.unit.as_str());
        let stored = record.stored_as(word).map_err(Refusal::Wrong)?;
        self.know(&record.name, &stored, new)?;
        let at = record.timestamp.unwrap_or(now);
        self.sampled.note(&stored.labels, record.sampling, at);
        let times = match record.sampling {
            Some(sampling) if record.kind != RecordKind::Gauge => self.parts.whole(sampling.weight),
            _ => 1,
        };
        match (record.kind, &record.value) {
            (RecordKind::Histogram | RecordKind::Timer, value) => {
                self.sums.observe(index, stored.labels, at, &value.sketch(stored.scale, times))
            }
            (RecordKind::Gauge, RecordValue::Number(value)) => {
                self.sums.set(index, stored.labels, at, value * stored.scale);
                Ok(())
            }
            (_, RecordValue::Number(value)) => {
                self.sums.count(index, stored.labels, at, value * stored.scale * times as f64)
            }
            (_, RecordValue::Distribution(_)) => Ok(()),
        }
    }

    /// Checks a metric against what it was when it first came.
    fn know(
        &mut self,
        given: &str,
        stored: &StoredAs,
        new: &mut Vec<(String, Metadata)>,
    ) -> Result<(), Refusal> {
        let conflict =
            |what, known: &str| Refusal::Conflict { name: given.into(), what, known: known.into() };
        if let Some(known) = self.metrics.get(given) {
            return match &known.metadata {
                metadata if metadata.kind != stored.metadata.kind => {
                    Err(conflict("type", metadata.kind.as_str()))
                }
                metadata if metadata.unit != stored.metadata.unit => Err(conflict("unit", &metadata.unit)),
                _ if known.name != stored.name => Err(conflict("name", &known.name)),
                _ => Ok(()),
            };
        }
        if self.metrics.len() >= METRICS_MAX {
            return Err(Refusal::TooMany { what: "metrics by name", max: METRICS_MAX });
        }
        let known = Known { name: stored.name.clone(), metadata: stored.metadata.clone() };
        new.push((known.name.clone(), known.metadata.clone()));
        self.metrics.insert(given.to_owned(), known);
        Ok(())
    }

    fn remember(&mut self, key: &str, outcome: Arc<Outcome>) {
        if self.keys.len() >= KEYS_MAX
            && let Some(oldest) = self.keys.pop_front()
        {
            self.answers.remove(&oldest);
        }
        self.keys.push_back(key.to_owned());
        self.answers.insert(key.to_owned(), outcome);
    }
}

/// What of the samples of a request was not stored, by place.
struct Stored {
    rejected: Vec<(usize, Reason)>,
    ticket: u64,
}

fn append(engine: &Engine, samples: &[Sample]) -> Result<Stored, barograph_tsdb::Error> {
    scope::one(|| append_all(engine, samples))
}

fn append_all(engine: &Engine, samples: &[Sample]) -> Result<Stored, barograph_tsdb::Error> {
    let (mut floats, mut histograms) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
    for (place, sample) in samples.iter().enumerate() {
        let labels = sample.labels.as_bytes();
        match &sample.histogram {
            None => {
                floats.0.push(place);
                floats.1.push(Row { labels, at: sample.at, value: sample.value });
            }
            Some(histogram) => {
                histograms.0.push(place);
                histograms.1.push(HistogramRow { labels, at: sample.at, histogram });
            }
        }
    }
    let mut stored = Stored { rejected: Vec::new(), ticket: 0 };
    let mut add = |places: &[usize], appended: Appended| {
        stored.ticket = stored.ticket.max(appended.ticket);
        stored.rejected.extend(appended.rejected.iter().map(|row| (places[row.row], row.reason)));
    };
    if !floats.1.is_empty() {
        add(&floats.0, engine.append(Origin::Record, &floats.1)?);
    }
    if !histograms.1.is_empty() {
        add(&histograms.0, engine.append_histograms(Origin::Record, &histograms.1)?);
    }
    Ok(stored)
}
