//! `POST /api/v1/write`: Prometheus remote write, 1.0 here and 2.0 in [`v2`]; the content type says which.
//!
//! The request is walked in place: label bytes go to the store as they lie, and nothing is copied for a series
//! that is known. What is good in a request is stored; what is not is listed, by reason, in a 400.

pub(super) mod v2;

use std::{borrow::Cow, cell::RefCell, collections::BTreeMap, fmt::Write as _};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use barograph_model::{Exemplar, Histogram, Timestamp};
use barograph_tsdb::{Appended, Error as StoreError, HistogramRow, Reason, Row};
use barograph_wire::remote_write::{self, Bounds, Cut, Entry, SnappyError, Unpacked};

use super::{
    App, RequestLimits,
    body::{BodyError, Whole},
};
use crate::{
    Engine, commits::CommitError, config::Durability, current, errors::chain, intake::Refused, memory::Step,
    telemetry::Origin, tenants::scope,
};

/// So many rejected samples are described one by one; of the rest only the number is told.
const EXAMPLES_MAX: usize = 5;

pub(crate) fn routes() -> Router<App> {
    Router::new().route("/api/v1/write", post(write))
}

/// Where it is taken.
const PATH: &str = "/api/v1/write";

async fn write(State(app): State<App>, headers: HeaderMap, body: Result<Whole, BodyError>) -> Response {
    if v2::is_meant(&headers) {
        return v2::write(&app, &headers, body).await;
    }
    match body {
        Ok(Whole(body)) => write_v1(&app, &headers, body).await,
        Err(error) => error.into_response(),
    }
}

async fn write_v1(app: &App, headers: &HeaderMap, body: bytes::Bytes) -> Response {
    let Some(engine) = app.ready() else {
        return refused(StatusCode::SERVICE_UNAVAILABLE, "the store is being opened; send again");
    };
    if engine.memory.sheds(Step::Ingest) {
        return refused(StatusCode::TOO_MANY_REQUESTS, NO_MEMORY);
    }
    if let Err(why) = supported(headers, &[MESSAGE, v2::MESSAGE]) {
        return refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, &why);
    }
    let limits = app.limits();
    let decoded = remote_write::declared_len(&body);
    let stored = if decoded > INLINE_BYTES_MAX {
        let turn = engine.memory.turn(decoded).await;
        let work = engine.clone();
        let stored = current::blocking(move || {
            let stored = store(&work, Origin::RemoteWrite, limits, &body);
            drop(turn);
            stored
        });
        let stored = stored.await;
        stored.unwrap_or_else(|_| {
            Err((StatusCode::INTERNAL_SERVER_ERROR, "storing failed; the log says why".into()))
        })
    } else {
        store(&engine, Origin::RemoteWrite, limits, &body)
    };
    let stored = match stored {
        Ok(stored) => stored,
        Err((status, why)) => return refused(status, &why),
    };
    if let Err(error) = engine.durable(stored.ticket).await {
        return refused(not_durable(&error), &error.to_string());
    }
    match stored.complaint {
        Some(complaint) => refused(StatusCode::BAD_REQUEST, &complaint),
        None => acknowledged(&engine),
    }
}

/// Why a request is refused that may come again.
pub(crate) const NO_MEMORY: &str = "memory is short; send again in a moment";

/// Requests that decode to no more than this, about a millisecond of work, are not worth another thread.
const INLINE_BYTES_MAX: usize = 512 << 10;

/// 204; it says so where an acknowledgement may still be lost with the machine.
pub(super) fn acknowledged(engine: &Engine) -> Response {
    match engine.storage.durability {
        Durability::Batch | Durability::Sync => StatusCode::NO_CONTENT.into_response(),
        Durability::Relaxed => {
            (StatusCode::NO_CONTENT, [("x-barograph-durability", "relaxed")]).into_response()
        }
    }
}

/// An error in words; one that passes by itself also says when to come again.
pub(super) fn refused(status: StatusCode, why: &str) -> Response {
    let mut response = (status, format!("{why}\n")).into_response();
    if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// How the message of 1.0 calls itself in a content type.
pub(super) const MESSAGE: &str = "prometheus.WriteRequest";

/// The media type and encoding of a request must be those of remote write, its message one of these.
pub(super) fn supported(headers: &HeaderMap, messages: &[&str]) -> Result<(), String> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    if let Some(kind) = text(header::CONTENT_TYPE) {
        let mut parts = kind.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        if !media.eq_ignore_ascii_case("application/x-protobuf") {
            return Err(format!("content type {kind:?} is not supported; send application/x-protobuf"));
        }
        for parameter in parts {
            let Some((name, value)) = parameter.split_once('=') else { continue };
            let message = value.trim().trim_matches('"');
            if name.trim().eq_ignore_ascii_case("proto") && !messages.contains(&message) {
                return Err(format!("message {message:?} is not supported; send {}", messages.join(" or ")));
            }
        }
    }
    match text(header::CONTENT_ENCODING) {
        None => Ok(()),
        Some(coding) if coding.eq_ignore_ascii_case("snappy") => Ok(()),
        Some(coding) => Err(format!("content encoding {coding:?} is not supported; send snappy")),
    }
}

/// What became of a request that could be read.
pub(super) struct Stored {
    pub(super) ticket: u64,
    /// Samples in the request.
    pub(super) sent: usize,
    /// Those of them that are stored now.
    pub(super) stored: usize,
    /// What was not stored and why; `None` when all was.
    pub(super) complaint: Option<String>,
}

thread_local! {
    /// Room for one decoded request, kept by each thread that decodes.
    static DECODED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Stores what a body of remote write holds, as coming from `origin`.
pub(super) fn store(
    engine: &Engine,
    origin: Origin,
    limits: RequestLimits,
    body: &[u8],
) -> Result<Stored, (StatusCode, String)> {
    DECODED.with_borrow_mut(|scratch| {
        let stored = remote_write::unpack(body, scratch, limits.decoded_bytes, Bounds::default())
            .map_err(|error| undecoded(&error))
            .and_then(|unpacked| scope::one(|| store_decoded(engine, origin, limits, unpacked)));
        // A large request must not hold its memory for ever: there are many threads.
        if scratch.capacity() > 1 << 20 {
            *scratch = Vec::new();
        }
        stored
    })
}

/// Of a body that is no snappy block, or none that is taken.
fn undecoded(error: &SnappyError) -> Refused {
    (StatusCode::BAD_REQUEST, format!("cannot decode the body: {}", chain(error)))
}

fn store_decoded(
    engine: &Engine,
    origin: Origin,
    limits: RequestLimits,
    Unpacked { bytes: decoded, cut }: Unpacked<'_>,
) -> Result<Stored, (StatusCode, String)> {
    let malformed = |e| (StatusCode::BAD_REQUEST, format!("cannot read prometheus.WriteRequest: {e}"));
    let mut rows: Vec<Row<'_>> = Vec::with_capacity(decoded.len() / 128);
    // The series of an encoder that puts other fields between the labels, whose bytes had to be gathered.
    let mut gathered = Vec::new();
    let mut metadata = Vec::new();
    let mut with_exemplars = Vec::new();
    let mut histograms = Histograms::default();
    for entry in remote_write::entries(decoded) {
        match entry.map_err(malformed)? {
            Entry::Sample { labels, sample } => {
                rows.push(Row { labels, at: sample.at.0, value: sample.value });
            }
            Entry::Series(series) => {
                if let Cow::Borrowed(labels) = series.labels {
                    for sample in series.samples() {
                        let sample = sample.map_err(malformed)?;
                        rows.push(Row { labels, at: sample.at.0, value: sample.value });
                    }
                } else {
                    gathered.push(series.clone());
                }
                if series.has_more {
                    histograms.read(&series).map_err(malformed)?;
                    with_exemplars.push(series);
                }
            }
            Entry::Metadata(entry) => metadata.push(entry),
        }
        check_count(rows.len() + histograms.sent, limits)?;
    }
    for series in &gathered {
        for sample in series.samples() {
            let sample = sample.map_err(malformed)?;
            rows.push(Row { labels: &series.labels, at: sample.at.0, value: sample.value });
        }
    }
    check_count(rows.len(), limits)?;
    let appended = engine.append(origin, &rows).map_err(|e| not_stored(&e))?;
    for entry in metadata {
        engine.store.set_metadata(&entry.name, &entry.metadata);
    }
    for series in with_exemplars {
        keep_exemplars(engine, &series);
    }
    if appended.rejected.iter().any(|rejected| rejected.reason == Reason::TooManyLate) {
        // They will have room soon, and what was stored already does no harm.
        return Err((StatusCode::TOO_MANY_REQUESTS, Reason::TooManyLate.to_string()));
    }
    let kept = histograms.store(engine, origin).map_err(|e| not_stored(&e))?;
    if kept.too_many_late {
        return Err((StatusCode::TOO_MANY_REQUESTS, Reason::TooManyLate.to_string()));
    }
    let ticket = appended.ticket.max(kept.ticket);
    if cut.is_some() {
        engine.telemetry.rejected(Reason::TooManyLabels);
    }
    let (sent, stored) = (rows.len() + kept.sent + usize::from(cut.is_some()), appended.stored + kept.stored);
    Ok(Stored { ticket, sent, stored, complaint: complaint(&rows, &appended, &kept, cut) })
}

/// Refuses a request of more samples than one may bring.
pub(crate) fn check_count(samples: usize, limits: RequestLimits) -> Result<(), (StatusCode, String)> {
    if samples > limits.samples {
        let why = format!("more than {} samples in one request; send them in several", limits.samples);
        return Err((StatusCode::BAD_REQUEST, why));
    }
    Ok(())
}

/// Exemplars are examples: one that cannot be kept is left out and never fails the request.
fn keep_exemplars(engine: &Engine, series: &remote_write::Series<'_>) {
    let Ok(labels) = remote_write::parse_labels(&series.labels) else { return };
    for exemplar in series.exemplars().flatten() {
        if let Ok(own) = remote_write::parse_labels(&exemplar.labels) {
            engine.store.append_exemplar(&labels, Exemplar { labels: own, sample: exemplar.sample });
        }
    }
}

/// Label bytes for a human, unless they are longer than anyone reads.
pub(super) fn spelled(labels: &[u8]) -> String {
    if labels.len() > SPELLED_BYTES_MAX {
        return format!("(labels of {} bytes)", labels.len());
    }
    remote_write::parse_labels(labels).map_or_else(|error| format!("({error})"), |labels| labels.to_string())
}

/// Labels that are longer are not spelled out in a complaint.
const SPELLED_BYTES_MAX: usize = 16 << 10;

/// The status for a request of which nothing was stored: one after which senders try again.
pub(crate) fn not_stored(error: &StoreError) -> (StatusCode, String) {
    let status = match error {
        StoreError::Overloaded { .. } | StoreError::TooFast { .. } => StatusCode::TOO_MANY_REQUESTS,
        error if error.is_full() => StatusCode::INSUFFICIENT_STORAGE,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, format!("cannot store the request: {}", chain(error)))
}

/// The status for a request that is not on the disk: 507 where that is full.
pub(crate) fn not_durable(error: &CommitError) -> StatusCode {
    if error.full { StatusCode::INSUFFICIENT_STORAGE } else { StatusCode::SERVICE_UNAVAILABLE }
}

/// The native histograms of a request.
#[derive(Default)]
struct Histograms {
    sent: usize,
    /// Labels as sent, time, and what was observed.
    good: Vec<(Vec<u8>, i64, Histogram)>,
    /// Why and of which series others were refused.
    bad: Vec<String>,
}

/// What became of the native histograms of a request.
#[derive(Default)]
struct Kept {
    sent: usize,
    stored: usize,
    ticket: u64,
    refused: Vec<String>,
    too_many_late: bool,
}

impl Histograms {
    fn read(&mut self, series: &remote_write::Series<'_>) -> Result<(), remote_write::Malformed> {
        for entry in series.histograms() {
            let entry = entry?;
            self.sent += 1;
            match entry.histogram {
                Ok(histogram) => self.good.push((series.labels.to_vec(), entry.at.0, histogram)),
                Err(error) => self.bad.push(error.to_string()),
            }
        }
        Ok(())
    }

    fn store(self, engine: &Engine, origin: Origin) -> Result<Kept, StoreError> {
        let mut kept = Kept { sent: self.sent, refused: self.bad, ..Kept::default() };
        if !self.good.is_empty() {
            let rows: Vec<_> = self
                .good
                .iter()
                .map(|(labels, at, histogram)| HistogramRow { labels, at: *at, histogram })
                .collect();
            let appended = engine.append_histograms(origin, &rows)?;
            kept.stored = appended.stored;
            kept.ticket = appended.ticket;
            kept.too_many_late = appended.rejected.iter().any(|row| row.reason == Reason::TooManyLate);
            kept.refused.extend(appended.rejected.iter().map(|rejected| rejected.reason.to_string()));
        }
        Ok(kept)
    }
}

/// What was not stored, by reason, with a few examples; `None` when all was.
fn complaint(rows: &[Row<'_>], appended: &Appended, kept: &Kept, cut: Option<Cut>) -> Option<String> {
    if appended.rejected.is_empty() && kept.refused.is_empty() && cut.is_none() {
        return None;
    }
    // Of a series that was not read it is known only that it has something.
    let (stored, total) =
        (appended.stored + kept.stored, rows.len() + kept.sent + usize::from(cut.is_some()));
    let mut text = format!("{stored} of {total} samples stored");
    let mut by_reason: BTreeMap<String, usize> = BTreeMap::new();
    for rejected in &appended.rejected {
        *by_reason.entry(rejected.reason.to_string()).or_default() += 1;
    }
    for reason in &kept.refused {
        *by_reason.entry(format!("native histogram: {reason}")).or_default() += 1;
    }
    if cut.is_some() {
        *by_reason.entry(Reason::TooManyLabels.to_string()).or_default() += 1;
    }
    for (reason, count) in by_reason {
        let _ = write!(text, "\n{count} × {reason}");
    }
    if let Some(Cut { series, bytes }) = cut {
        let _ = write!(
            text,
            "\nseries {series} has {bytes} bytes and more than 1 MiB of labels; it and what follows were not read, send \
             those in other requests"
        );
    }
    for rejected in appended.rejected.iter().take(EXAMPLES_MAX) {
        let row = &rows[rejected.row];
        let series = spelled(row.labels);
        let _ = write!(text, "\n{series} at {}: {}", Timestamp(row.at), rejected.reason);
    }
    Some(text)
}
