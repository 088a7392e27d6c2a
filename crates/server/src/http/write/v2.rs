//! Remote write 2.0: `io.prometheus.write.v2.Request`.
//!
//! Every answer says in its headers how many samples, histograms and exemplars were stored, which is how a sender knows
//! that it is understood. What is wrong with one series or sample is listed in a 400, and the rest is stored. Where the
//! store fails in between, the answer is one after which all of it may be sent again: what was stored already counts as
//! stored then.
//!
//! Labels of a request are written out piece by piece, so that a small table of symbols cannot become much memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{Display, Write as _},
    ops::Range,
};

use axum::{
    extract::Request as HttpRequest,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::Response,
};
use barograph_model::{Exemplar, Histogram, Metadata, MetricType, Timestamp};
use barograph_tsdb::{Appended, ExemplarFate, HistogramRow, Reason, Row};
use barograph_wire::remote_write::{
    self, Bounds, Malformed, Unreadable,
    v2::{Request, SampleEntry, Series},
};

use super::{
    super::{
        App, RequestLimits,
        body::{BodyError, Whole},
    },
    EXAMPLES_MAX, PATH, acknowledged, check_count, not_stored, refused, spelled, supported, undecoded,
};
use crate::{
    Engine,
    intake::{self, Refused},
    telemetry::Origin,
    zeros::Zeros,
};

/// How the message calls itself in a content type.
pub(super) const MESSAGE: &str = "io.prometheus.write.v2.Request";

/// Labels are stored when this many bytes of them are written out.
const PIECE_BYTES: usize = 4 << 20;

/// All labels of a request together may take so many times what its body may.
const EXPANSION_MAX: usize = 16;

/// Characters that the labels of an exemplar may have together; others are left out.
const EXEMPLAR_CHARS_MAX: usize = 128;

/// So many things that are wrong are told apart; the others are counted together.
const WRONG_MAX: usize = 20;

/// What is wrong with a series that says nothing, or has exemplars alone and is not known.
const NEITHER: &str = "series has neither samples nor histograms";

const SAMPLES: HeaderName = HeaderName::from_static("x-prometheus-remote-write-samples-written");
const HISTOGRAMS: HeaderName = HeaderName::from_static("x-prometheus-remote-write-histograms-written");
const EXEMPLARS: HeaderName = HeaderName::from_static("x-prometheus-remote-write-exemplars-written");

/// Whether a request says that it is of this version.
pub(super) fn is_meant(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').skip(1).filter_map(|part| part.split_once('=')).any(|(name, value)| {
        name.trim().eq_ignore_ascii_case("proto") && value.trim().trim_matches('"') == MESSAGE
    })
}

pub(super) async fn write(app: &App, headers: &HeaderMap, body: Result<Whole, BodyError>) -> Response {
    let stored = match body {
        Ok(Whole(body)) => answer(app, headers, body).await,
        Err(error) => Err((error.status(), error.to_string())),
    };
    let (written, mut response) = match stored {
        Ok((written, response)) => (written, response),
        Err((status, why)) => (Written::default(), refused(status, &why)),
    };
    told(&mut response, written);
    response
}

/// Says how much was stored, unless that is said already.
fn told(response: &mut Response, written: Written) {
    for (name, count) in
        [(SAMPLES, written.samples), (HISTOGRAMS, written.histograms), (EXEMPLARS, written.exemplars)]
    {
        response.headers_mut().entry(name).or_insert(HeaderValue::from(count));
    }
}

/// A request that is refused before it comes here is answered as all others: nothing of it was stored.
pub(in crate::http) async fn around(request: HttpRequest, next: Next) -> Response {
    let is_meant = request.uri().path() == PATH && is_meant(request.headers());
    let mut response = next.run(request).await;
    if is_meant {
        told(&mut response, Written::default());
    }
    response
}

async fn answer(app: &App, headers: &HeaderMap, body: bytes::Bytes) -> Result<(Written, Response), Refused> {
    supported(headers, &[MESSAGE]).map_err(|why| (StatusCode::UNSUPPORTED_MEDIA_TYPE, why))?;
    let cost = remote_write::declared_len(&body);
    let (engine, outcome) =
        intake::admitted(app, cost, move |engine, limits| store(engine, limits, &body)).await?;
    let response = match outcome.complaint {
        None => acknowledged(&engine),
        Some((status, why)) => refused(status, &why),
    };
    Ok((outcome.written, response))
}

/// How many of each were stored, or were already.
#[derive(Clone, Copy, Debug, Default)]
struct Written {
    samples: usize,
    histograms: usize,
    exemplars: usize,
}

/// What became of a request that could be read.
struct Outcome {
    written: Written,
    /// What was not stored and why; `None` when all was.
    complaint: Option<Refused>,
}

fn store(engine: &Engine, limits: RequestLimits, body: &[u8]) -> Result<(u64, Outcome), Refused> {
    let mut decoded = Vec::new();
    let decoded = remote_write::unpack_v2(body, &mut decoded, limits.decoded_bytes, Bounds::default())
        .map_err(|error| match error {
            Unreadable::Message(error) => malformed(error),
            Unreadable::Block(error) => undecoded(&error),
            _ => (StatusCode::BAD_REQUEST, "cannot decode the body".to_owned()),
        })?;
    let request = Request::read(decoded).map_err(malformed)?;
    let mut storing = Storing::of(engine);
    let stored = storing.request(&request, limits);
    let (ticket, written) = (storing.ticket, storing.written);
    // What was stored before something failed is told: it stays, and may be sent again.
    let complaint = stored.err().or_else(|| storing.complaint());
    Ok((ticket, Outcome { written, complaint }))
}

fn malformed(error: Malformed) -> Refused {
    (StatusCode::BAD_REQUEST, format!("cannot read {MESSAGE}: {error}"))
}

/// A request on its way into the store.
struct Storing<'e> {
    engine: &'e Engine,
    piece: Piece,
    ticket: u64,
    written: Written,
    /// Samples and histograms in all.
    sent: usize,
    /// Bytes of labels that were written out.
    expanded: usize,
    /// How often each thing was wrong.
    wrong: BTreeMap<String, usize>,
    /// The first few of them, with their series.
    examples: Vec<String>,
}

/// What is stored in one go. Labels are ranges of one buffer.
#[derive(Default)]
struct Piece {
    labels: Vec<u8>,
    samples: Vec<(Range<usize>, i64, f64)>,
    histograms: Vec<(Range<usize>, i64, Histogram)>,
    exemplars: Vec<(Range<usize>, Exemplar)>,
    /// Series that have exemplars alone.
    alone: Vec<Range<usize>>,
    /// Where counting began.
    zeros: Zeros,
    metadata: BTreeMap<String, Metadata>,
}

impl<'e> Storing<'e> {
    fn of(engine: &'e Engine) -> Self {
        Self {
            engine,
            piece: Piece::default(),
            ticket: 0,
            written: Written::default(),
            sent: 0,
            expanded: 0,
            wrong: BTreeMap::new(),
            examples: Vec::new(),
        }
    }

    fn request(&mut self, request: &Request<'_>, limits: RequestLimits) -> Result<(), Refused> {
        let mut series_count = 0;
        for series in request.series() {
            let series = series.map_err(malformed)?;
            self.sent += series.samples + series.histograms;
            series_count += 1;
            check_count(self.sent.max(series_count), limits)?;
            self.series(&series)?;
            if self.expanded > limits.decoded_bytes.saturating_mul(EXPANSION_MAX) {
                let why = "the labels of all series together are too long; send them in several requests";
                return Err((StatusCode::BAD_REQUEST, why.to_owned()));
            }
            if self.piece.labels.len() >= PIECE_BYTES {
                self.store_piece()?;
            }
        }
        self.store_piece()
    }

    /// Takes a series into the piece, unless something is wrong with it as a whole.
    fn series(&mut self, series: &Series<'_, '_>) -> Result<(), Refused> {
        let start = self.piece.labels.len();
        let told = series.put_labels(&mut self.piece.labels);
        self.expanded += self.piece.labels.len() - start;
        let labels = start..self.piece.labels.len();
        let count = (series.samples + series.histograms).max(1);
        let wrong = match (told, series.samples, series.histograms) {
            (Err(error), ..) => Some(error.to_string()),
            // Prometheus up to 3.5 sends exemplars so, beside the samples of their series.
            (_, 0, 0) if series.exemplars > 0 => None,
            (_, 0, 0) => Some(NEITHER.to_owned()),
            (_, 1.., 1..) => Some("series has both samples and histograms".to_owned()),
            _ => None,
        };
        if let Some(wrong) = wrong {
            let example = spelled(&self.piece.labels[labels]);
            self.note(&wrong, count, || example);
            self.piece.labels.truncate(start);
            return Ok(());
        }
        if series.samples + series.histograms == 0 {
            self.piece.alone.push(labels.clone());
        }
        for entry in series.samples() {
            let SampleEntry { sample, start } = entry.map_err(malformed)?;
            if let Some(start) = start.or(series.created).filter(|_| self.engine.storage.start_time_zeros) {
                let said = (start.0, sample.at.0, sample.value);
                self.piece.zeros.sample(self.engine, &self.piece.labels[labels.clone()], said);
            }
            self.piece.samples.push((labels.clone(), sample.at.0, sample.value));
        }
        for entry in series.histograms() {
            let entry = entry.map_err(malformed)?;
            if let Some(start) =
                entry.start.or(series.created).filter(|_| self.engine.storage.start_time_zeros)
                && let Ok(histogram) = &entry.histogram
            {
                let said = (start.0, entry.at.0, histogram);
                self.piece.zeros.histogram(self.engine, &self.piece.labels[labels.clone()], said);
            }
            match entry.histogram {
                Ok(histogram) => self.piece.histograms.push((labels.clone(), entry.at.0, histogram)),
                Err(error) => {
                    let example = format!("{} at {}", spelled(&self.piece.labels[labels.clone()]), entry.at);
                    self.note(&error, 1, || example);
                }
            }
        }
        for entry in series.exemplars() {
            let entry = entry.map_err(malformed)?;
            let own = entry.labels.map_err(|error| error.to_string());
            let own = own.and_then(|own| remote_write::parse_labels(&own).map_err(|error| error.to_string()));
            match own {
                Ok(own) => {
                    let chars = own.iter().map(|(name, value)| name.chars().count() + value.chars().count());
                    if chars.sum::<usize>() <= EXEMPLAR_CHARS_MAX {
                        let exemplar = Exemplar { labels: own, sample: entry.sample };
                        self.piece.exemplars.push((labels.clone(), exemplar));
                    }
                }
                Err(error) => {
                    let example = spelled(&self.piece.labels[labels.clone()]);
                    self.note(&format!("exemplar: {error}"), 1, || example);
                }
            }
        }
        if let Some(metadata) = series.metadata().map_err(malformed)?
            && let Ok(labels) = remote_write::parse_labels(&self.piece.labels[labels])
            && let Some(name) = labels.metric_name()
        {
            self.piece.metadata.insert(family(name, metadata.kind).to_owned(), metadata);
        }
        Ok(())
    }

    /// Stores what was taken so far.
    fn store_piece(&mut self) -> Result<(), Refused> {
        let piece = std::mem::take(&mut self.piece);
        let labels_of = |range: &Range<usize>| &piece.labels[range.clone()];
        piece.zeros.store(self.engine, Origin::RemoteWrite);
        let mut too_many_late = false;
        if !piece.samples.is_empty() {
            let rows = piece.samples.iter().map(|(labels, at, value)| Row {
                labels: labels_of(labels),
                at: *at,
                value: *value,
            });
            let rows: Vec<_> = rows.collect();
            let appended =
                self.engine.append(Origin::RemoteWrite, &rows).map_err(|error| not_stored(&error))?;
            // Those that went to a series of what is over a limit, too, are as stored as they can be.
            self.written.samples += appended.stored + appended.merged;
            too_many_late |= self.take(&appended, "", |row| (rows[row].labels, rows[row].at));
        }
        if !piece.histograms.is_empty() {
            let rows = piece.histograms.iter().map(|(labels, at, histogram)| HistogramRow {
                labels: labels_of(labels),
                at: *at,
                histogram,
            });
            let rows: Vec<_> = rows.collect();
            let appended = self.engine.append_histograms(Origin::RemoteWrite, &rows);
            let appended = appended.map_err(|error| not_stored(&error))?;
            self.written.histograms += appended.stored + appended.merged;
            too_many_late |=
                self.take(&appended, "native histogram: ", |row| (rows[row].labels, rows[row].at));
        }
        if too_many_late {
            // They will have room soon, and what was stored already does no harm.
            return Err((StatusCode::TOO_MANY_REQUESTS, Reason::TooManyLate.to_string()));
        }
        let mut unknown = BTreeSet::new();
        for range in &piece.alone {
            let known = remote_write::parse_labels(labels_of(range));
            if !known.is_ok_and(|labels| self.engine.store.knows(&labels)) {
                unknown.insert(range.start);
                self.note(&NEITHER, 1, || spelled(labels_of(range)));
            }
        }
        for (range, exemplar) in &piece.exemplars {
            let Ok(labels) = remote_write::parse_labels(labels_of(range)) else { continue };
            if labels.metric_name().is_none() || unknown.contains(&range.start) {
                continue;
            }
            match self.engine.store.append_exemplar_in_order(&labels, exemplar.clone()) {
                ExemplarFate::Kept | ExemplarFate::Known => self.written.exemplars += 1,
                ExemplarFate::OutOfOrder => {
                    self.note(&"out of order exemplar", 1, || format!("{labels} at {}", exemplar.sample.at));
                }
                ExemplarFate::Off => {}
            }
        }
        for (name, metadata) in &piece.metadata {
            self.engine.store.set_metadata(name, metadata);
        }
        Ok(())
    }

    /// Takes what was rejected; whether some of it will have room soon.
    fn take<'l>(&mut self, appended: &Appended, what: &str, row: impl Fn(usize) -> (&'l [u8], i64)) -> bool {
        self.ticket = self.ticket.max(appended.ticket);
        for rejected in &appended.rejected {
            let (labels, at) = row(rejected.row);
            let reason = format!("{what}{}", rejected.reason);
            self.note(&reason, 1, || format!("{} at {}", spelled(labels), Timestamp(at)));
        }
        appended.rejected.iter().any(|rejected| rejected.reason == Reason::TooManyLate)
    }

    fn note(&mut self, wrong: &dyn Display, count: usize, example: impl FnOnce() -> String) {
        let wrong = wrong.to_string();
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(format!("{}: {wrong}", example()));
        }
        let is_known = self.wrong.contains_key(&wrong) || self.wrong.len() < WRONG_MAX;
        let wrong = if is_known { wrong } else { "something else".to_owned() };
        *self.wrong.entry(wrong).or_default() += count;
    }

    fn complaint(&self) -> Option<Refused> {
        if self.wrong.is_empty() {
            return None;
        }
        let stored = self.written.samples + self.written.histograms;
        let mut text = format!("{stored} of {} samples stored", self.sent);
        for (wrong, count) in &self.wrong {
            let _ = write!(text, "\n{count} × {wrong}");
        }
        for example in &self.examples {
            let _ = write!(text, "\n{example}");
        }
        Some((StatusCode::BAD_REQUEST, text))
    }
}

/// The family that a series belongs to: its name without what its type adds.
fn family(name: &str, kind: MetricType) -> &str {
    let suffixes: &[&str] = match kind {
        MetricType::Histogram => &["_bucket", "_count", "_sum"],
        MetricType::GaugeHistogram => &["_bucket", "_gcount", "_gsum", "_count", "_sum"],
        MetricType::Summary => &["_count", "_sum"],
        _ => &[],
    };
    suffixes.iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_type_says_the_version() {
        let check = |kind: &str, expected| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(kind).unwrap());
            assert_eq!(is_meant(&headers), expected, "{kind}");
        };
        check("application/x-protobuf", false);
        check("application/x-protobuf;proto=prometheus.WriteRequest", false);
        check("application/x-protobuf;proto=io.prometheus.write.v2.Request", true);
        check("application/x-protobuf; Proto=\"io.prometheus.write.v2.Request\"", true);
        check("application/x-protobuf;proto=io.prometheus.write.v3.Request", false);
    }

    #[test]
    fn metadata_is_of_families() {
        assert_eq!(family("x_bucket", MetricType::Histogram), "x");
        assert_eq!(family("x_bucket", MetricType::Counter), "x_bucket");
        assert_eq!(family("x_sum", MetricType::Summary), "x");
        assert_eq!(family("x_total", MetricType::Counter), "x_total");
    }
}
