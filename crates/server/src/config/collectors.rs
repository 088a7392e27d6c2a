//! The section `collectors`: what the server collects by itself.

use std::time::Duration;

use barograph::collector::{BusinessConfig, BusinessMetricsCollector, DataDirectories, DistinctCount, Ratio};

use super::{
    section::{Findings, Section, boolean, text},
    settings::positive_duration,
    tree::Node,
};

/// What the server collects by itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Collectors {
    /// Whether there are any built-in collectors, as by default.
    pub built_in: bool,
    /// The host: processors, memory, load, disk, network. Every second.
    pub system: Collector,
    /// The process itself. Every second.
    pub process: Collector,
    /// Requests that are answered. Every second.
    pub api: Collector,
    /// WebSocket connections. Every second.
    pub websocket: Collector,
    /// What the business counts; on when it counts something. Every 10 seconds.
    pub business: Collector,
    /// What it counts.
    pub counted: BusinessConfig,
    /// Data on disk. Every minute.
    pub data: Collector,
    /// Where that lies; of the store by its tiers if there is none.
    pub directories: DataDirectories,
}

/// One collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Collector {
    /// Whether it runs.
    pub enabled: bool,
    /// Time from one sample to the next.
    pub interval: Duration,
}

impl Collector {
    const fn every(seconds: u64) -> Self {
        Self { enabled: true, interval: Duration::from_secs(seconds) }
    }
}

impl Default for Collectors {
    fn default() -> Self {
        Self {
            built_in: true,
            system: Collector::every(1),
            process: Collector::every(1),
            api: Collector::every(1),
            websocket: Collector::every(1),
            business: Collector::every(10),
            counted: BusinessConfig::default(),
            data: Collector::every(60),
            directories: DataDirectories::default(),
        }
    }
}

pub(super) fn read_collectors(node: &Node, findings: &mut Findings) -> Collectors {
    let mut collectors = Collectors::default();
    let mut section = Section::open(node, "`collectors`", findings);
    section.set("enableBuiltInCollectors", &mut collectors.built_in, boolean, findings);
    section.set("built_in", &mut collectors.built_in, boolean, findings);
    let Collectors { system, process, api, websocket, business, counted, data, directories, .. } =
        &mut collectors;
    for (key, name, collector) in [
        ("system", "`collectors.system`", system),
        ("process", "`collectors.process`", process),
        ("api", "`collectors.api`", api),
        ("websocket", "`collectors.websocket`", websocket),
    ] {
        if let Some(node) = section.node(key) {
            let section = Section::open(node, name, findings);
            read_collector(section, collector, findings);
        }
    }
    if let Some(node) = section.node("business") {
        let mut section = Section::open(node, "`collectors.business`", findings);
        *counted = read_counted(&mut section, findings);
        read_collector(section, business, findings);
    }
    if let Some(node) = section.node("data") {
        let mut section = Section::open(node, "`collectors.data`", findings);
        let paths = |text: &str| Ok(text.into());
        directories.hot = section.values("hot", paths, findings);
        directories.warm = section.values("warm", paths, findings);
        directories.cold = section.values("cold", paths, findings);
        read_collector(section, data, findings);
    }
    section.finish(&[], findings);
    collectors
}

fn read_collector(mut section: Section<'_>, collector: &mut Collector, findings: &mut Findings) {
    section.set("enabled", &mut collector.enabled, boolean, findings);
    section.set("interval", &mut collector.interval, positive_duration, findings);
    section.finish(&[], findings);
}

/// What the business counts: a preset, and what is added to it.
fn read_counted(section: &mut Section<'_>, findings: &mut Findings) -> BusinessConfig {
    let preset = |name: &str| match name {
        "prism" => Ok(BusinessConfig::prism()),
        _ => Err(format!("expected `prism`, found `{name}`")),
    };
    let mut counted = section.value("preset", preset, findings).unwrap_or_default();
    counted.counters.extend(section.values("counters", text, findings));
    for node in section.items("distinct", findings) {
        let mut item = Section::open(node, "each of `distinct`", findings);
        let name = item.value("name", text, findings);
        let day = Duration::from_secs(24 * 3600);
        let window = item.value("window", positive_duration, findings).unwrap_or(day);
        counted.distinct.push(DistinctCount { name: name.unwrap_or_default(), window });
        item.finish(&[], findings);
    }
    for node in section.items("ratios", findings) {
        let mut item = Section::open(node, "each of `ratios`", findings);
        let mut word = |key| item.value(key, text, findings).unwrap_or_default();
        let (name, part, whole) = (word("name"), word("part"), word("whole"));
        counted.ratios.push(Ratio { name, part, whole });
        item.finish(&[], findings);
    }
    if let Err(refused) = BusinessMetricsCollector::new(&counted) {
        findings.add(section.place, refused.to_string());
        return BusinessConfig::default();
    }
    counted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> Result<Collectors, String> {
        let read = barograph_yaml::read(yaml, "test.yml", |root, findings| read_collectors(&root, findings));
        read.map_err(|faults| faults.to_string())
    }

    #[test]
    fn each_has_its_interval() {
        let collectors =
            read("{system: {interval: 2s}, api: {enabled: false}, enableBuiltInCollectors: true}");
        let collectors = collectors.unwrap();
        assert_eq!(collectors.system.interval, Duration::from_secs(2));
        assert!(!collectors.api.enabled && collectors.built_in);
        assert_eq!((collectors.business.interval.as_secs(), collectors.data.interval.as_secs()), (10, 60));
    }

    #[test]
    fn the_business_counts_what_it_is_told() {
        let yaml = "business:\n  preset: prism\n  counters: [orders.placed, orders.lost]\n  distinct: [{name: \
                    customers, window: 1h}]\n  ratios: [{name: orders.loss, part: orders.lost, whole: orders.placed}]\n\
                    data: {hot: [/var/hot]}\n";
        let collectors = read(yaml).unwrap();
        let counted = &collectors.counted;
        assert_eq!((counted.counters.len(), counted.distinct.len(), counted.ratios.len()), (6, 2, 2));
        assert_eq!(collectors.directories.hot, [std::path::PathBuf::from("/var/hot")]);
    }

    #[test]
    fn what_cannot_be_counted_is_named() {
        let check = |yaml: &str, why: &str| {
            let faults = read(yaml).unwrap_err();
            assert!(faults.contains(why), "{faults}");
        };
        check("{business: {ratios: [{name: r, part: a, whole: b}]}}", "none of that name");
        check("{business: {preset: prisma}}", "expected `prism`");
        check("{sistem: {}}", "did you mean `system`?");
    }
}
