//! The dependency policy of `deny.toml`: licences, banned packages, second versions, sources.
//!
//! The file has cargo-deny's form and this reads the part of it that we use, from what `cargo metadata` says of
//! every package for every platform. Known vulnerabilities need cargo-deny itself and its database: they are
//! checked where both are at hand, and the output says where they are not.

use std::{collections::BTreeMap, fs};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::licence;
use crate::{place, shell};

/// `deny.toml`, as far as we use its form.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Policy {
    licenses: Licences,
    bans: Bans,
    sources: Sources,
    /// For cargo-deny alone.
    #[serde(default, rename = "advisories")]
    _advisories: toml::Table,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Licences {
    allow: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Bans {
    multiple_versions: Level,
    wildcards: Level,
    /// Packages of the workspace may name each other without a version.
    allow_wildcard_paths: bool,
    deny: Vec<Named>,
    /// Older versions that may stand beside a newer one.
    skip: Vec<Named>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Sources {
    unknown_registry: Level,
    unknown_git: Level,
    allow_registry: Vec<String>,
    allow_git: Vec<String>,
}

/// `name` or `name@version`, and why it is listed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    #[serde(rename = "crate")]
    package: String,
    reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Allow,
    Deny,
}

/// What `cargo metadata` says, as far as the checks need it.
#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    version: String,
    license: Option<String>,
    /// `None` for packages of the workspace.
    pub(crate) source: Option<String>,
    pub(crate) dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    req: String,
    path: Option<String>,
    /// `None`, `dev` or `build`.
    pub(crate) kind: Option<String>,
    pub(crate) optional: bool,
}

pub(crate) fn metadata() -> Result<Metadata> {
    let text =
        shell::output(&mut shell::cargo(&["metadata", "--format-version=1", "--all-features", "--locked"]))?;
    serde_json::from_str(&text).context("cargo metadata has another form than expected")
}

pub(crate) fn check() -> Result<()> {
    let text = fs::read_to_string(place::root().join("deny.toml")).context("cannot read deny.toml")?;
    let policy: Policy = toml::from_str(&text).context("deny.toml")?;
    let packages = metadata()?.packages;
    let mut complaints = licences(&policy.licenses, &packages);
    complaints.extend(bans(&policy.bans, &packages));
    complaints.extend(versions(&policy.bans, &packages));
    complaints.extend(sources(&policy.sources, &packages));
    eprintln!("{} packages: licences, bans, versions, sources", packages.len());
    advisories()?;
    if complaints.is_empty() { Ok(()) } else { bail!("deny.toml:\n  {}", complaints.join("\n  ")) }
}

fn licences(policy: &Licences, packages: &[Package]) -> Vec<String> {
    let allowed = |licence: &str| policy.allow.iter().any(|allow| allow == licence);
    packages
        .iter()
        .filter_map(|package| {
            let Some(expression) = &package.license else {
                return Some(format!("{package} names no licence"));
            };
            match licence::satisfied(expression, &allowed) {
                Ok(true) => None,
                Ok(false) => Some(format!("{package} has the licence {expression}, which is not allowed")),
                Err(error) => Some(format!("{package}: {error}")),
            }
        })
        .collect()
}

fn bans(policy: &Bans, packages: &[Package]) -> Vec<String> {
    let banned = packages.iter().filter_map(|package| {
        let ban = policy.deny.iter().find(|ban| ban.names(package))?;
        Some(format!("{package} is banned: {}", ban.reason))
    });
    let wild = packages.iter().filter(|package| package.source.is_none()).flat_map(|package| {
        let wild = package.dependencies.iter().filter(|dependency| {
            dependency.req == "*" && !(policy.allow_wildcard_paths && dependency.path.is_some())
        });
        wild.map(move |dependency| format!("{package} takes any version of {}", dependency.name))
    });
    let wild = wild.filter(|_| policy.wildcards == Level::Deny);
    banned.chain(wild).collect()
}

fn versions(policy: &Bans, packages: &[Package]) -> Vec<String> {
    if policy.multiple_versions == Level::Allow {
        return Vec::new();
    }
    let skipped = |package: &Package| policy.skip.iter().any(|skip| skip.names(package));
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in packages.iter().filter(|package| !skipped(package)) {
        versions.entry(&package.name).or_default().push(&package.version);
    }
    let many = versions.iter().filter(|versions| versions.1.len() > 1);
    let many =
        many.map(|(name, versions)| format!("{name} is there in the versions {}", versions.join(", ")));
    let stale = policy.skip.iter().filter(|skip| !packages.iter().any(|package| skip.names(package)));
    let stale = stale.map(|skip| format!("{} is skipped and not there", skip.package));
    many.chain(stale).collect()
}

fn sources(policy: &Sources, packages: &[Package]) -> Vec<String> {
    let known = |source: &str| match source.split_once('+') {
        Some(("registry" | "sparse", url)) => {
            policy.unknown_registry == Level::Allow || policy.allow_registry.iter().any(|allow| allow == url)
        }
        Some(("git", url)) => {
            policy.unknown_git == Level::Allow
                || policy.allow_git.iter().any(|allow| url.starts_with(allow.as_str()))
        }
        _ => false,
    };
    let unknown = packages.iter().filter_map(|package| Some((package, package.source.as_deref()?)));
    unknown
        .filter(|(_, source)| !known(source))
        .map(|(package, source)| format!("{package} comes from {source}"))
        .collect()
}

fn advisories() -> Result<()> {
    if !shell::on_path("cargo-deny") {
        eprintln!("advisories: not checked, cargo-deny and its database are not on this machine");
        return Ok(());
    }
    if let Err(error) = shell::output(&mut shell::cargo(&["deny", "fetch", "db"])) {
        eprintln!("advisories: not checked, the database cannot be fetched: {error:#}");
        return Ok(());
    }
    shell::run(&mut shell::cargo(&["deny", "check", "advisories"]))
}

impl Named {
    fn names(&self, package: &Package) -> bool {
        let (name, version) = self.package.split_once('@').unwrap_or((&self.package, &package.version));
        name == package.name && version == package.version
    }
}

impl std::fmt::Display for Package {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.name, self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = r#"
        [licenses]
        allow = ["MIT"]
        [bans]
        multiple-versions = "deny"
        wildcards = "deny"
        allow-wildcard-paths = true
        deny = [{ crate = "heavy", reason = "too heavy" }]
        skip = [{ crate = "old@1.0.0", reason = "on its way out" }]
        [sources]
        unknown-registry = "deny"
        unknown-git = "deny"
        allow-registry = ["https://registry.test"]
        allow-git = []
    "#;

    fn package(name: &str, version: &str) -> Package {
        Package {
            name: name.to_owned(),
            version: version.to_owned(),
            license: Some("MIT".to_owned()),
            source: Some("registry+https://registry.test".to_owned()),
            dependencies: Vec::new(),
        }
    }

    fn check(change: impl Fn(&mut Vec<Package>), expected: &[&str]) {
        let policy: Policy = toml::from_str(POLICY).unwrap();
        let mut packages = vec![package("old", "1.0.0"), package("old", "2.0.0")];
        change(&mut packages);
        let mut complaints = licences(&policy.licenses, &packages);
        complaints.extend(bans(&policy.bans, &packages));
        complaints.extend(versions(&policy.bans, &packages));
        complaints.extend(sources(&policy.sources, &packages));
        assert_eq!(complaints, expected);
    }

    #[test]
    fn each_rule_has_its_complaint() {
        check(|_| {}, &[]);
        check(|all| all[1].license = None, &["old 2.0.0 names no licence"]);
        check(
            |all| all[1].license = Some("GPL-3.0".to_owned()),
            &["old 2.0.0 has the licence GPL-3.0, which is not allowed"],
        );
        check(|all| all.push(package("heavy", "1.0.0")), &["heavy 1.0.0 is banned: too heavy"]);
        check(|all| all.push(package("old", "3.0.0")), &["old is there in the versions 2.0.0, 3.0.0"]);
        check(|all| drop(all.remove(0)), &["old@1.0.0 is skipped and not there"]);
        check(
            |all| all[1].source = Some("git+https://elsewhere.test/x".to_owned()),
            &["old 2.0.0 comes from git+https://elsewhere.test/x"],
        );
    }
}
