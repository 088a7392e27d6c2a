//! `GET|POST /api/barograph/v1/query`: questions as documents, or as parameters; `…/query/schema`, and `…/query/explain`.
//!
//! A POST whose body is `{"query": {…}}` is a document of the JSON query language; anything else is the short form
//! ([`form`]). Both are answered by the same evaluator, in the same form:
//!
//! `{"results": [{"name", "labels", "dataPoints": [{"timestamp", "value"}]}],
//!   "meta": {"tier", "reason", "error", "points_read", "took_ms", "cached"}}`
//!
//! Timestamps are the starts of buckets in milliseconds since the epoch. Values are numbers, or `"NaN"`, `"+Inf"`,
//! `"-Inf"`, which JSON has no numbers for. `error` is the most that values are off, relative to them.

mod explain;
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
    ApiError, App, Caller,
    body::{BodyError, Whole},
    compress::compressed,
    params::Params,
    problem::Problem,
    reading::read,
};
use crate::{
    Engine,
    queries::{About, Queries, Question},
};

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/api/barograph/v1/query", get(ask).post(ask))
        .route("/api/barograph/v1/query/explain", get(explain::explain).post(explain::explain))
        .route("/api/barograph/v1/query/schema", get(schema))
}

/// `GET …/query/schema`: what documents look like.
async fn schema() -> Response {
    ([(CONTENT_TYPE, "application/schema+json")], json::SCHEMA).into_response()
}

async fn ask(
    State(app): State<App>,
    headers: HeaderMap,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let anew = Params::new(request.uri().query().unwrap_or_default(), &[]).flag("nocache")?;
    let (query, short) = asked(&app, &headers, request).await?;
    let began = engine.clock.monotonic();
    let at = engine.clock.now();
    let reply = run(&engine, caller, query, at, anew).await.map_err(|failure| failure.into_problem(short))?;
    let took_ms = (engine.clock.monotonic() - began).as_secs_f64() * 1e3;
    let body = ([(CONTENT_TYPE, "application/json")], reply.to_json(took_ms)).into_response();
    Ok(compressed(&headers, body))
}

/// Answers a query when it is its turn, under the limits that PromQL has; `anew` without what is kept of results.
pub(super) async fn run(
    engine: &Arc<Engine>,
    caller: Caller,
    query: Query,
    at: Timestamp,
    anew: bool,
) -> Result<Reply, Failure> {
    let (source, query) = (engine.clone(), Arc::new(query));
    let work = {
        let query = query.clone();
        move |budget: &_| {
            let reuse = (!anew).then(|| source.results.reuse(at).without_infos());
            let reply = json::answer_reusing(reuse.as_ref(), &*source.store, &query, at, budget);
            if let Ok(reply) = &reply {
                source.store.note_queried(reply.metrics.iter().map(String::as_str), at);
            }
            outcome(reply)
        }
    };
    settled(Queries::run(engine, question(engine, caller, query, at), work).await)
}

/// A document as a question.
fn question(engine: &Engine, caller: Caller, query: Arc<Query>, at: Timestamp) -> Question {
    let expression = query.to_json().to_string();
    Question { caller, expression, about: About::Document(query, at), timeout: engine.limits().timeout }
}

/// What is wrong with a document is an answer, as far as turns and limits go.
fn outcome<T>(answered: Result<T, Error>) -> Result<Result<T, Invalid>, ApiError> {
    match answered {
        Ok(answer) => Ok(Ok(answer)),
        Err(Error::Invalid(invalid)) => Ok(Err(invalid)),
        Err(Error::Evaluate(error)) => Err(ApiError::from(error)),
        Err(other) => Err(ApiError::internal(other.to_string())),
    }
}

fn settled<T>(outcome: Result<Result<T, Invalid>, ApiError>) -> Result<T, Failure> {
    outcome.map_err(Failure::Api)?.map_err(Failure::Invalid)
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
    read(Query::is_light(&body), move || asked_in(&body)).await
}

/// The query of a body, and whether it is in the short form.
fn asked_in(body: &[u8]) -> Result<(Query, bool), Problem> {
    match asked_document(body)? {
        Value::Object(fields) if !fields.contains_key("query") && fields.contains_key("names") => {
            let params =
                form::of_object(fields).map_err(|text| Problem::new(StatusCode::BAD_REQUEST, text))?;
            Ok((form::query(&params)?, true))
        }
        document => Ok((Query::read(&document).map_err(refused)?, false)),
    }
}

/// Answers what a body asks as of now, for those who come without a request.
pub(crate) async fn of_text(engine: &Arc<Engine>, caller: Caller, body: &str) -> Result<Reply, Problem> {
    let body = body.to_owned();
    let (query, short) = read(Query::is_light(body.as_bytes()), move || asked_in(body.as_bytes())).await?;
    let reply = run(engine, caller, query, engine.clock.now(), false).await;
    reply.map_err(|failure| failure.into_problem(short))
}

/// The document that a body is.
fn asked_document(body: &[u8]) -> Result<Value, Problem> {
    if body.len() > json::DOCUMENT_BYTES_MAX {
        let text = format!("the document is longer than {} bytes", json::DOCUMENT_BYTES_MAX);
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, text));
    }
    serde_json::from_slice(body)
        .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, format!("the body is no JSON: {error}")))
}
