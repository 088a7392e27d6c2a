//! The configuration: one YAML file, and environment variables over it.
//!
//! The top-level keys of the file are those of `prometheus.yml` (`global`, `rule_files`, `scrape_configs`, `remote_write`, `alerting`) and
//! ours (`alertmanager_config`, `ready_rules`, `storage`, `retention`, `collectors`, `stats`, `prometheus`, `rate_limit`, `auth`, `metrics`,
//! `health`, `diagnostics`, `query`, `limits`, `traces`, `push`, `statsd`, `otlp`, `tenancy`, `web`, `config`, `log`), so a plain
//! `prometheus.yml` works as it is, as far as its keys are supported.
//! A key that is not known or not supported is an error: whoever wrote it expects something to happen. All errors
//! of a file are found at once, each with line, column and what to do about it.
//!
//! An environment variable `BAROGRAPH_SECTION__KEY=VALUE` takes the place of `key` in `section`, one `__` a level:
//! `BAROGRAPH_COLLECTORS__SYSTEM__INTERVAL=5s`. Flags that stand for a key come over both. Where it is all read from is kept
//! ([`Sources`]), so that it can be read again; the [`schema`] is made of what is read here.

mod admission;
mod alerting;
mod auth;
mod clients;
mod collectors;
mod diagnostics;
mod discovery;
mod document;
mod expand;
mod external;
mod health;
mod http_client;
mod lines;
mod measuring;
mod origins;
mod otlp;
mod patterns;
mod protocols;
mod ready_rules;
pub mod relabel;
mod remote_write;
mod retention;
mod running;
pub mod schema;
mod scrape;
mod scrape_files;
mod secret;
mod settings;
mod sources;
mod tenancy;
mod traces;
mod web;

use std::{
    fs,
    path::{Path, PathBuf},
};

pub use admission::{AdmissionConfig, ClassLimits};
pub use alerting::{AlertingConfig, AlertmanagerConfig};
pub use auth::{AuditConfig, AuthConfig, OidcConfig};
pub use barograph_yaml::{Faults, Finding, Place};
use barograph_yaml::{section, tree, units};
pub use clients::{CallLimit, CallLimits, Queue, RateLimit, Stats, StatsExport};
pub use collectors::{Collector, Collectors};
pub use diagnostics::{Diagnostics, Threshold};
pub use discovery::{DiscoveryConfig, DnsDiscovery, FileDiscovery, HttpDiscovery, RecordKind, TargetGroup};
pub use document::{Document, MASK};
pub use external::External;
pub use health::{Authorities, HealthConfig, HeartbeatConfig, NodeConfig, ProbeConfig, ProbeKind};
pub use http_client::{
    Exception, HttpClientConfig, OAuth2, Proxy, ProxyUrl, TlsClientConfig, TlsVersion, TlsVersions,
};
pub use lines::{Push, Statsd};
pub use measuring::{Measuring, profile};
pub use origins::Origins;
pub use otlp::Otlp;
pub use patterns::matching_files;
pub(crate) use protocols::accept;
pub use protocols::{Escaping, Names, PageFormat, Protocol};
pub use ready_rules::ReadyRules;
pub use remote_write::{QueueConfig, RemoteWriteConfig, RemoteWriteMessage};
pub use retention::{RetentionConfig, RetentionRule};
pub use running::Reloading;
pub use scrape::{Global, PAGE_BYTES_MAX, Pages, ScrapeConfig, ScrapeLimits};
pub use secret::{Auth, Secret};
use section::{Findings, Section};
pub use settings::{Durability, Limits, Query, Storage};
pub use sources::Sources;
pub use tenancy::{TenancyConfig, TenantLimits};
pub use traces::Traces;
use tree::{Kind, Node};
pub use units::{format_duration, parse_duration, parse_size};
pub use web::{ClientAuth, PasswordHash, TlsServerConfig, WebConfig};

/// Files larger than this are refused.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// How environment variables that are settings begin.
const ENVIRONMENT_PREFIX: &str = "BAROGRAPH_";

/// Top-level keys of `prometheus.yml` that we do not act on yet.
const UNSUPPORTED: [&str; 4] = ["remote_read", "tracing", "tls_server_config", "basic_auth_users"];

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file is not there or cannot be read.
    #[error("cannot read configuration file {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file was read, and things in it are wrong.
    #[error(transparent)]
    Invalid(#[from] Faults),
}

/// Everything that can be configured in the file.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// What holds for all scrapes.
    pub global: Global,
    /// Patterns of the files that hold rules.
    pub rule_files: Vec<PathBuf>,
    /// Which of the rules that come with the server are evaluated.
    pub ready_rules: ReadyRules,
    /// The file that says who is told of alerts; without one the pages are.
    pub alertmanager_config: Option<PathBuf>,
    /// The jobs.
    pub scrape_configs: Vec<ScrapeConfig>,
    /// To whom alerts are sent on.
    pub alerting: AlertingConfig,
    /// To whom what is stored is sent on.
    pub remote_write: Vec<RemoteWriteConfig>,
    /// How samples are kept.
    pub storage: Storage,
    /// How long they and their roll-ups are kept.
    pub retention: RetentionConfig,
    /// What the server collects by itself.
    pub collectors: Collectors,
    /// Which statistics there are.
    pub stats: Stats,
    /// Whether exposed statistics of sessions have those of each client.
    pub per_client: bool,
    /// How often one address may ask for details of health.
    pub rate_limit: RateLimit,
    /// How often one caller, and one address, may call.
    pub call_limits: CallLimits,
    /// Who may call; `None` asks nobody, and listens to this machine only.
    pub auth: Option<AuthConfig>,
    /// How the server is reached from outside.
    pub external: External,
    /// How requests and the runtime are measured.
    pub metrics: Measuring,
    /// What is checked, and who else is there.
    pub health: HealthConfig,
    /// How the server looks at itself, and what it warns of.
    pub diagnostics: Diagnostics,
    /// What a query may cost.
    pub query: Query,
    /// How many requests are at work at once.
    pub admission: AdmissionConfig,
    /// What one request, series or the whole server takes at most.
    pub limits: Limits,
    /// How metrics that come by OTLP become series.
    pub otlp: Otlp,
    /// How spans are kept.
    pub traces: Traces,
    /// Groups that are pushed.
    pub push: Push,
    /// StatsD.
    pub statsd: Statsd,
    /// Whether data of several tenants are kept apart, and what each may have.
    pub tenancy: TenancyConfig,
    /// How the configuration itself is read.
    pub reloading: Reloading,
    /// The least important log lines that are written; `None` leaves it as it was at the start.
    pub log_level: Option<String>,
    /// Where what is not the default came from.
    pub origins: Origins,
    /// What was given, to be shown and compared.
    pub document: Document,
    /// Where it can be read again; `None` if it was made otherwise.
    pub sources: Option<Sources>,
}

impl Config {
    /// Reads a file, or the defaults without one, with environment variables over it. Variables that are no
    /// settings are passed over, so the whole environment may be given. Relative paths in the file are taken from
    /// the folder it is in.
    ///
    /// # Errors
    /// When the file cannot be read or anything in it is wrong.
    pub fn load(
        path: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        Sources::new(path, environment).load()
    }

    /// As [`Config::load`], from a text; `name` is what messages call it.
    ///
    /// # Errors
    /// When anything in it is wrong.
    pub fn parse(
        text: &str,
        name: &str,
        folder: &Path,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        Sources::new(None, environment).parse(text, name, folder)
    }
}

fn read_limited(path: &Path) -> std::io::Result<String> {
    if fs::metadata(path)?.len() > FILE_BYTES_MAX {
        return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, "the file is larger than 16 MiB"));
    }
    fs::read_to_string(path)
}

fn read(root: &Node, folder: &Path, findings: &mut Findings) -> Config {
    let mut section = Section::open(root, "the configuration", findings);
    let none = Node::null(root.place.clone());
    let external = external::read_external(section.node("web").unwrap_or(&none), findings);
    let auth = auth::read_auth(section.node("auth"), folder, &external, findings);
    let mut node = |key| section.node(key).unwrap_or(&none);
    let global = scrape::read_global(node("global"), findings);
    let storage = settings::read_storage(node("storage"), findings);
    let mut retention = retention::read_retention(node("retention"), findings);
    retention.tiers[0] = retention.tiers[0].or(storage.retention_raw);
    let collectors = collectors::read_collectors(node("collectors"), findings);
    let stats = clients::read_stats(node("stats"), folder, findings);
    let per_client = clients::read_prometheus(node("prometheus"), findings);
    let (rate_limit, call_limits) = clients::read_rate_limit(node("rate_limit"), findings);
    let metrics = measuring::read_measuring(node("metrics"), findings);
    let health = health::read_health(node("health"), folder, findings);
    let diagnostics = diagnostics::read_diagnostics(node("diagnostics"), findings);
    let query = settings::read_query(node("query"), findings);
    let admission = admission::read_admission(node("admission"), findings);
    let limits = settings::read_limits(node("limits"), findings);
    let otlp = otlp::read_otlp(node("otlp"), &query, findings);
    let traces = traces::read_traces(node("traces"), findings);
    let push = lines::read_push(node("push"), findings);
    let statsd = lines::read_statsd(node("statsd"), findings);
    let tenancy = tenancy::read_tenancy(node("tenancy"), findings);
    let reloading = running::read_reloading(node("config"), findings);
    let log_level = running::read_log(node("log"), findings);
    let ready_rules = ready_rules::read_ready_rules(node("ready_rules"), findings);
    let alerting = alerting::read_alerting(node("alerting"), folder, findings);
    let jobs = section.items("scrape_configs", findings);
    let scrape_configs = scrape::read_scrape_configs(jobs, &global, folder, findings);
    let remote_write =
        remote_write::read_remote_writes(section.items("remote_write", findings), folder, findings);
    let job_files = section.items("scrape_config_files", findings);
    let scrape_configs =
        scrape_files::read_scrape_files(job_files, &global, folder, scrape_configs, findings);
    scrape::read_runtime(section.node("runtime").unwrap_or(&none), findings);
    let alertmanager_config = section.value("alertmanager_config", |path| rule_files(path, folder), findings);
    let rule_files = section.values("rule_files", |path| rule_files(path, folder), findings);
    section.finish(&UNSUPPORTED, findings);
    Config {
        global,
        rule_files,
        ready_rules,
        alertmanager_config,
        scrape_configs,
        alerting,
        remote_write,
        storage,
        retention,
        collectors,
        stats,
        per_client,
        rate_limit,
        call_limits,
        auth,
        external,
        metrics,
        health,
        diagnostics,
        query,
        admission,
        limits,
        otlp,
        traces,
        push,
        statsd,
        tenancy,
        reloading,
        log_level,
        origins: origins::of(root),
        document: Document::new(root),
        sources: None,
    }
}

/// A pattern of rule files, relative to the folder of the configuration.
fn rule_files(path: &str, folder: &Path) -> Result<PathBuf, String> {
    if path.is_empty() { Err("expected the path of a file".to_owned()) } else { Ok(folder.join(path)) }
}

/// Reads a file of targets, YAML or JSON: a list of groups.
///
/// # Errors
/// When anything in it is wrong.
pub fn parse_targets(text: &str, name: &str) -> Result<Vec<TargetGroup>, ConfigError> {
    let groups = barograph_yaml::read(text, name, |root, findings| match &root.kind {
        Kind::Null => Vec::new(),
        Kind::List(items) => discovery::read_static(items, findings),
        _ => {
            findings.add(
                &root.place,
                format!("a file of targets should be a list of groups, not {}", root.word()),
            );
            Vec::new()
        }
    });
    Ok(groups?)
}

#[cfg(test)]
mod tests;
