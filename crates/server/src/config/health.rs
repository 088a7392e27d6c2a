//! The section `health`: the name of this node, what is checked beside what is built in, jobs, other nodes.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    section::{Findings, Section, boolean, count, text},
    settings::positive_duration,
    tree::Node,
    units::parse_duration,
};
use crate::health::Plan;

/// Keys of jobs may be so long.
const KEY_BYTES_MAX: usize = 128;
/// With fewer days left than this a certificate is to be renewed.
const DAYS_LEFT: u32 = 14;

/// What is checked, beside what the server checks of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct HealthConfig {
    /// The name of this node; that of the host by default.
    pub node: Option<String>,
    /// Whether the server checks itself, as by default.
    pub built_in: bool,
    /// Whether metrics have the names of the preset `exesdb`, too.
    pub preset: bool,
    /// How long transitions are kept; 30 days by default.
    pub history: Duration,
    /// What is looked at elsewhere.
    pub checks: Vec<ProbeConfig>,
    /// Jobs that say that they live.
    pub heartbeats: Vec<HeartbeatConfig>,
    /// The other nodes of the cluster.
    pub cluster: Vec<NodeConfig>,
}

/// Something elsewhere that is looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbeConfig {
    /// The name of the check.
    pub name: String,
    /// The component it looks at; its own name by default.
    pub component: String,
    /// What is done.
    pub kind: ProbeKind,
    /// When, and what findings mean.
    pub plan: Plan,
}

/// Who is believed that a server is the one it says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Authorities {
    /// Whom the system trusts.
    #[default]
    System,
    /// Whose certificates are in this file, in PEM (RFC 7468).
    File(PathBuf),
}

/// What a probe does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeKind {
    /// Opens a connection.
    Tcp {
        /// Host and port.
        address: String,
    },
    /// Fetches a page.
    Http {
        /// Of this URL.
        url: String,
        /// The statuses that are right; any of success if there are none.
        status: Vec<u16>,
        /// What has to be in it.
        text: Option<String>,
        /// Who vouches for the server, if it is HTTPS.
        authorities: Authorities,
    },
    /// Looks at the certificate of a server that speaks TLS.
    Tls {
        /// The host, which the certificate has to be for.
        host: String,
        /// Its port.
        port: u16,
        /// Who vouches for it.
        authorities: Authorities,
        /// With fewer days left than this it is degraded.
        days: u32,
    },
    /// Asks `grpc.health.v1`.
    Grpc {
        /// Host and port.
        address: String,
        /// For this service; the whole server if it is empty.
        service: String,
    },
    /// Resolves a name.
    Dns {
        /// The name.
        name: String,
        /// An address that it has to have.
        address: Option<String>,
    },
}

/// A job that says that it lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeartbeatConfig {
    /// What its URL ends with.
    pub key: String,
    /// The component; the key by default.
    pub name: String,
    /// It has to be heard of once in so long.
    pub period: Duration,
    /// How late it may be; a tenth of the period by default, at least a minute.
    pub grace: Duration,
}

/// Another node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeConfig {
    /// Its name.
    pub name: String,
    /// Where its HTTP port is.
    pub url: String,
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self {
            node: None,
            built_in: true,
            preset: false,
            history: Duration::from_secs(30 * 86_400),
            checks: Vec::new(),
            heartbeats: Vec::new(),
            cluster: Vec::new(),
        }
    }
}

pub(super) fn read_health(node: &Node, folder: &Path, findings: &mut Findings) -> HealthConfig {
    let mut config = HealthConfig::default();
    let mut section = Section::open(node, "`health`", findings);
    config.node = section.value("node", named, findings);
    section.set("built_in", &mut config.built_in, boolean, findings);
    section.set("history", &mut config.history, positive_duration, findings);
    let preset = |name: &str| {
        if name == "exesdb" { Ok(true) } else { Err(format!("expected `exesdb`, found `{name}`")) }
    };
    section.set("preset", &mut config.preset, preset, findings);
    let items = section.items("checks", findings);
    config.checks = items.iter().filter_map(|item| read_probe(item, folder, findings)).collect();
    let items = section.items("heartbeats", findings);
    config.heartbeats = items.iter().filter_map(|item| read_heartbeat(item, findings)).collect();
    let items = section.items("cluster", findings);
    config.cluster = items.iter().filter_map(|item| read_node(item, findings)).collect();
    let names = config.checks.iter().map(|check| format!("check {}", check.name));
    let keys = config.heartbeats.iter().map(|job| format!("heartbeat {}", job.key));
    let nodes = config.cluster.iter().map(|node| format!("node {}", node.name));
    let mut seen = HashSet::new();
    for name in names.chain(keys).chain(nodes) {
        if !seen.insert(name.clone()) {
            findings.add(section.place, format!("`health` names {name} twice; give each a name of its own"));
        }
    }
    section.finish(&[], findings);
    config
}

fn read_probe(node: &Node, folder: &Path, findings: &mut Findings) -> Option<ProbeConfig> {
    let mut section = Section::open(node, "a check of `health`", findings);
    let name = required("name", "a check of `health`", named, &mut section, findings);
    let tcp = section.value("tcp", address, findings).map(|address| ProbeKind::Tcp { address });
    let status = section.values("status", http_status, findings);
    let expected = section.value("text", text, findings);
    let file = section.value("ca_file", text, findings);
    let authorities = file.map_or(Authorities::System, |path| Authorities::File(folder.join(path)));
    let http = section.value("http", url, findings);
    let of = authorities.clone();
    let http = http.map(|url| ProbeKind::Http { url, status, text: expected, authorities: of });
    let days = section.value("days", days, findings).unwrap_or(DAYS_LEFT);
    let tls = section.value("tls", host_and_port, findings);
    let tls = tls.map(|(host, port)| ProbeKind::Tls { host, port, authorities, days });
    let service = section.value("service", text, findings).unwrap_or_default();
    let grpc = section.value("grpc", address, findings).map(|address| ProbeKind::Grpc { address, service });
    let expected = section.value("address", text, findings);
    let dns = section.value("dns", named, findings).map(|name| ProbeKind::Dns { name, address: expected });
    let mut kinds = [tcp, http, grpc, dns, tls].into_iter().flatten();
    let kind = kinds.next();
    let asked = ["tcp", "http", "grpc", "dns", "tls"].into_iter().any(|key| section.node(key).is_some());
    if kinds.next().is_some() || !asked {
        findings.add(
            section.place,
            "a check of `health` needs one of `tcp`, `http`, `grpc`, `dns`, `tls`; say what to look at",
        );
    }
    let mut plan = Plan::every(Duration::from_secs(30));
    plan.timeout = Duration::from_secs(5);
    section.set("interval", &mut plan.interval, positive_duration, findings);
    section.set("timeout", &mut plan.timeout, positive_duration, findings);
    plan.slow = section.value("slow", positive_duration, findings);
    section.set("fails", &mut plan.fails, times, findings);
    section.set("passes", &mut plan.passes, times, findings);
    section.set("optional", &mut plan.optional, boolean, findings);
    section.set("essential", &mut plan.essential, boolean, findings);
    plan.depends_on = section.values("depends_on", text, findings);
    let component = section.value("component", named, findings);
    section.finish(&[], findings);
    let name = name?;
    Some(ProbeConfig { component: component.unwrap_or_else(|| name.clone()), name, kind: kind?, plan })
}

fn read_heartbeat(node: &Node, findings: &mut Findings) -> Option<HeartbeatConfig> {
    let mut section = Section::open(node, "a heartbeat of `health`", findings);
    let key = required("key", "a heartbeat of `health`", key, &mut section, findings);
    let name = section.value("name", named, findings);
    let period = required("period", "a heartbeat of `health`", positive_duration, &mut section, findings);
    let grace = section.value("grace", parse_duration, findings);
    section.finish(&[], findings);
    let (key, period) = (key?, period?);
    let grace = grace.unwrap_or_else(|| (period / 10).max(Duration::from_secs(60)));
    Some(HeartbeatConfig { name: name.unwrap_or_else(|| key.clone()), key, period, grace })
}

fn read_node(node: &Node, findings: &mut Findings) -> Option<NodeConfig> {
    let mut section = Section::open(node, "a node of `health.cluster`", findings);
    let name = required("name", "a node of `health.cluster`", named, &mut section, findings);
    let url = required("url", "a node of `health.cluster`", url, &mut section, findings);
    section.finish(&[], findings);
    Some(NodeConfig { name: name?, url: url? })
}

/// The value of a key that has to be there.
fn required<T>(
    key: &'static str,
    what: &str,
    parse: impl Fn(&str) -> Result<T, String>,
    section: &mut Section<'_>,
    findings: &mut Findings,
) -> Option<T> {
    if section.node(key).is_none() {
        findings.add(section.place, format!("{what} needs `{key}`"));
    }
    section.value(key, parse, findings)
}

fn named(name: &str) -> Result<String, String> {
    match name.trim() {
        "" => Err("expected a name".to_owned()),
        name if name.len() > 256 => Err("a name has at most 256 bytes".to_owned()),
        name => Ok(name.to_owned()),
    }
}

/// What stands in a URL as it is.
fn key(text: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    match !text.is_empty() && text.len() <= KEY_BYTES_MAX && text.bytes().all(plain) {
        true => Ok(text.to_owned()),
        false => {
            Err(format!("expected 1 to {KEY_BYTES_MAX} letters, digits, `-`, `_` and `.`, found `{text}`"))
        }
    }
}

fn address(text: &str) -> Result<String, String> {
    host_and_port(text).map(|_| text.to_owned())
}

fn host_and_port(text: &str) -> Result<(String, u16), String> {
    let wrong = || format!("expected a host and a port such as `127.0.0.1:5432`, found `{text}`");
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let port = port.parse().ok().filter(|port| *port > 0 && !host.is_empty());
    port.map(|port| (host.to_owned(), port)).ok_or_else(wrong)
}

fn days(text: &str) -> Result<u32, String> {
    let days = u32::try_from(count(text)?).ok().filter(|days| *days <= 3_650);
    days.ok_or_else(|| "expected a number of days up to 3650".to_owned())
}

fn url(text: &str) -> Result<String, String> {
    let wrong = || format!("expected a URL such as `http://127.0.0.1:8080/health`, found `{text}`");
    let uri: http::Uri = text.parse().map_err(|_| wrong())?;
    match uri.scheme_str() {
        Some("http" | "https") if uri.authority().is_some() => Ok(text.to_owned()),
        _ => Err(wrong()),
    }
}

fn http_status(text: &str) -> Result<u16, String> {
    let status = text.parse().ok().filter(|status| (100..600).contains(status));
    status.ok_or_else(|| format!("expected a status such as `200`, found `{text}`"))
}

fn times(text: &str) -> Result<u32, String> {
    let times = u32::try_from(count(text)?).ok().filter(|times| (1..=1000).contains(times));
    times.ok_or_else(|| "expected a number from 1 to 1000".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> Result<HealthConfig, String> {
        let read = barograph_yaml::read(yaml, "test.yml", |root, findings| {
            read_health(&root, Path::new(""), findings)
        });
        read.map_err(|faults| faults.to_string())
    }

    #[test]
    fn everything_has_its_default() {
        let config = read(
            "checks:\n- {name: site, http: 'http://localhost:1/', status: [200, 204], text: ok, slow: 100ms}\n\
             - {name: db, tcp: 'localhost:5432', component: data, essential: true, depends_on: [site], fails: 1}\n\
             - {name: rpc, grpc: 'localhost:2', service: a.B}\n- {name: names, dns: localhost, interval: 5s}\n\
             heartbeats:\n- {key: nightly, period: 24h}\n- {key: a.b-c_d, name: job, period: 5m, grace: 0}\n\
             cluster: [{name: b, url: 'http://10.0.0.2:10701'}]\n",
        );
        let config = config.unwrap();
        assert_eq!(config.checks.len(), 4);
        assert_eq!(config.checks[0].component, "site");
        let data = &config.checks[1];
        assert!(
            data.component == "data" && data.plan.essential && data.plan.fails == 1 && data.plan.passes == 2
        );
        let seconds = |job: &HeartbeatConfig| (job.period.as_secs(), job.grace.as_secs());
        assert_eq!(
            (seconds(&config.heartbeats[0]), seconds(&config.heartbeats[1])),
            ((86_400, 8_640), (300, 0))
        );
        assert_eq!(read("").unwrap(), HealthConfig::default());
    }

    #[test]
    fn what_cannot_be_is_named() {
        let check = |yaml: &str, why: &str| {
            let faults = read(yaml).unwrap_err();
            assert!(faults.contains(why), "{faults}");
        };
        check("{checks: [{name: a}]}", "needs one of `tcp`, `http`");
        check("{checks: [{name: a, tcp: 'h:1', dns: x}]}", "needs one of `tcp`, `http`");
        check("{checks: [{name: a, tcp: host}]}", "a host and a port");
        check("{checks: [{name: a, http: 'ftp://x/'}]}", "expected a URL");
        check("{checks: [{name: a, tls: 'x:443', days: 5000}]}", "up to 3650");
        check("{checks: [{tcp: 'h:1'}]}", "needs `name`");
        check("{checks: [{name: a, tcp: 'h:1'}, {name: a, tcp: 'h:2'}]}", "names check a twice");
        check("{heartbeats: [{key: a}]}", "needs `period`");
        check("{heartbeats: [{key: 'a/b', period: 1m}]}", "letters, digits");
        check("{preset: other}", "expected `exesdb`");
        check("{chekcs: []}", "did you mean `checks`?");
    }
}
