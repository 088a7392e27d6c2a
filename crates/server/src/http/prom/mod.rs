//! The Prometheus HTTP API under `/api/v1`: queries, labels, series, metadata, status.
//!
//! Paths, parameters, envelope and error words are upstream's (`conventions` of its API documentation), so that
//! Grafana and promtool work unchanged. Every path takes GET; those Grafana posts to take a form-encoded POST too.

mod answer;
mod delete;
mod error;
mod labels;
mod matrix;
mod query;
mod rules;
mod runtime;
mod status;
mod targets;
mod tree;

pub(crate) use answer::{success, write_labels, write_sample_value};
pub(crate) use error::ApiError;
pub(crate) use query::{Asked, Wanted, bounded, checked, evaluated, expression, steps, tiers};

use axum::{
    Router,
    routing::{any, get, post},
};

use super::App;

/// Everything under `/api/v1` that reads or deletes.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/api/v1/query", get(query::instant).post(query::instant))
        .route("/api/v1/query_range", get(query::range).post(query::range))
        .route("/api/v1/query_exemplars", get(query::exemplars).post(query::exemplars))
        .route("/api/v1/series", get(labels::series).post(labels::series))
        .route("/api/v1/labels", get(labels::names).post(labels::names))
        .route("/api/v1/label/{name}/values", get(labels::values))
        .route("/api/v1/metadata", get(status::metadata))
        .route("/api/v1/rules", get(rules::rules))
        .route("/api/v1/alerts", get(rules::alerts))
        .route("/api/v1/format_query", post(query::format).get(query::format))
        .route("/api/v1/status/buildinfo", get(status::buildinfo))
        .route("/api/v1/status/flags", get(runtime::flags))
        .route("/api/v1/status/runtimeinfo", get(runtime::runtimeinfo))
        .route("/api/v1/status/walreplay", get(runtime::walreplay))
        .route("/api/v1/features", get(runtime::features))
        .route("/api/v1/alertmanagers", get(runtime::alertmanagers))
        .route("/api/v1/notifications", get(runtime::notifications))
        .route("/api/v1/notifications/live", get(runtime::notifications_live))
        .route("/api/v1/parse_query", post(tree::parse).get(tree::parse))
        .route("/api/v1/targets", get(targets::targets))
        .route("/api/v1/targets/metadata", get(targets::metadata))
        .route("/api/v1/targets/relabel_steps", get(targets::relabel_steps))
        .route("/api/v1/scrape_pools", get(targets::pools))
        .route("/api/v1/admin/tsdb/delete_series", post(delete::series).put(delete::series))
        .route("/api/v1/admin/tsdb/clean_tombstones", post(delete::clean).put(delete::clean))
        .route("/api/v1/{*unknown}", any(error::unknown_path))
}
