//! `alerting`, as in `prometheus.yml`: the Alertmanagers that alerts of our rules are sent on to.

use std::{path::Path, time::Duration};

use super::{
    discovery::{DiscoveryConfig, read_discovery},
    http_client::{HttpClientConfig, read_http_client},
    relabel::{Rule, read_rules},
    scrape::{parse_scheme, positive_duration},
    section::{Findings, Section, text},
    tree::Node,
};

/// To whom alerts are sent on, besides being routed here.
#[derive(Clone, Debug, Default)]
pub struct AlertingConfig {
    /// What changes alerts, or leaves them out, before any Alertmanager is told. None by default.
    pub alert_relabel_configs: Vec<Rule>,
    /// The Alertmanagers. None by default.
    pub alertmanagers: Vec<AlertmanagerConfig>,
}

/// Alertmanagers that are found and told in the same way.
#[derive(Clone, Debug)]
pub struct AlertmanagerConfig {
    /// `http` or `https`.
    pub scheme: String,
    /// What stands before `/api/v2/alerts`; `/` by default.
    pub path_prefix: String,
    /// How long one request may take; 10 seconds by default.
    pub timeout: Duration,
    /// How they are asked.
    pub http: HttpClientConfig,
    /// Where they are looked for.
    pub discovery: DiscoveryConfig,
    /// Rules for the Alertmanagers that are found.
    pub relabel_configs: Vec<Rule>,
    /// Rules for alerts, after those of all Alertmanagers.
    pub alert_relabel_configs: Vec<Rule>,
}

pub(super) fn read_alerting(node: &Node, folder: &Path, findings: &mut Findings) -> AlertingConfig {
    let mut section = Section::open(node, "`alerting`", findings);
    let config = AlertingConfig {
        alert_relabel_configs: read_rules(&mut section, "alert_relabel_configs", findings),
        alertmanagers: section
            .items("alertmanagers", findings)
            .iter()
            .map(|node| read_one(node, folder, findings))
            .collect(),
    };
    section.finish(&[], findings);
    config
}

fn read_one(node: &Node, folder: &Path, findings: &mut Findings) -> AlertmanagerConfig {
    let mut section = Section::open(node, "an entry of `alertmanagers`", findings);
    section.value("api_version", version, findings);
    let mut timeout = Duration::from_secs(10);
    section.set("timeout", &mut timeout, positive_duration, findings);
    let config = AlertmanagerConfig {
        scheme: section.value("scheme", parse_scheme, findings).unwrap_or_else(|| "http".to_owned()),
        path_prefix: section.value("path_prefix", text, findings).unwrap_or_else(|| "/".to_owned()),
        timeout,
        http: read_http_client(&mut section, folder, findings),
        discovery: read_discovery(&mut section, folder, findings),
        relabel_configs: read_rules(&mut section, "relabel_configs", findings),
        alert_relabel_configs: read_rules(&mut section, "alert_relabel_configs", findings),
    };
    if !is_path(&config.path_prefix) {
        findings.add(
            section.place_of("path_prefix"),
            "`path_prefix` should be a path such as `/alertmanager`, without characters that no path has",
        );
    }
    section.finish(&["sigv4"], findings);
    config
}

/// Only the second version of the API is spoken.
fn version(text: &str) -> Result<(), String> {
    match text {
        "v2" => Ok(()),
        "v1" => {
            Err("`v1` is not spoken, and Alertmanager has it no more since 0.27; remove it, or give `v2`"
                .to_owned())
        }
        _ => Err(format!("expected `v2`, found `{text}`")),
    }
}

/// Whether a URL may have this before the path of the API.
fn is_path(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#\"<>\\^`{|}".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::super::{Auth, Config, Secret};
    use super::*;

    fn read(text: &str) -> Result<AlertingConfig, String> {
        let config = Config::parse(text, "b.yml", Path::new("/etc"), []);
        config.map(|config| config.alerting).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_not_said_is_as_prometheus_has_it() {
        let found =
            read("alerting: {alertmanagers: [{static_configs: [{targets: ['a:9093', b]}]}]}").unwrap();
        let one = &found.alertmanagers[0];
        assert_eq!((one.scheme.as_str(), one.path_prefix.as_str()), ("http", "/"));
        assert_eq!((one.timeout.as_secs(), &one.http), (10, &HttpClientConfig::default()));
        assert_eq!(one.discovery.static_configs[0].targets, ["a:9093", "b"]);
        assert!(read("").unwrap().alertmanagers.is_empty());
        assert!(
            read("alerting:\n  alertmanagers:\n  alert_relabel_configs:\n").unwrap().alertmanagers.is_empty()
        );
    }

    #[test]
    fn all_keys_are_read() {
        let found = read(
            "alerting:\n  alert_relabel_configs: [{action: labeldrop, regex: replica}]\n  alertmanagers:\n  \
             - scheme: https\n    path_prefix: /am\n    timeout: 3s\n    api_version: v2\n    basic_auth: {username: u, password_file: pw}\n    \
             tls_config: {insecure_skip_verify: true}\n    proxy_url: http://127.0.0.1:3128\n    follow_redirects: false\n    \
             file_sd_configs: [{files: ['am/*.json']}]\n    http_sd_configs: [{url: 'http://x/am'}]\n    \
             dns_sd_configs: [{names: [_am._tcp.x]}]\n    relabel_configs: [{source_labels: [zone], regex: a, action: keep}]\n    \
             alert_relabel_configs: [{target_label: via, replacement: b}]\n",
        )
        .unwrap();
        let one = &found.alertmanagers[0];
        assert_eq!(
            (one.scheme.as_str(), one.path_prefix.as_str(), one.timeout.as_secs()),
            ("https", "/am", 3)
        );
        let password = Secret::File("/etc/pw".into());
        assert!(matches!(&one.http.auth, Some(Auth::Basic { password: found, .. }) if *found == password));
        assert!(one.http.tls.insecure_skip_verify && one.http.proxy.is_some() && !one.http.follow_redirects);
        let places = &one.discovery;
        assert_eq!(places.file_sd_configs[0].files, [Path::new("/etc/am/*.json")]);
        assert_eq!((places.http_sd_configs.len(), places.dns_sd_configs.len()), (1, 1));
        assert_eq!((one.relabel_configs.len(), one.alert_relabel_configs.len()), (1, 1));
        assert_eq!(found.alert_relabel_configs.len(), 1);
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        let check = |entry: &str, expected: &str| {
            let error = read(&format!("alerting:\n  alertmanagers:\n  - {entry}\n")).unwrap_err();
            assert_eq!(error, expected);
        };
        check(
            "api_version: v1",
            "b.yml:3:18: `api_version`: `v1` is not spoken, and Alertmanager has it no more since 0.27; remove it, \
             or give `v2`",
        );
        check("api_version: v3", "b.yml:3:18: `api_version`: expected `v2`, found `v3`");
        check("scheme: ftp", "b.yml:3:13: `scheme`: expected `http` or `https`, found `ftp`");
        check(
            "sigv4: {region: x}",
            "b.yml:3:5: key `sigv4` of an entry of `alertmanagers` is not supported yet; remove it",
        );
        check(
            "path_prefx: /x",
            "b.yml:3:5: unknown key `path_prefx` in an entry of `alertmanagers`; did you mean `path_prefix`?",
        );
        check(
            "path_prefix: /a?b",
            "b.yml:3:5: `path_prefix` should be a path such as `/alertmanager`, without characters that no path has",
        );
        check(
            "consul_sd_configs: [{server: x}]",
            "b.yml:3:5: `consul_sd_configs` is not supported; let a program that knows these targets serve them to \
             `http_sd_configs`, or write them to a file of `file_sd_configs`",
        );
        let error = read("alerting: {alertmanager: []}").unwrap_err();
        assert_eq!(
            error,
            "b.yml:1:12: unknown key `alertmanager` in `alerting`; did you mean `alertmanagers`?"
        );
    }
}
