//! What is shipped is there, and says what it should, without Docker, Helm or a release build.

use std::collections::BTreeSet;

use super::*;

fn file(path: &str) -> String {
    let path = place::root().join("packaging").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn pages_name_the_commands_below() {
    let page = ".TP\nbarograph\\-query(1)\nAsk\n.TP\nbarograph\\-query\\-instant(1)\n.TP\nbarograph\\-help(1)\nsee man(1) x";
    assert_eq!(commands_below(page), ["query", "instant"]);
}

#[test]
fn the_bill_of_materials_is_whole() {
    let crates = Crates::read(TARGET).unwrap();
    let bill = sbom::document(&crates);
    assert_eq!((bill["bomFormat"].as_str(), bill["specVersion"].as_str()), (Some("CycloneDX"), Some("1.5")));
    let components = bill["components"].as_array().unwrap();
    let refs: BTreeSet<_> = components.iter().map(|one| one["bom-ref"].as_str().unwrap()).collect();
    assert!(refs.len() == components.len() && refs.len() > 100, "{}", refs.len());
    let root = bill["metadata"]["component"]["bom-ref"].as_str().unwrap();
    for one in bill["dependencies"].as_array().unwrap() {
        for used in one["dependsOn"].as_array().unwrap() {
            assert!(refs.contains(used.as_str().unwrap()) || used == root, "{used}");
        }
    }
    let tokio = components.iter().find(|one| one["name"] == "tokio").unwrap();
    assert_eq!(tokio["hashes"][0]["content"].as_str().unwrap().len(), 64);
    assert!(components.iter().all(|one| one["name"] != "protox"), "what only builds is not in it");
    assert_eq!(sbom::text(&crates), sbom::text(&crates));
    let licences = licences::text(&crates);
    assert!(licences.contains("\ntokio ") && licences.contains("Permission is hereby granted"));
    assert!(!licences.contains("UNKNOWN"));
}

#[test]
fn the_unit_reloads_and_is_confined() {
    let unit = file("systemd/barograph.service");
    for line in [
        "Type=notify",
        "ExecReload=/bin/kill -HUP $MAINPID",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "CapabilityBoundingSet=",
        "MemoryDenyWriteExecute=yes",
        "SystemCallFilter=@system-service",
    ] {
        assert!(unit.lines().any(|found| found == line), "{line}");
    }
}

#[test]
fn the_image_is_small_in_rights() {
    let image = file("Dockerfile");
    let has = |line: &str| assert!(image.lines().any(|found| found.trim_start().starts_with(line)), "{line}");
    has("FROM scratch");
    has("USER 65532:65532");
    has("VOLUME [\"/data\"]");
    has("HEALTHCHECK");
    has("STOPSIGNAL SIGTERM");
    assert!(image.contains("\"check\", \"health\""));
    for label in ["title", "description", "licenses", "source", "version", "documentation"] {
        assert!(image.contains(&format!("org.opencontainers.image.{label}=")), "{label}");
    }
}

#[test]
fn the_chart_has_what_its_templates_ask_for() {
    let chart = file("helm/barograph/Chart.yaml");
    let version = Crates::read(TARGET).unwrap().version;
    assert!(chart.lines().any(|line| line == format!("appVersion: \"{version}\"")), "{chart}");
    let schema: serde_json::Value = serde_json::from_str(&file("helm/barograph/values.schema.json")).unwrap();
    let values = barograph_yaml::tree::parse(&file("helm/barograph/values.yaml")).unwrap();
    let mut known = BTreeSet::new();
    paths(&values, String::new(), &mut known);
    for path in &known {
        let found = path.split('.').try_fold(&schema, |schema, key| schema["properties"].get(key));
        assert!(found.is_some(), "values.schema.json has no {path}");
    }
    let templates = place::root().join("packaging/helm/barograph/templates");
    for entry in fs::read_dir(templates).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        assert_eq!(text.matches("{{").count(), text.matches("}}").count());
        let opened =
            ["if ", "with ", "range ", "define "].map(|word| text.matches(&format!("{{{{- {word}")).count());
        assert_eq!(opened.iter().sum::<usize>(), text.matches("{{- end }}").count(), "{text}");
        for asked in text.split(".Values.").skip(1) {
            let path: String = asked.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '.').collect();
            assert!(known.contains(path.trim_end_matches('.')), "values.yaml has no {path}");
        }
    }
    let set = fs::read_to_string(place::root().join("packaging/helm/barograph/templates/statefulset.yaml"))
        .unwrap();
    for line in ["path: /-/healthy", "path: /-/ready", "readOnlyRootFilesystem: true", "runAsNonRoot: true"] {
        assert!(set.contains(line), "{line}");
    }
}

fn paths(node: &barograph_yaml::tree::Node, path: String, found: &mut BTreeSet<String>) {
    if !path.is_empty() {
        found.insert(path.clone());
    }
    if let barograph_yaml::tree::Kind::Map(entries) = &node.kind {
        for (key, value) in entries {
            let dot = if path.is_empty() { "" } else { "." };
            paths(value, format!("{path}{dot}{}", key.text), found);
        }
    }
}
