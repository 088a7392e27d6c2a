//! One request of OTLP, from its bytes to its answer, whichever port it came by.

use axum::http::StatusCode;
use barograph_tsdb::{HistogramRow, Row};
use barograph_wire::otlp::{
    json,
    metrics::{Error, Limits, translate},
    reply::{Encoding, Partial},
};
use bytes::Bytes;

use super::Coding;
use crate::{
    Engine,
    http::{App, RequestLimits, not_durable},
    intake::{Refused, Rows, admitted},
    telemetry::Origin,
    zeros::Zeros,
};

/// What a request of logs is told.
pub(crate) const NO_LOGS: &str = "logs are not kept here; send metrics and traces, and logs elsewhere";

/// All labels of a request take at most this part of the bytes that its body may have: those of a resource are written once a
/// series.
const LABELS_PART: usize = 2;
/// A request takes about so many times its bytes while it is worked on; a compressed one this many times more.
const COST: usize = 4;
/// See [`COST`].
const COMPRESSED_COST: usize = 8;

/// Takes an `ExportMetricsServiceRequest`; the answer is true when what was stored is durable.
///
/// # Errors
/// It cannot be read, or nothing can be stored now.
pub(crate) async fn metrics(
    app: &App,
    body: Bytes,
    encoding: Encoding,
    coding: Coding,
) -> Result<Partial, Refused> {
    let cost = cost(body.len(), coding);
    let work = move |engine: &Engine, limits: RequestLimits| {
        let body = protobuf(body, encoding, coding, limits, json::metrics_to_protobuf)?;
        store(engine, limits, &body)
    };
    Ok(admitted(app, cost, work).await?.1)
}

/// Takes an `ExportTraceServiceRequest`; the answer is true when what was kept is durable.
///
/// # Errors
/// It cannot be read, or nothing can be kept now.
pub(crate) async fn traces(
    app: &App,
    body: Bytes,
    encoding: Encoding,
    coding: Coding,
) -> Result<Partial, Refused> {
    let cost = cost(body.len(), coding);
    let work = move |engine: &Engine, limits: RequestLimits| {
        let body = protobuf(body, encoding, coding, limits, json::traces_to_protobuf)?;
        // Spans have tickets of their own.
        Ok((0, engine.spans.accept(&body)?))
    };
    let (engine, accepted) = admitted(app, cost, work).await?;
    let durable = engine.spans.durable(accepted.ticket).await;
    durable.map_err(|error| (not_durable(&error), error.to_string()))?;
    Ok(Partial { rejected: accepted.rejected as u64, message: accepted.why.unwrap_or_default() })
}

/// The status for a refusal that senders understand: they try again after 429, 502, 503 and 504 alone.
pub(crate) fn retryable((status, why): Refused) -> Refused {
    match status {
        StatusCode::INSUFFICIENT_STORAGE => (StatusCode::SERVICE_UNAVAILABLE, why),
        status => (status, why),
    }
}

fn cost(len: usize, coding: Coding) -> usize {
    let packed = if coding == Coding::Plain { 1 } else { COMPRESSED_COST };
    len.saturating_mul(COST * packed)
}

/// A body as protobuf, whatever it came as.
fn protobuf(
    body: Bytes,
    encoding: Encoding,
    coding: Coding,
    limits: RequestLimits,
    of_json: fn(&[u8]) -> Result<Vec<u8>, json::NotJson>,
) -> Result<Bytes, Refused> {
    let body = coding.unpack(body, limits.decoded_bytes())?;
    match encoding {
        Encoding::Protobuf => Ok(body),
        Encoding::Json => match of_json(&body) {
            Ok(body) => Ok(body.into()),
            Err(error) => Err((StatusCode::BAD_REQUEST, error.to_string())),
        },
    }
}

fn store(engine: &Engine, limits: RequestLimits, body: &[u8]) -> Result<(u64, Partial), Refused> {
    let limits = Limits { samples: limits.samples(), label_bytes: limits.decoded_bytes() / LABELS_PART };
    let mut translated = translate(body, &engine.otlp.settings, limits).map_err(|error| {
        let about = match error {
            Error::Malformed(_) => "cannot read ExportMetricsServiceRequest: ",
            _ => "",
        };
        (StatusCode::BAD_REQUEST, format!("{about}{error}"))
    })?;
    engine.otlp.accumulate(&mut translated, engine.clock.now().millis());
    if engine.storage.start_time_zeros {
        let mut zeros = Zeros::default();
        for it in translated.samples.iter().filter(|it| it.start > 0) {
            zeros.sample(engine, translated.labels_of(it), (it.start, it.at, it.value));
        }
        for it in translated.histograms.iter().filter(|it| it.start > 0) {
            zeros.histogram(engine, translated.histogram_labels(it), (it.start, it.at, &it.histogram));
        }
        zeros.store(engine, Origin::Otlp);
    }
    let samples: Vec<_> = translated
        .samples
        .iter()
        .map(|it| Row { labels: translated.labels_of(it), at: it.at, value: it.value })
        .collect();
    let histograms: Vec<_> = translated
        .histograms
        .iter()
        .map(|it| HistogramRow {
            labels: translated.histogram_labels(it),
            at: it.at,
            histogram: &it.histogram,
        })
        .collect();
    let rows = Rows {
        samples: &samples,
        histograms: &histograms,
        metadata: &translated.metadata,
        exemplars: &translated.exemplars,
    };
    let taken = rows.store(engine, Origin::Otlp)?;
    let left: Vec<_> = taken
        .left
        .iter()
        .map(|left| match left.histogram {
            true => (translated.histograms[left.place].point, left.reason),
            false => (translated.samples[left.place].point, left.reason),
        })
        .collect();
    for (point, reason) in left {
        translated.refuse(point, || reason.to_string());
    }
    let rejected = translated.refused() as u64;
    engine.otlp.instruments.points_refused.add(rejected);
    Ok((taken.ticket, Partial { rejected, message: translated.reasons() }))
}
