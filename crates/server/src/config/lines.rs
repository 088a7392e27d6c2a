//! The sections `push` and `statsd`: what comes as lines.

use std::{net::SocketAddr, time::Duration};

use super::{
    section::{Findings, Section, boolean, count},
    settings::{positive, positive_duration},
    tenancy,
    tree::Node,
};

/// The section `push`: groups of metrics that are pushed, as to a push gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push {
    /// A group that nobody pushed for so long goes; 48 hours by default.
    pub ttl: Duration,
    /// How often the samples of a group are stored anew; 15 seconds by default.
    pub interval: Duration,
    /// So many groups there may be; 1,000 by default.
    pub groups: u64,
    /// The tenant whose they are, where there are tenants; the default one by default.
    pub tenant: Option<String>,
}

impl Default for Push {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(48 * 3_600),
            interval: Duration::from_secs(15),
            groups: 1_000,
            tenant: None,
        }
    }
}

/// The section `statsd`: metrics over UDP and TCP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statsd {
    /// Where to listen, for UDP and TCP; nowhere by default.
    pub address: Option<SocketAddr>,
    /// Whether the address may be one that other machines reach. The protocol has no authentication, so by default it may
    /// not.
    pub anyone: bool,
    /// How often what came is stored; 10 seconds by default.
    pub interval: Duration,
    /// So many series are kept between; 10,000 by default.
    pub series: u64,
    /// The tenant whose they are, where there are tenants; the default one by default.
    pub tenant: Option<String>,
}

impl Default for Statsd {
    fn default() -> Self {
        Self { address: None, anyone: false, interval: Duration::from_secs(10), series: 10_000, tenant: None }
    }
}

pub(super) fn read_push(node: &Node, findings: &mut Findings) -> Push {
    let mut push = Push::default();
    let mut section = Section::open(node, "`push`", findings);
    section.set("ttl", &mut push.ttl, positive_duration, findings);
    section.set("interval", &mut push.interval, positive_duration, findings);
    section.set("groups", &mut push.groups, |text| positive(count(text)?, 0), findings);
    push.tenant = section.value("tenant", tenancy::name, findings);
    section.finish(&[], findings);
    push
}

pub(super) fn read_statsd(node: &Node, findings: &mut Findings) -> Statsd {
    let mut statsd = Statsd::default();
    let mut section = Section::open(node, "`statsd`", findings);
    let address = |text: &str| {
        let wrong = || format!("expected an address and a port such as 127.0.0.1:8125, not `{text}`");
        text.parse::<SocketAddr>().map_err(|_| wrong())
    };
    statsd.address = section.value("address", address, findings);
    section.set("anyone", &mut statsd.anyone, boolean, findings);
    section.set("interval", &mut statsd.interval, positive_duration, findings);
    section.set("series", &mut statsd.series, |text| positive(count(text)?, 0), findings);
    statsd.tenant = section.value("tenant", tenancy::name, findings);
    section.finish(&[], findings);
    if let Some(address) = statsd.address.filter(|address| !address.ip().is_loopback() && !statsd.anyone) {
        let message = format!(
            "`statsd.address` {address} can be reached from other machines, and StatsD has no authentication; take a \
             loopback address, or add `anyone: true`"
        );
        findings.add(&node.place, message);
    }
    statsd
}
