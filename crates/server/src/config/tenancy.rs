//! The section `tenancy`: whether data of several tenants are kept apart, and what each may have.

use std::collections::BTreeMap;

use barograph_tenancy::Tenant;

use super::{
    section::{Findings, Section, boolean, count},
    tree::Node,
};

/// So many tenants may be named in the configuration.
const NAMED_MAX: usize = 1_000;

/// Whether data of several tenants are kept apart, and what each may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenancyConfig {
    /// Whether there are tenants; off by default.
    pub enabled: bool,
    /// How the tenant is called whose series have no label, which is that of the server itself; `default` by default.
    pub default: String,
    /// Tenants there may be in all, named here or not; 100 by default, at most 1,000.
    pub max: usize,
    /// What a tenant may have that is not named, or of whom something is not said.
    pub limits: TenantLimits,
    /// What those may have that are named.
    pub tenants: BTreeMap<String, TenantLimits>,
}

/// What a tenant may have; 0 is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TenantLimits {
    /// Series in memory. What is over it overflows, as with all limits of series.
    pub series: u64,
    /// Samples a second, over time.
    pub samples_per_second: u64,
    /// Queries that run or wait at once.
    pub queries: u64,
}

impl Default for TenancyConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            default: "default".to_owned(),
            max: 100,
            limits: TenantLimits::default(),
            tenants: BTreeMap::new(),
        }
    }
}

impl TenancyConfig {
    /// What a tenant may have.
    pub fn limits_of(&self, name: &str) -> TenantLimits {
        self.tenants.get(name).copied().unwrap_or(self.limits)
    }
}

pub(super) fn read_tenancy(node: &Node, findings: &mut Findings) -> TenancyConfig {
    let mut config = TenancyConfig::default();
    let mut section = Section::open(node, "`tenancy`", findings);
    section.set("enabled", &mut config.enabled, boolean, findings);
    section.set("default", &mut config.default, name, findings);
    section.set("max", &mut config.max, max, findings);
    if let Some(node) = section.node("limits") {
        config.limits = read_limits(node, TenantLimits::default(), findings);
    }
    for (key, node) in section.entries("tenants", findings) {
        if let Err(error) = name(&key.text) {
            findings.add(&key.place, error);
        } else if config.tenants.len() >= NAMED_MAX {
            findings
                .add(&key.place, format!("more than {NAMED_MAX} tenants; leave out those without limits"));
            break;
        }
        config.tenants.insert(key.text.clone(), read_limits(node, config.limits, findings));
    }
    section.finish(&[], findings);
    config
}

fn read_limits(node: &Node, mut limits: TenantLimits, findings: &mut Findings) -> TenantLimits {
    let mut section = Section::open(node, "limits of a tenant", findings);
    section.set("series", &mut limits.series, count, findings);
    section.set("samples_per_second", &mut limits.samples_per_second, count, findings);
    section.set("queries", &mut limits.queries, count, findings);
    section.finish(&[], findings);
    limits
}

/// The name of a tenant, wherever the configuration has one.
pub(super) fn name(text: &str) -> Result<String, String> {
    Tenant::named(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

fn max(text: &str) -> Result<usize, String> {
    match usize::try_from(count(text)?) {
        Ok(max @ 1..=NAMED_MAX) => Ok(max),
        _ => Err(format!("expected 1 to {NAMED_MAX}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> Result<TenancyConfig, String> {
        let read = barograph_yaml::read(yaml, "test.yml", |root, findings| read_tenancy(&root, findings));
        read.map_err(|faults| faults.to_string())
    }

    #[test]
    fn limits_are_read() {
        let config = read(
            "{enabled: true, default: ops, limits: {series: 100, queries: 4}, tenants: {a: {series: 5}, b: {}}}",
        )
        .unwrap();
        assert_eq!(config.limits_of("a"), TenantLimits { series: 5, samples_per_second: 0, queries: 4 });
        assert_eq!(config.limits_of("b"), config.limits);
        assert_eq!((config.enabled, config.default.as_str(), config.max), (true, "ops", 100));
        assert_eq!(read("").unwrap(), TenancyConfig::default());
    }

    #[test]
    fn mistakes_are_named() {
        let check = |yaml: &str, said: &str| assert!(read(yaml).unwrap_err().contains(said), "{yaml}");
        check("{enable: true}", "did you mean `enabled`");
        check("{tenants: {a b: {}}}", "name of a tenant");
        check("{max: 0}", "expected 1 to 1000");
        check("{tenants: {a: {serie: 1}}}", "did you mean `series`");
    }
}
