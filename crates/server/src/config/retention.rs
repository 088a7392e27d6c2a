//! How long samples and their roll-ups are kept.

use std::time::Duration;

use barograph_model::{Matcher, MetricType, Tier};

use super::{
    section::{Findings, Section, count},
    tree::Node,
    units::{parse_duration, parse_size},
};

/// The section `retention`.
#[derive(Clone, Debug, Default)]
pub struct RetentionConfig {
    /// How long each tier is kept, in the order of [`Tier::ALL`]: 24 hours, 7 days, 30 days, 365 days by default; zero
    /// keeps it.
    pub tiers: [Option<Duration>; 4],
    /// What all blocks may take on disk; as much as there is by default.
    pub bytes: Option<u64>,
    /// Other times for some series. Of those that match, the first that speaks of a tier counts.
    pub rules: Vec<RetentionRule>,
    /// Other times for the metrics of a type, where no rule speaks of a tier: in the order of [`Tier::ALL`], zero keeps it.
    pub by_type: Vec<(MetricType, [Option<Duration>; 4])>,
}

/// Other times for some series.
#[derive(Clone, Debug)]
pub struct RetentionRule {
    /// Which series.
    pub matchers: Vec<Matcher>,
    /// How long each tier is kept; `None` says nothing of a tier, zero keeps it.
    pub tiers: [Option<Duration>; 4],
}

impl RetentionConfig {
    /// How long a tier is kept; `None` keeps it.
    pub fn of(&self, tier: Tier) -> Option<Duration> {
        let age = self.tiers[tier as usize].unwrap_or(tier.default_retention());
        (age != Duration::ZERO).then_some(age)
    }
}

pub(super) fn read_retention(node: &Node, findings: &mut Findings) -> RetentionConfig {
    let mut section = Section::open(node, "`retention`", findings);
    let tiers = read_tiers(&mut section, findings);
    let tiers = read_preset(&mut section, tiers, findings);
    let bytes = section.value("bytes", positive_size, findings);
    let rules = section.items("rules", findings).iter();
    let rules = rules.filter_map(|node| read_rule(node, findings)).collect();
    let by_type = section.entries("by_type", findings).iter();
    let by_type = by_type.filter_map(|(key, node)| read_type(&key.text, node, findings)).collect();
    section.finish(&[], findings);
    RetentionConfig { tiers, bytes, rules, by_type }
}

/// The same in other words: a key for each tier that says its unit.
fn read_preset(
    section: &mut Section<'_>,
    tiers: [Option<Duration>; 4],
    findings: &mut Findings,
) -> [Option<Duration>; 4] {
    const KEYS: [(&str, u64); 4] = [
        ("rawRetentionHours", 3_600),
        ("oneMinuteRetentionDays", 86_400),
        ("fiveMinuteRetentionDays", 86_400),
        ("oneHourRetentionDays", 86_400),
    ];
    let mut said = KEYS.into_iter().map(|(key, seconds)| {
        let times = |text: &str| {
            let seconds = count(text)?.checked_mul(seconds).ok_or("that is longer than time goes")?;
            Ok(Duration::from_secs(seconds))
        };
        section.value(key, times, findings)
    });
    tiers.map(|tier| said.next().flatten().filter(|_| tier.is_none()).or(tier))
}

fn read_type(
    name: &str,
    node: &Node,
    findings: &mut Findings,
) -> Option<(MetricType, [Option<Duration>; 4])> {
    let mut section = Section::open(node, "a type in `retention.by_type`", findings);
    let tiers = read_tiers(&mut section, findings);
    section.finish(&[], findings);
    let kind = MetricType::from_word(name);
    if kind.is_none() {
        let message = format!(
            "unknown type `{name}` in `retention.by_type`; give one of counter, gauge, histogram, gaugehistogram, \
             summary, info, stateset, unknown"
        );
        findings.add(&node.place, message);
    }
    Some((kind?, tiers))
}

fn read_rule(node: &Node, findings: &mut Findings) -> Option<RetentionRule> {
    let mut section = Section::open(node, "a rule of `retention`", findings);
    let tiers = read_tiers(&mut section, findings);
    let selector = |text: &str| barograph_query::parse_selector(text).map_err(|error| error.to_string());
    let matchers = section.value("match", selector, findings);
    if section.node("match").is_none() {
        findings.add(
            section.place,
            "a rule of `retention` needs `match`; add a selector such as `{job=\"api\"}`",
        );
    } else if matchers.is_some() && tiers.iter().all(Option::is_none) {
        findings.add(
            section.place,
            "a rule of `retention` needs one of `raw`, `1m`, `5m`, `1h`; add what it is for",
        );
    }
    section.finish(&[], findings);
    Some(RetentionRule { matchers: matchers?, tiers })
}

fn read_tiers(section: &mut Section<'_>, findings: &mut Findings) -> [Option<Duration>; 4] {
    Tier::ALL.map(|tier| section.value(tier.as_str(), parse_duration, findings))
}

fn positive_size(text: &str) -> Result<u64, String> {
    parse_size(text)
        .and_then(|size| if size == 0 { Err("expected more than 0".to_owned()) } else { Ok(size) })
}
