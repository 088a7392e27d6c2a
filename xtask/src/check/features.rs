//! What the SDK brings into an application: few packages, each feature by itself, no newer Rust than stated.
//!
//! Features of a workspace unify, so that a feature that is missing somewhere is hidden while all is built together.
//! Here the package is checked alone, as an application would build it.

use std::{collections::BTreeSet, fs};

use anyhow::{Context, Result, ensure};

use crate::{place, shell};

const SDK: &str = "barograph";
/// The most packages of others that the default features may bring.
const PACKAGES_MAX: usize = 10;

pub(crate) fn check() -> Result<()> {
    let packages = foreign_packages()?;
    eprintln!("{} packages with default features: {}", packages.len(), join(&packages));
    ensure!(
        packages.len() <= PACKAGES_MAX,
        "{SDK} may bring {PACKAGES_MAX} packages, not {}",
        packages.len()
    );
    stated_rust()?;
    let mut sets = vec![vec!["--no-default-features".to_owned()], Vec::new()];
    let features = features(&fs::read_to_string(place::root().join("crates/sdk/Cargo.toml"))?)?;
    let alone = |feature: &String| vec!["--no-default-features".to_owned(), format!("--features={feature}")];
    sets.extend(features.iter().filter(|feature| *feature != "default").map(alone));
    for set in &sets {
        let mut command = shell::cargo(&["clippy", "--quiet", "--package", SDK, "--lib"]);
        shell::run(command.args(set).args(["--", "-D", "warnings"]))?;
    }
    Ok(())
}

/// The packages of others that an application builds for the SDK with default features on this machine.
fn foreign_packages() -> Result<BTreeSet<String>> {
    let arguments =
        ["tree", "--package", SDK, "--edges=normal,build", "--prefix=none", "--format={p}", "--locked"];
    let tree = shell::output(&mut shell::cargo(&arguments))?;
    Ok(foreign(&tree))
}

/// Those lines of a dependency tree that name no path.
fn foreign(tree: &str) -> BTreeSet<String> {
    let foreign = tree.lines().filter(|line| !line.is_empty() && !line.contains("(/"));
    foreign.filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

/// The names of the features of a manifest.
fn features(manifest: &str) -> Result<Vec<String>> {
    let manifest: toml::Table = toml::from_str(manifest).context("crates/sdk/Cargo.toml")?;
    let features = manifest.get("features").and_then(toml::Value::as_table).context("it has no features")?;
    Ok(features.keys().cloned().collect())
}

/// The compiler at hand is the oldest that may be used, so that whatever it takes that one takes.
fn stated_rust() -> Result<()> {
    let manifest: toml::Table = toml::from_str(&fs::read_to_string(place::root().join("Cargo.toml"))?)?;
    let stated = manifest.get("workspace").and_then(|it| it.get("package")?.get("rust-version")?.as_str());
    let stated = stated.context("the workspace states no rust-version")?;
    let version = shell::output(&mut shell::command("rustc", &["--version"]))?;
    let at_hand = version.split(' ').nth(1).unwrap_or_default();
    if is_release_of(at_hand, stated) {
        eprintln!("rust-version {stated} is that of the compiler at hand");
    } else {
        eprintln!("rust-version {stated} is not checked: the compiler at hand is {at_hand}");
    }
    Ok(())
}

/// Whether `1.95.2` is a release of `1.95`.
fn is_release_of(version: &str, stated: &str) -> bool {
    version.strip_prefix(stated).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn join(names: &BTreeSet<String>) -> String {
    names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_packages_do_not_count() {
        let tree =
            "barograph v0.1.0 (/src/crates/sdk)\nmemchr v2.8.3\nmemchr v2.8.3 (*)\nx v1.0.0 (proc-macro)\n";
        assert_eq!(join(&foreign(tree)), "memchr, x");
    }

    #[test]
    fn features_are_those_of_the_manifest() {
        assert_eq!(features("[features]\na = []\nb = [\"a\"]").unwrap(), ["a", "b"]);
        assert!(features("[package]").is_err());
    }

    #[test]
    fn releases_are_told() {
        assert!(is_release_of("1.95.0", "1.95") && is_release_of("1.95", "1.95"));
        assert!(!is_release_of("1.950.0", "1.95") && !is_release_of("1.96.0", "1.95"));
    }
}
