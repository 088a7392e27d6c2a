//! `/health/server`, `/health/clients`, `/health/clients/{id}`, `/health/performance`, `/health/errors` and
//! `/health/resources`: who calls this server, and how it fares with all of them.
//!
//! JSON, unless `Accept` asks for metrics or `?format=prometheus` does: then the fields of the server, or of one client, and
//! with `prometheus.per_client` those of all clients. `?format=flat` gives all numbers in one object, `?format=events` flat
//! objects in a list. `?expr=` has `/health/server` compute something of its reading.
//! `?time=epoch` shows times as milliseconds, `?sentinels=true` what was not measured as the greatest whole number. Clients
//! are listed by `sort` (`id`, `cost`, `health`, `calls`), from `offset` on, `limit` of them, with `finished=true` also those
//! that went; errors are counted by `group-by=category,method`.

use std::borrow::Cow;

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use barograph::{
    exposition::{Family, negotiate_form},
    session::{Listing, Order, Report, Sessions, SessionsLayer, Spelling, Surroundings, Trends},
};

use super::{App, Peer, compress::compressed, flat, params::Params, problem::Problem, prom::ApiError};
use crate::{current, surroundings, trends};

/// Expressions that one request may have computed.
const EXPRESSIONS_MAX: usize = 20;

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/health/server", get(server))
        .route("/health/clients", get(clients))
        .route("/health/clients/{id}", get(client))
        .route("/health/performance", get(performance))
        .route("/health/errors", get(errors))
        .route("/health/resources", get(resources))
        .route("/api/barograph/v1/sd", get(targets))
}

/// Counts each request for who sent it: by the name they give (`X-Client-Id`, `X-Barograph-Caller`, `X-Scope-OrgID`), else
/// by the address they call from.
pub(crate) fn layer(sessions: &Sessions) -> SessionsLayer {
    SessionsLayer::new(sessions).identify(|head| {
        let address = || head.extensions.get::<Peer>().map(|peer| Cow::Owned(peer.0.ip().to_string()));
        named(head.headers).map(Cow::Borrowed).or_else(address)
    })
}

/// The name that a client gives itself.
pub(super) fn named(headers: &HeaderMap) -> Option<&str> {
    let names = ["x-client-id", "x-barograph-caller", "x-scope-orgid"].into_iter();
    let mut told = names.filter_map(|name| headers.get(name)?.to_str().ok()).map(str::trim);
    told.find(|name| !name.is_empty())
}

async fn server(State(app): State<App>, headers: HeaderMap, params: Params) -> Result<Response, ApiError> {
    let trend = match app.ready() {
        Some(engine) if app.stats().higher_cost => app.trends().of_server(&engine).await,
        _ => None,
    };
    let mut report = report_with(&app, &params, trend)?;
    for text in params.all("expr").take(EXPRESSIONS_MAX) {
        report.compute(text).map_err(|error| ApiError::bad_parameter("expr", &error))?;
    }
    let families = |report: &Report| {
        let clients = if app.exposes_clients() { report.all_client_families() } else { Vec::new() };
        report.families().into_iter().chain(clients).collect()
    };
    answer(&app, &headers, &params, "Server", &report, families, Report::server)
}

/// `GET …/sd`: where there is something to scrape, as Prometheus discovers it by HTTP.
async fn targets(State(app): State<App>) -> Json<serde_json::Value> {
    let target = |path: &str| {
        let labels = serde_json::json!({"job": "barograph", "__metrics_path__": path});
        serde_json::json!({"targets": [app.address().to_string()], "labels": labels})
    };
    Json(["/metrics", "/health/server"].map(target).into_iter().collect())
}

async fn clients(State(app): State<App>, headers: HeaderMap, params: Params) -> Result<Response, ApiError> {
    let order = params.first("sort").map(|name| {
        Order::parse(name)
            .ok_or_else(|| ApiError::bad_data(format!("{name:?} is none of id, cost, health, calls")))
    });
    let listing = Listing {
        order: order.transpose()?.unwrap_or_default(),
        offset: params.limit("offset")?,
        limit: params.limit("limit")?,
        finished: params.flag("finished")?,
    };
    // No offset is as absent as no limit.
    let listing =
        Listing { offset: if listing.offset == usize::MAX { 0 } else { listing.offset }, ..listing };
    let report = report(&app, &params)?;
    // Thousands of clients take milliseconds to write.
    let exposes = app.exposes_clients();
    let families = move |report: &Report| match exposes {
        true => report.all_client_families(),
        false => report.families(),
    };
    let read = move || {
        answer(&app, &headers, &params, "Clients", &report, families, |report| report.clients(listing))
    };
    current::blocking(read).await.map_err(|_| ApiError::internal("writing the list failed"))?
}

async fn client(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, ApiError> {
    let report = report(&app, &params)?;
    if app.sessions().client_snapshot(&id).is_none() {
        let text = format!("there is no client {id:?}, and none went not long ago");
        return Ok(Problem::new(StatusCode::NOT_FOUND, text).into_response());
    }
    let trend = match app.ready() {
        Some(engine) if app.stats().higher_cost => trends::of_client(&engine, &id).await,
        _ => None,
    };
    let families = |report: &Report| report.client_families(&id).unwrap_or_default();
    // It may have been forgotten meanwhile, with a hundred others that went since.
    let document = |report: &Report| report.client(&id, trend).unwrap_or_else(|| "null".to_owned());
    answer(&app, &headers, &params, "Client", &report, families, document)
}

async fn performance(
    State(app): State<App>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, ApiError> {
    let report = report(&app, &params)?;
    let transactions =
        app.ready().map(|engine| engine.collecting.transactions(&engine.telemetry.transactions));
    let transactions = transactions.unwrap_or_default();
    answer(&app, &headers, &params, "Performance", &report, Report::families, |report| {
        report.performance(&transactions)
    })
}

async fn errors(State(app): State<App>, headers: HeaderMap, params: Params) -> Result<Response, ApiError> {
    let wanted = params.first("group-by").unwrap_or_default().to_owned();
    let by = |name: &str| wanted.split(',').any(|part| part.trim() == name);
    if let Some(unknown) =
        wanted.split(',').map(str::trim).find(|part| !matches!(*part, "" | "category" | "method"))
    {
        return Err(ApiError::bad_data(format!("{unknown:?} is neither category nor method")));
    }
    let report = report(&app, &params)?;
    answer(&app, &headers, &params, "Errors", &report, Report::families, |report| {
        report.errors(by("method"), by("category"))
    })
}

async fn resources(State(app): State<App>, headers: HeaderMap, params: Params) -> Result<Response, ApiError> {
    let report = report(&app, &params)?;
    answer(&app, &headers, &params, "Resources", &report, Report::families, Report::resources)
}

/// One reading for one answer.
fn report(app: &App, params: &Params) -> Result<Report, ApiError> {
    report_with(app, params, None)
}

fn report_with(app: &App, params: &Params, trend: Option<Trends>) -> Result<Report, ApiError> {
    let spelling =
        Spelling { sentinels: params.flag("sentinels")?, epoch: params.first("time") == Some("epoch") };
    let engine = app.ready();
    let surroundings = Surroundings { trend, ..surroundings::read(engine.as_deref(), app.peaks()) };
    Ok(app.sessions().report(&surroundings, spelling))
}

/// The answer in the form that is asked for; `of` is what the document is of.
fn answer(
    app: &App,
    headers: &HeaderMap,
    params: &Params,
    of: &str,
    report: &Report,
    families: impl FnOnce(&Report) -> Vec<Family>,
    document: impl FnOnce(&Report) -> String,
) -> Result<Response, ApiError> {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let json = "application/json";
    let parsed = |text: String| {
        serde_json::from_str(&text).map_err(|_| ApiError::internal("the document is not JSON"))
    };
    let format = match params.first("format") {
        None if wants_metrics(accept.unwrap_or_default()) => "prometheus",
        format => format.unwrap_or("json"),
    };
    let (kind, body) = match format {
        "json" => {
            let began = app.monotonic();
            let text = document(report);
            app.sessions().serialized(of, app.monotonic().saturating_sub(began));
            (json, text.into_bytes())
        }
        "prometheus" => {
            let form = negotiate_form(accept);
            (form.content_type(), form.page(&families(report)))
        }
        "flat" => (json, flat::flat(&parsed(document(report))?).to_string().into_bytes()),
        "events" => {
            let at_ms = i64::try_from(report.snapshot.at_ms).unwrap_or(i64::MAX);
            (json, flat::events(&parsed(document(report))?, of, at_ms).to_string().into_bytes())
        }
        other => {
            let text = format!("{other:?} is none of json, prometheus, flat, events");
            return Err(ApiError::bad_parameter("format", &text));
        }
    };
    Ok(compressed(headers, ([(header::CONTENT_TYPE, kind)], body).into_response()))
}

/// Whether one of the formats of metrics is asked for, and JSON is not.
fn wants_metrics(accept: &str) -> bool {
    let mut kinds = accept.split(',').map(|kind| kind.split(';').next().unwrap_or_default().trim());
    let is = |kind: &str| {
        ["text/plain", "application/openmetrics-text", "application/vnd.google.protobuf"].contains(&kind)
    };
    kinds.clone().any(is) && !kinds.any(|kind| kind == "application/json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_wants_metrics() {
        let check = |accept, expected| assert_eq!(wants_metrics(accept), expected, "{accept}");
        check("", false);
        check("*/*", false);
        check("application/json, text/plain, */*", false);
        check("text/html,application/xhtml+xml,*/*;q=0.8", false);
        check("text/plain;version=0.0.4", true);
        check(
            "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1",
            true,
        );
    }
}
