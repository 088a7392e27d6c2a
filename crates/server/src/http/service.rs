//! `/api/barograph/v1/stats` and `…/config`: what the service does by itself, and what it was told.

use std::time::Duration;

use axum::{Json, Router, extract::State, routing::get};
use barograph::event_loop::LAG_INTERVAL;
use barograph_model::{Labels, Tier, Timestamp};
use serde_json::{Map, Value, json};

use super::{App, diagnostics, problem::Problem};
use crate::{
    config::{Durability, format_duration},
    storage::stats,
};

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/api/barograph/v1/stats", get(service_stats))
        .route("/api/barograph/v1/config", get(config))
}

/// `GET …/stats`: upkeep, memory and size in numbers.
async fn service_stats(State(app): State<App>) -> Result<Json<Value>, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let (store, seen) = (engine.store.stats(), engine.memory.seen());
    let at = |ms: i64| (ms != i64::MIN).then(|| Timestamp(ms).seconds());
    let accounts: Map<String, Value> =
        seen.accounts().into_iter().map(|(name, bytes)| (name.to_owned(), bytes.into())).collect();
    let collected = engine.collecting.collectors.totals();
    let registry = &engine.telemetry.registry;
    let by = |name, label| -> Map<String, Value> {
        let values = registry.values(name).into_iter();
        let named = |(labels, value): (Labels, f64)| {
            (labels.value(label).unwrap_or_default().to_owned(), whole(value).into())
        };
        values.map(named).collect()
    };
    let all = |name| whole(registry.values(name).iter().map(|(_, value)| value).sum());
    Ok(Json(json!({
        "ingest": {
            "samples": all("barograph_ingest_samples_total"),
            "by_source": by("barograph_ingest_samples_total", "source"),
            "late": all("barograph_ingest_late_samples_total"),
            "rejected": all("barograph_ingest_rejected_samples_total"),
        },
        "process": {
            "queries": all("barograph_queries_total"),
            "samples_read": all("barograph_query_samples_total"),
            "rules_evaluated": all("barograph_rule_evaluations_total"),
            "windows_rolled": store.windows_rolled,
        },
        "expose": {"requests": all("barograph_http_requests_total")},
        "totalCollectors": collected.collectors,
        "totalMetricsCollected": collected.points,
        "collectionErrors": collected.errors,
        "aggregation": {
            "interval_seconds": engine.storage.aggregation_interval.as_secs_f64(),
            "last_run": at(store.maintained_at),
            "windows_rolled": store.windows_rolled,
            "blocks_cut": store.blocks_cut,
            "blocks_merged": store.blocks_merged,
            "made_until": stats::made_until(&engine.store),
        },
        "cleanup": {
            "interval_seconds": engine.configured.current().storage.cleanup_interval.as_secs_f64(),
            "last_run": at(store.cleaned_at),
            "blocks_deleted": store.blocks_deleted,
        },
        "storage": {"totalSize": store.block_bytes + store.wal_bytes, "blocks": store.blocks},
        "memory": {
            "budget_bytes": engine.memory.budget(),
            "resident_bytes": seen.resident,
            "accounts": accounts,
        },
        "query_cache": engine.results.document(),
        "policies": store.policies,
    })))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts, which are whole")]
fn whole(count: f64) -> u64 {
    count as u64
}

/// `GET …/config`: how samples are kept, as it holds now: file, environment and flags together.
async fn config(State(app): State<App>) -> Result<Json<Value>, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let configured = engine.configured.current();
    let (storage, retention) = (&configured.storage, &configured.retention);
    let text = |age: Option<Duration>| age.map(format_duration);
    let tiers = |ages: [Option<Duration>; 4]| -> Map<String, Value> {
        Tier::ALL.into_iter().map(|tier| (tier.to_string(), text(ages[tier as usize]).into())).collect()
    };
    let rule = |rule: &crate::config::RetentionRule| {
        let matchers: Vec<_> = rule.matchers.iter().map(ToString::to_string).collect();
        let mut document = tiers(rule.tiers);
        document.insert("match".into(), format!("{{{}}}", matchers.join(",")).into());
        document
    };
    let of_tier = |tier: Tier| (tier.to_string(), text(Some(retention.of(tier).unwrap_or_default())).into());
    let mut kept: Map<String, Value> = Tier::ALL.into_iter().map(of_tier).collect();
    kept.insert("bytes".into(), retention.bytes.into());
    kept.insert("rules".into(), retention.rules.iter().map(rule).collect());
    let by_type =
        retention.by_type.iter().map(|(kind, ages)| (kind.as_str().to_owned(), tiers(*ages).into()));
    kept.insert("by_type".into(), by_type.collect::<Map<_, _>>().into());
    let origins: Map<String, Value> =
        configured.origins.iter().map(|(path, origin)| (path.clone(), origin.as_str().into())).collect();
    let durability = match storage.durability {
        Durability::Batch => "batch",
        Durability::Sync => "sync",
        Durability::Relaxed => "relaxed",
    };
    Ok(Json(json!({
        "storage": {
            "root": engine.data_dir,
            "durability": durability,
            "out_of_order": format_duration(storage.out_of_order),
            "aggregation_interval": format_duration(storage.aggregation_interval),
            "cleanup_interval": format_duration(storage.cleanup_interval),
        },
        "retention": kept,
        "metrics": diagnostics::settings(&engine),
        "origins": origins,
        "profile": engine.collecting.telemetry.settings().profile().as_str(),
        "event_loop": {"lag_interval_ms": LAG_INTERVAL.as_millis()},
    })))
}
