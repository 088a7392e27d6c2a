//! `metadata` and `status/buildinfo`.

use std::collections::BTreeMap;

use axum::{extract::State, http::HeaderMap, response::Response};
use barograph_model::{Metadata, Source};
use serde_json::json;

use super::{answer::success, error::ApiError};
use crate::http::{App, params::Params};

/// The level of the Prometheus API we answer at. Grafana compares it to decide which calls to make.
const PROMETHEUS_LEVEL: &str = "3.14.0";

/// `GET /api/v1/metadata`
pub(crate) async fn metadata(
    State(app): State<App>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, ApiError> {
    let engine = app.engine()?;
    let limit = params.limit("limit")?;
    // There is one entry a metric, so a limit per metric of one or more changes nothing.
    params.limit("limit_per_metric")?;
    let known = engine.store.metadata(params.first("metric"));
    let shown: BTreeMap<_, _> =
        known.iter().take(limit).map(|(name, entry)| (name, [document(entry)])).collect();
    Ok(success(&headers, &json!(shown).to_string(), &[], &[]))
}

fn document(entry: &Metadata) -> serde_json::Value {
    json!({"type": entry.kind.as_str(), "unit": entry.unit, "help": entry.help})
}

/// `GET /api/v1/status/buildinfo`. There must be no `features` in it: Grafana would take us for Mimir.
pub(crate) async fn buildinfo(headers: HeaderMap) -> Response {
    let data = json!({
        "version": PROMETHEUS_LEVEL,
        "revision": "",
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
        "barograph": crate::VERSION,
    });
    success(&headers, &data.to_string(), &[], &[])
}
