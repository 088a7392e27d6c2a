//! The list `remote_write`: to whom what is stored is sent on, in the keys of `prometheus.yml`.

use std::{path::Path, time::Duration};

use super::{
    http_client::{HttpClientConfig, read_http_client},
    relabel::{Rule, read_rules},
    secret::Secret,
    section::{Findings, Section, boolean, count, read_scalar, text},
    settings::{positive_count, positive_duration},
    tree::Node,
    units::parse_duration,
};

/// Where samples are sent on to.
#[derive(Clone, Debug)]
pub struct RemoteWriteConfig {
    /// Where. It may hold a password, and is shown nowhere.
    pub url: Secret,
    /// What it is called in metrics, logs and the state; by default a word made of the URL.
    pub name: String,
    /// How long one request may take; 30 seconds by default.
    pub remote_timeout: Duration,
    /// What changes labels, or leaves series out, before they are sent.
    pub write_relabel_configs: Vec<Rule>,
    /// Whether exemplars are sent; not by default.
    pub send_exemplars: bool,
    /// Whether native histograms are sent; not by default.
    pub send_native_histograms: bool,
    /// Which message is sent; that of 1.0 by default.
    pub message: RemoteWriteMessage,
    /// How it is sent.
    pub queue: QueueConfig,
    /// Whether what is known of metrics is sent, for 1.0; it is by default.
    pub send_metadata: bool,
    /// How often; once a minute by default.
    pub metadata_interval: Duration,
    /// Metrics of one request of metadata at most; 2,000 by default.
    pub metadata_max: u64,
    /// How it is asked.
    pub client: HttpClientConfig,
}

/// A message of remote write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RemoteWriteMessage {
    /// `prometheus.WriteRequest`
    #[default]
    V1,
    /// `io.prometheus.write.v2.Request`
    V2,
}

/// How samples wait and are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueConfig {
    /// Samples that wait for one shard at most; 10,000 by default.
    pub capacity: u64,
    /// Shards at most; 50 by default.
    pub max_shards: u64,
    /// Shards at least; 1 by default.
    pub min_shards: u64,
    /// Samples of one request at most; 2,000 by default.
    pub max_samples_per_send: u64,
    /// A sample waits no longer than this for others; 5 seconds by default.
    pub batch_send_deadline: Duration,
    /// The pause after the first failure; 30 milliseconds by default.
    pub min_backoff: Duration,
    /// The longest pause, unless the other side asks for a longer one; 5 seconds by default.
    pub max_backoff: Duration,
    /// Whether 429 is tried again; it is by default, so that a limit of the other side loses nothing.
    pub retry_on_http_429: bool,
    /// Samples older than this are not sent any more; zero, the default, sends all.
    pub sample_age_limit: Duration,
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self {
            capacity: 10_000,
            max_shards: 50,
            min_shards: 1,
            max_samples_per_send: 2_000,
            batch_send_deadline: Duration::from_secs(5),
            min_backoff: Duration::from_millis(30),
            max_backoff: Duration::from_secs(5),
            retry_on_http_429: true,
            sample_age_limit: Duration::ZERO,
        }
    }
}

const UNSUPPORTED: [&str; 5] = ["sigv4", "azuread", "google_iam", "round_robin_dns", "remote_write_version"];

pub(super) fn read_remote_writes(
    items: &[Node],
    folder: &Path,
    findings: &mut Findings,
) -> Vec<RemoteWriteConfig> {
    let mut configs: Vec<RemoteWriteConfig> = Vec::new();
    for node in items {
        let config = read_one(node, folder, findings);
        if configs.iter().any(|earlier| earlier.name == config.name) {
            findings.add(
                &node.place,
                format!("`remote_write` has the name `{}` twice; give each a `name` of its own", config.name),
            );
        }
        configs.push(config);
    }
    configs
}

fn read_one(node: &Node, folder: &Path, findings: &mut Findings) -> RemoteWriteConfig {
    let mut section = Section::open(node, "an entry of `remote_write`", findings);
    let url = section.value("url", http_url, findings);
    if url.is_none() && std::ptr::eq(section.place_of("url"), section.place) {
        findings.add(section.place, "an entry of `remote_write` needs `url`; add it");
    }
    let url = url.unwrap_or_default();
    let name = section.value("name", text, findings).filter(|name| !name.is_empty());
    let mut config = RemoteWriteConfig {
        name: name.unwrap_or_else(|| name_of(&url)),
        url: Secret::Text(url),
        remote_timeout: Duration::from_secs(30),
        write_relabel_configs: read_rules(&mut section, "write_relabel_configs", findings),
        send_exemplars: section.value("send_exemplars", boolean, findings).unwrap_or(false),
        send_native_histograms: section.value("send_native_histograms", boolean, findings).unwrap_or(false),
        message: section.value("protobuf_message", message, findings).unwrap_or_default(),
        queue: QueueConfig::default(),
        send_metadata: true,
        metadata_interval: Duration::from_secs(60),
        metadata_max: 2_000,
        client: HttpClientConfig::default(),
    };
    section.set("remote_timeout", &mut config.remote_timeout, positive_duration, findings);
    if let Some(node) = section.node("queue_config") {
        read_queue(node, &mut config.queue, findings);
    }
    if let Some(node) = section.node("metadata_config") {
        let mut section = Section::open(node, "`metadata_config`", findings);
        section.set("send", &mut config.send_metadata, boolean, findings);
        section.set("send_interval", &mut config.metadata_interval, positive_duration, findings);
        section.set("max_samples_per_send", &mut config.metadata_max, positive_count, findings);
        section.finish(&[], findings);
    }
    let headers = section.entries("headers", findings);
    config.client = read_http_client(&mut section, folder, findings);
    for (key, node) in headers {
        let name = format!("header `{}`", key.text);
        if let Some(value) = read_scalar(node, &name, text, findings) {
            config.client.headers.push((key.text.clone(), vec![Secret::Text(value)]));
        }
    }
    section.finish(&UNSUPPORTED, findings);
    config
}

fn read_queue(node: &Node, queue: &mut QueueConfig, findings: &mut Findings) {
    let mut section = Section::open(node, "`queue_config`", findings);
    section.set("capacity", &mut queue.capacity, positive_count, findings);
    section.set("max_shards", &mut queue.max_shards, positive_count, findings);
    section.set("min_shards", &mut queue.min_shards, positive_count, findings);
    section.set("max_samples_per_send", &mut queue.max_samples_per_send, positive_count, findings);
    section.set("batch_send_deadline", &mut queue.batch_send_deadline, positive_duration, findings);
    section.set("min_backoff", &mut queue.min_backoff, positive_duration, findings);
    section.set("max_backoff", &mut queue.max_backoff, positive_duration, findings);
    section.set("retry_on_http_429", &mut queue.retry_on_http_429, boolean, findings);
    section.set("sample_age_limit", &mut queue.sample_age_limit, parse_duration, findings);
    if queue.min_shards > queue.max_shards {
        findings.add(section.place_of("min_shards"), "`min_shards` is more than `max_shards`; lower it");
    }
    if queue.min_backoff > queue.max_backoff {
        findings.add(section.place_of("min_backoff"), "`min_backoff` is longer than `max_backoff`; lower it");
    }
    section.value("max_retries", count, findings);
    section.finish(&[], findings);
}

fn message(text: &str) -> Result<RemoteWriteMessage, String> {
    match text {
        "prometheus.WriteRequest" => Ok(RemoteWriteMessage::V1),
        "io.prometheus.write.v2.Request" => Ok(RemoteWriteMessage::V2),
        _ => Err(format!(
            "expected `prometheus.WriteRequest` or `io.prometheus.write.v2.Request`, found `{text}`"
        )),
    }
}

/// A URL is never told, as it may hold a password.
fn http_url(url: &str) -> Result<String, String> {
    let known = url.parse::<http::Uri>().ok().filter(|url| {
        matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some_and(|host| !host.is_empty())
    });
    known
        .map(|_| url.to_owned())
        .ok_or_else(|| "expected a URL with http:// or https:// and a host".to_owned())
}

/// Six letters and digits that stand for a URL.
fn name_of(url: &str) -> String {
    format!("{:06x}", xxhash_rust::xxh3::xxh3_64(url.as_bytes()) & 0xff_ffff)
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    fn read(text: &str) -> Result<Vec<RemoteWriteConfig>, String> {
        let config = Config::parse(text, "test.yml", Path::new("/etc"), []);
        config.map(|config| config.remote_write).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_not_said_is_as_prometheus_has_it() {
        let found = read("remote_write: [{url: 'http://user:pass@localhost:9090/api/v1/write'}]").unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].name.len(), found[0].queue.clone()), (6, QueueConfig::default()));
        assert_eq!(found[0].message, RemoteWriteMessage::V1);
        assert!(!format!("{:?}", found[0]).contains("pass"));
    }

    #[test]
    fn all_keys_are_read() {
        let found = read(
            "remote_write:\n- url: https://example.org/write\n  name: far\n  remote_timeout: 3s\n  headers: {X-Scope-OrgID: a}\n  \
             bearer_token: secret\n  tls_config: {insecure_skip_verify: true}\n  send_exemplars: true\n  \
             send_native_histograms: true\n  protobuf_message: io.prometheus.write.v2.Request\n  write_relabel_configs:\n  \
             - {source_labels: [__name__], regex: go_.*, action: drop}\n  queue_config: {capacity: 7, max_shards: 3, \
             min_shards: 2, max_samples_per_send: 5, batch_send_deadline: 1s, min_backoff: 1ms, max_backoff: 2s, \
             retry_on_http_429: false, sample_age_limit: 1h}\n  metadata_config: {send: false, send_interval: 2m, \
             max_samples_per_send: 9}\n",
        )
        .unwrap();
        let it = &found[0];
        assert_eq!((it.name.as_str(), it.message), ("far", RemoteWriteMessage::V2));
        assert_eq!((it.queue.capacity, it.queue.max_shards, it.queue.min_shards), (7, 3, 2));
        assert!(!it.queue.retry_on_http_429 && it.send_exemplars && it.send_native_histograms);
        assert_eq!((it.send_metadata, it.metadata_max), (false, 9));
        assert_eq!(it.client.headers.len(), 1);
        assert!(it.client.auth.is_some() && it.client.tls.insecure_skip_verify);
    }

    #[test]
    fn mistakes_are_named() {
        let check = |text: &str, expected: &str| {
            let error = read(text).unwrap_err();
            assert!(error.contains(expected), "{error} should say {expected}");
        };
        check("remote_write: [{name: x}]", "needs `url`");
        check("remote_write: [{url: 'ftp://pass@x'}]", "expected a URL with http://");
        check("remote_write: [{url: 'http://x', name: a}, {url: 'http://y', name: a}]", "twice");
        check(
            "remote_write: [{url: 'http://x', protobuf_message: v3}]",
            "expected `prometheus.WriteRequest`",
        );
        check(
            "remote_write: [{url: 'http://x', queue_config: {min_shards: 9, max_shards: 2}}]",
            "`min_shards`",
        );
        check("remote_write: [{url: 'http://x', queue_config: {capasity: 9}}]", "capacity");
    }
}
