//! What a new configuration changes in a running server.
//!
//! Scrapes and rules watch the configuration themselves. The rest is told here; none of it can fail, so a configuration is
//! taken as a whole.

use std::sync::Arc;

use crate::{Engine, config::Config, logging, server};

/// The configuration with what cannot change while the server runs as it was.
pub(super) fn keep_fixed(mut config: Config, before: &Config) -> Config {
    config.storage.durability = before.storage.durability;
    config.storage.out_of_order = before.storage.out_of_order;
    config.storage.aggregation_interval = before.storage.aggregation_interval;
    config.query.cache = before.query.cache;
    config.limits.connections = before.limits.connections;
    config.limits.connections_per_address = before.limits.connections_per_address;
    config.external.clone_from(&before.external);
    config.stats = before.stats.clone();
    config.per_client = before.per_client;
    config.metrics = before.metrics.clone();
    config.tenancy.enabled = before.tenancy.enabled;
    config.tenancy.default.clone_from(&before.tenancy.default);
    config.diagnostics.interval = before.diagnostics.interval;
    let health = &mut config.health;
    health.node.clone_from(&before.health.node);
    (health.built_in, health.preset, health.history) =
        (before.health.built_in, before.health.preset, before.health.history);
    config
}

pub(super) fn apply(engine: &Arc<Engine>, before: &Config, config: &Config) {
    let keeping = server::keeping(config);
    if keeping != server::keeping(before) {
        engine.store.set_keeping(keeping);
    }
    if config.limits != before.limits {
        // What one request may bring is looked up for each.
        engine.store.limit_series(server::series_limits(config));
    }
    if config.query != before.query {
        engine.queries.configure(&config.query);
    }
    if config.tenancy != before.tenancy {
        engine.store.limit_owners(engine.tenants.configure(&config.tenancy));
    }
    if config.collectors != before.collectors {
        engine.collecting.configure(&config.collectors);
    }
    if config.health.checks != before.health.checks {
        engine.health.replace_probes(&before.health.checks, &config.health.checks);
    }
    if config.health.heartbeats != before.health.heartbeats {
        engine.health.replace_heartbeats(&before.health.heartbeats, &config.health.heartbeats);
    }
    if config.health.cluster != before.health.cluster {
        engine.health.replace_nodes(&before.health.cluster, &config.health.cluster);
    }
    if config.diagnostics.thresholds != before.diagnostics.thresholds {
        engine.diagnostics.watch(&config.diagnostics.thresholds);
    }
    if config.log_level != before.log_level
        && let Err(error) = logging::set_level(config.log_level.as_deref().unwrap_or("info"))
    {
        tracing::error!(error, "the log goes on as before");
    }
}
