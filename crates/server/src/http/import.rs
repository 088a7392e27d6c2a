//! `POST /api/v1/import/prometheus`: exposition text, as a target would show it.
//!
//! Lines that can be read and stored are; the others are listed with their line in a 400. A sample without a time
//! gets the time of the request. Text 0.0.4 unless the content type says OpenMetrics.

use std::{collections::BTreeMap, fmt::Write as _, io::Read as _, sync::Arc};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use barograph_model::{Exemplar, Labels, Metadata, Sample, Timestamp};
use barograph_tsdb::Row;
use barograph_wire::exposition::{Dialect, Item, parse};

use super::{
    App, RequestLimits,
    body::Whole,
    write::{NO_MEMORY, acknowledged, check_count, not_stored, refused},
};
use crate::{Engine, current, memory::Step, telemetry::Origin};

/// A text takes about so many times its size while its lines are stored.
const LINES_COST: usize = 4;

/// So many faults are described one by one; of the rest only the number is told.
const FAULTS_MAX: usize = 20;

pub(crate) fn routes() -> Router<App> {
    Router::new().route("/api/v1/import/prometheus", post(import).put(import))
}

async fn import(State(app): State<App>, headers: HeaderMap, Whole(body): Whole) -> Response {
    let Some(engine) = app.ready() else {
        return refused(StatusCode::SERVICE_UNAVAILABLE, "the store is being opened; send again");
    };
    if engine.memory.sheds(Step::Ingest) {
        return refused(StatusCode::TOO_MANY_REQUESTS, NO_MEMORY);
    }
    let (work, limits) = (engine.clone(), app.limits());
    let turn = engine.memory.turn(body.len().saturating_mul(LINES_COST)).await;
    let stored = current::blocking(move || {
        let stored = store(&work, limits, &headers, &body);
        drop(turn);
        stored
    });
    let stored = stored.await;
    let failed = || (StatusCode::INTERNAL_SERVER_ERROR, "storing failed; the log says why".to_owned());
    let stored = match stored.unwrap_or_else(|_| Err(failed())) {
        Ok(stored) => stored,
        Err((status, why)) => return refused(status, &why),
    };
    if let Err(error) = engine.durable(stored.ticket).await {
        return refused(super::write::not_durable(&error), &error.to_string());
    }
    match stored.complaint {
        Some(complaint) => (StatusCode::BAD_REQUEST, complaint).into_response(),
        None => acknowledged(&engine),
    }
}

/// What became of a text.
struct Stored {
    ticket: u64,
    complaint: Option<String>,
}

/// A readable line with a sample.
struct Line {
    number: usize,
    labels: Labels,
    sample: Sample,
    exemplar: Option<Exemplar>,
}

fn store(
    engine: &Arc<Engine>,
    limits: RequestLimits,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Stored, (StatusCode, String)> {
    let text = decoded(headers, body, limits.decoded_bytes)?;
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let dialect = kind.and_then(Dialect::from_content_type).unwrap_or(Dialect::Text);
    let mut faults = Faults::default();
    let mut metadata: BTreeMap<String, Metadata> = BTreeMap::new();
    let lines = read(&text, dialect, engine.clock.now(), limits, &mut metadata, &mut faults)?;

    let rows: Vec<Row<'_>> = lines
        .iter()
        .map(|line| Row { labels: line.labels.as_bytes(), at: line.sample.at.0, value: line.sample.value })
        .collect();
    let appended = engine.append(Origin::Import, &rows).map_err(|e| not_stored(&e))?;
    for rejected in &appended.rejected {
        let line = &lines[rejected.row];
        faults.add(|| format!("line {}: {}: {}", line.number, line.labels, rejected.reason));
    }
    for (name, entry) in metadata {
        engine.store.set_metadata(&name, &entry);
    }
    for line in lines {
        if let Some(exemplar) = line.exemplar {
            engine.store.append_exemplar(&line.labels, exemplar);
        }
    }
    let complaint = faults.text(appended.stored);
    Ok(Stored { ticket: appended.ticket, complaint })
}

fn read(
    text: &[u8],
    dialect: Dialect,
    now: Timestamp,
    limits: RequestLimits,
    metadata: &mut BTreeMap<String, Metadata>,
    faults: &mut Faults,
) -> Result<Vec<Line>, (StatusCode, String)> {
    let mut lines = Vec::new();
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
                let number = parser.line();
                let exemplar = sample.exemplar.and_then(|exemplar| {
                    let labels = exemplar.labels().ok()?;
                    Some(Exemplar {
                        labels,
                        sample: Sample { at: exemplar.at.unwrap_or(at), value: exemplar.value },
                    })
                });
                match sample.series.labels() {
                    Ok(labels) => {
                        lines.push(Line {
                            number,
                            labels,
                            sample: Sample { at, value: sample.value },
                            exemplar,
                        });
                        check_count(lines.len(), limits)?;
                    }
                    Err(error) => faults.add(|| error.to_string()),
                }
            }
            Err(error) => faults.add(|| error.to_string()),
        }
    }
    Ok(lines)
}

/// The text of a body that may be compressed with gzip.
fn decoded(headers: &HeaderMap, body: &[u8], limit: usize) -> Result<Vec<u8>, (StatusCode, String)> {
    let coding = headers.get(header::CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("?"));
    match coding {
        None | Some("identity") => Ok(body.to_vec()),
        Some("gzip") => {
            let mut text = Vec::new();
            let mut limited = flate2::read::MultiGzDecoder::new(body).take(limit as u64 + 1);
            limited
                .read_to_end(&mut text)
                .map_err(|e| (StatusCode::BAD_REQUEST, format!("cannot decode the gzip body: {e}")))?;
            if text.len() > limit {
                let why = format!("the body expands to more than {limit} bytes; send it in several");
                return Err((StatusCode::PAYLOAD_TOO_LARGE, why));
            }
            Ok(text)
        }
        Some(other) => {
            let why = format!("content encoding {other:?} is not supported; send gzip or none");
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
