//! What each route needs of whoever calls it: one table for HTTP, one for gRPC.
//!
//! A route that is in neither needs `admin`, so that one that was forgotten is closed; a test walks the routers and says
//! which. Paths stand as routers have them, without `/api/barograph/v1` before them.

use axum::http::Method;
use barograph_auth::Scope::{self, Admin, AlertAck, Read, Write};

/// What somebody needs to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Nothing; it is not even looked who calls.
    Open,
    /// Nothing, but the answer depends on who calls.
    Known,
    /// Anything that is known.
    SignedIn,
    /// A scope.
    May(Scope),
}

use Need::{Known, May, Open, SignedIn};

/// Before the paths of our own API.
const OWN: &str = "/api/barograph/v1";

/// Path, what it needs to look (`GET`, `HEAD`), and what it needs for all else.
const ROUTES: &[(&str, Need, Need)] = &[
    // Probes and pages.
    ("/-/healthy", Open, Open),
    ("/-/ready", Open, Open),
    ("/livez", Open, Open),
    ("/livez/{check}", Open, Open),
    ("/readyz", Open, Open),
    ("/readyz/{check}", Open, Open),
    ("/healthz", Open, Open),
    ("/healthz/{check}", Open, Open),
    ("/health", Open, Open),
    ("/ping", Open, Open),
    ("/ping/{key}", Open, Open),
    ("/ping/{key}/{signal}", Open, Open),
    ("/", Open, Open),
    ("/login", Open, Open),
    ("/favicon.ico", Open, Open),
    ("/runbooks/{alert}", Open, Open),
    ("/graph", Open, Open),
    ("/ui", Open, Open),
    ("/ui/", May(Read), May(Read)),
    ("/ui/{*path}", May(Read), May(Read)),
    ("/status", May(Read), May(Read)),
    // Who calls.
    // It looks itself whose page asks.
    ("/auth/login", Open, Open),
    ("/auth/logout", Known, Known),
    ("/auth/me", Known, Known),
    ("/auth/password", SignedIn, SignedIn),
    ("/auth/sessions", SignedIn, SignedIn),
    ("/auth/sessions/{id}", SignedIn, SignedIn),
    ("/auth/tokens", SignedIn, SignedIn),
    ("/auth/tokens/{id}", SignedIn, SignedIn),
    ("/auth/users", May(Admin), May(Admin)),
    ("/auth/users/{name}", May(Admin), May(Admin)),
    ("/auth/oidc/login", Known, Known),
    ("/auth/oidc/callback", Known, Known),
    ("/audit", May(Admin), May(Admin)),
    // Questions.
    ("/api/v1/query", May(Read), May(Read)),
    ("/api/v1/query_range", May(Read), May(Read)),
    ("/api/v1/query_exemplars", May(Read), May(Read)),
    ("/api/v1/series", May(Read), May(Read)),
    ("/api/v1/labels", May(Read), May(Read)),
    ("/api/v1/label/{name}/values", May(Read), May(Read)),
    ("/api/v1/metadata", May(Read), May(Read)),
    ("/api/v1/rules", May(Read), May(Read)),
    ("/api/v1/alerts", May(Read), May(Read)),
    ("/api/v1/format_query", May(Read), May(Read)),
    ("/api/v1/parse_query", May(Read), May(Read)),
    ("/api/v1/read", May(Read), May(Read)),
    ("/api/v1/scrape_pools", May(Read), May(Read)),
    ("/api/v1/targets", May(Read), May(Read)),
    ("/api/v1/targets/metadata", May(Read), May(Read)),
    ("/api/v1/targets/relabel_steps", May(Read), May(Read)),
    ("/api/v1/alertmanagers", May(Read), May(Read)),
    ("/api/v1/features", May(Read), May(Read)),
    ("/api/v1/notifications", May(Read), May(Read)),
    ("/api/v1/notifications/live", May(Read), May(Read)),
    ("/api/v1/status/buildinfo", May(Read), May(Read)),
    ("/api/v1/status/runtimeinfo", May(Read), May(Read)),
    ("/api/v1/status/walreplay", May(Read), May(Read)),
    ("/api/v1/status/tsdb", May(Read), May(Read)),
    ("/api/v1/status/flags", May(Admin), May(Admin)),
    ("/api/v1/status/config", May(Admin), May(Admin)),
    ("/api/v1/{*unknown}", SignedIn, SignedIn),
    ("/federate", May(Read), May(Read)),
    ("/query", May(Read), May(Read)),
    ("/query/explain", May(Read), May(Read)),
    ("/query/schema", May(Read), May(Read)),
    ("/histograms", May(Read), May(Read)),
    ("/live", May(Read), May(Read)),
    ("/live/ws", May(Read), May(Read)),
    ("/events", May(Read), May(Write)),
    ("/events/{topic}", May(Read), May(Write)),
    ("/export", May(Read), May(Read)),
    ("/catalog", May(Read), May(Read)),
    ("/catalog/{name}", May(Read), May(Read)),
    ("/catalog/{name}/relations", May(Read), May(Read)),
    ("/cardinality", May(Read), May(Read)),
    ("/metrics/{name}", May(Read), May(Read)),
    ("/metrics/{name}/latest", May(Read), May(Read)),
    ("/metrics/{name}/stats", May(Read), May(Read)),
    ("/metrics/{name}/retention", May(Read), May(Admin)),
    ("/metrics/{name}/aggregation", May(Read), May(Admin)),
    ("/receivers", May(Read), May(Admin)),
    ("/receivers/{name}/test", May(Admin), May(Admin)),
    ("/receivers/{name}/preview", May(Admin), May(Admin)),
    ("/deliveries", May(Read), May(Admin)),
    ("/deliveries/{id}/retry", May(Admin), May(AlertAck)),
    ("/queries", May(Read), May(Admin)),
    ("/queries/{id}", May(Read), May(Admin)),
    ("/services", May(Read), May(Write)),
    ("/services/{id}", May(Read), May(Write)),
    ("/sampling", May(Read), May(Read)),
    ("/sampling/impact", May(Read), May(Read)),
    ("/sampling/optimal", May(Read), May(Read)),
    ("/sampling/cost-benefit", May(Read), May(Read)),
    ("/sd", May(Read), May(Read)),
    ("/admission", May(Read), May(Read)),
    ("/tenants", May(Read), May(Read)),
    ("/openapi.json", May(Read), May(Read)),
    // Its tools only read.
    ("/mcp", May(Read), May(Read)),
    // What the server says of itself. `/metrics` is also our list of metrics, which asks no more.
    ("/metrics", May(Read), May(Read)),
    ("/internal/metrics", May(Read), May(Read)),
    ("/memory", May(Read), May(Read)),
    ("/stats", May(Read), May(Read)),
    ("/snapshot", May(Read), May(Read)),
    ("/performance", May(Read), May(Read)),
    ("/storage/stats", May(Read), May(Read)),
    ("/collectors", May(Read), May(Admin)),
    ("/collectors/{name}", May(Read), May(Admin)),
    ("/collectors/{name}/reset", May(Read), May(Admin)),
    ("/health/server", May(Read), May(Read)),
    ("/health/clients", May(Read), May(Read)),
    ("/health/clients/{id}", May(Read), May(Read)),
    ("/health/performance", May(Read), May(Read)),
    ("/health/errors", May(Read), May(Read)),
    ("/health/resources", May(Read), May(Read)),
    ("/health/components", May(Read), May(Read)),
    ("/health/components/{name}", May(Read), May(Read)),
    ("/health/cluster", May(Read), May(Read)),
    ("/health/checks", May(Read), May(Read)),
    ("/health/checks/{name}", May(Read), May(Read)),
    ("/health/system", May(Read), May(Read)),
    ("/health/processes", May(Read), May(Read)),
    ("/health/heartbeats", May(Read), May(Write)),
    ("/health/history", May(Read), May(Read)),
    ("/health/recoveries", May(Read), May(Read)),
    ("/health/extended", May(Read), May(Read)),
    ("/diagnostics", May(Read), May(Read)),
    ("/diagnostics/metrics", May(Read), May(Read)),
    ("/diagnostics/performance", May(Read), May(Read)),
    ("/diagnostics/traces", May(Read), May(Read)),
    ("/diagnostics/trace", May(Read), May(Admin)),
    ("/diagnostics/analysis", May(Read), May(Admin)),
    ("/diagnostics/states", May(Read), May(Read)),
    ("/diagnostics/state", May(Read), May(Admin)),
    ("/diagnostics/alerts", May(Read), May(AlertAck)),
    ("/diagnostics/messages", May(Read), May(Read)),
    ("/diagnostics/collect", May(Read), May(Admin)),
    ("/diagnostics/incidents", May(Read), May(Write)),
    ("/diagnostics/incidents/{id}", May(Read), May(Write)),
    // Who takes what fires.
    // Who posts alerts brings them.
    ("/alerts", May(Read), May(Write)),
    ("/alerts/statistics", May(Read), May(Read)),
    ("/alerts/routes", May(Read), May(Read)),
    ("/alerts/rules", May(Read), May(Write)),
    // Nothing is changed by it.
    ("/alerts/rules/preview", May(Read), May(Read)),
    ("/alerts/rules/{id}", May(Read), May(Write)),
    ("/alerts/rules/{id}/enabled", May(Read), May(Write)),
    ("/alerts/rules/{id}/versions", May(Read), May(Read)),
    ("/alerts/{id}", May(Read), May(AlertAck)),
    ("/alerts/{id}/escalations", May(Read), May(AlertAck)),
    ("/alerts/{id}/{action}", May(Read), May(AlertAck)),
    ("/incidents", May(Read), May(AlertAck)),
    ("/incidents/{id}", May(Read), May(AlertAck)),
    ("/incidents/{id}/{action}", May(Read), May(AlertAck)),
    ("/oncall", May(Read), May(AlertAck)),
    ("/oncall/{schedule}/overrides", May(Read), May(AlertAck)),
    ("/oncall/{schedule}/overrides/{id}", May(Read), May(AlertAck)),
    ("/escalation-policies", May(Read), May(Admin)),
    // A link is signed, and can acknowledge one incident.
    ("/ack-links", Open, Open),
    ("/ack-links/{link}", Open, Open),
    ("/maintenance", May(Read), May(AlertAck)),
    ("/maintenance/{id}", May(Read), May(AlertAck)),
    ("/silences/{id}/history", May(Read), May(Read)),
    ("/api/v2/status", May(Read), May(Read)),
    ("/api/v2/receivers", May(Read), May(Read)),
    ("/api/v2/alerts", May(Read), May(Write)),
    ("/api/v2/alerts/groups", May(Read), May(Read)),
    ("/api/v2/silences", May(Read), May(AlertAck)),
    ("/api/v2/silence/{id}", May(Read), May(AlertAck)),
    // What is brought.
    ("/api/v1/write", May(Write), May(Write)),
    ("/api/v1/import/prometheus", May(Write), May(Write)),
    ("/record", May(Write), May(Write)),
    ("/import", May(Write), May(Write)),
    ("/v1/metrics", May(Write), May(Write)),
    ("/v1/traces", May(Write), May(Write)),
    ("/v1/logs", May(Write), May(Write)),
    ("/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", May(Write), May(Write)),
    ("/opentelemetry.proto.collector.trace.v1.TraceService/Export", May(Write), May(Write)),
    ("/opentelemetry.proto.collector.logs.v1.LogsService/Export", May(Write), May(Write)),
    ("/api/v1/otlp/v1/metrics", May(Write), May(Write)),
    ("/api/v2/spans", May(Write), May(Write)),
    ("/api/v2/write", May(Write), May(Write)),
    ("/write", May(Write), May(Write)),
    ("/metrics/job/{*rest}", May(Write), May(Write)),
    ("/metrics/job@base64/{*rest}", May(Write), May(Write)),
    // What changes the server.
    ("/config", May(Admin), May(Admin)),
    ("/config/running", May(Admin), May(Admin)),
    // Pages tell it to whoever looks.
    ("/config/reload", May(Read), May(Admin)),
    ("/admin/flush", May(Admin), May(Admin)),
    ("/backup", May(Read), May(Admin)),
    ("/api/v1/admin/tsdb/snapshot", May(Admin), May(Admin)),
    ("/api/v1/admin/tsdb/delete_series", May(Admin), May(Admin)),
    ("/api/v1/admin/tsdb/clean_tombstones", May(Admin), May(Admin)),
    ("/-/reload", May(Admin), May(Admin)),
    ("/-/quit", May(Admin), May(Admin)),
];

/// Services and their calls; one that ends with `/` is for all of a service that are not named.
const CALLS: &[(&str, Need)] = &[
    ("/grpc.health.v1.Health/", Open),
    ("/grpc.reflection.v1.ServerReflection/", SignedIn),
    ("/grpc.reflection.v1alpha.ServerReflection/", SignedIn),
    ("/barograph.v1.Ingest/", May(Write)),
    ("/barograph.v1.Query/", May(Read)),
    ("/barograph.v1.Health/", May(Read)),
    ("/barograph.v1.Events/Publish", May(Write)),
    ("/barograph.v1.Events/", May(Read)),
    ("/barograph.v1.Admin/Info", May(Read)),
    ("/barograph.v1.Admin/StorageStats", May(Read)),
    ("/barograph.v1.Admin/ListBackups", May(Read)),
    ("/barograph.v1.Admin/", May(Admin)),
    ("/opentelemetry.proto.collector.metrics.v1.MetricsService/", May(Write)),
    ("/opentelemetry.proto.collector.trace.v1.TraceService/", May(Write)),
    ("/opentelemetry.proto.collector.logs.v1.LogsService/", May(Write)),
];

/// What a request needs, by its method and the route that it found; without one there is nothing to protect.
pub(crate) fn of_route(method: &Method, route: Option<&str>) -> Need {
    let Some(route) = route else { return Open };
    let looks = *method == Method::GET || *method == Method::HEAD;
    entry(route).map_or(May(Admin), |(look, change)| if looks { look } else { change })
}

/// What a call needs, by its path.
pub(crate) fn of_call(path: &str) -> Need {
    let found = CALLS.iter().find(|(call, _)| match call.ends_with('/') {
        true => path.starts_with(call),
        false => path == *call,
    });
    found.map_or(May(Admin), |(_, need)| *need)
}

/// All routes, as they stand here.
#[cfg(test)]
pub(crate) fn paths() -> impl Iterator<Item = &'static str> {
    ROUTES.iter().map(|(path, ..)| *path)
}

fn entry(route: &str) -> Option<(Need, Need)> {
    let path = route.strip_prefix(OWN).unwrap_or(route);
    ROUTES.iter().find(|(known, ..)| *known == path).map(|(_, look, change)| (*look, *change))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    /// All texts of the routers' source that are a path handed to `route`, or stand in a list of routes.
    fn routes_of_the_source() -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let text = fs::read_to_string(&path).unwrap_or_default();
                let below = if path.ends_with("http/diagnostics/kept.rs") { "/diagnostics" } else { "" };
                let code = text.split("#[cfg(test)]").next().unwrap();
                for (place, _) in code.match_indices(".route(").chain(code.match_indices("(\"/health/")) {
                    let rest = &code[place..];
                    let Some(begin) = rest.find('"').filter(|begin| *begin < 40) else { continue };
                    let text = rest[begin + 1..].split('"').next().unwrap();
                    if rest[..begin].contains("path(") || text.starts_with('/') {
                        let below = if rest[..begin].contains("path(") { below } else { "" };
                        found.insert(format!("{below}{text}"));
                    }
                }
            }
        }
        found.retain(|route| route.starts_with('/') && !route.starts_with("/api/barograph/v1{"));
        found
    }

    #[test]
    fn every_route_says_what_it_needs() {
        let routes = routes_of_the_source();
        assert!(routes.len() > 90, "{routes:?}");
        let missing: Vec<_> = routes.iter().filter(|route| entry(route).is_none()).collect();
        assert!(missing.is_empty(), "these have no entry in auth/table.rs, and are closed: {missing:?}");
    }

    #[test]
    fn every_call_says_what_it_needs() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto/barograph/v1");
        let mut services = 0;
        for entry in fs::read_dir(folder).unwrap() {
            let text = fs::read_to_string(entry.unwrap().path()).unwrap();
            for name in text.lines().filter_map(|line| line.strip_prefix("service ")) {
                let start = format!("/barograph.v1.{}/", name.split(' ').next().unwrap());
                assert!(CALLS.iter().any(|(call, _)| *call == start), "{start}");
                services += 1;
            }
        }
        assert!(services >= 5);
    }

    #[test]
    fn no_entry_stands_twice_and_only_few_are_open() {
        let mut seen = BTreeSet::new();
        for (path, look, change) in ROUTES {
            assert!(seen.insert(path), "{path} stands twice");
            // Whoever may change may be refused to look, never the other way round.
            assert!(*change != Open || *look == Open, "{path}");
        }
        assert_eq!(of_route(&Method::GET, Some("/something/new")), May(Admin));
        assert_eq!(of_route(&Method::POST, Some("/api/barograph/v1/query")), May(Read));
        assert_eq!(of_route(&Method::POST, Some("/api/barograph/v1/events/{topic}")), May(Write));
        assert_eq!(of_route(&Method::DELETE, Some("/api/barograph/v1/queries/{id}")), May(Admin));
        assert_eq!(of_call("/barograph.v1.Admin/Flush"), May(Admin));
        assert_eq!(of_call("/barograph.v1.Admin/Info"), May(Read));
        assert_eq!(of_call("/grpc.health.v1.Health/Check"), Open);
        assert_eq!(of_call("/some.Other/Call"), May(Admin));
    }
}
