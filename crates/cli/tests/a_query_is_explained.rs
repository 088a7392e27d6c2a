//! `barograph query explain` prints what a query comes down to, as a tree.

mod support;

use support::{Server, barograph};

const PLAN: &str = r#"{"language": "promql", "expression": "sum by (job) (rate(up[5m])) / 2", "start": 0, "end": 60000,
    "step": 15000, "steps": 5, "analyzed": true, "promql": null, "json": null, "warnings": [], "infos": ["mind the gap"],
    "total": {"series": 1, "samples": 64, "bytes": 2048, "took_ms": 1234.5},
    "plan": {"operation": "binary", "text": "sum by (job) (rate(up[5m])) / 2", "from": 0, "to": 31, "detail": "/", "tier": null,
        "reason": null, "range": null, "estimate": null, "actual": {"series": 1, "samples": 64, "took_ms": 0.25}, "children": [
        {"operation": "call", "text": "rate(up[5m])", "detail": "rate of each range", "children": [
            {"operation": "matrix", "text": "up[5m]", "detail": "", "tier": "raw", "reason": "raw samples are there",
             "estimate": {"series": 3, "samples": 60}, "actual": null, "children": []}]},
        {"operation": "literal", "text": "2", "detail": "a number", "children": []}]}}"#;

const TREE: &str = "binary  sum by (job) (rate(up[5m])) / 2
│  /
│  did 1 series, 64 samples, 0.25 ms
├─ call  rate(up[5m])
│  │  rate of each range
│  └─ matrix  up[5m]
│        tier raw: raw samples are there
│        about 3 series, 60 samples
└─ literal  2
      a number

from 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z, 5 steps of 15 s
in all: 1 series, 64 samples, 1.235 s, 2.00 KiB of memory
";

#[test]
fn as_a_tree_and_as_it_came() {
    let server = Server::answering("200 OK", PLAN);
    let arguments = ["query", "explain", "--analyze", "--start", "0", "--end", "60", "--step", "15s"];
    let run = barograph(&[&arguments[..], &[&server.url, "sum by (job) (rate(up[5m])) / 2"]].concat());
    assert_eq!((run.code, run.out.as_str()), (0, TREE), "{}", run.err);
    assert_eq!(run.err, "info: mind the gap\n");
    let asked = server.asked();
    assert_eq!(asked.line, "POST /api/barograph/v1/query/explain");
    assert!(
        asked.body.contains("analyze=true") && asked.body.contains("start=0&end=60&step=15"),
        "{}",
        asked.body
    );

    let server = Server::answering("200 OK", PLAN);
    let run = barograph(&["query", "explain", "-o", "json", "--time", "60", &server.url, "up"]);
    assert!(run.code == 0 && run.out.starts_with("{\"analyzed\":true"), "{} {}", run.out, run.err);
    assert!(server.asked().body.contains("analyze=false&timeout=120&time=60"));
}

#[test]
fn a_document_too() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("query.json");
    std::fs::write(&file, r#"{"query": {"metrics": ["up"]}}"#).expect("it is written");
    let server = Server::answering("200 OK", PLAN);
    let run = barograph(&["query", "json", "--explain", &server.url, file.to_str().expect("text")]);
    assert_eq!((run.code, run.out.as_str()), (0, TREE), "{}", run.err);
    assert_eq!(server.asked().line, "POST /api/barograph/v1/query/explain?analyze=false");
}

#[test]
fn a_mistake_is_pointed_at() {
    let body = r#"{"status":400,"detail":"invalid parameter \"query\": 1:5: parse error: no"}"#;
    let server = Server::answering("400 Bad Request", body);
    let run = barograph(&["query", "explain", &server.url, "sum(1)"]);
    assert!(run.code == 1 && run.err.contains("sum(1)\n"), "{}", run.err);
    let run = barograph(&["query", "explain", "--step", "5s", "up"]);
    assert_eq!(run.code, 2, "{}", run.err);
}
