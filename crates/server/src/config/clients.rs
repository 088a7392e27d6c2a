//! The sections `stats`, `prometheus` and `rate_limit`: what is kept of the clients of the server, who sees it, and how
//! often.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use barograph::session::{self, Policy, Weights};

use super::{
    section::{Findings, Section, boolean, count, text},
    settings::positive_duration,
    tree::Node,
    units::{parse_duration, parse_size},
};

/// Which statistics there are.
#[derive(Clone, Debug, PartialEq)]
pub struct Stats {
    /// Whether there are those for which something is read that is not there otherwise: the collectors `system`, `process`
    /// and `data`, and the history of sessions. By default there are.
    pub higher_cost: bool,
    /// Whether totals over all starts are kept; they are not by default.
    pub persist: bool,
    /// How often the statistics of sessions are stored; 10 seconds by default, zero for never.
    pub history: Duration,
    /// Of how many clients calls are stored with them, those that call most; 100 by default.
    pub history_clients: u64,
    /// How often the log has an entry with statistics; zero, the default, for never.
    pub log_interval: Duration,
    /// Where else the statistics are written; nowhere by default.
    pub export: Option<StatsExport>,
    /// Whether documents also show fields of pieces under their aliases with `resource`; they do by default.
    pub emit_aliases: bool,
    /// The queues of events.
    pub queue: Queue,
    /// How much each part weighs in the scores.
    pub weights: Weights,
}

/// A file of statistics for other systems.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatsExport {
    /// The file; a line of JSON is appended to it.
    pub file: PathBuf,
    /// How often; a minute by default.
    pub interval: Duration,
    /// How large it may become before it is set aside as `FILE.1`; 64 MiB by default.
    pub max_bytes: u64,
}

/// The queues of events of clients.
#[derive(Clone, Debug, PartialEq)]
pub struct Queue {
    /// Events that wait for one client at most; 1,024 by default.
    pub capacity: u64,
    /// What happens to one more: `drop-oldest` by default, `drop-newest` or `disconnect`.
    pub policy: Policy,
    /// A queue that overflowed in so long is critical; a minute by default.
    pub critical_window: Duration,
    /// A queue that is filled to this share is a warning; 0.8 by default.
    pub warning_fill: f64,
}

impl Default for Stats {
    fn default() -> Self {
        Self {
            higher_cost: true,
            persist: false,
            history: Duration::from_secs(10),
            history_clients: 100,
            log_interval: Duration::ZERO,
            export: None,
            emit_aliases: true,
            queue: Queue::default(),
            weights: Weights::default(),
        }
    }
}

impl Default for Queue {
    fn default() -> Self {
        let session::Settings { queue_policy, critical_window, warning_fill, .. } =
            session::Settings::default();
        Self { capacity: 1_024, policy: queue_policy, critical_window, warning_fill }
    }
}

/// How often one address may ask for details of health.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateLimit {
    /// Requests a second, on average; 50 by default, 0 for as many as it likes.
    pub per_second: f64,
    /// Requests at once; 100 by default.
    pub burst: f64,
}

impl Default for RateLimit {
    fn default() -> Self {
        Self { per_second: 50.0, burst: 100.0 }
    }
}

pub(super) fn read_stats(node: &Node, folder: &Path, findings: &mut Findings) -> Stats {
    let mut stats = Stats::default();
    let mut section = Section::open(node, "`stats`", findings);
    section.set("higher_cost", &mut stats.higher_cost, boolean, findings);
    section.set("persist", &mut stats.persist, boolean, findings);
    section.set("history", &mut stats.history, parse_duration, findings);
    section.set("history_clients", &mut stats.history_clients, count, findings);
    section.set("log_interval", &mut stats.log_interval, parse_duration, findings);
    section.set("emit_aliases", &mut stats.emit_aliases, boolean, findings);
    let (queue, weights) = (section.node("queue"), section.node("weights"));
    let export = section.node("export");
    section.finish(&[], findings);
    if let Some(node) = queue {
        read_queue(node, &mut stats.queue, findings);
    }
    stats.export = export.and_then(|node| read_export(node, folder, findings));
    if let Some(node) = weights {
        read_weights(node, &mut stats.weights, findings);
    }
    stats
}

fn read_export(node: &Node, folder: &Path, findings: &mut Findings) -> Option<StatsExport> {
    let mut section = Section::open(node, "`stats.export`", findings);
    let file = section.value("file", text, findings);
    if file.is_none() {
        findings.add(section.place, "`stats.export` needs `file`: where the lines go");
    }
    let mut interval = Duration::from_secs(60);
    section.set("interval", &mut interval, positive_duration, findings);
    let mut max_bytes = 64 << 20;
    section.set("max_bytes", &mut max_bytes, parse_size, findings);
    section.finish(&[], findings);
    Some(StatsExport { file: folder.join(file?), interval, max_bytes })
}

fn read_queue(node: &Node, queue: &mut Queue, findings: &mut Findings) {
    let mut section = Section::open(node, "`stats.queue`", findings);
    let capacity = |text: &str| match count(text)? {
        capacity @ 1..=1_000_000 => Ok(capacity),
        _ => Err("expected 1 to 1000000".to_owned()),
    };
    section.set("capacity", &mut queue.capacity, capacity, findings);
    let policy = |text: &str| {
        let all = [Policy::DropOldest, Policy::DropNewest, Policy::Disconnect];
        let found = all.into_iter().find(|policy| policy.as_str() == text);
        found.ok_or_else(|| format!("expected drop-oldest, drop-newest or disconnect, not `{text}`"))
    };
    section.set("policy", &mut queue.policy, policy, findings);
    section.set("critical_window", &mut queue.critical_window, positive_duration, findings);
    let seconds = |text: &str| count(text).map(Duration::from_secs);
    section.set("critical_window_s", &mut queue.critical_window, seconds, findings);
    section.set("warning_fill", &mut queue.warning_fill, share, findings);
    section.finish(&[], findings);
}

fn read_weights(node: &Node, weights: &mut Weights, findings: &mut Findings) {
    let mut section = Section::open(node, "`stats.weights`", findings);
    let parts = ["server", "load", "client"].map(|key| section.node(key));
    section.finish(&[], findings);
    let [server, load, client] = parts;
    read_parts(server, "`stats.weights.server`", Weights::SERVER, &mut weights.server, findings);
    read_parts(load, "`stats.weights.load`", Weights::LOAD, &mut weights.load, findings);
    read_parts(client, "`stats.weights.client`", Weights::CLIENT, &mut weights.client, findings);
}

fn read_parts<const N: usize>(
    node: Option<&Node>,
    name: &'static str,
    parts: [&'static str; N],
    weights: &mut [f64; N],
    findings: &mut Findings,
) {
    let Some(node) = node else { return };
    let mut section = Section::open(node, name, findings);
    for (part, weight) in parts.into_iter().zip(weights.iter_mut()) {
        section.set(part, weight, share, findings);
    }
    section.finish(&[], findings);
    if weights.iter().sum::<f64>() <= 0.0 {
        findings.add(&node.place, format!("the weights of {name} are all 0"));
    }
}

pub(super) fn read_prometheus(node: &Node, findings: &mut Findings) -> bool {
    let mut section = Section::open(node, "`prometheus`", findings);
    let per_client = section.value("per_client", boolean, findings).unwrap_or(false);
    section.finish(&[], findings);
    per_client
}

/// What a kind of calls may do, as seen from a caller and from an address.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CallLimit {
    /// Of one user or token; as often as they like by default.
    pub per_caller: RateLimit,
    /// Of one address, whoever calls from there; as often as they like by default.
    pub per_address: RateLimit,
}

/// How often calls may come, by what they need.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CallLimits {
    /// Calls that ask.
    pub read: CallLimit,
    /// Calls that bring something.
    pub write: CallLimit,
    /// Calls that change the server.
    pub admin: CallLimit,
}

impl Default for CallLimit {
    fn default() -> Self {
        let unlimited = RateLimit { per_second: 0.0, ..RateLimit::default() };
        Self { per_caller: unlimited, per_address: unlimited }
    }
}

pub(super) fn read_rate_limit(node: &Node, findings: &mut Findings) -> (RateLimit, CallLimits) {
    let (mut limit, mut calls) = (RateLimit::default(), CallLimits::default());
    let mut section = Section::open(node, "`rate_limit`", findings);
    set_rate(&mut section, &mut limit, findings);
    let classes = [
        (section.node("read"), "`rate_limit.read`", &mut calls.read),
        (section.node("write"), "`rate_limit.write`", &mut calls.write),
        (section.node("admin"), "`rate_limit.admin`", &mut calls.admin),
    ];
    section.finish(&[], findings);
    for (node, name, class) in classes {
        let Some(node) = node else { continue };
        let mut section = Section::open(node, name, findings);
        let parts = [
            (section.node("per_caller"), "`per_caller`", &mut class.per_caller),
            (section.node("per_address"), "`per_address`", &mut class.per_address),
        ];
        section.finish(&[], findings);
        for (node, name, limit) in parts {
            let Some(node) = node else { continue };
            let mut section = Section::open(node, name, findings);
            *limit = RateLimit::default();
            set_rate(&mut section, limit, findings);
            section.finish(&[], findings);
        }
    }
    (limit, calls)
}

fn set_rate(section: &mut Section<'_>, limit: &mut RateLimit, findings: &mut Findings) {
    section.set("requests_per_second", &mut limit.per_second, |text| number(text, 0.0, 1e9), findings);
    section.set("burst", &mut limit.burst, |text| number(text, 1.0, 1e9), findings);
}

fn share(text: &str) -> Result<f64, String> {
    number(text, 0.0, 1.0)
}

fn number(text: &str, least: f64, most: f64) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| format!("expected a number from {least} to {most}, not `{text}`"))
}
