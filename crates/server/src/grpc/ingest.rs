//! `barograph.v1.Ingest`: samples and records, stored and durable when they are answered.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use barograph::{
    record::{MetricRecord, RecordValue},
    scope::ATTRIBUTES_MAX,
};
use barograph_model::{Labels, Metadata, MetricType, Timestamp};
use barograph_proto::v1::{
    MetricMetadata, Record, RecordRequest, RecordResponse, Refusal, WriteRequest, WriteResponse,
    ingest_server, record::Value,
};
use barograph_tsdb::{Reason, Row};
use futures_util::{StreamExt, stream};
use tonic::{Request, Response, Status, Streaming};

use super::{Answers, Api, status};
use crate::{
    Engine,
    config::Durability,
    current,
    http::{
        NO_MEMORY, Problem, RequestLimits, check_count, check_records, not_durable, not_stored, recorded,
    },
    memory::Step,
    records::{DistributionParts, Unreadable, kind_named, sampled},
    telemetry::Origin,
    tenants::scope,
};

/// So many samples that were refused are named.
const REFUSALS_MAX: usize = 100;
/// A sample takes about so many bytes while its request is stored, beside the labels of its series.
const SAMPLE_COST: usize = 64;

pub(super) struct Ingest(pub(super) Api);

#[tonic::async_trait]
impl ingest_server::Ingest for Ingest {
    type WriteStreamStream = Answers<WriteResponse>;

    async fn write(&self, request: Request<WriteRequest>) -> Result<Response<WriteResponse>, Status> {
        Ok(Response::new(write(&self.0, request.into_inner()).await?))
    }

    async fn write_stream(
        &self,
        request: Request<Streaming<WriteRequest>>,
    ) -> Result<Response<Self::WriteStreamStream>, Status> {
        let (open, working) = (self.0.stream()?, scope::working());
        let batches = stream::unfold(
            (self.0.clone(), request.into_inner(), Some(open)),
            move |(api, mut batches, open)| {
                let working = working.clone();
                async move {
                    let mut open = open?;
                    let batch = tokio::select! {
                        biased;
                        () = open.stopped() => return Some((Err(status::stopping()), (api, batches, None))),
                        batch = batches.message() => batch.transpose()?,
                    };
                    let written = match batch {
                        Ok(batch) => scope::within(working, write(&api, batch)).await,
                        Err(broken) => Err(broken),
                    };
                    let open = written.is_ok().then_some(open);
                    Some((written, (api, batches, open)))
                }
            },
        );
        Ok(Response::new(batches.boxed()))
    }

    async fn record(&self, request: Request<RecordRequest>) -> Result<Response<RecordResponse>, Status> {
        let engine = self.0.engine()?;
        let RecordRequest { records, idempotency_key } = request.into_inner();
        if records.is_empty() {
            return Err(status::wrong("records", "there are no records"));
        }
        check_records(records.len())?;
        let key = Some(idempotency_key).filter(|key| !key.is_empty());
        let bytes = records.iter().map(prost::Message::encoded_len).sum();
        let read = move || Ok(records.into_iter().map(record).collect());
        let outcome = recorded(&engine, key, bytes, read).await?;
        let refusal = |(index, refusal): &(usize, crate::records::Refusal)| Refusal {
            index: index_of(*index),
            sample: 0,
            reason: refusal.reason().to_owned(),
            message: refusal.to_string(),
        };
        if let (0, Some((index, first))) = (outcome.accepted, outcome.rejected.first()) {
            return Err(status::wrong(&format!("records[{index}]"), first.to_string()));
        }
        Ok(Response::new(RecordResponse {
            accepted: outcome.accepted as u64,
            rejected: outcome.rejected.len() as u64,
            refusals: outcome.rejected.iter().map(refusal).collect(),
            relaxed: relaxed(&engine),
        }))
    }
}

fn relaxed(engine: &Engine) -> bool {
    engine.storage.durability == Durability::Relaxed
}

fn index_of(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

fn of_http((status, why): (StatusCode, String)) -> Status {
    Problem::new(status, why).into()
}

/// Stores a batch and waits until it is durable.
async fn write(api: &Api, request: WriteRequest) -> Result<WriteResponse, Status> {
    let engine = api.engine()?;
    if engine.memory.sheds(Step::Ingest) {
        return Err(of_http((StatusCode::TOO_MANY_REQUESTS, NO_MEMORY.to_owned())));
    }
    let limits = api.app.limits();
    let samples: usize = request.series.iter().map(|series| series.samples.len()).sum();
    let bytes = prost::Message::encoded_len(&request).saturating_add(samples.saturating_mul(SAMPLE_COST));
    let turn = engine.memory.turn(bytes).await;
    let work = engine.clone();
    let stored = current::blocking(move || {
        let stored = store(&work, limits, samples, &request);
        drop(turn);
        stored
    });
    let (response, ticket) =
        stored.await.map_err(|_| Status::internal("storing failed; the log says why"))??;
    engine.durable(ticket).await.map_err(|error| of_http((not_durable(&error), error.to_string())))?;
    Ok(response)
}

fn store(
    engine: &Engine,
    limits: RequestLimits,
    samples: usize,
    request: &WriteRequest,
) -> Result<(WriteResponse, u64), Status> {
    check_count(samples, limits).map_err(of_http)?;
    let metadata = request.metadata.iter().map(metadata).collect::<Result<Vec<_>, _>>()?;
    let mut refusals = Refusals::default();
    let mut good = Vec::with_capacity(request.series.len());
    for (index, series) in request.series.iter().enumerate() {
        match Labels::from_pairs(pairs(&series.labels)) {
            Ok(labels) => good.push((index, labels, &series.samples)),
            Err(error) => {
                let message = error.to_string();
                (0..series.samples.len()).for_each(|sample| refusals.add(index, sample, "labels", &message));
            }
        }
    }
    let mut rows = Vec::with_capacity(samples);
    let mut places = Vec::with_capacity(samples);
    for (index, labels, samples) in &good {
        for (place, sample) in samples.iter().enumerate() {
            rows.push(Row { labels: labels.as_bytes(), at: sample.at_ms, value: sample.value });
            places.push((*index, place));
        }
    }
    let appended = engine.append(Origin::Grpc, &rows).map_err(|error| of_http(not_stored(&error)))?;
    for (name, metadata) in metadata {
        engine.store.set_metadata(name, &metadata);
    }
    for rejected in &appended.rejected {
        if rejected.reason == Reason::TooManyLate {
            // They will have room soon, and what was stored already does no harm.
            return Err(of_http((StatusCode::TOO_MANY_REQUESTS, rejected.reason.to_string())));
        }
        let (index, sample) = places[rejected.row];
        refusals.add(index, sample, rejected.reason.as_str(), &rejected.reason.to_string());
    }
    if let (0, Some(first)) = (appended.stored, refusals.named.first()) {
        return Err(status::wrong(&format!("series[{}]", first.index), first.message.clone()));
    }
    let response = WriteResponse {
        stored: appended.stored as u64,
        rejected: refusals.count,
        refusals: refusals.named,
        relaxed: relaxed(engine),
    };
    Ok((response, appended.ticket))
}

/// What is said of a metric.
fn metadata(said: &MetricMetadata) -> Result<(&str, Metadata), Status> {
    let unknown = || status::wrong("metadata", format!("there is no type {:?} of metrics", said.r#type));
    let kind = match said.r#type.as_str() {
        "" => MetricType::Unknown,
        word => MetricType::from_word(word).ok_or_else(unknown)?,
    };
    Ok((&said.name, Metadata { kind, unit: said.unit.clone(), help: said.help.clone() }))
}

fn pairs(map: &BTreeMap<String, String>) -> impl Iterator<Item = (&str, &str)> {
    map.iter().map(|(name, value)| (name.as_str(), value.as_str()))
}

/// What was refused: how many, and the first of them.
#[derive(Default)]
struct Refusals {
    count: u64,
    named: Vec<Refusal>,
}

impl Refusals {
    fn add(&mut self, index: usize, sample: usize, reason: &str, message: &str) {
        self.count += 1;
        if self.named.len() < REFUSALS_MAX {
            self.named.push(Refusal {
                index: index_of(index),
                sample: index_of(sample),
                reason: reason.to_owned(),
                message: message.to_owned(),
            });
        }
    }
}

/// A record as the engine takes it.
fn record(record: Record) -> Result<MetricRecord, Unreadable> {
    let wrong = |why: &str| Err(Unreadable::new(why));
    if record.name.is_empty() {
        return wrong("name is missing");
    }
    if record.r#type.is_empty() {
        return wrong("type is missing");
    }
    if record.attributes.len() > ATTRIBUTES_MAX {
        return wrong(&format!("more than {ATTRIBUTES_MAX} attributes"));
    }
    let kind = kind_named(&record.r#type)?;
    let value = match record.value {
        None => return wrong("value is missing"),
        Some(Value::Number(number)) => RecordValue::Number(number),
        Some(Value::Distribution(it)) => {
            let (count, sum) = (Some(it.count as f64), Some(it.sum));
            let parts = DistributionParts { count, sum, min: it.min, max: it.max, zeros: it.zeros };
            let buckets = it.buckets.iter().map(|bucket| Some((bucket.bound, bucket.count)));
            RecordValue::Distribution(parts.with_buckets(buckets)?)
        }
    };
    let sampling = record.sampling.map(|sampling| {
        let strategy = if sampling.strategy.is_empty() { "all" } else { &sampling.strategy };
        sampled(strategy, sampling.rate, sampling.weight)
    });
    let given = |text: String| Some(text).filter(|text| !text.is_empty());
    Ok(MetricRecord {
        unit: given(record.unit),
        attributes: record.attributes.into_iter().collect(),
        timestamp: record.at_ms.map(Timestamp),
        component: given(record.component),
        sampling: sampling.transpose()?,
        ..MetricRecord::new(kind, &record.name, value)
    })
}
