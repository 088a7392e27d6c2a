//! What is fed: one function for each reader of foreign bytes.

mod alerting;
mod auth;
#[cfg(feature = "server")]
mod config;
mod ingest;
mod otlp;
mod pages;
mod rules;
mod store;
mod tenants;
mod text;
mod tiers;
mod wire;

use crate::Target;

/// All targets.
pub const TARGETS: &[Target] = &[
    store::LOG_RECORD,
    store::LOG,
    store::BLOCK_FOOTER,
    store::BLOCK_INDEX,
    store::BLOCK,
    store::CATALOG,
    store::COLUMNS,
    store::STREAM,
    store::HISTOGRAMS,
    tiers::WINDOWS,
    tiers::HISTOGRAM_WINDOWS,
    tiers::DELETES,
    tiers::MANIFEST,
    tiers::TIER_BLOCK,
    wire::SNAPPY,
    wire::SNAPPY_EARLY,
    wire::REMOTE_WRITE,
    wire::REMOTE_WRITE_V2,
    wire::REMOTE_READ,
    wire::JSON_LINES,
    wire::PROMETHEUS_INDEX,
    wire::PROMETHEUS_CHUNK,
    otlp::OTLP_METRICS,
    otlp::OTLP_TRACES,
    ingest::OTLP_SPANS,
    ingest::ZIPKIN_SPANS,
    ingest::SPAN_RECORD,
    ingest::INFLUX,
    ingest::STATSD,
    text::EXPOSITION,
    pages::EXPOSITION_PROTOBUF,
    text::PROMQL,
    text::JSON_QUERY,
    tenants::TENANT_LABELS,
    auth::CREDENTIALS,
    auth::ISSUER,
    rules::RULES,
    rules::RULE_TESTS,
    alerting::ALERTMANAGER,
    alerting::MATCHERS,
    alerting::NOTICE_TEMPLATES,
    alerting::ACK_LINKS,
    alerting::SMTP_REPLIES,
    #[cfg(feature = "server")]
    config::CONFIG,
];
