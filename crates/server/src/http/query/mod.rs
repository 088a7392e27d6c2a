//! `GET|POST /api/barograph/v1/query`: questions as documents, or as parameters; and `…/query/schema`.
//!
//! A POST whose body is `{"query": {…}}` is a document of the JSON query language; anything else is the short form
//! ([`form`]). Both are answered by the same evaluator, in the same form:
//!
//! `{"results": [{"name", "labels", "dataPoints": [{"timestamp", "value"}]}],
//!   "meta": {"tier", "reason", "error", "points_read", "took_ms", "cached"}}`
//!
//! Timestamps are the starts of buckets in milliseconds since the epoch. Values are numbers, or `"NaN"`, `"+Inf"`,
//! `"-Inf"`, which JSON has no numbers for. `error` is the most that values are off, relative to them.

mod form;

use std::sync::Arc;

use axum::{
    Router,
    extract::{FromRequest, Request, State},
    http::{HeaderMap, Method, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use barograph_model::Timestamp;
use barograph_query::json::{self, Error, Invalid, Query, Reply};
use serde_json::Value;

use super::{
    App,
    body::{BodyError, Whole},
    compress::compressed,
    params::Params,
    problem::Problem,
    prom::{self, ApiError},
};
use crate::Engine;

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/api/barograph/v1/query", get(ask).post(ask))
        .route("/api/barograph/v1/query/schema", get(schema))
}

/// `GET …/query/schema`: what documents look like.
async fn schema() -> Response {
    ([(CONTENT_TYPE, "application/schema+json")], json::SCHEMA).into_response()
}

async fn ask(State(app): State<App>, headers: HeaderMap, request: Request) -> Result<Response, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let anew = Params::new(request.uri().query().unwrap_or_default(), &[]).flag("nocache")?;
    let (query, short) = asked(&app, &headers, request).await?;
    let began = engine.clock.monotonic();
    let at = engine.clock.now();
    let reply = run(&engine, query, at, anew).await.map_err(|failure| failure.into_problem(short))?;
    let took_ms = (engine.clock.monotonic() - began).as_secs_f64() * 1e3;
    let body = ([(CONTENT_TYPE, "application/json")], reply.to_json(took_ms)).into_response();
    Ok(compressed(&headers, body))
}

/// Answers a query when it is its turn, under the limits that PromQL has; `anew` without what is kept of results.
pub(super) async fn run(
    engine: &Arc<Engine>,
    query: Query,
    at: Timestamp,
    anew: bool,
) -> Result<Reply, Failure> {
    let source = engine.clone();
    let work = move |budget: &_| {
        let reuse = (!anew).then(|| source.results.reuse(at).without_infos());
        match json::answer_reusing(reuse.as_ref(), &*source.store, &query, at, budget) {
            Ok(reply) => {
                source.store.note_queried(reply.metrics.iter().map(String::as_str), at);
                Ok(Ok(reply))
            }
            Err(Error::Invalid(invalid)) => Ok(Err(invalid)),
            Err(Error::Evaluate(error)) => Err(ApiError::from(error)),
            Err(other) => Err(ApiError::internal(other.to_string())),
        }
    };
    match prom::run(engine, engine.limits.timeout, work).await {
        Ok(Ok(reply)) => Ok(reply),
        Ok(Err(invalid)) => Err(Failure::Invalid(invalid)),
        Err(error) => Err(Failure::Api(error)),
    }
}

/// The query that parameters mean of one metric, each series by itself.
pub(super) fn parameters(name: &str, params: &Params) -> Result<Query, ApiError> {
    let others = params.but("names").chain([("names".to_owned(), name.to_owned())]);
    form::query(&Params::of(others.collect()))
}

/// Why a query has no answer.
pub(super) enum Failure {
    Invalid(Invalid),
    Api(ApiError),
}

impl Failure {
    /// In the form of our own API; of parameters, what is wrong is said of the parameter.
    pub(super) fn into_problem(self, short: bool) -> Problem {
        match self {
            Self::Api(error) => error.into(),
            Self::Invalid(invalid) if short => {
                let name = match invalid.path.as_str() {
                    "query.filter.timeRange" => "end",
                    path if path.contains(".window") => "step",
                    path if path.starts_with("query.aggregations") => "function",
                    path if path.starts_with("query.filter.dimensions") => "labels",
                    _ => "names",
                };
                ApiError::bad_parameter(name, &invalid.message).into()
            }
            Self::Invalid(invalid) => refused(invalid),
        }
    }
}

/// 400, with the path to what is wrong.
fn refused(invalid: Invalid) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, invalid.to_string()).at(invalid.path)
}

/// The query of a request, and whether it came in the short form.
async fn asked(app: &App, headers: &HeaderMap, request: Request) -> Result<(Query, bool), Problem> {
    let url = request.uri().query().unwrap_or_default().to_owned();
    if request.method() != Method::POST {
        return Ok((form::query(&Params::new(&url, &[]))?, true));
    }
    let body = Whole::from_request(request, app).await;
    let Whole(body) = body.map_err(|e: BodyError| Problem::new(e.status(), e.to_string()))?;
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.starts_with("application/x-www-form-urlencoded") {
        return Ok((form::query(&Params::new(&url, &body))?, true));
    }
    if body.len() > json::DOCUMENT_BYTES_MAX {
        let text = format!("the document is longer than {} bytes", json::DOCUMENT_BYTES_MAX);
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, text));
    }
    let bad = |text: String| Problem::new(StatusCode::BAD_REQUEST, text);
    let document: Value =
        serde_json::from_slice(&body).map_err(|e| bad(format!("the body is no JSON: {e}")))?;
    match document {
        Value::Object(fields) if !fields.contains_key("query") && fields.contains_key("names") => {
            Ok((form::query(&form::of_object(fields).map_err(bad)?)?, true))
        }
        document => Ok((Query::read(&document).map_err(refused)?, false)),
    }
}
