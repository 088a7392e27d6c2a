//! An address with its labels, made a target.
//!
//! Discovery gives an address and labels. The configuration adds what they do not say as labels beginning with `__`,
//! relabelling may change any of it, and what comes out says where to scrape, how often, and which labels the
//! series get.

use std::{collections::BTreeMap, fmt::Write, time::Duration};

use barograph_model::{Labels, LabelsBuilder};
use xxhash_rust::xxh3::xxh3_64;

use crate::config::{ScrapeConfig, format_duration, parse_duration, relabel::relabel};

const ADDRESS: &str = "__address__";
const SCHEME: &str = "__scheme__";
const PATH: &str = "__metrics_path__";
const INTERVAL: &str = "__scrape_interval__";
const TIMEOUT: &str = "__scrape_timeout__";
const PARAM: &str = "__param_";

/// Something to be scraped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// The labels its series get.
    pub(super) labels: Labels,
    /// The labels before relabelling.
    pub(super) discovered: Labels,
    /// What is fetched.
    pub(super) url: String,
    pub(super) interval: Duration,
    pub(super) timeout: Duration,
}

impl Target {
    /// Two targets with the same identity are one.
    pub(super) fn identity(&self) -> (Labels, String, Duration, Duration) {
        (self.labels.clone(), self.url.clone(), self.interval, self.timeout)
    }

    /// Spreads targets over the interval; the same in every run.
    pub(super) fn hash(&self) -> u64 {
        xxh3_64(self.labels.as_bytes()) ^ xxh3_64(self.url.as_bytes())
    }
}

/// What an address became.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Built {
    /// A target.
    Target(Target),
    /// Nothing, because a rule dropped it.
    Dropped(Labels),
    /// Nothing, because something in its labels cannot be.
    Invalid(Labels, String),
}

/// Makes a target of labels, of which `__address__` is one.
pub(super) fn build(config: &ScrapeConfig, given: &BTreeMap<&str, &str>) -> Built {
    let mut labels = LabelsBuilder::new();
    for (name, value) in given {
        labels.set(name, value);
    }
    let mut default = |name: &str, value: &str| {
        if labels.value(name).is_none() {
            labels.set(name, value);
        }
    };
    default("job", &config.job_name);
    default(SCHEME, &config.scheme);
    default(PATH, &config.metrics_path);
    default(INTERVAL, &format_duration(config.scrape_interval));
    default(TIMEOUT, &format_duration(config.scrape_timeout));
    for (name, values) in &config.params {
        if let Some(first) = values.first() {
            default(&format!("{PARAM}{name}"), first);
        }
    }
    let discovered = labels.clone().build();
    if !relabel(&config.relabel_configs, &mut labels) {
        return Built::Dropped(discovered);
    }
    match finish(config, labels, &discovered) {
        Ok(target) => Built::Target(target),
        Err(reason) => Built::Invalid(discovered, reason),
    }
}

fn finish(config: &ScrapeConfig, mut labels: LabelsBuilder, discovered: &Labels) -> Result<Target, String> {
    let value = |name| labels.value(name).unwrap_or_default();
    let address = value(ADDRESS).to_owned();
    if address.is_empty() || address.contains(['/', '?', '#', '@', ' ']) {
        return Err(format!("`{address}` is not an address"));
    }
    let scheme = value(SCHEME).to_owned();
    if !matches!(scheme.as_str(), "http" | "https") {
        return Err(format!("scheme `{scheme}` is not supported, only `http` and `https` are"));
    }
    let interval = parse_duration(value(INTERVAL)).map_err(|reason| format!("{INTERVAL}: {reason}"))?;
    let timeout = parse_duration(value(TIMEOUT)).map_err(|reason| format!("{TIMEOUT}: {reason}"))?;
    if timeout.is_zero() || timeout > interval {
        let [timeout, interval] = [timeout, interval].map(format_duration);
        return Err(format!(
            "scrape timeout {timeout} should be over 0 and at most the interval, {interval}"
        ));
    }
    let url = url(&format!("{scheme}://{address}"), value(PATH), config, &labels);
    if labels.value("instance").is_none() {
        labels.set("instance", &address);
    }
    labels.retain(|name| !name.starts_with("__"));
    Ok(Target { labels: labels.build(), discovered: discovered.clone(), url, interval, timeout })
}

/// The address with path and parameters; the first value of a parameter is that of its label.
fn url(address: &str, path: &str, config: &ScrapeConfig, labels: &LabelsBuilder) -> String {
    let mut params: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, values) in &config.params {
        params.insert(name, values.iter().map(String::as_str).collect());
    }
    for (label, value) in labels.iter() {
        if let Some(name) = label.strip_prefix(PARAM) {
            let values = params.entry(name).or_default();
            if values.is_empty() { values.push(value) } else { values[0] = value }
        }
    }
    let slash = if path.starts_with('/') { "" } else { "/" };
    let mut url = format!("{address}{slash}{path}");
    let mut separator = if path.contains('?') { '&' } else { '?' };
    for (name, values) in &params {
        for value in values {
            url.push(separator);
            escape(name, &mut url);
            url.push('=');
            escape(value, &mut url);
            separator = '&';
        }
    }
    url
}

/// As forms are written, like Prometheus does.
fn escape(text: &str, into: &mut String) {
    for byte in text.bytes() {
        if byte == b' ' {
            into.push('+');
            continue;
        }
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            into.push(char::from(byte));
        } else {
            write!(into, "%{byte:02X}").expect("a String takes anything");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    /// What becomes of an address under a configuration (YAML, beside `job_name: j`).
    #[track_caller]
    fn check(settings: &str, given: &[(&str, &str)], expected: &str) {
        let text = format!("scrape_configs: [{{job_name: j, {settings}}}]");
        let config = Config::parse(&text, "test", Path::new(""), []).unwrap();
        let found = match build(&config.scrape_configs[0], &given.iter().copied().collect()) {
            Built::Target(target) => format!("{} {}", target.labels, target.url),
            Built::Dropped(_) => "dropped".to_owned(),
            Built::Invalid(_, reason) => reason,
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn defaults_come_from_the_job() {
        check("", &[("__address__", "a:1")], r#"{instance="a:1", job="j"} http://a:1/metrics"#);
        check("", &[("__address__", "a")], r#"{instance="a", job="j"} http://a/metrics"#);
        check(
            "",
            &[("__address__", "[::1]:9"), ("env", "x")],
            r#"{env="x", instance="[::1]:9", job="j"} http://[::1]:9/metrics"#,
        );
        check(
            "metrics_path: m",
            &[("__address__", "a"), ("job", "k")],
            r#"{instance="a", job="k"} http://a/m"#,
        );
        check(
            "params: {b: [1, '2 3'], a: ['&']}",
            &[("__address__", "a")],
            r#"{instance="a", job="j"} http://a/metrics?a=%26&b=1&b=2+3"#,
        );
        check(
            "params: {b: [1, 2]}",
            &[("__address__", "a"), ("__param_b", "x")],
            r#"{instance="a", job="j"} http://a/metrics?b=x&b=2"#,
        );
    }

    #[test]
    fn schemes_are_of_the_job_or_of_the_target() {
        check("scheme: https", &[("__address__", "a")], r#"{instance="a", job="j"} https://a/metrics"#);
        check(
            "",
            &[("__address__", "a"), ("__scheme__", "https")],
            r#"{instance="a", job="j"} https://a/metrics"#,
        );
    }

    #[test]
    fn rules_may_change_all_of_it() {
        check(
            "params: {module: [http]}, relabel_configs: [\
             {source_labels: [__address__], target_label: __param_target}, \
             {source_labels: [__param_target], target_label: instance}, \
             {target_label: __address__, replacement: 'prober:9115'}, \
             {target_label: __metrics_path__, replacement: /probe}]",
            &[("__address__", "site")],
            r#"{instance="site", job="j"} http://prober:9115/probe?module=http&target=site"#,
        );
        check(
            "relabel_configs: [{action: drop, source_labels: [env], regex: x}]",
            &[("__address__", "a"), ("env", "x")],
            "dropped",
        );
        check(
            "relabel_configs: [{action: labelmap, regex: '__meta_(.*)'}]",
            &[("__address__", "a"), ("__meta_zone", "eu")],
            r#"{instance="a", job="j", zone="eu"} http://a/metrics"#,
        );
    }

    #[test]
    fn what_cannot_be_scraped_says_why() {
        check("", &[("__address__", "")], "`` is not an address");
        check("", &[("__address__", "a/b")], "`a/b` is not an address");
        check(
            "",
            &[("__address__", "a"), ("__scheme__", "ftp")],
            "scheme `ftp` is not supported, only `http` and `https` are",
        );
        check(
            "",
            &[("__address__", "a"), ("__scrape_timeout__", "2m")],
            "scrape timeout 2m should be over 0 and at most the interval, 1m",
        );
        check(
            "",
            &[("__address__", "a"), ("__scrape_interval__", "x")],
            "__scrape_interval__: expected a duration such as `30s`, `5m` or `1h30m`, found `x`",
        );
    }
}
