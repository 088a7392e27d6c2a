//! `GET /api/barograph/v1/tenants`: what each tenant may have, what it has, and what was refused; for who works with the
//! default tenant all of them, else their own.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use axum::{Json, Router, extract::State, routing::get};
use serde_json::{Value, json};

use super::{App, problem::Problem};
use crate::tenants::Known;

pub(crate) fn routes() -> Router<App> {
    Router::new().route("/api/barograph/v1/tenants", get(tenants))
}

async fn tenants(State(app): State<App>) -> Result<Json<Value>, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let tenants = app.tenants();
    let Some(working) = tenants.working() else {
        return Ok(Json(json!({"enabled": false, "tenants": []})));
    };
    let series = engine.store.series_of_owners();
    let told = match working.is_default() {
        true => tenants.all(),
        false => vec![working.clone()],
    };
    let document = |known: &Arc<Known>| {
        let label = known.tenant.name().map_or("", |name| name);
        let held = series.iter().find(|(owner, _)| owner == label).map_or(0, |(_, series)| *series);
        of(known, held)
    };
    let listed: Vec<_> = told.iter().map(document).collect();
    let mut answer = json!({"enabled": true, "own": working.name, "tenants": listed});
    if working.is_default() {
        answer["limit"] = tenants.max().into();
        answer["refused"] = tenants.refused().into();
    }
    Ok(Json(answer))
}

/// A limit of 0 is none.
fn of(known: &Known, series: usize) -> Value {
    let (limits, figures) = (known.limits(), &known.figures);
    let limit = |limit: u64| (limit > 0).then_some(limit);
    let count = |counter: &AtomicU64| counter.load(Relaxed);
    json!({
        "name": known.name,
        "default": known.is_default(),
        "limits": {
            "series": limit(limits.series),
            "samples_per_second": limit(limits.samples_per_second),
            "queries": limit(limits.queries),
        },
        "use": {
            "series": series,
            "queries": known.queries(),
            "samples": count(&figures.samples),
            "queries_asked": count(&figures.asked),
        },
        "refused": {
            "samples_per_second": count(&figures.rate_refused),
            "queries": count(&figures.queries_refused),
            "share": count(&figures.share_refused),
            "labels": count(&figures.labels_dropped),
        },
    })
}
