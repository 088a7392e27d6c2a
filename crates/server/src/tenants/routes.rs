//! What of the server is for which tenant: one table for HTTP, one for gRPC.
//!
//! A route that is in neither is the server's own, so that one that was forgotten is closed to all other tenants; a test
//! walks the table of what routes need (`auth/table.rs`).

/// For whom a route is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum For {
    /// Each tenant, with what is theirs.
    Each,
    /// The default tenant: it tells of the server as a whole, or changes it.
    Server,
}

use For::{Each, Server};

/// Before the paths of our own API.
const OWN: &str = "/api/barograph/v1";

/// Routes that are for each tenant.
const EACH: &[&str] = &[
    // Nobody's data.
    "/-/healthy",
    "/-/ready",
    "/livez",
    "/livez/{check}",
    "/readyz",
    "/readyz/{check}",
    "/healthz",
    "/healthz/{check}",
    "/health",
    "/ping",
    "/ping/{key}",
    "/ping/{key}/{signal}",
    "/",
    "/login",
    "/favicon.ico",
    "/runbooks/{alert}",
    "/graph",
    "/ui",
    "/ui/",
    "/ui/{*path}",
    "/auth/login",
    "/auth/logout",
    "/auth/me",
    "/auth/password",
    "/auth/tokens",
    "/auth/tokens/{id}",
    "/auth/oidc/login",
    "/auth/oidc/callback",
    "/api/v1/format_query",
    "/api/v1/parse_query",
    "/api/v1/features",
    "/api/v1/status/buildinfo",
    "/api/v1/{*unknown}",
    "/query/schema",
    "/openapi.json",
    // Read through the tenant's view of the store.
    "/api/v1/query",
    "/api/v1/query_range",
    "/api/v1/query_exemplars",
    "/api/v1/series",
    "/api/v1/labels",
    "/api/v1/label/{name}/values",
    "/api/v1/metadata",
    "/api/v1/read",
    "/api/v1/status/tsdb",
    "/federate",
    "/query",
    "/query/explain",
    "/histograms",
    "/export",
    "/catalog",
    "/catalog/{name}",
    "/cardinality",
    "/metrics/{name}",
    "/metrics/{name}/latest",
    "/metrics/{name}/stats",
    // Only topics of the tenant.
    "/live",
    "/live/ws",
    "/events",
    "/events/{topic}",
    // Its tools ask routes that are looked up here themselves.
    "/mcp",
    "/tenants",
    // What is brought gets the tenant's label.
    "/api/v1/write",
    "/api/v1/import/prometheus",
    "/import",
    "/v1/metrics",
    "/v1/traces",
    "/v1/logs",
    "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    "/api/v1/otlp/v1/metrics",
    "/api/v2/write",
    "/write",
    "/api/v2/spans",
    "/metrics/job/{*rest}",
    "/metrics/job@base64/{*rest}",
    "/api/v1/admin/tsdb/delete_series",
];

/// Routes that are the server's own.
const SERVER: &[&str] = &[
    "/status",
    "/auth/sessions",
    "/auth/sessions/{id}",
    "/auth/users",
    "/auth/users/{name}",
    "/audit",
    // Rules, targets and checks are those of the server, and what they find is with the default tenant.
    "/api/v1/rules",
    "/api/v1/alerts",
    "/api/v1/alertmanagers",
    "/api/v1/scrape_pools",
    "/api/v1/targets",
    "/api/v1/targets/metadata",
    "/api/v1/targets/relabel_steps",
    "/api/v1/notifications",
    "/api/v1/notifications/live",
    "/sd",
    "/services",
    "/services/{id}",
    // Whom alerts are told to, and what they did about them.
    "/receivers",
    "/receivers/{name}/test",
    "/receivers/{name}/preview",
    "/deliveries",
    "/deliveries/{id}/retry",
    "/alerts",
    "/alerts/statistics",
    "/alerts/routes",
    "/alerts/rules",
    "/alerts/rules/preview",
    "/alerts/rules/{id}",
    "/alerts/rules/{id}/enabled",
    "/alerts/rules/{id}/versions",
    "/alerts/{id}",
    "/alerts/{id}/escalations",
    "/alerts/{id}/{action}",
    "/incidents",
    "/incidents/{id}",
    "/incidents/{id}/{action}",
    "/oncall",
    "/oncall/{schedule}/overrides",
    "/oncall/{schedule}/overrides/{id}",
    "/escalation-policies",
    "/ack-links",
    "/ack-links/{link}",
    "/maintenance",
    "/maintenance/{id}",
    "/silences/{id}/history",
    "/api/v2/status",
    "/api/v2/receivers",
    "/api/v2/alerts",
    "/api/v2/alerts/groups",
    "/api/v2/silences",
    "/api/v2/silence/{id}",
    // What the server says of itself.
    "/api/v1/status/runtimeinfo",
    "/api/v1/status/walreplay",
    "/api/v1/status/flags",
    "/api/v1/status/config",
    "/admission",
    "/metrics",
    "/internal/metrics",
    "/memory",
    "/stats",
    "/snapshot",
    "/performance",
    "/storage/stats",
    "/collectors",
    "/collectors/{name}",
    "/collectors/{name}/reset",
    "/queries",
    "/queries/{id}",
    "/health/server",
    "/health/clients",
    "/health/clients/{id}",
    "/health/performance",
    "/health/errors",
    "/health/resources",
    "/health/components",
    "/health/components/{name}",
    "/health/cluster",
    "/health/checks",
    "/health/checks/{name}",
    "/health/system",
    "/health/processes",
    "/health/heartbeats",
    "/health/history",
    "/health/recoveries",
    "/health/extended",
    "/diagnostics",
    "/diagnostics/metrics",
    "/diagnostics/performance",
    "/diagnostics/traces",
    "/diagnostics/trace",
    "/diagnostics/analysis",
    "/diagnostics/states",
    "/diagnostics/state",
    "/diagnostics/alerts",
    "/diagnostics/messages",
    "/diagnostics/collect",
    "/diagnostics/incidents",
    "/diagnostics/incidents/{id}",
    // What is known of it from one request to the next is not kept apart.
    "/record",
    "/sampling",
    "/sampling/impact",
    "/sampling/optimal",
    "/sampling/cost-benefit",
    "/catalog/{name}/relations",
    // By the name of a metric, whoever has it.
    "/metrics/{name}/retention",
    "/metrics/{name}/aggregation",
    // What changes the server.
    "/config",
    "/config/running",
    "/config/reload",
    "/admin/flush",
    "/backup",
    "/api/v1/admin/tsdb/snapshot",
    "/api/v1/admin/tsdb/clean_tombstones",
    "/-/reload",
    "/-/quit",
];

/// Calls, or services that end with `/`, that are for each tenant.
const CALLS: &[&str] = &[
    "/grpc.health.v1.Health/",
    "/grpc.reflection.v1.ServerReflection/",
    "/grpc.reflection.v1alpha.ServerReflection/",
    "/barograph.v1.Ingest/Write",
    "/barograph.v1.Ingest/WriteStream",
    "/barograph.v1.Query/",
    "/barograph.v1.Events/",
    "/opentelemetry.proto.collector.trace.v1.TraceService/",
    "/opentelemetry.proto.collector.metrics.v1.MetricsService/",
    "/opentelemetry.proto.collector.logs.v1.LogsService/",
];

/// For whom a route is; without one there is nothing to protect.
pub(crate) fn of_route(route: Option<&str>) -> For {
    let Some(route) = route else { return Each };
    entry(route).unwrap_or(Server)
}

/// For whom a call is, by its path.
pub(crate) fn of_call(path: &str) -> For {
    let is = |call: &&str| if call.ends_with('/') { path.starts_with(*call) } else { path == *call };
    if CALLS.iter().any(is) { Each } else { Server }
}

fn entry(route: &str) -> Option<For> {
    let path = route.strip_prefix(OWN).unwrap_or(route);
    let stands = |table: &[&str]| table.contains(&path);
    match (stands(EACH), stands(SERVER)) {
        (_, true) => Some(Server),
        (true, false) => Some(Each),
        (false, false) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::auth::table;

    #[test]
    fn every_route_says_for_whom_it_is() {
        let routes: Vec<&str> = table::paths().collect();
        let missing: Vec<_> = routes.iter().filter(|route| entry(route).is_none()).collect();
        assert!(missing.is_empty(), "these are not in tenants/routes.rs, and closed to tenants: {missing:?}");
        let mut seen = BTreeSet::new();
        for path in EACH.iter().chain(SERVER) {
            assert!(seen.insert(path), "{path} stands twice");
            assert!(routes.contains(path), "{path} is no route");
        }
        assert_eq!(of_route(Some("/something/new")), Server);
        assert_eq!(of_route(Some("/api/barograph/v1/query")), Each);
    }

    #[test]
    fn calls_are_told_apart() {
        assert_eq!(of_call("/barograph.v1.Query/Instant"), Each);
        assert_eq!(of_call("/barograph.v1.Ingest/Record"), Server);
        assert_eq!(of_call("/barograph.v1.Admin/Info"), Server);
        assert_eq!(of_call("/some.Other/Call"), Server);
    }
}
