//! The crates that are in the binary, as cargo tells them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::{
    place,
    shell::{cargo, output},
};

/// The package whose binary is shipped.
const SHIPPED: &str = "barograph-cli";

/// All that the binary is made of.
pub(super) struct Crates {
    /// Its own version.
    pub(super) version: String,
    /// By name and version.
    pub(super) all: BTreeMap<(String, String), Crate>,
}

/// One crate.
pub(super) struct Crate {
    pub(super) licence: String,
    pub(super) repository: Option<String>,
    /// Whether it is ours.
    pub(super) own: bool,
    /// SHA-256 of its package, as the lock file has it.
    pub(super) checksum: Option<String>,
    /// Texts of licences that come with it.
    pub(super) texts: Vec<PathBuf>,
    /// What it uses in turn, by name and version.
    pub(super) uses: Vec<(String, String)>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    repository: Option<String>,
    source: Option<String>,
    manifest_path: PathBuf,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    checksum: Option<String>,
}

impl Crates {
    /// Those of a target: what only builds or tests is not in the binary.
    pub(super) fn read(target: &str) -> Result<Self> {
        let words =
            ["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", target];
        let metadata: Metadata =
            serde_json::from_str(&output(&mut cargo(&words))?).context("cargo metadata")?;
        let lock = fs::read_to_string(place::root().join("Cargo.lock"))?;
        let lock: Lock = toml::from_str(&lock).context("Cargo.lock")?;
        Self::of(metadata, lock).context("cargo metadata tells of no such package")
    }

    fn of(metadata: Metadata, lock: Lock) -> Option<Self> {
        let packages: BTreeMap<_, _> =
            metadata.packages.iter().map(|package| (package.id.as_str(), package)).collect();
        let nodes: BTreeMap<_, _> =
            metadata.resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
        let checksums: BTreeMap<_, _> =
            lock.package.into_iter().map(|locked| ((locked.name, locked.version), locked.checksum)).collect();
        let root = metadata.packages.iter().find(|package| package.name == SHIPPED)?;
        let (mut due, mut seen, mut all) = (vec![root.id.as_str()], BTreeSet::new(), BTreeMap::new());
        while let Some(id) = due.pop() {
            if !seen.insert(id) {
                continue;
            }
            let (package, node) = (packages.get(id)?, nodes.get(id)?);
            let linked =
                |dependency: &&Dependency| dependency.dep_kinds.iter().any(|kind| kind.kind.is_none());
            let uses: Vec<_> =
                node.deps.iter().filter(linked).map(|dependency| dependency.pkg.as_str()).collect();
            let key = |package: &Package| (package.name.clone(), package.version.clone());
            let found = Crate {
                licence: package.license.clone().unwrap_or_else(|| "UNKNOWN".to_owned()),
                repository: package.repository.clone(),
                own: package.source.is_none(),
                checksum: checksums.get(&key(package)).cloned().flatten(),
                texts: texts_of(package),
                uses: uses.iter().filter_map(|id| packages.get(id)).map(|package| key(package)).collect(),
            };
            all.insert(key(package), found);
            due.extend(uses);
        }
        Some(Self { version: root.version.clone(), all })
    }
}

/// Files of a crate's folder that are texts of licences, sorted.
fn texts_of(package: &Package) -> Vec<PathBuf> {
    let Some(entries) = package.manifest_path.parent().and_then(|folder| fs::read_dir(folder).ok()) else {
        return Vec::new();
    };
    let is_text = |path: &PathBuf| {
        let name =
            path.file_name().map(|name| name.to_string_lossy().to_ascii_uppercase()).unwrap_or_default();
        ["LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE"].iter().any(|start| name.starts_with(start))
            && path.is_file()
    };
    let mut texts: Vec<_> = entries.flatten().map(|entry| entry.path()).filter(is_text).collect();
    texts.sort();
    texts
}
