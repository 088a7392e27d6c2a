//! `GET|POST /api/barograph/v1/query/explain`: what a query comes down to, part by part; with `analyze=true` also what it
//! did, without its result.
//!
//! A question is asked as of `/api/v1/query` or, with `start`, as of `/api/v1/query_range`; a POST of JSON is a document of
//! the JSON language. What is answered is written down with [`Plan`].

use std::sync::Arc;

use axum::{
    extract::{FromRequest, Request, State},
    http::{HeaderMap, Method, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use barograph_query::{
    When,
    explain::{self, Plan},
    json::Query,
};

use super::{Failure, asked_document, outcome, refused, settled};
use crate::{
    Engine,
    http::{
        ApiError, App, Caller,
        body::{BodyError, Whole},
        compress::compressed,
        params::Params,
        problem::Problem,
        prom::{self, Asked, Wanted},
        reading::read,
    },
    queries::Queries,
};

/// A question to be explained.
enum Question {
    Text(Params),
    Document(Box<Query>),
}

pub(super) async fn explain(
    State(app): State<App>,
    headers: HeaderMap,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let (question, analyze) = question(&app, &headers, request).await?;
    let plan = match question {
        Question::Text(params) => text(&engine, caller, &params, analyze).await?,
        Question::Document(query) => {
            document(&engine, caller, *query, analyze).await.map_err(|failure| failure.into_problem(false))?
        }
    };
    let body = ([(CONTENT_TYPE, "application/json")], plan.to_json().to_string()).into_response();
    Ok(compressed(&headers, body))
}

async fn question(app: &App, headers: &HeaderMap, request: Request) -> Result<(Question, bool), Problem> {
    let url = request.uri().query().unwrap_or_default().to_owned();
    let form = |params: Params| {
        let analyze = params.flag("analyze")?;
        Ok((Question::Text(params), analyze))
    };
    if request.method() != Method::POST {
        return form(Params::new(&url, &[]));
    }
    let Whole(body) = Whole::from_request(request, app)
        .await
        .map_err(|error: BodyError| Problem::new(error.status(), error.to_string()))?;
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("application/json") {
        return form(Params::new(&url, &body));
    }
    let light = Query::is_light(&body);
    let query = read(light, move || Query::read(&asked_document(&body)?).map_err(refused)).await?;
    Ok((Question::Document(Box::new(query)), Params::new(&url, &[]).flag("analyze")?))
}

async fn text(
    engine: &Arc<Engine>,
    caller: Caller,
    params: &Params,
    analyze: bool,
) -> Result<Plan, ApiError> {
    let expr = Arc::new(prom::expression(params).await?);
    let when = match params.first("start") {
        Some(_) => When::Range(prom::steps(engine, params)?),
        None => When::Instant(params.time("time")?.unwrap_or_else(|| engine.clock.now())),
    };
    let asked = Asked::new(engine, params)?;
    let (options, source) = (asked.options(), engine.clone());
    let question = asked.question(caller, params, Wanted::Value(expr.clone(), when));
    let work = move |budget: &_| {
        let now = || source.clock.monotonic();
        let clock: Option<&explain::Clock<'_>> = if analyze { Some(&now) } else { None };
        Ok(explain::expression(&*source.store, &expr, when, &options, budget, clock)?)
    };
    Queries::run(engine, question, work).await
}

async fn document(
    engine: &Arc<Engine>,
    caller: Caller,
    query: Query,
    analyze: bool,
) -> Result<Plan, Failure> {
    let (source, at, query) = (engine.clone(), engine.clock.now(), Arc::new(query));
    let question = super::question(engine, caller, query.clone(), at);
    let work = move |budget: &_| {
        let now = || source.clock.monotonic();
        let clock: Option<&explain::Clock<'_>> = if analyze { Some(&now) } else { None };
        outcome(explain::document(&*source.store, &query, at, budget, clock))
    };
    settled(Queries::run(engine, question, work).await)
}
