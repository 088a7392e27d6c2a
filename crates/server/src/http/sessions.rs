//! `/health/server`, `/health/clients`, `/health/clients/{id}`, `/health/performance`, `/health/errors` and
//! `/health/resources`: who calls this server, and how it fares with all of them.
//!
//! JSON, unless `Accept` asks for metrics or `?format=prometheus` does: then the fields of the server, or of one client.
//! `?time=epoch` shows times as milliseconds, `?sentinels=true` what was not measured as the greatest whole number. Clients
//! are listed by `sort` (`id`, `cost`, `health`, `calls`), from `offset` on, `limit` of them, with `finished=true` also those
//! that went; errors are counted by `group-by=category,method`.

use std::{borrow::Cow, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use barograph::{
    exposition::{Family, negotiate_form},
    session::{Lifetime, Listing, Order, Report, Sessions, SessionsLayer, Settings, Spelling},
};
use tokio::sync::watch;

use super::{App, Peer, compress::compressed, params::Params, problem::Problem, prom::ApiError};
use crate::{clock::Clock, server::stopped, surroundings};

/// Clients that are told apart. Whoever calls may name himself, so there are no more of them than fit in some MiB.
const CLIENTS_MAX: usize = 20_000;
/// A client that did not call for so long is gone.
const IDLE: Duration = Duration::from_secs(15 * 60);
/// How often the window moves on, and clients that are gone are looked for.
const TICK: Duration = Duration::from_secs(1);

/// Nobody called yet.
pub(crate) fn new(lifetime: Lifetime) -> Sessions {
    let mut settings = Settings::default();
    settings.clients_max = CLIENTS_MAX;
    // Who wants to know of others subscribes to that.
    settings.announce = false;
    Sessions::at(settings, lifetime, barograph::session::Clock::system())
}

/// Lets the time pass for them until told to stop.
pub(crate) async fn keep(app: App, clock: Arc<dyn Clock>, mut stopping: watch::Receiver<bool>) {
    loop {
        app.sessions().tick(clock.now());
        app.sessions().sweep(IDLE);
        tokio::select! {
            () = stopped(&mut stopping) => break,
            () = tokio::time::sleep(TICK) => {}
        }
    }
}

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/health/server", get(server))
        .route("/health/clients", get(clients))
        .route("/health/clients/{id}", get(client))
        .route("/health/performance", get(performance))
        .route("/health/errors", get(errors))
        .route("/health/resources", get(resources))
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
    let report = report(&app, &params)?;
    Ok(answer(&headers, &params, &report, Report::families, Report::server))
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
    let read = move || answer(&headers, &params, &report, Report::families, |report| report.clients(listing));
    tokio::task::spawn_blocking(read).await.map_err(|_| ApiError::internal("writing the list failed"))
}

async fn client(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, ApiError> {
    let report = report(&app, &params)?;
    let Some(document) = report.client(&id) else {
        let text = format!("there is no client {id:?}, and none went not long ago");
        return Ok(Problem::new(StatusCode::NOT_FOUND, text).into_response());
    };
    let families = |report: &Report| report.client_families(&id).unwrap_or_default();
    Ok(answer(&headers, &params, &report, families, |_| document))
}

async fn performance(
    State(app): State<App>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, ApiError> {
    let report = report(&app, &params)?;
    Ok(answer(&headers, &params, &report, Report::families, |report| report.performance(&[])))
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
    Ok(answer(&headers, &params, &report, Report::families, |report| {
        report.errors(by("method"), by("category"))
    }))
}

async fn resources(State(app): State<App>, headers: HeaderMap, params: Params) -> Result<Response, ApiError> {
    let report = report(&app, &params)?;
    Ok(answer(&headers, &params, &report, Report::families, Report::resources))
}

/// One reading for one answer.
fn report(app: &App, params: &Params) -> Result<Report, ApiError> {
    let spelling =
        Spelling { sentinels: params.flag("sentinels")?, epoch: params.first("time") == Some("epoch") };
    Ok(reading(app, spelling))
}

/// One reading of the server and of what surrounds it.
pub(crate) fn reading(app: &App, spelling: Spelling) -> Report {
    let engine = app.ready();
    app.sessions().report(&surroundings::read(engine.as_deref(), app.peaks()), spelling)
}

fn answer(
    headers: &HeaderMap,
    params: &Params,
    report: &Report,
    families: impl FnOnce(&Report) -> Vec<Family>,
    document: impl FnOnce(&Report) -> String,
) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let asked = params.first("format") == Some("prometheus");
    let (kind, body) = if asked || wants_metrics(accept.unwrap_or_default()) {
        let form = negotiate_form(accept);
        (form.content_type(), form.page(&families(report)))
    } else {
        ("application/json", document(report).into_bytes())
    };
    compressed(headers, ([(header::CONTENT_TYPE, kind)], body).into_response())
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
