//! The directions of the house: which of our crates may use which, and what the inner ones may not use at all.

use anyhow::{Result, bail};

use super::dependencies::{Metadata, metadata};

/// Each inner crate and those of ours that it may use. Crates that are not listed are the edge and may use all.
const INNER: [(&str, &[&str]); 15] = [
    ("barograph-analyze", &[]),
    ("barograph-auth", &[]),
    ("barograph-yaml", &[]),
    ("barograph-proto", &[]),
    ("barograph-model", &[]),
    ("barograph-codec", &["barograph-model"]),
    ("barograph-disk", &[]),
    ("barograph-state", &["barograph-disk"]),
    ("barograph-tsdb", &["barograph-model", "barograph-codec", "barograph-disk"]),
    ("barograph-trace", &["barograph-disk"]),
    ("barograph-query", &["barograph-analyze", "barograph-model"]),
    ("barograph-alert", &["barograph-analyze", "barograph-model", "barograph-query", "barograph-yaml"]),
    ("barograph-wire", &["barograph-model"]),
    ("barograph-macros", &[]),
    ("barograph", &["barograph-macros", "barograph-model", "barograph-wire"]),
];
/// What would let a crate below the edge wait, spawn or listen.
const EDGE_ONLY: [&str; 5] = ["tokio", "hyper", "axum", "futures-util", "async-trait"];
/// The SDK lives inside applications, which have a runtime, so it may use one if asked to.
const SDK: &str = "barograph";

pub(crate) fn check() -> Result<()> {
    let complaints = complaints(&metadata()?);
    if complaints.is_empty() { Ok(()) } else { bail!("{}", complaints.join("\n  ")) }
}

fn complaints(metadata: &Metadata) -> Vec<String> {
    let ours: Vec<&str> = metadata
        .packages
        .iter()
        .filter(|package| package.source.is_none())
        .map(|package| package.name.as_str())
        .collect();
    let mut complaints = Vec::new();
    for package in &metadata.packages {
        let Some((_, allowed)) =
            INNER.iter().find(|inner| inner.0 == package.name && package.source.is_none())
        else {
            continue;
        };
        for dependency in package.dependencies.iter().filter(|used| used.kind.as_deref() != Some("dev")) {
            let name = dependency.name.as_str();
            if ours.contains(&name) && !allowed.contains(&name) {
                complaints.push(format!("{} must not know {name}", package.name));
            }
            let asked_for = package.name == SDK && dependency.optional;
            if EDGE_ONLY.contains(&name) && !asked_for {
                complaints.push(format!("{} must not use {name}: it waits at the edge only", package.name));
            }
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_direction_is_named() {
        let metadata = r#"{"packages": [
            {"name": "barograph-query", "version": "1.0.0", "dependencies": [
                {"name": "barograph-model", "req": "*", "optional": false},
                {"name": "barograph-tsdb", "req": "*", "optional": false, "kind": "dev"},
                {"name": "barograph-wire", "req": "*", "optional": false},
                {"name": "tokio", "req": "1", "optional": false}]},
            {"name": "barograph-wire", "version": "1.0.0", "dependencies": []}
        ]}"#;
        assert_eq!(
            complaints(&serde_json::from_str(metadata).unwrap()),
            [
                "barograph-query must not know barograph-wire",
                "barograph-query must not use tokio: it waits at the edge only"
            ]
        );
    }
}
