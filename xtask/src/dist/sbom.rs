//! The bill of materials in the form of CycloneDX 1.5, which tools that look for known faults read.
//!
//! It has no time and no random number in it: the same sources make the same text. The serial number is one that a hash of the
//! components gives.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde_json::{Value, json};

use super::crates::{Crate, Crates};

pub(super) fn text(crates: &Crates) -> String {
    let mut text = serde_json::to_string_pretty(&document(crates)).unwrap_or_default();
    text.push('\n');
    text
}

pub(super) fn document(crates: &Crates) -> Value {
    let others = || crates.all.iter().filter(|((name, _), _)| name != "barograph-cli");
    let components: Vec<_> =
        others().map(|((name, version), found)| component(name, version, found)).collect();
    let dependencies: Vec<_> = crates
        .all
        .iter()
        .map(|((name, version), found)| {
            let uses: Vec<_> = found.uses.iter().map(|(name, version)| purl(name, version)).collect();
            json!({"ref": purl(name, version), "dependsOn": uses})
        })
        .collect();
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": serial(crates),
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": purl("barograph-cli", &crates.version),
                "name": "barograph",
                "version": crates.version,
                "licenses": [{"expression": "MIT OR Apache-2.0"}],
            },
        },
        "components": components,
        "dependencies": dependencies,
    })
}

fn component(name: &str, version: &str, found: &Crate) -> Value {
    // Cargo once wrote `/` for OR; SPDX does not know that.
    let licence = found.licence.replace(" / ", " OR ").replace('/', " OR ");
    let mut component = json!({
        "type": "library",
        "bom-ref": purl(name, version),
        "name": name,
        "version": version,
        "scope": "required",
        "licenses": [{"expression": licence}],
    });
    if !found.own {
        component["purl"] = purl(name, version).into();
    }
    if let Some(checksum) = &found.checksum {
        component["hashes"] = json!([{"alg": "SHA-256", "content": checksum}]);
    }
    if let Some(repository) = &found.repository {
        component["externalReferences"] = json!([{"type": "vcs", "url": repository}]);
    }
    component
}

fn purl(name: &str, version: &str) -> String {
    format!("pkg:cargo/{name}@{}", version.replace('+', "%2B"))
}

/// A UUID of version 8 (RFC 9562): bits of our own.
fn serial(crates: &Crates) -> String {
    let hash = |seed: u8| {
        let mut hasher = DefaultHasher::new();
        seed.hash(&mut hasher);
        crates.all.keys().for_each(|key| key.hash(&mut hasher));
        hasher.finish()
    };
    let (high, low) = (hash(0), hash(1));
    format!(
        "urn:uuid:{:08x}-{:04x}-8{:03x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        0x8000 | (low >> 48) & 0x3fff,
        low & 0xffff_ffff_ffff
    )
}
