//! The table has every route, and the published description is the one that is served.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use regex::Regex;

use super::*;

/// Pages, and what answers for paths that are not there.
const NOT_DESCRIBED: [&str; 5] = ["/", "/graph", "/ui", "/favicon.ico", "/api/v1/{*unknown}"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => sources(&path, found),
            false if path.extension().is_some_and(|end| end == "rs") => found.push(path),
            false => {}
        }
    }
}

/// Every route of the sources: the method in capitals and the path.
fn routes() -> BTreeSet<String> {
    let mut files = Vec::new();
    sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut files);
    let route = Regex::new(
        r#"(?s)\(\s*(&path\()?"(/[^"\s]*|)"\)?,\s*((?:get|post|put|patch|delete|any)\(.*?)(?:;|\]|"|\.route\(|\n\})"#,
    );
    let method = Regex::new(r"(?:^|\)\s*\.)(get|post|put|patch|delete)\(").unwrap();
    let route = route.unwrap();
    let mut found = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let text = text.split("#[cfg(test)]").next().unwrap();
        // Where all paths stand twice, with and without the prefix.
        let twice = text.contains("/api/barograph/v1{path}") || text.contains("{prefix}/diagnostics");
        let mut at = 0;
        while let Some(captures) = route.captures_at(text, at) {
            at = captures.get(3).unwrap().start();
            let mut path = captures[2].to_owned();
            if captures.get(1).is_some() {
                path = format!("/diagnostics{path}");
            }
            let is_call = path.starts_with("/opentelemetry.proto.");
            if NOT_DESCRIBED.contains(&&*path) || path.starts_with("/ui/") || path.is_empty() || is_call {
                continue;
            }
            let methods = method.captures_iter(&captures[3]).map(|captures| captures[1].to_uppercase());
            for method in methods {
                found.insert(format!("{method} {path}"));
                if twice {
                    found.insert(format!("{method} /api/barograph/v1{path}"));
                }
            }
        }
    }
    found
}

#[test]
fn every_route_is_described() {
    let described: BTreeSet<_> =
        operations().iter().map(|operation| format!("{} {}", operation.method, operation.path)).collect();
    let routes = routes();
    assert!(routes.len() > 100, "{}", routes.len());
    let missing: Vec<_> = routes.difference(&described).collect();
    assert!(missing.is_empty(), "add these to operations.txt: {missing:#?}");
    let gone: Vec<_> =
        described.difference(&routes).filter(|operation| !operation.ends_with("/live/ws")).collect();
    assert!(gone.is_empty(), "there are no such routes: {gone:#?}");
}

#[test]
fn each_line_says_what_the_document_needs() {
    let mut ids = BTreeSet::new();
    for operation in operations() {
        let line = format!("{} {}", operation.method, operation.path);
        assert!(!operation.summary.is_empty() && !operation.answers.is_empty(), "{line}");
        assert!(operation.parameters.iter().all(|text| parameter(text).is_some()), "{line}");
        assert!(ids.insert(id_of(&operation)), "{line} stands twice");
        for (status, content) in &operation.answers {
            assert!(status.parse::<u16>().is_ok(), "{line}");
            let content = content_of(content).unwrap_or_default().to_string();
            let named = content.split("#/components/schemas/").nth(1).and_then(|rest| rest.split('"').next());
            let known = |name: &str| {
                SCHEMAS.iter().any(|(known, _)| *known == name) || ["problem", "prometheus"].contains(&name)
            };
            assert!(named.is_none_or(known), "{line}: {content}");
        }
    }
}

/// What `/api/barograph/v1/openapi.json` answers is published as `docs/openapi.json`; with `UPDATE=1` this writes it.
#[test]
fn the_published_description_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
    if std::env::vars().any(|(name, value)| name == "UPDATE" && value == "1") {
        fs::write(path, text()).unwrap();
    }
    let published = fs::read_to_string(path).unwrap_or_default();
    assert!(
        published == text(),
        "run this test again with UPDATE=1 in the environment, and look at the change"
    );
}
