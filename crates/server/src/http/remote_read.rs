//! `POST /api/v1/read`: Prometheus remote read, with samples or as a stream of chunks.
//!
//! A request waits for its turn and is charged like any query. Markers that end a series are among the samples, as the
//! protocol wants it. Series have the external labels of this server, and matchers that ask for just these labels hold.
//! Answered is from raw samples; what only roll-ups still have is not seen.

use std::{io, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use barograph_model::{
    Budget, Histogram, Labels, MatchOp, Matcher, PatternBudget, Sample, Selection, Source, SourceError,
    TimeRange, Timestamp,
};
use barograph_wire::{
    remote_read::{Accepted, Query, Request, Samples, frames},
    remote_write::decompress,
};
use futures_util::{StreamExt, stream};
use tokio::{runtime::Handle, sync::mpsc, time::timeout};

use super::{App, Caller, body::Whole, prom::ApiError, write::supported};
use crate::{
    Engine,
    errors::chain,
    queries::{About, Queries, Question},
};

/// A request decodes to no more than this.
const REQUEST_BYTES_MAX: usize = 4 << 20;
/// An answer in one message takes no more than this; more has to be read as a stream.
const ANSWER_BYTES_MAX: usize = 256 << 20;
/// Frames that may wait for the client.
const FRAMES_WAITING: usize = 4;
/// A client that takes no frame for so long is given up.
const STALLED_MAX: Duration = Duration::from_secs(60);

const STREAM: &str = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";

pub(crate) fn routes() -> Router<App> {
    Router::new().route("/api/v1/read", post(read))
}

async fn read(
    State(app): State<App>,
    headers: HeaderMap,
    caller: Caller,
    Whole(body): Whole,
) -> Result<Response, ApiError> {
    let engine = app.engine()?;
    supported(&headers, &["prometheus.ReadRequest"])
        .map_err(|why| ApiError::bad_data(why).with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE))?;
    let mut scratch = Vec::new();
    let request = decompress(&body, &mut scratch, REQUEST_BYTES_MAX)
        .map_err(|error| ApiError::bad_data(format!("cannot decode the body: {}", chain(&error))))
        .and_then(|decoded| {
            Request::read(decoded)
                .map_err(|error| ApiError::bad_data(format!("cannot read prometheus.ReadRequest: {error}")))
        })?;
    let question = Question {
        caller,
        expression: spelled(&request),
        about: About::Stream,
        timeout: engine.limits().timeout,
    };
    match request.accepted {
        Accepted::Samples => samples(&engine, question, request).await,
        Accepted::Chunks => chunks(&engine, question, request).await,
    }
}

/// Answers in one message.
async fn samples(engine: &Arc<Engine>, question: Question, request: Request) -> Result<Response, ApiError> {
    let work = engine.clone();
    let message = Queries::run(engine, question, move |budget| {
        let mut answer = Samples::default();
        for query in &request.queries {
            each_series(&work, query, budget, &mut |labels, samples, histograms| {
                let before = answer.len();
                answer.series(labels, samples, histograms);
                budget.reserve((answer.len() - before) as u64).map_err(SourceError::from)?;
                if answer.len() > ANSWER_BYTES_MAX {
                    let why = "the answer is too large for one message; read it as STREAMED_XOR_CHUNKS";
                    return Err(ApiError::bad_data(why));
                }
                Ok(())
            })?;
            answer.end_query();
        }
        answer.compressed().map_err(|error| ApiError::internal(error.to_string()))
    });
    let headers = [(header::CONTENT_TYPE, "application/x-protobuf"), (header::CONTENT_ENCODING, "snappy")];
    Ok((headers, message.await?).into_response())
}

/// Answers frame by frame. What goes wrong before the first is an error; after it the stream breaks off.
async fn chunks(engine: &Arc<Engine>, question: Question, request: Request) -> Result<Response, ApiError> {
    let (sender, mut waiting) = mpsc::channel::<Result<Bytes, ApiError>>(FRAMES_WAITING);
    let (engine, runtime) = (engine.clone(), Handle::current());
    tokio::spawn(async move {
        let (work, frames_to) = (engine.clone(), sender.clone());
        let sent = Queries::run(&engine, question, move |budget| {
            for (number, query) in request.queries.iter().enumerate() {
                each_series(&work, query, budget, &mut |labels, samples, histograms| {
                    for frame in frames(number, labels, samples, histograms) {
                        let sending = timeout(STALLED_MAX, frames_to.send(Ok(frame.into())));
                        if !matches!(runtime.block_on(sending), Ok(Ok(()))) {
                            return Err(ApiError::timeout("the client went away or takes nothing"));
                        }
                    }
                    Ok(())
                })?;
            }
            Ok(())
        });
        if let Err(error) = sent.await {
            let _ = timeout(STALLED_MAX, sender.send(Err(error))).await;
        }
    });
    let first = waiting.recv().await.transpose()?;
    let rest = stream::unfold(waiting, |mut waiting| async { Some((waiting.recv().await?, waiting)) });
    let broken = |error: ApiError| io::Error::other(error.text().to_owned());
    let frames = stream::iter(first.map(Ok)).chain(rest.map(move |frame| frame.map_err(broken)));
    let mut response = Body::from_stream(frames).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(STREAM));
    Ok(response)
}

/// Takes a series with its samples and its native histograms.
type Give<'a> = &'a mut dyn FnMut(&Labels, &[Sample], &[(Timestamp, Histogram)]) -> Result<(), ApiError>;

/// Gives out the series of a query in label order, each with all its samples.
fn each_series(engine: &Engine, query: &Query, budget: &Budget, give: Give<'_>) -> Result<(), ApiError> {
    let external = engine.external_labels();
    let Some(matchers) = matchers(query, &external)? else { return Ok(()) };
    let selection = Selection { matchers: &matchers, range: TimeRange::closed(query.start, query.end) };
    let mut natives = engine.store.histograms(&selection, budget)?.into_iter().peekable();
    let mut cursor = engine.store.select(&selection, budget)?;
    let mut give = |labels: &Labels, samples: &[Sample], natives: Vec<(i64, Histogram)>| {
        let natives: Vec<_> = natives.into_iter().map(|(at, native)| (Timestamp(at), native)).collect();
        if samples.is_empty() && natives.is_empty() {
            return Ok(());
        }
        give(&with_external(labels, &external), samples, &natives)
    };
    let mut samples = Vec::new();
    while let Some(labels) = cursor.next_series()? {
        samples.clear();
        while let Some(batch) = cursor.next_batch()? {
            let both = batch.timestamps.iter().zip(batch.values);
            samples.extend(both.map(|(&at, &value)| Sample { at: Timestamp(at), value }));
        }
        while let Some((before, histograms)) = natives.next_if(|native| native.0 < labels) {
            give(&before, &[], histograms)?;
        }
        let own = natives.next_if(|native| native.0 == labels).map(|native| native.1);
        give(&labels, &samples, own.unwrap_or_default())?;
    }
    natives.try_for_each(|(labels, histograms)| give(&labels, &[], histograms))
}

/// The matchers of a query without those that external labels answer; `None` if these say that nothing matches.
fn matchers(query: &Query, external: &Labels) -> Result<Option<Vec<Matcher>>, ApiError> {
    let mut patterns = PatternBudget::default();
    let mut matchers = Vec::with_capacity(query.matchers.len());
    for (name, op, value) in &query.matchers {
        let matcher = Matcher::within(name, *op, value, &mut patterns)
            .map_err(|error| ApiError::bad_data(format!("cannot use the matcher on {name:?}: {error}")))?;
        match external.value(name) {
            // A series that has the label itself keeps it, and is asked for by other matchers than this one.
            Some(own) if *op == MatchOp::Equal && own == value => {}
            _ => matchers.push(matcher),
        }
    }
    Ok(Some(matchers).filter(|_| query.start <= query.end))
}

/// A series as others see it: with the external labels that it does not have itself.
pub(super) fn with_external(labels: &Labels, external: &Labels) -> Labels {
    let mut all = labels.clone();
    for (name, value) in external.iter().filter(|(name, _)| labels.value(name).is_none()) {
        all = all.with(name, value);
    }
    all
}

/// A request as the lists of queries show it.
fn spelled(request: &Request) -> String {
    let mut text = "remote read".to_owned();
    for query in &request.queries {
        let matchers: Vec<_> = query
            .matchers
            .iter()
            .map(|(name, op, value)| format!("{name}{}{value:?}", op.as_str()))
            .collect();
        text.push_str(&format!(" {{{}}} from {} to {}", matchers.join(","), query.start, query.end));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn external() -> Labels {
        Labels::from_pairs([("region", "north"), ("job", "all")]).unwrap()
    }

    #[test]
    fn external_labels_are_added_and_asked_for() {
        let series = Labels::from_pairs([("__name__", "up"), ("job", "api")]).unwrap();
        assert_eq!(with_external(&series, &external()).to_string(), r#"up{job="api", region="north"}"#);
        let query = |matchers: &[(&str, MatchOp, &str)]| Query {
            start: Timestamp(0),
            end: Timestamp(1),
            matchers: matchers.iter().map(|(n, op, v)| ((*n).to_owned(), *op, (*v).to_owned())).collect(),
        };
        let check = |asked: &[(&str, MatchOp, &str)], left: usize| {
            assert_eq!(matchers(&query(asked), &external()).unwrap().unwrap().len(), left, "{asked:?}");
        };
        check(&[("region", MatchOp::Equal, "north"), ("__name__", MatchOp::Equal, "up")], 1);
        check(&[("region", MatchOp::Equal, "south")], 1);
        check(&[("region", MatchOp::Regex, "north")], 1);
        assert!(matchers(&query(&[("a", MatchOp::Regex, "(")]), &external()).is_err());
    }
}
