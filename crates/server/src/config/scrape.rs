//! `global` and `scrape_configs`, as in `prometheus.yml`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use barograph_model::Labels;
use barograph_wire::exposition::Dialect;

use super::{
    http_client::read_auth,
    relabel::{Rule, read_rules},
    secret::Auth,
    section::{Findings, Section, boolean, count, read_scalar, text},
    tree::{Key, Node},
    units::{parse_duration, parse_size},
};

/// What holds for all scrapes that do not say otherwise.
#[derive(Clone, Debug)]
pub struct Global {
    /// Time from one scrape of a target to the next; 1 minute by default.
    pub scrape_interval: Duration,
    /// How long a scrape may take; 10 seconds by default, never more than the interval.
    pub scrape_timeout: Duration,
    /// Time from one evaluation of rules to the next; 1 minute by default.
    pub evaluation_interval: Duration,
    /// How far in the past expressions of rules are asked, where their group does not say; not at all by default.
    pub rule_query_offset: Duration,
    /// Labels added to what leaves this server. None by default.
    pub external_labels: Labels,
    /// The limits of scrapes.
    pub limits: ScrapeLimits,
}

impl Default for Global {
    fn default() -> Self {
        Self {
            scrape_interval: Duration::from_secs(60),
            scrape_timeout: Duration::from_secs(10),
            evaluation_interval: Duration::from_secs(60),
            rule_query_offset: Duration::ZERO,
            external_labels: Labels::empty(),
            limits: ScrapeLimits::default(),
        }
    }
}

/// What a scrape may bring. A scrape over any of them fails as a whole. Zero, the default, is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScrapeLimits {
    /// Samples after relabelling.
    pub samples: u64,
    /// Labels of a sample after relabelling.
    pub labels: u64,
    /// Bytes of a label name.
    pub label_name_bytes: u64,
    /// Bytes of a label value.
    pub label_value_bytes: u64,
    /// Targets of the job; with more, all of its scrapes fail.
    pub targets: u64,
    /// Bytes of a page, decompressed. Whatever is said here, [`PAGE_BYTES_MAX`] holds.
    pub body_bytes: u64,
}

/// No page larger than this is read.
pub const PAGE_BYTES_MAX: u64 = 256 << 20;

/// One job: targets and how they are scraped.
#[derive(Clone, Debug)]
pub struct ScrapeConfig {
    /// The name of the job, unique, and the `job` label of its targets.
    pub job_name: String,
    /// As [`Global::scrape_interval`].
    pub scrape_interval: Duration,
    /// As [`Global::scrape_timeout`].
    pub scrape_timeout: Duration,
    /// The path of the page; `/metrics` by default.
    pub metrics_path: String,
    /// Query parameters of the request.
    pub params: BTreeMap<String, Vec<String>>,
    /// Whether labels of a page win over those of its target. By default the target's win, and the page's come
    /// along under an `exported_` name.
    pub honor_labels: bool,
    /// Whether times on a page are kept, as by default, or replaced by that of the scrape.
    pub honor_timestamps: bool,
    /// Whether series with a time on the page get staleness markers too; not by default.
    pub track_timestamps_staleness: bool,
    /// Whether redirects are followed, as by default, or are an error.
    pub follow_redirects: bool,
    /// Whether a compressed page is asked for, as by default.
    pub enable_compression: bool,
    /// How a page is read whose content type says nothing usable. By default such a scrape fails.
    pub fallback_dialect: Option<Dialect>,
    /// How the scrape proves who it is.
    pub auth: Option<Auth>,
    /// Targets that stand in the configuration.
    pub static_configs: Vec<TargetGroup>,
    /// Files that name targets.
    pub file_sd_configs: Vec<FileDiscovery>,
    /// Rules for targets.
    pub relabel_configs: Vec<Rule>,
    /// Rules for the samples of a scrape.
    pub metric_relabel_configs: Vec<Rule>,
    /// What a scrape may bring.
    pub limits: ScrapeLimits,
}

/// Targets that share labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetGroup {
    /// Addresses, `host` or `host:port`.
    pub targets: Vec<String>,
    /// The labels of all of them.
    pub labels: BTreeMap<String, String>,
}

/// Files that name targets, in YAML or JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileDiscovery {
    /// Paths; the last part may hold one `*`, as in `targets/*.json`.
    pub files: Vec<PathBuf>,
}

const UNSUPPORTED_GLOBAL: [&str; 11] = [
    "scrape_protocols",
    "scrape_failure_log_file",
    "query_log_file",
    "keep_dropped_targets",
    "metric_name_validation_scheme",
    "metric_name_escaping_scheme",
    "convert_classic_histograms_to_nhcb",
    "always_scrape_classic_histograms",
    "scrape_native_histograms",
    "extra_scrape_metrics",
    "runtime",
];

const UNSUPPORTED_SCRAPE: [&str; 52] = [
    "scrape_protocols",
    "scrape_failure_log_file",
    "scrape_classic_histograms",
    "always_scrape_classic_histograms",
    "convert_classic_histograms_to_nhcb",
    "scrape_native_histograms",
    "extra_scrape_metrics",
    "native_histogram_bucket_limit",
    "native_histogram_min_bucket_factor",
    "keep_dropped_targets",
    "metric_name_validation_scheme",
    "metric_name_escaping_scheme",
    "tls_config",
    "oauth2",
    "proxy_url",
    "proxy_from_environment",
    "proxy_connect_header",
    "no_proxy",
    "http_headers",
    "enable_http2",
    "http_sd_configs",
    "dns_sd_configs",
    "azure_sd_configs",
    "consul_sd_configs",
    "digitalocean_sd_configs",
    "docker_sd_configs",
    "dockerswarm_sd_configs",
    "ec2_sd_configs",
    "eureka_sd_configs",
    "gce_sd_configs",
    "hetzner_sd_configs",
    "ionos_sd_configs",
    "kubernetes_sd_configs",
    "kuma_sd_configs",
    "lightsail_sd_configs",
    "linode_sd_configs",
    "marathon_sd_configs",
    "nerve_sd_configs",
    "nomad_sd_configs",
    "openstack_sd_configs",
    "ovhcloud_sd_configs",
    "outscale_sd_configs",
    "puppetdb_sd_configs",
    "scaleway_sd_configs",
    "serverset_sd_configs",
    "stackit_sd_configs",
    "triton_sd_configs",
    "uyuni_sd_configs",
    "vultr_sd_configs",
    "aws_sd_configs",
    "ecs_sd_configs",
    "static_config",
];

pub(super) fn read_global(node: &Node, findings: &mut Findings) -> Global {
    let mut global = Global::default();
    let mut section = Section::open(node, "`global`", findings);
    section.set("scrape_interval", &mut global.scrape_interval, positive_duration, findings);
    section.set("evaluation_interval", &mut global.evaluation_interval, positive_duration, findings);
    section.set("rule_query_offset", &mut global.rule_query_offset, parse_duration, findings);
    let timeout = section.value("scrape_timeout", positive_duration, findings);
    global.scrape_timeout = timeout_within(timeout, &global, global.scrape_interval, &section, findings);
    global.external_labels = read_labels(section.entries("external_labels", findings), findings);
    read_limits(&mut section, &mut global.limits, findings);
    section.finish(&UNSUPPORTED_GLOBAL, findings);
    global
}

pub(super) fn read_scrape_configs(
    items: &[Node],
    global: &Global,
    folder: &Path,
    findings: &mut Findings,
) -> Vec<ScrapeConfig> {
    let mut configs: Vec<ScrapeConfig> = Vec::new();
    for node in items {
        let config = read_scrape_config(node, global, folder, findings);
        if !config.job_name.is_empty() && configs.iter().any(|earlier| earlier.job_name == config.job_name) {
            findings.add(
                &node.place,
                format!("job name `{}` stands twice; give each job its own", config.job_name),
            );
        }
        configs.push(config);
    }
    configs
}

fn read_scrape_config(node: &Node, global: &Global, folder: &Path, findings: &mut Findings) -> ScrapeConfig {
    let mut section = Section::open(node, "a scrape configuration", findings);
    let interval =
        section.value("scrape_interval", positive_duration, findings).unwrap_or(global.scrape_interval);
    let timeout = section.value("scrape_timeout", positive_duration, findings);
    let mut limits = global.limits;
    read_limits(&mut section, &mut limits, findings);
    section.value("scheme", parse_scheme, findings);
    let flag = |section: &mut Section<'_>, key, default, findings: &mut Findings| {
        section.value(key, boolean, findings).unwrap_or(default)
    };
    let config = ScrapeConfig {
        job_name: section.value("job_name", text, findings).unwrap_or_default(),
        scrape_interval: interval,
        scrape_timeout: timeout_within(timeout, global, interval, &section, findings),
        metrics_path: section.value("metrics_path", text, findings).unwrap_or_else(|| "/metrics".to_owned()),
        params: read_params(section.entries("params", findings), findings),
        honor_labels: flag(&mut section, "honor_labels", false, findings),
        honor_timestamps: flag(&mut section, "honor_timestamps", true, findings),
        track_timestamps_staleness: flag(&mut section, "track_timestamps_staleness", false, findings),
        follow_redirects: flag(&mut section, "follow_redirects", true, findings),
        enable_compression: flag(&mut section, "enable_compression", true, findings),
        fallback_dialect: section.value("fallback_scrape_protocol", parse_protocol, findings),
        auth: read_auth(&mut section, folder, findings),
        static_configs: read_static(section.items("static_configs", findings), findings),
        file_sd_configs: read_file_discovery(section.items("file_sd_configs", findings), folder, findings),
        relabel_configs: read_rules(&mut section, "relabel_configs", findings),
        metric_relabel_configs: read_rules(&mut section, "metric_relabel_configs", findings),
        limits,
    };
    if config.job_name.is_empty() {
        findings.add(section.place, "a scrape configuration needs `job_name`; add it");
    }
    section.finish(&UNSUPPORTED_SCRAPE, findings);
    config
}

/// A timeout that was given must not be over the interval; the global one is lowered to it.
fn timeout_within(
    given: Option<Duration>,
    global: &Global,
    interval: Duration,
    section: &Section<'_>,
    findings: &mut Findings,
) -> Duration {
    if given.is_some_and(|timeout| timeout > interval) {
        findings.add(
            section.place_of("scrape_timeout"),
            "`scrape_timeout` is longer than `scrape_interval`; lower it",
        );
    }
    given.unwrap_or(global.scrape_timeout).min(interval)
}

fn read_limits(section: &mut Section<'_>, limits: &mut ScrapeLimits, findings: &mut Findings) {
    section.set("sample_limit", &mut limits.samples, count, findings);
    section.set("label_limit", &mut limits.labels, count, findings);
    section.set("label_name_length_limit", &mut limits.label_name_bytes, count, findings);
    section.set("label_value_length_limit", &mut limits.label_value_bytes, count, findings);
    section.set("target_limit", &mut limits.targets, count, findings);
    section.set("body_size_limit", &mut limits.body_bytes, parse_size, findings);
}

fn read_params(entries: &[(Key, Node)], findings: &mut Findings) -> BTreeMap<String, Vec<String>> {
    entries
        .iter()
        .map(|(key, node)| {
            let mut list = Vec::new();
            match &node.kind {
                super::tree::Kind::List(items) => {
                    list.extend(
                        items
                            .iter()
                            .filter_map(|item| read_scalar(item, "each of a parameter", text, findings)),
                    );
                }
                _ => findings.add(
                    &node.place,
                    format!("parameter `{}` should be a list, not {}", key.text, node.word()),
                ),
            }
            (key.text.clone(), list)
        })
        .collect()
}

/// Reads target groups, as they stand in the configuration or in a file of targets.
pub(super) fn read_static(items: &[Node], findings: &mut Findings) -> Vec<TargetGroup> {
    items
        .iter()
        .map(|node| {
            let mut section = Section::open(node, "a group of targets", findings);
            let targets = section.values("targets", parse_target, findings);
            let labels = read_labels(section.entries("labels", findings), findings);
            section.finish(&[], findings);
            let labels = labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            TargetGroup { targets, labels }
        })
        .collect()
}

fn read_file_discovery(items: &[Node], folder: &Path, findings: &mut Findings) -> Vec<FileDiscovery> {
    items
        .iter()
        .map(|node| {
            let mut section = Section::open(node, "file discovery", findings);
            let files = section.values("files", parse_pattern, findings);
            section.value("refresh_interval", positive_duration, findings);
            if files.is_empty() {
                findings.add(section.place, "file discovery needs `files`; add it");
            }
            section.finish(&[], findings);
            FileDiscovery { files: files.iter().map(|file| folder.join(file)).collect() }
        })
        .collect()
}

fn read_labels(entries: &[(Key, Node)], findings: &mut Findings) -> Labels {
    let mut pairs = Vec::new();
    for (key, node) in entries {
        if key.text.is_empty() {
            findings.add(&key.place, "a label name is empty");
        } else if let Some(value) = read_scalar(node, &format!("label `{}`", key.text), text, findings) {
            pairs.push((key.text.as_str(), value));
        }
    }
    Labels::from_pairs(pairs.iter().map(|(name, value)| (*name, value.as_str())))
        .expect("a mapping has unique keys, and empty ones were left out")
}

fn positive_duration(text: &str) -> Result<Duration, String> {
    match parse_duration(text)? {
        Duration::ZERO => Err("expected a duration longer than 0".to_owned()),
        duration => Ok(duration),
    }
}

fn parse_scheme(scheme: &str) -> Result<(), String> {
    match scheme {
        "http" => Ok(()),
        "https" => Err("`https` is not supported yet; only `http` is".to_owned()),
        _ => Err(format!("expected `http`, found `{scheme}`")),
    }
}

fn parse_protocol(name: &str) -> Result<Dialect, String> {
    match name {
        "PrometheusText0.0.4" | "PrometheusText1.0.0" => Ok(Dialect::Text),
        "OpenMetricsText0.0.1" | "OpenMetricsText1.0.0" => Ok(Dialect::OpenMetrics),
        "PrometheusProto" => Err("`PrometheusProto` is not supported yet; use a text protocol".to_owned()),
        _ => Err(format!("expected a protocol such as `PrometheusText0.0.4`, found `{name}`")),
    }
}

fn parse_target(target: &str) -> Result<String, String> {
    if target.is_empty() || target.contains('/') {
        return Err(format!("expected `host` or `host:port` without scheme and path, found `{target}`"));
    }
    text(target)
}

fn parse_pattern(pattern: &str) -> Result<String, String> {
    let (folder, file) = pattern.rsplit_once('/').unwrap_or(("", pattern));
    let known = [".json", ".yml", ".yaml"].iter().any(|ending| file.ends_with(ending));
    if folder.contains('*') || file.matches('*').count() > 1 || !known {
        return Err(format!(
            "expected a path ending in .json, .yml or .yaml with at most one `*` in its last part, found `{pattern}`"
        ));
    }
    text(pattern)
}
