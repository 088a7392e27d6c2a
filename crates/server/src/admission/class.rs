//! What a request is for: the classes in which requests are admitted.

/// Classes, the most important first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Class {
    /// How it fares, and what it says of itself.
    Health,
    /// Alerts, rules, and jobs that say that they live.
    Alerts,
    /// Samples that come in.
    Ingest,
    /// Questions.
    Query,
}

impl Class {
    pub(crate) const ALL: [Self; 4] = [Self::Health, Self::Alerts, Self::Ingest, Self::Query];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Health => "health",
            Self::Alerts => "alerts",
            Self::Ingest => "ingest",
            Self::Query => "query",
        }
    }

    /// Whether one of it is ever refused.
    pub(crate) const fn is_critical(self) -> bool {
        matches!(self, Self::Health | Self::Alerts)
    }

    /// The class of a path over HTTP; `None` of pages, of streams that last, and of what there is not.
    pub(crate) fn of_path(path: &str) -> Option<Self> {
        let ours = path.strip_prefix("/api/barograph/v1/");
        let others = || ["/api/v1/", "/api/v2/", "/"].into_iter().find_map(|start| path.strip_prefix(start));
        let first = ours.or_else(others)?;
        let (first, rest) = first.split_once('/').map_or((first, ""), |(first, rest)| (first, rest));
        if ours.is_some() && matches!((first, rest), ("live", _) | ("events", "") | ("export", _)) {
            return None;
        }
        Some(match first {
            "-" | "livez" | "healthz" | "readyz" | "health" | "status" | "internal" | "diagnostics"
            | "admission" | "memory" | "config" | "stats" | "storage" => Self::Health,
            "metrics" if ours.is_none() && rest.is_empty() => Self::Health,
            "alerts" | "rules" | "silences" | "ping" | "services" => Self::Alerts,
            "write" | "import" | "record" | "otlp" | "push" | "influx" | "spans" | "v1" => Self::Ingest,
            "metrics" if ours.is_none() => Self::Ingest,
            "query" | "query_range" | "query_exemplars" | "series" | "labels" | "label" | "metadata"
            | "read" | "format_query" | "parse_query" | "metrics" | "catalog" | "cardinality"
            | "histograms" | "performance" | "snapshot" | "sampling" => Self::Query,
            _ => return None,
        })
    }

    /// The class of a call over gRPC, by its service; `None` of streams that last.
    pub(crate) fn of_call(path: &str) -> Option<Self> {
        let mut parts = path.trim_start_matches('/').split('/');
        let (service, method) = (parts.next()?, parts.next()?);
        if method.ends_with("Stream") || method.starts_with("Watch") || method.starts_with("Subscribe") {
            return None;
        }
        match service.rsplit('.').next()? {
            "Ingest" | "MetricsService" | "TraceService" => Some(Self::Ingest),
            "Query" => Some(Self::Query),
            "Health" => Some(Self::Health),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_classes() {
        let check = |path: &str, class: Option<Class>| assert_eq!(Class::of_path(path), class, "{path}");
        check("/-/ready", Some(Class::Health));
        check("/health/extended", Some(Class::Health));
        check("/metrics", Some(Class::Health));
        check("/api/barograph/v1/health/components/a", Some(Class::Health));
        check("/api/v1/status/buildinfo", Some(Class::Health));
        check("/api/v1/alerts", Some(Class::Alerts));
        check("/ping/nightly/start", Some(Class::Alerts));
        check("/api/v1/write", Some(Class::Ingest));
        check("/metrics/job/a", Some(Class::Ingest));
        check("/v1/metrics", Some(Class::Ingest));
        check("/api/v2/write", Some(Class::Ingest));
        check("/api/v1/query_range", Some(Class::Query));
        check("/api/v1/label/a/values", Some(Class::Query));
        check("/api/barograph/v1/query/explain", Some(Class::Query));
        check("/api/barograph/v1/metrics/up", Some(Class::Query));
        check("/api/barograph/v1/live/ws", None);
        check("/api/barograph/v1/events", None);
        check("/ui/admin", None);
        check("/", None);
        check("", None);
        let check = |path: &str, class: Option<Class>| assert_eq!(Class::of_call(path), class, "{path}");
        check("/barograph.v1.Query/Range", Some(Class::Query));
        check("/barograph.v1.Ingest/Write", Some(Class::Ingest));
        check("/grpc.health.v1.Health/Check", Some(Class::Health));
        check("/grpc.health.v1.Health/Watch", None);
        check("/barograph.v1.Ingest/WriteStream", None);
        check("/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", Some(Class::Ingest));
        check("nothing", None);
    }
}
