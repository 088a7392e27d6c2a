//! Where targets are looked for: in the configuration, in files, over HTTP, and in the DNS.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    http_client::{HttpClientConfig, read_http_client},
    scrape::{positive_duration, read_labels},
    section::{Findings, Section, text},
    tree::Node,
};

/// All places where one user of targets looks for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiscoveryConfig {
    /// Targets that stand in the configuration.
    pub static_configs: Vec<TargetGroup>,
    /// Files that name targets.
    pub file_sd_configs: Vec<FileDiscovery>,
    /// Pages that name targets.
    pub http_sd_configs: Vec<HttpDiscovery>,
    /// Names whose records are targets.
    pub dns_sd_configs: Vec<DnsDiscovery>,
}

impl DiscoveryConfig {
    /// Whether nothing can ever be found.
    pub fn is_empty(&self) -> bool {
        self.static_configs.iter().all(|group| group.targets.is_empty())
            && self.file_sd_configs.is_empty()
            && self.http_sd_configs.is_empty()
            && self.dns_sd_configs.is_empty()
    }
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

/// A page that names targets, in JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpDiscovery {
    /// Where it is.
    pub url: String,
    /// Time from one look to the next; 1 minute by default.
    pub refresh_interval: Duration,
    /// How it is asked.
    pub http: HttpClientConfig,
}

/// Names whose records are targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsDiscovery {
    /// The names.
    pub names: Vec<String>,
    /// Which records are asked for; `SRV` by default.
    pub kind: RecordKind,
    /// The port of the targets, where records do not tell.
    pub port: u16,
    /// Time from one look to the next; 30 seconds by default.
    pub refresh_interval: Duration,
    /// Servers that are asked instead of those of `/etc/resolv.conf`.
    pub servers: Vec<SocketAddr>,
}

/// A kind of DNS records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are the names of the DNS")]
pub enum RecordKind {
    A,
    Aaaa,
    Mx,
    Ns,
    Srv,
}

impl RecordKind {
    fn parse(name: &str) -> Result<Self, String> {
        Ok(match name.to_ascii_uppercase().as_str() {
            "A" => Self::A,
            "AAAA" => Self::Aaaa,
            "MX" => Self::Mx,
            "NS" => Self::Ns,
            "SRV" => Self::Srv,
            _ => return Err(format!("expected `A`, `AAAA`, `MX`, `NS` or `SRV`, found `{name}`")),
        })
    }
}

/// What looks for targets in places that we do not ask.
const UNSUPPORTED: [&str; 32] = [
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
    "elasticache_sd_configs",
    "msk_sd_configs",
    "rds_sd_configs",
];

/// Reads the keys of discovery out of the section of whoever looks for targets.
pub(super) fn read_discovery(
    section: &mut Section<'_>,
    folder: &Path,
    findings: &mut Findings,
) -> DiscoveryConfig {
    refuse_others(section, findings);
    DiscoveryConfig {
        static_configs: read_static(section.items("static_configs", findings), findings),
        file_sd_configs: read_file_discovery(section.items("file_sd_configs", findings), folder, findings),
        http_sd_configs: read_http_discovery(section.items("http_sd_configs", findings), folder, findings),
        dns_sd_configs: read_dns_discovery(section.items("dns_sd_configs", findings), findings),
    }
}

/// Discovery that is there and not ours is told with what does the same.
fn refuse_others(section: &mut Section<'_>, findings: &mut Findings) {
    for key in UNSUPPORTED {
        if let Some(node) = section.node(key)
            && !node.is_void()
        {
            findings.add(
                section.place_of(key),
                format!(
                    "`{key}` is not supported; let a program that knows these targets serve them to \
                     `http_sd_configs`, or write them to a file of `file_sd_configs`"
                ),
            );
        }
    }
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

fn read_http_discovery(items: &[Node], folder: &Path, findings: &mut Findings) -> Vec<HttpDiscovery> {
    items
        .iter()
        .map(|node| {
            let mut section = Section::open(node, "HTTP discovery", findings);
            let url = section.value("url", parse_url, findings);
            let interval = section.value("refresh_interval", positive_duration, findings);
            let http = read_http_client(&mut section, folder, findings);
            if section.node("url").is_none() {
                findings.add(section.place, "HTTP discovery needs `url`; add it");
            }
            section.finish(&[], findings);
            HttpDiscovery {
                url: url.unwrap_or_default(),
                refresh_interval: interval.unwrap_or(Duration::from_secs(60)),
                http,
            }
        })
        .collect()
}

fn read_dns_discovery(items: &[Node], findings: &mut Findings) -> Vec<DnsDiscovery> {
    items
        .iter()
        .map(|node| {
            let mut section = Section::open(node, "DNS discovery", findings);
            let discovery = DnsDiscovery {
                names: section.values("names", parse_name, findings),
                kind: section.value("type", RecordKind::parse, findings).unwrap_or(RecordKind::Srv),
                port: section.value("port", parse_port, findings).unwrap_or(0),
                refresh_interval: section
                    .value("refresh_interval", positive_duration, findings)
                    .unwrap_or(Duration::from_secs(30)),
                servers: section.values("servers", parse_server, findings),
            };
            if discovery.names.is_empty() {
                findings.add(section.place, "DNS discovery needs `names`; add it");
            }
            if discovery.port == 0 && discovery.kind != RecordKind::Srv {
                findings.add(section.place, "DNS discovery needs `port` for all records but `SRV`; add it");
            }
            section.finish(&[], findings);
            discovery
        })
        .collect()
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

fn parse_url(url: &str) -> Result<String, String> {
    let wrong = || format!("expected a URL such as `http://example.com/targets`, found `{url}`");
    let uri: http::Uri = url.parse().map_err(|_| wrong())?;
    match uri.scheme_str() {
        Some("http" | "https")
            if uri.authority().is_some_and(|authority| !authority.as_str().contains('@')) =>
        {
            Ok(url.to_owned())
        }
        _ => Err(wrong()),
    }
}

fn parse_name(name: &str) -> Result<String, String> {
    if name.is_empty() || name.len() > 254 || name.contains(['/', ':', ' ']) {
        return Err(format!("expected a name such as `_http._tcp.example.com`, found `{name}`"));
    }
    text(name)
}

fn parse_port(port: &str) -> Result<u16, String> {
    port.parse().ok().filter(|port| *port > 0).ok_or_else(|| format!("expected a port, found `{port}`"))
}

/// An address, of which the port may be left out.
fn parse_server(server: &str) -> Result<SocketAddr, String> {
    let alone = |server: &str| server.parse::<IpAddr>().map(|address| SocketAddr::new(address, 53));
    server.parse().or_else(|_| alone(server)).map_err(|_| {
        format!("expected the address of a DNS server, such as `127.0.0.1:53`, found `{server}`")
    })
}
