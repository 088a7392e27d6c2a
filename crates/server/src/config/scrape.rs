//! `global` and `scrape_configs`, as in `prometheus.yml`.

use std::{collections::BTreeMap, path::Path, time::Duration};

use barograph_model::Labels;

use super::{
    discovery::{DiscoveryConfig, read_discovery},
    http_client::{HttpClientConfig, read_http_client},
    protocols::{Escaping, Names, Protocol},
    relabel::{Rule, read_rules},
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
    /// How pages are read.
    pub pages: Pages,
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
            pages: Pages::default(),
        }
    }
}

/// In which formats pages are asked for, and what of them is stored.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pages {
    /// The formats, dearest first; `None` for what suits the rest.
    pub protocols: Option<Vec<Protocol>>,
    /// Whether native histograms are stored; not by default.
    pub native: bool,
    /// Whether histograms that are native are stored in classic buckets too; not by default.
    pub classic_too: bool,
    /// Whether histograms of classic buckets are stored as native ones with custom bounds; not by default.
    pub convert_classic: bool,
    /// Whether limits and timeout become series beside `up`; not by default.
    pub extra_metrics: bool,
    /// Which names there may be.
    pub names: Names,
    /// How targets are asked to spell other names.
    pub escaping: Option<Escaping>,
}

impl Pages {
    /// The formats, dearest first.
    pub fn protocols(&self) -> &[Protocol] {
        match &self.protocols {
            Some(protocols) => protocols,
            None if self.native => &Protocol::NATIVE,
            None => &Protocol::USUAL,
        }
    }

    /// How targets are asked to spell names.
    pub fn escaping(&self) -> Escaping {
        self.escaping.unwrap_or(match self.names {
            Names::Utf8 => Escaping::Allow,
            Names::Legacy => Escaping::Underscores,
        })
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
    /// Dropped targets of the job that are remembered; with 0 it is 1,000.
    pub dropped: u64,
    /// Buckets of a native histogram. Neighbours are joined until there are no more.
    pub buckets: u64,
}

/// No page larger than this is read.
pub const PAGE_BYTES_MAX: u64 = 256 << 20;

/// One job: targets and how they are scraped.
#[derive(Clone, Debug)]
pub struct ScrapeConfig {
    /// The name of the job, unique, and the `job` label of its targets.
    pub job_name: String,
    /// The tenant whose series these are, where there are tenants; the default one by default.
    pub tenant: Option<String>,
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
    /// Whether a compressed page is asked for, as by default.
    pub enable_compression: bool,
    /// `http` or `https`.
    pub scheme: String,
    /// How pages are read.
    pub pages: Pages,
    /// How a page is read whose content type says nothing usable. By default such a scrape fails.
    pub fallback: Option<Protocol>,
    /// Buckets of native histograms that grow by less than this are joined; 0, the default, joins none.
    pub bucket_factor_min: f64,
    /// How targets are asked.
    pub http: HttpClientConfig,
    /// Where targets are looked for.
    pub discovery: DiscoveryConfig,
    /// Rules for targets.
    pub relabel_configs: Vec<Rule>,
    /// Rules for the samples of a scrape.
    pub metric_relabel_configs: Vec<Rule>,
    /// What a scrape may bring.
    pub limits: ScrapeLimits,
}

const UNSUPPORTED_GLOBAL: [&str; 2] = ["scrape_failure_log_file", "query_log_file"];

const UNSUPPORTED_SCRAPE: [&str; 1] = ["scrape_failure_log_file"];

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
    read_pages(&mut section, &mut global.pages, findings);
    section.finish(&UNSUPPORTED_GLOBAL, findings);
    global
}

/// `runtime` is about that of Go: what it says has nothing to hold for here, and does no harm.
pub(super) fn read_runtime(node: &Node, findings: &mut Findings) {
    let mut section = Section::open(node, "`runtime`", findings);
    section.value("gogc", count, findings);
    section.finish(&[], findings);
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
    section.set("native_histogram_bucket_limit", &mut limits.buckets, count, findings);
    let mut pages = global.pages.clone();
    read_pages(&mut section, &mut pages, findings);
    let flag = |section: &mut Section<'_>, key, default, findings: &mut Findings| {
        section.value(key, boolean, findings).unwrap_or(default)
    };
    let config = ScrapeConfig {
        job_name: section.value("job_name", text, findings).unwrap_or_default(),
        tenant: section.value("tenant", super::tenancy::name, findings),
        scrape_interval: interval,
        scrape_timeout: timeout_within(timeout, global, interval, &section, findings),
        metrics_path: section.value("metrics_path", text, findings).unwrap_or_else(|| "/metrics".to_owned()),
        params: read_params(section.entries("params", findings), findings),
        honor_labels: flag(&mut section, "honor_labels", false, findings),
        honor_timestamps: flag(&mut section, "honor_timestamps", true, findings),
        track_timestamps_staleness: flag(&mut section, "track_timestamps_staleness", false, findings),
        enable_compression: flag(&mut section, "enable_compression", true, findings),
        scheme: section.value("scheme", parse_scheme, findings).unwrap_or_else(|| "http".to_owned()),
        pages,
        fallback: section.value("fallback_scrape_protocol", Protocol::parse, findings),
        bucket_factor_min: section
            .value("native_histogram_min_bucket_factor", parse_factor, findings)
            .unwrap_or_default(),
        http: read_http_client(&mut section, folder, findings),
        discovery: read_discovery(&mut section, folder, findings),
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
    section.set("keep_dropped_targets", &mut limits.dropped, count, findings);
}

/// What is said of pages for all jobs or for one, which then holds for it.
fn read_pages(section: &mut Section<'_>, pages: &mut Pages, findings: &mut Findings) {
    if section.node("scrape_protocols").is_some() {
        let given = section.values("scrape_protocols", Protocol::parse, findings);
        let mut sorted: Vec<_> = given.iter().map(|protocol| format!("{protocol:?}")).collect();
        sorted.sort();
        if given.is_empty() || sorted.windows(2).any(|pair| pair[0] == pair[1]) {
            findings.add(
                section.place_of("scrape_protocols"),
                "`scrape_protocols` should name at least one protocol, and none twice",
            );
        }
        pages.protocols = Some(given);
    }
    section.set("scrape_native_histograms", &mut pages.native, boolean, findings);
    section.set("convert_classic_histograms_to_nhcb", &mut pages.convert_classic, boolean, findings);
    // The older name says the same.
    section.set("scrape_classic_histograms", &mut pages.classic_too, boolean, findings);
    section.set("always_scrape_classic_histograms", &mut pages.classic_too, boolean, findings);
    section.set("extra_scrape_metrics", &mut pages.extra_metrics, boolean, findings);
    section.set("metric_name_validation_scheme", &mut pages.names, Names::parse, findings);
    if let Some(escaping) = section.value("metric_name_escaping_scheme", Escaping::parse, findings) {
        pages.escaping = Some(escaping);
    }
    if pages.names == Names::Legacy && pages.escaping == Some(Escaping::Allow) {
        findings.add(
            section.place_of("metric_name_escaping_scheme"),
            "names that are `allow-utf-8` are not `legacy`; change `metric_name_escaping_scheme` or \
             `metric_name_validation_scheme`",
        );
    }
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

pub(super) fn read_labels(entries: &[(Key, Node)], findings: &mut Findings) -> Labels {
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

pub(super) fn positive_duration(text: &str) -> Result<Duration, String> {
    match parse_duration(text)? {
        Duration::ZERO => Err("expected a duration longer than 0".to_owned()),
        duration => Ok(duration),
    }
}

pub(super) fn parse_scheme(scheme: &str) -> Result<String, String> {
    match scheme {
        "http" | "https" => Ok(scheme.to_owned()),
        _ => Err(format!("expected `http` or `https`, found `{scheme}`")),
    }
}

/// Zero, or a factor by which buckets can grow.
fn parse_factor(text: &str) -> Result<f64, String> {
    let factor =
        text.parse().ok().filter(|factor: &f64| factor.is_finite() && (*factor == 0.0 || *factor > 1.0));
    factor.ok_or_else(|| format!("expected a factor over 1, such as `1.1`, found `{text}`"))
}
