//! `POST /api/v1/import/prometheus`: exposition text, as a target would show it.
//!
//! Lines that can be read and stored are; the others are listed with their line in a 400. A sample without a time
//! gets the time of the request. Text 0.0.4 unless the content type says OpenMetrics.

use std::{borrow::Cow, collections::BTreeMap, fmt::Write as _};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use barograph_model::{Exemplar, Metadata, Sample, Timestamp};
use barograph_wire::exposition::{Dialect, Item, parse};

use super::{
    App, RequestLimits,
    body::Whole,
    write::{acknowledged, check_count, refused},
};
use crate::{
    Engine,
    intake::{self, Batch, Refused},
    otlp::Coding,
    telemetry::Origin,
    unpack,
};

/// A text takes about so many times its size while its lines are stored.
const LINES_COST: usize = 4;

/// So many faults are described one by one; of the rest only the number is told.
const FAULTS_MAX: usize = 20;

pub(crate) fn routes() -> Router<App> {
    Router::new().route("/api/v1/import/prometheus", post(import).put(import))
}

async fn import(State(app): State<App>, headers: HeaderMap, Whole(body): Whole) -> Response {
    let cost = body.len().saturating_mul(LINES_COST);
    match intake::admitted(&app, cost, move |engine, limits| store(engine, limits, &headers, &body)).await {
        Ok((engine, None)) => acknowledged(&engine),
        Ok((_, Some(complaint))) => (StatusCode::BAD_REQUEST, complaint).into_response(),
        Err((status, why)) => refused(status, &why),
    }
}

/// Stores what can be stored of a text; what is to become durable, and what was wrong if anything was.
fn store(
    engine: &Engine,
    limits: RequestLimits,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(u64, Option<String>), Refused> {
    let text = decoded(headers, body, limits.decoded_bytes)?;
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let dialect = kind.and_then(Dialect::from_content_type).unwrap_or(Dialect::Text);
    let mut faults = Faults::default();
    let (batch, numbers) = read(&text, dialect, engine.clock.now(), limits, &mut faults)?;
    let taken = batch.store(engine, Origin::Import)?;
    for left in &taken.left {
        let (labels, ..) = &batch.samples[left.place];
        faults.add(|| format!("line {}: {labels}: {}", numbers[left.place], left.reason));
    }
    Ok((taken.ticket, faults.text(taken.stored)))
}

/// What a text holds, and the line of each sample.
fn read(
    text: &[u8],
    dialect: Dialect,
    now: Timestamp,
    limits: RequestLimits,
    faults: &mut Faults,
) -> Result<(Batch, Vec<usize>), Refused> {
    let (mut batch, mut numbers) = (Batch::default(), Vec::new());
    let mut metadata: BTreeMap<String, Metadata> = BTreeMap::new();
    let mut parser = parse(text, dialect);
    while let Some(item) = parser.next() {
        match item {
            Ok(Item::Type { name, kind }) => metadata.entry(name.into_owned()).or_default().kind = kind,
            Ok(Item::Help { name, help }) => {
                metadata.entry(name.into_owned()).or_default().help = help.into_owned();
            }
            Ok(Item::Unit { name, unit }) => {
                metadata.entry(name.into_owned()).or_default().unit = unit.to_owned();
            }
            Ok(Item::Sample(sample)) => {
                let at = sample.at.unwrap_or(now);
                match sample.series.labels() {
                    Ok(labels) => {
                        if let Some(exemplar) = sample.exemplar
                            && let Ok(own) = exemplar.labels()
                        {
                            let at = exemplar.at.unwrap_or(at);
                            let sample = Sample { at, value: exemplar.value };
                            batch.exemplars.push((labels.clone(), Exemplar { labels: own, sample }));
                        }
                        batch.samples.push((labels, at, sample.value));
                        numbers.push(parser.line());
                        check_count(batch.len(), limits)?;
                    }
                    Err(error) => faults.add(|| error.to_string()),
                }
            }
            Err(error) => faults.add(|| error.to_string()),
        }
    }
    batch.metadata.extend(metadata);
    Ok((batch, numbers))
}

/// The text of a body that may be compressed.
pub(super) fn decoded<'b>(
    headers: &HeaderMap,
    body: &'b [u8],
    limit: usize,
) -> Result<Cow<'b, [u8]>, Refused> {
    let coding = headers.get(header::CONTENT_ENCODING).map_or("", |value| value.to_str().unwrap_or("?"));
    match Coding::of(coding) {
        Some(Coding::Plain) => Ok(Cow::Borrowed(body)),
        Some(Coding::Gzip) => unpack::gzip(body, limit).map(Cow::Owned),
        Some(Coding::Zstd) => unpack::zstd(body, limit).map(Cow::Owned),
        None => {
            let why = format!("content encoding {coding:?} is not supported; send gzip, zstd or none");
            Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, why))
        }
    }
}

/// What was wrong, the first few in words.
#[derive(Default)]
struct Faults {
    count: usize,
    described: Vec<String>,
}

impl Faults {
    fn add(&mut self, describe: impl FnOnce() -> String) {
        self.count += 1;
        if self.described.len() < FAULTS_MAX {
            self.described.push(describe());
        }
    }

    /// `None` when nothing was wrong.
    fn text(&self, stored: usize) -> Option<String> {
        if self.count == 0 {
            return None;
        }
        let mut text = format!("{stored} samples stored, {} faults\n", self.count);
        for fault in &self.described {
            let _ = writeln!(text, "{fault}");
        }
        Some(text)
    }
}
